"""Pictures from behind and from the side painted on what of a character they show."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage

from understudy.core.character import Character, Mesh
from understudy.geometry.vectors import unit

__all__ = ["Photograph", "overlap", "painted"]

TALL_PX = 1024
"""A figure is painted with up to so many rows."""
CELLS, HIDDEN = 150, 0.03
"""A face is hidden where another in its cell (so many over the height) lies this share of the height nearer."""
CHECK_PX = 320
"""Rows of the silhouettes that are compared."""
MAX_SHIFT_PX = 50
"""Of those: boxes' middles differ where one view shows a foot, a hand or a bag that reaches further."""


@dataclass(frozen=True)
class Photograph:
    """A picture of the figure from one side, without perspective."""

    rgb: UInt8[np.ndarray, "height width 3"]
    mask: Bool[np.ndarray, "height width"]
    right: Float[np.ndarray, "3"]
    """Which way of the character's is right in the picture; up is up."""
    min_facing: float
    """Painted is what looks at the camera with a cosine of this at least."""
    beside_front: bool = False
    """Whether what looks more to the front than to this camera keeps what the front picture shows."""
    weight: float = 1.0
    """Of several pictures of a face, that counts in which its cosine times this is the largest."""

    @property
    def to_camera(self) -> Float[np.ndarray, "3"]:
        """From the character to the camera."""
        return np.cross(self.right, [0.0, 1.0, 0.0])


def overlap(character: Character, view: Photograph) -> float:
    """Intersection over union of the character's silhouette and the picture's, of the same height, 0 … 1."""
    return _aligned(character.mesh, view)[0]


def _aligned(mesh: Mesh, view: Photograph) -> tuple[float, float]:
    """How far the silhouettes overlap at best, and how far to the right of the mesh's middle the picture's middle is
    then, in heights."""
    seen, wanted = _points_mask(mesh, view), _at_height(view.mask)
    room = max(seen.shape[1], wanted.shape[1]) + 2 * MAX_SHIFT_PX
    seen, wanted = (_centred(mask, room) for mask in (seen, wanted))
    best = (-1.0, 0)
    for shift in range(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1):
        moved = np.roll(wanted, shift, 1)
        best = max(best, (float((seen & moved).sum() / max((seen | moved).sum(), 1)), shift), key=lambda one: one[0])
    return best[0], best[1] / CHECK_PX


def _centred(mask: Bool[np.ndarray, "tall wide"], width: int) -> Bool[np.ndarray, "tall wider"]:
    left = (width - mask.shape[1]) // 2
    return np.pad(mask, ((0, 0), (left, width - mask.shape[1] - left)))


