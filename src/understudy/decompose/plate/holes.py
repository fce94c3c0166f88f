"""The holes of a shot, read from its masks, and the count of what fills them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import starmap, tee
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.camera import CameraMoveKind
from understudy.core.footage import Shot
from understudy.decompose.plate.blend import BlendConfig, Box, Counted, hole_of, match_tone, what_moved
from understudy.decompose.plate.moving_things import MovedRegions
from understudy.decompose.plate.shadow import Comparison, relit
from understudy.io.video.streams import read_frames, read_video

__all__ = [
    "HoleTally",
    "Holes",
    "PlateReport",
    "compare",
    "foot_row",
    "grown_by_what_moved",
    "holes_of",
    "holes_with_moved",
    "in_light",
    "read_holes",
    "read_masks",
    "read_twice",
    "reduced",
]  # fmt: skip

_BYTES_PER_PIXEL = 3.5
"""Of a frame and its holes."""
_MAX_KEPT_BYTES = 500_000_000
"""For frames that are kept for a second reader: 96 of 1280×720 fit, or 32 of 2560×1440."""


@dataclass(frozen=True)
class PlateReport:
    """How well a clean plate went."""

    move: CameraMoveKind
    hole_share: float
    """Mean share of the picture that was filled."""
    seen_share: float
    """Share of the filled pixels that other frames saw."""
    made_up_share: float
    """Share of the filled pixels that no frame saw."""
    mismatch_levels: float
    """Median difference between fill and frame just around the hole, in 8-bit levels, before the tone is bent."""


@dataclass
class HoleTally:
    """Sums over the frames of a shot."""

    pixels: int = 0
    hole: int = 0
    seen: int = 0
    mismatches: list[float] = field(default_factory=list)

    def add(self, frame: Counted) -> None:
        """Take a frame into account."""
        self.pixels, self.hole, self.seen = (
            mine + its for mine, its in zip((self.pixels, self.hole, self.seen), frame[:3], strict=True)
        )
        if frame.mismatch is not None:
            self.mismatches.append(frame.mismatch)

    def report(self, move: CameraMoveKind) -> PlateReport:
        """What the sums say."""
        seen = self.seen / self.hole if self.hole else 1.0
        mismatch = float(np.median(self.mismatches)) if self.mismatches else 0.0
        return PlateReport(move, self.hole / max(self.pixels, 1), seen, 1.0 - seen, mismatch)


def read_masks(
    masks: Sequence[Path], frames: Sequence[int] | None = None
) -> Iterator[tuple[UInt8[np.ndarray, "height width"], ...]]:
    """For each frame (or those numbered, rising), the actor's mask and those of other people."""
    return zip(*(read_video(path, frames) for path in masks), strict=True)


class Holes(NamedTuple):
    """Who is where in a frame."""

    hole: Bool[np.ndarray, "height width"]
    """The actor's mask, grown."""
    others: Bool[np.ndarray, "height width"]
    """Other people, outside the hole."""
    person: Bool[np.ndarray, "height width"]
    """The actor's mask."""
    core: Bool[np.ndarray, "height width"]
    """Where the actor covers more than half."""


def read_holes(masks: Sequence[Path], config: BlendConfig, frames: Sequence[int] | None = None) -> Iterator[Holes]:
    """For each frame, or those numbered (rising), the holes of its masks: the actor's is the first."""
    for frame in read_masks(masks, frames):
        yield holes_of(frame, config)


def read_twice(
    shot: Shot, masks: Sequence[Path], config: BlendConfig, lead: int
) -> tuple[Iterator[tuple[UInt8[np.ndarray, "height width 3"], Holes]], ...]:
    """The frames of a shot and their holes, for two readers of whom one is up to `lead` frames ahead of the other.

    What the first one has read is kept for the second; of large pictures that takes too much memory, and both read.
    """

    def read() -> Iterator[tuple[UInt8[np.ndarray, "height width 3"], list[UInt8[np.ndarray, " byte"]]]]:
        for frame, holes in zip(read_frames(shot), read_holes(masks, config), strict=True):
            yield frame, [np.packbits(mask) for mask in holes]

    def unpacked(
        frame: UInt8[np.ndarray, "height width 3"], packed: list[UInt8[np.ndarray, " byte"]]
    ) -> tuple[UInt8[np.ndarray, "height width 3"], Holes]:
        shape = frame.shape[:2]
        return frame, Holes(*(np.unpackbits(m, count=shape[0] * shape[1]).view(bool).reshape(shape) for m in packed))

    kept = lead * shot.width * shot.height * _BYTES_PER_PIXEL
    readers = tee(read()) if kept <= _MAX_KEPT_BYTES else (read(), read())
    return tuple(starmap(unpacked, reader) for reader in readers)


