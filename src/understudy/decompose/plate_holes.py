"""The holes of a shot, read from its masks, and the count of what fills them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool

from understudy.core.camera import CameraMoveKind
from understudy.decompose.plate_blend import BlendConfig, hole_of
from understudy.io.video import read_video

__all__ = ["HoleTally", "PlateReport", "read_holes"]


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
    seconds_per_frame: float


@dataclass
class HoleTally:
    """Sums over the frames of a shot."""

    pixels: int = 0
    hole: int = 0
    seen: int = 0
    mismatches: list[float] = field(default_factory=list)

    def report(self, move: CameraMoveKind, seconds_per_frame: float) -> PlateReport:
        """What the sums say."""
        seen = self.seen / self.hole if self.hole else 1.0
        mismatch = float(np.median(self.mismatches)) if self.mismatches else 0.0
        return PlateReport(move, self.hole / max(self.pixels, 1), seen, 1.0 - seen, mismatch, seconds_per_frame)


def read_holes(
    masks: Sequence[Path], config: BlendConfig
) -> Iterator[tuple[Bool[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]]:
    """For each frame, the actor's hole (of the first mask) and where other people are outside it."""
    for actor, *rest in zip(*(read_video(path) for path in masks), strict=True):
        hole = hole_of(actor, config)
        others = np.zeros_like(hole)
        for mask in rest:
            others |= mask >= config.mask_threshold
        if rest:
            others = cv2.dilate(others.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool) & ~hole
        yield hole, others
