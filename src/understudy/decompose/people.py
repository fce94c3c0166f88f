"""Finds the people of a shot: who is there, where their bodies are in each frame, roughly which pixels are theirs."""

import os
import tempfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from jaxtyping import UInt8

from understudy.core.errors import FootageError
from understudy.core.footage import LANDMARKS, LandmarkTrack, Shot
from understudy.core.progress import Progress, silent
from understudy.decompose.landmark_repair import RepairReport, repair_track
from understudy.decompose.landmarks import CROP_SIZE, Crop, Pose, PoseModel
from understudy.decompose.person_tracker import PersonTracker, Track, TrackerConfig
from understudy.io.video import VideoWriter, read_frames
from understudy.io.weights import ensure_weights

__all__ = ["People", "PeopleConfig", "find_people"]

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

MAX_PAINTED_GAP = 12
"""Frames: over longer gaps nobody knows where the person's pixels are."""


@dataclass(frozen=True)
class PeopleConfig:
    """How people are found."""

    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    max_actors: int = 4
    """How many people get a track and a mask of their own."""
    min_seconds: float = 0.4
    """People seen for a shorter time are no actors (unless nobody is seen for longer)."""
    threads: int = 1
    """Of the networks."""


@dataclass(frozen=True)
class People:
    """The people of a shot, the main actor first."""

    tracks: tuple[LandmarkTrack, ...]
    masks: tuple[Path, ...]
    """Of each track: a mask video of the shot's size and length, 0 … 255 is rough coverage."""
    others: Path | None
    """A mask video of everybody else who was followed; None if there is nobody else."""
    reports: tuple[RepairReport, ...]
    """What had to be repaired in each track."""


def find_people(shot: Shot, out_masks: Path, config: PeopleConfig | None = None, progress: Progress = silent) -> People:
    """Follow the people of a shot and write `person_1.mkv`, `person_2.mkv` … and `others.mkv` into `out_masks`.

    The main actor is who is seen longest, largest and nearest to the picture's middle, as a product.
    Raises FootageError when nobody is found, BackendUnavailable when the networks cannot be fetched.
    """
    config = config or PeopleConfig()
    model = PoseModel(ensure_weights("blazepose"), config.threads)
    out_masks.mkdir(parents=True, exist_ok=True)
    with _MaskStore(out_masks) as store:
        tracker = PersonTracker(
            model,
            keep_mask=lambda pose: store.put(_own_mask(pose)),
            read_again=lambda start, stop: list(read_frames(shot, start, stop)),
            config=config.tracker,
        )
        window: list[np.ndarray] = []
        for frame, picture in enumerate(read_frames(shot)):
            window.append(picture)
            if len(window) == config.tracker.window_frames or frame == len(shot) - 1:
                tracker.follow(window, frame + 1 - len(window))
                window = []
            progress(frame + 1, 2 * len(shot))
        people = [track for track in tracker.tracks if _is_person(track)]
        ranked = sorted(people, key=lambda track: -_prominence(track, shot))
        if not ranked:
            raise FootageError(
                f"nobody was found in {shot.path.name} ({len(shot)} frames): a person must be seen with head and"
                " shoulders, at least about a tenth of the picture's height; choose another shot or another range"
            )
        enough = config.min_seconds * float(shot.frame_rate)
        actors = [track for track in ranked if len(track.sightings) >= enough][: config.max_actors] or ranked[:1]
        others = [track for track in ranked if track not in actors]
        repaired = [repair_track(track.sightings, len(shot), float(shot.frame_rate)) for track in actors]
        masks = _write_masks(shot, actors, others, store, out_masks, progress)
    return People(
        tracks=tuple(track for track, _ in repaired),
        masks=tuple(masks[: len(actors)]),
        others=masks[len(actors)] if others else None,
        reports=tuple(report for _, report in repaired),
    )


def _is_person(track: Track) -> bool:
    """Whether the network was sure of somebody for more than a moment: it takes some rocks for people."""
    presence = [sighting.presence for sighting in track.sightings.values()]
    return len(presence) >= 4 and float(np.mean(presence)) > 0.8


def _prominence(track: Track, shot: Shot) -> float:
    """Length × size × centrality, summed over the frames."""
    total = 0.0
    for sighting in track.sightings.values():
        crop = sighting.next_crop
        size = min(crop.size_px / shot.height, 1.5)
        off_centre = min(abs(crop.centre_px[0] / shot.width - 0.5) * 2, 1.0)
        total += size * (1.0 - 0.5 * off_centre)
    return total


