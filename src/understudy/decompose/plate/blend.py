"""One frame of a clean plate: where the hole is, and how a fill is made to belong to the frame."""

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from understudy.imaging.channels import channel_max, channel_mean, channel_range, median
from understudy.imaging.colour import LUMA
from understudy.imaging.grain import Grain, grain_field
from understudy.imaging.inpaint import spread_inwards
from understudy.runtime.checks import check_options

__all__ = [
    "RING_PX",
    "BlendConfig",
    "Box",
    "CleanFrame",
    "Counted",
    "Filling",
    "blend",
    "blended",
    "box_of",
    "hole_of",
    "luminance_of",
    "match_tone",
    "what_moved",
]

_MIN_SAMPLES, _MAX_SAMPLES = 50, 2500
"""Pixels of which a tone is measured: fewer tell nothing, more tell no more."""
RING_PX = 10
"""Around a hole, in which the tone of its fill is compared."""
_MISMATCH_STEP = 3
"""Of so many rows and columns one tells how well a fill meets its frame."""


@dataclass(frozen=True)
class BlendConfig:
    """How holes are cut and fills are fitted in."""

    mask_threshold: int = 40
    """Coverage (0 … 255) from which a pixel of a mask belongs to the person."""
    growth: float = 0.015
    """By how much a mask grows on all sides, as a share of the picture's height: rough masks miss hair and fingers."""
    growth_below: float = 0.012
    """By how much more it grows downwards, for the contact shadow."""
    feather_px: int = 4
    """Over how many pixels outside the hole the fill fades into the frame."""
    reach: float = 0.2
    """How far from the mask something that moved (hair, a scarf) may lie, as a share of the hole's larger side."""
    held_reach: float = 0.3
    """The same for what touches the actor and was never seen apart: a racket."""
    shadow_reach: float = 0.9
    """The same, in the keyframes of a travelling camera, for what looks like a shadow: darker, of the same colour."""
    near_shadow: float = 0.35
    """The same for a travelling camera, where only the surroundings of the hole are looked at."""
    moved_levels: float = 16.0
    """By how many 8-bit levels a place must differ from the clean set to count as moved."""
    tone_levels: float = 14.0
    """Most that a fill's tone may be bent locally to meet the frame around it, in 8-bit levels."""

    def __post_init__(self) -> None:
        check_options(
            self,
            mask_threshold=(1, 255),
            growth=(0, 1),
            growth_below=(0, 1),
            feather_px=(0, 1000),
            reach=(0, 10),
            held_reach=(0, 10),
            shadow_reach=(0, 10),
            near_shadow=(0, 10),
            moved_levels=(0, 255),
            tone_levels=(0, 255),
        )


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows top … bottom − 1, columns left … right − 1."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """To index a picture with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def placed_in(self, outer: "Box") -> "Box":
        """This box, if it is counted from another one's corner, counted from the picture's."""
        return Box(self.top + outer.top, self.bottom + outer.top, self.left + outer.left, self.right + outer.left)

    def seen_from(self, outer: "Box") -> "Box":
        """This box, counted from another one's corner."""
        return Box(self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left)


class CleanFrame(NamedTuple):
    """A frame, or a box of it, without the actor."""

    picture: UInt8[np.ndarray, "height width 3"]
    removed: UInt8[np.ndarray, "height width"]
    """The fill's share of each pixel: 0, the source's own to the bit, to 255, wholly the fill."""


@dataclass(frozen=True)
class Filling:
    """A frame, and what goes into its hole."""

    frame: UInt8[np.ndarray, "height width 3"]
    box: Box | None = None
    """Around the hole; None without one. All that follows lies in it."""
    fill: Float32[np.ndarray, "rows columns 3"] = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))
    hole: Bool[np.ndarray, "rows columns"] = field(default_factory=lambda: np.zeros((0, 0), bool))
    others: Bool[np.ndarray, "rows columns"] = field(default_factory=lambda: np.zeros((0, 0), bool))
    """Other people."""
    seen: Bool[np.ndarray, "rows columns"] = field(default_factory=lambda: np.zeros((0, 0), bool))
    """Where other frames saw what the fill shows."""
    around: Bool[np.ndarray, "rows columns"] = field(default_factory=lambda: np.zeros((0, 0), bool))
    """Where fill and frame should be the same."""

    @property
    def surroundings(self) -> Float32[np.ndarray, "rows columns 3"]:
        """The frame as it was filmed, in the box."""
        assert self.box is not None
        return self.frame[self.box.slices].astype(np.float32)


