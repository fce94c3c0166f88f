"""Meshes without a skeleton: photographed from the front, and rigged by the joints that are found in that picture."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from understudy.characters.mesh.character import character_from_mesh
from understudy.characters.mesh.facing import likely_stances
from understudy.characters.mesh.registering import Registration, sample_surface
from understudy.characters.picture.figure import FigureInPicture
from understudy.characters.protocol import LandmarkDetector
from understudy.characters.rig.character import USUAL_HEIGHT_M
from understudy.core.camera import CameraPath
from understudy.core.character import Character, Mesh
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.footage import LANDMARKS
from understudy.core.motion import Motion, Skeleton
from understudy.geometry.projection import intrinsics
from understudy.imaging.colour import srgb_from_linear
from understudy.io.gltf.document import open_gltf
from understudy.io.meshes import PLAIN_SUFFIXES, files_of_mesh, read_mesh
from understudy.io.pictures.files import write_png
from understudy.io.temporary import temporary_folder
from understudy.render.renderers import RENDERERS
from understudy.runtime.errors import quoted

__all__ = ["character_of_unrigged", "has_skin"]

SIZE_PX = 900
"""Side of the picture in which the figure is looked for."""
LENS = 6.0
"""How many of its largest sides the camera is away from the figure: so far that perspective hardly counts."""
MARGIN = 1.15
"""Side of the picture in largest sides of the figure."""
BACKDROP = 200
LANDMARKS_WEIGHT = 0.5
"""Of what the landmark model sees, against feet that reach ahead: on faces without features it is often wrong."""
STUDIO = Light(np.array([0.3, 0.5, 0.81]), np.full(3, 0.6), np.full(3, 0.5), np.full(3, 0.4))
"""From the front and above: a surface that faces the camera gets 0.94 of full light."""


def has_skin(path: Path) -> bool:
    """Whether a file shows a mesh that hangs on joints; OBJ, PLY and STL never do.

    Raises:
        CharacterError: it should be a glTF file, and is none.
    """
    return path.suffix.lower() not in PLAIN_SUFFIXES and any(
        node.skin is not None for node in open_gltf(path).json.nodes
    )


def character_of_unrigged(
    path: Path, height_m: float | None, find: Callable[[Path], FigureInPicture], detect: LandmarkDetector
) -> tuple[Character, tuple[str, ...]]:
    """A character of a file whose mesh hangs on no joints, facing +Z, and remarks.

    `find` sees the figure of a picture of it from the front; `detect` helps to tell the front from the back.

    Raises:
        CharacterError: the file cannot be read, or no figure on two legs is seen.
    """
    mesh = read_mesh(path)
    R, seen = front_of(mesh, detect)
    mesh = replace(mesh, vertices=mesh.vertices @ R.T, normals=mesh.normals @ R.T)
    with temporary_folder("mesh") as folder:
        picture = folder / path.with_suffix(".png").name
        write_png(picture, seen)
        stands = Registration(np.eye(3), 1.0, 0.0)  # the picture shows the mesh as it stands
        made = character_from_mesh(mesh, find(picture), height_m or USUAL_HEIGHT_M, path.stem, stands)
    said = [f"{path.name} has no skeleton: it was rigged by its look from the front"]
    ahead, up = (_axis(R.T[:, axis]) for axis in (2, 1))
    if (ahead, up) != ("+Z", "+Y"):
        said.append(f"in its file {up} is up and {ahead} ahead, by its shape; turn it there if that is wrong")
    missing = files_of_mesh(path)[1]
    if missing:
        said.append(
            f"{quoted(', '.join(missing))[1:-1]}, which it names, is not in its folder: those colours are missing"
        )
    return made.character, (*said, *made.remarks)


def _axis(direction: Float[np.ndarray, "3"]) -> str:
    axis = int(np.abs(direction).argmax())
    return ("+" if direction[axis] > 0 else "−") + "XYZ"[axis]


def front_of(
    mesh: Mesh, detect: LandmarkDetector
) -> tuple[Float[np.ndarray, "3 3"], UInt8[np.ndarray, "height width 4"]]:
    """The turn after which the mesh stands on +Y and faces +Z, and how it looks from the front then.

    Shape says how it stands; front and back are looked at by the landmark model, too, which may see a person's left.
    """
    best = None
    for stance in likely_stances(sample_surface(mesh)):
        seen = front_view(replace(mesh, vertices=mesh.vertices @ stance.R.T, normals=mesh.normals @ stance.R.T))
        likeness = stance.likeness + LANDMARKS_WEIGHT * _seen_from_the_front(seen, detect)
        best = (likeness, stance.R, seen) if best is None or likeness > best[0] else best
    assert best is not None
    return best[1], best[2]


def _seen_from_the_front(picture: UInt8[np.ndarray, "height width 4"], detect: LandmarkDetector) -> float:
    """1 where the landmark model sees somebody's left at the right of a picture, −1 at its left, 0 where nobody."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    found = detect((picture[..., :3] * alpha + BACKDROP * (1 - alpha)).astype(np.uint8))
    if found is None:
        return 0.0
    at = dict(zip(LANDMARKS, found[0], strict=True))
    across = sum(at[f"left_{name}"][0] - at[f"right_{name}"][0] for name in ("shoulder", "hip"))
    trunk = 0.5 * sum(at[f"{side}_hip"] - at[f"{side}_shoulder"] for side in ("left", "right"))
    return float(np.clip(across / max(2 * np.linalg.norm(trunk), 1e-6), -1, 1))


def front_view(mesh: Mesh) -> UInt8[np.ndarray, "height width 4"]:
    """The mesh from the front, sRGB with straight alpha."""
    low, high = mesh.vertices.min(0), mesh.vertices.max(0)
    size, middle = float((high - low).max()), 0.5 * (low + high)
    still = Skeleton(("root",), (-1,), np.eye(4)[None])
    count = len(mesh.vertices)
    figure = Character("mesh", mesh, still, np.eye(4)[None], np.zeros((count, 1), int), np.ones((count, 1)))
    T = np.diag([1.0, -1.0, -1.0, 1.0])
    T[:3, 3] = middle + [0.0, 0.0, LENS * size]
    focal = SIZE_PX * LENS / MARGIN
    camera = CameraPath(T[None], intrinsics(focal, SIZE_PX, SIZE_PX)[None], SIZE_PX, SIZE_PX, Fraction(25))
    motion = Motion(still, np.array([[[1.0, 0.0, 0.0, 0.0]]]), np.zeros((1, 3)), Fraction(25))
    with RENDERERS["opengl"]().build() as renderer:
        seen = renderer(Take((Performance(figure, motion),), camera, STUDIO), 0)
    alpha = seen.alpha[..., None]
    colour = srgb_from_linear(np.clip(seen.colour / np.maximum(alpha, 1e-6), 0, 1))
    return np.round(255 * np.concatenate([colour, alpha], -1)).astype(np.uint8)
