"""Body landmarks of people in a picture: the BlazePose networks, run by LiteRT.

A detector finds people on a letterboxed square; from it, or from the landmarks of the frame before, comes an upright
square crop of one person; the landmark network reads the crop and gives 33 landmarks in the picture and in metres, a
coverage mask, and how sure it is that somebody is there.

Source: Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020 (networks: MediaPipe 0.10.21).
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Float, UInt8

from understudy.core.footage import LANDMARKS

__all__ = ["CROP_SIZE", "Crop", "Detection", "Pose", "PoseModel", "detector_anchors", "sample_crop"]

CROP_SIZE = 256
"""Side of the landmark network's input and of its mask, in pixels."""
DETECTOR_SIZE = 224
CROP_MARGIN = 1.25
"""Side of a crop over the diameter of the circle that the network puts around a body."""
DETECTOR_THRESHOLD = 0.5
OVERLAP_THRESHOLD = 0.3
HEATMAP_WINDOW = 7
"""Cells of the heat map around a landmark from which its place is refined."""
HEATMAP_THRESHOLD = 0.5


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
class Pose:
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


class PoseModel:
    """Both networks, loaded once. Not safe for use by two threads at the same time."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self._detector = _Network(folder / "pose_detection.tflite", threads)
        self._landmarker = _Network(folder / "pose_landmark_full.tflite", threads)
        self._anchors = detector_anchors()

    def detect(self, picture: UInt8[np.ndarray, "height width 3"], window: Crop | None = None) -> list[Detection]:
        """The people in a square window of the picture (by default all of it), surest first."""
        if window is None:
            height, width = picture.shape[:2]
            window = Crop(np.array([width / 2, height / 2]), float(max(width, height)), 0.0)
        patch = sample_crop(picture, window, DETECTOR_SIZE)
        boxes, scores = self._detector(patch.astype(np.float32) / 127.5 - 1.0)
        scores = _sigmoid(scores[0, :, 0])
        likely = np.flatnonzero(scores >= DETECTOR_THRESHOLD)
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

    def estimate(self, picture: UInt8[np.ndarray, "height width 3"], crop: Crop) -> Pose:
        """The pose of the person in a crop."""
        patch = sample_crop(picture, crop, CROP_SIZE)
        raw, presence, mask, heatmaps, raw_m = self._landmarker(patch.astype(np.float32) / 255.0)
        raw = raw.reshape(39, 5).astype(np.float64)
        points = refine_on_heatmaps(raw[:, :2], heatmaps[0])
        M = crop.picture_from_crop()
        points_px = points @ M[:, :2].T + M[:, 2]
        c, s = np.cos(crop.angle), np.sin(crop.angle)
        landmarks_m = raw_m.reshape(39, 3)[: len(LANDMARKS)].astype(np.float64)
        landmarks_m[:, :2] = landmarks_m[:, :2] @ np.array([[c, s], [-s, c]])
        return Pose(
            landmarks_px=points_px[: len(LANDMARKS)],
            visibility=_sigmoid(raw[: len(LANDMARKS), 3]),
            landmarks_m=landmarks_m,
            presence=float(presence.ravel()[0]),
            crop=crop,
            next_crop=_crop_around(points_px[33], points_px[34]),
            patch=patch,
            mask=np.rint(_sigmoid(mask[0, :, :, 0]) * 255).astype(np.uint8),
        )


class _Network:
    """One network: an array in, its outputs out."""

    def __init__(self, path: Path, threads: int) -> None:
        self._interpreter = Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        self._interpreter.set_tensor(self._input, x[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(output) for output in self._outputs]


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
        cluster = shared / (area[left] + area[best] - shared) > OVERLAP_THRESHOLD
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
    cells = points * (size / CROP_SIZE)
    refined = points.copy()
    for index, (column, row) in enumerate(np.floor(cells).astype(int)):
        if not (0 <= column < size and 0 <= row < size):
            continue
        left, top = max(column - reach, 0), max(row - reach, 0)
        weights = _sigmoid(heatmaps[top : row + reach + 1, left : column + reach + 1, index].astype(np.float64))
        if weights.max() < HEATMAP_THRESHOLD:
            continue
        rows, columns = np.indices(weights.shape)
        total = weights.sum()
        centre = np.array([(weights * columns).sum() / total + left, (weights * rows).sum() / total + top])
        refined[index] = centre * (CROP_SIZE / size)
    return refined
