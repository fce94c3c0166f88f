"""Who may be in a frame: people in crops where they are expected, or by detection, in a part of the picture or all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from understudy.core.footage import LANDMARKS
from understudy.decompose.people.clothes import clothes_colours
from understudy.decompose.people.landmarks import Crop, Detection, PoseEstimate
from understudy.decompose.people.person_tracks import Candidate, MatchConfig, is_near, is_same
from understudy.runtime.checks import check_options

__all__ = [
    "Picture",
    "PoseFinder",
    "PresenceConfig",
    "candidates_by_detection",
    "candidates_in_crops",
    "new_people",
    "search_tiles",
]

Picture = UInt8[np.ndarray, "height width 3"]

_TRUNK = [LANDMARKS.index(name) for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")]

OUTSIDE_REACH = 0.25
"""Sides of the crop that a person's hips may be outside the picture: further out, nothing but feet or hair is seen."""
MIN_FIRST_PRESENCE = 0.05
"""Presence in the detector's own crop below which there is nobody; low, because that crop is rough."""
MAX_UNSTEADY_STEP, MAX_UNSTEADY_RESIZE = 0.1, 0.2
"""Sides of the crop, and logarithm of its size, by which the third look at somebody new may still move the crop: on a
person looks converge, on a rock they wander."""
MIN_TRUNK_VISIBILITY = 0.5
"""Mean visibility of shoulders and hips of somebody new."""
COVERED = 127
"""Coverage (of 255) above which a pixel of a mask is the person's."""
SHARED_STRIDE = 4
"""Every so many rows and columns of a mask are compared with another mask: a body is a hundred wide."""
TILE_STEP = 0.6
"""Sides of a tile from one tile to the next: who is smaller than the rest is whole in one of them."""


@dataclass(frozen=True)
class PresenceConfig:
    """How sure the networks must be that somebody is there."""

    min_presence: float = 0.5
    """How sure the network must be, 0 … 1, to go on following somebody."""
    min_new_presence: float = 0.8
    """How sure it must be to begin with somebody new."""
    max_shared: float = 0.5
    """Share of somebody new's mask that people already followed may cover: a hand is not a person."""
    min_crop_px: float = 60.0
    """People whose crop is smaller are too far away to be followed."""

    def __post_init__(self) -> None:
        check_options(self, min_presence=(0, 1), min_new_presence=(0, 1), max_shared=(0, 1), min_crop_px=(1, 10_000))


@runtime_checkable
class PoseFinder(Protocol):
    """Finds people in a picture (`landmarks.PoseModel`)."""

    def detect(self, picture: Picture, windows: Sequence[Crop]) -> list[list[Detection]]:
        """The people in each of several square windows of the picture."""
        ...

    def estimate(self, picture: Picture, crops: Sequence[Crop]) -> list[PoseEstimate]:
        """The pose of the person in each of several crops."""
        ...


def candidates_in_crops(
    finder: PoseFinder, picture: Picture, crops: Sequence[Crop], config: PresenceConfig
) -> list[Candidate | None]:
    """Somebody in each crop, if anybody is there."""
    height, width = picture.shape[:2]
    return [_candidate(estimate, width, height, config) for estimate in finder.estimate(picture, crops)]


def _candidate(estimate: PoseEstimate, width: int, height: int, config: PresenceConfig) -> Candidate | None:
    hips, size = estimate.next_crop.centre_px, estimate.next_crop.size_px
    reach = OUTSIDE_REACH * size
    inside = -reach < hips[0] < width + reach and -reach < hips[1] < height + reach
    if estimate.presence < config.min_presence or size < config.min_crop_px or not inside:
        return None
    return Candidate(estimate, clothes_colours(estimate.patch, estimate.mask, estimate.landmarks_crop_px))


def candidates_by_detection(
    finder: PoseFinder, picture: Picture, window: Crop, config: PresenceConfig
) -> list[Candidate]:
    """Those whom the detector finds in a window, the surest first."""
    (detections,) = finder.detect(picture, [window])
    settled = _settled(finder, picture, [detection.crop for detection in detections], config)
    return [candidate for candidate in settled if candidate is not None]


