"""Points of the set followed through a shot, outside everybody's masks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from understudy.core.footage import Shot
from understudy.io.video.streams import read_frames, read_video
from understudy.runtime.checks import check_options
from understudy.runtime.parallel import in_order, prefetch, worker_count
from understudy.runtime.progress import Progress, silent

__all__ = ["PointTracks", "TrackingConfig", "follow_points", "read_union_of_masks", "track_set"]

_MASKED = 32
"""From this coverage on (of 255) a pixel of the shrunken, grown mask is somebody's."""


@dataclass(frozen=True)
class TrackingConfig:
    """How points are followed."""

    longest_side_px: int = 960
    """Frames are shrunk to this before tracking; smaller frames stay as they are."""
    points: int = 600
    """How many points to keep alive."""
    grid: tuple[int, int] = (12, 8)
    """Columns and rows of the grid over which the points are spread."""
    mask_margin: float = 0.012
    """How far masks are grown, as a share of the frame's longest side."""
    forward_backward_px: float = 0.6
    """A point is lost when tracking it back misses where it came from by more than this, in tracking pixels."""

    def __post_init__(self) -> None:
        check_options(
            self, longest_side_px=(64, 8192), points=(8, 100_000), mask_margin=(0, 1), forward_backward_px=(0.001, 100)
        )


