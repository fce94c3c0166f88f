"""The actor's own shadow, told from other dark things: it lies where it always lies, and darkens as it always does.

Seen from the actor's feet, in shares of the actor's height, a cast shadow or a reflection lies in the same place for
the whole shot, and takes the same share of red, green and blue from the ground. What is dark but lies elsewhere, or is
there only for a moment, or has another colour, is another thing.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from jaxtyping import Bool, Float

from understudy.imaging.channels import channel_max, channel_mean, channel_range
from understudy.imaging.inpaint import spread_inwards

__all__ = ["Comparison", "ShadowZone", "Stance", "moved_levels", "opened", "relit", "stance_of", "wide_shadow"]

_CELLS = 24
"""Of the zone's grid, along the actor's height."""
_LEFT, _ABOVE, _RIGHT, _BELOW = 2.5, 1.2, 2.5, 1.0
"""How far the grid reaches from the feet, in heights."""
_COLUMNS, _ROWS = round((_LEFT + _RIGHT) * _CELLS), round((_ABOVE + _BELOW) * _CELLS)
_OFTEN, _SOMETIMES = 0.4, 0.2
"""In which share of the frames a cell must be dark to belong to the zone: somewhere in it, and anywhere in it."""
_SPAN, _PASSING = 6, 0.1
"""Frames of a part of the shot; the share of all parts that may be without the shadow."""
_MIN_FRAMES = 3
_MIN_CELLS = 6
_MOSTLY = 0.5
"""Share of a shadow that must lie in the zone if all of it is to belong to the actor."""
_LARGEST = 1.2
"""Areas of the actor's hole that the shadow can cover."""
_WIDE_BLUR = 2.0
_MIN_LEVELS = 8.0
"""A shadow is at least this much darker, in 8-bit levels."""
_OFF_RATIO = 0.13
"""By how much a shadow's share of light may differ from the umbra's colour, per channel."""


@dataclass(frozen=True)
class Stance:
    """Where the actor stands in a picture."""

    x: float
    y: float
    """Of the lowest row."""
    height: float


def stance_of(hole: Bool[np.ndarray, "rows columns"]) -> Stance | None:
    """Where the person of a hole stands; None without feet in the picture."""
    rows, columns = np.nonzero(hole)
    if len(rows) == 0:
        return None
    top, bottom = int(rows.min()), int(rows.max())
    if bottom >= hole.shape[0] - 1 or bottom - top < 8:
        return None
    return Stance(float(np.median(columns)), float(bottom), float(bottom + 1 - top))


@dataclass(frozen=True)
class Comparison:
    """A frame and the clean set as that frame sees it, at reduced size, in the frame's tone."""

    small: Float[np.ndarray, "rows columns 3"]
    clean: Float[np.ndarray, "rows columns 3"]
    known: Bool[np.ndarray, "rows columns"]
    """Where the clean set is known, and no other person is."""
    person: Bool[np.ndarray, "rows columns"]
    """Where the actor surely is."""
    hole: Bool[np.ndarray, "rows columns"]
    """The actor's hole: the mask, grown."""

    @cached_property
    def light_left(self) -> Float[np.ndarray, "rows columns 3"]:
        """How much of the clean set's light is left, in linear light (a gamma of 2.2 stands for sRGB's curve)."""
        return ((np.maximum(self.small, 0.0) + 6.0) / (np.maximum(self.clean, 0.0) + 6.0)) ** 2.2


def moved_levels(comparison: Comparison) -> Float[np.ndarray, "rows columns"]:
    """By how much a frame differs from the clean set, in 8-bit levels; 0 where that is not known."""
    return channel_max(cv2.absdiff(comparison.small, comparison.clean)) * comparison.known