def holes_of(masks: Sequence[UInt8[np.ndarray, "height width"]], config: BlendConfig) -> Holes:
    """The actor's hole, of the first mask, and where other people are outside it."""
    actor, *rest = masks
    hole = hole_of(actor, config)
    others = np.zeros_like(hole)
    for mask in rest:
        others |= mask >= config.mask_threshold
    if others.any():
        others = cv2.dilate(others.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool) & ~hole
    return Holes(hole, others, actor >= config.mask_threshold, actor >= 128)


def reduced(picture: np.ndarray, scale: int) -> np.ndarray:
    """A picture at 1/scale by block means; sides are rounded up, the rim repeated."""
    height, width = picture.shape[:2]
    rows, columns = -(-height // scale), -(-width // scale)
    padding = (0, rows * scale - height, 0, columns * scale - width)
    padded = cv2.copyMakeBorder(picture, *padding, cv2.BORDER_REPLICATE) if any(padding) else picture
    return cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA)


def foot_row(hole: Bool[np.ndarray, "rows columns"]) -> int:
    """From which row on a person's hole stands before the ground, and shadows lie there; 0 without a hole."""
    rows = np.flatnonzero(hole.any(1))
    return int(rows[0]) + round(0.6 * (int(rows[-1]) + 1 - int(rows[0]))) if len(rows) else 0


def grown_by_what_moved(
    small: Float[np.ndarray, "rows columns 3"],
    small_clean: Float[np.ndarray, "rows columns 3"],
    hole: Bool[np.ndarray, "height width"],
    others: Bool[np.ndarray, "height width"],
    sure: Bool[np.ndarray, "rows columns"],
    config: BlendConfig,
    below: bool = False,
) -> Bool[np.ndarray, "height width"]:
    """A full-size hole grown by the shadow, the racket … that go with it, found on pictures at reduced size.

    `sure` says where the clean picture is known. `below`: only around the feet, for a travelling camera, whose clean
    picture is not as sharp as to tell a lamp from a racket.
    """
    height, width = hole.shape
    scale = -(-height // small.shape[0])
    small_hole = reduced(hole.astype(np.float32), scale) > 0
    free = sure & ~(reduced(others.astype(np.float32), scale) > 0)
    gain, offset = match_tone(small_clean, small, free & ~small_hole)
    clean = small_clean * gain.astype(np.float32) + offset.astype(np.float32)
    if below:
        free[: foot_row(small_hole)] = False
    moved = what_moved(small, clean, small_hole, free, config) & ~small_hole
    if not moved.any():
        return hole
    grown = cv2.dilate(moved.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    rows, columns = grown.shape
    full = cv2.resize(grown, (columns * scale, rows * scale), interpolation=cv2.INTER_LINEAR)[:height, :width]
    return hole | ((full > 0.5) & ~others)


def compare(
    small: Float[np.ndarray, "rows columns 3"],
    clean: Float[np.ndarray, "rows columns 3"],
    known: Bool[np.ndarray, "rows columns"],
    holes: Holes,
    scale: int,
) -> Comparison:
    """A frame compared with the clean set, which is brought to the frame's tone, both at 1/scale.

    `known` says where the clean set is known.
    """
    hole, others, person = (reduced(mask.astype(np.float32), scale) for mask in holes[:3])
    hole, others = hole > 0, others > 0
    gain, offset = match_tone(clean, small, known & ~others & ~hole)
    clean = clean * gain.astype(np.float32) + offset.astype(np.float32)
    small, clean = cv2.GaussianBlur(small, (0, 0), 0.8), cv2.GaussianBlur(clean, (0, 0), 0.8)
    return Comparison(small, clean, known & ~others, person > 0.5, hole)


def in_light(
    fill: Float[np.ndarray, "height width 3"], moved: MovedRegions, box: Box, scale: int
) -> Float[np.ndarray, "height width 3"]:
    """The fill of a box in the light that lies on the frame."""
    if moved.light is None:
        return fill
    x = (np.arange(box.left, box.right, dtype=np.float32) + 0.5) / scale - 0.5
    y = (np.arange(box.top, box.bottom, dtype=np.float32) + 0.5) / scale - 0.5
    light = cv2.remap(moved.light, *np.meshgrid(x, y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return relit(fill, light)


def holes_with_moved(holes: Holes, moved: MovedRegions, scale: int) -> Holes:
    """The holes of a frame, the actor's grown by what goes along; things that stay are others."""
    height, width = holes.hole.shape

    def full_size(mask: Bool[np.ndarray, "rows columns"], grown: bool = True) -> Bool[np.ndarray, "height width"]:
        wide = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) if grown else mask
        size = (mask.shape[1] * scale, mask.shape[0] * scale)
        return cv2.resize(wide.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)[:height, :width] > 0.5

    hole, others = holes.hole, holes.others
    if moved.things.any():
        stays = full_size(moved.things) & ~holes.core
        if moved.taken.any():
            stays &= ~full_size(moved.taken, grown=False)
        hole, others = hole & ~stays, others | stays
    if moved.taken.any():
        hole = hole | (full_size(moved.taken) & ~others)
    return Holes(hole, others, holes.person, holes.core)