@dataclass(frozen=True)
class PointTracks:
    """Observations of points, sorted by track, then by frame."""

    frame: Int[np.ndarray, " observation"]
    track: Int[np.ndarray, " observation"]
    """Numbered 0 … without gaps."""
    xy_px: Float[np.ndarray, "observation 2"]
    """In the full picture; the centre of the first pixel is (0.5, 0.5)."""
    frames: int
    """Of the shot."""
    width: int
    """Of the full picture."""
    height: int
    unit_px: float
    """Full-picture pixels per tracking pixel: the scale of the observations' noise."""

    def __len__(self) -> int:
        """How many observations."""
        return len(self.frame)

    @property
    def count(self) -> int:
        """How many tracks."""
        return int(self.track[-1]) + 1 if len(self.track) else 0

    def select(self, keep: Bool[np.ndarray, " observation"], min_length: int = 1) -> "PointTracks":
        """Only the observations marked, of tracks that then have at least `min_length`; tracks are numbered anew."""
        track = self.track[keep]
        long_enough = np.bincount(track, minlength=self.count)[track] >= min_length
        keep = np.flatnonzero(keep)[long_enough]
        _, renumbered = np.unique(self.track[keep], return_inverse=True)
        return PointTracks(
            self.frame[keep], renumbered, self.xy_px[keep], self.frames, self.width, self.height, self.unit_px
        )

    def shared(self, a: int, b: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Indices of the observations in frame a and in frame b of the tracks that both see."""
        at_a, at_b = np.flatnonzero(self.frame == a), np.flatnonzero(self.frame == b)
        _, in_a, in_b = np.intersect1d(self.track[at_a], self.track[at_b], assume_unique=True, return_indices=True)
        return at_a[in_a], at_b[in_b]


def track_set(
    shot: Shot, masks: Sequence[Path], config: TrackingConfig | None = None, progress: Progress = silent
) -> PointTracks:
    """Follow corners of the set through a shot; `masks` are grey videos, 255 where somebody is.

    Raises:
        FootageError: a frame cannot be read.
    """
    union = read_union_of_masks(masks)
    waiting = None if union is None else prefetch(union)
    return follow_points(prefetch(read_frames(shot)), waiting, len(shot), config, progress)


def read_union_of_masks(masks: Sequence[Path]) -> Iterator[UInt8[np.ndarray, "height width"]] | None:
    """The brightest of all mask videos, frame by frame; None without masks."""
    if not masks:
        return None
    return (np.maximum.reduce(frames) for frames in zip(*(read_video(mask) for mask in masks), strict=True))


def follow_points(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    masks: Iterable[UInt8[np.ndarray, "height width"]] | None,
    count: int,
    config: TrackingConfig | None = None,
    progress: Progress = silent,
) -> PointTracks:
    """Pyramidal Lucas–Kanade forward and backward from frame to frame, new corners where points were lost.

    Points under a mask end there. Memory: two small frames and 16 bytes an observation.

    Source: Bouguet 2001, Pyramidal implementation of the Lucas Kanade feature tracker; Shi and Tomasi 1994; Kalal
    et al. 2010, Forward-backward error.
    """
    config = config or TrackingConfig()
    follower: _Follower | None = None
    width = height = 0
    pictures = islice(zip(frames, masks if masks is not None else repeat(None), strict=False), count)
    for index, (grey, free, size) in enumerate(in_order(lambda pair: _prepared(*pair, config), pictures)):
        if follower is None:
            width, height = size
            follower = _Follower(grey.shape[1], grey.shape[0], config)
        follower.step(grey, free)
        progress(index + 1, count)
    if follower is None:
        raise ValueError("there are no frames to track in")
    return follower.tracks(count, width, height)


def _prepared(
    picture: UInt8[np.ndarray, "height width 3"],
    mask: UInt8[np.ndarray, "height width"] | None,
    config: TrackingConfig,
) -> tuple[
    UInt8[np.ndarray, "small_height small_width"], UInt8[np.ndarray, "small_height small_width"], tuple[int, int]
]:
    """The picture in grey at the size of tracking, where the set is seen in it (255, else 0), and its full size."""
    height, width = picture.shape[:2]
    shrink = min(1.0, config.longest_side_px / max(width, height))
    size = (max(16, round(width * shrink)), max(16, round(height * shrink)))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if size != (width, height):
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    free = np.full(grey.shape, 255, np.uint8)
    if mask is not None:
        small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
        margin = 2 * max(1, round(config.mask_margin * max(size))) + 1
        grown = cv2.dilate(small, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (margin, margin)))
        free[grown > _MASKED] = 0
    return grey, free, (width, height)


class _Follower:
    """The points alive, and all that was seen so far."""

    def __init__(self, width: int, height: int, config: TrackingConfig) -> None:
        self.size = (width, height)
        self.config = config
        self.window = (21, 21)
        self.levels = int(np.clip(np.log2(max(self.size) / 40), 1, 4))
        self.border = 6.0
        self.grey: np.ndarray | None = None
        self.points = np.zeros((0, 2), np.float32)
        self.velocity = np.zeros((0, 2), np.float32)
        self.ids = np.zeros(0, np.int32)
        self.next_id = 0
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def step(self, grey: np.ndarray, free: np.ndarray) -> None:
        if self.grey is not None and len(self.points):
            self._follow(grey, free)
        if len(self.points) < 0.85 * self.config.points:
            self._add_corners(grey, free)
        self.grey = grey
        self.seen.append((self.ids.copy(), self.points.copy()))

    def _follow(self, grey: np.ndarray, free: np.ndarray) -> None:
        options: dict[str, Any] = dict(
            winSize=self.window,
            maxLevel=self.levels,
            criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01),
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            minEigThreshold=1e-4,
        )
        before = self.grey

        def follow(some: slice) -> tuple[np.ndarray, np.ndarray]:
            """Where some of the points are now, and whether they were found there and back."""
            assert before is not None  # there are points of the frame before
            points, velocity = self.points[some], self.velocity[some]
            # A steady pan moves points about as far as in the frame before: starting there survives fast moves.
            there, found, _ = cv2.calcOpticalFlowPyrLK(before, grey, points, points + velocity, **options)
            back, found_back, _ = cv2.calcOpticalFlowPyrLK(grey, before, there, there - velocity, **options)
            missed = np.linalg.norm(back - points, axis=1)
            good = (found[:, 0] == 1) & (found_back[:, 0] == 1) & (missed < self.config.forward_backward_px)
            return there, good

        # Each point is followed by itself: how they are shared out does not matter.
        edges = np.linspace(0, len(self.points), min(worker_count(), len(self.points)) + 1).astype(int)
        parts = list(in_order(follow, [slice(a, b) for a, b in pairwise(edges)]))
        there, good = (np.concatenate(part) for part in zip(*parts, strict=True))
        width, height = self.size
        good &= ((there > self.border) & (there < np.array([width, height]) - 1 - self.border)).all(1)
        column, row = np.clip(np.rint(there), 0, [width - 1, height - 1]).astype(int).T
        good &= free[row, column] > 0
        self.velocity = (there - self.points)[good]
        self.points, self.ids = there[good], self.ids[good]

    def _add_corners(self, grey: np.ndarray, free: np.ndarray) -> None:
        """The strongest corners of every grid cell that has fewer points than its share."""
        width, height = self.size
        columns, rows = self.config.grid if width >= height else self.config.grid[::-1]
        share = int(np.ceil(self.config.points / (columns * rows)))
        spacing = max(3, int(0.45 * np.sqrt(width * height / self.config.points)))
        strength = cv2.cornerMinEigenVal(grey, 5)
        free = free.copy()
        for x, y in np.rint(self.points).astype(int):
            cv2.circle(free, (int(x), int(y)), spacing, 0, -1)
        edge = int(self.border) + 2
        strength[free == 0] = 0.0
        strength[:edge], strength[-edge:], strength[:, :edge], strength[:, -edge:] = 0, 0, 0, 0
        peaks = cv2.dilate(strength, np.ones((2 * spacing + 1, 2 * spacing + 1), np.uint8))
        min_strength = max(4e-6, 2e-3 * float(np.quantile(strength, 0.995)))
        y, x = np.nonzero((strength == peaks) & (strength > min_strength))
        order = np.argsort(-strength[y, x], kind="stable")
        x, y = x[order], y[order]

        def cell(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return (x * columns // width).astype(int) + columns * (y * rows // height).astype(int)

        alive = np.bincount(cell(self.points[:, 0], self.points[:, 1]), minlength=columns * rows)
        of_cell = cell(x, y)
        by_cell = np.argsort(of_cell, kind="stable")
        starts = np.searchsorted(of_cell[by_cell], np.arange(columns * rows))
        rank = np.empty(len(x), int)
        rank[by_cell] = np.arange(len(x)) - starts[of_cell[by_cell]]
        chosen = rank < share - alive[of_cell]
        fresh = np.stack([x[chosen], y[chosen]], 1).astype(np.float32)
        # A new point is expected to move as its neighbours do; a grid cell is small enough for their median.
        typical = np.median(self.velocity, 0) if len(self.velocity) else np.zeros(2)
        self.velocity = np.concatenate([self.velocity, np.tile(typical, (len(fresh), 1)).astype(np.float32)])
        self.points = np.concatenate([self.points, fresh])
        self.ids = np.concatenate([self.ids, np.arange(self.next_id, self.next_id + len(fresh), dtype=np.int32)])
        self.next_id += len(fresh)

    def tracks(self, count: int, width: int, height: int) -> PointTracks:
        """Everything seen, as arrays; tracks of fewer than three frames are left out."""
        frame = np.repeat(np.arange(count, dtype=np.int32), [len(ids) for ids, _ in self.seen])
        track = np.concatenate([ids for ids, _ in self.seen])
        order = np.lexsort((frame, track))
        scale = np.array([width / self.size[0], height / self.size[1]])
        xy_px = (np.concatenate([points for _, points in self.seen])[order] + 0.5) * scale
        everything = PointTracks(
            frame[order], track[order], xy_px.astype(np.float64), count, width, height, float(scale.mean())
        )
        return everything.select(np.ones(len(frame), bool), min_length=3)
