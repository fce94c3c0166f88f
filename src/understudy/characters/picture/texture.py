"""One picture as the texture of a whole body: what it shows in front, what it hides made up from it."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage

from understudy.characters.picture.loose import LooseParts
from understudy.characters.picture.parts import PARTS, FigureGrid, limb_radius
from understudy.geometry.vectors import smooth_step

__all__ = ["Atlas", "paint_atlas", "unwrap"]

ARMS = (PARTS.index("left_arm"), PARTS.index("right_arm"))
HEAD, TORSO, CAPE = PARTS.index("head"), PARTS.index("torso"), PARTS.index("cape")


@dataclass(frozen=True)
class Atlas:
    """Four panels of equal size: trunk, head and legs in front and behind (above); arms and cape likewise (below).

    Arms have panels of their own because they hide parts of the trunk, which hides parts of a cape.
    """

    texture: UInt8[np.ndarray, "height width 4"]
    cells: tuple[int, int]
    """Rows and columns of the grid that each panel covers."""


def paint_atlas(
    grid: FigureGrid,
    parts: LooseParts,
    rgb: UInt8[np.ndarray, "height width 3"],
    figure: Bool[np.ndarray, "height width"],
    largest_px: int,
) -> Atlas:
    """Front panels carry the picture, padded over its edges; back panels the picture without face and prints."""
    labels = parts.labels
    rows, columns = grid.distance.shape
    per_cell = float(min(grid.cell_px, largest_px / (2 * max(rows, columns))))
    size = (int(columns * per_cell), int(rows * per_cell))
    # Pixel centres: panel pixel p covers the picture around origin + (p + 0.5) · step.
    step = grid.cell_px * columns / size[0], grid.cell_px * rows / size[1]
    to_picture = np.array(
        [
            [step[0], 0, grid.origin_px[0] + 0.5 * step[0] - 0.5],
            [0, step[1], grid.origin_px[1] + 0.5 * step[1] - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sharp = cv2.GaussianBlur(rgb, (0, 0), 0.45 * step[0]) if step[0] > 1.3 else rgb
    picture = cv2.warpAffine(sharp, to_picture, size, flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    inside = cv2.warpAffine(figure.astype(np.float32), to_picture, size, flags=flags) > 0.5
    part = _labels_at(labels, size)
    margin = float(0.006 * grid.height * per_cell)
    picture = _calm_rim(picture, inside, margin)
    is_arm, is_cape = np.isin(part, ARMS), inside & (part == CAPE)
    shared = inside & ~is_cape & _shoulders(grid, labels, size, per_cell)
    is_body = ~is_arm & ~is_cape
    front_body = _pad(picture, inside & (is_body | shared), margin)
    front_arms = _pad(picture, inside & (~is_body | shared), margin)
    back_body = _back_of_body(grid, front_body, part, inside & is_body, per_cell)
    blend = cv2.GaussianBlur((shared & ~is_arm).astype(np.float32), (0, 0), per_cell)[..., None]
    back_arms = front_arms + blend * (back_body - front_arms)
    if is_cape.any():
        # Where trunk and legs hide it, a cape goes on.
        hidden = cv2.resize((parts.sheet & ~np.isin(labels, ARMS)).astype(np.float32), size)[..., None]
        cape = _pad(picture, is_cape, margin)
        front_arms, back_arms = (panel + hidden * (cape - panel) for panel in (front_arms, back_arms))
    top, bottom = np.hstack([front_body, back_body]), np.hstack([front_arms, back_arms])
    colour = np.clip(np.vstack([top, bottom]) + 0.5, 0, 255).astype(np.uint8)
    texture = np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])
    return Atlas(texture, (rows, columns))


def _shoulders(
    grid: FigureGrid, labels: Int[np.ndarray, "row column"], size: tuple[int, int], per_cell: float
) -> Bool[np.ndarray, "height width"]:
    """Where arm and trunk are one surface, so that both panels must show the same."""
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    near = np.zeros(size[::-1], bool)
    for side in ("left", "right"):
        middle = grid[f"{side}_shoulder"] * per_cell
        near |= np.hypot(x - middle[0], y - middle[1]) < 1.6 * limb_radius(grid, labels, f"{side}_arm") * per_cell
    return near


def _labels_at(labels: Int[np.ndarray, "row column"], size: tuple[int, int]) -> Int[np.ndarray, "height width"]:
    """The grid's parts at the panel's resolution, with smooth borders, carried on outside the figure."""
    nearest = ndimage.distance_transform_edt(labels < 0, return_distances=False, return_indices=True)
    full = labels[tuple(nearest)]
    best = np.zeros(size[::-1], np.float32)
    out = np.zeros(size[::-1], np.int64)
    for part in range(len(PARTS)):
        vote = cv2.resize(ndimage.gaussian_filter((full == part).astype(np.float32), 0.9), size)
        out = np.where(vote > best, part, out)
        best = np.maximum(best, vote)
    return out


def _pad(
    picture: Float[np.ndarray, "height width 3"], inside: Bool[np.ndarray, "height width"], margin: float
) -> Float[np.ndarray, "height width 3"]:
    """Everything outside takes the colour of the nearest pixel that lies `margin` inside, softened with distance.

    The outermost pixels are a mixture with the background and are replaced too.
    """
    if not inside.any():
        return picture
    depth = ndimage.distance_transform_edt(inside)
    core = depth > margin
    if not core.any():
        core = inside
    nearest = ndimage.distance_transform_edt(~core, return_distances=False, return_indices=True)
    padded = picture[tuple(nearest)]
    soft = cv2.GaussianBlur(padded, (0, 0), max(1.0, 1.5 * margin))
    away = np.clip((margin * 1.5 - depth) / (margin * 1.5 + 1e-6), 0, 1)[..., None].astype(np.float32)
    return np.where(core[..., None], picture, padded) * (1 - away) + soft * away


def _calm_rim(
    picture: Float[np.ndarray, "height width 3"], inside: Bool[np.ndarray, "height width"], margin: float
) -> Float[np.ndarray, "height width 3"]:
    """Blur along the silhouette: there a pixel is drawn out over the whole side, and its noise becomes stripes."""
    weight = inside.astype(np.float32)
    blurred = cv2.GaussianBlur(picture * weight[..., None], (0, 0), 2.2 * margin)
    blurred /= np.maximum(cv2.GaussianBlur(weight, (0, 0), 2.2 * margin), 1e-3)[..., None]
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    amount = 0.8 * np.clip(1.6 - depth / (1.7 * margin), 0, 1)
    return np.where(inside[..., None], picture + amount[..., None] * (blurred - picture), picture)


def _back_of_body(
    grid: FigureGrid,
    front: Float[np.ndarray, "height width 3"],
    part: Int[np.ndarray, "height width"],
    inside: Bool[np.ndarray, "height width"],
    per_cell: float,
) -> Float[np.ndarray, "height width 3"]:
    """Legs as in front; the trunk's back from its flanks; the back of the head from its sides without the face."""
    back = front.copy()
    lab = cv2.cvtColor((front / 255).astype(np.float32), cv2.COLOR_RGB2LAB)
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    for which in (TORSO, HEAD):
        own = (part == which) & inside
        if own.sum() < 100:
            continue
        if which == TORSO:
            colour, only_in_front = _from_flanks(front, own, per_cell), np.zeros_like(own)
        else:
            only_in_front = _face(grid, own, lab, per_cell)
            colour = _from_rim(front, own, own & ~only_in_front, per_cell)
        # At the silhouette both panels show the same pixels, so that no seam is seen from the side.
        band = (0.018 if which == TORSO else 0.008) * grid.height * per_cell
        within = np.clip(depth / band - 0.3, 0, 1)
        blurred = cv2.GaussianBlur((part == which).astype(np.float32), (0, 0), 0.8 * per_cell)
        amount = np.clip(blurred * 1.6 - 0.4, 0, 1) * within
        back = back + amount[..., None] * (colour + _detail(front, colour, only_in_front, per_cell) - back)
    return back


