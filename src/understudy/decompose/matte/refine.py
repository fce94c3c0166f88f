"""From a rough mask of a person to a soft matte at full resolution.

Each pixel around the person is weighed by three witnesses: how far it is from the clean plate, whether its colour is
the person's or the background's, and the rough mask. The first two are calibrated on each frame, on pixels that are
surely the person or surely not, so that a witness that cannot tell them apart there says nothing: where the plate looks
like the person, or is itself wrong, the rough mask and the colours decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from scipy.ndimage import gaussian_filter

from understudy.core.footage import LANDMARKS, LandmarkTrack, Shot
from understudy.imaging.guided_filter import guided_coefficients
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import read_frames, read_video
from understudy.runtime.checks import check_options
from understudy.runtime.parallel import prefetch
from understudy.runtime.progress import Progress, silent

__all__ = ["MatteConfig", "MatteRefiner", "refine_matte"]

_HANDS = [LANDMARKS.index(name) for name in ("left_wrist", "right_wrist", "left_index", "right_index")]
_KNEES = [LANDMARKS.index(name) for name in ("left_knee", "right_knee")]
_SHOULDERS = [LANDMARKS.index(name) for name in ("left_shoulder", "right_shoulder")]

PLATE_BINS = 40
COLOUR_BINS = (16, 24, 24)
"""Of L*, a*, b* in 8 bits: 16 levels of lightness, 8 of each chroma."""
SOLID, EMPTY = 200, 30
"""Rough coverage from which a pixel is taken for the person, up to which for background (of 255)."""
MIN_SAMPLES = 100
SHADOW_OFF = 14.0
"""How much (of 255) the colour of a cast shadow may differ from the darkened plate."""


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
    colour_weight: float = 0.6
    prior_weight: float = 1.2
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
    others = [read_video(mask) for mask in other_masks]
    refiner = MatteRefiner(config)
    frames = prefetch(zip(read_frames(shot), read_video(rough_mask), read_video(clean_plate), strict=True))
    with VideoWriter(out, shot.width, shot.height, shot.frame_rate, "mask") as writer:
        for frame, (picture, rough, plate) in enumerate(frames):
            taken = [next(other) for other in others]
            landmarks = track.landmarks_px[frame] if track.seen[frame] else None
            plate = plate[: shot.height, : shot.width]
            writer.write(refiner(picture, plate, rough, np.maximum.reduce(taken) if taken else None, landmarks))
            progress(frame + 1, len(shot))


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


class MatteRefiner:
    """Refines the masks of one person frame by frame, in order: what it learns of their colours it keeps."""

    def __init__(self, config: MatteConfig | None = None) -> None:
        self._config = config or MatteConfig()
        self._tables: dict[str, np.ndarray] = {}

    def __call__(
        self,
        picture: UInt8[np.ndarray, "height width 3"],
        plate: UInt8[np.ndarray, "height width 3"],
        rough: UInt8[np.ndarray, "height width"],
        other: UInt8[np.ndarray, "height width"] | None = None,
        landmarks_px: Float[np.ndarray, "33 2"] | None = None,
    ) -> UInt8[np.ndarray, "height width"]:
        """The matte of one frame; the rough mask itself where there is too little to go by."""
        rows, columns = np.flatnonzero(rough.max(1) > EMPTY), np.flatnonzero(rough.max(0) > EMPTY)
        if not len(rows):
            return rough
        box = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]])
        size_px = float(max(box[1, 1] - box[0, 1], 1.2 * (box[1, 0] - box[0, 0])))
        low, high = (box[side] + sign * (self._config.ring + 0.06) * size_px for side, sign in ((0, -1), (1, 1)))
        if landmarks_px is not None:
            arms, reach = landmarks_px[_HANDS + _SHOULDERS], self._config.arm_reach * size_px
            low, high = np.minimum(low, arms.min(0) - reach), np.maximum(high, arms.max(0) + reach)
        limits = rough.shape[::-1]
        left, top = np.clip(low, 0, limits).astype(int)
        right, bottom = np.clip(high, 0, limits).astype(int)
        window = (slice(top, bottom), slice(left, right))
        scale = min(1.0, self._config.work_px / size_px)
        points = None if landmarks_px is None else (landmarks_px - [left, top]) * scale
        other = None if other is None else other[window]
        view = self._view(picture[window], plate[window], rough[window], other, points, scale, size_px)
        if np.count_nonzero(view.person) < MIN_SAMPLES or np.count_nonzero(view.background) < MIN_SAMPLES:
            return rough
        matte = self._matte(picture[window], view, self._belief(view))
        result = np.zeros_like(rough)
        result[window] = matte
        return result

    def _view(
        self,
        picture: UInt8[np.ndarray, "H W 3"],
        plate: UInt8[np.ndarray, "H W 3"],
        rough: UInt8[np.ndarray, "H W"],
        other: UInt8[np.ndarray, "H W"] | None,
        landmarks: Float[np.ndarray, "33 2"] | None,
        scale: float,
        size_px: float,
    ) -> _View:
        config, size = self._config, size_px * scale
        shape = (max(round(rough.shape[1] * scale), 1), max(round(rough.shape[0] * scale), 1))
        picture, plate, rough = (cv2.resize(x, shape, interpolation=cv2.INTER_AREA) for x in (picture, plate, rough))
        inside = cv2.distanceTransform((rough > SOLID).astype(np.uint8), cv2.DIST_L2, 3)
        outside = cv2.distanceTransform((rough <= EMPTY).astype(np.uint8), cv2.DIST_L2, 3)
        background = (outside > 0.05 * size) & (outside < (0.05 + config.ring) * size)
        possible = (outside < config.reach * size).astype(np.uint8)
        for point in landmarks[_HANDS + _SHOULDERS] if landmarks is not None else ():
            cv2.circle(
                possible, tuple(np.clip(point, -9999, 9999).astype(int).tolist()), int(config.arm_reach * size), 1, -1
            )
        possible = possible > 0
        if other is not None:
            other = cv2.resize(other, shape, interpolation=cv2.INTER_AREA)
            background &= other <= EMPTY
            possible &= other <= np.maximum(rough, 100)
        return _View(
            picture=picture,
            plate=plate,
            lab=cv2.cvtColor(picture, cv2.COLOR_RGB2LAB),
            plate_lab=cv2.cvtColor(plate, cv2.COLOR_RGB2LAB),
            rough=rough,
            size=size,
            person=inside > max(0.008 * size, 1.0),
            background=background,
            core=(inside > config.core * size) & possible & (landmarks is not None),
            possible=possible,
            seen=landmarks is not None,
            ground_row=shape[1] if landmarks is None else int(np.clip(landmarks[_KNEES, 1].min(), 0, shape[1])),
        )

    def _belief(self, view: _View) -> Float32[np.ndarray, "h w"]:
        """How likely each pixel is the person's, 0 … 1."""
        config = self._config
        prior = cv2.GaussianBlur(view.rough.astype(np.float32) / 255, (0, 0), max(0.006 * view.size, 0.5))
        prior = np.clip(np.log((prior + 0.02) / (1.02 - prior)), -3.0, 3.0)
        level, colour = _plate_level(view), _colour_index(view)
        # More distance from the plate never speaks for it.
        plate_odds = np.maximum.accumulate(self._table("plate", level, view, (PLATE_BINS,), 1.5, 4.0))[level]
        shadowed = _shadowed(view.picture, view.plate)
        shadowed[: view.ground_row] = False
        plate_odds[shadowed] = np.minimum(plate_odds[shadowed], 0.0)
        colour_odds = self._table("colour", colour, view, COLOUR_BINS, 0.8, 3.0).ravel()[colour]
        odds = config.plate_weight * plate_odds + config.colour_weight * colour_odds
        odds = cv2.GaussianBlur((odds + config.prior_weight * prior).astype(np.float32), (0, 0), 1.0)
        odds[view.core] = np.maximum(odds[view.core], 6.0)
        odds[~view.possible] = -6.0
        return _with_partial_cover(view, 1.0 / (1.0 + np.exp(-odds)))

    def _table(
        self,
        name: str,
        index: Int[np.ndarray, "h w"],
        view: _View,
        bins: tuple[int, ...],
        sigma: float,
        limit: float,
    ) -> Float[np.ndarray, "..."]:
        """Log odds of each bin, a running mean over the frames in which the person was seen."""
        known = self._tables.get(name)
        if known is not None and not view.seen:
            return known
        table = _log_odds(index, view, bins, sigma, limit)
        if view.seen:
            table = table if known is None else known + self._config.learning_rate * (table - known)
            self._tables[name] = table
        return table

    def _matte(
        self, picture: UInt8[np.ndarray, "H W 3"], view: _View, belief: Float32[np.ndarray, "h w"]
    ) -> UInt8[np.ndarray, "H W"]:
        """Belief made to follow the picture's edges, at full resolution, connected to the person."""
        config = self._config
        height, width = picture.shape[:2]
        radius = max(round(config.edge * view.size), 2)
        coefficients = guided_coefficients(view.picture.astype(np.float32) / 255, belief, radius, config.edge_noise**2)
        slopes = cv2.resize(coefficients, (width, height), interpolation=cv2.INTER_LINEAR)
        full = picture.astype(np.float32) / 255
        alpha = np.einsum("hwc,hwc->hw", slopes[..., :3], full) + slopes[..., 3]
        alpha = np.clip((alpha - 0.5) * config.contrast + 0.5, 0.0, 1.0)
        keep = _connected(belief, view)
        alpha *= cv2.resize(keep.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        return np.rint(alpha * 255).astype(np.uint8)


def _plate_level(view: _View) -> Int[np.ndarray, "h w"]:
    """A pixel's distance from the plate, in steps of the noise around the person."""
    # The nearest of the plate's colours within a pixel: where the plate is a little off, its edges are no difference.
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(view.plate_lab, kernel), cv2.dilate(view.plate_lab, kernel)
    off = np.maximum(cv2.subtract(low, view.lab), cv2.subtract(view.lab, high)).astype(np.float32)
    off[..., 0] *= 0.6  # lightness changes with shadows and exposure, chroma less
    distance = cv2.GaussianBlur(np.sqrt((off**2).sum(-1)), (0, 0), 1.0)
    reach = (int(0.2 * view.size) | 1,) * 2
    known = view.background.astype(np.float32)
    total = cv2.boxFilter(distance * known, -1, reach, normalize=False)
    count = cv2.boxFilter(known, -1, reach, normalize=False)
    typical = float(np.median(distance[view.background]))
    # A shadow beside the feet is no noise: it must not hide the shoes.
    noise = np.clip((total + 30 * typical) / (count + 30), 1.5, max(2.5 * typical, 1.5))
    return np.clip(8 * np.log2(1 + distance / noise), 0, PLATE_BINS - 1).astype(int)


def _shadowed(picture: UInt8[np.ndarray, "h w 3"], plate: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Pixels that may be the plate in shadow: darker, and of the same colour (Horprasert et al., 1999)."""
    picture, plate = cv2.blur(picture, (3, 3)).astype(np.float32), cv2.blur(plate, (3, 3)).astype(np.float32)
    brightness = (picture * plate).sum(-1) / np.maximum((plate**2).sum(-1), 1.0)
    off = np.sqrt(((picture - brightness[..., None] * plate) ** 2).sum(-1))
    return (brightness > 0.25) & (brightness < 0.95) & (off < SHADOW_OFF)


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
        shares.append(counts / counts.sum() + 0.05 / counts.size)
    return np.clip(np.log(shares[0] / shares[1]), -limit, limit)


def _with_partial_cover(view: _View, belief: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Belief lowered, near the person's outline, to how much of the pixel the person covers.

    Of the colour F of the person beside it and B of the plate, a pixel I = α F + (1 − α) B has
    α = (I − B)·(F − B) / |F − B|².
    """
    inside = cv2.erode((belief > 0.5).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2).astype(np.float32)
    reach = (2 * max(round(0.015 * view.size), 3) + 1,) * 2
    share = cv2.boxFilter(inside, -1, reach)
    picture, plate = view.picture.astype(np.float32), view.plate.astype(np.float32)
    own = cv2.boxFilter(picture * inside[..., None], -1, reach) / np.maximum(share, 1e-3)[..., None]
    contrast = own - plate
    power = (contrast**2).sum(-1)
    cover = np.clip(((picture - plate) * contrast).sum(-1) / np.maximum(power, 1.0), 0.0, 1.0)
    trust = np.where((share > 0.02) & (inside == 0), power / (power + 40.0**2), 0.0)
    return np.minimum(belief, 1.0 - trust * (1.0 - cover)).astype(np.float32)


def _connected(belief: Float32[np.ndarray, "h w"], view: _View) -> Bool[np.ndarray, "h w"]:
    """Where the matte is kept: what hangs together with the rough mask, and a pixel around it."""
    _, labels = cv2.connectedComponents((belief > 0.3).astype(np.uint8))
    touching = np.unique(labels[view.person])
    keep = np.isin(labels, touching[touching > 0])
    return cv2.dilate(keep.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
