"""What other frames say of a keyframe's hole: each brought in along the depth, and their votes counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from understudy.core.camera import UnscaledCameraPath
from understudy.decompose.plate.blend import BlendConfig, Box, in_shadow
from understudy.decompose.plate.depth import look_into, small_part
from understudy.decompose.plate.sources import Source
from understudy.decompose.plate.warp_fit import WarpFit, fit_warp, full_size_map
from understudy.runtime.checks import check_options
from understudy.runtime.parallel import in_order

__all__ = ["Reference", "Target", "VoteConfig", "Voter", "count_votes", "reference_of", "warp_sources"]

_SAMPLES = 12
"""Sources that tell what the clean set looks like."""
_AGREED = 10.0
"""Sources whose 8-bit levels spread less than this agree on what the clean set looks like."""
_MIN_SAMPLES = 4
"""Sources that must see a place before it is sure what it looks like."""
_FEW, _MANY_FEW = 0.004, 0.1
"""Shares of a hole's pixels: for fewer than these no further source is asked, for the first votes and for more."""


@dataclass(frozen=True)
class VoteConfig:
    """How other frames vote on what is behind the actor."""

    max_votes: int = 5
    """Sources, nearest in time first, that vote on a pixel."""
    agreement: float = 22.0
    """Votes within this many 8-bit levels of their median agree."""
    good_clearance: float = 0.025
    """How far from a source's own hole a vote should come from, as a share of the picture's height; one from nearer is
    taken where nothing better is seen."""

    def __post_init__(self) -> None:
        check_options(self, max_votes=(1, 100), agreement=(0, 255), good_clearance=(0, 1))

    def good_clearance_px(self, height: int) -> int:
        """`good_clearance` in pixels of a picture of this height."""
        return min(max(4, round(self.good_clearance * height)), 120)


@dataclass(frozen=True)
class Target:
    """A keyframe into which sources are brought."""

    source: Source
    """As it was filmed."""
    box: Box
    """The part of it that is needed."""
    scale: int
    """By how much the small pictures are reduced."""
    camera: UnscaledCameraPath
    inverse_depth: Float[np.ndarray, "rows columns"]
    """Of the set, in the small box."""

    @property
    def small(self) -> Float[np.ndarray, "rows columns 3"]:
        """The box at reduced size."""
        return self.source.small[small_part(self.box, self.scale)]

    def warp(self, time: int, small: Float[np.ndarray, "source_rows source_columns 3"]) -> WarpFit:
        """A frame of the shot, given at reduced size, aligned with the box and in its tone."""
        known = self.source.small_free[small_part(self.box, self.scale)] > 0
        return fit_warp(small, self.positions_in(time), self.small, known, self.scale)

    def positions_in(self, time: int) -> Float[np.ndarray, "rows columns 2"]:
        """Where the small box's pixels lie in frame `time`: full-size indices."""
        return look_into(self.camera, self.source.time, time, self.box, self.scale, self.inverse_depth)


@dataclass(frozen=True)
class Reference:
    """The set in the target's box at reduced size, as far as a few sources agree on it."""

    clean: Float[np.ndarray, "rows columns 3"]
    """Their median."""
    sure: Bool[np.ndarray, "rows columns"]
    """Where enough see it and nearly all agree."""
    lit: Float[np.ndarray, "rows columns 3"]
    """The set without what darkens it for a while: what the brighter sources agree on; 0 where they do not."""
    warps: Mapping[int, WarpFit]
    """The sources that were asked, by their time."""


@dataclass(frozen=True)
class Voter:
    """A source as the target sees it."""

    source: Source
    warp: WarpFit
    shaded: Bool[np.ndarray, "rows columns"]
    """Where it shows the set in shadow, in the small box."""