def _at_height(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "tall wide"]:
    box = _box(mask)
    size = max(round(mask[box].shape[1] * CHECK_PX / mask[box].shape[0]), 1), CHECK_PX
    return cv2.resize(mask[box].astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5


def _points_mask(mesh: Mesh, view: Photograph) -> Bool[np.ndarray, "tall wide"]:
    across, up = mesh.vertices @ view.right, mesh.vertices[:, 1]
    scale = CHECK_PX / np.ptp(up)
    places = np.stack([(across - across.min()) * scale, (up.max() - up) * scale], -1)
    mask = np.zeros((CHECK_PX, int(np.ceil(np.ptp(across) * scale)) + 1), np.uint8)
    for triangle in np.floor(places[mesh.faces]).astype(np.int32):
        cv2.fillConvexPoly(mask, triangle, 1)
    return mask > 0


def _box(mask: Bool[np.ndarray, "height width"]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def painted(character: Character, views: list[Photograph]) -> Character:
    """The character with what each picture shows painted from it; of several the one that a face looks at most.

    The pictures are laid below the texture that was there. The character has one material, with a texture.
    """
    mesh = character.mesh
    corners = mesh.vertices[mesh.faces]
    normals = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    facing = np.stack([_shown(corners, normals, view, character.height_m) for view in views])
    chosen = np.where(facing.max(0) > 0, facing.argmax(0), -1)
    texture = mesh.materials[0].texture
    assert texture is not None
    sheets = [texture, *(_sheet(view) for view in views)]
    wide, tall = max(sheet.shape[1] for sheet in sheets), sum(sheet.shape[0] for sheet in sheets)
    whole = np.zeros((tall, wide, 4), np.uint8)
    tops = np.cumsum([0, *(sheet.shape[0] for sheet in sheets)])
    for top, sheet in zip(tops, sheets, strict=False):
        whole[top : top + sheet.shape[0], : sheet.shape[1]] = sheet
    uv = np.stack(
        [
            mesh.uv * texture.shape[1::-1],
            *(_place(mesh, view, sheet) for view, sheet in zip(views, sheets[1:], strict=True)),
        ]
    )
    uv = (uv + np.stack([np.zeros(len(tops) - 1), tops[:-1]], -1)[:, None]) / (wide, tall)
    # A vertex stands once for each picture that its faces are painted from.
    keys = mesh.faces * (len(views) + 1) + (chosen + 1)[:, None]
    kept, faces = np.unique(keys, return_inverse=True)
    rows, sheet_of = kept // (len(views) + 1), kept % (len(views) + 1)
    surface = (replace(mesh.materials[0], texture=whole),)
    new = Mesh(
        mesh.vertices[rows], faces.reshape(-1, 3), mesh.normals[rows], uv[sheet_of, rows], mesh.face_material, surface,
        tuple(morph.of_rows(rows, len(mesh.vertices)) for morph in mesh.morphs),
    )  # fmt: skip
    return replace(
        character, mesh=new, skin_joints=character.skin_joints[rows], skin_weights=character.skin_weights[rows]
    )


def _shown(
    corners: Float[np.ndarray, "face 3 3"], normals: Float[np.ndarray, "face 3"], view: Photograph, height_m: float
) -> Float[np.ndarray, " face"]:
    """How much each face looks at the camera; 0 where too little, or something hides it."""
    facing = normals @ view.to_camera
    centres = corners.mean(1)
    cell = height_m / CELLS
    column = np.floor(np.stack([centres @ view.right, centres[:, 1]], -1) / cell).astype(np.int64)
    _, of_face = np.unique(column, axis=0, return_inverse=True)
    nearness = centres @ view.to_camera
    nearest = np.full(of_face.max() + 1, -np.inf)
    np.maximum.at(nearest, of_face.reshape(-1), nearness)
    hidden = nearness < nearest[of_face.reshape(-1)] - HIDDEN * height_m
    better = facing > normals[:, 2] if view.beside_front else facing > 0
    return np.where((facing >= view.min_facing) & better & ~hidden, view.weight * facing, 0.0)


def _sheet(view: Photograph) -> UInt8[np.ndarray, "tall wide 4"]:
    """The figure's box, its colours carried on over its outline, so that nothing of the background is painted."""
    box = _box(view.mask)
    rgb, mask = (
        view.rgb[box],
        cv2.erode(np.pad(view.mask[box], 1).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1],
    )
    if not mask.any():
        mask = view.mask[box].astype(np.uint8)
    _, (row, column) = ndimage.distance_transform_edt(mask == 0, return_indices=True)
    filled = rgb[row, column]
    scale = min(1.0, TALL_PX / len(filled))
    if scale < 1:
        size = max(round(filled.shape[1] * scale), 1), round(len(filled) * scale)
        filled = cv2.resize(filled, size, interpolation=cv2.INTER_AREA)
    return np.dstack([filled, np.full(filled.shape[:2], 255, np.uint8)])


def _place(mesh: Mesh, view: Photograph, sheet: UInt8[np.ndarray, "tall wide 4"]) -> Float[np.ndarray, "vertex 2"]:
    """Where each vertex is in a sheet, in pixels: the heights agree, and the silhouettes overlap best."""
    tall, wide = sheet.shape[:2]
    across, up = mesh.vertices @ view.right, mesh.vertices[:, 1]
    scale = tall / np.ptp(up)
    _, shift = _aligned(mesh, view)
    x = (across - 0.5 * (across.min() + across.max())) * scale - shift * tall + 0.5 * wide
    y = (up.max() - up) * scale
    return np.stack([np.clip(x, 0.5, wide - 0.5), np.clip(y, 0.5, tall - 0.5)], -1)
