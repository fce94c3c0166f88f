"""The clean plate of a camera that travels.

Every few frames an *anchor* is cleaned with care: the depth of the set behind the actor is swept, frames before and
after are brought in along it and vote, what nobody saw comes from the anchor before or is made up. The frames between
two anchors take their fill from both, carried along the depth and cross-faded: stable in time by construction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.footage import CameraSolution, Shot
from understudy.core.grain import Grain, estimate_grain, flat_areas
from understudy.core.progress import Progress
from understudy.decompose.infill import InfillConfig, infill
from understudy.decompose.plate_align import affine_residual, move
from understudy.decompose.plate_blend import BlendConfig, Box, blend, box_of, luminance_of, match_tone
from understudy.decompose.plate_depth import (
    Source,
    SweepConfig,
    background_inverse_depth,
    carry_inverse_depth,
    look_into,
)
from understudy.decompose.plate_holes import HoleTally, read_holes
from understudy.io.video import read_frames

__all__ = ["ParallaxConfig", "fill_by_depth"]


@dataclass(frozen=True)
class ParallaxConfig:
    """How a travelling camera's plate is made."""

    anchor_spacing: int = 8
    """Frames from one carefully cleaned frame to the next."""
    source_spacing: int = 4
    """Frames from one source to the next."""
    reach: int = 48
    """How far before and after an anchor sources are kept, in frames."""
    far_sources: int = 20
    """Further sources, evenly spread over the whole shot."""
    votes: int = 5
    """Sources, nearest in time first, that vote on a pixel."""
    agreement: float = 22.0
    """Votes within this many 8-bit levels of their median agree."""
    sweep: SweepConfig = field(default_factory=SweepConfig)


@dataclass(frozen=True)
class _Anchor:
    """A cleaned frame."""

    time: int
    box: Box
    picture: UInt8[np.ndarray, "height width 3"]
    """The whole frame, clean in the box."""
    made_up: Bool[np.ndarray, "height width"]
    """Where nobody saw what is there."""
    inverse_depth: Float[np.ndarray, "rows columns"]
    """In the small box."""


