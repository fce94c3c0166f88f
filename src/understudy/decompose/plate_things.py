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

from understudy.decompose.plate_blend import BlendConfig
from understudy.decompose.plate_shadow import Beside, ShadowZone, moved_levels, opened, relit, veil

__all__ = ["Sorted", "sort_out"]

_LEAST_AREA = 5
"""Reduced pixels: less is noise."""
_LEAST_KNOWN = 12
"""Reduced pixels of a thing that is told from the actor where they touch."""
_MOST_THINGS = 60
"""Things that are followed at once, the largest: leaves in the wind are many more."""
_MOST_MATCHED = 12
"""Things whose way is found by their looks; more are small, and stay about where they are."""
_SEARCH = 8
"""How far from where it is expected a thing is looked for, in reduced pixels."""
_TRUSTED = 3
"""Frames in which a thing must be seen on its own to be known again when it touches the actor."""
_FORGET = 20
"""Frames after which a thing that is not seen any more is forgotten."""


@dataclass(frozen=True)
class Sorted:
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
    alone: int = 1
    """In how many frames it was seen on its own."""
    unseen: int = 0


@dataclass(frozen=True)
class _Look:
    """A frame as it is sorted."""

    beside: Beside
    moved: Bool[np.ndarray, "rows columns"]
    """All that differs from the clean set, outside the actor's mask."""
    shadow: Bool[np.ndarray, "rows columns"]
    """What may be the actor's shadow."""
    near: Bool[np.ndarray, "rows columns"]
    """What lies mostly beyond is seen on its own."""
    held: Bool[np.ndarray, "rows columns"]
    """Where what hangs on the actor may be."""
    light: Float[np.ndarray, "rows columns 3"] | None


def sort_out(frames: Iterable[Beside], zone: ShadowZone, config: BlendConfig, chunk: int = 48) -> Iterator[Sorted]:
    """Sort what moved in each frame, in order, knowing the frames before it and `chunk` or more after it."""
    ahead: deque[Beside] = deque()
    looks: deque[_Look] = deque()
    source = iter(frames)
    forwards: list[_Thing] = []
    while True:
        while len(looks) + len(ahead) < 2 * chunk and (beside := next(source, None)) is not None:
            ahead.append(beside)
        zone.settle()
        looks.extend(_look(beside, zone, config) for beside in ahead)
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
            yield _sorted(look, seen | after.popleft())


def _look(beside: Beside, zone: ShadowZone, config: BlendConfig) -> _Look:
    light = veil(beside, zone.place(beside.hole))
    if light is not None:
        beside = replace(beside, clean=relit(beside.clean, light))
    moved = (moved_levels(beside) > config.moved_levels) & ~beside.person
    shadow = zone.cast(beside) & beside.known & ~beside.person
    moved |= shadow
    moved = opened(moved)
    return _Look(
        beside,
        moved,
        shadow & moved,
        *(_within(beside.hole, reach) for reach in (config.reach, config.held_reach)),
        light,
    )


def _within(hole: Bool[np.ndarray, "rows columns"], reach: float) -> Bool[np.ndarray, "rows columns"]:
    """Within a share of the hole's larger side from it."""
    if not hole.any():
        return np.zeros(hole.shape, bool)
    side = max(np.ptp(np.flatnonzero(hole.any(1))), np.ptp(np.flatnonzero(hole.any(0))))
    return cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 3) <= reach * side


def _sorted(look: _Look, things: Bool[np.ndarray, "rows columns"]) -> Sorted:
    """What goes: the shadow, and what hangs on the actor and lies within reach as a whole."""
    hole = look.beside.hole
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
    for label in touching[touching > 0].tolist():
        if within[label] > 0.9 * stats[label, cv2.CC_STAT_AREA]:
            taken = taken | (labels == label)
    return Sorted(taken, things, look.light)


