"""One frame of a travelling camera, cleaned with care.

The depth of the set behind the actor is swept; frames before and after are brought in along it and vote; what nobody
saw comes from the anchor before, or is made up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.camera import CameraPath
from understudy.core.footage import CameraSolution, Shot
from understudy.decompose.plate.blend import BlendConfig, Box, box_of, in_shadow
from understudy.decompose.plate.depth import Source, carry_inverse_depth, look_into, small_box
from understudy.decompose.plate.holes import foot_row, grown_by_what_moved, holes_of, read_masks, reduced
from understudy.decompose.plate.plane_sweep import SweepConfig, background_inverse_depth
from understudy.decompose.plate.warp_fit import Fit, fit, full_size
from understudy.imaging.inpaint import InfillConfig, infill, spread_inwards
from understudy.io.video.streams import read_frames
from understudy.runtime.errors import FootageError

_SAMPLES = 12
"""Sources that tell what the clean set looks like."""
_AGREED = 10.0
"""Sources whose 8-bit levels spread less than this agree on what the clean set looks like."""

__all__ = ["Anchor", "AnchorMaker", "ParallaxConfig"]


@dataclass(frozen=True)
class ParallaxConfig:
    """How a travelling camera's plate is made."""

    anchor_spacing: int = 8
    """Frames from one carefully cleaned frame to the next."""
    source_spacing: int = 4
    """Frames from one source to the next; divides the anchors' spacing."""
    reach: int = 48
    """How far before and after an anchor sources are kept, in frames."""
    far_sources: int = 16
    """Further sources, evenly spread over the whole shot."""
    memory_mb: int = 500
    """Most memory for sources; of large pictures fewer are kept."""
    votes: int = 5
    """Sources, nearest in time first, that vote on a pixel."""
    agreement: float = 22.0
    """Votes within this many 8-bit levels of their median agree."""
    good_clearance: float = 0.025
    """How far from a source's own hole a vote should come from, as a share of the picture's height."""
    least_clearance: float = 0.006
    """How far at least: taken where nothing better is seen."""
    sweep: SweepConfig = field(default_factory=SweepConfig)


@dataclass(frozen=True)
class Anchor:
    """A cleaned frame."""

    time: int
    box: Box
    """What was cleaned; its sides lie on multiples of the reduction."""
    picture: UInt8[np.ndarray, "height width 3"]
    """The whole frame, clean in the box."""
    small: Float[np.ndarray, "rows columns 3"]
    """The same at reduced size."""
    made_up: Bool[np.ndarray, "height width"]
    """Where nobody saw what is there."""
    inverse_depth: Float[np.ndarray, "box_rows box_columns"]
    """Of the set, in the small box."""


