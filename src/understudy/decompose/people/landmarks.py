"""Body landmarks of people in a picture: the BlazePose networks, run by LiteRT.

A detector finds people on a letterboxed square; from it, or from the landmarks of the frame before, comes an upright
square crop of one person; the landmark network reads the crop and gives 33 landmarks in the picture and in metres, a
coverage mask, and how sure it is that somebody is there.

Source: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020 (networks: MediaPipe 0.10.21).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.footage import LANDMARKS
from understudy.decompose.people.network import Network, spread

__all__ = [
    "CROP_SIZE",
    "Crop",
    "Detection",
    "LandmarkNetwork",
    "PersonDetector",
    "PoseEstimate",
    "PoseModel",
    "detector_anchors",
    "sample_crop",
]

CROP_SIZE = 256
"""Side of the landmark network's input and of its mask, in pixels."""
DETECTOR_SIZE = 224
"""Side of the detector's input, in pixels."""
CROP_MARGIN = 1.25
"""Side of a crop over the diameter of the circle that the network puts around a body."""
MIN_DETECTION_SCORE = 0.5
"""0 … 1: of a detection that counts, as in MediaPipe's own graph."""
MIN_OVERLAP = 0.3
"""Intersection over union from which two detections are of one person, as there."""
HEATMAP_WINDOW = 7
"""Cells of the heat map around a landmark from which its place is refined."""
MIN_HEATMAP_PEAK = 0.5
"""0 … 1: of a heat map that says where its landmark is."""


@dataclass(frozen=True)
class Crop:
    """A square of the picture, turned so that a person stands upright in it."""

    centre_px: Float[np.ndarray, "2"]
    size_px: float
    angle: float
    """Radians by which the person leans clockwise in the picture; 0 is upright."""

    def picture_from_crop(self, size: int = CROP_SIZE) -> Float[np.ndarray, "2 3"]:
        """Maps points of the crop, sampled at `size` × `size` pixels, to points of the picture."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        A = np.array([[c, -s], [s, c]]) * (self.size_px / size)
        return np.column_stack([A, self.centre_px - A @ np.full(2, size / 2)])

    def crop_from_picture(self, size: int = CROP_SIZE) -> Float[np.ndarray, "2 3"]:
        """The inverse of `picture_from_crop`."""
        M = self.picture_from_crop(size)
        A = np.linalg.inv(M[:, :2])
        return np.column_stack([A, -A @ M[:, 2]])


@dataclass(frozen=True)
class Detection:
    """A person that the detector found."""

    crop: Crop
    box_px: Float[np.ndarray, "4"]
    """Head and shoulders: left, top, right, bottom."""
    score: float


@dataclass(frozen=True)
class PoseEstimate:
    """One person in one frame, as the landmark network sees them."""

    landmarks_px: Float[np.ndarray, "33 2"]
    visibility: Float[np.ndarray, "33"]
    landmarks_m: Float[np.ndarray, "33 3"]
    presence: float
    """0 … 1: how sure the network is that the crop holds a person."""
    crop: Crop
    """What was looked at."""
    next_crop: Crop
    """Where to look in the next frame."""
    patch: UInt8[np.ndarray, "size size 3"]
    """The picture in the crop."""
    mask: UInt8[np.ndarray, "size size"]
    """Coverage in the crop, 0 … 255."""

    @property
    def landmarks_crop_px(self) -> Float[np.ndarray, "33 2"]:
        """The landmarks in pixels of `patch` and `mask`."""
        M = self.crop.crop_from_picture()
        return self.landmarks_px @ M[:, :2].T + M[:, 2]


def detector_anchors() -> Float[np.ndarray, "anchor 2"]:
    """Centres of the detector's anchors in its square input, 0 … 1: two per cell at strides 8 and 16, six at 32."""
    anchors = []
    for stride, per_cell in ((8, 2), (16, 2), (32, 6)):
        count = DETECTOR_SIZE // stride
        centres = (np.arange(count) + 0.5) / count
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        anchors.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(anchors)