def reference_of(target: Target, sources: Sequence[Source]) -> Reference:
    """What the set looks like, by a few of the sources."""
    asked = sources[:: max(1, len(sources) // _SAMPLES)]
    warps = list(in_order(lambda source: target.warp(source.time, source.small), asked))
    values, free = [], []
    for source, warp in zip(asked, warps, strict=True):
        at = (warp.coarse + 0.5) / target.scale - 0.5
        seen = cv2.remap(source.small_free, at, None, cv2.INTER_NEAREST, borderValue=0.0) > 0
        values.append(np.where((seen & warp.small_inside)[..., None], warp.small, np.inf))
        free.append(seen & warp.small_inside)
    count = np.sum(free, 0)
    ordered = np.sort(np.stack(values), 0)

    def quantile(share: float) -> Float[np.ndarray, "rows columns 3"]:
        place = np.rint(np.maximum(count - 1, 0) * share).astype(int)
        return np.take_along_axis(ordered, place[None, ..., None].repeat(3, -1), 0)[0]

    enough = count >= _MIN_SAMPLES
    middle = np.where(count[..., None] > 0, quantile(0.5), 0.0).astype(np.float32)
    with np.errstate(invalid="ignore"):
        spread, brighter = ((quantile(a) - quantile(b)).max(-1) for a, b in ((0.8, 0.2), (0.85, 0.55)))
        lit = np.where((enough & (brighter < 2 * _AGREED))[..., None], quantile(0.7), 0.0)
    by_time = {source.time: warp for source, warp in zip(asked, warps, strict=True)}
    return Reference(middle, enough & (spread < _AGREED), lit.astype(np.float32), by_time)


def warp_sources(
    target: Target,
    sources: Sequence[Source],
    hole: Bool[np.ndarray, "height width"],
    inner: Box,
    lit: Float[np.ndarray, "rows columns 3"],
    known: Mapping[int, WarpFit],
    blend: BlendConfig,
    min_clearance_px: int,
) -> list[Voter]:
    """The sources that see some of a hole past the actor, brought into the target's box, in the same order.

    Args:
        hole: in `inner`, which is a part of the target's box.
        lit: the set without shadows that come and go; 0 where that is not known.
        known: sources that were brought in already, by their time.
    """
    rows, columns = np.nonzero(hole)

    def voter(source: Source) -> Voter | None:
        positions = target.positions_in(source.time)
        if _seen_by(source, positions, rows + inner.top, columns + inner.left, target.scale, min_clearance_px) == 0:
            return None
        warp = known.get(source.time) or target.warp(source.time, source.small)
        dark = in_shadow(warp.small, lit, blend).astype(np.uint8)
        # Specks are texture, a little beside its place.
        dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        return Voter(source, warp, cv2.dilate(dark, np.ones((3, 3), np.uint8)) > 0)

    return [found for found in in_order(voter, sources) if found is not None]


def count_votes(
    hole: Bool[np.ndarray, "height width"],
    inner: Box,
    voters: Sequence[Voter],
    scale: int,
    config: VoteConfig,
    min_clearance_px: int,
) -> tuple[Float[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
    """The mean of the nearest sources' agreeing votes in the hole, and where there was agreement.

    What a source shows in shadow is no vote: the actor's shadow walks along, and lies there in all frames near.
    """
    rows, columns = np.nonzero(hole)
    votes = np.full((len(rows), config.max_votes, 3), np.nan, np.float32)
    count = np.zeros(len(rows), np.int64)
    voted = np.zeros((len(voters), len(rows)), bool)
    good = config.good_clearance_px(voters[0].source.hole.shape[0]) if voters else 0
    # Best votes first: well clear of the actor; then close to them; then with other people in the way.
    for clearance, enough, allow_others, share in (
        (good, 2, False, _FEW),
        (good, config.max_votes, False, _MANY_FEW),
        (min_clearance_px, 2, False, _FEW),
        (min_clearance_px, 1, True, _FEW),
    ):
        few = share * len(rows) + 1
        for voter, has_voted in zip(voters, voted, strict=True):
            if np.count_nonzero(count < enough) < few:
                break
            wanting = np.flatnonzero((count < enough) & ~has_voted)
            if len(wanting) < few:
                continue
            place = rows[wanting] + inner.top, columns[wanting] + inner.left
            if _seen_by(voter.source, voter.warp.coarse, *place, scale, clearance) < few:
                continue
            at = _positions(voter.warp, *place, scale)
            free = _is_free(voter, at, place, scale, clearance, allow_others)
            who = np.flatnonzero(free)
            if len(who) == 0:
                continue
            colour = _sample(voter.source.picture, at[who])
            votes[wanting[who], count[wanting[who]]] = colour * voter.warp.gain + voter.warp.offset
            count[wanting[who]] += 1
            has_voted[wanting[who]] = True
    fill, seen = np.zeros((*hole.shape, 3), np.float32), np.zeros(hole.shape, bool)
    fill[rows, columns], seen[rows, columns] = _decide(votes, count, config.agreement)
    return fill, seen


def _seen_by(
    source: Source,
    positions: Float[np.ndarray, "small_rows small_columns 2"],
    rows: Int[np.ndarray, " n"],
    columns: Int[np.ndarray, " n"],
    scale: int,
    clearance: int,
) -> int:
    """About how many of these pixels of the box a source sees past the actor."""
    step = max(1, len(rows) // 400)
    at = positions[rows[::step] // scale, columns[::step] // scale]
    height, width = source.clearance.shape
    inside = (at >= 0).all(-1) & (at[:, 0] <= width - 1) & (at[:, 1] <= height - 1)
    place = at[inside].astype(np.intp)
    return step * int(np.count_nonzero((source.clearance[place[:, 1], place[:, 0]] & 127) > clearance))


def _is_free(
    voter: Voter,
    at: Float[np.ndarray, "n 2"],
    place: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]],
    scale: int,
    clearance: int,
    allow_others: bool,
) -> Bool[np.ndarray, " n"]:
    """Which pixels of the box a voter sees: in its picture, past the actor, in no shadow."""
    height, width = voter.source.clearance.shape
    inside = (at >= 0).all(-1) & (at[:, 0] <= width - 1) & (at[:, 1] <= height - 1)
    nearest = np.rint(np.where(inside[:, None], at, 0)).astype(np.intp)
    state = voter.source.clearance[nearest[:, 1], nearest[:, 0]]
    free = (state & 127) > clearance
    if not allow_others:
        free &= state < 128
    return inside & free & ~voter.shaded[place[0] // scale, place[1] // scale]


def _positions(
    warp: WarpFit, rows: Int[np.ndarray, " n"], columns: Int[np.ndarray, " n"], scale: int
) -> Float[np.ndarray, "n 2"]:
    """Where pixels of the box lie in the source; mapped in their own bounding box."""
    top, left = int(rows.min()), int(columns.min())
    tight = Box(top, int(rows.max()) + 1, left, int(columns.max()) + 1)
    return full_size_map(warp, tight, scale)[rows - top, columns - left]


def _sample(picture: UInt8[np.ndarray, "height width 3"], at: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Colours at positions (indices), by cubic interpolation."""
    # In rows of a fixed length: an image of one row may be wider than OpenCV's remap allows.
    length = 1024
    padded = np.zeros((-(-len(at) // length) * length, 2), np.float32)
    padded[: len(at)] = at
    grid = padded.reshape(-1, length, 2)
    colour = cv2.remap(picture, grid, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return colour.reshape(-1, 3)[: len(at)].astype(np.float32)


def _decide(
    votes: Float[np.ndarray, "n vote 3"], count: Int[np.ndarray, " n"], agreement: float
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
