"""Makes up what no frame saw: texture and structure continued from the surroundings, patch by patch.

Coarse to fine: every patch that touches the hole looks for its most similar patch outside it (PatchMatch), then each
hole pixel becomes the mean of what its patches say. Sources: Wexler, Shechtman and Irani 2007, Space-Time Completion of
Video (the energy and the pyramid); Barnes et al. 2009, PatchMatch (the search).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int32

from understudy.runtime.checks import check_options
from understudy.runtime.parallel import in_order

__all__ = ["InpaintConfig", "inpaint", "spread_inwards"]

_MADE_UP_SHARE = np.float32(0.35)
"""How much a pixel that is made up counts when patches are compared; one that is filmed counts 1."""
_TYPICAL_PERCENTILE, _TYPICAL_SHARE = 60, 0.6
"""A patch says e times less when it is less alike by this share of what the 60 most alike of 100 are."""
_VOTE_SIGMA_PX = 2.0
"""A patch says less of the pixels far from its centre: a Gaussian of this radius, less than half a patch's side."""
_CHUNK = 2048
"""Patches or pixels that are worked on at once: what is read for them fits into a core's cache."""


@dataclass(frozen=True)
class InpaintConfig:
    """How unseen places are made up."""

    patch_px: int = 7
    """Side of a patch, odd."""
    rounds: int = 3
    """Searches and votes on each level of the pyramid; fewer on fine levels."""
    max_patches: int = 9_000
    """Most patches that are searched on one level; finer levels only follow the coarser one's matches."""
    level_cost: float = 300.0
    """How dissimilar a patch may be, in squared levels per pixel, to be preferred over one of the same height:
    ground and walls look alike along the horizontal, not along the vertical."""

    def __post_init__(self) -> None:
        check_options(self, patch_px=(3, 63), rounds=(1, 100), max_patches=(1, 1_000_000), level_cost=(0, 1e6))


def inpaint(
    picture: Float[np.ndarray, "height width 3"],
    hole: Bool[np.ndarray, "height width"],
    known: Bool[np.ndarray, "height width"],
    config: InpaintConfig | None = None,
    seed: int = 0,
) -> Float[np.ndarray, "height width 3"]:
    """The picture with the hole made up from where it is known; other unknown places are neither read nor written."""
    config = config or InpaintConfig()
    hole = hole & ~known
    if not hole.any():
        return picture
    if not known.any():
        raise ValueError("nothing is known around the hole; give a larger crop")
    base = spread_inwards(picture, known)
    start = np.where(hole[..., None] | ~known[..., None], base, picture).astype(np.float32)
    levels = _pyramid(start, hole, known, config.patch_px)
    rng = np.random.default_rng(seed)
    matches: _Matches | None = None
    result = levels[-1][0]
    for depth in range(len(levels) - 1, -1, -1):
        level_picture, level_hole, level_known = levels[depth]
        if depth < len(levels) - 1:
            up = cv2.resize(result, (level_hole.shape[1], level_hole.shape[0]), interpolation=cv2.INTER_CUBIC)
            result = np.where(level_hole[..., None], up, level_picture)
        else:
            result = level_picture.copy()
        result = np.ascontiguousarray(result, np.float32)
        search = _Search(result, level_hole, level_known, config)
        if not search.possible:
            continue
        matches = search.start(matches, rng)
        rounds = config.rounds if search.count <= config.max_patches else 0
        for _ in range(rounds):
            search.improve(matches, rng)
            search.vote(matches, result)
        if rounds == 0:
            search.follow(matches)
            search.vote(matches, result)
    return np.where(hole[..., None], result, picture)


