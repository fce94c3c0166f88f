"""What moved beside the actor, sorted: what goes with the actor, and what stays because it moves by itself.

The actor takes along the cast shadow (see `plate_shadow`) and what hangs on the body: hair, a racket, a scarf. A thing
that was ever seen on its own (an animal, a ball, a car, a flag, the shadow of a cloud) is followed through all frames,
forwards and backwards, and left whole in all of them.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float

from understudy.decompose.plate.blend import BlendConfig
from understudy.decompose.plate.shadow import Comparison, ShadowZone, moved_levels, opened, relit, wide_shadow
from understudy.imaging.channels import channel_max
from understudy.runtime.parallel import in_order

__all__ = ["CHUNK", "MovedRegions", "sort_moved_regions"]

CHUNK = 48
"""Frames that are sorted at once."""
_MIN_AREA = 5
"""Reduced pixels: less is noise."""
_MIN_KNOWN = 12
"""Reduced pixels of a thing that is told from the actor where they touch."""
_MAX_THINGS = 60
"""Things that are followed at once, the largest: leaves in the wind are many more."""
_MAX_MATCHED = 12
"""Things whose way is found by their looks; more are small, and stay about where they are."""
_SEARCH = 16
"""How far from where it is expected a thing is looked for, in reduced pixels."""
_SIGHT = 0.3
"""Share of a thing that must be in sight for it to be found by its looks."""
_SAME = 0.2
"""Of its contrast to the clean set: by how much a thing that is found far from where it is expected may look different.
"""
_ALIKE = 14.0
"""8-bit levels within which a pixel looks like the thing's own."""
_TRUSTED = 3
"""Frames in which a thing must be seen on its own to be known again when it touches the actor."""
_FORGET = 20
"""Frames after which a thing that is not seen any more is forgotten."""


@dataclass(frozen=True)
class MovedRegions:
    """What moved in one frame, at reduced size."""

    taken: Bool[np.ndarray, "rows columns"]
    """What goes with the actor."""
    things: Bool[np.ndarray, "rows columns"]
    """What stays, though it may touch the actor."""
    light: Float[np.ndarray, "rows columns 3"] | None = None
    """How much of the clean set's light is left where a cloud's shadow lies; None where none does."""


@dataclass
class _Thing:
    """Something that moves by itself."""

    shape: Bool[np.ndarray, "rows columns"]
    """When it was last seen on its own, in a box."""
    looks: Float[np.ndarray, "rows columns 3"]
    corner: Float[np.ndarray, "2"]
    """Row and column of the box."""
    velocity: Float[np.ndarray, "2"]
    contrast: float
    """The mean squared difference to the clean set."""
    dark: bool
    """Whether it looks like the set in shadow."""
    alone: int = 1
    """In how many frames it was seen on its own."""
    unseen: int = 0
    found: bool = True
    """Whether the frame shows it where it is thought to be, or it is hidden there."""


@dataclass(frozen=True)
class _Look:
    """A frame as it is sorted."""

    comparison: Comparison
    moved: Bool[np.ndarray, "rows columns"]
    """All that differs from the clean set, outside the actor's mask."""
    shadow: Bool[np.ndarray, "rows columns"]
    """What may be the actor's shadow."""
    always: Bool[np.ndarray, "rows columns"]
    """The part of it that lies where the shadow always lies."""
    shaded: Bool[np.ndarray, "rows columns"]
    """What looks like the set in shadow, wherever it lies."""
    near: Bool[np.ndarray, "rows columns"]
    """What lies mostly beyond is seen on its own."""
    held: Bool[np.ndarray, "rows columns"]
    """Where what hangs on the actor may be."""
    light: Float[np.ndarray, "rows columns 3"] | None


def sort_moved_regions(
    frames: Iterable[Comparison], zone: ShadowZone, config: BlendConfig, chunk: int = CHUNK
) -> Iterator[MovedRegions]:
    """Sort what moved in each frame, in order, knowing the frames before it and `chunk` or more after it."""
    ahead: deque[Comparison] = deque()
    looks: deque[_Look] = deque()
    source = iter(frames)
    forwards: list[_Thing] = []
    before: Bool[np.ndarray, "rows columns"] | np.bool_ = np.False_
    while True:
        while len(looks) + len(ahead) < 2 * chunk and (comparison := next(source, None)) is not None:
            ahead.append(comparison)
        zone.settle()
        looks.extend(in_order(lambda comparison: _look(comparison, zone, config), ahead))
        ahead.clear()
        if not looks:
            return
        backwards: list[_Thing] = []
        after: deque[np.ndarray] = deque()
        for look in reversed(looks):
            backwards, seen = _follow(backwards, look)
            after.appendleft(seen)
        for _ in range(min(chunk, len(looks))):
            look = looks.popleft()
            forwards, seen = _follow(forwards, look)
            things = seen | after.popleft()
            yield _sorted(look, things, before | after[0] if after else before)
            before = things


