"""From a rough mask of a person to a soft matte at full resolution.

Each pixel around the person is weighed by three witnesses: how far it is from the clean plate, whether its colour is
the person's or the background's, and the rough mask. The first two are calibrated on each frame, on pixels that are
surely the person or surely not, so that a witness that cannot tell them apart there says nothing: where the plate looks
like the person, or is itself wrong, the rough mask and the colours decide.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from scipy.ndimage import gaussian_filter

from understudy.core.footage import LANDMARKS, LandmarkTrack, Shot
from understudy.imaging.guided_filter import guided_coefficients
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import read_frames, read_video
from understudy.runtime.checks import check_options
from understudy.runtime.parallel import in_order, prefetch, write_behind
from understudy.runtime.progress import Progress, silent

__all__ = ["MatteConfig", "MatteFrame", "refine_matte", "refined"]

_HANDS = [LANDMARKS.index(name) for name in ("left_wrist", "right_wrist", "left_index", "right_index")]
_KNEES = [LANDMARKS.index(name) for name in ("left_knee", "right_knee")]
_SHOULDERS = [LANDMARKS.index(name) for name in ("left_shoulder", "right_shoulder")]

PLATE_BINS = 40
"""Of the distance from the plate: eight for each doubling, in units of the noise."""
COLOUR_BINS = (16, 24, 24)
"""Of L*, a*, b* in 8 bits: 16 levels of lightness, 8 of each chroma."""
SOLID, EMPTY = 200, 30
"""Rough coverage from which a pixel is taken for the person, up to which for background (of 255)."""
MIN_SAMPLES = 100
"""Pixels, of the person and of the background: with fewer, no colours can be learned, and the rough mask stays."""
_PLATE_SMOOTHING, _COLOUR_SMOOTHING = (1.5, 4.0), (0.8, 3.0)
"""Radius of a Gaussian, in bins, over what was counted, and the surest log odds that may come of it."""
SHADOW_OFF = 14.0
"""How much (of 255) the colour of a cast shadow may differ from the darkened plate."""
_SHADOW_SHARE = 0.25, 0.95
"""Shares of its light that a place in cast shadow keeps: less is a dark thing, more is noise."""

# Shares of the person's size.
_GAP = 0.05
"""From the rough mask to the background around it: hair and fingers reach into it."""
_WINDOW_RIM = 0.06
"""Around that background, so that filters have something to go by."""
_PERSON_DEPTH = 0.008
"""How deep inside the rough mask a pixel's colour is learned as the person's: its edge is a blend."""
_PRIOR_BLUR = 0.006
"""About how far the rough mask's edge lies off, as the radius of a Gaussian."""
_NOISE_WINDOW = 0.2
"""Side of the window in which the plate's own error is measured: it differs from place to place."""
_COVER_REACH = 0.015
"""How far the person's own colour is fetched to tell how much of a pixel at the outline it covers."""

_PRIOR_SLACK, _MAX_PRIOR_ODDS = 0.02, 3.0
"""A rough mask of 0 or 1 is wrong in one of fifty pixels; most log odds that it can give."""
_SURE_ODDS = 6.0
"""Log odds of what is the person's, or not, whatever it looks like: 1 in 400."""
_OTHER_COVERAGE = 100
"""Coverage (of 255) by another person from which on a pixel is theirs, unless the person's own is greater."""
_LIGHTNESS_WEIGHT = 0.6
"""Of a difference in L*, against a* and b*: lightness changes with shadows and exposure, chroma less."""
_TYPICAL_SAMPLES = 30
"""Pixels: so much the typical error of the whole surroundings counts where the window has little background."""
_NOISE_LEVELS, _MAX_NOISE = 1.5, 2.5
"""The plate's error is 1.5 levels at the least (coding), and at most 2.5 times the typical one: a shadow beside the
feet is no noise, and must not hide the shoes."""
_LEVELS_PER_DOUBLING = 8
"""Bins of PLATE_BINS for each doubling of the distance."""
_UNSEEN_COUNTS = 0.05
"""Share of all pixels that is spread over the bins in which nothing was counted, so that no odds are infinite."""
_OUTLINE_CONTRAST = 40.0
"""8-bit levels of contrast between person and plate at which the partly covered outline is half believed."""
_MIN_COVER_SHARE = 0.02
"""Share of the reach's window that must be the person's for its colour to be known."""
_CONNECTED_BELIEF = 0.3
"""Belief through which parts hang together with the person: motion blur thins a hand's link to the arm."""


