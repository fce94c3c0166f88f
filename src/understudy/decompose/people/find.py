"""Finds the people of a shot: who is there, where their bodies are in each frame, roughly which pixels are theirs."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from understudy.core.footage import LandmarkTrack, Shot
from understudy.decompose.people.landmark_repair import RepairReport, repair_track
from understudy.decompose.people.landmarks import PoseModel
from understudy.decompose.people.rough_masks import MaskStore, own_mask, write_rough_masks
from understudy.decompose.people.tracker import PersonTracker, Track, TrackerConfig
from understudy.io.video.streams import read_frames
from understudy.io.weights import ensure_weights
from understudy.runtime.errors import NobodyInShot
from understudy.runtime.parallel import prefetch
from understudy.runtime.progress import Progress, silent

__all__ = ["People", "PeopleConfig", "find_people"]


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
    Raises NobodyInShot when nobody is found, BackendUnavailable when the networks cannot be fetched.
    """
    config = config or PeopleConfig()
    model = PoseModel(ensure_weights("blazepose"), config.threads)
    out_masks.mkdir(parents=True, exist_ok=True)
    with MaskStore(out_masks) as store:
        tracker = PersonTracker(
            model,
            keep_mask=lambda pose: store.put(own_mask(pose)),
            read_again=lambda start, stop: list(read_frames(shot, range(start, stop))),
            config=config.tracker,
        )
        window: list[np.ndarray] = []
        for frame, picture in enumerate(prefetch(read_frames(shot))):
            window.append(picture)
            if len(window) == config.tracker.window_frames or frame == len(shot) - 1:
                tracker.follow(window, frame + 1 - len(window))
                window = []
            progress(frame + 1, 2 * len(shot))
        people = [track for track in tracker.tracks if _is_person(track, shot)]
        ranked = sorted(people, key=lambda track: -_prominence(track, shot))
        if not ranked:
            raise NobodyInShot(
                f"nobody was found in {shot.path.name} ({len(shot)} frames): a person must be seen with head and"
                " shoulders, at least about a tenth of the picture's height; choose another shot or another range"
            )
        enough = config.min_seconds * float(shot.frame_rate)
        actors = [track for track in ranked if len(track.sightings) >= enough][: config.max_actors] or ranked[:1]
        others = [track for track in ranked if track not in actors]
        repaired = [repair_track(track.sightings, len(shot), float(shot.frame_rate)) for track in actors]
        masks = write_rough_masks(
            shot, actors, others, store, out_masks, lambda done, total: progress(total + done, 2 * total)
        )
    return People(
        tracks=tuple(track for track, _ in repaired),
        masks=tuple(masks[: len(actors)]),
        others=masks[len(actors)] if others else None,
        reports=tuple(report for _, report in repaired),
    )


def _is_person(track: Track, shot: Shot) -> bool:
    """Whether the network was sure of somebody for more than a moment: it takes some rocks for people."""
    presence = [sighting.presence for sighting in track.sightings.values()]
    return len(presence) >= min(4, len(shot)) and float(np.mean(presence)) > 0.8


def _prominence(track: Track, shot: Shot) -> float:
    """Length × size × centrality, summed over the frames."""
    total = 0.0
    for sighting in track.sightings.values():
        crop = sighting.next_crop
        size = min(crop.size_px / shot.height, 1.5)
        off_centre = min(abs(crop.centre_px[0] / shot.width - 0.5) * 2, 1.0)
        total += size * (1.0 - 0.5 * off_centre)
    return total
