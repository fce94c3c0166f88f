"""Contact sheets of characters."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from benchmarks.characters.measures import AZIMUTHS_DEG, Seen
from benchmarks.characters.moving import POSES, performed
from benchmarks.characters.studio import at_rest, on_ground
from benchmarks.characters.views import View
from understudy.core.character import Character
from understudy.io.pictures.files import read_picture

__all__ = ["character_sheet", "comparison_sheet"]

Picture = UInt8[np.ndarray, "height width 3"]
SIDES_DEG = (0.0, 45.0, 90.0, 180.0)
_TILE = (420, 480)


def character_sheet(character: Character, picture: Path, data: Path) -> Picture:
    """Above: the picture; front, three-quarter, side and back at rest. Below: five poses."""
    rest = at_rest(character)
    above = on_ground(character, [(rest, 0)] * len(SIDES_DEG), np.radians(SIDES_DEG).tolist(), _TILE)
    moments = []
    for name, share in POSES:
        motion = performed(character, name, data)
        moments.append((motion, round(share * (len(motion) - 1))))
    below = on_ground(character, moments, np.radians([0.0, 0.0, 35.0, -35.0, 35.0]).tolist(), _TILE)
    return np.vstack([np.hstack([_fitted(picture), *above]), np.hstack(below)])


def comparison_sheet(seen: Seen) -> Picture:
    """Albedo from the front, three-quarter, the side and behind: the truth above, the guess below."""
    index = [int(np.flatnonzero(azimuth == AZIMUTHS_DEG)[0]) for azimuth in SIDES_DEG]
    return np.vstack([_row([views[i] for i in index]) for views in (seen.truth_views, seen.guess_views)])


def _row(views: Sequence[View]) -> Picture:
    return np.hstack([np.where(view.mask[..., None], view.rgb, np.uint8(150)) for view in views])


def _fitted(path: Path) -> Picture:
    """A picture on grey, as large as a tile."""
    rgba = read_picture(path)
    alpha = rgba[..., 3:] / 255
    rgb = (rgba[..., :3] * alpha + 150 * (1 - alpha)).astype(np.uint8)
    scale = min(_TILE[0] / rgb.shape[1], _TILE[1] / rgb.shape[0])
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tile = np.full((_TILE[1], _TILE[0], 3), 150, np.uint8)
    top, left = (_TILE[1] - small.shape[0]) // 2, (_TILE[0] - small.shape[1]) // 2
    tile[top : top + small.shape[0], left : left + small.shape[1]] = small
    return tile