def _face(
    grid: FigureGrid, own: Bool[np.ndarray, "height width"], lab: Float[np.ndarray, "height width 3"], per_cell: float
) -> Bool[np.ndarray, "height width"]:
    """The face: what lies around its landmarks, and all of the head that has its colour; without landmarks, all of
    the head but its rim.
    """
    if grid.face is None:
        depth = cv2.distanceTransform(np.pad(own.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        return own & (depth > 0.3 * depth.max())
    face = grid.face * per_cell
    y, x = np.mgrid[: own.shape[0], : own.shape[1]]
    middle = face[[0, 2, 5, 9, 10]].mean(0)
    radius = max(
        2.0, 0.9 * float(np.linalg.norm(face[2] - face[5])), 1.2 * float(np.linalg.norm(face[0] - face[9:11].mean(0)))
    )
    away = np.hypot(x + 0.5 - middle[0], y + 0.5 - middle[1]) / radius
    core = own & (away < 1.0)
    if not core.any():
        return core
    skin = np.median(lab[core], 0)
    alike = np.linalg.norm((lab - skin) * np.array([0.4, 1.0, 1.0], np.float32), axis=-1) < 15
    # A hat may have the skin's colour, but hair lies between.
    pieces, _ = ndimage.label(own & (core | alike) & (away < 3.5))
    connected = np.isin(pieces, np.unique(pieces[core]))
    face_area = own & ((away < 1.3) | connected)
    # A mask, fur or a helmet has one colour all over: then only the middle is the face.
    return face_area if face_area.sum() < 0.75 * own.sum() else core


def _from_flanks(
    front: Float[np.ndarray, "height width 3"], own: Bool[np.ndarray, "height width"], per_cell: float
) -> Float[np.ndarray, "height width 3"]:
    """Each row's colours at its two flanks, carried across: clothes look the same there from behind, and prints and
    openings lie between.
    """
    height, width = own.shape
    rows = np.flatnonzero(own.any(1))
    ends, places = np.zeros((len(rows), 2, 3), np.float32), np.zeros((len(rows), 2), np.float32)
    for index, row in enumerate(rows):
        columns = np.flatnonzero(own[row])
        span = columns[-1] - columns[0]
        inset, reach = min(1.2 * per_cell, 0.15 * span), max(0.22 * span, 1.0)
        places[index] = columns[0], columns[-1]
        for side, depth in enumerate((columns - columns[0], columns[-1] - columns)):
            flank = columns[(depth >= inset) & (depth <= inset + reach)]
            ends[index, side] = np.median(front[row, flank if len(flank) else columns], 0)
    # Belts and hems stay, thin stripes (an arm's shadow, a strap's end) do not run across the back.
    ends = ndimage.median_filter(ends, (2 * int(3.0 * per_cell) + 1, 1, 1))
    ends = ndimage.gaussian_filter1d(ends, 0.8 * per_cell, axis=0)
    full = np.interp(np.arange(height), rows, np.arange(len(rows))).round().astype(int)
    left, right = places[full, :1], places[full, 1:]
    share = smooth_step((np.arange(width)[None] - left) / np.maximum(right - left, 1))[..., None].astype(np.float32)
    return ends[full, 0][:, None] * (1 - share) + ends[full, 1][:, None] * share


def _from_rim(
    front: Float[np.ndarray, "height width 3"],
    own: Bool[np.ndarray, "height width"],
    known: Bool[np.ndarray, "height width"],
    per_cell: float,
) -> Float[np.ndarray, "height width 3"]:
    """The colours of a head's rim where it is not face, carried inwards by Laplace's equation."""
    step = max(1, round(per_cell))
    size = (max(2, front.shape[1] // step), max(2, front.shape[0] // step))
    small = cv2.resize(front.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    own = cv2.resize(own.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    known = cv2.resize(known.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    depth = ndimage.distance_transform_edt(np.pad(own, 1))[1:-1, 1:-1]
    rim = known & (depth > 1.0) & (depth < max(3.0, 0.3 * float(depth.max())))
    if not rim.any():
        rim = own
    nearest = ndimage.distance_transform_edt(~rim, return_distances=False, return_indices=True)
    filled = small[tuple(nearest)]
    # Jacobi sweeps over the unknown cells, coarse steps first, converge well enough for a soft fill.
    unknown = own & ~rim
    weight = own.astype(np.float32)[..., None]
    for sigma in (8.0, 8.0, 6.0, 6.0, 4.0, 4.0, 3.0, 3.0, 2.0, 2.0, 1.5, 1.5):
        blurred = cv2.GaussianBlur(filled * weight, (0, 0), sigma)
        blurred /= np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3)[..., None]
        filled = np.where(unknown[..., None], blurred, filled)
    filled = cv2.GaussianBlur(filled, (0, 0), 1.2)
    return cv2.resize(filled, front.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _detail(
    front: Float[np.ndarray, "height width 3"],
    base: Float[np.ndarray, "height width 3"],
    only_in_front: Bool[np.ndarray, "height width"],
    per_cell: float,
) -> Float[np.ndarray, "height width 3"]:
    """Folds and weave of the front where it has the back's colour; prints, features and what is near them are left
    out.
    """
    smooth = cv2.GaussianBlur(front, (0, 0), 2.5 * per_cell)
    fine = np.clip(front - smooth, -18, 18)
    differs = np.linalg.norm(cv2.GaussianBlur(front, (0, 0), 0.7 * per_cell) - base, axis=-1) > 60
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(2.5 * per_cell) + 1,) * 2)
    apart = cv2.dilate((differs | only_in_front).astype(np.uint8), disc)
    alike = 1 - cv2.GaussianBlur(apart.astype(np.float32), (0, 0), 1.5 * per_cell)[..., None]
    return 0.9 * fine * alike


def unwrap(
    vertices: Float[np.ndarray, "vertex 3"],
    faces: Int[np.ndarray, "face 3"],
    part_at: Int[np.ndarray, " vertex"],
    atlas: Atlas,
) -> tuple[Int[np.ndarray, " corner"], Int[np.ndarray, "face 3"], Float[np.ndarray, "corner 2"]]:
    """Split vertices where panels meet: for each new vertex the old one, faces over new ones, and uv."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    behind = np.cross(b - a, c - a)[:, 2] < 0
    behind = _majority(behind, faces, len(vertices))
    arm = np.isin(part_at[faces], (*ARMS, CAPE)).sum(1) >= 2
    panel = behind + 2 * arm
    key = faces * 4 + panel[:, None]
    unique, new = np.unique(key, return_inverse=True)
    old, panel = unique // 4, unique % 4
    rows, columns = atlas.cells
    u = (vertices[old, 0] / columns + panel % 2) / 2
    v = (-vertices[old, 1] / rows + panel // 2) / 2
    return old, new.reshape(faces.shape), np.stack([u, v], -1)


def _majority(
    flag: Bool[np.ndarray, " face"], faces: Int[np.ndarray, "face 3"], count: int
) -> Bool[np.ndarray, " face"]:
    """Each face's side by vote of those around it, so that the seam does not zigzag."""
    value = flag.astype(float)
    for _ in range(3):
        total = np.zeros(count)
        number = np.zeros(count)
        for i in range(3):
            total += np.bincount(faces[:, i], value, count)
            number += np.bincount(faces[:, i], minlength=count)
        value = (total / np.maximum(number, 1))[faces].mean(1)
    return value > 0.5