def _look(comparison: Comparison, zone: ShadowZone, config: BlendConfig) -> _Look:
    light = wide_shadow(comparison, zone.place(comparison.hole))
    if light is not None:
        comparison = replace(comparison, clean=relit(comparison.clean, light))
    moved = (moved_levels(comparison) > config.moved_levels) & ~comparison.person
    shadow = zone.cast(comparison) & comparison.known & ~comparison.person
    moved |= shadow
    moved = opened(moved)
    return _Look(
        comparison,
        moved,
        shadow & moved,
        moved & (shadow | comparison.hole) & zone.place(comparison.hole),
        zone.shaded(comparison) if zone.found else np.zeros_like(shadow),
        *(_within(comparison.hole, reach) for reach in (config.reach, config.held_reach)),
        light,
    )


def _within(hole: Bool[np.ndarray, "rows columns"], reach: float) -> Bool[np.ndarray, "rows columns"]:
    """Within a share of the hole's larger side from it."""
    if not hole.any():
        return np.zeros(hole.shape, bool)
    side = max(np.ptp(np.flatnonzero(hole.any(1))), np.ptp(np.flatnonzero(hole.any(0))))
    return cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 3) <= reach * side


def _sorted(
    look: _Look,
    things: Bool[np.ndarray, "rows columns"],
    around: Bool[np.ndarray, "rows columns"] | np.bool_,
) -> MovedRegions:
    """What goes: the shadow, and what hangs on the actor and lies within reach as a whole.

    `around`: where things are just before and after.
    """
    hole = look.comparison.hole
    things = _without_specks(things)
    shadow = look.shadow & ~hole & ~things
    own = look.moved & ~hole & ~shadow
    count, labels, stats, _ = cv2.connectedComponentsWithStats(own.astype(np.uint8))
    # A thing changes its shape: what hangs together with enough of it is it.
    things = things | ((np.bincount(labels[things & own], minlength=count) > 0.25 * stats[:, -1])[labels] & own)
    rest = own & ~_grown(things, 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(rest.astype(np.uint8))
    taken = shadow
    touching = np.unique(labels[_grown(hole, 1) & rest])
    within = np.bincount(labels[look.held & rest], minlength=count)
    stays = np.bincount(labels[around & rest], minlength=count) > 0.5 * stats[:, cv2.CC_STAT_AREA]
    stays[0] = False
    things = things | stays[labels]
    for label in touching[touching > 0].tolist():
        if within[label] > 0.9 * stats[label, cv2.CC_STAT_AREA] and not stays[label]:
            taken = taken | (labels == label)
    return MovedRegions(taken, things, look.light)


def _follow(things: Sequence[_Thing], look: _Look) -> tuple[list[_Thing], Bool[np.ndarray, "rows columns"]]:
    """The things in the next frame (in time or against it), and where they are seen there."""
    by_size = sorted(things, key=lambda thing: -int(np.count_nonzero(thing.shape)))
    places = []
    for rank, thing in enumerate(by_size):
        _advance(thing, look, rank < _MAX_MATCHED)
        places.append(_placed(thing, look.moved.shape))
    shadow = look.shadow.copy()
    for thing, place in zip(by_size, places, strict=True):
        if thing.alone >= _TRUSTED:
            shadow &= look.always | ~_grown(place, 1)
    parts = _Parts(look, shadow)
    hits = [parts.hit(place) for place in places]
    shared = np.sum(hits, 0) > 1 if hits else np.zeros(parts.count, bool)
    used = np.zeros(parts.count, bool)
    seen = np.zeros(look.moved.shape, bool)
    following: list[_Thing] = []
    for thing, place, hit in zip(by_size, places, hits, strict=True):
        near = _grown(place, 1)
        alone = np.isin(parts.labels, np.flatnonzero(hit & parts.apart & ~shared))
        used |= hit & parts.apart
        if alone.any() and not (hit & ~(parts.apart & ~shared)).any() and not (near & look.comparison.person).any():
            following.append(_thing(alone, look, thing.velocity, thing.alone + 1))
            seen |= alone
            continue
        here = ((near & look.moved) | (place & ~look.comparison.person)) & ~(look.always & ~_looks_so(thing, look))
        thing.unseen = 0 if thing.found and (here & look.moved).any() else thing.unseen + 1
        known = thing.alone >= _TRUSTED and np.count_nonzero(thing.shape) >= _MIN_KNOWN
        if known and thing.unseen <= _FORGET and near.any():
            used |= parts.mostly(near)
            following.append(_thing(place | alone, look, thing.velocity, thing.alone) if alone.any() else thing)
            if thing.found or alone.any():
                seen |= here | np.isin(parts.labels, np.flatnonzero(hit & parts.apart))
    fresh = parts.apart & parts.beyond & ~used & (parts.area >= _MIN_AREA)
    fresh[0] = False
    fresh[np.unique(parts.labels[seen])] = False
    largest = sorted(np.flatnonzero(fresh).tolist(), key=lambda label: -int(parts.area[label]))
    for label in largest[: max(_MAX_THINGS - len(following), 0)]:
        alone = _TRUSTED if parts.touching[label] else 1
        following.append(_thing(parts.labels == label, look, np.zeros(2), alone))
    return following, seen | fresh[parts.labels]


class _Parts:
    """What moved in a frame and is no shadow of the actor's, in connected parts."""

    def __init__(self, look: _Look, shadow: Bool[np.ndarray, "rows columns"]) -> None:
        own = look.moved & ~shadow
        self.count, self.labels, stats, _ = cv2.connectedComponentsWithStats(own.astype(np.uint8))
        self.area, self._own = stats[:, cv2.CC_STAT_AREA], own
        self.touching = np.zeros(self.count, bool)
        self.touching[np.unique(self.labels[_grown(look.comparison.hole | shadow, 1) & own])] = True
        self.beyond = self._share(~look.near) > 0.5
        # What is large and mostly out of reach is no part of the actor, though it may pass behind or before.
        large = self.area > 0.3 * np.count_nonzero(look.comparison.hole)
        self.apart = ~self.touching | (self.beyond & large)

    def _share(self, place: Bool[np.ndarray, "rows columns"]) -> Float[np.ndarray, " part"]:
        return np.bincount(self.labels[place & self._own], minlength=self.count) / self.area

    def hit(self, place: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, " part"]:
        """The parts that lie in a place, or in which it lies."""
        found = self._share(_grown(place, 1)) > 0.3
        inside = np.bincount(self.labels[place], minlength=self.count) > 0.5 * max(np.count_nonzero(place), 1)
        found |= inside
        found[0] = False
        return found

    def mostly(self, place: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, " part"]:
        """The parts of which most lies in a place."""
        return self._share(place) > 0.6


def _thing(
    whole: Bool[np.ndarray, "rows columns"], look: _Look, velocity: Float[np.ndarray, "2"], alone: int = 1
) -> _Thing:
    """A thing as it is seen on its own."""
    rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
    box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    corner = np.array([rows[0], columns[0]], float)
    looks, shape = look.comparison.small[box].astype(np.float32), whole[box].copy()
    contrast = max(float(((looks - look.comparison.clean[box])[shape] ** 2).mean()), 1.0)
    dark = bool(np.count_nonzero(look.shaded & whole) > 0.4 * np.count_nonzero(whole))
    return _Thing(shape, looks, corner, velocity, contrast, dark, alone)


def _advance(thing: _Thing, look: _Look, by_looks: bool) -> None:
    """Move a thing to where it is in the next frame: by its looks where it is in sight, else straight on."""
    expected = thing.corner + thing.velocity
    thing.corner, thing.found = expected, True
    rows, columns = thing.shape.shape
    if not by_looks or thing.shape.size >= 0.3 * look.moved.size:
        return
    top, left = (expected.round().astype(int) - _SEARCH).tolist()
    window = top, left, rows + 2 * _SEARCH, columns + 2 * _SEARCH
    # A shadow is not seen in a shadow.
    hidden = look.comparison.person | look.always if thing.dark else look.comparison.person
    sight = 1.0 - _window(hidden.astype(np.float32), *window)
    shape = thing.shape.astype(np.float32)
    visible = cv2.matchTemplate(sight, shape, cv2.TM_CCORR)
    still = sight * ~_window(look.moved, *window)
    unmoved = cv2.matchTemplate(still, shape, cv2.TM_CCORR) / np.maximum(visible, 1.0)
    in_sight = visible > _SIGHT * shape.sum()
    cost = _unlike(_window(look.comparison.small, *window), sight, thing)
    off = np.where(in_sight, cost / thing.contrast, 0.5)
    y, x = np.mgrid[-_SEARCH : _SEARCH + 1, -_SEARCH : _SEARCH + 1]
    way = (y * y + x * x) / _SEARCH**2
    # Straight on, unless it is clearly elsewhere; far off only if it looks quite the same there.
    sought = off + np.where(in_sight, 0.5 * unmoved, 0.0) + 0.5 * way
    sought[(way > 0.04) & ~(in_sight & (off < _SAME))] = np.inf
    best = np.unravel_index(int(np.argmin(sought)), cost.shape)
    thing.corner = expected.round() + np.array(best, float) - _SEARCH
    # What has changed too much to be sure comes to rest.
    thing.velocity = thing.velocity + 0.5 * (thing.corner - expected) if off[best] < 0.5 else 0.7 * thing.velocity
    if in_sight[best]:
        # Nearer to its looks than the clean set is, or changed but full of what moved.
        empty = _unlike(_window(look.comparison.clean, *window), sight, thing)
        thing.found = bool(cost[best] < 0.5 * empty[best] or unmoved[best] < 0.4)


def _unlike(
    picture: Float[np.ndarray, "rows columns 3"], sight: Float[np.ndarray, "rows columns"], thing: _Thing
) -> Float[np.ndarray, "shifts_y shifts_x"]:
    """The mean squared difference of a picture, where it is in sight, to a thing's looks, for all its places in it."""
    shape = thing.shape.astype(np.float32)
    shaped = shape[..., None] * thing.looks

    def sums(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return cv2.matchTemplate(a.astype(np.float32), b, cv2.TM_CCORR)

    square = sums(sight * (picture**2).sum(-1), shape) - 2 * sums(sight[..., None] * picture, shaped)
    square += sums(sight, (shaped * thing.looks).sum(-1))
    return square / np.maximum(3 * sums(sight, shape), 1.0)


def _looks_so(thing: _Thing, look: _Look) -> Bool[np.ndarray, "rows columns"]:
    """Where a frame shows a thing's own colours in its place, if these are none of the set in shadow."""
    alike = np.zeros(look.moved.shape, bool)
    if thing.dark:
        return alike
    (inside, part) = _inside(thing, look.moved.shape)
    off = channel_max(np.abs(look.comparison.small[inside] - thing.looks[part]))
    alike[inside] = thing.shape[part] & (off < _ALIKE)
    return alike


def _window(picture: np.ndarray, top: int, left: int, rows: int, columns: int) -> np.ndarray:
    """A part of a picture that may reach beyond it: the rim is repeated."""
    y = np.clip(np.arange(top, top + rows), 0, picture.shape[0] - 1)
    x = np.clip(np.arange(left, left + columns), 0, picture.shape[1] - 1)
    return picture[y[:, None], x]


def _placed(thing: _Thing, size: tuple[int, int]) -> Bool[np.ndarray, "rows columns"]:
    """Where a thing is, inside the picture."""
    placed = np.zeros(size, bool)
    inside, part = _inside(thing, size)
    placed[inside] = thing.shape[part]
    return placed


def _inside(thing: _Thing, size: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """What of a thing's box lies in the picture: there, and in the box."""
    inside, part = [], []
    for start, length, limit in zip(thing.corner.round().astype(int).tolist(), thing.shape.shape, size, strict=True):
        low, high = min(max(start, 0), limit), min(max(start + length, 0), limit)
        inside.append(slice(low, high))
        part.append(slice(low - start, high - start))
    return (inside[0], inside[1]), (part[0], part[1])


def _without_specks(mask: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return mask & (stats[:, cv2.CC_STAT_AREA] >= _MIN_AREA)[labels]


def _grown(mask: Bool[np.ndarray, "rows columns"], by: int) -> Bool[np.ndarray, "rows columns"]:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0