@dataclass(frozen=True)
class MatteConfig:
    """How masks are refined. Lengths are shares of the person's size: their height in the picture, or more if wide."""

    work_px: int = 360
    """The person's size at which pixels are weighed; the matte's edges have the full resolution."""
    reach: float = 0.08
    """How far outside the rough mask the person may still be."""
    arm_reach: float = 0.4
    """The same around hands and shoulders: for fast arms, and for what the hands hold."""
    core: float = 0.02
    """How deep inside the rough mask a pixel is surely the person."""
    ring: float = 0.15
    """Width of the background around the person on which the witnesses are calibrated."""
    plate_weight: float = 1.2
    """How much the distance from the clean plate counts."""
    colour_weight: float = 0.6
    """How much the colour counts: less, for clothes and walls may share it."""
    prior_weight: float = 1.2
    """How much the rough mask counts."""
    learning_rate: float = 0.4
    """How much a frame changes what is known of the person's and the background's colours."""
    edge: float = 0.008
    """Radius of the guided filter."""
    edge_noise: float = 0.01
    """Differences of colour (0 … 1) that are no edge."""
    contrast: float = 1.6
    """How much steeper the matte's edges are made."""

    def __post_init__(self) -> None:
        check_options(
            self,
            work_px=(32, 8192),
            learning_rate=(0, 1),
            edge_noise=(1e-6, 1),
            contrast=(0, 100),
            **dict.fromkeys(("reach", "arm_reach", "core", "ring", "edge"), (0, 10)),
            **dict.fromkeys(("plate_weight", "colour_weight", "prior_weight"), (0, 1000)),
        )


def refine_matte(
    shot: Shot,
    rough_mask: Path,
    clean_plate: Path,
    track: LandmarkTrack,
    out: Path,
    other_masks: Sequence[Path] = (),
    config: MatteConfig | None = None,
    progress: Progress = silent,
) -> None:
    """Write the soft matte of one person as a mask video of the shot's size and length.

    `clean_plate` holds the shot without the person, registered frame by frame, and may be a row or a column larger;
    `other_masks` are rough masks of other people, whose pixels are not taken.
    """
    others = zip(*(read_video(mask) for mask in other_masks), strict=True) if other_masks else repeat(())
    streams = zip(read_frames(shot), read_video(rough_mask), read_video(clean_plate), strict=True)

    def frames() -> Iterator[MatteFrame]:
        for index, ((picture, rough, plate), taken) in enumerate(zip(streams, others, strict=False)):
            landmarks = track.landmarks_px[index] if track.seen[index] else None
            other = np.maximum.reduce(taken) if taken else None
            yield MatteFrame(picture, plate[: shot.height, : shot.width], rough, other, landmarks)

    with VideoWriter(out, shot.width, shot.height, shot.frame_rate, "mask") as writer:
        mattes = refined(prefetch(frames(), 2), config or MatteConfig())
        for index, _ in enumerate(write_behind(writer.write, mattes)):
            progress(index + 1, len(shot))


class MatteFrame(NamedTuple):
    """What the matte of a frame is made from."""

    picture: UInt8[np.ndarray, "height width 3"]
    plate: UInt8[np.ndarray, "height width 3"]
    """The same without the person."""
    rough: UInt8[np.ndarray, "height width"]
    """The person's rough mask."""
    other: UInt8[np.ndarray, "height width"] | None = None
    """Other people's."""
    landmarks_px: Float[np.ndarray, "33 2"] | None = None
    """None where the person was not seen: then the rough mask is a guess."""


