"""Pictures of a character from free views: from where each was seen, and what it says of depth and colours."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float

from understudy.characters.mesh.registering import (
    Likeness,
    Shown,
    SurfacePoints,
    likeness,
    picture_at_size,
    sample_surface,
)
from understudy.characters.sheet.depth import COLUMNS, LEVELS, REACH, Outline, deepened
from understudy.characters.sheet.painting import Photograph, painted
from understudy.characters.sheet.sheet import SheetPicture
from understudy.core.character import Character
from understudy.geometry.rotations import matrix_from_vector

__all__ = ["FreeView", "SeenFrom", "with_views"]

STEP_RAD = np.radians(15.0)
FINE_RAD = np.radians(np.arange(-15.0, 16.0, 5.0))
ROUNDS = 2
"""A body of the right depth shows better from where it was seen, and from there how deep it is."""
MIN_OVERLAP = 0.7
"""Silhouettes of one figure in one pose overlap more, once the body has their depth."""
MIN_FACING = 0.4
"""The cosine with which a surface must face a camera to be painted from its picture."""
ASIDE = np.sin(np.radians(30.0))
"""A view from further aside than this shows one side of the figure, and by symmetry the other."""
MIRRORED = 0.99 * MIN_FACING
"""The weight of a mirror image: any picture of the place itself counts more."""
SEEN = 0.3
"""The cosine with which a surface must look ahead for its colours to be those of the front picture."""


@dataclass(frozen=True)
class FreeView:
    """A picture of the figure from anywhere about level with it."""

    name: str
    picture: SheetPicture
    azimuth_rad: float | None = None
    """From where it is seen, where that is known: 0 is from the front, a quarter turn from the figure's left."""


@dataclass(frozen=True)
class SeenFrom:
    """Where a view was seen from, and how well it fits."""

    view: FreeView
    azimuth_rad: float
    overlap: float
    """Intersection over union of the silhouettes, 0 … 1."""
    shift: float
    """How far to the right of the mesh's middle the picture's middle lies, in heights of the figure."""

    @property
    def fits(self) -> bool:
        """Whether the picture shows this figure in this pose."""
        return self.overlap >= MIN_OVERLAP

    @property
    def sentence(self) -> str:
        """What became of it, for the user."""
        degrees = round(np.degrees(self.azimuth_rad)) % 360
        if not self.fits:
            return (
                f"{self.view.name} is left out: from no side the character has its outline (overlap {self.overlap:.2f},"
                f" from {degrees}°): give the same pose, or say from where it is seen (NAME:DEGREES)"
            )
        how = "found" if self.view.azimuth_rad is None else "told"
        return f"{self.view.name} shows the character from {degrees}° ({how}; overlap {self.overlap:.2f})"


def with_views(character: Character, views: list[FreeView]) -> tuple[Character, tuple[SeenFrom, ...]]:
    """The character with the depth and the colours that pictures from free views show, and from where each was seen.

    All show the pose of the character, the whole figure, about level with it. Where the user has not said so, each is
    compared with the character from all sides. Those that fit from none change nothing.
    """
    pictures = [picture_at_size(view.picture.rgb, view.picture.mask) for view in views]
    seen = list[SeenFrom]()
    for round_number in range(ROUNDS + 1):
        surface = sample_surface(character.mesh)
        surface = replace(surface, known=surface.normals[:, 2] > SEEN)
        earlier = [None if not seen else seen[place].azimuth_rad for place in range(len(views))]
        seen = [_seen_from(surface, *one) for one in zip(views, pictures, earlier, strict=True)]
        of_use = [one for one in seen if one.fits or (round_number == 0 and one.view.azimuth_rad is not None)]
        if round_number < ROUNDS and of_use:
            character = deepened(character, [_outline(character, one) for one in of_use])
    photographs = [photograph for one in seen if one.fits for photograph in _photographs(one)]
    return (painted(character, photographs) if photographs else character), tuple(seen)


def _seen_from(surface: SurfacePoints, view: FreeView, picture: Shown, earlier: float | None) -> SeenFrom:
    """From where the surface looks most like a picture: as told, else about where it did before, else anywhere."""

    def like(azimuth: float) -> Likeness:
        return likeness(surface, picture, matrix_from_vector(np.array([0.0, -azimuth, 0.0])))

    azimuth = view.azimuth_rad
    if azimuth is None:
        near = earlier
        if near is None:
            near = max(np.arange(0.0, 2 * np.pi, STEP_RAD), key=lambda at: like(float(at)).value)
        azimuth = float(max(near + FINE_RAD, key=lambda at: like(float(at)).value))
    found = like(azimuth)
    return SeenFrom(view, azimuth, found.overlap, found.shift)


def _photographs(seen: SeenFrom) -> list[Photograph]:
    """What a view paints: what it shows, and, of one from aside, its mirror image where no picture shows more."""
    rgb, mask, azimuth = seen.view.picture.rgb, seen.view.picture.mask, seen.azimuth_rad
    own = Photograph(rgb, mask, _right(azimuth), MIN_FACING, beside_front=True)
    if abs(np.sin(azimuth)) < ASIDE:
        return [own]
    rgb, mask = (np.ascontiguousarray(pixels[:, ::-1]) for pixels in (rgb, mask))
    return [own, Photograph(rgb, mask, _right(-azimuth), MIN_FACING, beside_front=True, weight=MIRRORED)]


def _right(azimuth: float) -> Float[np.ndarray, "3"]:
    return np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])


def _outline(character: Character, seen: SeenFrom) -> Outline:
    """The silhouette of a view where the character stands."""
    right, height, mask = _right(seen.azimuth_rad), character.height_m, seen.view.picture.mask
    across = character.mesh.vertices @ right
    middle = 0.5 * (across.min() + across.max()) - seen.shift * height
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    per_px = height / (rows[-1] + 1 - rows[0])
    # Of our pixels, whose first centre is at 0 for OpenCV, to the picture's.
    x = ((np.arange(COLUMNS) + 0.5) / COLUMNS - 0.5) * REACH * height
    x = (x - middle) / per_px + 0.5 * (columns[0] + columns[-1] + 1) - 0.5
    y = rows[-1] + 0.5 - (np.arange(LEVELS) + 0.5) / LEVELS * (rows[-1] + 1 - rows[0])
    map_x, map_y = (np.broadcast_to(values, (LEVELS, COLUMNS)).astype(np.float32) for values in (x, y[:, None]))
    found: Bool[np.ndarray, "level column"] = cv2.remap(mask.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR) > 0.5
    return Outline(right, found)
