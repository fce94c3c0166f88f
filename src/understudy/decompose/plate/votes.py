"""What other frames say of a keyframe's hole: each brought in along the depth, and their votes counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, UInt8

from understudy.core.camera import UnscaledCameraPath
from understudy.decompose.plate.blend import BlendConfig, Box, in_shadow
from understudy.decompose.plate.depth import look_into, small_part
from understudy.decompose.plate.sources import Source
from understudy.decompose.plate.warp_fit import WarpFit, WarpTarget, fit_warp, in_lines, positions_of, small_index
from understudy.imaging.channels import channel_max, inside_picture
from understudy.runtime.checks import check_options
from understudy.runtime.parallel import in_order

__all__ = ["ReferencePicture", "TargetKeyframe", "VoteConfig", "Voter", "count_votes", "reference_of", "warp_sources"]

_SAMPLES = 12
"""Sources that tell what the clean set looks like."""
_AGREED = 10.0
"""Sources whose 8-bit levels spread less than this agree on what the clean set looks like."""
_MIN_SAMPLES = 4
"""Sources that must see a place before it is sure what it looks like."""
_FEW, _MANY_FEW = 0.004, 0.1
"""Shares of a hole's pixels: for fewer than these no further source is asked, for the first votes and for more."""


_BAND = 16_384
"""Pixels of a hole that are voted on together: their votes fit into a core's cache."""


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
class TargetKeyframe:
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

    @cached_property
    def reduced(self) -> WarpTarget:
        """The box at reduced size."""
        part = small_part(self.box, self.scale)
        return WarpTarget(self.source.small[part], self.source.small_free[part] > 0)

    def warp(
        self,
        time: int,
        small: Float[np.ndarray, "source_rows source_columns 3"],
        positions: Float[np.ndarray, "rows columns 2"] | None = None,
    ) -> WarpFit:
        """A frame of the shot, given at reduced size, brought into the box and its tone.

        `positions`: what `positions_in` says of it, if it was asked already.
        """
        positions = self.positions_in(time) if positions is None else positions
        return fit_warp(small, positions, self.reduced, self.scale)

    def positions_in(self, time: int) -> Float[np.ndarray, "rows columns 2"]:
        """Where the small box's pixels lie in frame `time`: full-size indices."""
        return look_into(self.camera, self.source.time, time, self.box, self.scale, self.inverse_depth)


@dataclass(frozen=True)
class ReferencePicture:
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