def refined(frames: Iterable[MatteFrame], config: MatteConfig) -> Iterator[UInt8[np.ndarray, "height width"]]:
    """The mattes of one person's frames, in order: what is learned of the colours on the way is kept for later ones.

    Where there is too little to go by, the rough mask itself.
    """
    learned = _learned(in_order(lambda frame: _observed(frame, config), frames), config)
    yield from in_order(lambda item: _matte(*item, config), learned)


@dataclass(frozen=True)
class _View:
    """The part of a frame around the person, scaled to the working resolution."""

    picture: UInt8[np.ndarray, "h w 3"]
    plate: UInt8[np.ndarray, "h w 3"]
    lab: UInt8[np.ndarray, "h w 3"]
    plate_lab: UInt8[np.ndarray, "h w 3"]
    rough: UInt8[np.ndarray, "h w"]
    size: float
    """Of the person, in these pixels."""
    person: Bool[np.ndarray, "h w"]
    """Pixels that are the person's, if the rough mask is right."""
    background: Bool[np.ndarray, "h w"]
    core: Bool[np.ndarray, "h w"]
    """Pixels that are surely the person's."""
    possible: Bool[np.ndarray, "h w"]
    """Where the person may be."""
    seen: bool
    """Whether the landmark network saw the person; if not, the rough mask is a guess."""
    ground_row: int
    """From which row on there may be cast shadows: the upper knee's."""


@dataclass(frozen=True)
class _Tables:
    """Log odds of being the person's rather than the background's."""

    plate: Float[np.ndarray, " level"]
    """By the distance from the clean plate."""
    colour: Float[np.ndarray, "lightness a b"]

    def nearer(self, other: "_Tables", share: float) -> "_Tables":
        """These, by a share more like others."""
        return _Tables(
            self.plate + share * (other.plate - self.plate), self.colour + share * (other.colour - self.colour)
        )


@dataclass(frozen=True)
class _Observed:
    """What a frame alone tells of the person's pixels and the background's."""

    frame: MatteFrame
    view: "_View | None" = None
    """None where there is too little to go by."""
    window: tuple[slice, slice] = (slice(0), slice(0))
    """Where the view lies in the frame."""
    level: Int[np.ndarray, "h w"] | None = None
    """Each pixel's bin in the table of distances from the plate …"""
    colour: Int[np.ndarray, "h w"] | None = None
    """… and in that of colours."""
    tables: _Tables | None = None


def _observed(frame: MatteFrame, config: MatteConfig) -> _Observed:
    """Look at one frame around the person."""
    rough, landmarks_px = frame.rough, frame.landmarks_px
    rows, columns = np.flatnonzero(rough.max(1) > EMPTY), np.flatnonzero(rough.max(0) > EMPTY)
    if not len(rows):
        return _Observed(frame)
    box = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]])
    size_px = float(max(box[1, 1] - box[0, 1], 1.2 * (box[1, 0] - box[0, 0])))
    low, high = (box[side] + sign * (config.ring + _WINDOW_RIM) * size_px for side, sign in ((0, -1), (1, 1)))
    if landmarks_px is not None:
        arms, reach = landmarks_px[_HANDS + _SHOULDERS], config.arm_reach * size_px
        low, high = np.minimum(low, arms.min(0) - reach), np.maximum(high, arms.max(0) + reach)
    limits = rough.shape[::-1]
    left, top = np.clip(low, 0, limits).astype(int)
    right, bottom = np.clip(high, 0, limits).astype(int)
    window = (slice(top, bottom), slice(left, right))
    scale = min(1.0, config.work_px / size_px)
    points = None if landmarks_px is None else (landmarks_px - [left, top]) * scale
    view = _view(frame, window, points, scale, size_px * scale, config)
    if np.count_nonzero(view.person) < MIN_SAMPLES or np.count_nonzero(view.background) < MIN_SAMPLES:
        return _Observed(frame)
    level, colour = _plate_level(view), _colour_index(view)
    plate_odds = _log_odds(level, view, (PLATE_BINS,), *_PLATE_SMOOTHING)
    tables = _Tables(plate_odds, _log_odds(colour, view, COLOUR_BINS, *_COLOUR_SMOOTHING))
    return _Observed(frame, view, window, level, colour, tables)


