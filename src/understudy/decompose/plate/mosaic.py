"""The clean set of a static or turning camera: one mosaic of the whole shot.

A static camera's mosaic is the picture itself; a turning camera's is a panorama (equirectangular, around the way the
camera mostly looks). Few well-chosen frames, the *witnesses*, lie on it; each mosaic pixel is a robust median of those
witnesses that see past the actor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8, UInt16

from understudy.core.camera import UnscaledCameraPath
from understudy.decompose.plate.affine_residual import AlignmentTarget, affine_residual, move, shake_px
from understudy.decompose.plate.blend import Box, luminance_of, match_tone
from understudy.decompose.plate.holes import Holes, compare, reduced
from understudy.decompose.plate.shadow import Comparison
from understudy.imaging.channels import channel_max, inside_picture
from understudy.imaging.grain import Grain, estimate_grain, flat_areas
from understudy.runtime.parallel import in_order

__all__ = [
    "Mosaic", "MosaicGeometry", "MosaicView", "Panorama", "Still", "Witness", "cells_of", "choose_witnesses",
    "in_cells", "paint_mosaic", "repaint_mosaic", "smooth_map", "steady", "touched_cells",
]  # fmt: skip

_TILE = 192
_CELL = 16
_INVALID = np.uint16(65535)
_MIDDLE_THIRD = np.linspace(1 / 3, 2 / 3, 5)
"""The quantiles of which the mean is taken."""
_GRAIN_TILES, _GRAIN_SUPPORT = 24, 6
"""Tiles on which grain is measured, and by how many witnesses a place must be seen for that."""
_SCALE = 128.0
_MAX_MOSAIC_PX = 48_000_000
_SURE = 4
"""Witnesses that make sure what the clean set looks like."""
_RIM_PX = 24
"""What lies nearer to the end of the painted mosaic is not looked at: a hole there would reach beyond it."""
_SMALL_HEIGHT = 180
_MAP_STEP = 8
"""Pixels between the places at which a map is worked out."""
_STILL_PX, _MAX_SHAKE_PX = 0.2, 12.0
"""What moves less stands still, as far as can be told; a map that moves more is a mistake, and is not used."""


@dataclass(frozen=True)
class Still:
    """A camera that does not move: mosaic and frame are one.

    Positions are array indices here and in `Panorama`: the first pixel's centre is (0, 0).
    """

    shape: tuple[int, int]

    def frame_to_mosaic(self, time: int, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """The same positions."""
        return xy

    def mosaic_to_frame(self, time: int, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """The same positions."""
        return xy


class Panorama:
    """A camera that turns (and may zoom): longitude and latitude around its mean view."""

    def __init__(self, camera: UnscaledCameraPath) -> None:
        self._K = camera.K
        self._R_world_camera = camera.T_world_camera[:, :3, :3]
        self._R_world_mosaic = self._R_world_camera[len(camera) // 2]
        self.frame_shape = (camera.height, camera.width)
        forward = self._R_world_camera[:, :, 2] @ self._R_world_mosaic
        # Unwrapped: a pan of more than a full turn has its turns side by side, and no seam anywhere.
        self._longitude = np.unwrap(np.arctan2(forward[:, 0], forward[:, 2]))
        self._scale, self._origin, self.shape = 1.0, np.zeros(2), (1, 1)
        focal = float(camera.K[:, 0, 0].max())
        edge = self._edge(camera.width, camera.height)
        angles = np.concatenate([self.frame_to_mosaic(time, edge) for time in range(len(camera))])
        low, high = angles.min(0), angles.max(0)
        area = float(np.prod((high - low) * focal))
        self._scale = focal * min(1.0, np.sqrt(_MAX_MOSAIC_PX / area))
        self._origin = low * self._scale
        width, height = np.ceil((high - low) * self._scale).astype(int) + 2
        self.shape = (int(height), int(width))

    @staticmethod
    def _edge(width: int, height: int) -> Float[np.ndarray, "n 2"]:
        x, y = np.linspace(-0.5, width - 0.5, 9), np.linspace(-0.5, height - 0.5, 9)
        return np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)

    def frame_to_mosaic(self, time: int, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Through the ray of each pixel."""
        rays = np.concatenate([xy + 0.5, np.ones((len(xy), 1))], 1) @ np.linalg.inv(self._K[time]).T
        x, y, z = (rays @ self._R_world_camera[time].T @ self._R_world_mosaic).T
        centre = self._longitude[time]
        turn = np.arctan2(x, z) - centre
        longitude = centre + (turn + np.pi) % (2 * np.pi) - np.pi
        latitude = np.arctan2(y, np.hypot(x, z))
        return np.stack([longitude, latitude], -1) * self._scale - self._origin

    def mosaic_to_frame(self, time: int, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Through the ray of each mosaic pixel; NaN behind the camera."""
        longitude, latitude = ((xy + self._origin) / self._scale).T
        flat = np.cos(latitude)
        rays = np.stack([np.sin(longitude) * flat, np.sin(latitude), np.cos(longitude) * flat], -1)
        points = rays @ self._R_world_mosaic.T @ self._R_world_camera[time] @ self._K[time].T
        # On an unwrapped mosaic a place one full turn away has the same ray: only the nearest turn counts.
        near = np.abs(longitude - self._longitude[time]) < np.pi
        front = (points[:, 2] > 1e-6) & near
        pixels = points[:, :2] / np.where(front, points[:, 2], 1.0)[:, None] - 0.5
        return np.where(front[:, None], pixels, np.nan)


MosaicGeometry = Still | Panorama


@dataclass(frozen=True)
class Witness:
    """A frame kept in memory because it sees parts of the set that others do not."""

    time: int
    picture: UInt8[np.ndarray, "height width 3"]
    hole: Bool[np.ndarray, "height width"]
    """The actor."""
    others: Bool[np.ndarray, "height width"]
    """Other people: used only where nothing better is seen."""


@dataclass
class Mosaic:
    """The clean set."""

    picture: UInt8[np.ndarray, "height width 3"]
    support: UInt8[np.ndarray, "height width"]
    """By how many witnesses each pixel is seen; 0: never."""
    needed: Bool[np.ndarray, "height width"]
    """Tiles that some frame's hole needs; elsewhere the mosaic is empty."""
    grain: Grain
    tones: Float32[np.ndarray, "witness 2 3"]
    """Gain and offset that bring each witness to the exposure of the whole."""


def cells_of(
    geometry: MosaicGeometry, holes: Bool[np.ndarray, "time rows columns"]
) -> Bool[np.ndarray, "mosaic_rows mosaic_columns"]:
    """The mosaic cells that the holes of all frames, what hangs on them and what surrounds them need.

    `holes`: of each frame, in cells of 16 px (a cell counts when any of its pixels does).
    """
    sides = [max(int(np.ptp(place)) for place in np.nonzero(hole)) for hole in holes if hole.any()]
    # A shadow may be as long as the actor is tall.
    return touched_cells(geometry, dict(enumerate(holes)), max(6, round(0.7 * max(sides, default=0))))


def touched_cells(
    geometry: MosaicGeometry, masks: Mapping[int, Bool[np.ndarray, "rows columns"]], rim: int
) -> Bool[np.ndarray, "mosaic_rows mosaic_columns"]:
    """The mosaic cells that masks, given in cells of their frames, lie on, and `rim` cells around them."""
    rows, columns = (geometry.shape[0] + _CELL - 1) // _CELL, (geometry.shape[1] + _CELL - 1) // _CELL
    touched = np.zeros((rows, columns), bool)
    for time, mask in masks.items():
        y, x = np.nonzero(mask)
        if len(y) == 0:
            continue
        at = geometry.frame_to_mosaic(time, np.stack([x, y], -1) * float(_CELL) + (_CELL - 1) / 2)
        cells = np.clip((at // _CELL).astype(int), 0, (columns - 1, rows - 1))
        touched[cells[:, 1], cells[:, 0]] = True
    side = 2 * rim + 1
    return cv2.dilate(touched.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def in_cells(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "rows columns"]:
    """A mask in cells of 16 px; a cell counts when any of its pixels does."""
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % _CELL), (0, -width % _CELL)))
    return padded.reshape(padded.shape[0] // _CELL, _CELL, padded.shape[1] // _CELL, _CELL).any((1, 3))


def choose_witnesses(
    geometry: MosaicGeometry,
    needed: Bool[np.ndarray, "mosaic_rows mosaic_columns"],
    times: Sequence[int],
    holes: Bool[np.ndarray, "time rows columns"],
    size: tuple[int, int],
    count: int,
) -> list[int]:
    """Times of at most `count` frames, well spread and seeing what the mosaic needs.

    Args:
        needed: cells of the mosaic.
        times: candidates.
        holes: their holes in cells of 16 px (a cell counts when any of its pixels does).
        size: height and width of a frame.
    """
    y, x = np.nonzero(needed)
    centres = np.stack([x, y], -1) * float(_CELL) + (_CELL - 1) / 2
    visible = np.zeros((len(times), len(centres)), np.float32)
    for index, (time, hole) in enumerate(zip(times, holes, strict=True)):
        at = geometry.mosaic_to_frame(time, centres)
        inside = (at >= 0).all(1) & (at[:, 0] < size[1]) & (at[:, 1] < size[0])
        cell = (np.where(inside[:, None], at, 0) // _CELL).astype(int)
        visible[index] = inside & ~hole[cell[:, 1], cell[:, 0]]
    return sorted(_greedy(visible, list(times), count))


def _greedy(visible: Float[np.ndarray, "time cell"], times: list[int], count: int) -> list[int]:
    """Half evenly spread in time, half where they show what is still seen least."""
    if len(times) <= count:
        return times
    chosen = sorted({round(i) for i in np.linspace(0, len(times) - 1, count // 2)})
    seen = visible[chosen].sum(0)
    while len(chosen) < count:
        gain = visible @ (1.0 / (1.0 + seen) ** 2)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        seen += visible[best]
    return [times[index] for index in chosen]


def paint_mosaic(
    geometry: MosaicGeometry,
    needed: Bool[np.ndarray, "mosaic_rows mosaic_columns"],
    witnesses: Sequence[Witness],
) -> Mosaic:
    """The robust median of the witnesses, tile by tile where it is needed; tones matched between witnesses."""
    height, width = geometry.shape
    tones = _match_witnesses(geometry, needed, witnesses)
    empty = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8), np.zeros((height, width), bool)
    mosaic = Mosaic(*empty, Grain(np.zeros((6, 3)), 0.0), tones)
    return replace(mosaic, grain=_grain_from(_painted(mosaic, geometry, needed, witnesses)))


def repaint_mosaic(
    mosaic: Mosaic,
    geometry: MosaicGeometry,
    cells: Bool[np.ndarray, "mosaic_rows mosaic_columns"],
    witnesses: Sequence[Witness],
) -> Mosaic:
    """The mosaic with the tiles of some cells painted anew, from witnesses that were looked at more closely there."""
    again = Mosaic(mosaic.picture.copy(), mosaic.support.copy(), mosaic.needed.copy(), mosaic.grain, mosaic.tones)
    _painted(again, geometry, cells, witnesses)
    return again


def _painted(
    mosaic: Mosaic,
    geometry: MosaicGeometry,
    cells: Bool[np.ndarray, "mosaic_rows mosaic_columns"],
    witnesses: Sequence[Witness],
) -> list[tuple[np.ndarray, ...]]:
    """Write the tiles of some cells into a mosaic; what is left of witnesses there, to measure grain."""
    height, width = geometry.shape
    step = _TILE // _CELL
    tiles = [
        Box(r * _CELL, min((r + step) * _CELL, height), c * _CELL, min((c + step) * _CELL, width))
        for r in range(0, cells.shape[0], step)
        for c in range(0, cells.shape[1], step)
        if cells[r : r + step, c : c + step].any()
    ]

    def paint(box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        samples = _samples(geometry, box, witnesses, mosaic.tones)
        middle, count = _robust_median(samples)
        best = samples[int((samples[..., 0] != _INVALID).mean((1, 2)).argmax())].copy()
        return middle, count, best

    residuals: list[tuple[np.ndarray, ...]] = []
    for box, (middle, count, best) in zip(tiles, in_order(paint, tiles), strict=True):
        mosaic.picture[box.slices] = np.rint(middle).astype(np.uint8)
        mosaic.support[box.slices] = np.minimum(count, 255)
        mosaic.needed[box.slices] = True
        if len(residuals) < _GRAIN_TILES and (count >= _GRAIN_SUPPORT).mean() > 0.5:
            residuals.append(_grain_samples(best, middle, count))
    return residuals


def steady(witnesses: Sequence[Witness]) -> tuple[list[Witness], bool]:
    """Witnesses of a static camera on top of each other, and whether the camera did shake.

    A locked-off camera's witnesses (half of them moved by less than `_STILL_PX`) come back as they are: noise and
    flicker alone seem to move single ones.
    """
    if len(witnesses) < 2:
        return list(witnesses), False
    middle = witnesses[len(witnesses) // 2]
    reference, height, width = AlignmentTarget.of(middle.picture.astype(np.float32)), *middle.hole.shape
    maps = []
    for witness in witnesses:
        known = ~(witness.hole | witness.others | middle.hole | middle.others)
        maps.append(affine_residual(witness.picture.astype(np.float32), reference, known, max_px=_MAX_SHAKE_PX))
    if np.median([shake_px(A, height, width) for A in maps]) < _STILL_PX:
        return list(witnesses), False
    steadied = []
    for witness, A in zip(witnesses, maps, strict=True):
        hole, others = (move(m.astype(np.float32), A) > 0.05 for m in (witness.hole, witness.others))
        steadied.append(Witness(witness.time, move(witness.picture, A), hole, others))
    return steadied, True


def smooth_map(
    where: Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n 2"]], box: Box
) -> Float[np.ndarray, "height width 2"]:
    """Where the pixels of a box lie: asked for each `_MAP_STEP`-th only, and interpolated between, for it is smooth."""
    rows, columns = (-(-side // _MAP_STEP) + 1 for side in box.shape)
    y, x = np.mgrid[0:rows, 0:columns] * float(_MAP_STEP)
    grid = np.stack([x + box.left, y + box.top], -1).reshape(-1, 2)
    coarse = where(grid).reshape(rows, columns, 2).astype(np.float32)
    return cv2.remap(coarse, *_finer(*box.shape), cv2.INTER_LINEAR)


@lru_cache(maxsize=4)
def _finer(rows: int, columns: int) -> tuple[Float32[np.ndarray, "rows columns"], Float32[np.ndarray, "rows columns"]]:
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) / _MAP_STEP
    return x, y


def _tile_positions(box: Box) -> Float[np.ndarray, "n 2"]:
    y, x = np.mgrid[box.top : box.bottom, box.left : box.right]
    return np.stack([x, y], -1).reshape(-1, 2).astype(np.float64)


def _samples(
    geometry: MosaicGeometry, box: Box, witnesses: Sequence[Witness], tones: Float[np.ndarray, "witness 2 3"]
) -> UInt16[np.ndarray, "witness rows columns 3"]:
    """What each witness sees of a tile, in levels × 128; 65535 where it does not."""
    stack = np.full((len(witnesses), *box.shape, 3), _INVALID)
    hidden: dict[int, Bool[np.ndarray, "rows columns"]] = {}
    for index, witness in enumerate(witnesses):
        seen = _see(geometry, witness, box)
        if seen is None:
            continue
        colour, actor, others = seen
        levels = np.arange(256, dtype=np.float32)[:, None, None] * tones[index, 0] + tones[index, 1]
        stack[index] = cv2.LUT(colour, (np.clip(levels, 0, 255) * _SCALE).astype(np.uint16))
        if actor.any():
            stack[index][actor] = _INVALID
        if others.any():
            hidden[index] = others & ~actor
    if hidden:
        # Other people, and the actor's shadow: asked only where nobody else says anything.
        behind = {index: stack[index][others] for index, others in hidden.items()}
        for index, others in hidden.items():
            stack[index][others] = _INVALID
        unseen = (stack[..., 0] == _INVALID).all(0)
        for index, others in hidden.items():
            stack[index][others & unseen] = behind[index][unseen[others]]
    return stack


def _see(
    geometry: MosaicGeometry, witness: Witness, box: Box
) -> (
    tuple[UInt8[np.ndarray, "rows columns 3"], Bool[np.ndarray, "rows columns"], Bool[np.ndarray, "rows columns"]]
    | None
):
    """Colour, actor and others of a witness on a tile; None if it does not see the tile at all."""
    height, width = witness.hole.shape
    if isinstance(geometry, Still):
        colour, actor, others = (a[box.slices] for a in (witness.picture, witness.hole, witness.others))
        return colour, actor, others
    at = smooth_map(lambda xy: geometry.mosaic_to_frame(witness.time, xy), box)
    with np.errstate(invalid="ignore"):
        inside = inside_picture(at, height, width)
    if not inside.any():
        return None
    at = np.where(inside[..., None], at, np.float32(-9))
    colour = cv2.remap(witness.picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    # Half a pixel of slack: a cubic kernel reaches into the actor before its centre does.
    actor = cv2.remap(witness.hole.view(np.uint8) * 255, at, None, cv2.INTER_LINEAR, borderValue=255) > 0
    others = cv2.remap(witness.others.view(np.uint8), at, None, cv2.INTER_NEAREST) > 0
    return colour, actor | ~inside, others


def _robust_median(
    samples: UInt16[np.ndarray, "witness rows columns 3"],
) -> tuple[Float32[np.ndarray, "rows columns 3"], Int[np.ndarray, "rows columns"]]:
    """The mean of the middle third of the valid samples (levels), and how many are valid; 0 without any."""
    # The witnesses of a pixel side by side: a copy by OpenCV, in blocks, is much quicker than to sort over strides.
    ordered = cv2.transpose(samples.reshape(len(samples), -1))
    ordered.sort(axis=-1)
    count = (samples[..., 0] != _INVALID).sum(0)
    last = np.maximum(count - 1, 0)[..., None]
    total = np.zeros(samples.shape[1:], np.float32)
    first = np.arange(ordered.shape[0], dtype=np.intp).reshape(total.shape) * len(samples)
    for quantile in _MIDDLE_THIRD:
        total += ordered.take(first + np.rint(last * quantile).astype(np.intp))
    return np.where(count[..., None] > 0, total / np.float32(len(_MIDDLE_THIRD) * _SCALE), np.float32(0)), count


def _match_witnesses(
    geometry: MosaicGeometry, needed: Bool[np.ndarray, "rows columns"], witnesses: Sequence[Witness]
) -> Float[np.ndarray, "witness 2 3"]:
    """Gain and offset of each witness that bring all to one exposure: on a mosaic of one pixel per cell."""
    tones = np.tile(np.array([[1.0] * 3, [0.0] * 3], np.float32), (len(witnesses), 1, 1))
    rows, columns = needed.shape
    positions = _tile_positions(Box(0, rows, 0, columns)) * _CELL + (_CELL - 1) / 2
    values = np.zeros((len(witnesses), rows, columns, 3), np.float32)
    valid = np.zeros((len(witnesses), rows, columns), bool)
    for index, witness in enumerate(witnesses):
        height, width = witness.hole.shape
        at = geometry.mosaic_to_frame(witness.time, positions).reshape(rows, columns, 2)
        with np.errstate(invalid="ignore"):
            inside = (at >= 0).all(-1) & (at[..., 0] < width) & (at[..., 1] < height)
        at = np.where(inside[..., None], at, 0).astype(np.float32)
        soft = cv2.blur(witness.picture, (9, 9))
        values[index] = cv2.remap(soft, at, None, cv2.INTER_LINEAR)
        blocked = cv2.remap((witness.hole | witness.others).astype(np.uint8), at, None, cv2.INTER_NEAREST) > 0
        valid[index] = inside & ~blocked
    for _ in range(3):
        matched = values * tones[:, None, None, 0] + tones[:, None, None, 1]
        stacked = np.where(valid[..., None], np.clip(matched, 0, 255) * _SCALE, _INVALID).astype(np.uint16)
        middle, count = _robust_median(stacked)
        for index in range(len(witnesses)):
            tones[index] = np.stack(match_tone(values[index], middle, valid[index] & (count > 1)))
        # The exposure of the whole stays where the witnesses' own mean is.
        tones[:, 0] /= np.maximum(tones[:, 0].mean(0), 1e-3)
        tones[:, 1] -= tones[:, 1].mean(0)
    return tones


def _grain_samples(
    sample: UInt16[np.ndarray, "rows columns 3"],
    middle: Float32[np.ndarray, "rows columns 3"],
    count: Int[np.ndarray, "rows columns"],
) -> tuple[np.ndarray, ...]:
    """Residual, luminance and usable pixels of the witness that sees most of a tile."""
    residual = sample.astype(np.float32) / _SCALE - middle
    luminance = luminance_of(middle)
    usable = (sample[..., 0] != _INVALID) & (count >= _GRAIN_SUPPORT) & flat_areas(luminance)
    # What moved in the background is no grain, and neither is the shade of a cloud.
    usable &= channel_max(np.abs(residual)) < 24
    weight = usable.astype(np.float32)
    shade = cv2.GaussianBlur(residual * weight[..., None], (0, 0), 4.0)
    residual = residual - shade / np.maximum(cv2.GaussianBlur(weight, (0, 0), 4.0), 1e-3)[..., None]
    return residual, luminance, usable


def _grain_from(residuals: list[tuple[np.ndarray, ...]]) -> Grain:
    """One grain from all tiles; none at all where nothing could be measured."""
    if not residuals:
        return Grain(np.zeros((6, 3)), 0.0)
    width = min(residual.shape[1] for residual, _, _ in residuals)
    residual, luminance, usable = (np.concatenate([r[k][:, :width] for r in residuals]) for k in range(3))
    return estimate_grain(residual, luminance, usable)


class MosaicView:
    """Looks at a mosaic from frames: in a box at full size, or as a whole at 1/`scale`."""

    def __init__(self, mosaic: Mosaic, geometry: MosaicGeometry) -> None:
        height = geometry.shape[0] if isinstance(geometry, Still) else geometry.frame_shape[0]
        self.scale = max(2, round(height / _SMALL_HEIGHT))
        self._mosaic, self._geometry = mosaic, geometry
        # The least support in each block: a block is sure only when all of it is.
        support = cv2.erode(mosaic.support, np.ones((self.scale + 1, self.scale + 1), np.uint8))
        painted = cv2.erode(mosaic.needed.astype(np.uint8), np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8))
        self._reduced = reduced(mosaic.picture, self.scale), reduced(support * painted, self.scale)

    def compare(self, frame: UInt8[np.ndarray, "height width 3"], holes: Holes, index: int) -> Comparison:
        """A frame compared with the clean set, at reduced size."""
        small = reduced(frame, self.scale).astype(np.float32)
        clean, support = self._look_reduced(index, *small.shape[:2])
        return compare(small, clean, support >= _SURE, holes, self.scale)

    def look(
        self, index: int, box: Box
    ) -> tuple[Float[np.ndarray, "height width 3"], UInt8[np.ndarray, "height width"]]:
        """The mosaic and its support as frame `index` sees them in a box."""
        picture, support = self._mosaic.picture, self._mosaic.support
        if isinstance(self._geometry, Still):
            return picture[box.slices].astype(np.float32), support[box.slices]
        at = smooth_map(lambda xy: self._geometry.frame_to_mosaic(index, xy), box)
        fill = cv2.remap(picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return fill.astype(np.float32), cv2.remap(support, at, None, cv2.INTER_NEAREST, borderValue=0)

    def _look_reduced(
        self, index: int, rows: int, columns: int
    ) -> tuple[Float[np.ndarray, "rows columns 3"], UInt8[np.ndarray, "rows columns"]]:
        """The whole frame's view of the mosaic at reduced size."""
        picture, support = self._reduced
        if isinstance(self._geometry, Still):
            return picture.astype(np.float32), support
        y, x = np.mgrid[0:rows, 0:columns]
        full = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) * self.scale - 0.5
        at = (self._geometry.frame_to_mosaic(index, full) + 0.5) / self.scale - 0.5
        at = at.reshape(rows, columns, 2).astype(np.float32)
        clean = cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return clean.astype(np.float32), cv2.remap(support, at, None, cv2.INTER_NEAREST, borderValue=0)
