"""Cloth, hair and fur of which one place is seen, carried on over places that are not: patches of the same picture."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from understudy.characters.picture.paint.seen import carried_out

__all__ = ["continued"]

SCALES = (1.0, 2.0)
"""Pixels per cell at which patches are compared, coarse to fine."""
RADIUS = 2
"""Of patches, in pixels at each scale."""
ROUNDS = 6
"""At each scale, of choosing patches and drawing what they agree upon."""
RANDOM = 4
"""Places that are tried in each round around each patch's source, each in half as wide a window as the one before."""
FIRST = 8
"""Places that are tried for each patch to begin with."""
LEVEL_COST = 6.0
"""Squared sRGB levels that each squared cell along the bone costs: hems, belts and shadows stay at their level."""
FLATNESS = 4.0
"""How much nearer a place on the same level counts to begin with."""
LEVEL_BLUR = 3.0
"""Cells; coarser changes of brightness go on smoothly, only finer ones come from patches: plain cloth stays plain."""
CALM_BLUR = 2.5
"""How much further brightness is spread in a part that is to be calm: a row of it has no colour of its own."""
USUAL_GRAIN = 2.0
"""Times the median of what a calm part's pixels are off their surroundings."""
GUIDE = 1.0
"""How much it counts, beside a patch's own pixels, that its surroundings are as bright and of the same colour."""
COHERENCE = 1.15
"""A patch takes the shift of the one beside it, though its own is so much better: large pieces stay whole."""


def continued(
    picture: Float[np.ndarray, "height width 3"],
    hole: Bool[np.ndarray, "row column"],
    source: Bool[np.ndarray, "row column"],
    part: Int[np.ndarray, "row column"],
    along: Float[np.ndarray, "part 2"],
    calm: int | None = None,
) -> Float[np.ndarray, "height width 3"]:
    """The picture with its hole filled by patches from the same part, which join each other and what is around.

    Args:
        picture: sRGB levels, at any scale over the grid.
        hole, source: cells that are to be filled, and from which patches may be taken.
        part: of each cell.
        along: for each part a unit vector along its bone, in grid coordinates.
        calm: a part whose fill has the part's usual grain and no more: a head, of which hairline, ears and locks must
            not be repeated.

    Patches are found at a few pixels per cell; the picture's own pixels then follow their shifts, so that it stays as
    sharp as it is. The same input gives the same output. A part without sources keeps the nearest colour.

    Source: Wexler, Shechtman and Irani 2007 (patches that agree, coarse to fine); Barnes et al. 2009 (how they are
    found); He and Sun 2012 (full resolution by the shifts of a coarser one).
    """
    hole = hole & ~source
    target = hole & np.isin(part, np.unique(part[source]))
    if not target.any():
        known = _resized(~hole, picture.shape[:2])
        return carried_out(picture, known) if known.any() else picture
    in_hole = _resized(hole, picture.shape[:2])[..., None]
    around = _resized(source | hole, picture.shape[:2])
    blur_px = LEVEL_BLUR * picture.shape[0] / hole.shape[0]
    fine = np.where(in_hole, _levelled(picture, hole, source, part, along), picture)
    smooth = _blurred(fine, around, blur_px)
    rows, columns = hole.shape
    shift: Float[np.ndarray, "2 h w"] | None = None
    for scale in SCALES:
        size = round(rows * scale), round(columns * scale)
        at_scale = _Scale(
            cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA),
            cv2.resize(smooth, size[::-1], interpolation=cv2.INTER_AREA),
            _resized(target, size), _resized(source, size),
            cv2.resize(part.astype(np.int16), size[::-1], interpolation=cv2.INTER_NEAREST),
            along, scale,
        )  # fmt: skip
        shift = at_scale.shifts(shift)
    assert shift is not None  # there are scales
    filled = np.where(in_hole, _shifted(fine, shift), picture)
    grain = filled - _blurred(filled, around, blur_px)
    if calm is not None and (known := source & (part == calm)).any():
        blur_px *= CALM_BLUR
        usual = USUAL_GRAIN * np.median(np.abs(picture - smooth)[_resized(known, picture.shape[:2])])
        quiet = _blurred(fine, around, blur_px) + np.clip(grain, -usual, usual)
        filled = np.where(_resized(part == calm, picture.shape[:2])[..., None], quiet, smooth + grain)
    else:
        filled = smooth + grain
    soft = cv2.resize(hole.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)[..., None]
    return picture + np.where(in_hole, 1, np.clip(2 * soft, 0, 1)) * (filled - picture)


