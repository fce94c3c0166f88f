"""The clean plate of a camera that travels.

Every few frames a *keyframe* is cleaned with care (see `keyframe_plate`). The frames between two keyframes take their
fill from both, carried along the depth and cross-faded: stable in time by construction.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from understudy.core.camera import UnscaledCameraPath
from understudy.core.footage import CameraSolution, Shot
from understudy.decompose.plate.blend import (
    RING_PX,
    BlendConfig,
    Box,
    CleanFrame,
    Filling,
    blended,
    box_of,
    luminance_of,
)
from understudy.decompose.plate.depth import carry_inverse_depth, look_into, small_part
from understudy.decompose.plate.holes import (
    Holes,
    HoleTally,
    compare,
    foot_row,
    holes_with_moved,
    in_light,
    read_twice,
    reduced,
)
from understudy.decompose.plate.keyframe_plate import Keyframe, ParallaxConfig, fill_keyframes, sweep_keyframes
from understudy.decompose.plate.moving_things import MovedRegions, sort_moved_regions
from understudy.decompose.plate.shadow import Comparison, ShadowZone, moved_levels
from understudy.decompose.plate.sources import keyframe_times, scale_of, source_windows
from understudy.decompose.plate.warp_fit import WarpFit, WarpTarget, fit_warp, full_size_map
from understudy.imaging.channels import channel_max, inside_picture
from understudy.imaging.grain import Grain, estimate_grain, flat_areas
from understudy.imaging.inpaint import InpaintConfig
from understudy.runtime.parallel import in_order, prefetch
from understudy.runtime.progress import Progress

__all__ = ["fill_by_depth"]

_MARGIN = 40
"""Pixels around a hole that are compared with what the keyframes know."""
_BLURRED = 0.4
"""Share of the surroundings that may differ from what the keyframes know, if things are to be looked for in it."""
_CHUNK = 16
"""Frames that are sorted at once: their keyframes are kept."""
_INSIDE = 1e3
"""How much a keyframe counts within its picture, against 1 beyond its edge."""
_PART_ROWS = 64
"""Of a hole, which are filled at once."""


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
    scale, camera = scale_of(shot.height), solution.camera
    windows = source_windows(shot, masks, config.sources, blend_config)
    swept = prefetch(sweep_keyframes(windows, solution, config.sweep, blend_config), 1)
    keyframes = prefetch(fill_keyframes(swept, camera, config, blend_config, inpaint_config), 1)
    around = _keyframes_around(keyframes, len(shot), config.sources.keyframe_spacing)
    to_compare, to_fill = read_twice(shot, masks, blend_config, 2 * _CHUNK)
    zone, ahead = ShadowZone(), deque[_Known | None]()

    def comparisons() -> Iterator[Comparison]:
        frames = ((time, *shown) for time, shown in enumerate(zip(to_compare, around, strict=True)))
        for known, seen in in_order(lambda item: _compared(*item, camera, scale, blend_config), frames):
            zone.add(seen)
            ahead.append(known)
            yield seen

    def fillings() -> Iterator[tuple[int, Filling, Grain | None]]:
        moves = sort_moved_regions(comparisons(), zone, blend_config, _CHUNK)
        frames = ((frame, moved, ahead.popleft()) for frame, moved in zip(to_fill, moves, strict=True))
        frames = _first_marked(frames)
        grain: Grain | None = None
        for time, filling in enumerate(in_order(lambda item: _filling(*item, scale), frames)):
            if grain is None and filling.box is not None:
                grain = _grain_of(filling)
            yield time, filling, grain

    for time, (done, counted) in enumerate(in_order(lambda item: blended(*item, blend_config), fillings())):
        tally.add(counted)
        yield done
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


def _compared(
    time: int,
    shown: tuple[UInt8[np.ndarray, "height width 3"], Holes],
    keyframes: Sequence[Keyframe],
    camera: UnscaledCameraPath,
    scale: int,
    config: BlendConfig,
) -> tuple[_Known | None, Comparison]:
    """What the keyframes on both sides know of a frame, and the frame compared with it, to find what moved."""
    frame, holes = shown
    small = reduced(frame, scale).astype(np.float32)
    clean, sure = np.zeros_like(small), np.zeros(small.shape[:2], bool)
    tight = box_of(holes.hole, 0)
    if tight is None or not keyframes:
        return None, compare(small, clean, sure, holes, scale)
    wide = box_of(holes.hole, _MARGIN + round(config.near_shadow * max(tight.shape)))
    wide = Box(wide.top // scale * scale, wide.bottom, wide.left // scale * scale, wide.right)
    part = small_part(wide, scale)
    blocked = holes.hole[wide.slices] | holes.others[wide.slices]
    small_free = reduced((~blocked).astype(np.float32), scale) > 0.99
    target = WarpTarget(small[part], small_free)
    views = [_view(keyframe, time, wide, target, camera, scale) for keyframe in keyframes]
    times = [keyframe.time for keyframe in keyframes]
    gap = max(max(times) - min(times), 1)
    shares = [max(1.0 - abs(at - time) / gap, 1e-3) for at in times]
    clean[part] = sum(share * view.small for share, view in zip(shares, views, strict=True)) / sum(shares)
    sure[part] = np.logical_and.reduce([view.small_inside for view in views])
    seen = compare(small, clean, sure, holes, scale)
    above = seen.known & ~seen.hole
    above[foot_row(seen.hole) :] = False
    if np.count_nonzero(above & (moved_levels(seen) > config.moved_levels)) > _BLURRED * above.sum():
        # Too unlike to tell a lamp from a racket: only the ground around the feet is looked at.
        sure[: foot_row(seen.hole)] = False
        seen = replace(seen, known=seen.known & sure)
    return _Known(keyframes, views, shares, wide), seen


def _view(
    keyframe: Keyframe,
    time: int,
    box: Box,
    target: WarpTarget,
    camera: UnscaledCameraPath,
    scale: int,
) -> WarpFit:
    """A keyframe's clean picture brought into a frame, at reduced size; the map for the full one."""
    there = keyframe.time, keyframe.box, keyframe.inverse_depth
    depth = carry_inverse_depth(camera, *there, time, box, scale)
    coarse = look_into(camera, time, keyframe.time, box, scale, depth)
    return fit_warp(keyframe.small, coarse, target, scale)


