"""Follows several people through a shot, frame by frame, and keeps them apart.

Each person is looked for where the frame before left them. What is found there is believed only if somebody is there,
at the expected place and size, in the same clothes, and if it is not another person who is being followed: a track
that loses its person ends or finds them again by detection, it never slides onto somebody else.

The tracks go in and come out as values; all steps are functions of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from understudy.decompose.people.candidates import (
    Picture,
    PoseFinder,
    PresenceConfig,
    candidates_by_detection,
    candidates_in_crops,
    new_people,
    search_tiles,
)
from understudy.decompose.people.clothes import colour_distance
from understudy.decompose.people.landmarks import Crop, PoseEstimate
from understudy.decompose.people.person_tracks import (
    Candidate,
    MatchConfig,
    Observation,
    Track,
    is_same,
    is_them,
    may_return,
    observations_in,
    predict,
    resolve_conflicts,
    with_candidate,
)
from understudy.runtime.checks import check_options

__all__ = ["Tracker", "TrackerConfig", "Tracks", "Window", "follow"]

REDETECTION_REACH = 2.0
"""Sides of the window in which a lost person is looked for, in sides of their crop."""
LARGER = 1.3
"""How many times as large somebody new must be to take the place of the smallest who is followed."""

Tracks = tuple[Track, ...]


@dataclass(frozen=True)
class TrackerConfig:
    """How people are followed."""

    window_frames: int = 12
    """Every so many frames the whole picture is searched for people who are not followed yet."""
    fine_search_windows: int = 4
    """The first and then every so many of those searches also use small tiles, for people far away."""
    max_people: int = 6
    """Followed at the same time; the largest count."""
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    match: MatchConfig = field(default_factory=MatchConfig)

    def __post_init__(self) -> None:
        check_options(self, window_frames=(1, 240), fine_search_windows=(1, 10_000), max_people=(1, 50))


@dataclass(frozen=True)
class Tracker:
    """What following people takes from outside; it does not change."""

    finder: PoseFinder
    keep_mask: Callable[[PoseEstimate], int]
    """Keeps the mask of an estimate, and gives a key to get it by."""
    read_again: Callable[[int, int], Sequence[Picture]]
    """Gives earlier frames, from start to stop."""
    config: TrackerConfig = field(default_factory=TrackerConfig)


@dataclass(frozen=True)
class Window:
    """Consecutive frames of the shot, all in memory."""

    pictures: Sequence[Picture]
    first_frame: int
    number: int
    """Of the window in the shot, from 0."""

    @property
    def last_frame(self) -> int:
        """The number of the last picture's frame."""
        return self.first_frame + len(self.pictures) - 1


def follow(tracker: Tracker, tracks: Tracks, window: Window) -> Tracks:
    """Everybody's tracks, with the next frames of the shot taken in."""
    if window.number == 0:
        tracks = _search(tracker, tracks, window, window.first_frame, fine=True)
    for offset, picture in enumerate(window.pictures):
        tracks = _step(tracker, tracks, picture, window.first_frame + offset)
    if window.last_frame > 0:
        fine = (window.number + 1) % tracker.config.fine_search_windows == 0
        tracks = _search(tracker, tracks, window, window.last_frame, fine or not any(t.following for t in tracks))
    return tracks


def _step(tracker: Tracker, tracks: Tracks, picture: Picture, frame: int) -> Tracks:
    """Find everybody who is followed in the next frame; who is not found is followed no longer."""
    config = tracker.config
    numbers = [n for n, track in enumerate(tracks) if track.following and frame not in track.observations]
    followed = [tracks[n] for n in numbers]
    candidates = resolve_conflicts(followed, _look(tracker, followed, picture, frame), frame, config.match)
    for n, found in zip(numbers, candidates, strict=True):
        others = observations_in(tracks, frame)
        candidate = found or _detect_again(tracker, tracks[n], picture, frame, others)
        if candidate is None:
            track = replace(tracks[n], following=False)
        else:
            track = with_candidate(tracks[n], candidate, frame, others, tracker.keep_mask)
        tracks = _replaced(tracks, n, track)
    return tracks


def _replaced(tracks: Tracks, number: int, track: Track) -> Tracks:
    return (*tracks[:number], track, *tracks[number + 1 :])


def _look(tracker: Tracker, tracks: Sequence[Track], picture: Picture, frame: int) -> list[Candidate | None]:
    """The person of each track where they are expected in a frame, if it is them."""
    config = tracker.config
    expected = [predict(track, frame) for track in tracks]
    candidates = candidates_in_crops(tracker.finder, picture, expected, config.presence)
    return [
        candidate if candidate is not None and is_them(track, candidate, crop, config.match) else None
        for track, candidate, crop in zip(tracks, candidates, expected, strict=True)
    ]


