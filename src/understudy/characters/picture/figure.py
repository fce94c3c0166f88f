"""The figure in a picture: which pixels it covers and where its joints are."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.characters.cutout.cutout import cut_out
from understudy.characters.picture.joint_network import joints_from_outline
from understudy.characters.picture.joints import FigureJoints, combined, find_joints, read_joints
from understudy.characters.picture.posture import check_placed, check_posture
from understudy.characters.protocol import Detection, LandmarkDetector
from understudy.io.pictures.files import read_picture
from understudy.runtime.errors import CharacterError

__all__ = ["FigureInPicture", "find_cutout", "find_figure"]

LARGEST_PX = 1600


@dataclass(frozen=True)
class FigureInPicture:
    """What is seen in a picture, at a size at which it is worked on."""

    rgb: UInt8[np.ndarray, "height width 3"]
    """sRGB; grey where the picture is transparent."""
    mask: Bool[np.ndarray, "height width"]
    joints: FigureJoints
    by_hand: bool
    """Whether the user has placed the joints."""
    scale: float
    """Pixels here for each of the picture's own."""
    picture_shape: tuple[int, int]
    """Height and width of the picture itself, in pixels."""

    @property
    def cutout(self) -> Bool[np.ndarray, "picture_height picture_width"]:
        """The mask at the picture's own size."""
        if self.mask.shape == self.picture_shape:
            return self.mask
        size = self.picture_shape[::-1]
        return cv2.resize(self.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0

    @property
    def points_px(self) -> Float[np.ndarray, "20 2"]:
        """Where each of `joints.POINTS` is, in the picture's own pixels."""
        return self.joints.points_px / self.scale


def find_figure(path: Path, detect: LandmarkDetector, joints: Path | None, cutout: Path | None) -> FigureInPicture:
    """The whole figure of a picture; `joints` and `cutout` are files with what the user has placed by hand.

    Raises:
        PictureError: the picture cannot be read.
        CharacterError: it shows no figure whose joints can be found, or a file by hand does not fit it.
    """
    placed = None if joints is None else read_joints(joints)
    rgb, figure, first, scale, shape = _cut_out(path, detect, cutout)
    if placed is not None:
        points = FigureJoints(placed.points_px * scale)
        check_placed(path.name, figure, points)
        return FigureInPicture(rgb, figure, points, True, scale, shape)
    found = find_joints(rgb, figure, detect, first)
    # Of legs that the picture cuts off the network knows nothing.
    is_whole = found is None or not found.sure or max(found["left_ankle"][1], found["right_ankle"][1]) < len(figure)
    outline = joints_from_outline(rgb, figure) if is_whole else None
    if outline is not None:
        found = outline if found is None else combined(found, outline)
    check_posture(path.name, figure, first, found)
    assert found is not None  # check_posture refuses figures without
    return FigureInPicture(rgb, figure, found, False, scale, shape)


def find_cutout(
    path: Path, detect: LandmarkDetector
) -> tuple[UInt8[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
    """The figure of a picture, from whichever side it is seen: colours, and which pixels it covers.

    Raises:
        PictureError: the picture cannot be read.
        CharacterError: nothing stands out from its background.
    """
    rgb, mask, _, _, _ = _cut_out(path, detect, None)
    return rgb, mask


def _cut_out(
    path: Path, detect: LandmarkDetector, cutout: Path | None
) -> tuple[np.ndarray, np.ndarray, Detection | None, float, tuple[int, int]]:
    """Colours and mask at a size at which they are worked on, what the landmark model sees, the scale, and the
    picture's own height and width."""
    picture = read_picture(path)
    shape = picture.shape[:2]
    mask = None if cutout is None else _read_mask(cutout, shape)
    picture, mask, scale = _at_most(picture, mask, LARGEST_PX)
    rgb = _over_grey(picture)
    first = detect(rgb)
    return rgb, cut_out(picture, first, mask), first, scale, shape


def _read_mask(path: Path, shape: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    mask = read_picture(path)
    if mask.shape[:2] != shape:
        raise CharacterError(
            f"the mask {path} has {mask.shape[1]}×{mask.shape[0]} pixels; "
            f"expected {shape[1]}×{shape[0]} like the picture"
        )
    grey = mask[..., :3].max(-1)
    return (grey >= 128) & (mask[..., 3] >= 128)


def _at_most(
    picture: UInt8[np.ndarray, "height width 4"], mask: Bool[np.ndarray, "height width"] | None, largest: int
) -> tuple[UInt8[np.ndarray, "h w 4"], Bool[np.ndarray, "h w"] | None, float]:
    """Shrink a large picture, whose detail no texture would hold; the third value is the factor."""
    scale = min(1.0, largest / max(picture.shape[:2]))
    if scale == 1.0:
        return picture, mask, 1.0
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return small, None if mask is None else cv2.resize(mask.astype(np.uint8), size) > 0, scale


def _over_grey(picture: UInt8[np.ndarray, "height width 4"]) -> UInt8[np.ndarray, "height width 3"]:
    alpha = picture[..., 3:].astype(np.float32) / 255
    return (picture[..., :3] * alpha + 200 * (1 - alpha)).astype(np.uint8)
