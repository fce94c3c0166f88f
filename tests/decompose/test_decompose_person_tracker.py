"""Following people, on people of whom the truth is known: the landmark network is replaced by a perfect eye that, like
the real one, sees whoever is nearest to where it looks."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from understudy.core.footage import LANDMARKS
from understudy.decompose.people.candidates import PresenceConfig
from understudy.decompose.people.clothes import clothes_colours, clothes_odds, colour_distance
from understudy.decompose.people.landmarks import Crop, Detection, PoseEstimate
from understudy.decompose.people.person_tracks import Track
from understudy.decompose.people.tracker import Tracker, TrackerConfig, Window
from understudy.decompose.people.tracker import follow as follow_window

WIDTH, HEIGHT = 1280, 720
COLOURS = {"red": (190, 40, 40), "blue": (40, 60, 190), "green": (50, 160, 60)}
ALL_SHARED = PresenceConfig(max_shared=1.0)
"""The eye's masks are full."""
Path = Callable[[int], tuple[float, float] | None]


def body(centre: tuple[float, float], size_px: float) -> np.ndarray:
    """Landmarks of an upright figure with the hips at a point."""
    points = np.zeros((33, 2))
    places = {"shoulder": (0.08, -0.2), "hip": (0.05, 0.0), "knee": (0.05, 0.18), "ankle": (0.05, 0.36)}
    for name, (x, y) in places.items():
        for side, sign in (("left", 1), ("right", -1)):
            points[LANDMARKS.index(f"{side}_{name}")] = sign * x, y
    points[LANDMARKS.index("nose")] = 0, -0.3
    return np.asarray(centre) + size_px * points