def _pyramid(
    picture: np.ndarray, hole: np.ndarray, known: np.ndarray, patch_px: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Halved until the hole is a few patches wide, or the picture too small."""
    levels = [(picture, hole, known)]
    while True:
        picture, hole, known = levels[-1]
        size = (picture.shape[1] // 2, picture.shape[0] // 2)
        widest = float(cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 3).max())
        if min(size) < 3 * patch_px or widest <= patch_px * 0.5:
            return levels
        weight = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        soft = cv2.resize(picture * known[..., None], size, interpolation=cv2.INTER_AREA)
        smooth = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        small_known = weight > 0.5
        small = np.where(small_known[..., None], soft / np.maximum(weight, 1e-3)[..., None], smooth)
        small_hole = (cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0) & ~small_known
        levels.append((small, small_hole, small_known))


@dataclass
class _Matches:
    """For each target patch, its source and how unlike the two are."""

    grid: Int32[np.ndarray, "height width"]
    """Index of the patch centred on each pixel, or −1."""
    row: Int32[np.ndarray, " patch"]
    column: Int32[np.ndarray, " patch"]
    """Of the source's centre."""
    cost: Float32[np.ndarray, " patch"]


class _Search:
    """One level of the pyramid."""

    def __init__(self, picture: np.ndarray, hole: np.ndarray, known: np.ndarray, config: InpaintConfig) -> None:
        side = config.patch_px
        half = side // 2
        self.side, self.half, self.config, self.picture = side, half, config, picture
        self.height, self.width = hole.shape
        kernel = np.ones((side, side), np.uint8)
        inner = np.zeros(hole.shape, bool)
        inner[half : self.height - half, half : self.width - half] = True
        targets = (cv2.dilate(hole.astype(np.uint8), kernel) > 0) & inner
        self.source = (cv2.erode(known.astype(np.uint8), kernel, borderValue=0) > 0) & inner
        self.rows, self.columns = (place.astype(np.int32) for place in np.nonzero(targets))
        self.count = len(self.rows)
        self.hole = hole
        self.source_rows, self.source_columns = (place.astype(np.int32) for place in np.nonzero(self.source))
        self.possible = self.count > 0 and len(self.source_rows) > 0
        # What is filmed counts more than what we made up ourselves.
        share = np.where(known, np.float32(1), _MADE_UP_SHARE)
        total = cv2.boxFilter(share, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
        self.total = 3.0 * total[self.rows, self.columns]
        self.root = np.repeat(np.sqrt(share)[..., None], 3, -1)

    def start(self, coarser: "_Matches | None", rng: np.random.Generator) -> _Matches:
        """The coarser level's matches, doubled; random ones on the coarsest."""
        grid = np.full((self.height, self.width), -1, np.int32)
        grid[self.rows, self.columns] = np.arange(self.count)
        pick = rng.integers(len(self.source_rows), size=self.count)
        row, column = self.source_rows[pick], self.source_columns[pick]
        if coarser is not None:
            height, width = coarser.grid.shape
            parent = coarser.grid[np.minimum(self.rows // 2, height - 1), np.minimum(self.columns // 2, width - 1)]
            r = np.clip(2 * coarser.row[parent] + self.rows % 2, 0, self.height - 1)
            c = np.clip(2 * coarser.column[parent] + self.columns % 2, 0, self.width - 1)
            good = (parent >= 0) & self.source[r, c]
            row, column = np.where(good, r, row), np.where(good, c, column)
        return _Matches(grid, row, column, self._cost(np.arange(self.count), row, column))

    def improve(self, matches: _Matches, rng: np.random.Generator) -> None:
        """Neighbours' matches, near and far, and random places in shrinking windows."""
        everyone = np.arange(self.count)
        matches.cost = self._cost(everyone, matches.row, matches.column)
        for distance in (1, 4, 1):
            for dy, dx in ((0, distance), (distance, 0), (0, -distance), (-distance, 0)):
                self._propagate(matches, dy, dx)
        reach = max(self.height, self.width)
        while reach >= 1:
            row = matches.row + rng.integers(-reach // 2, reach // 2 + 1, self.count, np.int32)
            column = matches.column + rng.integers(-reach, reach + 1, self.count, np.int32)
            self._try(matches, everyone, row, column)
            reach //= 3

    def follow(self, matches: _Matches) -> None:
        """On levels too fine for a search: neighbours' matches only."""
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            self._propagate(matches, dy, dx)

    def vote(self, matches: _Matches, picture: np.ndarray) -> None:
        """Write into the hole the mean of what the patches over each pixel say; similar patches count more."""
        typical = max(float(np.percentile(matches.cost, _TYPICAL_PERCENTILE)), 1.0)
        unlike = np.minimum(matches.cost / np.float32(_TYPICAL_SHARE * typical), np.float32(30))
        # With a margin, so that no pixel's neighbours lie outside.
        half, width = self.half, self.width + 2 * self.half
        confidence = np.zeros((self.height + 2 * half, width), np.float32)
        source = np.zeros(confidence.shape, np.int32)
        confidence[self.rows + half, self.columns + half] = np.exp(-unlike) + np.float32(1e-6)
        source[self.rows + half, self.columns + half] = matches.row * self.width + matches.column
        flat = self.picture.reshape(-1, 3)
        rows, columns = np.nonzero(self.hole)
        parts = [slice(first, first + _CHUNK) for first in range(0, len(rows), _CHUNK)]
        offsets = [(dy, dx) for dy in range(-half, half + 1) for dx in range(-half, half + 1)]
        if self.count > self.config.max_patches:
            # Every other pixel of a patch says nearly as much as all of them.
            offsets = [(dy, dx) for dy, dx in offsets if (dy + dx) % 2 == 0]

        def mean(part: slice) -> Float32[np.ndarray, "n 3"]:
            centre = (rows[part] + half) * width + columns[part] + half
            total, weight = np.zeros((len(centre), 3), np.float32), np.zeros(len(centre), np.float32)
            for dy, dx in offsets:
                patch = centre + (dy * width + dx)
                w = confidence.take(patch) * np.float32(np.exp(-(dy * dy + dx * dx) / (2 * _VOTE_SIGMA_PX**2)))
                place = source.take(patch) - (dy * self.width + dx)
                total += w[:, None] * flat.take(place, axis=0, mode="clip")
                weight += w
            own = flat[rows[part] * self.width + columns[part]]
            return np.where(weight[:, None] > 0, total / np.maximum(weight, np.float32(1e-30))[:, None], own)

        means = list(in_order(mean, parts))
        for part, value in zip(parts, means, strict=True):
            picture[rows[part], columns[part]] = value
        self.picture = picture

    def _propagate(self, matches: _Matches, dy: int, dx: int) -> None:
        r, c = self.rows + dy, self.columns + dx
        inside = (r >= 0) & (r < self.height) & (c >= 0) & (c < self.width)
        neighbour = np.where(inside, matches.grid[np.where(inside, r, 0), np.where(inside, c, 0)], -1)
        who = np.flatnonzero(neighbour >= 0)
        row, column = matches.row[neighbour[who]] - dy, matches.column[neighbour[who]] - dx
        new = (row != matches.row[who]) | (column != matches.column[who])
        self._try(matches, who[new], row[new], column[new])

    def _try(self, matches: _Matches, who: np.ndarray, row: np.ndarray, column: np.ndarray) -> None:
        inside = (row >= 0) & (row < self.height) & (column >= 0) & (column < self.width)
        good = np.zeros(len(who), bool)
        good[inside] = self.source[row[inside], column[inside]]
        who, row, column = who[good], row[good], column[good]
        if len(who) == 0:
            return
        cost = self._cost(who, row, column)
        better = cost < matches.cost[who]
        who = who[better]
        matches.row[who], matches.column[who], matches.cost[who] = row[better], column[better], cost[better]

    def _cost(self, who: np.ndarray, row: np.ndarray, column: np.ndarray) -> Float32[np.ndarray, " n"]:
        """Mean squared difference of the patches, plus what a change of height costs."""
        picture, root = self._lines(self.picture), self._lines(self.root)
        lines = (np.arange(self.side, dtype=np.intp) - self.half) * self.width - self.half

        def costs(part: slice) -> Float32[np.ndarray, " n"]:
            mine = who[part]
            target = (self.rows[mine] * self.width + self.columns[mine])[:, None] + lines
            source = (row[part] * self.width + column[part])[:, None] + lines
            difference = picture[target]
            difference -= picture[source]
            difference *= root[target]
            difference = difference.reshape(len(mine), -1)
            squared = np.einsum("nk,nk->n", difference, difference) / self.total[mine]
            shift = (row[part] - self.rows[mine]).astype(np.float32) * np.float32(4 / self.height)
            return squared + np.float32(self.config.level_cost) * shift**2

        parts = [slice(first, first + _CHUNK) for first in range(0, len(who), _CHUNK)]
        return np.concatenate([np.zeros(0, np.float32), *in_order(costs, parts)])

    def _lines(self, picture: Float32[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "place patch_line"]:
        """For each pixel, itself and those right of it, as many as a patch is wide: copied at once, not one by one."""
        flat, length = picture.reshape(-1), 3 * self.side
        places = self.height * self.width - self.side + 1
        return np.lib.stride_tricks.as_strided(
            flat, (places, length), (3 * flat.itemsize, flat.itemsize), writeable=False
        )


def spread_inwards(
    values: Float[np.ndarray, "height width *channel"], known: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width *channel"]:
    """Values continued smoothly from where they are known to everywhere, by a pyramid of weighted means.

    Source: Gortler et al. 1996, The Lumigraph, section 3.4 (push-pull).
    """
    weight = known.astype(np.float32)
    extra = (1,) * (values.ndim - 2)
    levels: list[tuple[np.ndarray, np.ndarray]] = [
        (values.astype(np.float32) * weight.reshape(*weight.shape, *extra), weight)
    ]
    while min(levels[-1][1].shape) > 2:
        value, weight = levels[-1]
        size = ((value.shape[1] + 1) // 2, (value.shape[0] + 1) // 2)
        levels.append(
            (
                cv2.resize(value, size, interpolation=cv2.INTER_AREA),
                cv2.resize(weight, size, interpolation=cv2.INTER_AREA),
            )
        )
    value, weight = levels[-1]
    filled = value / np.maximum(weight, 1e-6).reshape(*weight.shape, *extra)
    for value, weight in reversed(levels[:-1]):
        up = cv2.resize(filled, (value.shape[1], value.shape[0]), interpolation=cv2.INTER_LINEAR)
        share = np.minimum(weight * 1.0, 1.0).reshape(*weight.shape, *extra)
        own = value / np.maximum(weight, 1e-6).reshape(*weight.shape, *extra)
        filled = up + share * (own - up)
    return filled
