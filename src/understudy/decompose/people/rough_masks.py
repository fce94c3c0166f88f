"""Mask videos out of the small masks that the landmark network gives."""

import os
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from threading import Lock
from types import TracebackType

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from understudy.core.footage import LANDMARKS, Shot
from understudy.decompose.people.clothes import clothes_odds
from understudy.decompose.people.landmarks import CROP_SIZE, Crop, PoseEstimate
from understudy.decompose.people.person_tracks import Observation, Track
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import read_frames
from understudy.runtime.parallel import in_order, prefetch
from understudy.runtime.progress import Progress, silent

__all__ = ["SKELETON", "MaskStore", "own_mask", "write_rough_masks"]

SKELETON = tuple(
    (LANDMARKS.index(a), LANDMARKS.index(b))
    for a, b in (
        ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
        ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"),
        ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"), ("left_wrist", "left_index"),
        ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"), ("right_wrist", "right_index"),
        ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("left_ankle", "left_foot_index"),
        ("right_hip", "right_knee"), ("right_knee", "right_ankle"), ("right_ankle", "right_foot_index"),
        ("nose", "left_shoulder"), ("nose", "right_shoulder"),
    )
)  # fmt: skip
"""Pairs of landmarks that a bone joins."""
_TRUNK = [LANDMARKS.index(name) for name in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
_HEAD = [LANDMARKS.index(name) for name in ("left_ear", "right_ear")]

MAX_PAINTED_GAP = 12
"""Frames: over longer gaps nobody knows where the person's pixels are."""
DOUBT = 0.006
"""By which a mask grows with each frame beyond the last observation, in sides of the crop."""
LIMB_RADIUS = 0.02
"""Of the stick figures that claim pixels, in sides of the crop."""
SURER_CLAIM = 0.05
"""How much further away, in sides of the crop, a body may be whose mask is full where the other's is empty."""
PROMINENT_CLAIM = 0.01
"""How much further away a body may be that is the more prominent of two."""
CLOTHES_CLAIM = 0.02
"""How much further away it may be per unit of log odds of its clothes having the pixel's colour."""
MIN_CONTESTED = 32
"""Coverage (of 255) by both from which it is worth settling whose pixels they are."""
MIN_VISIBILITY = 0.5
"""Bones with less visible ends claim nothing."""
BORDER_SOFTNESS = 0.005
"""Of the border between two people, in sides of the crop."""
BONE_WIDTH = 5
"""Of bones drawn into a mask, in its pixels: a wrist's."""
MIN_ISLAND = 32
"""Coverage (of 255) above which pixels of a mask hang together."""
LEAVING_REACH = 0.35
"""Sides of the crop from a person's hips to where they end: who reaches over the picture's border may be leaving."""
MAX_LOG_ODDS = 3.0
"""Of a pixel's colour: clothes tell no more than twenty to one."""
CLOTHES_BLUR = 0.01
"""Standard deviation over which the clothes' colours are averaged, in sides of the crop: the width of a wrist."""


class MaskStore:
    """Masks of observations on disk, compressed: they are needed once more when it is known who is an actor. Several
    threads may use it."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._ends = [0]
        self._lock = Lock()

    def __enter__(self) -> "MaskStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def put(self, mask: UInt8[np.ndarray, "size size"]) -> int:
        """Keep a mask; the key to get it by."""
        data = zlib.compress(mask.tobytes(), 1)
        with self._lock:
            self._file.seek(0, os.SEEK_END)
            self._file.write(data)
            self._ends.append(self._ends[-1] + len(data))
            return len(self._ends) - 2

    def get(self, key: int) -> UInt8[np.ndarray, "size size"]:
        """The mask that `put` gave the key for."""
        with self._lock:
            self._file.seek(self._ends[key])
            data = self._file.read(self._ends[key + 1] - self._ends[key])
        return np.frombuffer(zlib.decompress(data), np.uint8).reshape(CROP_SIZE, CROP_SIZE)


def own_mask(estimate: PoseEstimate) -> UInt8[np.ndarray, "size size"]:
    """The network's mask without islands that do not touch the person's bones."""
    bones = _stick_figure(estimate.landmarks_crop_px, np.ones(len(LANDMARKS)), estimate.mask.shape, BONE_WIDTH)
    _, labels = cv2.connectedComponents((estimate.mask > MIN_ISLAND).astype(np.uint8))
    touching = np.unique(labels[bones > 0])
    keep = np.isin(labels, touching[touching > 0])
    return np.where(keep, estimate.mask, 0).astype(np.uint8)


def write_rough_masks(
    shot: Shot,
    actors: Sequence[Track],
    others: Sequence[Track],
    store: MaskStore,
    folder: Path,
    progress: Progress = silent,
) -> list[Path]:
    """Mask videos of each actor (`person_1.mkv` …), then, if there are any, of all the others (`others.mkv`).

    A pixel that two people claim goes to the one whose body is nearer and whose clothes have its colour.
    """
    paths = [folder / f"person_{index + 1}.mkv" for index in range(len(actors))]
    paths += [folder / "others.mkv"] if others else []
    tracks = [*actors, *others]
    frames = [np.array(sorted(track.observations)) for track in tracks]
    several = len(tracks) > 1

    def canvases(
        item: tuple[int, UInt8[np.ndarray, "height width 3"] | None],
    ) -> list[UInt8[np.ndarray, "height width"]]:
        """One frame of each video; the picture tells whose pixels are whose."""
        frame, picture = item
        areas = [_area_of(track, known, frame, store, shot) for track, known in zip(tracks, frames, strict=True)]
        if picture is not None:
            _share_out([area for area in areas if area is not None], picture)
        result = [np.zeros((shot.height, shot.width), np.uint8) for _ in paths]
        for index, area in enumerate(areas):
            if area is not None:
                part = result[min(index, len(result) - 1)][area.window]
                np.maximum(part, area.cover, out=part)
        return result

    with ExitStack() as stack:
        writers = [
            stack.enter_context(VideoWriter(path, shot.width, shot.height, shot.frame_rate, "mask")) for path in paths
        ]
        pictures = prefetch(read_frames(shot)) if several else repeat(None, len(shot))
        for done, made in enumerate(in_order(canvases, enumerate(pictures)), 1):
            for writer, canvas in zip(writers, made, strict=True):
                writer.write(canvas)
            progress(done, len(shot))
    return paths


@dataclass(frozen=True)
class _Area:
    """The part of a frame that one person's crop covers."""

    left: int
    top: int
    cover: UInt8[np.ndarray, "h w"]
    landmarks_px: Float[np.ndarray, "33 2"]
    visibility: Float[np.ndarray, "33"]
    colours: Float[np.ndarray, "part bin"]
    size_px: float

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.cover.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def part(self, left: int, top: int, right: int, bottom: int) -> UInt8[np.ndarray, "h w"]:
        """The cover of a box of the frame that lies inside this area; a view."""
        return self.cover[top - self.top : bottom - self.top, left - self.left : right - self.left]


def _area_of(track: Track, frames: Int[np.ndarray, " known"], frame: int, store: MaskStore, shot: Shot) -> _Area | None:
    """A person's mask in a frame.

    In a short gap, it is the masks before and after it, where the person has moved to. The network loses a person who
    leaves the picture when a leg is still in it: beyond the ends of a track its last mask moves on at its last speed.
    """
    after = int(np.searchsorted(frames, frame))
    beyond = 0
    if frame in track.observations:
        sources = [(track.observations[frame], None)]
    elif 0 < after < len(frames):
        if frames[after] - frames[after - 1] > MAX_PAINTED_GAP:
            return None
        share = (frame - frames[after - 1]) / (frames[after] - frames[after - 1])
        first, last = (track.observations[int(frames[i])] for i in (after - 1, after))
        where = _between(first.next_crop, last.next_crop, share)
        sources = [(first, where), (last, where)]
    else:
        end, inner = (
            (frames[0], frames[min(2, len(frames) - 1)]) if after == 0 else (frames[-1], frames[max(-3, -len(frames))])
        )
        last, before = track.observations[int(end)], track.observations[int(inner)]
        if end == inner or abs(frame - end) > MAX_PAINTED_GAP or not _leaves(before, last, shot):
            return None
        where = _between(before.next_crop, last.next_crop, (frame - inner) / (end - inner))
        sources, beyond = [(last, where)], abs(frame - int(end))
    placed = [(observation, _moved(observation, where)) for observation, where in sources]
    reach = [crop.size_px * (abs(np.cos(crop.angle)) + abs(np.sin(crop.angle))) / 2 for _, crop in placed]
    limits = [shot.width, shot.height]
    low = np.min([crop.centre_px - r for (_, crop), r in zip(placed, reach, strict=True)], axis=0)
    high = np.max([crop.centre_px + r for (_, crop), r in zip(placed, reach, strict=True)], axis=0)
    left, top = np.clip(np.floor(low), 0, limits).astype(int).tolist()
    right, bottom = np.clip(np.ceil(high), 0, limits).astype(int).tolist()
    if right <= left or bottom <= top:
        return None
    covers = []
    for observation, crop in placed:
        M = crop.crop_from_picture()
        # OpenCV counts from the centre of the first pixel, we from its corner.
        M = np.column_stack([M[:, :2], M[:, 2] + M[:, :2] @ (np.array([left, top]) + 0.5) - 0.5])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        covers.append(cv2.warpAffine(store.get(observation.mask_key), M, (right - left, bottom - top), flags=flags))
    observation, crop = placed[0]
    cover = np.maximum.reduce(covers)
    if beyond:
        side = 2 * int(DOUBT * beyond * crop.size_px) + 1
        cover = cv2.dilate(cover, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    grown = crop.size_px / observation.crop.size_px
    points = crop.centre_px + grown * (observation.landmarks_px - observation.crop.centre_px)
    return _Area(left, top, cover, points, observation.visibility, track.colours, crop.size_px)


def _between(first: Crop, last: Crop, share: float) -> Crop:
    """A crop on the straight way from one to another, or beyond."""
    centre = (1 - share) * first.centre_px + share * last.centre_px
    # In equal steps a size grows by equal factors.
    return Crop(centre, float(first.size_px ** (1 - share) * last.size_px**share), last.angle)


def _moved(observation: Observation, where: Crop | None) -> Crop:
    """The crop of a observation's mask, if its person has moved to where their `next_crop` would be `where`."""
    if where is None:
        return observation.crop
    grown = where.size_px / observation.next_crop.size_px
    centre = where.centre_px + grown * (observation.crop.centre_px - observation.next_crop.centre_px)
    return Crop(centre, float(grown * observation.crop.size_px), observation.crop.angle)


def _leaves(before: Observation, last: Observation, shot: Shot) -> bool:
    """Whether somebody at the picture's border moves outwards over it."""
    crop = last.next_crop
    moved = crop.centre_px - before.next_crop.centre_px
    size = np.array([shot.width, shot.height])
    reach = LEAVING_REACH * crop.size_px
    outwards = ((crop.centre_px - reach < 0) & (moved < 0)) | ((crop.centre_px + reach > size) & (moved > 0))
    return bool(outwards.any())


def _share_out(areas: Sequence[_Area], picture: UInt8[np.ndarray, "height width 3"]) -> None:
    """Share out, in place, the pixels that two people claim."""
    for index, first in enumerate(areas):
        for second in areas[:index]:
            left, top = max(first.left, second.left), max(first.top, second.top)
            right = min(first.left + first.cover.shape[1], second.left + second.cover.shape[1])
            bottom = min(first.top + first.cover.shape[0], second.top + second.cover.shape[0])
            if right <= left or bottom <= top:
                continue
            both = np.minimum(first.part(left, top, right, bottom), second.part(left, top, right, bottom))
            if both.max() >= MIN_CONTESTED:
                x, y, width, height = cv2.boundingRect(both)
                _settle(first, second, picture, (left + x, top + y, left + x + width, top + y + height))


def _settle(
    first: _Area, second: _Area, picture: UInt8[np.ndarray, "height width 3"], box: tuple[int, int, int, int]
) -> None:
    """Settle who has the contested pixels of a box; `second` is the more prominent of the two."""
    left, top, right, bottom = box
    a, b = first.part(*box), second.part(*box)
    size = min(first.size_px, second.size_px)
    claim = _distance(second, left, top, a.shape) - _distance(first, left, top, a.shape)
    claim += size * (SURER_CLAIM * (a.astype(np.float32) - b) / 255 - PROMINENT_CLAIM)
    odds = clothes_odds(picture[top:bottom, left:right], first.colours, second.colours)
    claim += (
        size
        * CLOTHES_CLAIM
        * cv2.GaussianBlur(np.clip(odds, -MAX_LOG_ODDS, MAX_LOG_ODDS), (0, 0), max(CLOTHES_BLUR * size, 0.5))
    )
    share = 1.0 / (1.0 + np.exp(np.clip(-claim / max(BORDER_SOFTNESS * size, 0.5), -30, 30)))
    both = (a > 0) & (b > 0)
    a[:] = np.where(both, np.rint(share * a), a)
    b[:] = np.where(both, np.rint((1 - share) * b), b)


def _distance(area: _Area, left: int, top: int, shape: tuple[int, ...]) -> Float32[np.ndarray, "h w"]:
    """How far each pixel of a window is from a person's stick figure."""
    width = max(round(2 * LIMB_RADIUS * area.size_px), 1)
    figure = _stick_figure(area.landmarks_px - [left, top], area.visibility, shape, width)
    if not figure.any():
        return np.full(shape, np.float32(sum(shape)))
    return cv2.distanceTransform((figure == 0).astype(np.uint8), cv2.DIST_L2, 3)


def _stick_figure(
    points: Float[np.ndarray, "33 2"], visibility: Float[np.ndarray, "33"], shape: tuple[int, ...], width: int
) -> UInt8[np.ndarray, "h w"]:
    """The visible bones, trunk and head drawn into a picture of a shape."""
    figure = np.zeros(shape, np.uint8)
    ends = np.clip(points, -4 * max(shape), 5 * max(shape)).round().astype(int)
    for a, b in SKELETON:
        if min(visibility[a], visibility[b]) >= MIN_VISIBILITY:
            cv2.line(figure, ends[a].tolist(), ends[b].tolist(), 255, width)
    if visibility[_TRUNK].min() >= MIN_VISIBILITY:
        cv2.fillConvexPoly(figure, cv2.convexHull(ends[_TRUNK].astype(np.int32)), 255)
    if visibility[_HEAD].max() >= MIN_VISIBILITY:
        radius = int(max(np.ptp(ends[_HEAD], axis=0).max() / 2, width))
        cv2.circle(figure, ends[_HEAD].mean(0).round().astype(int).tolist(), radius, 255, -1)
    return figure