def opened(mask: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    """A mask without what is thinner than two pixels."""
    square = np.ones((2, 2), np.uint8)
    # OpenCV's own opening moves a mask by a pixel where the square's side is even.
    return cv2.dilate(cv2.erode(mask.astype(np.uint8), square), square, anchor=(0, 0)) > 0


def wide_shadow(
    comparison: Comparison, apart: Bool[np.ndarray, "rows columns"]
) -> Float[np.ndarray, "rows columns 3"] | None:
    """How much of the clean set's light a wide shadow leaves (or takes off again), a cloud's for one; None without.

    Linear, continued behind the actor and where it is `apart`: where the actor's own shadow can lie.
    """
    ratio = comparison.light_left
    mean = channel_mean(ratio)
    grey = (mean > 0.06) & (mean < 6.0) & (channel_range(ratio) < 0.12 + 0.25 * np.abs(1 - mean))
    seen = comparison.known & ~comparison.hole
    changed = (grey & seen & ((mean < 0.87) | (mean > 1.15))).astype(np.uint8)
    changed = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(changed)
    wide = stats[:, cv2.CC_STAT_AREA] > _LARGEST * np.count_nonzero(comparison.hole)
    wide[0] = False
    if not wide.any() or not comparison.hole.any():
        return None
    # Its soft edge too.
    inside = cv2.dilate(wide[labels].astype(np.uint8), np.ones((13, 13), np.uint8)) > 0
    known = (seen & ~apart & (grey | ~inside)).astype(np.float32)
    light = np.where(inside[..., None], ratio, 1.0).astype(np.float32) * known[..., None]
    weight = cv2.GaussianBlur(known, (0, 0), _WIDE_BLUR)
    light = cv2.GaussianBlur(light, (0, 0), _WIDE_BLUR) / np.maximum(weight, 1e-4)[..., None]
    return spread_inwards(light, weight > 0.05)


def relit(
    picture: Float[np.ndarray, "height width 3"], light: Float[np.ndarray, "height width 3"]
) -> Float[np.ndarray, "height width 3"]:
    """A picture, in 8-bit levels, of which only a share of the light is left."""
    return (np.maximum(picture, 0.0) + 6.0) * np.maximum(light, 0.0) ** np.float32(1 / 2.2) - 6.0


class ShadowZone:
    """Gathers where the ground is darker than the clean set, seen from the actor's feet, and finds the shadow in it."""

    def __init__(self) -> None:
        self._spans: list[Float[np.ndarray, "2 rows columns"]] = []
        self._ratios: list[np.ndarray] = []
        self._frames = 0
        self._zone: Bool[np.ndarray, "rows columns"] | None = None
        self._umbra = np.full(3, 0.5)

    def add(self, comparison: Comparison) -> None:
        """Take a frame into account; call `settle` after the last one."""
        stance = stance_of(comparison.hole)
        if stance is None:
            return
        self._frames += 1
        valid = comparison.known & ~comparison.hole
        ratio = comparison.light_left
        mean = channel_mean(ratio)
        # In linear light: a shadow leaves between a tenth and nearly all, about as much of each colour.
        dark = (mean < 0.87) & (mean > 0.06) & (channel_range(ratio) < 0.12 + 0.25 * (1 - mean))
        dark &= valid & (moved_levels(comparison) > _MIN_LEVELS)
        dark = opened(dark)
        feet = comparison.hole.copy()
        feet[: round(stance.y - 0.2 * stance.height)] = False
        # Under a cloud nothing is told.
        valid &= ~dark | _of_a_size(dark, comparison.hole)
        dark = _of_a_size(dark & valid, comparison.hole, feet)
        M = _to_grid(stance)
        if self._frames % _SPAN == 1:
            self._spans.append(np.zeros((2, _ROWS, _COLUMNS), np.float32))
        for total, what in zip(self._spans[-1], (dark, valid), strict=True):
            total += cv2.warpAffine(what.astype(np.float32), M, (_COLUMNS, _ROWS), flags=cv2.INTER_LINEAR)
        rows, columns = np.nonzero(dark)
        if len(rows):
            step = max(1, len(rows) // 400)
            rows, columns = rows[::step], columns[::step]
            cells = np.stack([columns, rows, np.ones(len(rows))], 1) @ M.T
            self._ratios.append(np.concatenate([cells, ratio[rows, columns]], 1))

    def settle(self) -> None:
        """Find the zone and the umbra's colour in what was added."""
        self._zone = None
        if self._frames == 0:
            return
        dark, valid = np.stack(self._spans, 1)
        enough = valid.sum(0) >= max(_MIN_FRAMES, 0.15 * self._frames)
        share = dark.sum(0) / np.maximum(valid.sum(0), 1e-3)
        # What is dark now and then only passes by: a shadow is there in nearly all parts of the shot.
        seen = valid >= 1.0
        lasting = np.where(seen, dark / np.maximum(valid, 1e-3), np.inf)
        place = (_PASSING * seen.sum(0)).astype(int)
        lasting = np.take_along_axis(np.sort(lasting, 0), place[None], 0)[0]
        often = enough & (share > _OFTEN) & (lasting > _SOMETIMES)
        sometimes = enough & (share > _SOMETIMES) & (lasting > 0.5 * _SOMETIMES)
        y, x = np.mgrid[0:_ROWS, 0:_COLUMNS]
        x, y = (x + 0.5) / _CELLS - _LEFT, (y + 0.5) / _CELLS - _ABOVE
        feet = (np.abs(x) < 0.3) & (y > -0.25) & (y < 0.1)
        _, labels = cv2.connectedComponents((sometimes | feet).astype(np.uint8))
        zone = sometimes & (labels == labels[feet][0])
        if np.count_nonzero(zone & often) < _MIN_CELLS:
            return
        zone = cv2.morphologyEx(zone.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        zone = cv2.dilate(zone, np.ones((3, 3), np.uint8)) > 0
        samples = np.concatenate(self._ratios)
        column, row = (np.clip(samples[:, k].round().astype(int), 0, n - 1) for k, n in ((0, _COLUMNS), (1, _ROWS)))
        inside = samples[zone[row, column], 2:]
        if len(inside) < 20:
            return
        # The darker half: the umbra without its soft edge.
        mean = inside.mean(1)
        self._umbra = np.clip(np.median(inside[mean <= np.median(mean)], 0), 0.05, 0.9)
        self._zone = zone

    @property
    def found(self) -> bool:
        """Whether the actor throws a shadow that was found."""
        return self._zone is not None

    def place(self, hole: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
        """Where the shadow of a hole's person can lie."""
        stance = stance_of(hole)
        if self._zone is None or stance is None:
            return np.zeros(hole.shape, bool)
        zone = self._zone.astype(np.float32)
        size = hole.shape[::-1]
        placed = cv2.warpAffine(zone, _to_grid(stance), size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return placed > 0.3

    def cast(self, comparison: Comparison) -> Bool[np.ndarray, "rows columns"]:
        """Where a frame shows the actor's shadow: what is shaded in the zone, and what hangs together with it if more
        of it lies within than without.
        """
        if self._zone is None:
            return np.zeros(comparison.hole.shape, bool)
        shaded, place = self.shaded(comparison), self.place(comparison.hole)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(shaded.astype(np.uint8))
        within = np.bincount(labels[place], minlength=len(stats))
        mostly = within > _MOSTLY * stats[:, cv2.CC_STAT_AREA]
        mostly[0] = False
        return shaded & (place | mostly[labels])

    def shaded(self, comparison: Comparison) -> Bool[np.ndarray, "rows columns"]:
        """Where a frame shows the clean set in this shadow or its soft edge, wherever that lies."""
        taken = (1.0 - self._umbra).astype(np.float32)
        missing = 1.0 - comparison.light_left
        depth = missing @ taken / (taken @ taken)
        off = channel_max(np.abs(missing - depth[..., None] * taken))
        # Dark places tell their colour badly.
        slack = _OFF_RATIO + 2.0 / (channel_max(comparison.clean) + 6.0)
        near = (depth > 0.1) & (depth < 1.3) & (off < slack) & ~comparison.hole
        return _of_a_size(near & (moved_levels(comparison) > 0.6 * _MIN_LEVELS), comparison.hole)


def _of_a_size(
    dark: Bool[np.ndarray, "rows columns"],
    hole: Bool[np.ndarray, "rows columns"],
    feet: Bool[np.ndarray, "rows columns"] | None = None,
) -> Bool[np.ndarray, "rows columns"]:
    """The parts of what is dark that somebody of the hole's size can throw: clouds are larger. With `feet`, only those
    that begin there.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(dark.astype(np.uint8), np.ones((3, 3), np.uint8)))
    # Counted on what is dark, not on the bridges between it.
    area = np.bincount(labels[dark], minlength=len(stats))
    possible = area <= _LARGEST * max(np.count_nonzero(hole), 1)
    possible[0] = False
    if feet is not None:
        begins = np.zeros(len(stats), bool)
        begins[np.unique(labels[cv2.dilate(feet.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0])] = True
        possible &= begins
    return possible[labels] & dark


def _to_grid(stance: Stance) -> Float[np.ndarray, "2 3"]:
    """From picture indices to the grid's."""
    scale = _CELLS / stance.height
    return np.array([[scale, 0.0, _LEFT * _CELLS - scale * stance.x], [0.0, scale, _ABOVE * _CELLS - scale * stance.y]])