class Eye:
    """Knows where everybody is; a frame's number is written into its first pixel."""

    def __init__(self, people: dict[str, Path], size_px: float = 300.0, detects: bool = True) -> None:
        self.people, self.size_px, self.detects = people, size_px, detects
        self.looks = self.windows = 0
        """How often the landmark network and the detector were run."""

    def there(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        frame = int(picture[0, 0, 0])
        return {name: np.array(path(frame)) for name, path in self.people.items() if path(frame) is not None}

    def detect(self, picture: np.ndarray, windows: Sequence[Crop]) -> list[list[Detection]]:
        self.windows += len(windows)
        places = self.there(picture).values() if self.detects else ()
        return [
            [
                Detection(Crop(place + 5.0, 0.95 * self.size_px, 0.0), np.zeros(4), 0.9)
                for place in places
                if np.abs(place - window.centre_px).max() < window.size_px / 2
            ]
            for window in windows
        ]

    def estimate(self, picture: np.ndarray, crops: Sequence[Crop]) -> list[PoseEstimate]:
        return [self.look(picture, crop) for crop in crops]

    def look(self, picture: np.ndarray, crop: Crop) -> PoseEstimate:
        self.looks += 1
        people = self.there(picture)
        nearest = min(people, key=lambda name: np.hypot(*(people[name] - crop.centre_px)), default=None)
        seen = nearest is not None and np.hypot(*(people[nearest] - crop.centre_px)) < 0.5 * crop.size_px
        place = people[nearest] if seen else crop.centre_px
        colour = COLOURS[nearest] if seen else (0, 0, 0)
        return PoseEstimate(
            landmarks_px=body(tuple(place), self.size_px),
            visibility=np.ones(33),
            landmarks_m=np.zeros((33, 3)),
            presence=0.99 if seen else 0.01,
            crop=crop,
            next_crop=Crop(place.astype(float), self.size_px, 0.0),
            patch=np.full((256, 256, 3), colour, np.uint8),
            mask=np.full((256, 256), 255, np.uint8),
        )


def follow(eye: Eye, length: int, config: TrackerConfig | None = None, read: list[range] | None = None) -> list[Track]:
    """Everybody's tracks through a shot; the frames that were read again are noted in `read`."""
    pictures = []
    for frame in range(length):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        picture[0, 0, 0] = frame
        pictures.append(picture)
    keys = iter(range(10**6))
    config = config or TrackerConfig(presence=ALL_SHARED)

    def read_again(start: int, stop: int) -> list[np.ndarray]:
        if read is not None:
            read.append(range(start, stop))
        return pictures[start:stop]

    tracker = Tracker(eye, lambda estimate: next(keys), read_again, config)
    tracks: tuple[Track, ...] = ()
    size = config.window_frames
    for number, start in enumerate(range(0, length, size)):
        tracks = follow_window(tracker, tracks, Window(pictures[start : start + size], start, number))
    return list(tracks)


def path_error(track: Track, path: Path) -> float:
    """The largest distance of a track's hips from a path, in pixels; inf where it sees somebody who is not there."""
    hips = [LANDMARKS.index("left_hip"), LANDMARKS.index("right_hip")]
    worst = 0.0
    for frame, observation in track.observations.items():
        truth = path(frame)
        if truth is None:
            return np.inf
        worst = max(worst, float(np.hypot(*(observation.landmarks_px[hips].mean(0) - truth))))
    return worst


def test_two_people_who_cross_keep_their_tracks():
    people = {"red": lambda t: (300 + 8.0 * t, 400.0), "blue": lambda t: (960 - 8.0 * t, 405.0)}
    tracks = follow(Eye(people), 80)
    assert len(tracks) == 2
    for path in people.values():
        errors = [path_error(track, path) for track in tracks]
        assert min(errors) < 1.0
        own = tracks[int(np.argmin(errors))]
        assert len(own.observations) > 70


def test_a_track_whose_person_leaves_does_not_slide_onto_somebody_else():
    people = {"red": lambda t: (500.0, 400.0) if t < 30 else None, "blue": lambda t: (580.0, 400.0)}
    tracks = follow(Eye(people), 60)
    for track in tracks:
        assert min(path_error(track, path) for path in people.values()) < 1.0
    red = min(tracks, key=lambda track: path_error(track, people["red"]))
    assert red.last_frame == 29
    assert not red.following


def test_somebody_who_is_hidden_for_a_while_is_the_same_person_again():
    hidden = range(20, 40)
    people = {"red": lambda t: None if t in hidden else (300 + 4.0 * t, 400.0), "blue": lambda t: (1000.0, 400.0)}
    tracks = follow(Eye(people), 80)
    assert len(tracks) == 2
    red = min(tracks, key=lambda track: path_error(track, people["red"]))
    assert sorted(red.observations) == [t for t in range(80) if t not in hidden]


def test_a_stranger_in_the_same_place_is_somebody_else():
    people = {
        "red": lambda t: (500.0, 400.0) if t < 20 else None,
        "green": lambda t: (500.0, 400.0) if t > 24 else None,
    }
    tracks = follow(Eye(people), 50)
    assert len(tracks) == 2
    assert {len(track.observations) for track in tracks} == {20, 25}


def test_a_late_find_is_traced_back_to_where_the_person_came_in():
    class LateEye(Eye):
        def detect(self, picture, windows):
            return super().detect(picture, windows) if picture[0, 0, 0] >= 45 else [[] for _ in windows]

    people = {"red": lambda t: (100 + 10.0 * t, 350.0) if t >= 5 else None}
    (track,) = follow(LateEye(people), 60)
    assert sorted(track.observations) == list(range(5, 60))
    assert path_error(track, people["red"]) < 1.0


def test_people_found_late_are_traced_back_together():
    class LateEye(Eye):
        def detect(self, picture, windows):
            return super().detect(picture, windows) if picture[0, 0, 0] >= 45 else [[] for _ in windows]

    people = {"red": lambda t: (100 + 10.0 * t, 350.0), "blue": lambda t: (1000.0, 400.0) if t >= 5 else None}
    read: list[range] = []
    tracks = follow(LateEye(people), 60, read=read)
    assert sorted(len(track.observations) for track in tracks) == [55, 60]
    assert read == [range(24, 36), range(12, 24), range(12)]


def test_a_jump_is_not_believed():
    people = {"red": lambda t: (300.0, 400.0) if t < 20 else (900.0, 400.0)}
    tracks = follow(Eye(people, detects=True), 26, TrackerConfig(window_frames=100))
    assert max(tracks[0].observations) == 19


def test_too_many_people_give_way_to_larger_ones():
    class Crowd(Eye):
        def look(self, picture, crop):
            pose = super().look(picture, crop)
            near = pose.next_crop.centre_px[0] > 900
            size = 600.0 if near else 200.0
            place = pose.next_crop.centre_px
            return PoseEstimate(
                **{**vars(pose), "landmarks_px": body(tuple(place), size), "next_crop": Crop(place, size, 0.0)}
            )

    people = {
        "red": lambda t: (200.0, 400.0),
        "blue": lambda t: (600.0, 400.0),
        "green": lambda t: (1000.0, 400.0) if t > 5 else None,
    }
    tracks = follow(Crowd(people), 60, TrackerConfig(max_people=2, presence=ALL_SHARED))
    green = min(tracks, key=lambda track: path_error(track, people["green"]))
    assert green.following
    assert len(green.observations) == 54
    assert sum(track.following for track in tracks) == 2


def test_the_cost_is_one_look_per_person_and_frame():
    eye = Eye({"red": lambda t: (300 + 2.0 * t, 400.0)})
    follow(eye, 60)
    assert eye.looks < 60 + 40
    # Small tiles at the first frame and after four windows, large ones after every window.
    assert eye.windows == 2 * 22 + 4 * 4


def test_detections_too_small_to_be_followed_cost_no_look():
    people = {"red": lambda t: (300.0, 400.0), "blue": lambda t: (900.0, 400.0) if t == 11 else None}

    class Far(Eye):
        def detect(self, picture, windows):
            found = super().detect(picture, windows)
            return [
                [Detection(Crop(d.crop.centre_px, self.size_of(d), 0.0), d.box_px, d.score) for d in w] for w in found
            ]

        def size_of(self, detection):
            return 250.0 if detection.crop.centre_px[0] > 600 else 285.0

    looks = []
    for max_people in (1, 2):
        eye = Far(people)
        assert len(follow(eye, 12, TrackerConfig(max_people=max_people, presence=ALL_SHARED))) == max_people
        looks.append(eye.looks)
    assert looks[0] == 3 + 11
    assert looks[1] > looks[0]


def test_clothes_tell_people_apart_in_other_light():
    rng = np.random.default_rng(0)

    def wear(shirt: tuple[int, int, int], trousers: tuple[int, int, int], light: float) -> np.ndarray:
        patch = np.zeros((256, 256, 3))
        patch[:128], patch[128:] = shirt, trousers
        patch = np.clip(light * patch + rng.normal(0, 6, patch.shape), 0, 255).astype(np.uint8)
        return clothes_colours(patch, np.full((256, 256), 255, np.uint8), body((128.0, 128.0), 300.0))

    first, darker = wear((180, 60, 50), (40, 40, 60), 1.0), wear((180, 60, 50), (40, 40, 60), 0.8)
    other = wear((60, 90, 170), (40, 40, 60), 1.0)
    np.testing.assert_allclose(first.sum(1), 1.0)
    assert colour_distance(first, first) == pytest.approx(0.0, abs=1e-4)
    assert colour_distance(first, darker) < 0.4 < colour_distance(first, other)
    assert colour_distance(first, np.zeros_like(first)) == 0.5
    picture = np.array([[(180, 60, 50), (60, 90, 170), (0, 255, 0)]], np.uint8)
    odds = clothes_odds(picture, first, other)[0]
    assert odds[0] > 2 > -2 > odds[1]
    assert abs(odds[2]) < 0.5