class Counted(NamedTuple):
    """Figures of one frame's fill, in pixels; the mismatch in 8-bit levels, None where nothing tells."""

    pixels: int
    hole: int = 0
    seen: int = 0
    mismatch: float | None = None


def box_of(hole: Bool[np.ndarray, "height width"], margin: int) -> Box | None:
    """The hole's bounding box with a margin, inside the picture; None without a hole."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    if len(rows) == 0:
        return None
    height, width = hole.shape
    return Box(
        max(int(rows[0]) - margin, 0),
        min(int(rows[-1]) + 1 + margin, height),
        max(int(columns[0]) - margin, 0),
        min(int(columns[-1]) + 1 + margin, width),
    )


def hole_of(mask: UInt8[np.ndarray, "height width"], config: BlendConfig) -> Bool[np.ndarray, "height width"]:
    """A rough mask, grown on all sides and more so downwards."""
    grow = max(2, round(config.growth * mask.shape[0]))
    below = round(config.growth_below * mask.shape[0])
    hole = np.zeros(mask.shape, bool)
    person = mask >= config.mask_threshold
    box = box_of(person, grow + below + 1)
    if box is None:
        return hole
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grow + 1, 2 * grow + 1))
    grown = cv2.dilate(person[box.slices].astype(np.uint8), kernel)
    if below:
        # The origin at the element's bottom: a pixel is hit when there is person up to `below` rows above it.
        grown = cv2.dilate(grown, np.ones((below + 1, 1), np.uint8), anchor=(0, below))
    hole[box.slices] = grown.astype(bool)
    return hole


def luminance_of(picture: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width"]:
    """Rec. 709 luma of an RGB picture, in the picture's own scale."""
    return cv2.transform(picture, LUMA[None])