def new_people(
    finder: PoseFinder,
    picture: Picture,
    tiles: Sequence[Crop],
    known: Sequence[PoseEstimate],
    min_size_px: float,
    config: PresenceConfig,
    match: MatchConfig,
) -> list[Candidate]:
    """Those in the tiles of a picture who are not among the known, the largest first. Detections with a smaller crop
    than `min_size_px` are not looked at."""
    crops = [estimate.next_crop for estimate in known]
    for detection in (detection for found in finder.detect(picture, tiles) for detection in found):
        small = detection.crop.size_px < min_size_px
        if not small and not any(is_near(detection.crop, crop) for crop in crops):
            crops.append(detection.crop)
    found: list[Candidate] = []
    for candidate in _settled(finder, picture, crops[len(known) :], config):
        if candidate is None:
            continue
        others = [*known, *(other.estimate for other in found)]
        shared = max((_shared(candidate.estimate, other) for other in others), default=0.0)
        if shared <= config.max_shared and not any(is_same(candidate.estimate, other, match) for other in others):
            found.append(candidate)
    return sorted(found, key=lambda candidate: -candidate.estimate.next_crop.size_px)


def _settled(
    finder: PoseFinder, picture: Picture, crops: Sequence[Crop], config: PresenceConfig
) -> list[Candidate | None]:
    """Somebody in each of a detector's crops. The landmarks give a better crop than the detector, and again a better
    one, which must hold a person and no longer move."""
    looks = list(crops)
    left = list(range(len(crops)))
    for least in (MIN_FIRST_PRESENCE, config.min_presence):
        estimates = finder.estimate(picture, [looks[index] for index in left])
        for index, estimate in zip(left, estimates, strict=True):
            looks[index] = estimate.next_crop
        left = [index for index, estimate in zip(left, estimates, strict=True) if estimate.presence >= least]
    settled: list[Candidate | None] = [None] * len(crops)
    candidates = candidates_in_crops(finder, picture, [looks[index] for index in left], config)
    for index, candidate in zip(left, candidates, strict=True):
        if candidate is not None and _is_person(candidate.estimate, config):
            settled[index] = candidate
    return settled


def _is_person(estimate: PoseEstimate, config: PresenceConfig) -> bool:
    """Whether an estimate is surely of a person: the network says so, the crop stays, the trunk is seen and covered."""
    before, after = estimate.crop, estimate.next_crop
    steady = np.hypot(*(before.centre_px - after.centre_px)) < MAX_UNSTEADY_STEP * after.size_px
    steady &= abs(np.log(before.size_px / after.size_px)) < MAX_UNSTEADY_RESIZE
    seen = estimate.visibility[_TRUNK].mean() > MIN_TRUNK_VISIBILITY
    return bool(estimate.presence >= config.min_new_presence and steady and seen and _covers_trunk(estimate))


def _covers_trunk(estimate: PoseEstimate) -> bool:
    """Whether the mask lies where shoulders and hips are, as far as these are in the crop."""
    columns, rows = np.floor(estimate.landmarks_crop_px[_TRUNK]).astype(int).T
    size = len(estimate.mask)
    inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    return bool(inside.any() and np.median(estimate.mask[rows[inside], columns[inside]]) > COVERED)


def _shared(new: PoseEstimate, known: PoseEstimate) -> float:
    """The share of a new person's mask that a known person's mask covers."""
    rows, columns = np.nonzero(new.mask[::SHARED_STRIDE, ::SHARED_STRIDE] > COVERED)
    if not len(rows):
        return 1.0
    to_picture, to_known = new.crop.picture_from_crop(), known.crop.crop_from_picture()
    points = np.column_stack([columns, rows]) * SHARED_STRIDE + 0.5
    points = (points @ to_picture[:, :2].T + to_picture[:, 2]) @ to_known[:, :2].T + to_known[:, 2]
    columns, rows = np.floor(points).astype(int).T
    size = len(known.mask)
    inside = (columns >= 0) & (columns < size) & (rows >= 0) & (rows < size)
    return float((known.mask[rows[inside], columns[inside]] > COVERED).sum() / len(points))


def search_tiles(width: int, height: int, fine: bool) -> list[Crop]:
    """Square windows over a picture: all of it, squares of its shorter side, and, if fine, of half of that."""
    long, short = max(width, height), min(width, height)
    tiles = [Crop(np.array([width / 2, height / 2]), float(long), 0.0)]
    for side in [short] + ([short / 2] if fine else []):
        counts = [int(np.ceil((extent - side) / (TILE_STEP * side))) + 1 for extent in (width, height)]
        xs, ys = (
            np.linspace(side / 2, extent - side / 2, n) for extent, n in zip((width, height), counts, strict=True)
        )
        tiles += [Crop(np.array([x, y]), float(side), 0.0) for y in ys for x in xs]
    return tiles
