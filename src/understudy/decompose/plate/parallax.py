"""The clean plate of a camera that travels.

Every few frames a *keyframe* is cleaned with care (see `keyframe_plate`). The frames between two keyframes take their
fill from both, carried along the depth and cross-faded: stable in time by construction.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.footage import CameraSolution, Shot
from understudy.decompose.plate.blend import BlendConfig, Box, CleanFrame, blend, box_of, luminance_of
from understudy.decompose.plate.depth import carry_inverse_depth, look_into, small_part
from understudy.decompose.plate.holes import Holes, HoleTally, beside, foot_row, in_light, parted, read_holes, reduced
from understudy.decompose.plate.keyframe_plate import Keyframe, ParallaxConfig, fill_keyframes, sweep_keyframes
from understudy.decompose.plate.moving_things import Sorted, sort_out
from understudy.decompose.plate.shadow import Beside, ShadowZone, moved_levels
from understudy.decompose.plate.sources import keyframe_times, scale_of, source_windows
from understudy.decompose.plate.warp_fit import WarpFit, fit_warp, full_size_map
from understudy.imaging.grain import Grain, estimate_grain, flat_areas
from understudy.imaging.inpaint import InpaintConfig
from understudy.io.video.streams import read_frames
from understudy.runtime.progress import Progress

__all__ = ["fill_by_depth"]

_MARGIN = 40
_BLURRED = 0.4
"""Share of the surroundings that may differ from what the keyframes know, if things are to be looked for in it."""
_CHUNK = 16
"""Frames that are sorted at once: their keyframes are kept."""


def fill_by_depth(
    shot: Shot,
    masks: Sequence[Path],
    solution: CameraSolution,
    config: ParallaxConfig,
    blend_config: BlendConfig,
    inpaint_config: InpaintConfig,
    tally: HoleTally,
    progress: Progress,
) -> Iterator[CleanFrame]:
    """The shot's frames with the actor's hole filled, in order."""
    windows = source_windows(shot, masks, config.sources, blend_config)
    swept = sweep_keyframes(windows, solution, config.sweep, blend_config)
    keyframes = fill_keyframes(swept, solution.camera, config, blend_config, inpaint_config)
    finisher = _Finisher(solution, scale_of(shot.height), blend_config, tally)
    zone, ahead = ShadowZone(), deque[_Known | None]()

    def besides() -> Iterator[Beside]:
        frames = zip(read_frames(shot), read_holes(masks, blend_config), strict=True)
        around = _keyframes_around(keyframes, len(shot), config.sources.keyframe_spacing)
        for time, ((frame, holes), near) in enumerate(zip(frames, around, strict=True)):
            known, seen = finisher.know(frame, holes, near, time)
            zone.add(seen)
            ahead.append(known)
            yield seen

    moves = sort_out(besides(), zone, blend_config, _CHUNK)
    frames = zip(read_frames(shot), read_holes(masks, blend_config), moves, strict=True)
    for time, (frame, holes, moved) in enumerate(frames):
        yield finisher.finish(frame, holes, moved, ahead.popleft(), time)
        progress(time + 1, len(shot))


def _keyframes_around(
    keyframes: Iterator[Keyframe | None], length: int, spacing: int
) -> Iterator[tuple[Keyframe, ...]]:
    """For each frame of a shot, in order, the keyframe before (or at) it and the one after it, as far as there are."""
    times = keyframe_times(length, spacing)
    for (first, last), pair in zip(pairwise(times), pairwise(keyframes), strict=True):
        near = tuple(keyframe for keyframe in pair if keyframe is not None)
        for _ in range(first, last + (last == length - 1)):
            yield near


@dataclass(frozen=True)
class _Known:
    """What the keyframes know of a frame."""

    keyframes: Sequence[Keyframe]
    views: Sequence[WarpFit]
    """Of each keyframe."""
    shares: Sequence[float]
    """Linear in time, so that one keyframe's fill turns into the next one's without a jump."""
    box: Box
    """Where the views reach."""


class _Finisher:
    """Fills the holes of frames from their keyframes."""

    def __init__(self, solution: CameraSolution, scale: int, config: BlendConfig, tally: HoleTally) -> None:
        self._camera, self._scale, self._config, self._tally = solution.camera, scale, config, tally
        self._grain: Grain | None = None

    def know(
        self, frame: UInt8[np.ndarray, "height width 3"], holes: Holes, keyframes: Sequence[Keyframe], time: int
    ) -> tuple[_Known | None, Beside]:
        """What the keyframes on both sides know of a frame, and the frame beside it, to find what moved."""
        scale = self._scale
        small = reduced(frame, scale).astype(np.float32)
        clean, sure = np.zeros_like(small), np.zeros(small.shape[:2], bool)
        tight = box_of(holes.hole, 0)
        if tight is None or not keyframes:
            return None, beside(small, clean, sure, holes, scale)
        wide = box_of(holes.hole, _MARGIN + round(self._config.near_shadow * max(tight.shape)))
        wide = Box(wide.top // scale * scale, wide.bottom, wide.left // scale * scale, wide.right)
        part = small_part(wide, scale)
        blocked = holes.hole | holes.others
        small_free = reduced((~blocked[wide.slices]).astype(np.float32), scale) > 0.99
        views = [self._view(keyframe, time, wide, small[part], small_free) for keyframe in keyframes]
        gap = max(max(keyframe.time for keyframe in keyframes) - min(keyframe.time for keyframe in keyframes), 1)
        shares = [max(1.0 - abs(keyframe.time - time) / gap, 1e-3) for keyframe in keyframes]
        clean[part] = sum(share * view.small for share, view in zip(shares, views, strict=True)) / sum(shares)
        sure[part] = np.logical_and.reduce([view.small_inside for view in views])
        seen = beside(small, clean, sure, holes, scale)
        above = seen.known & ~seen.hole
        above[foot_row(seen.hole) :] = False
        if np.count_nonzero(above & (moved_levels(seen) > self._config.moved_levels)) > _BLURRED * above.sum():
            # Too unlike to tell a lamp from a racket: only the ground around the feet is looked at.
            sure[: foot_row(seen.hole)] = False
            seen = replace(seen, known=seen.known & sure)
        return _Known(keyframes, views, shares, wide), seen

    def finish(
        self,
        frame: UInt8[np.ndarray, "height width 3"],
        holes: Holes,
        moved: Sorted,
        known: _Known | None,
        time: int,
    ) -> CleanFrame:
        """A frame with its hole filled from the keyframes on both sides."""
        self._tally.pixels += holes.hole.size
        done = CleanFrame(frame.copy(), np.zeros(holes.hole.shape, np.uint8))
        hole, others, *_ = parted(holes, moved, self._scale)
        box = box_of(hole, _MARGIN)
        if known is None or box is None:
            return done
        box = _common(box, known.box)
        hole, others = hole[box.slices], (others & ~hole)[box.slices]
        picture = frame[box.slices].astype(np.float32)
        fill, made_up = self._mix(known.keyframes, known.views, known.shares, known.box, box)
        fill, around = in_light(fill, moved, box, self._scale), ~hole & ~others
        if around.any():
            self._tally.mismatches.append(float(np.median(np.abs(fill - picture)[around])))
        self._tally.hole += int(np.count_nonzero(hole))
        self._tally.seen += int(np.count_nonzero(hole & (made_up < 0.5)))
        grain = self._grain_of(fill, picture, around)
        filled = blend(picture, fill, hole, others, grain, time, self._config)
        done.picture[box.slices], done.removed[box.slices] = filled
        return done

    def _view(
        self,
        keyframe: Keyframe,
        time: int,
        box: Box,
        small: Float[np.ndarray, "rows columns 3"],
        small_free: Bool[np.ndarray, "rows columns"],
    ) -> WarpFit:
        """A keyframe's clean picture brought into a frame, at reduced size; the map for the full one."""
        depth = carry_inverse_depth(
            self._camera, keyframe.time, keyframe.box, keyframe.inverse_depth, time, box, self._scale
        )
        coarse = look_into(self._camera, time, keyframe.time, box, self._scale, depth)
        return fit_warp(keyframe.small, coarse, small, small_free, self._scale, keyframe.time != time)

    def _mix(
        self, keyframes: Sequence[Keyframe], views: Sequence[WarpFit], shares: Sequence[float], wide: Box, box: Box
    ) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]:
        """The keyframes' fills, cross-faded, and how much of each pixel is made up."""
        inner = box.seen_from(wide)
        total, weights = np.zeros((*box.shape, 3), np.float32), np.zeros(box.shape, np.float32)
        made_up = np.zeros(box.shape, np.float32)
        for keyframe, view, share in zip(keyframes, views, shares, strict=True):
            if share < 0.01 and len(keyframes) > 1:
                continue
            at = full_size_map(view, inner, self._scale)
            height, width = keyframe.made_up.shape
            inside = (at >= 0).all(-1) & (at[..., 0] <= width - 1) & (at[..., 1] <= height - 1)
            fill = cv2.remap(keyframe.picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            weight = share * np.where(inside, 1.0, 1e-3).astype(np.float32)
            total += (fill * view.gain + view.offset) * weight[..., None]
            made_up += weight * cv2.remap(
                keyframe.made_up.astype(np.float32), at, None, cv2.INTER_LINEAR, borderValue=1.0
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


def _common(a: Box, b: Box) -> Box:
    """What two boxes have in common."""
    return Box(max(a.top, b.top), min(a.bottom, b.bottom), max(a.left, b.left), min(a.right, b.right))