_Shown = tuple[UInt8[np.ndarray, "height width 3"], Holes]


def _first_marked(
    frames: Iterable[tuple[_Shown, MovedRegions, _Known | None]],
) -> Iterator[tuple[_Shown, MovedRegions, _Known | None, bool]]:
    """Each frame, and whether it is the first of which something is known."""
    is_first = True
    for shown, moved, known in frames:
        yield shown, moved, known, is_first and known is not None
        is_first = is_first and known is None


def _filling(shown: _Shown, moved: MovedRegions, known: _Known | None, wide: bool, scale: int) -> Filling:
    """A frame's fill from the keyframes on both sides.

    `wide`: with more around the hole than what the fill fades into, to measure the grain.
    """
    frame, holes = shown
    hole, others, *_ = holes_with_moved(holes, moved, scale)
    rim = _MARGIN if wide else RING_PX + 2
    box = box_of(hole, rim)
    if known is None or box is None:
        return Filling(frame)
    box = _common(box, known.box)
    hole, others = hole[box.slices], others[box.slices] & ~hole[box.slices]
    needed = cv2.dilate(hole.view(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)) > 0
    fill, made_up = np.zeros((*box.shape, 3), np.float32), np.zeros(box.shape, bool)
    for part in _parts(needed):
        fill[part.slices], made_up[part.slices] = _mixed(known, part.placed_in(box), scale)
    around = needed & ~hole & ~others
    return Filling(frame, box, in_light(fill, moved, box, scale), hole, others, ~made_up, around)


def _parts(needed: Bool[np.ndarray, "height width"]) -> Iterator[Box]:
    """Boxes, row by row, in which lies all that is needed: about half of the one around a person."""
    for top in range(0, needed.shape[0], _PART_ROWS):
        columns = np.flatnonzero(needed[top : top + _PART_ROWS].any(0))
        if len(columns):
            yield Box(top, min(top + _PART_ROWS, needed.shape[0]), int(columns[0]), int(columns[-1]) + 1)


def _mixed(
    known: _Known, box: Box, scale: int
) -> tuple[Float32[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
    """The keyframes' fills in a box, cross-faded, and which pixels are made up for the most part."""
    inner = box.seen_from(known.box)
    fills, made_up, weights = [], [], []
    for keyframe, view, share in zip(known.keyframes, known.views, known.shares, strict=True):
        if share < 0.01 and len(known.keyframes) > 1:
            continue
        at = full_size_map(view, inner, scale)
        fill = cv2.remap(keyframe.picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        # In the frame's tone: a table of 256 levels is quicker than arithmetic on all pixels.
        levels = np.arange(256, dtype=np.float32)[:, None, None] * view.gain + view.offset
        fills.append(cv2.LUT(fill, levels))
        made_up.append(cv2.remap(keyframe.made_up, at, None, cv2.INTER_LINEAR, borderValue=255))
        inside = inside_picture(at, *keyframe.made_up.shape)
        weights.append(np.where(inside, np.float32(share * _INSIDE), np.float32(share)))
    if len(fills) == 1:
        return fills[0], made_up[0] >= 128
    mixed = (cv2.blendLinear(*pair, *weights) for pair in (fills, made_up))
    return next(mixed), next(mixed) >= 128


def _grain_of(filling: Filling) -> Grain:
    """The shot's grain, measured where a fill meets its frame for the first time."""
    luminance = luminance_of(cv2.GaussianBlur(filling.fill, (0, 0), 1.0))
    residual = filling.surroundings - filling.fill
    residual -= cv2.GaussianBlur(residual, (0, 0), 4.0)
    usable = filling.around & flat_areas(luminance) & (channel_max(np.abs(residual)) < 16)
    measured = estimate_grain(residual, luminance, usable)
    # Both pictures have grain around the hole; inside it, the mean of the votes has kept a part.
    return Grain(measured.sigma * 0.6, measured.blur_px, measured.correlation)


def _common(a: Box, b: Box) -> Box:
    """What two boxes have in common."""
    return Box(max(a.top, b.top), min(a.bottom, b.bottom), max(a.left, b.left), min(a.right, b.right))
