"""The clean plate of a camera that travels.

Every few frames an *anchor* is cleaned with care (see `plate_anchor`). The frames between two anchors take their fill
from both, carried along the depth and cross-faded: stable in time by construction.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.footage import CameraSolution, Shot
from understudy.core.grain import Grain, estimate_grain, flat_areas
from understudy.core.progress import Progress
from understudy.decompose.infill import InfillConfig
from understudy.decompose.plate_anchor import Anchor, AnchorMaker, ParallaxConfig
from understudy.decompose.plate_blend import BlendConfig, Box, CleanFrame, blend, box_of, luminance_of
from understudy.decompose.plate_depth import carry_inverse_depth, look_into
from understudy.decompose.plate_fit import Fit, fit, full_size
from understudy.decompose.plate_holes import HoleTally, grown_by_what_moved, read_holes, reduced
from understudy.io.video import read_frames

__all__ = ["fill_by_depth"]

_MARGIN = 40


def fill_by_depth(
    shot: Shot,
    masks: Sequence[Path],
    solution: CameraSolution,
    config: ParallaxConfig,
    blend_config: BlendConfig,
    infill_config: InfillConfig,
    tally: HoleTally,
    progress: Progress,
) -> Iterator[CleanFrame]:
    """The shot's frames with the actor's hole filled, in order."""
    maker = AnchorMaker(shot, masks, solution, config, blend_config, infill_config)
    finisher = _Finisher(solution, maker.scale, blend_config, tally)
    anchors: dict[int, Anchor | None] = {}
    stream = enumerate(zip(read_frames(shot), read_holes(masks, blend_config), strict=True))
    for time, (frame, (hole, others)) in stream:
        first = time - time % config.anchor_spacing
        for at in (first, min(first + config.anchor_spacing, len(shot) - 1)):
            if at not in anchors:
                previous = next((anchor for anchor in reversed(anchors.values()) if anchor is not None), None)
                anchors = {key: anchors[key] for key in list(anchors)[-1:]}
                anchors[at] = maker.anchor_at(at, previous)
        near = [anchor for anchor in anchors.values() if anchor is not None]
        yield finisher.finish(frame, hole, others, near, time)
        progress(time + 1, len(shot))


class _Finisher:
    """Fills the holes of frames from their anchors."""

    def __init__(self, solution: CameraSolution, scale: int, config: BlendConfig, tally: HoleTally) -> None:
        self._camera, self._scale, self._config, self._tally = solution.camera, scale, config, tally
        self._grain: Grain | None = None

    def finish(
        self,
        frame: UInt8[np.ndarray, "height width 3"],
        hole: Bool[np.ndarray, "height width"],
        others: Bool[np.ndarray, "height width"],
        anchors: Sequence[Anchor],
        time: int,
    ) -> CleanFrame:
        """A frame with its hole filled from the anchors on both sides."""
        self._tally.pixels += hole.size
        done = CleanFrame(frame.copy(), np.zeros(hole.shape, np.uint8))
        tight = box_of(hole, 0)
        if tight is None or not anchors:
            return done
        wide = box_of(hole, _MARGIN + round(self._config.near_shadow * max(tight.shape)))
        small = reduced(frame[wide.slices], self._scale).astype(np.float32)
        small_free = reduced((~(hole | others)[wide.slices]).astype(np.float32), self._scale) > 0.99
        views = [self._view(anchor, time, wide, small, small_free) for anchor in anchors]
        gap = max(max(anchor.time for anchor in anchors) - min(anchor.time for anchor in anchors), 1)
        # Linear in time, so that one anchor's fill turns into the next one's without a jump.
        shares = [max(1.0 - abs(anchor.time - time) / gap, 1e-3) for anchor in anchors]
        clean = sum(share * view.small for share, view in zip(shares, views, strict=True)) / sum(shares)
        inside = np.logical_and.reduce([view.small_inside for view in views])
        moved = grown_by_what_moved(
            small, clean, hole[wide.slices], others[wide.slices], inside, self._config, below=True
        )
        hole = hole.copy()
        hole[wide.slices] |= moved
        box = box_of(hole, _MARGIN)
        hole, others = hole[box.slices], (others & ~hole)[box.slices]
        picture = frame[box.slices].astype(np.float32)
        fill, made_up = self._mix(anchors, views, shares, wide, box)
        around = ~hole & ~others
        if around.any():
            self._tally.mismatches.append(float(np.median(np.abs(fill - picture)[around])))
        self._tally.hole += int(np.count_nonzero(hole))
        self._tally.seen += int(np.count_nonzero(hole & (made_up < 0.5)))
        grain = self._grain_of(fill, picture, around)
        done.picture[box.slices], done.removed[box.slices] = blend(
            picture, fill, hole, others, grain, time, self._config
        )
        return done

    def _view(
        self,
        anchor: Anchor,
        time: int,
        box: Box,
        small: Float[np.ndarray, "rows columns 3"],
        small_free: Bool[np.ndarray, "rows columns"],
    ) -> Fit:
        """An anchor's clean picture brought into a frame, at reduced size; the map for the full one."""
        depth = carry_inverse_depth(self._camera, anchor.time, anchor.box, anchor.inverse_depth, time, box, self._scale)
        coarse = look_into(self._camera, time, anchor.time, box, self._scale, depth)
        return fit(anchor.small, coarse, small, small_free, self._scale, anchor.time != time)

    def _mix(
        self, anchors: Sequence[Anchor], views: Sequence[Fit], shares: Sequence[float], wide: Box, box: Box
    ) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]:
        """The anchors' fills, cross-faded, and how much of each pixel is made up."""
        inner = Box(box.top - wide.top, box.bottom - wide.top, box.left - wide.left, box.right - wide.left)
        total, weights = np.zeros((*box.shape, 3), np.float32), np.zeros(box.shape, np.float32)
        made_up = np.zeros(box.shape, np.float32)
        for anchor, view, share in zip(anchors, views, shares, strict=True):
            if share < 0.01 and len(anchors) > 1:
                continue
            at = full_size(view, inner, self._scale)
            height, width = anchor.made_up.shape
            inside = (at >= 0).all(-1) & (at[..., 0] <= width - 1) & (at[..., 1] <= height - 1)
            fill = cv2.remap(anchor.picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            weight = share * np.where(inside, 1.0, 1e-3).astype(np.float32)
            total += (fill * view.gain + view.offset) * weight[..., None]
            made_up += weight * cv2.remap(
                anchor.made_up.astype(np.float32), at, None, cv2.INTER_LINEAR, borderValue=1.0
            )
            weights += weight
        return total / weights[..., None], made_up / weights

    def _grain_of(
        self,
        fill: Float[np.ndarray, "height width 3"],
        frame: Float[np.ndarray, "height width 3"],
        around: Bool[np.ndarray, "height width"],
    ) -> Grain:
        """The shot's grain, measured where a fill meets its frame for the first time."""
        if self._grain is None:
            luminance = luminance_of(cv2.GaussianBlur(fill, (0, 0), 1.0))
            residual = frame - fill
            residual -= cv2.GaussianBlur(residual, (0, 0), 4.0)
            usable = around & flat_areas(luminance) & (np.abs(residual).max(-1) < 16)
            measured = estimate_grain(residual, luminance, usable)
            # Both pictures have grain around the hole; inside it, the mean of the votes has kept a part.
            self._grain = Grain(measured.sigma * 0.6, measured.blur_px, measured.correlation)
        return self._grain