def reference_of(target: TargetKeyframe, sources: Sequence[Source]) -> ReferencePicture:
    """What the set looks like, by a few of the sources."""
    asked = sources[:: max(1, len(sources) // _SAMPLES)]
    warps = list(in_order(lambda source: target.warp(source.time, source.small), asked))
    values, free = [], []
    for source, warp in zip(asked, warps, strict=True):
        at = small_index(warp.coarse, target.scale)
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
        spread, brighter = (channel_max(quantile(a) - quantile(b)) for a, b in ((0.8, 0.2), (0.85, 0.55)))
        lit = np.where((enough & (brighter < 2 * _AGREED))[..., None], quantile(0.7), 0.0)
    by_time = {source.time: warp for source, warp in zip(asked, warps, strict=True)}
    return ReferencePicture(middle, enough & (spread < _AGREED), lit.astype(np.float32), by_time)


def warp_sources(
    target: TargetKeyframe,
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
        warp = known.get(source.time)
        positions = target.positions_in(source.time) if warp is None else warp.coarse
        if _seen_by(source, positions, rows + inner.top, columns + inner.left, target.scale, min_clearance_px) == 0:
            return None
        warp = warp or target.warp(source.time, source.small, positions)
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

    Args:
        hole: in `inner`, which is a part of the target's box.
        voters: the best first.
    """
    fill, seen = np.zeros((*hole.shape, 3), np.float32), np.zeros(hole.shape, bool)
    rows, columns = (place.astype(np.int32) for place in np.nonzero(hole))
    bands = [slice(first, first + _BAND) for first in range(0, len(rows), _BAND)]

    def poll(band: slice) -> tuple[Float[np.ndarray, "n 3"], Bool[np.ndarray, " n"]]:
        place = rows[band] + np.int32(inner.top), columns[band] + np.int32(inner.left)
        votes, count = _poll(*place, voters, scale, config, min_clearance_px)
        return _decide(votes, count, config.agreement)

    for band, (colour, agreed) in zip(bands, in_order(poll, bands), strict=True):
        fill[rows[band], columns[band]], seen[rows[band], columns[band]] = colour, agreed
    return fill, seen


def _poll(
    rows: Int32[np.ndarray, " n"],
    columns: Int32[np.ndarray, " n"],
    voters: Sequence[Voter],
    scale: int,
    config: VoteConfig,
    min_clearance_px: int,
) -> tuple[Float32[np.ndarray, "vote n 3"], Int32[np.ndarray, " n"]]:
    """The votes on pixels of the box, and how many each got."""
    votes = np.zeros((config.max_votes, len(rows), 3), np.float32)
    count = np.zeros(len(rows), np.int32)
    voted = np.zeros((len(voters), len(rows)), bool)
    good = config.good_clearance_px(voters[0].source.clearance.shape[0]) if voters else 0
    # Best votes first: well clear of the actor; then close to them; then with other people in the way.
    for clearance, enough, allow_others, share in (
        (good, 2, False, _FEW),
        (good, config.max_votes, False, _MANY_FEW),
        (min_clearance_px, 2, False, _FEW),
        (min_clearance_px, 1, True, _FEW),
    ):
        few = share * len(rows) + 1
        for voter, has_voted in zip(voters, voted, strict=True):
            open_to_votes = count < enough
            if np.count_nonzero(open_to_votes) < few:
                break
            wanting = np.flatnonzero(open_to_votes & ~has_voted)
            if len(wanting) < few:
                continue
            y, x = rows[wanting], columns[wanting]
            if _seen_by(voter.source, voter.warp.coarse, y, x, scale, clearance) < few:
                continue
            at = positions_of(voter.warp, y, x, scale)
            free = _is_free(voter, at, y // scale, x // scale, clearance, allow_others)
            who = wanting[free]
            if len(who) == 0:
                continue
            votes[count[who], who] = _sample(voter.source.picture, at[free]) * voter.warp.gain + voter.warp.offset
            count[who] += 1
            has_voted[who] = True
    return votes, count


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
    place = at[inside_picture(at, *source.clearance.shape)].astype(np.intp)
    return step * int(np.count_nonzero((source.clearance[place[:, 1], place[:, 0]] & 127) > clearance))


def _is_free(
    voter: Voter,
    at: Float32[np.ndarray, "n 2"],
    small_rows: Int[np.ndarray, " n"],
    small_columns: Int[np.ndarray, " n"],
    clearance: int,
    allow_others: bool,
) -> Bool[np.ndarray, " n"]:
    """Which pixels of the box a voter sees: in its picture, past the actor, in no shadow."""
    height, width = voter.source.clearance.shape
    inside = inside_picture(at, height, width)
    x = np.rint(np.clip(at[:, 0], 0, width - 1)).astype(np.intp)
    y = np.rint(np.clip(at[:, 1], 0, height - 1)).astype(np.intp)
    state = voter.source.clearance.ravel()[y * width + x]
    free = (state & 127) > clearance
    if not allow_others:
        free &= state < 128
    return inside & free & ~voter.shaded[small_rows, small_columns]


def _sample(picture: UInt8[np.ndarray, "height width 3"], at: Float32[np.ndarray, "n 2"]) -> Float32[np.ndarray, "n 3"]:
    """Colours at positions (indices), by cubic interpolation."""
    grid = in_lines(at)
    colour = cv2.remap(picture, grid, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return colour.reshape(-1, 3)[: len(at)].astype(np.float32)


def _decide(
    votes: Float32[np.ndarray, "vote n 3"], count: Int32[np.ndarray, " n"], agreement: float
) -> tuple[Float32[np.ndarray, "n 3"], Bool[np.ndarray, " n"]]:
    """The mean of the votes near their median; not sure where most votes are at odds with it."""
    given = [count > index for index in range(len(votes))]
    middle = _median(votes, given, count)
    total, number = np.zeros_like(middle), np.zeros(len(count), np.int32)
    for vote, cast in zip(votes, given, strict=True):
        near = cast & (channel_max(np.abs(vote - middle)[None])[0] < agreement)
        total += np.where(near[:, None], vote, np.float32(0))
        number += near
    fill = np.where(number[:, None] > 0, total / np.maximum(number, 1).astype(np.float32)[:, None], middle)
    return fill, (number > 0) & (number * 2 >= count)


def _median(
    votes: Float32[np.ndarray, "vote n 3"], given: Sequence[Bool[np.ndarray, " n"]], count: Int32[np.ndarray, " n"]
) -> Float32[np.ndarray, "n 3"]:
    """The (lower) median of the votes that were given, per channel; 0 without any."""
    ordered = [np.where(cast[:, None], vote, np.float32(np.inf)) for vote, cast in zip(votes, given, strict=True)]
    # Odd-even transposition: few votes, many pixels.
    for turn in range(len(ordered)):
        for index in range(turn % 2, len(ordered) - 1, 2):
            low, high = ordered[index], ordered[index + 1]
            ordered[index], ordered[index + 1] = np.minimum(low, high), np.maximum(low, high)
    middle = np.zeros_like(ordered[0])
    for index, value in enumerate(ordered):
        chosen = (count > 0) & ((np.maximum(count, 1) - 1) // 2 == index)
        middle[chosen] = value[chosen]
    return middle
