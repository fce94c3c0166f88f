"""Some frames of a travelling camera, the keyframes, cleaned with care.

The depth of the set behind the actor is swept; frames before and after are brought in along it and vote; what nobody
saw comes from the keyframe before, or is made up.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.camera import UnscaledCameraPath
from understudy.core.footage import CameraSolution
from understudy.decompose.plate.blend import BlendConfig, Box, box_of
from understudy.decompose.plate.depth import carry_inverse_depth, look_into, small_part
from understudy.decompose.plate.holes import foot_row, grown_by_what_moved, reduced
from understudy.decompose.plate.plane_sweep import SweepConfig, background_inverse_depth
from understudy.decompose.plate.sources import Source, SourceConfig, SourceWindow, scale_of
from understudy.decompose.plate.votes import TargetKeyframe, VoteConfig, count_votes, reference_of, warp_sources
from understudy.decompose.plate.warp_fit import WarpFit, full_size_map
from understudy.imaging.channels import channel_max, inside_picture
from understudy.imaging.inpaint import InpaintConfig, inpaint, spread_inwards
from understudy.runtime.errors import FootageError

__all__ = ["Keyframe", "KeyframeDepth", "ParallaxConfig", "fill_keyframes", "sweep_keyframes"]

_RIM_PX = 40
"""Pixels around what is needed of a keyframe, so that tone and alignment have something to go by."""
_SEAM_LEVELS = 20.0
"""8-bit levels: most that the tone of a carried patch is bent to meet its surroundings."""
_SEAM_PX = 8
"""Pixels around a carried patch in which its tone is compared."""
_CLOSE_UP = 0.4
"""Share of the picture from which on a hole is filled from the whole picture, wherever something is left of it."""


@dataclass(frozen=True)
class ParallaxConfig:
    """How a travelling camera's plate is made."""

    sources: SourceConfig = field(default_factory=SourceConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    votes: VoteConfig = field(default_factory=VoteConfig)


@dataclass(frozen=True)
class KeyframeDepth:
    """A keyframe's sources, and how far the set is in it."""

    window: SourceWindow
    box: Box
    """What the frames around look at; its left and top lie on multiples of the reduction."""
    inverse_depth: Float[np.ndarray, "box_rows box_columns"]
    """Of the set, in the small box."""


@dataclass(frozen=True)
class Keyframe:
    """A cleaned frame."""

    time: int
    picture: UInt8[np.ndarray, "height width 3"]
    """The whole frame, clean in the box."""
    small: Float[np.ndarray, "rows columns 3"]
    """The same at reduced size."""
    made_up: UInt8[np.ndarray, "height width"]
    """255 where nobody saw what is there, 0 elsewhere."""
    box: Box
    inverse_depth: Float[np.ndarray, "box_rows box_columns"]


def sweep_keyframes(
    windows: Iterable[SourceWindow], solution: CameraSolution, config: SweepConfig, blend: BlendConfig
) -> Iterator[KeyframeDepth | None]:
    """The depth behind the actor in each keyframe, like that in the one before; None where no frame near has a hole."""
    last: deque[KeyframeDepth | None] = deque(maxlen=2)
    for window in windows:
        time, scale = window.target.time, scale_of(window.target.picture.shape[0])
        box = _needed_box(window, solution, blend, scale)
        swept = None
        if box is not None:
            before, inherited = _latest(last), None
            if before is not None:
                known = (before.window.target.time, before.box, before.inverse_depth)
                inherited = carry_inverse_depth(solution.camera, *known, time, box, scale)
            sources = window.nearest_first
            depth = background_inverse_depth(window.target, box, scale, sources, solution, config, inherited)
            swept = KeyframeDepth(window, box, depth)
        last.append(swept)
        yield swept


def fill_keyframes(
    swept: Iterable[KeyframeDepth | None],
    camera: UnscaledCameraPath,
    config: ParallaxConfig,
    blend: BlendConfig,
    inpaint_config: InpaintConfig,
) -> Iterator[Keyframe | None]:
    """The keyframes cleaned, in order; None where there is nothing to clean."""
    last: deque[Keyframe | None] = deque(maxlen=2)
    for depth in swept:
        keyframe = None if depth is None else _filled(depth, _latest(last), camera, config, blend, inpaint_config)
        last.append(keyframe)
        yield keyframe


def _latest(last: Sequence[KeyframeDepth | None] | Sequence[Keyframe | None]) -> KeyframeDepth | Keyframe | None:
    """What is known from the keyframe before, or from the one before that."""
    return next((item for item in reversed(last) if item is not None), None)


def _needed_box(window: SourceWindow, solution: CameraSolution, blend: BlendConfig, scale: int) -> Box | None:
    """The box in the keyframe that the frames around it, their holes and shadows, look at."""
    corners = []
    time, camera = window.target.time, solution.camera
    T = np.linalg.inv(camera.T_world_camera[time])
    z = solution.points @ T[2, :3] + T[2, 3]
    inverse = float(np.median(1.0 / z[z > 1e-6])) if (z > 1e-6).any() else 0.0
    for index, hole in window.holes.items():
        if hole is None:
            continue
        extent = np.array([hole.right - hole.left, hole.bottom - hole.top])
        for w in (0.0, inverse, 2 * inverse):
            corner = look_into(camera, index, time, hole, 1, np.full((1, 1), w, np.float32))[0, 0]
            corners += [corner, corner + extent]
    if not corners:
        return None
    (left, top), (right, bottom) = np.min(corners, 0), np.max(corners, 0)
    margin = _RIM_PX + round(blend.near_shadow * max(right - left, bottom - top))
    height, width = window.target.clearance.shape
    box = Box(
        max(int(top) - _RIM_PX, 0) // scale * scale,
        min(int(bottom) + margin, height),
        max(int(left) - margin, 0) // scale * scale,
        min(int(right) + margin, width),
    )
    return box if min(box.shape) >= 4 * scale else None


@dataclass(frozen=True)
class _Fill:
    """What goes into a keyframe's hole."""

    box: Box
    """Around the hole, in the picture."""
    hole: Bool[np.ndarray, "rows columns"]
    picture: Float[np.ndarray, "rows columns 3"]
    missing: Bool[np.ndarray, "rows columns"]
    """Pixels of the hole that nothing was found for yet."""
    made_up: Bool[np.ndarray, "rows columns"]
    """Pixels that were not seen at this place by any source."""


def _filled(
    swept: KeyframeDepth,
    previous: Keyframe | None,
    camera: UnscaledCameraPath,
    config: ParallaxConfig,
    blend: BlendConfig,
    inpaint_config: InpaintConfig,
) -> Keyframe:
    """A keyframe cleaned along its depth."""
    source = swept.window.target
    scale = scale_of(source.picture.shape[0])
    picture, made_up = source.picture.copy(), np.zeros(source.clearance.shape, np.uint8)
    target = TargetKeyframe(source, swept.box, scale, camera, swept.inverse_depth)
    before = None if previous is None else target.warp(previous.time, previous.small)
    fill = _voted(target, swept.window.nearest_first, before, config, blend) if source.hole.any() else None
    if fill is not None:
        if fill.missing.any() and previous is not None and before is not None:
            fill = _carried_over(fill, target, previous, before)
        if fill.missing.any():
            fill = _inpainted(fill, source, config.sources.min_clearance_px(picture.shape[0]), inpaint_config)
        picture[fill.box.slices] = np.clip(np.rint(fill.picture), 0, 255).astype(np.uint8)
        made_up[fill.box.slices] = fill.made_up * np.uint8(255)
    small = reduced(picture, scale).astype(np.float32)
    return Keyframe(source.time, picture, small, made_up, swept.box, swept.inverse_depth)


def _voted(
    target: TargetKeyframe,
    sources: Sequence[Source],
    before: WarpFit | None,
    config: ParallaxConfig,
    blend: BlendConfig,
) -> _Fill | None:
    """The hole and what the sources say of it; None if it lies outside the box. `before`: the keyframe before."""
    source, box, scale = target.source, target.box, target.scale
    reference = reference_of(target, sources)
    small_hole = reduced(source.hole.astype(np.float32), scale)[small_part(box, scale)] > 0
    # Shadows are looked for on the ground: elsewhere, what is darker in some frames may be another thing.
    lit, ground = reference.lit.copy(), foot_row(small_hole)
    lit[:ground] = 0.0
    known_lit = channel_max(lit) > 0
    clean, sure = np.where(known_lit[..., None], lit, reference.clean), reference.sure | known_lit
    hole, others = source.hole[box.slices], source.others[box.slices]
    hole = grown_by_what_moved(target.reduced.small, clean, hole, others, sure, blend, below=True)
    inner = box_of(hole, 8)
    if inner is None:
        return None
    hole = hole[inner.slices]
    if before is not None:
        # Where sources in light and in shadow are at odds, the cleaned keyframe before tells which are in shadow.
        unknown = ~known_lit & before.small_inside
        unknown[:ground] = False
        lit[unknown] = before.small[unknown]
    least = config.sources.min_clearance_px(source.hole.shape[0])
    voters = warp_sources(target, sources, hole, inner, lit, reference.warps, blend, least)
    colour, seen = count_votes(hole, inner, voters, scale, config.votes, least)
    place = inner.placed_in(box)
    result = np.where(hole[..., None], colour, source.picture[place.slices].astype(np.float32))
    return _Fill(place, hole, result, hole & ~seen, np.zeros_like(hole))


def _carried_over(fill: _Fill, target: TargetKeyframe, previous: Keyframe, warp: WarpFit) -> _Fill:
    """The keyframe before, brought in along the depth where no source saw the set."""
    inner = fill.box.seen_from(target.box)
    at = full_size_map(warp, inner, target.scale)
    inside = inside_picture(at, *previous.made_up.shape, rim=1)
    carried = cv2.remap(previous.picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    carried = carried * warp.gain + warp.offset
    carried += _seam_tone(fill.picture - carried, ~fill.missing & inside, fill.missing)
    usable = fill.missing & inside
    picture = np.where(usable[..., None], carried, fill.picture)
    return _Fill(fill.box, fill.hole, picture, fill.missing & ~usable, fill.made_up | usable)


def _inpainted(fill: _Fill, source: Source, min_clearance_px: int, config: InpaintConfig) -> _Fill:
    """What is missing made up from a wider surrounding than the hole's own box."""
    height, width = source.hole.shape
    rim = max(height, width) if source.hole.mean() > _CLOSE_UP else max(fill.box.shape) // 3
    wide = Box(
        max(fill.box.top - rim, 0),
        min(fill.box.bottom + rim, height),
        max(fill.box.left - rim, 0),
        min(fill.box.right + rim, width),
    )
    place = fill.box.seen_from(wide).slices
    whole = source.picture[wide.slices].astype(np.float32)
    whole[place] = fill.picture
    hole = np.zeros(wide.shape, bool)
    hole[place] = fill.missing
    others = source.others[wide.slices]
    blocked = source.near_actor(min_clearance_px, wide) | others
    blocked[place] = fill.missing | others[place]
    known = ~blocked & ~hole
    if not known.any():
        raise FootageError(
            f"the actor hides the whole picture at frame {source.time}: nothing tells what the set looks like; "
            "choose a range in which the set is seen"
        )
    picture = inpaint(whole, hole, known, config, seed=source.time)[place]
    return _Fill(fill.box, fill.hole, picture, np.zeros_like(fill.missing), fill.made_up | fill.missing)


def _seam_tone(
    difference: Float[np.ndarray, "height width 3"],
    both: Bool[np.ndarray, "height width"],
    missing: Bool[np.ndarray, "height width"],
) -> Float[np.ndarray, "height width 3"]:
    """The tone that a patch must take on to meet its surroundings without a seam, spread smoothly over it."""
    side = 2 * _SEAM_PX + 1
    ring = (cv2.dilate(missing.astype(np.uint8), np.ones((side, side), np.uint8)) > 0) & both
    if not ring.any():
        return np.zeros_like(difference)
    weight = reduced(ring.astype(np.float32), 4)
    value = reduced(np.clip(difference, -_SEAM_LEVELS, _SEAM_LEVELS) * ring[..., None], 4)
    value = cv2.GaussianBlur(value, (0, 0), 1.5)
    weight = cv2.GaussianBlur(weight, (0, 0), 1.5)
    smooth = spread_inwards(value / np.maximum(weight, 1e-4)[..., None], weight > 0.05)
    height, width = missing.shape
    grown = cv2.resize(smooth, (smooth.shape[1] * 4, smooth.shape[0] * 4), interpolation=cv2.INTER_LINEAR)
    return grown[:height, :width]