def fill_by_depth(
    shot: Shot,
    masks: Sequence[Path],
    solution: CameraSolution,
    config: ParallaxConfig,
    blend_config: BlendConfig,
    infill_config: InfillConfig,
    tally: HoleTally,
    progress: Progress,
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The shot's frames with the actor's hole filled, in order."""
    cleaner = _Cleaner(shot, masks, solution, config, blend_config, infill_config)
    anchors: dict[int, _Anchor | None] = {}
    stream = enumerate(zip(read_frames(shot), read_holes(masks, blend_config), strict=True))
    for time, (frame, (hole, others)) in stream:
        first = time - time % config.anchor_spacing
        for at in (first, min(first + config.anchor_spacing, len(shot) - 1)):
            if at not in anchors:
                previous = next((anchor for anchor in reversed(anchors.values()) if anchor is not None), None)
                anchors = {key: anchors[key] for key in list(anchors)[-1:]}
                anchors[at] = cleaner.anchor_at(at, previous)
        around_now = [anchor for anchor in anchors.values() if anchor is not None]
        yield _finish(frame, hole, others, around_now, time, cleaner, tally)
        progress(time + 1, len(shot))


def _finish(
    frame: UInt8[np.ndarray, "height width 3"],
    hole: Bool[np.ndarray, "height width"],
    others: Bool[np.ndarray, "height width"],
    anchors: Sequence[_Anchor],
    time: int,
    cleaner: "_Cleaner",
    tally: HoleTally,
) -> UInt8[np.ndarray, "height width 3"]:
    """A frame with its hole filled from the anchors on both sides."""
    box = box_of(hole, 40)
    tally.pixels += hole.size
    if box is None or not anchors:
        return frame
    hole, others = hole[box.slices], others[box.slices]
    picture = frame[box.slices].astype(np.float32)
    around = ~hole & ~others
    total, weights = np.zeros_like(picture), np.zeros(hole.shape, np.float32)
    made_up = np.zeros(hole.shape, np.float32)
    gap = max(max(anchor.time for anchor in anchors) - min(anchor.time for anchor in anchors), 1)
    for anchor in anchors:
        fill, unsure, inside = _carry(anchor, time, box, cleaner)
        if anchor.time != time:
            fill = move(fill, affine_residual(fill, picture, around & inside))
        gain, offset = match_tone(fill, picture, around & inside)
        fill = fill * gain.astype(np.float32) + offset.astype(np.float32)
        if (around & inside).any():
            tally.mismatches.append(float(np.median(np.abs(fill - picture)[around & inside])))
        # Linear in time, so that one anchor's fill turns into the next one's without a jump.
        share = max(1.0 - abs(anchor.time - time) / gap, 1e-3)
        weight = share * np.where(inside, 1.0, 1e-3).astype(np.float32)
        total += fill * weight[..., None]
        made_up += unsure * weight
        weights += weight
    fill = total / weights[..., None]
    tally.hole += int(np.count_nonzero(hole))
    tally.seen += int(np.count_nonzero(hole & (made_up < 0.5 * weights)))
    done = frame.copy()
    done[box.slices] = blend(picture, fill, hole, others, cleaner.grain_of(fill, picture, around), time, cleaner.blend)
    return done


def _carry(
    anchor: _Anchor, time: int, box: Box, cleaner: "_Cleaner"
) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
    """An anchor's clean picture as frame `time` sees it in a box; what of it is made up; what the anchor shows."""
    if anchor.time == time:
        picture = anchor.picture[box.slices].astype(np.float32)
        return picture, anchor.made_up[box.slices].astype(np.float32), np.ones(box.shape, bool)
    scale = cleaner.scale
    depth = carry_inverse_depth(
        cleaner.solution.camera, anchor.time, anchor.box, anchor.inverse_depth, time, box, scale
    )
    at = _full_size(look_into(cleaner.solution.camera, time, anchor.time, box, scale, depth), box, scale)
    height, width = anchor.made_up.shape
    inside = (at >= 0).all(-1) & (at[..., 0] <= width - 1) & (at[..., 1] <= height - 1)
    fill = cv2.remap(anchor.picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    made_up = cv2.remap(anchor.made_up.astype(np.float32), at, None, cv2.INTER_LINEAR, borderValue=1.0)
    return fill, made_up, inside


def _full_size(small: Float[np.ndarray, "rows columns 2"], box: Box, scale: int) -> Float[np.ndarray, "height width 2"]:
    """A map of the small box, for every pixel of the box."""
    y, x = np.mgrid[0 : box.shape[0], 0 : box.shape[1]].astype(np.float32)
    shift = 0.5 / scale - 0.5
    grid = (x / scale + shift, y / scale + shift)
    # Linear beyond the first and last centres too: a replicated border would shear the picture's rim.
    padded = cv2.copyMakeBorder(small, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    if min(small.shape[:2]) >= 2:
        padded[0], padded[-1] = 2 * padded[1] - padded[2], 2 * padded[-2] - padded[-3]
        padded[:, 0], padded[:, -1] = 2 * padded[:, 1] - padded[:, 2], 2 * padded[:, -2] - padded[:, -3]
    return cv2.remap(padded, grid[0] + 1, grid[1] + 1, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


class _Cleaner:
    """Makes the anchors. Keeps far sources for the whole shot and a sliding window of near ones."""

    def __init__(
        self,
        shot: Shot,
        masks: Sequence[Path],
        solution: CameraSolution,
        config: ParallaxConfig,
        blend: BlendConfig,
        infill: InfillConfig,
    ) -> None:
        self.config, self.blend, self.solution = config, blend, solution
        self.scale = max(2, round(shot.height / 180))
        self._infill = infill
        self._length = len(shot)
        self._grain: Grain | None = None
        self._holes: dict[int, Box | None] = {}
        self._window: dict[int, Source] = {}
        self._ahead = enumerate(zip(read_frames(shot), read_holes(masks, blend), strict=True))
        self._read_to = -1
        far = set(np.linspace(0, len(shot) - 1, min(config.far_sources, len(shot))).round().astype(int).tolist())
        stream = enumerate(zip(read_frames(shot), read_holes(masks, blend), strict=True))
        self._far = {time: self._source(time, frame, *hole) for time, (frame, hole) in stream if time in far}

    def _source(self, time: int, picture: np.ndarray, hole: np.ndarray, others: np.ndarray) -> Source:
        height, width = hole.shape
        size = (-(-width // self.scale), -(-height // self.scale))
        padding = (0, size[1] * self.scale - height, 0, size[0] * self.scale - width)
        padded = cv2.copyMakeBorder(picture, *padding, cv2.BORDER_REPLICATE)
        small = cv2.resize(padded, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        free = cv2.copyMakeBorder((~(hole | others)).astype(np.float32), *padding, cv2.BORDER_REPLICATE)
        small_free = (cv2.resize(free, size, interpolation=cv2.INTER_AREA) > 0.99).astype(np.float32)
        return Source(time, picture.copy(), hole, others, small, small_free)

    def _look_ahead(self, time: int) -> None:
        """Read on until `reach` frames after `time`; forget what lies as far behind."""
        goal = min(time + self.config.reach, self._length - 1)
        while self._read_to < goal:
            index, (frame, (hole, others)) = next(self._ahead)
            self._read_to = index
            self._holes[index] = box_of(hole, 0)
            if index % self.config.source_spacing == 0 or index == self._length - 1:
                self._window[index] = self._source(index, frame, hole, others)
        for old in [index for index in self._window if index < time - self.config.reach]:
            del self._window[old]
        for old in [index for index in self._holes if index < time - self.config.reach]:
            del self._holes[old]

    def anchor_at(self, time: int, previous: _Anchor | None) -> _Anchor | None:
        """The cleaned frame at `time`; None if no frame near it has a hole."""
        self._look_ahead(time)
        target = self._window[time]
        box = self._needed(time, target)
        if box is None:
            return None
        sources = {**self._far, **self._window}
        sources.pop(time, None)
        near_first = sorted(sources.values(), key=lambda source: abs(source.time - time))
        voters = _spread_out(near_first, self.config.sweep.sources)
        depth = background_inverse_depth(target, box, self.scale, voters, self.solution, self.config.sweep)
        picture, made_up = target.picture.copy(), np.zeros(target.hole.shape, bool)
        if target.hole.any():
            self._fill(target, box, depth, near_first, previous, picture, made_up)
        return _Anchor(time, box, picture, made_up, depth)

    def _needed(self, time: int, target: Source) -> Box | None:
        """The box in the anchor that the holes of the frames around it look at."""
        corners = []
        spacing = self.config.anchor_spacing
        T = np.linalg.inv(self.solution.camera.T_world_camera[time])
        z = self.solution.points @ T[2, :3] + T[2, 3]
        inverse = float(np.median(1.0 / z[z > 1e-6])) if (z > 1e-6).any() else 0.0
        for index in range(max(0, time - spacing), min(self._length, time + spacing + 1)):
            hole = self._holes.get(index)
            if hole is None:
                continue
            across = Box(hole.top, hole.bottom, hole.left, hole.right)
            for w in (0.0, inverse, 2 * inverse):
                grid = look_into(self.solution.camera, index, time, across, 1, np.full((1, 1), w, np.float32))
                corner = grid[0, 0]
                corners += [corner, corner + (across.shape[1], across.shape[0])]
        if not corners:
            return None
        (left, top), (right, bottom) = np.min(corners, 0), np.max(corners, 0)
        height, width = target.hole.shape
        box = Box(
            max(int(top) - 48, 0), min(int(bottom) + 48, height), max(int(left) - 48, 0), min(int(right) + 48, width)
        )
        return box if min(box.shape) >= 4 * self.scale else None

    def _fill(
        self,
        target: Source,
        box: Box,
        depth: Float[np.ndarray, "rows columns"],
        sources: Sequence[Source],
        previous: _Anchor | None,
        picture: UInt8[np.ndarray, "height width 3"],
        made_up: Bool[np.ndarray, "height width"],
    ) -> None:
        """Write the anchor's hole into `picture`; mark in `made_up` what nobody saw."""
        hole = target.hole[box.slices]
        known = ~hole & ~target.others[box.slices]
        crop = target.picture[box.slices].astype(np.float32)
        fill, seen = self._vote(target, box, depth, sources)
        missing = hole & ~seen
        result = np.where(hole[..., None], fill, crop)
        if missing.any() and previous is not None:
            carried, _, inside = self._from_previous(previous, target.time, box, depth)
            usable = missing & inside
            gain, offset = match_tone(carried, crop, known & inside)
            result[usable] = (carried * gain + offset)[usable]
            made_up[box.slices] |= usable
            missing &= ~usable
        if missing.any():
            result = infill(result, missing, ~missing & ~target.others[box.slices], self._infill, seed=target.time)
            made_up[box.slices] |= missing
        picture[box.slices] = np.clip(np.rint(result), 0, 255).astype(np.uint8)

    def _from_previous(
        self, previous: _Anchor, time: int, box: Box, depth: Float[np.ndarray, "rows columns"]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        at = _full_size(look_into(self.solution.camera, time, previous.time, box, self.scale, depth), box, self.scale)
        height, width = previous.made_up.shape
        inside = (at >= 1).all(-1) & (at[..., 0] <= width - 2) & (at[..., 1] <= height - 2)
        carried = cv2.remap(previous.picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return carried.astype(np.float32), at, inside

    def _vote(
        self, target: Source, box: Box, depth: Float[np.ndarray, "rows columns"], sources: Sequence[Source]
    ) -> tuple[Float[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
        """The median of the nearest sources that see each pixel of the hole, and where there was agreement."""
        hole, crop = target.hole[box.slices], target.picture[box.slices].astype(np.float32)
        votes = np.full((self.config.votes, *hole.shape, 3), np.nan, np.float32)
        count = np.zeros(hole.shape, np.int64)
        for allow_others in (False, True):
            if allow_others and not (hole & (count == 0)).any():
                break
            for source in sources:
                open_places = hole & (count == 0 if allow_others else count < self.config.votes)
                if not open_places.any():
                    break
                self._cast(source, target, box, depth, crop, open_places, allow_others, votes, count)
        return _decide(votes, count, hole, self.config.agreement)

    def _cast(
        self,
        source: Source,
        target: Source,
        box: Box,
        depth: Float[np.ndarray, "rows columns"],
        crop: Float[np.ndarray, "height width 3"],
        open_places: Bool[np.ndarray, "height width"],
        allow_others: bool,
        votes: np.ndarray,
        count: np.ndarray,
    ) -> None:
        """Add one source's votes where it sees past the actor."""
        coarse = look_into(self.solution.camera, target.time, source.time, box, self.scale, depth)
        height, width = source.hole.shape
        inside = (coarse >= 0).all(-1) & (coarse[..., 0] <= width - 1) & (coarse[..., 1] <= height - 1)
        small_open = cv2.resize(open_places.astype(np.uint8), (depth.shape[1], depth.shape[0])) > 0
        if not (inside & small_open).any():
            return
        at = _full_size(coarse, box, self.scale)
        blocked = source.hole if allow_others else source.hole | source.others
        free = cv2.remap((~blocked).astype(np.uint8) * 255, at, None, cv2.INTER_LINEAR, borderValue=0) == 255
        valid = free & open_places
        if not valid.any():
            return
        colour = cv2.remap(source.picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        colour = colour.astype(np.float32)
        known = free & ~target.hole[box.slices] & ~target.others[box.slices]
        colour = move(colour, affine_residual(colour, crop, known))
        gain, offset = match_tone(colour, crop, known)
        rows, columns = np.nonzero(valid)
        votes[count[rows, columns], rows, columns] = (colour * gain + offset)[rows, columns]
        count[rows, columns] += 1

    def grain_of(
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
            # Both pictures have grain around the hole; inside it, the median of votes has kept a part.
            self._grain = Grain(measured.sigma * 0.6, measured.blur_px)
        return self._grain


def _spread_out(near_first: Sequence[Source], count: int) -> list[Source]:
    """Nearest sources closely, farther ones sparsely: small steps find the match, wide ones see behind and measure."""
    if len(near_first) <= count:
        return list(near_first)
    places = np.unique(np.round((np.linspace(0, 1, count) ** 1.5) * (len(near_first) - 1)).astype(int))
    return [near_first[place] for place in places]


def _decide(
    votes: Float[np.ndarray, "vote height width 3"],
    count: np.ndarray,
    hole: Bool[np.ndarray, "height width"],
    agreement: float,
) -> tuple[Float[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
    """The mean of the votes near their median; nothing where the votes are at odds with each other."""
    rows, columns = np.nonzero(hole & (count > 0))
    fill = np.zeros((*hole.shape, 3), np.float32)
    seen = np.zeros(hole.shape, bool)
    if len(rows) == 0:
        return fill, seen
    cast = votes[:, rows, columns]
    given = ~np.isnan(cast[..., 0])
    ordered = np.sort(np.where(given[..., None], cast, np.inf), 0)
    middle = np.take_along_axis(ordered, ((given.sum(0) - 1) // 2)[None, :, None].repeat(3, 2), 0)[0]
    near = given & (np.abs(np.where(given[..., None], cast, np.inf) - middle).max(-1) < agreement)
    weight = near[..., None].astype(np.float32)
    mean = np.where(near[..., None], cast, 0.0).sum(0) / np.maximum(weight.sum(0), 1.0)
    agreed = near.sum(0) * 2 >= given.sum(0)
    fill[rows, columns] = np.where(near.any(0)[:, None], mean, middle)
    seen[rows, columns] = agreed & near.any(0)
    return fill, seen
