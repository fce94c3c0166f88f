"""Makes up what no frame saw: texture and structure continued from the surroundings, patch by patch.

Coarse to fine: every patch that touches the hole looks for its most similar patch outside it (PatchMatch), then each
hole pixel becomes the mean of what its patches say. Sources: Wexler, Shechtman and Irani 2007, Space-Time Completion of
Video (the energy and the pyramid); Barnes et al. 2009, PatchMatch (the search).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.runtime.checks import check_options

__all__ = ["InpaintConfig", "inpaint", "spread_inwards"]

_DENSE_PATCHES = 1500


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
    """For each target patch, its source's position and how unlike the two are."""

    grid: Int[np.ndarray, "height width"]
    """Index of the patch centred on each pixel, or −1."""
    row: Int[np.ndarray, " patch"]
    column: Int[np.ndarray, " patch"]
    cost: Float[np.ndarray, " patch"]


class _Search:
    """One level of the pyramid."""

    def __init__(self, picture: np.ndarray, hole: np.ndarray, known: np.ndarray, config: InpaintConfig) -> None:
        half = config.patch_px // 2
        self.half, self.config, self.picture = half, config, picture
        self.height, self.width = hole.shape
        kernel = np.ones((config.patch_px, config.patch_px), np.uint8)
        inner = np.zeros(hole.shape, bool)
        inner[half : self.height - half, half : self.width - half] = True
        targets = (cv2.dilate(hole.astype(np.uint8), kernel) > 0) & inner
        self.source = (cv2.erode(known.astype(np.uint8), kernel, borderValue=0) > 0) & inner
        self.rows, self.columns = np.nonzero(targets)
        self.count = len(self.rows)
        self.hole = hole
        self.source_rows, self.source_columns = np.nonzero(self.source)
        self.possible = self.count > 0 and len(self.source_rows) > 0
        dy, dx = np.mgrid[-half : half + 1, -half : half + 1]
        self.offsets = (dy * self.width + dx).ravel()
        if self.count > _DENSE_PATCHES:
            # Every other pixel of a patch says nearly as much as all of them.
            self.offsets = self.offsets[(dy + dx).ravel() % 2 == 0]
        inside = np.where(known, 1.0, 0.35).astype(np.float32).ravel()
        centre = self.rows * self.width + self.columns
        # What is filmed counts more than what we made up ourselves.
        self.weight = inside[centre[:, None] + self.offsets]
        self.weight /= self.weight.sum(1, keepdims=True)

    def start(self, coarser: "_Matches | None", rng: np.random.Generator) -> _Matches:
        """The coarser level's matches, doubled; random ones on the coarsest."""
        grid = np.full((self.height, self.width), -1)
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
        matches = _Matches(grid, row, column, np.zeros(self.count, np.float32))
        matches.cost = self._cost(np.arange(self.count), row, column)
        return matches

    def improve(self, matches: _Matches, rng: np.random.Generator) -> None:
        """Neighbours' matches, near and far, and random places in shrinking windows."""
        everyone = np.arange(self.count)
        matches.cost = self._cost(everyone, matches.row, matches.column)
        for distance in (1, 4, 1):
            for dy, dx in ((0, distance), (distance, 0), (0, -distance), (-distance, 0)):
                self._propagate(matches, dy, dx)
        reach = max(self.height, self.width)
        while reach >= 1:
            row = matches.row + rng.integers(-reach // 2, reach // 2 + 1, self.count)
            column = matches.column + rng.integers(-reach, reach + 1, self.count)
            self._try(matches, everyone, row, column)
            reach //= 3

    def follow(self, matches: _Matches) -> None:
        """On levels too fine for a search: neighbours' matches only."""
        matches.cost = self._cost(np.arange(self.count), matches.row, matches.column)
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            self._propagate(matches, dy, dx)

    def vote(self, matches: _Matches, picture: np.ndarray) -> None:
        """Write into the hole the mean of what the patches over each pixel say; similar patches count more."""
        sharp = max(float(np.percentile(matches.cost, 60)), 1.0)
        confidence = np.exp(-np.minimum(matches.cost / (0.6 * sharp), 30.0)).astype(np.float32) + 1e-6
        rows, columns = np.nonzero(self.hole)
        total = np.zeros((len(rows), 3), np.float32)
        weight = np.zeros((len(rows), 1), np.float32)
        flat = self.picture.reshape(-1, 3).copy()
        for dy in range(-self.half, self.half + 1):
            for dx in range(-self.half, self.half + 1):
                r = np.clip(rows + dy, 0, self.height - 1)
                c = np.clip(columns + dx, 0, self.width - 1)
                patch = matches.grid[r, c]
                w = np.where(patch >= 0, confidence[patch], 0.0)[:, None] * np.exp(-(dy * dy + dx * dx) / 8.0)
                place = np.where(patch >= 0, (matches.row[patch] - dy) * self.width + matches.column[patch] - dx, 0)
                total += w * flat[place]
                weight += w
        seen = weight[:, 0] > 0
        picture[rows[seen], columns[seen]] = total[seen] / weight[seen]
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

    def _cost(self, who: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Mean squared difference of the patches, plus what a change of height costs."""
        flat = self.picture.reshape(-1, 3)
        costs = np.empty(len(who), np.float32)
        for begin in range(0, len(who), 8192):
            part = slice(begin, begin + 8192)
            target = (self.rows[who[part]] * self.width + self.columns[who[part]])[:, None] + self.offsets
            source = (row[part] * self.width + column[part])[:, None] + self.offsets
            difference = flat[target] - flat[source]
            squared = np.einsum("npc,npc->np", difference, difference) / 3
            costs[part] = (squared * self.weight[who[part]]).sum(1)
        shift = (row - self.rows[who]) / self.height
        return costs + self.config.level_cost * (shift * 4) ** 2


def spread_inwards(
    values: Float[np.ndarray, "height width *channel"], known: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width *channel"]:
    """Values continued smoothly from where they are known to everywhere, by a pyramid of weighted means.

    Source: Gortler et al. 1996, The Lumigraph, section 3.4 (push-pull).
    """
    weight = known.astype(np.float32)
    extra = (1,) * (values.ndim - 2)
    levels = [(values.astype(np.float32) * weight.reshape(*weight.shape, *extra), weight)]
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