def _follow(things: Sequence[_Thing], look: _Look) -> tuple[list[_Thing], Bool[np.ndarray, "rows columns"]]:
    """The things in the next frame (in time or against it), and where they are seen there."""
    size = look.moved.shape
    own = look.moved & ~look.shadow
    attached = _grown(look.beside.hole | look.shadow, 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(own.astype(np.uint8))
    touching = np.zeros(count, bool)
    touching[np.unique(labels[attached & own])] = True
    beyond = np.bincount(labels[own & ~look.near], minlength=count) > 0.5 * stats[:, cv2.CC_STAT_AREA]
    # What is large and mostly out of reach is no part of the actor, though it may pass behind or before.
    apart = ~touching | (beyond & (stats[:, cv2.CC_STAT_AREA] > 0.3 * np.count_nonzero(look.beside.hole)))
    used = np.zeros(count, bool)
    seen = np.zeros(size, bool)
    following: list[_Thing] = []
    by_size = sorted(things, key=lambda thing: -int(np.count_nonzero(thing.shape)))
    for rank, thing in enumerate(by_size):
        _advance(thing, look, rank < _MOST_MATCHED)
        place = _placed(thing, size)
        near = _grown(place, 1)
        hit = np.bincount(labels[near & own], minlength=count) > 0.3 * stats[:, cv2.CC_STAT_AREA]
        hit[0] = False
        whole = np.isin(labels, np.flatnonzero(hit & apart & ~used))
        used |= hit & apart
        if not (hit & ~apart).any() and not (near & look.beside.person).any():
            if whole.any():
                following.append(_thing(whole, look, thing.velocity, thing.alone + 1))
                seen |= whole
            continue
        here = near & look.moved
        thing.unseen = 0 if here.any() else thing.unseen + 1
        known = thing.alone >= _TRUSTED and np.count_nonzero(thing.shape) >= _LEAST_KNOWN
        if known and thing.unseen <= _FORGET and near.any():
            used |= np.bincount(labels[near & own], minlength=count) > 0.6 * stats[:, cv2.CC_STAT_AREA]
            if whole.any():
                thing = _thing(place | whole, look, thing.velocity, thing.alone)
            following.append(thing)
            seen |= here | whole
    fresh = apart & beyond & ~used & (stats[:, cv2.CC_STAT_AREA] >= _LEAST_AREA)
    fresh[0] = False
    fresh[np.unique(labels[seen])] = False
    largest = sorted(np.flatnonzero(fresh).tolist(), key=lambda label: -int(stats[label, cv2.CC_STAT_AREA]))
    for label in largest[: max(_MOST_THINGS - len(following), 0)]:
        following.append(_thing(labels == label, look, np.zeros(2), _TRUSTED if touching[label] else 1))
    return following, seen | fresh[labels]


def _thing(
    whole: Bool[np.ndarray, "rows columns"], look: _Look, velocity: Float[np.ndarray, "2"], alone: int = 1
) -> _Thing:
    """A thing as it is seen on its own."""
    rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
    box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    corner = np.array([rows[0], columns[0]], float)
    return _Thing(whole[box].copy(), look.beside.small[box].astype(np.float32), corner, velocity, alone)


def _advance(thing: _Thing, look: _Look, by_looks: bool) -> None:
    """Move a thing to where it is in the next frame: by its looks where it is in sight, else straight on."""
    expected = thing.corner + thing.velocity
    rows, columns = thing.shape.shape
    if by_looks and thing.shape.size < 0.3 * look.moved.size:
        top, left = (expected.round().astype(int) - _SEARCH).tolist()
        picture = _window(look.beside.small, top, left, rows + 2 * _SEARCH, columns + 2 * _SEARCH)
        hidden = _window(look.beside.person.astype(np.uint8), top + _SEARCH, left + _SEARCH, rows, columns) > 0
        if np.count_nonzero(hidden & thing.shape) < 0.3 * np.count_nonzero(thing.shape):
            weight = np.repeat(thing.shape[..., None], 3, 2).astype(np.float32)
            cost = cv2.matchTemplate(picture, thing.looks, cv2.TM_SQDIFF, mask=weight) / max(weight.sum(), 1.0)
            y, x = np.mgrid[-_SEARCH : _SEARCH + 1, -_SEARCH : _SEARCH + 1]
            # Straight on, unless it is clearly elsewhere.
            row, column = np.unravel_index(int(np.argmin(cost + 1.0 * (y * y + x * x))), cost.shape)
            thing.corner = expected.round() + np.array([row - _SEARCH, column - _SEARCH], float)
            thing.velocity = thing.velocity + 0.5 * (thing.corner - expected)
            return
    thing.corner = expected


def _window(picture: np.ndarray, top: int, left: int, rows: int, columns: int) -> np.ndarray:
    """A part of a picture that may reach beyond it: the rim is repeated."""
    y = np.clip(np.arange(top, top + rows), 0, picture.shape[0] - 1)
    x = np.clip(np.arange(left, left + columns), 0, picture.shape[1] - 1)
    return picture[y[:, None], x]


def _placed(thing: _Thing, size: tuple[int, int]) -> Bool[np.ndarray, "rows columns"]:
    """Where a thing is, inside the picture."""
    placed = np.zeros(size, bool)
    top, left = thing.corner.round().astype(int).tolist()
    rows, columns = thing.shape.shape
    inside = (slice(max(top, 0), max(top + rows, 0)), slice(max(left, 0), max(left + columns, 0)))
    part = thing.shape[max(-top, 0) :, max(-left, 0) :]
    view = placed[inside]
    view[:] = part[: view.shape[0], : view.shape[1]]
    return placed


def _without_specks(mask: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return mask & (stats[:, cv2.CC_STAT_AREA] >= _LEAST_AREA)[labels]


def _grown(mask: Bool[np.ndarray, "rows columns"], by: int) -> Bool[np.ndarray, "rows columns"]:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0