def sample_crop(
    picture: UInt8[np.ndarray, "height width 3"], crop: Crop, size: int
) -> UInt8[np.ndarray, "size size 3"]:
    """The crop as a square picture; black outside the frame. Large crops are averaged first: no aliasing."""
    shrink = int(crop.size_px / size)
    M = crop.picture_from_crop(size)
    if shrink > 1:
        picture, origin = _shrunk_region(picture, crop, shrink)
        M = np.column_stack([M[:, :2], M[:, 2] - origin]) / shrink
    # OpenCV counts from the centre of the first pixel, we from its corner.
    M = np.column_stack([M[:, :2], M[:, 2] + M[:, :2] @ np.full(2, 0.5) - 0.5])
    return cv2.warpAffine(picture, M, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _shrunk_region(
    picture: UInt8[np.ndarray, "height width 3"], crop: Crop, shrink: int
) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "2"]]:
    """The part of the picture around a crop, averaged over blocks, and where its top-left corner was."""
    height, width = picture.shape[:2]
    reach = crop.size_px * (abs(np.cos(crop.angle)) + abs(np.sin(crop.angle))) / 2 + 2 * shrink
    left, top = np.clip(crop.centre_px - reach, 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(crop.centre_px + reach, [left + 1, top + 1], [width, height]).astype(int)
    # Whole blocks only: the last rows and columns are lost, less than a pixel of the result.
    columns, rows = max((right - left) // shrink, 1), max((bottom - top) // shrink, 1)
    region = picture[top : top + rows * shrink, left : left + columns * shrink]
    return cv2.resize(region, (columns, rows), interpolation=cv2.INTER_AREA), np.array([left, top], float)


class PersonDetector:
    """The detector. Safe for use by several threads, of which it keeps as many as `workers` busy."""

    def __init__(self, path: Path, workers: int = 1) -> None:
        self._network, self._workers = Network(path), workers
        self._anchors = detector_anchors()

    def detect(self, picture: UInt8[np.ndarray, "height width 3"], windows: Sequence[Crop]) -> list[list[Detection]]:
        """The people in each of several square windows of the picture, surest first."""
        return spread(partial(self._detect, picture), windows, self._workers)

    def _detect(self, picture: UInt8[np.ndarray, "height width 3"], window: Crop, threads: int) -> list[Detection]:
        patch = sample_crop(picture, window, DETECTOR_SIZE)
        boxes, scores = self._network(patch.astype(np.float32) / 127.5 - 1.0, threads)
        scores = _sigmoid(scores[0, :, 0])
        likely = np.flatnonzero(scores >= MIN_DETECTION_SCORE)
        points = boxes[0, likely].astype(np.float64).reshape(-1, 6, 2) / DETECTOR_SIZE
        points[:, [0, 2, 3, 4, 5]] += self._anchors[likely, None]
        M = window.picture_from_crop(1)
        found = []
        for index in _merge_overlaps(points, scores[likely]):
            centre, half = points[index, 0], points[index, 1] / 2
            corners = np.stack([centre - half, centre + half]) @ M[:, :2].T + M[:, 2]
            hips, rim = points[index, 2:4] @ M[:, :2].T + M[:, 2]
            found.append(Detection(_crop_around(hips, rim), corners.reshape(4), float(scores[likely][index])))
        return found


class LandmarkNetwork:
    """The landmark network. Safe for use by several threads, of which it keeps as many as `workers` busy."""

    def __init__(self, path: Path, workers: int = 1) -> None:
        self._network, self._workers = Network(path), workers

    def estimate(self, picture: UInt8[np.ndarray, "height width 3"], crops: Sequence[Crop]) -> list[PoseEstimate]:
        """The pose of the person in each of several crops."""
        return spread(partial(self._estimate, picture), crops, self._workers)

    def _estimate(self, picture: UInt8[np.ndarray, "height width 3"], crop: Crop, threads: int) -> PoseEstimate:
        patch = sample_crop(picture, crop, CROP_SIZE)
        raw, presence, mask, heatmaps, raw_m = self._network(patch.astype(np.float32) / 255.0, threads)
        raw = raw.reshape(39, 5).astype(np.float64)
        points = refine_on_heatmaps(raw[:, :2], heatmaps[0])
        M = crop.picture_from_crop()
        points_px = points @ M[:, :2].T + M[:, 2]
        c, s = np.cos(crop.angle), np.sin(crop.angle)
        landmarks_m = raw_m.reshape(39, 3)[: len(LANDMARKS)].astype(np.float64)
        landmarks_m[:, :2] = landmarks_m[:, :2] @ np.array([[c, s], [-s, c]])
        return PoseEstimate(
            landmarks_px=points_px[: len(LANDMARKS)],
            visibility=_sigmoid(raw[: len(LANDMARKS), 3]),
            landmarks_m=landmarks_m,
            presence=float(presence.ravel()[0]),
            crop=crop,
            next_crop=_crop_around(points_px[33], points_px[34]),
            patch=patch,
            mask=np.rint(_sigmoid(mask[0, :, :, 0]) * 255).astype(np.uint8),
        )


class PoseModel:
    """Both networks, loaded once."""

    def __init__(self, folder: Path, workers: int = 1) -> None:
        """Of the weights in a folder, on as many threads as `workers`; the results do not depend on how many."""
        self.detect = PersonDetector(folder / "pose_detection.tflite", workers).detect
        self.estimate = LandmarkNetwork(folder / "pose_landmark_full.tflite", workers).estimate


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -80.0, 80.0)))


