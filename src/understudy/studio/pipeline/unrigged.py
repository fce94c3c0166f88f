"""Meshes without a skeleton: photographed from the front, and rigged by the joints that are found in that picture."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from understudy.characters.mesh.character import character_from_mesh
from understudy.characters.picture.figure import FigureInPicture
from understudy.core.camera import CameraPath
from understudy.core.character import Character, Mesh
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.motion import Motion, Skeleton
from understudy.geometry.projection import intrinsics
from understudy.imaging.colour import srgb_from_linear
from understudy.io.gltf.document import open_gltf
from understudy.io.meshes import read_mesh
from understudy.io.pictures.files import write_png
from understudy.io.temporary import temporary_folder
from understudy.render.renderers import RENDERERS

__all__ = ["character_of_unrigged", "has_skin"]

SIZE_PX = 900
"""Side of the picture in which the figure is looked for."""
LENS = 6.0
"""How many of its largest sides the camera is away from the figure: so far that perspective hardly counts."""
MARGIN = 1.15
"""Side of the picture in largest sides of the figure."""
USUAL_HEIGHT_M = 1.75
STUDIO = Light(np.array([0.3, 0.5, 0.81]), np.full(3, 0.6), np.full(3, 0.5), np.full(3, 0.4))
"""From the front and above: a surface that faces the camera gets 0.94 of full light."""


def has_skin(path: Path) -> bool:
    """Whether a glTF file shows a mesh that hangs on joints.

    Raises:
        CharacterError: it is no glTF file.
    """
    return any(node.skin is not None for node in open_gltf(path).json.nodes)


def character_of_unrigged(
    path: Path, height_m: float | None, find: Callable[[Path], FigureInPicture]
) -> tuple[Character, tuple[str, ...]]:
    """A character of a glTF file whose mesh hangs on no joints, facing +Z, and remarks; `find` sees a picture's figure.

    Raises:
        CharacterError: the file cannot be read, or no figure on two legs is seen.
    """
    mesh = read_mesh(path)
    with temporary_folder("mesh") as folder:
        picture = folder / path.with_suffix(".png").name
        write_png(picture, front_view(mesh))
        made = character_from_mesh(mesh, find(picture), height_m or USUAL_HEIGHT_M, path.stem)
    return made.character, (f"{path.name} has no skeleton: it was rigged by its look from the front", *made.remarks)


def front_view(mesh: Mesh) -> np.ndarray:
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