class _MaskStore:
    """Masks of sightings on disk, compressed: they are needed once more when it is known who is an actor."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._ends = [0]

    def __enter__(self) -> "_MaskStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def put(self, mask: UInt8[np.ndarray, "size size"]) -> int:
        data = zlib.compress(mask.tobytes(), 1)
        self._file.seek(0, os.SEEK_END)
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))
        return len(self._ends) - 2

    def get(self, key: int) -> UInt8[np.ndarray, "size size"]:
        self._file.seek(self._ends[key])
        data = zlib.decompress(self._file.read(self._ends[key + 1] - self._ends[key]))
        return np.frombuffer(data, np.uint8).reshape(CROP_SIZE, CROP_SIZE)


def _own_mask(pose: Pose) -> UInt8[np.ndarray, "size size"]:
    """The network's mask without islands that do not touch the person's bones."""
    M = pose.crop.crop_from_picture()
    points = pose.landmarks_px @ M[:, :2].T + M[:, 2]
    bones = np.zeros(pose.mask.shape, np.uint8)
    ends = np.clip(points, -CROP_SIZE, 2 * CROP_SIZE).round().astype(int)
    for a, b in SKELETON:
        cv2.line(bones, ends[a].tolist(), ends[b].tolist(), 255, 5)
    _, labels = cv2.connectedComponents((pose.mask > 32).astype(np.uint8))
    touching = np.unique(labels[bones > 0])
    keep = np.isin(labels, touching[touching > 0])
    return np.where(keep, pose.mask, 0).astype(np.uint8)


def _write_masks(
    shot: Shot, actors: list[Track], others: list[Track], store: _MaskStore, folder: Path, progress: Progress
) -> list[Path]:
    """Mask videos of each actor, then of all the others together if there are any."""
    paths = [folder / f"person_{index + 1}.mkv" for index in range(len(actors))]
    paths += [folder / "others.mkv"] if others else []
    frames = [np.array(sorted(track.sightings)) for track in actors + others]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(VideoWriter(path, shot.width, shot.height, shot.frame_rate, "mask")) for path in paths
        ]
        for frame in range(len(shot)):
            canvases = [np.zeros((shot.height, shot.width), np.uint8) for _ in paths]
            for index, track in enumerate(actors + others):
                _paint(canvases[min(index, len(canvases) - 1)], track, frames[index], frame, store)
            for writer, canvas in zip(writers, canvases, strict=True):
                writer.write(canvas)
            progress(len(shot) + frame + 1, 2 * len(shot))
    return paths


def _paint(
    canvas: UInt8[np.ndarray, "height width"], track: Track, frames: np.ndarray, frame: int, store: _MaskStore
) -> None:
    """Add a person's mask to a canvas; in a gap, the masks before and after it, where the person has moved to."""
    if frame in track.sightings:
        sighting = track.sightings[frame]
        _paint_crop(canvas, store.get(sighting.mask_key), sighting.crop)
        return
    after = int(np.searchsorted(frames, frame))
    if after == 0 or after == len(frames) or frames[after] - frames[after - 1] > MAX_PAINTED_GAP:
        return
    first, last = (track.sightings[int(frames[i])] for i in (after - 1, after))
    share = (frame - frames[after - 1]) / (frames[after] - frames[after - 1])
    for sighting in (first, last):
        place, size = (
            (1 - share) * getattr(first.next_crop, name) + share * getattr(last.next_crop, name)
            for name in ("centre_px", "size_px")
        )
        grown = size / sighting.next_crop.size_px
        centre = place + grown * (sighting.crop.centre_px - sighting.next_crop.centre_px)
        crop = Crop(centre, float(grown * sighting.crop.size_px), sighting.crop.angle)
        _paint_crop(canvas, store.get(sighting.mask_key), crop)


def _paint_crop(canvas: UInt8[np.ndarray, "height width"], mask: UInt8[np.ndarray, "size size"], crop: Crop) -> None:
    """The larger of the canvas and the mask, on the part of the canvas that the crop covers."""
    height, width = canvas.shape
    reach = crop.size_px * (abs(np.cos(crop.angle)) + abs(np.sin(crop.angle))) / 2
    left, top = np.clip(np.floor(crop.centre_px - reach), 0, [width, height]).astype(int)
    right, bottom = np.clip(np.ceil(crop.centre_px + reach), 0, [width, height]).astype(int)
    if right <= left or bottom <= top:
        return
    M = crop.crop_from_picture()
    # OpenCV counts from the centre of the first pixel, we from its corner.
    M = np.column_stack([M[:, :2], M[:, 2] + M[:, :2] @ (np.array([left, top]) + 0.5) - 0.5])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    area = cv2.warpAffine(mask, M, (int(right - left), int(bottom - top)), flags=flags)
    np.maximum(canvas[top:bottom, left:right], area, out=canvas[top:bottom, left:right])