def _crop_around(hips: Float[np.ndarray, "2"], rim: Float[np.ndarray, "2"]) -> Crop:
    """The crop from the network's two alignment points: the hips, and above the head the rim of the body's circle."""
    up = rim - hips
    return Crop(hips, float(max(2 * CROP_MARGIN * np.hypot(*up), 1.0)), float(np.arctan2(up[0], -up[1])))


def _merge_overlaps(points: Float[np.ndarray, "box 6 2"], scores: Float[np.ndarray, " box"]) -> list[int]:
    """Average each cluster of overlapping boxes, weighted by score, into its best box; the indices of those."""
    low, high = points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2
    area = np.prod(points[:, 1], axis=1)
    left, kept, merged = np.argsort(-scores), [], points.copy()
    while len(left):
        best = left[0]
        extent = np.minimum(high[left], high[best]) - np.maximum(low[left], low[best])
        shared = np.prod(np.maximum(extent, 0), axis=1)
        cluster = shared / (area[left] + area[best] - shared) > MIN_OVERLAP
        cluster[0] = True
        merged[best] = np.average(points[left[cluster]], axis=0, weights=scores[left[cluster]])
        kept.append(int(best))
        left = left[~cluster]
    points[kept] = merged[kept]
    return kept


def refine_on_heatmaps(
    points: Float[np.ndarray, "point 2"], heatmaps: Float[np.ndarray, "size size point"]
) -> Float[np.ndarray, "point 2"]:
    """Landmarks of a crop moved to the centre of gravity of their heat map's peak, where it has one."""
    size, reach = heatmaps.shape[0], HEATMAP_WINDOW // 2
    column, row = np.floor(points * (size / CROP_SIZE)).astype(int).T
    inside = np.flatnonzero((column >= 0) & (column < size) & (row >= 0) & (row < size))
    around = np.arange(-reach, reach + 1)
    rows, columns = row[inside, None, None] + around[:, None], column[inside, None, None] + around
    weights = heatmaps[rows.clip(0, size - 1), columns.clip(0, size - 1), inside[:, None, None]].astype(np.float64)
    weights = np.where((rows >= 0) & (rows < size) & (columns >= 0) & (columns < size), _sigmoid(weights), 0.0)
    peaked = weights.max((1, 2)) >= MIN_HEATMAP_PEAK
    weights, peaks = weights[peaked], inside[peaked]
    refined = points.copy()
    for axis, (cells, corner) in enumerate(((columns, column), (rows, row))):
        first = np.maximum(corner[peaks] - reach, 0)
        offsets = weights * (cells[peaked] - first[:, None, None])
        centre = offsets.sum((1, 2)) / weights.sum((1, 2)) + first
        refined[peaks, axis] = centre * (CROP_SIZE / size)
    return refined