def _learned(frames: Iterable[_Observed], config: MatteConfig) -> Iterator[tuple[_Observed, _Tables | None]]:
    """Each frame with the tables to judge it by: a running mean over the frames in which the person was seen."""
    known: _Tables | None = None
    for frame in frames:
        tables = known
        if frame.view is not None and frame.tables is not None and (frame.view.seen or known is None):
            tables = frame.tables if known is None else known.nearer(frame.tables, config.learning_rate)
            known = tables if frame.view.seen else known
        yield frame, tables


def _view(
    frame: MatteFrame,
    window: tuple[slice, slice],
    landmarks: Float[np.ndarray, "33 2"] | None,
    scale: float,
    size: float,
    config: MatteConfig,
) -> _View:
    picture, plate, rough = frame.picture[window], frame.plate[window], frame.rough[window]
    shape = (max(round(rough.shape[1] * scale), 1), max(round(rough.shape[0] * scale), 1))
    picture, plate, rough = (cv2.resize(x, shape, interpolation=cv2.INTER_AREA) for x in (picture, plate, rough))
    inside = cv2.distanceTransform((rough > SOLID).astype(np.uint8), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform((rough <= EMPTY).astype(np.uint8), cv2.DIST_L2, 3)
    background = (outside > _GAP * size) & (outside < (_GAP + config.ring) * size)
    possible = (outside < config.reach * size).astype(np.uint8)
    for point in landmarks[_HANDS + _SHOULDERS] if landmarks is not None else ():
        place = tuple(np.clip(point, -9999, 9999).astype(int).tolist())
        cv2.circle(possible, place, int(config.arm_reach * size), 1, -1)
    possible = possible > 0
    if frame.other is not None:
        other = cv2.resize(frame.other[window], shape, interpolation=cv2.INTER_AREA)
        background &= other <= EMPTY
        possible &= other <= np.maximum(rough, _OTHER_COVERAGE)
    return _View(
        picture=picture,
        plate=plate,
        lab=cv2.cvtColor(picture, cv2.COLOR_RGB2LAB),
        plate_lab=cv2.cvtColor(plate, cv2.COLOR_RGB2LAB),
        rough=rough,
        size=size,
        person=inside > max(_PERSON_DEPTH * size, 1.0),
        background=background,
        core=(inside > config.core * size) & possible & (landmarks is not None),
        possible=possible,
        seen=landmarks is not None,
        ground_row=shape[1] if landmarks is None else int(np.clip(landmarks[_KNEES, 1].min(), 0, shape[1])),
    )


def _matte(observed: _Observed, tables: _Tables | None, config: MatteConfig) -> UInt8[np.ndarray, "height width"]:
    """Belief made to follow the picture's edges, at full resolution, connected to the person."""
    view, rough = observed.view, observed.frame.rough
    if view is None or tables is None:
        return rough
    belief = _belief(observed, view, tables, config)
    keep = _connected(belief, view)
    result = np.zeros_like(rough)
    part = _around(keep, 1)
    if part is None:
        return result
    radius = max(round(config.edge * view.size), 2)
    # A coefficient is the mean of means: it depends on twice the filter's radius.
    wide = _around(keep, 2 * radius + 1) or part
    guide = view.picture[wide].astype(np.float32) / 255
    coefficients = guided_coefficients(guide, belief[wide], radius, config.edge_noise**2)
    inner = tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(part, wide, strict=True))
    picture, whole = observed.frame.picture[observed.window], result[observed.window]
    place, M = _magnified(part, keep.shape, picture.shape[:2])
    size = tuple(side.stop - side.start for side in place[::-1])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    fine = (
        cv2.warpAffine(np.ascontiguousarray(coarse), M, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for coarse in (coefficients[inner], keep[part].astype(np.float32))
    )
    red, green, blue, alpha = cv2.split(next(fine))
    for slope, channel in zip((red, green, blue), cv2.split(picture[place]), strict=True):
        alpha += cv2.multiply(slope, channel, scale=1 / 255, dtype=cv2.CV_32F)
    alpha = np.clip((alpha - 0.5) * config.contrast + 0.5, 0.0, 1.0) * next(fine)
    whole[place] = np.rint(alpha * 255).astype(np.uint8)
    return result


def _around(keep: Bool[np.ndarray, "h w"], rim: int) -> tuple[slice, slice] | None:
    """The rows and columns of what is kept, and a rim; None where nothing is."""
    spans = [np.flatnonzero(keep.any(axis)) for axis in (1, 0)]
    if not len(spans[0]):
        return None
    rows, columns = (slice(max(int(at[0]) - rim, 0), int(at[-1]) + 1 + rim) for at in spans)
    return slice(rows.start, min(rows.stop, keep.shape[0])), slice(columns.start, min(columns.stop, keep.shape[1]))


def _magnified(
    part: tuple[slice, slice], small: tuple[int, int], full: tuple[int, int]
) -> tuple[tuple[slice, slice], Float[np.ndarray, "2 3"]]:
    """The rows and columns that a part of a reduced picture covers in the full one, and the affine map from indices
    there to indices of the part."""
    sides, rows = [], []
    for side, length, whole in zip(part, small, full, strict=True):
        scale = length / whole
        start, stop = int(side.start / scale), min(-int(-side.stop / scale // 1), whole)
        sides.append(slice(start, stop))
        rows.append((scale, (start + 0.5) * scale - 0.5 - side.start))
    (y_scale, y), (x_scale, x) = rows
    return (sides[0], sides[1]), np.array([[x_scale, 0, x], [0, y_scale, y]])


def _belief(observed: _Observed, view: _View, tables: _Tables, config: MatteConfig) -> Float32[np.ndarray, "h w"]:
    """How likely each pixel is the person's, 0 … 1."""
    prior = cv2.GaussianBlur(view.rough.astype(np.float32) / 255, (0, 0), max(_PRIOR_BLUR * view.size, 0.5))
    prior = np.log((prior + _PRIOR_SLACK) / (1 + _PRIOR_SLACK - prior))
    prior = np.clip(prior, -_MAX_PRIOR_ODDS, _MAX_PRIOR_ODDS)
    # More distance from the plate never speaks for it.
    plate_odds = np.maximum.accumulate(tables.plate)[observed.level]
    shadowed = _shadowed(view.picture, view.plate)
    shadowed[: view.ground_row] = False
    plate_odds[shadowed] = np.minimum(plate_odds[shadowed], 0.0)
    odds = config.plate_weight * plate_odds + config.colour_weight * tables.colour.ravel()[observed.colour]
    odds = cv2.GaussianBlur((odds + config.prior_weight * prior).astype(np.float32), (0, 0), 1.0)
    odds[view.core] = np.maximum(odds[view.core], _SURE_ODDS)
    odds[~view.possible] = -_SURE_ODDS
    return _with_partial_cover(view, 1.0 / (1.0 + np.exp(-odds)))


def _plate_level(view: _View) -> Int[np.ndarray, "h w"]:
    """A pixel's distance from the plate, in steps of the noise around the person."""
    # The nearest of the plate's colours within a pixel: where the plate is a little off, its edges are no difference.
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(view.plate_lab, kernel), cv2.dilate(view.plate_lab, kernel)
    off = np.maximum(cv2.subtract(low, view.lab), cv2.subtract(view.lab, high)).astype(np.float32)
    off[..., 0] *= _LIGHTNESS_WEIGHT
    distance = cv2.GaussianBlur(np.sqrt(_dot(off, off)), (0, 0), 1.0)
    reach = (int(_NOISE_WINDOW * view.size) | 1,) * 2
    known = view.background.astype(np.float32)
    total = cv2.boxFilter(distance * known, -1, reach, normalize=False)
    count = cv2.boxFilter(known, -1, reach, normalize=False)
    typical = float(np.median(distance[view.background]))
    noise = (total + _TYPICAL_SAMPLES * typical) / (count + _TYPICAL_SAMPLES)
    noise = np.clip(noise, _NOISE_LEVELS, max(_MAX_NOISE * typical, _NOISE_LEVELS))
    return np.clip(_LEVELS_PER_DOUBLING * np.log2(1 + distance / noise), 0, PLATE_BINS - 1).astype(int)


def _shadowed(picture: UInt8[np.ndarray, "h w 3"], plate: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Pixels that may be the plate in shadow: darker, and of the same colour (Horprasert et al., 1999)."""
    picture, plate = cv2.blur(picture, (3, 3)).astype(np.float32), cv2.blur(plate, (3, 3)).astype(np.float32)
    brightness = _dot(picture, plate) / np.maximum(_dot(plate, plate), 1.0)
    off = picture - brightness[..., None] * plate
    low, high = _SHADOW_SHARE
    return (brightness > low) & (brightness < high) & (_dot(off, off) < SHADOW_OFF**2)


def _colour_index(view: _View) -> Int[np.ndarray, "h w"]:
    """In which of COLOUR_BINS a pixel's colour lies."""
    lab = view.lab.astype(int)
    a, b = (np.clip(lab[..., c] - 32, 0, 191) // 8 for c in (1, 2))
    return (lab[..., 0] // 16 * COLOUR_BINS[1] + a) * COLOUR_BINS[2] + b


def _log_odds(
    index: Int[np.ndarray, "h w"], view: _View, bins: tuple[int, ...], sigma: float, limit: float
) -> Float[np.ndarray, "..."]:
    """Log of how much more often each bin occurs on the person than around them."""
    shares = []
    for where in (view.person, view.background):
        counts = np.bincount(index[where], minlength=int(np.prod(bins))).reshape(bins).astype(float)
        counts = gaussian_filter(counts, sigma, mode="nearest")
        shares.append(counts / counts.sum() + _UNSEEN_COUNTS / counts.size)
    return np.clip(np.log(shares[0] / shares[1]), -limit, limit)


def _with_partial_cover(view: _View, belief: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Belief lowered, near the person's outline, to how much of the pixel the person covers.

    Of the colour F of the person beside it and B of the plate, a pixel I = α F + (1 − α) B has
    α = (I − B)·(F − B) / |F − B|².
    """
    inside = cv2.erode((belief > 0.5).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2).astype(np.float32)
    reach = (2 * max(round(_COVER_REACH * view.size), 3) + 1,) * 2
    share = cv2.boxFilter(inside, -1, reach)
    picture, plate = view.picture.astype(np.float32), view.plate.astype(np.float32)
    own = cv2.boxFilter(picture * inside[..., None], -1, reach) / np.maximum(share, 1e-3)[..., None]
    contrast = own - plate
    power = _dot(contrast, contrast)
    cover = np.clip(_dot(picture - plate, contrast) / np.maximum(power, 1.0), 0.0, 1.0)
    trust = np.where((share > _MIN_COVER_SHARE) & (inside == 0), power / (power + _OUTLINE_CONTRAST**2), 0.0)
    return np.minimum(belief, 1.0 - trust * (1.0 - cover)).astype(np.float32)


def _connected(belief: Float32[np.ndarray, "h w"], view: _View) -> Bool[np.ndarray, "h w"]:
    """Where the matte is kept: what hangs together with the rough mask, and a pixel around it."""
    count, found = cv2.connectedComponents((belief > _CONNECTED_BELIEF).astype(np.uint8))
    labels = np.asarray(found, np.int32)
    touching = np.zeros(count, bool)
    touching[np.unique(labels[view.person])] = True
    touching[0] = False
    keep = touching[labels]
    return cv2.dilate(keep.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def _dot(a: Float32[np.ndarray, "h w 3"], b: Float32[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w"]:
    """Sum over the channels of the products."""
    red, green, blue = cv2.split(a * b)
    return red + green + blue