def _resized(mask: Bool[np.ndarray, "row column"], size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    return cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _levelled(
    picture: Float[np.ndarray, "height width 3"],
    hole: Bool[np.ndarray, "row column"],
    source: Bool[np.ndarray, "row column"],
    part: Int[np.ndarray, "row column"],
    along: Float[np.ndarray, "part 2"],
) -> Float[np.ndarray, "height width 3"]:
    """To begin with, each cell of the hole takes the colour of the nearest source of its part, first at its level."""
    small = cv2.resize(picture, hole.shape[::-1], interpolation=cv2.INTER_AREA)
    for index in np.unique(part[hole]):
        own = source & (part == index)
        upright = abs(along[index][1]) > abs(along[index][0])
        nearest = ndimage.distance_transform_edt(
            ~(own if own.any() else source), (FLATNESS, 1) if upright else (1, FLATNESS),
            return_distances=False, return_indices=True,
        )  # fmt: skip
        small = np.where((hole & (part == index))[..., None], small[tuple(nearest)], small)
    return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _blurred(
    picture: Float[np.ndarray, "height width 3"], among: Bool[np.ndarray, "height width"], sigma_px: float
) -> Float[np.ndarray, "height width 3"]:
    """Of some pixels alone, computed at a quarter of the size."""
    size = max(picture.shape[1] // 4, 1), max(picture.shape[0] // 4, 1)
    weight = among.astype(np.float32) + 1e-4
    values, total = (cv2.resize(v, size, interpolation=cv2.INTER_AREA) for v in (picture * weight[..., None], weight))
    values, total = (cv2.GaussianBlur(v, (0, 0), max(sigma_px / 4, 0.3)) for v in (values, total))
    return cv2.resize(values / total[..., None], picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


class _Scale:
    """Patches of a picture at one scale: for each pixel of the hole from where it is taken."""

    def __init__(
        self,
        image: Float[np.ndarray, "h w 3"],
        smooth: Float[np.ndarray, "h w 3"],
        target: Bool[np.ndarray, "h w"],
        source: Bool[np.ndarray, "h w"],
        part: Int[np.ndarray, "h w"],
        along: Float[np.ndarray, "part 2"],
        scale: float,
    ) -> None:
        self.image, self.part, self.scale = image.astype(np.float32), part, scale
        self.guide = np.sqrt(GUIDE) * (2 * RADIUS + 1) * smooth.astype(np.float32)
        self.source = source & ~target
        self.target = target
        self.at = np.argwhere(target)
        self.part_at = part[target]
        self.along = along[self.part_at][:, ::-1] / scale
        self.random = np.random.default_rng(0)

    def shifts(self, coarse: Float[np.ndarray, "2 row column"] | None) -> Float[np.ndarray, "2 h w"]:
        """From each pixel of the hole to its source (y, x), zero elsewhere; in cells."""
        height, width = self.target.shape
        by_part = {p: np.argwhere(self.source & (self.part == p)) for p in np.unique(self.part_at)}
        self._among = by_part
        best = self._anywhere()
        if coarse is not None:
            wide = np.stack([cv2.resize(c, (width, height), interpolation=cv2.INTER_NEAREST) for c in coarse])
            best = self.at + np.round(wide[:, self.target].T * self.scale).astype(int)
            best = np.where(self._valid(best)[:, None], best, self._anywhere())
            self._draw(best)
        everyone = np.arange(len(self.at))
        for turn in range(ROUNDS):
            patches = self._patches()
            own = patches[self.at[:, 0], self.at[:, 1]]
            cost = self._compared(patches, own, best, everyone)
            for _ in range(FIRST if coarse is None and turn == 0 else 0):
                best, cost = self._better(patches, own, best, cost, self._anywhere())
            best, cost = self._from_beside(patches, own, best, cost)
            reach = max(height, width) / 4
            for _ in range(RANDOM):
                step = np.round(self.random.uniform(-reach, reach, best.shape)).astype(int)
                best, cost = self._better(patches, own, best, cost, best + step)
                reach = max(reach / 3, 1.5)
            self._draw(best)
        shift = np.zeros((2, height, width), np.float32)
        shift[:, self.target] = (best - self.at).T / self.scale
        return shift

    def _anywhere(self) -> Int[np.ndarray, "pixel 2"]:
        """For each pixel of the hole a random source of its part."""
        found = np.zeros_like(self.at)
        for part, places in self._among.items():
            own = self.part_at == part
            count = int(own.sum())
            found[own] = places[self.random.integers(0, len(places), count)] if len(places) else self.at[own]
        return found

    def _valid(self, place: Int[np.ndarray, "pixel 2"]) -> Bool[np.ndarray, " pixel"]:
        inside = ((place >= 0) & (place < self.target.shape)).all(1)
        y, x = np.clip(place, 0, np.array(self.target.shape) - 1).T
        return inside & self.source[y, x] & (self.part[y, x] == self.part_at)

    def _patches(self) -> Float[np.ndarray, "h w value"]:
        padded = np.pad(self.image, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge")
        windows = sliding_window_view(padded, (2 * RADIUS + 1,) * 2, axis=(0, 1))
        return np.concatenate([windows.reshape(*self.target.shape, -1), self.guide], -1)

    def _compared(
        self,
        patches: Float[np.ndarray, "h w value"],
        own: Float[np.ndarray, "pixel value"],
        place: Int[np.ndarray, "pixel 2"],
        which: Int[np.ndarray, " chosen"],
    ) -> Float[np.ndarray, " chosen"]:
        """How badly the patches at some places fit the chosen pixels, in squared sRGB levels."""
        away = patches[place[which, 0], place[which, 1]] - own[which]
        off = ((place - self.at) * self.along)[which].sum(1)
        return np.einsum("pv,pv->p", away, away) / (2 * RADIUS + 1) ** 2 + LEVEL_COST * off**2

    def _better(
        self,
        patches: Float[np.ndarray, "h w value"],
        own: Float[np.ndarray, "pixel value"],
        best: Int[np.ndarray, "pixel 2"],
        cost: Float[np.ndarray, " pixel"],
        place: Int[np.ndarray, "pixel 2"],
        favour: float = 1.0,
    ) -> tuple[Int[np.ndarray, "pixel 2"], Float[np.ndarray, " pixel"]]:
        """What is at other places, where that is better."""
        valid = self._valid(place) & (place != best).any(1)
        best, cost = best.copy(), cost.copy()
        tried = np.flatnonzero(valid)
        new = self._compared(patches, own, place, tried)
        wins = new < favour * cost[tried]
        best[tried[wins]], cost[tried[wins]] = place[tried[wins]], new[wins]
        return best, cost

    def _from_beside(
        self,
        patches: Float[np.ndarray, "h w value"],
        own: Float[np.ndarray, "pixel value"],
        best: Int[np.ndarray, "pixel 2"],
        cost: Float[np.ndarray, " pixel"],
    ) -> tuple[Int[np.ndarray, "pixel 2"], Float[np.ndarray, " pixel"]]:
        """The shift of a pixel beside, one or some pixels away, where that is about as good."""
        limit = np.array(self.target.shape) - 1
        for far in (4, 2, 1):
            for step in ((far, 0), (-far, 0), (0, far), (0, -far)):
                shift = np.zeros((*self.target.shape, 2), int)
                shift[self.target] = best - self.at
                y, x = np.clip(self.at + step, 0, limit).T
                best, cost = self._better(patches, own, best, cost, self.at + shift[y, x], COHERENCE)
        return best, cost

    def _draw(self, best: Int[np.ndarray, "pixel 2"]) -> None:
        """Fill the hole by the mean of all patches that cover each pixel."""
        shift = np.zeros((*self.target.shape, 2), int)
        shift[self.target] = best - self.at
        limit = np.array(self.target.shape) - 1
        total = np.zeros((len(self.at), 3), np.float32)
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                y, x = np.clip(self.at + (dy, dx), 0, limit).T
                y, x = np.clip(self.at + shift[y, x], 0, limit).T
                total += self.image[y, x]
        self.image[self.target] = total / 9


def _shifted(
    fine: Float[np.ndarray, "height width 3"], shift: Float[np.ndarray, "2 h w"]
) -> Float[np.ndarray, "height width 3"]:
    """Each pixel from where the shifts of the four coarse pixels around it point, by how near they are."""
    height, width = fine.shape[:2]
    size = shift.shape[1:]
    rows = size[0] / SCALES[-1], size[1] / SCALES[-1]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    v, u = (y + 0.5) * size[0] / height - 0.5, (x + 0.5) * size[1] / width - 0.5
    top, left = np.floor(v).astype(int), np.floor(u).astype(int)
    total = np.zeros_like(fine)
    for down in (0, 1):
        for right in (0, 1):
            row, column = np.clip(top + down, 0, size[0] - 1), np.clip(left + right, 0, size[1] - 1)
            weight = np.abs(1 - down - (v - top)) * np.abs(1 - right - (u - left))
            map_x = (x + shift[1, row, column] * (width / rows[1])).astype(np.float32)
            map_y = (y + shift[0, row, column] * (height / rows[0])).astype(np.float32)
            found = cv2.remap(fine, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            total += weight[..., None].astype(np.float32) * found
    return total