def match_tone(
    fill: Float[np.ndarray, "height width 3"],
    frame: Float[np.ndarray, "height width 3"],
    known: Bool[np.ndarray, "height width"],
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
    """Gain and offset per channel that bring the fill to the frame where both are known; robust to what moved."""
    rows, columns = np.nonzero(known)
    if len(rows) < _MIN_SAMPLES:
        return np.ones(3), np.zeros(3)
    step = -(-len(rows) // _MAX_SAMPLES)
    # Channels first: sums over three neighbours in memory are slow.
    a = np.ascontiguousarray(fill[rows[::step], columns[::step]].T, np.float64)
    b = np.ascontiguousarray(frame[rows[::step], columns[::step]].T, np.float64)
    difference, squares, products = b - a, a * a, a * b
    gain, offset = np.ones(3), np.array([median(channel) for channel in difference])
    unclipped = np.maximum(a, b).max(0) < 250
    inlier = (np.abs(difference - offset[:, None]).max(0) < 24) & unclipped
    for _ in range(3):
        count = np.count_nonzero(inlier)
        if count < _MIN_SAMPLES:
            break
        counts = inlier / count
        x_mean, y_mean = a @ counts, b @ counts
        # A prior of gain one, as strong as a slight texture: a flat surround cannot tell gain from offset.
        gain = (products @ counts - x_mean * y_mean + 30.0) / (squares @ counts - x_mean * x_mean + 30.0)
        gain = np.clip(gain, 0.75, 1.33)
        offset = y_mean - gain * x_mean
        error = np.abs(b - gain[:, None] * a - offset[:, None]).max(0)
        inlier = (error < max(6.0, 2.5 * median(error))) & unclipped
    return gain, offset


def what_moved(
    frame: Float[np.ndarray, "height width 3"],
    clean: Float[np.ndarray, "height width 3"],
    hole: Bool[np.ndarray, "height width"],
    free: Bool[np.ndarray, "height width"],
    config: BlendConfig,
) -> Bool[np.ndarray, "height width"]:
    """The hole and what hangs on it and is not the clean set: cast shadow, reflection, racket, hair.

    Meant for pictures reduced to a quarter or so. Only `free` places can have moved: where the clean set is known, and
    no other person is.
    """
    frame, clean = cv2.GaussianBlur(frame, (0, 0), 0.8), cv2.GaussianBlur(clean, (0, 0), 0.8)
    differs = channel_max(cv2.absdiff(frame, clean)) > config.moved_levels
    shaded = in_shadow(frame, clean, config)
    side = max(np.ptp(np.flatnonzero(hole.any(1))), np.ptp(np.flatnonzero(hole.any(0))))
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 3)
    moved = (differs & (distance <= config.reach * side)) | (shaded & (distance <= config.shadow_reach * side))
    moved = cv2.morphologyEx((moved & free & ~hole).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    _, labels = cv2.connectedComponents(cv2.dilate(moved, np.ones((3, 3), np.uint8)) | hole.astype(np.uint8))
    attached = np.unique(labels[hole])
    return hole | (np.isin(labels, attached[attached > 0]) & free)


def in_shadow(
    frame: Float[np.ndarray, "height width 3"], clean: Float[np.ndarray, "height width 3"], config: BlendConfig
) -> Bool[np.ndarray, "height width"]:
    """Where a frame may show the clean set in shadow: darker, about the same share taken from all channels."""
    ratio = (frame + 6.0) / (clean + 6.0)
    mean = channel_mean(ratio)
    dark = (mean < 0.93) & (mean > 0.2) & (channel_range(ratio) < 0.22 * (1.3 - mean) + 0.05)
    return dark & (channel_max(cv2.absdiff(frame, clean)) > 0.5 * config.moved_levels)


def blended(time: int, filling: Filling, grain: Grain | None, config: BlendConfig) -> tuple[CleanFrame, Counted]:
    """A frame with its hole filled, as far as there is something to fill it with, and how well that went."""
    height, width, _ = filling.frame.shape
    done = CleanFrame(filling.frame.copy(), np.zeros((height, width), np.uint8))
    if filling.box is None or grain is None:
        return done, Counted(height * width)
    place, frame = filling.box.slices, filling.surroundings
    filled = blend(frame, filling.fill, filling.hole, filling.others, grain, time, config)
    done.picture[place], done.removed[place] = filled
    step = _MISMATCH_STEP
    off = np.abs(filling.fill[::step, ::step] - frame[::step, ::step])[filling.around[::step, ::step]]
    seen = int(np.count_nonzero(filling.hole & filling.seen))
    mismatch = float(np.median(off)) if off.size else None
    return done, Counted(height * width, int(np.count_nonzero(filling.hole)), seen, mismatch)


def blend(
    frame: Float[np.ndarray, "height width 3"],
    fill: Float[np.ndarray, "height width 3"],
    hole: Bool[np.ndarray, "height width"],
    others: Bool[np.ndarray, "height width"],
    grain: Grain,
    seed: int,
    config: BlendConfig,
) -> CleanFrame:
    """The frame with the hole filled: tone bent to meet the surroundings, fresh grain, feathered edge."""
    kernel = np.ones((2 * RING_PX + 1, 2 * RING_PX + 1), np.uint8)
    ring = cv2.dilate(hole.astype(np.uint8), kernel).astype(bool) & ~hole & ~others
    if ring.any():
        # At a quarter of the size: the bend is smooth, and grain must not pull at it.
        small = (max(1, frame.shape[1] // 4), max(1, frame.shape[0] // 4))
        weight = cv2.resize(ring.astype(np.float32), small, interpolation=cv2.INTER_AREA)
        residual = cv2.subtract(frame, fill, mask=ring.view(np.uint8))
        np.clip(residual, -config.tone_levels, config.tone_levels, out=residual)
        value = cv2.resize(residual, small, interpolation=cv2.INTER_AREA)
        value = cv2.GaussianBlur(value, (0, 0), 2.0)
        weight = cv2.GaussianBlur(weight, (0, 0), 2.0)
        bend = spread_inwards(value / np.maximum(weight, 1e-4)[..., None], weight > 0.05)
        fill = cv2.add(fill, cv2.resize(bend, (frame.shape[1], frame.shape[0]), interpolation=cv2.INTER_LINEAR))
    fill = cv2.add(fill, grain_field(grain, luminance_of(fill), seed))
    outside = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 3)
    share = np.maximum(1.0 - outside / np.float32(config.feather_px + 1), np.float32(0))
    share = share * ~others if others.any() else share
    mixed = cv2.multiply(cv2.subtract(fill, frame), cv2.merge([share] * 3))
    # OpenCV rounds, and keeps to 0 … 255.
    mixed = cv2.add(mixed, frame, dtype=cv2.CV_8U)
    # Rounded up: 0 says that the pixel is the source's own, to the bit.
    return CleanFrame(mixed, np.ceil(255 * share).astype(np.uint8))