class AnchorMaker:
    """Makes the anchors of a shot in order. Keeps far sources for the whole shot and a sliding window of near ones."""

    def __init__(
        self,
        shot: Shot,
        masks: Sequence[Path],
        solution: CameraSolution,
        config: ParallaxConfig,
        blend: BlendConfig,
        infill_config: InfillConfig,
    ) -> None:
        self.scale = max(2, round(shot.height / 150))
        self._config, self._blend, self._infill, self._solution = config, blend, infill_config, solution
        self._length = len(shot)
        self._least_clearance = max(2, round(config.least_clearance * shot.height))
        self._good_clearance = min(max(4, round(config.good_clearance * shot.height)), 120)
        wanted = config.far_sources + 2 * config.reach // config.source_spacing
        share = min(1.0, config.memory_mb * 1e6 / (4 * shot.width * shot.height) / wanted)
        self._reach = max(round(share * config.reach), config.anchor_spacing)
        self._holes: dict[int, Box | None] = {}
        self._window: dict[int, Source] = {}
        self._ahead = enumerate(zip(read_frames(shot), read_masks(masks), strict=True))
        self._read_to = -1
        far = np.unique(
            np.linspace(0, len(shot) - 1, min(max(4, round(share * config.far_sources)), len(shot))).round().astype(int)
        ).tolist()
        self._far = dict(self._read_far(shot, masks, far))

    def _read_far(self, shot: Shot, masks: Sequence[Path], times: Sequence[int]) -> Iterator[tuple[int, Source]]:
        for time, frame, mask in zip(times, read_frames(shot, times), read_masks(masks, times), strict=True):
            yield time, self._source(time, frame, mask)

    def anchor_at(self, time: int, previous: Anchor | None) -> Anchor | None:
        """The cleaned frame at `time` (a multiple of the spacing, or the last); None if no frame near has a hole."""
        self._look_ahead(time)
        target = self._window[time]
        box = self._needed(time, target)
        if box is None:
            return None
        sources = {**self._far, **self._window}
        sources.pop(time, None)
        near_first = sorted(sources.values(), key=lambda source: abs(source.time - time))
        inherited = None
        if previous is not None:
            before = (previous.time, previous.box, previous.inverse_depth)
            inherited = carry_inverse_depth(self._solution.camera, *before, time, box, self.scale)
        depth = background_inverse_depth(
            target, box, self.scale, near_first, self._solution, self._config.sweep, inherited
        )
        picture, made_up = target.picture.copy(), np.zeros(target.clearance.shape, bool)
        if target.hole.any():
            self._fill(target, box, depth, near_first, previous, picture, made_up)
        return Anchor(time, box, picture, reduced(picture, self.scale).astype(np.float32), made_up, depth)

    def _source(self, time: int, picture: np.ndarray, masks: Sequence[np.ndarray]) -> Source:
        hole, others, *_ = holes_of(masks, self._blend)
        distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 3)
        clearance = np.minimum(np.ceil(distance), 127).astype(np.uint8) | (others.astype(np.uint8) << 7)
        free = (distance > self._least_clearance) & ~others
        small_free = (reduced(free.astype(np.float32), self.scale) > 0.99).astype(np.float32)
        small = reduced(picture, self.scale).astype(np.float32)
        return Source(time, picture.copy(), clearance, small, small_free)

    def _look_ahead(self, time: int) -> None:
        """Read on until `reach` frames after `time`; forget what lies as far behind."""
        goal = min(time + self._reach, self._length - 1)
        while self._read_to < goal:
            index, (frame, masks) = next(self._ahead)
            self._read_to = index
            grown = round((self._blend.growth + self._blend.growth_below) * frame.shape[0])
            self._holes[index] = box_of(masks[0] >= self._blend.mask_threshold, grown)
            if index % self._config.source_spacing == 0 or index == self._length - 1:
                self._window[index] = self._source(index, frame, masks)
        for kept in (self._window, self._holes):
            for old in [index for index in kept if index < time - self._reach]:
                del kept[old]

    def _needed(self, time: int, target: Source) -> Box | None:
        """The box in the anchor that the frames around it, their holes and shadows, look at."""
        corners = []
        spacing, camera = self._config.anchor_spacing, self._solution.camera
        T = np.linalg.inv(camera.T_world_camera[time])
        z = self._solution.points @ T[2, :3] + T[2, 3]
        inverse = float(np.median(1.0 / z[z > 1e-6])) if (z > 1e-6).any() else 0.0
        for index in range(max(0, time - spacing), min(self._length, time + spacing + 1)):
            hole = self._holes.get(index)
            if hole is None:
                continue
            extent = np.array([hole.right - hole.left, hole.bottom - hole.top])
            for w in (0.0, inverse, 2 * inverse):
                corner = look_into(camera, index, time, hole, 1, np.full((1, 1), w, np.float32))[0, 0]
                corners += [corner, corner + extent]
        if not corners:
            return None
        (left, top), (right, bottom) = np.min(corners, 0), np.max(corners, 0)
        margin = 40 + round(self._blend.near_shadow * max(right - left, bottom - top))
        height, width = target.clearance.shape
        step = self.scale
        box = Box(
            max(int(top) - 40, 0) // step * step,
            min(int(bottom) + margin, height),
            max(int(left) - margin, 0) // step * step,
            min(int(right) + margin, width),
        )
        return box if min(box.shape) >= 4 * step else None

    def _fill(
        self,
        target: Source,
        box: Box,
        depth: Float[np.ndarray, "rows columns"],
        sources: Sequence[Source],
        previous: Anchor | None,
        picture: UInt8[np.ndarray, "height width 3"],
        made_up: Bool[np.ndarray, "height width"],
    ) -> None:
        """Write the anchor's hole into `picture`; mark in `made_up` what nobody saw."""
        others = target.others[box.slices]
        small, known = self._small(target.small, box), self._small(target.small_free, box) > 0
        views = _Views(self._solution.camera, target.time, box, depth, small, known, self.scale)
        clean, sure, lit = _clean_small(sources, views)
        # Shadows are looked for on the ground: elsewhere, what is darker in some frames may be another thing.
        lit[: foot_row(self._small(reduced(target.hole.astype(np.float32), self.scale), box) > 0)] = 0.0
        views.lit, known_lit = lit, lit.any(-1)
        clean, sure = np.where(known_lit[..., None], views.lit, clean), sure | known_lit
        hole = grown_by_what_moved(small, clean, target.hole[box.slices], others, sure, self._blend, below=True)
        inner = box_of(hole, 8)
        if inner is None:
            return
        hole = hole[inner.slices]
        fill, seen = self._vote(hole, sources, views, inner)
        crop = picture[box.slices][inner.slices]
        result = np.where(hole[..., None], fill, crop.astype(np.float32))
        missing = hole & ~seen
        if missing.any() and previous is not None:
            view = views.fit(previous.time, previous.small)
            at = full_size(view, inner, self.scale)
            height, width = made_up.shape
            inside = (at >= 1).all(-1) & (at[..., 0] <= width - 2) & (at[..., 1] <= height - 2)
            carried = cv2.remap(previous.picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            usable = missing & inside
            carried = carried * view.gain + view.offset
            carried += _bend(result - carried, ~missing & inside, missing)
            result[usable] = carried[usable]
            made_up[box.slices][inner.slices] |= usable
            missing &= ~usable
        if missing.any():
            result = self._invent(target, box, inner, picture, result, missing)
            made_up[box.slices][inner.slices] |= missing
        crop[:] = np.clip(np.rint(result), 0, 255).astype(np.uint8)

    def _invent(
        self,
        target: Source,
        box: Box,
        inner: Box,
        picture: UInt8[np.ndarray, "height width 3"],
        result: Float[np.ndarray, "rows columns 3"],
        missing: Bool[np.ndarray, "rows columns"],
    ) -> Float[np.ndarray, "rows columns 3"]:
        """Make up what is missing, from a wider surrounding than the hole's own box."""
        height, width = target.hole.shape
        top, left = box.top + inner.top, box.left + inner.left
        # In a close-up, what is left of the picture beside the actor is needed, wherever it is.
        rim = max(height, width) if target.hole.mean() > 0.4 else max(inner.shape) // 3
        wide = Box(
            max(top - rim, 0),
            min(top + inner.shape[0] + rim, height),
            max(left - rim, 0),
            min(left + inner.shape[1] + rim, width),
        )
        place = (slice(top - wide.top, top - wide.top + inner.shape[0]), slice(left - wide.left, None))
        place = (place[0], slice(place[1].start, place[1].start + inner.shape[1]))
        whole = picture[wide.slices].astype(np.float32)
        whole[place] = result
        hole = np.zeros(wide.shape, bool)
        hole[place] = missing
        others = target.others[wide.slices]
        blocked = ((target.clearance[wide.slices] & 127) <= self._least_clearance) | others
        blocked[place] = missing | others[place]
        known = ~blocked & ~hole
        if not known.any():
            raise FootageError(
                f"the actor hides the whole picture at frame {target.time}: nothing tells what the set looks like; "
                "choose a range in which the set is seen"
            )
        return infill(whole, hole, known, self._infill, seed=target.time)[place]

    def _small(self, picture: np.ndarray, box: Box) -> np.ndarray:
        """A box of a picture that is at reduced size already."""
        rows, columns = small_box(box, self.scale)
        top, left = box.top // self.scale, box.left // self.scale
        return picture[top : top + rows, left : left + columns]

    def _vote(
        self, hole: Bool[np.ndarray, "height width"], sources: Sequence[Source], views: "_Views", inner: Box
    ) -> tuple[Float[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
        """The mean of the nearest sources' agreeing votes in the hole, and where there was agreement.

        What a source shows in shadow is no vote: the actor's shadow walks along, and lies there in all frames near.
        """
        rows, columns = np.nonzero(hole)
        votes = np.full((len(rows), self._config.votes, 3), np.nan, np.float32)
        count = np.zeros(len(rows), np.int64)
        voted = np.zeros((len(sources), len(rows)), bool)
        # Best votes first: well clear of the actor; then close to them; then with other people in the way.
        for clearance, enough, allow_others, least_share in (
            (self._good_clearance, 2, False, 0.004),
            (self._good_clearance, self._config.votes, False, 0.1),
            (self._least_clearance, 2, False, 0.004),
            (self._least_clearance, 1, True, 0.004),
        ):
            few = least_share * len(rows) + 1
            for source, has_voted in zip(sources, voted, strict=True):
                if np.count_nonzero(count < enough) < few:
                    break
                wanting = np.flatnonzero((count < enough) & ~has_voted)
                if len(wanting) < few:
                    continue
                if views.sees(source, rows[wanting] + inner.top, columns[wanting] + inner.left, clearance) < few:
                    continue
                view = views.fit(source.time, source.small)
                at = _positions(view, inner, rows[wanting], columns[wanting], self.scale)
                height, width = source.clearance.shape
                inside = (at >= 0).all(-1) & (at[:, 0] <= width - 1) & (at[:, 1] <= height - 1)
                place = np.rint(np.where(inside[:, None], at, 0)).astype(np.intp)
                state = source.clearance[place[:, 1], place[:, 0]]
                free = (state & 127) > clearance
                if not allow_others:
                    free &= state < 128
                cells = (rows[wanting] + inner.top) // self.scale, (columns[wanting] + inner.left) // self.scale
                free &= ~views.shaded(source, self._blend)[cells]
                who = np.flatnonzero(inside & free)
                if len(who) == 0:
                    continue
                colour = _sample(source.picture, at[who])
                votes[wanting[who], count[wanting[who]]] = colour * view.gain + view.offset
                count[wanting[who]] += 1
                has_voted[wanting[who]] = True
        fill, seen = np.zeros((*hole.shape, 3), np.float32), np.zeros(hole.shape, bool)
        fill[rows, columns], seen[rows, columns] = _decide(votes, count, self._config.agreement)
        return fill, seen


class _Views:
    """Pictures brought into an anchor's box, each fitted once and only when it is asked for."""

    def __init__(
        self,
        camera: CameraPath,
        time: int,
        box: Box,
        inverse_depth: Float[np.ndarray, "rows columns"],
        small: Float[np.ndarray, "rows columns 3"],
        known: Bool[np.ndarray, "rows columns"],
        scale: int,
    ) -> None:
        self._camera, self._time, self._box, self._depth = camera, time, box, inverse_depth
        self._small, self._known, self.scale = small, known, scale
        self._maps: dict[int, np.ndarray] = {}
        self._fits: dict[int, Fit] = {}
        self._shaded: dict[int, np.ndarray] = {}
        self.lit = np.zeros_like(small)
        """The set without shadows that come and go; 0 where that is not known."""

    def map(self, time: int) -> Float[np.ndarray, "rows columns 2"]:
        """Where the small box's pixels lie in frame `time`: full-size indices."""
        if time not in self._maps:
            self._maps[time] = look_into(self._camera, self._time, time, self._box, self.scale, self._depth)
        return self._maps[time]

    def fit(self, time: int, small: Float[np.ndarray, "source_rows source_columns 3"]) -> Fit:
        """Frame `time`, aligned and in the anchor's tone."""
        if time not in self._fits:
            self._fits[time] = fit(small, self.map(time), self._small, self._known, self.scale)
        return self._fits[time]

    def shaded(self, source: Source, config: BlendConfig) -> Bool[np.ndarray, "rows columns"]:
        """Where a source shows the set in shadow."""
        if source.time not in self._shaded:
            dark = in_shadow(self.fit(source.time, source.small).small, self.lit, config).astype(np.uint8)
            # Specks are texture, a little beside its place.
            dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
            self._shaded[source.time] = cv2.dilate(dark, np.ones((3, 3), np.uint8)) > 0
        return self._shaded[source.time]

    def sees(self, source: Source, rows: np.ndarray, columns: np.ndarray, clearance: int) -> int:
        """About how many of these pixels of the box the source sees past the actor."""
        step = max(1, len(rows) // 400)
        at = self.map(source.time)[rows[::step] // self.scale, columns[::step] // self.scale]
        height, width = source.clearance.shape
        inside = (at >= 0).all(-1) & (at[:, 0] <= width - 1) & (at[:, 1] <= height - 1)
        place = at[inside].astype(np.intp)
        return step * int(np.count_nonzero((source.clearance[place[:, 1], place[:, 0]] & 127) > clearance))


def _positions(view: Fit, inner: Box, rows: np.ndarray, columns: np.ndarray, scale: int) -> Float[np.ndarray, "n 2"]:
    """Where pixels of the inner box lie in the source; mapped in their own bounding box."""
    top, left = int(rows.min()), int(columns.min())
    tight = Box(
        inner.top + top, inner.top + int(rows.max()) + 1, inner.left + left, inner.left + int(columns.max()) + 1
    )
    return full_size(view, tight, scale)[rows - top, columns - left]


def _bend(
    difference: Float[np.ndarray, "height width 3"],
    both: Bool[np.ndarray, "height width"],
    missing: Bool[np.ndarray, "height width"],
) -> Float[np.ndarray, "height width 3"]:
    """The tone that a patch must take on to meet its surroundings without a seam, spread smoothly over it."""
    ring = (cv2.dilate(missing.astype(np.uint8), np.ones((17, 17), np.uint8)) > 0) & both
    if not ring.any():
        return np.zeros_like(difference)
    weight = reduced(ring.astype(np.float32), 4)
    value = reduced(np.clip(difference, -20, 20) * ring[..., None], 4)
    value = cv2.GaussianBlur(value, (0, 0), 1.5)
    weight = cv2.GaussianBlur(weight, (0, 0), 1.5)
    smooth = spread_inwards(value / np.maximum(weight, 1e-4)[..., None], weight > 0.05)
    height, width = missing.shape
    grown = cv2.resize(smooth, (smooth.shape[1] * 4, smooth.shape[0] * 4), interpolation=cv2.INTER_LINEAR)
    return grown[:height, :width]


def _sample(picture: UInt8[np.ndarray, "height width 3"], at: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Colours at positions (indices), by cubic interpolation."""
    # In rows of a fixed length: an image of one row may be wider than OpenCV's remap allows.
    length = 1024
    padded = np.zeros((-(-len(at) // length) * length, 2), np.float32)
    padded[: len(at)] = at
    grid = padded.reshape(-1, length, 2)
    colour = cv2.remap(picture, grid, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return colour.reshape(-1, 3)[: len(at)].astype(np.float32)


def _clean_small(
    sources: Sequence[Source], views: _Views
) -> tuple[Float[np.ndarray, "rows columns 3"], Bool[np.ndarray, "rows columns"], Float[np.ndarray, "rows columns 3"]]:
    """The set at reduced size, the median of a few sources, and where it is sure: at least four see it and nearly all
    agree. Then the set without what darkens it for a while: what the brighter sources agree on, 0 where they do not.
    """
    values, free = [], []
    for source in sources[:: max(1, len(sources) // _SAMPLES)]:
        found = views.fit(source.time, source.small)
        at = (found.coarse + 0.5) / views.scale - 0.5
        seen = cv2.remap(source.small_free, at, None, cv2.INTER_NEAREST, borderValue=0.0) > 0
        values.append(np.where((seen & found.small_inside)[..., None], found.small, np.inf))
        free.append(seen & found.small_inside)
    count = np.sum(free, 0)
    ordered = np.sort(np.stack(values), 0)

    def quantile(share: float) -> Float[np.ndarray, "rows columns 3"]:
        place = np.rint(np.maximum(count - 1, 0) * share).astype(int)
        return np.take_along_axis(ordered, place[None, ..., None].repeat(3, -1), 0)[0]

    middle = np.where(count[..., None] > 0, quantile(0.5), 0.0).astype(np.float32)
    with np.errstate(invalid="ignore"):
        spread, brighter = ((quantile(a) - quantile(b)).max(-1) for a, b in ((0.8, 0.2), (0.85, 0.55)))
        lit = np.where(((count >= 4) & (brighter < 2 * _AGREED))[..., None], quantile(0.7), 0.0)
    return middle, (count >= 4) & (spread < _AGREED), lit.astype(np.float32)


def _decide(
    votes: Float[np.ndarray, "n vote 3"], count: np.ndarray, agreement: float
) -> tuple[Float[np.ndarray, "n 3"], Bool[np.ndarray, " n"]]:
    """The mean of the votes near their median; not sure where most votes are at odds with it."""
    given = np.arange(votes.shape[1]) < count[:, None]
    cast = np.where(given[..., None], votes, np.inf)
    middle = np.take_along_axis(np.sort(cast, 1), np.maximum((count - 1) // 2, 0)[:, None, None].repeat(3, 2), 1)[:, 0]
    middle = np.where(count[:, None] > 0, middle, 0.0)
    near = given & (np.abs(cast - middle[:, None]).max(-1) < agreement)
    total = np.where(near[..., None], cast, 0.0).sum(1)
    number = near.sum(1)
    fill = np.where(number[:, None] > 0, total / np.maximum(number, 1)[:, None], middle)
    return fill.astype(np.float32), (number > 0) & (number * 2 >= count)