def _detect_again(
    tracker: Tracker, track: Track, picture: Picture, frame: int, others: Sequence[Observation]
) -> Candidate | None:
    """The track's person by detection near where they were, but nobody whom another track has found."""
    config = tracker.config
    expected = predict(track, frame)
    window = Crop(expected.centre_px, REDETECTION_REACH * expected.size_px, 0.0)
    candidates = [
        candidate
        for candidate in candidates_by_detection(tracker.finder, picture, window, config.presence)
        if not any(is_same(candidate.estimate, other, config.match) for other in others)
        and is_them(track, candidate, expected, config.match)
    ]
    return min(candidates, key=lambda candidate: colour_distance(track.colours, candidate.colours), default=None)


def _search(tracker: Tracker, tracks: Tracks, window: Window, frame: int, fine: bool) -> Tracks:
    """Search one whole frame of a window for people who are not followed, and trace them back through it."""
    config = tracker.config
    picture = window.pictures[frame - window.first_frame]
    tiles = search_tiles(picture.shape[1], picture.shape[0], fine)
    known = [track.last_estimate for track in tracks if track.last_frame == frame and track.last_estimate]
    born: list[int] = []
    size_px = _min_size_px(tracks, config)
    for candidate in new_people(tracker.finder, picture, tiles, known, size_px, config.presence, config.match):
        with_room = _with_room(tracks, candidate, config.max_people)
        if with_room is None:
            continue
        number, tracks = _lost_or_new(with_room, candidate, frame, config.match)
        others = observations_in(tracks, frame)
        track = with_candidate(tracks[number], candidate, frame, others, tracker.keep_mask)
        tracks = _replaced(tracks, number, replace(track, following=True))
        born.append(number)
    return _traced_back(tracker, tracks, born, window, frame)


def _min_size_px(tracks: Tracks, config: TrackerConfig) -> float:
    """The side of a detector's crop below which nobody new would be followed: it may be `LARGER` times too small."""
    sizes = [track.last.next_crop.size_px for track in tracks if track.following]
    full = len(sizes) >= config.max_people
    return max(config.presence.min_crop_px / LARGER, min(sizes) if full else 0.0)


def _with_room(tracks: Tracks, candidate: Candidate, max_people: int) -> Tracks | None:
    """The tracks when somebody new comes in; when too many are followed, without a much smaller one; None if all of
    those are too large to give way."""
    followed = [n for n, track in enumerate(tracks) if track.following]
    if len(followed) < max_people:
        return tracks
    smallest = min(followed, key=lambda n: tracks[n].last.next_crop.size_px)
    if candidate.estimate.next_crop.size_px < LARGER * tracks[smallest].last.next_crop.size_px:
        return None
    return _replaced(tracks, smallest, replace(tracks[smallest], following=False))


def _lost_or_new(tracks: Tracks, candidate: Candidate, frame: int, config: MatchConfig) -> tuple[int, Tracks]:
    """The number of the track of somebody who came into sight, a lost person's or a new one; and all the tracks."""
    lost = [n for n, track in enumerate(tracks) if not track.following and may_return(track, candidate, frame, config)]
    if not lost:
        return len(tracks), (*tracks, Track(candidate.colours))
    return min(lost, key=lambda n: colour_distance(tracks[n].colours, candidate.colours)), tracks


def _traced_back(tracker: Tracker, tracks: Tracks, numbers: Sequence[int], window: Window, frame: int) -> Tracks:
    """Follow newly found people back in time from a frame of a window, until they are lost or were known before."""
    pictures, first = window.pictures, window.first_frame
    for earlier in range(frame - 1, -1, -1):
        numbers = [n for n in numbers if earlier not in tracks[n].observations]
        if not numbers:
            break
        if earlier < first:
            start = max(first - tracker.config.window_frames, 0)
            pictures, first = tracker.read_again(start, first), start
        followed = [tracks[n] for n in numbers]
        candidates = _look(tracker, followed, pictures[earlier - first], earlier)
        left = []
        for n, candidate in zip(numbers, candidates, strict=True):
            others = observations_in(tracks, earlier)
            if candidate is None or any(is_same(candidate.estimate, other, tracker.config.match) for other in others):
                continue
            track = with_candidate(tracks[n], candidate, earlier, others, tracker.keep_mask)
            tracks = _replaced(tracks, n, track)
            left.append(n)
        numbers = left
    return tracks
