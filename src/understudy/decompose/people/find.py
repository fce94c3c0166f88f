"""Finds the people of a shot: who is there, where their bodies are in each frame, roughly which pixels are theirs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from understudy.core.footage import LandmarkTrack, Shot
from understudy.decompose.people.landmark_repair import RepairReport, repair_track
from understudy.decompose.people.landmarks import LandmarkNetwork, PoseEstimate, PoseModel
from understudy.decompose.people.network import MAX_COPIES
from understudy.decompose.people.person_tracks import Track
from understudy.decompose.people.refinement import refine_track
from understudy.decompose.people.rough_masks import MaskStore, own_mask, write_rough_masks
from understudy.decompose.people.tracker import Tracker, TrackerConfig, Tracks, Window, follow
from understudy.io.video.streams import read_frames
from understudy.io.weights import ensure_weights
from understudy.runtime.checks import check_options
from understudy.runtime.errors import NobodyInShot
from understudy.runtime.parallel import prefetch, worker_count
from understudy.runtime.progress import Progress, silent

__all__ = ["People", "PeopleConfig", "find_people"]

MIN_FRAMES = 4
"""In which the network saw a person: it sees one in some rocks, for a moment."""
MIN_MEAN_PRESENCE = 0.8
"""0 … 1: how sure it was on average."""
MAX_PROMINENT_SIZE = 1.5
"""Of a crop, in picture heights, beyond which nobody becomes more prominent: they stand before the camera."""
BORDER_PROMINENCE = 0.5
"""Prominence at the left or right border of the picture, over that in its middle."""


@dataclass(frozen=True)
class PeopleConfig:
    """How people are found."""

    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    max_actors: int = 4
    """How many people get a track and a mask of their own."""
    min_seconds: float = 0.4
    """People seen for a shorter time are no actors (unless nobody is seen for longer)."""
    network: Literal["full", "heavy"] | None = None
    """Which of BlazePose's landmark networks the actor's landmarks come from (default: heavy, or full in a draft). The
    full one follows everybody; the heavy one, more exact and three times as slow, then looks at the actor once more."""
    actor: int = 1
    """Who the actor is; 1 is the main actor."""

    def __post_init__(self) -> None:
        check_options(self, max_actors=(1, 20), min_seconds=(0, 3600), actor=(1, 1000))


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
    Raises NobodyInShot when nobody is found, BackendUnavailable when the networks cannot be fetched.
    """
    config = config or PeopleConfig()
    model = PoseModel(ensure_weights("blazepose"), worker_count())
    heavy = None if config.network == "full" else _heavy_network()
    out_masks.mkdir(parents=True, exist_ok=True)
    time = len(shot)
    with MaskStore(out_masks) as store:

        def keep_mask(estimate: PoseEstimate) -> int:
            return store.put(own_mask(estimate))

        def read_again(start: int, stop: int) -> list[np.ndarray]:
            return list(read_frames(shot, range(start, stop)))

        tracks: Tracks = ()
        tracker = Tracker(model, keep_mask, read_again, config.tracker)
        for window in _windows(shot, config.tracker.window_frames):
            tracks = follow(tracker, tracks, window)
            progress(window.last_frame + 1, 3 * time)
        ranked = _ranked(shot, tracks)
        enough = config.min_seconds * float(shot.frame_rate)
        actors = [track for track in ranked if len(track.observations) >= enough][: config.max_actors] or ranked[:1]
        others = [track for track in ranked if track not in actors]
        if heavy is not None and config.actor <= len(actors):
            actors[config.actor - 1] = refine_track(
                shot,
                actors[config.actor - 1],
                heavy.estimate,
                config.tracker,
                lambda done, total: progress(time + done * time // total, 3 * time),
            )
        repaired = [repair_track(track.observations, time, float(shot.frame_rate)) for track in actors]
        masks = write_rough_masks(
            shot, actors, others, store, out_masks, lambda done, total: progress(2 * total + done, 3 * total)
        )
    return People(
        tracks=tuple(track for track, _ in repaired),
        masks=tuple(masks[: len(actors)]),
        others=masks[len(actors)] if others else None,
        reports=tuple(report for _, report in repaired),
    )


def _heavy_network() -> LandmarkNetwork:
    """The larger landmark network; where it looks at several frames at once, with the workers left for each."""
    path = ensure_weights("blazepose_heavy") / "pose_landmark_heavy.tflite"
    return LandmarkNetwork(path, max(worker_count() // MAX_COPIES, 1))


def _windows(shot: Shot, size: int) -> Iterator[Window]:
    """The frames of a shot, `size` at a time."""
    frames = prefetch(read_frames(shot))
    for number, start in enumerate(range(0, len(shot), size)):
        yield Window(list(islice(frames, size)), start, number)


def _ranked(shot: Shot, tracks: Tracks) -> list[Track]:
    """The tracks that are of people, the most prominent first. Raises NobodyInShot when none is."""
    people = [track for track in tracks if _is_person(track, shot)]
    if not people:
        raise NobodyInShot(
            f"nobody was found in {shot.path.name} ({len(shot)} frames): a person must be seen with head and"
            " shoulders, at least about a tenth of the picture's height; choose another shot or another range"
        )
    return sorted(people, key=lambda track: -_prominence(track, shot))


def _is_person(track: Track, shot: Shot) -> bool:
    """Whether the network was sure of somebody for more than a moment."""
    presence = [observation.presence for observation in track.observations.values()]
    return len(presence) >= min(MIN_FRAMES, len(shot)) and float(np.mean(presence)) > MIN_MEAN_PRESENCE


def _prominence(track: Track, shot: Shot) -> float:
    """Length × size × centrality, summed over the frames."""
    total = 0.0
    for observation in track.observations.values():
        crop = observation.next_crop
        size = min(crop.size_px / shot.height, MAX_PROMINENT_SIZE)
        off_centre = min(abs(crop.centre_px[0] / shot.width - 0.5) * 2, 1.0)
        total += size * (1.0 - (1.0 - BORDER_PROMINENCE) * off_centre)
    return total
