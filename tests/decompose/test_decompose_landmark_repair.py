"""Repairing tracks: on motions of which the truth is known."""

import numpy as np
import pytest

from understudy.core.footage import LANDMARKS
from understudy.decompose.people.landmark_repair import find_spikes, repair_track
from understudy.decompose.people.landmarks import Crop
from understudy.decompose.people.person_tracks import Observation

RATE = 30.0
LEG_NAMES = ("hip", "knee", "ankle", "heel", "foot_index")
LEFT_LEG = [LANDMARKS.index(f"left_{name}") for name in LEG_NAMES]
RIGHT_LEG = [LANDMARKS.index(f"right_{name}") for name in LEG_NAMES]
LEFT = [index for index, name in enumerate(LANDMARKS) if "left" in name]
RIGHT = [LANDMARKS.index(LANDMARKS[index].replace("left", "right")) for index in LEFT]
WRIST = LANDMARKS.index("right_wrist")


def walk(length: int, size_px: float = 400.0, yaw: float = 0.0, noise_px: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A figure that swings arms and legs at 1 Hz, turned by `yaw` from facing the camera; in pixels and in metres."""
    rng = np.random.default_rng(0)
    body = np.zeros((length, 33, 3))
    swing = np.sin(2 * np.pi * np.arange(length) / RATE)
    for index, name in enumerate(LANDMARKS):
        side = 1.0 if "left" in name else -1.0 if "right" in name else 0.0
        part = name.split("_", 1)[-1] if side else name
        y = {"hip": 0.0, "knee": 0.45, "ankle": 0.85, "heel": 0.9, "foot_index": 0.9, "shoulder": -0.5}.get(part, -0.1)
        y = {"elbow": -0.2, "nose": -0.7}.get(part, -0.7 if part.startswith(("eye", "ear", "mouth")) else y)
        amplitude = {"knee": 0.15, "ankle": 0.3, "heel": 0.3, "foot_index": 0.3, "elbow": -0.1}.get(part, 0.0)
        amplitude = -0.25 if part in ("wrist", "pinky", "index", "thumb") else amplitude
        body[:, index] = np.column_stack([np.full(length, 0.15 * side), np.full(length, y), -side * amplitude * swing])
    c, s = np.cos(yaw), np.sin(yaw)
    body = body @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T
    points = np.array([640.0, 360.0]) + size_px / 2.2 * body[..., :2] + rng.normal(0, noise_px, (length, 33, 2))
    return points, body + rng.normal(0, 0.02, body.shape)


def observations(points: np.ndarray, points_m: np.ndarray, frames: list[int] | None = None) -> dict[int, Observation]:
    crop = Crop(np.array([640.0, 360.0]), 400.0, 0.0)
    return {
        frame: Observation(points[frame].copy(), np.ones(33), points_m[frame].copy(), crop, crop, 1.0, 0)
        for frame in (frames if frames is not None else range(len(points)))
    }


@pytest.mark.parametrize("yaw", [0.0, 0.6, np.pi / 2, np.pi])
def test_a_clean_walk_is_left_alone(yaw):
    points, points_m = walk(90, yaw=yaw)
    track, report = repair_track(observations(points, points_m), 90, RATE)
    assert (report.swapped_legs, report.swapped_arms, report.spikes) == (0, 0, 0)
    np.testing.assert_array_equal(track.landmarks_px, points)
    assert track.seen.all()


@pytest.mark.parametrize(("first", "last"), [(20, 21), (30, 38), (0, 4), (85, 90)])
def test_legs_that_the_network_confused_are_put_right(first, last):
    points, points_m = walk(90, yaw=0.3)
    wrong, wrong_m = points.copy(), points_m.copy()
    for values in (wrong, wrong_m):
        values[first:last, LEFT_LEG + RIGHT_LEG] = values[first:last, RIGHT_LEG + LEFT_LEG]
    track, report = repair_track(observations(wrong, wrong_m), 90, RATE)
    assert report.swapped_legs == last - first
    assert report.swapped_arms == 0
    np.testing.assert_array_equal(track.landmarks_px, points)
    np.testing.assert_array_equal(track.landmarks_m, points_m)


def test_knees_and_feet_alone_are_put_right():
    points, points_m = walk(90, yaw=0.3)
    wrong, wrong_m = points.copy(), points_m.copy()
    for values in (wrong, wrong_m):
        values[30:36, LEFT_LEG[1:] + RIGHT_LEG[1:]] = values[30:36, RIGHT_LEG[1:] + LEFT_LEG[1:]]
    track, report = repair_track(observations(wrong, wrong_m), 90, RATE)
    assert report.swapped_legs == 6
    np.testing.assert_array_equal(track.landmarks_px, points)
    np.testing.assert_array_equal(track.landmarks_m, points_m)


def test_somebody_who_leaps_round_while_entering_the_picture_is_turned_back():
    # Widths (right to left) and headings as the landmark model gave them for a woman who walks in from the left, seen
    # from behind: at first, half outside, as if from the front. The widths alone show no leap.
    half_width_px = np.array([4.0, 15.0, 26.0, 34.0, -7.0, -46.0, -48.0, -46.0] + [-46.0] * 22)
    heading = np.radians([-85.0, -85.0, -74.0, -67.0, 153.0, 117.0, 119.0, 125.0] + [125.0] * 22)
    side = np.array([1.0 if "left" in name else -1.0 if "right" in name else 0.0 for name in LANDMARKS])
    points, points_m = np.full((30, 33, 2), 300.0), np.zeros((30, 33, 3))
    points[..., 0] += half_width_px[:, None] * side
    points_m[..., 0] = 0.15 * np.cos(heading)[:, None] * side
    points_m[..., 2] = 0.15 * np.sin(heading)[:, None] * side
    track, report = repair_track(observations(points, points_m), 30, RATE)
    assert report.swapped_legs == report.swapped_arms == 4
    np.testing.assert_array_equal(track.landmarks_m[:4, LEFT], points_m[:4, RIGHT])


def test_a_dancer_who_really_turns_is_not_unturned():
    length = 60
    spins = np.linspace(0, 4 * 2 * np.pi, length)
    points, points_m = np.zeros((length, 33, 2)), np.zeros((length, 33, 3))
    for frame, yaw in enumerate(spins):
        all_px, all_m = walk(length, yaw=float(yaw))
        points[frame], points_m[frame] = all_px[frame], all_m[frame]
    _, report = repair_track(observations(points, points_m), length, RATE)
    assert report.swapped_legs == report.swapped_arms == 0


def test_a_spike_is_replaced_and_called_invisible():
    points, points_m = walk(60)
    wrong = points.copy()
    wrong[25, WRIST] += [150.0, -80.0]
    track, report = repair_track(observations(wrong, points_m), 60, RATE)
    assert report.spikes == 1
    assert np.linalg.norm(track.landmarks_px[25, WRIST] - points[25, WRIST]) < 8
    assert track.visibility[25, WRIST] == 0
    assert track.visibility[24, WRIST] == 1


def test_a_fast_swing_keeps_its_amplitude():
    points, points_m = walk(60)
    t = np.arange(60)
    points[:, WRIST, 0] += 110 * np.sin(2 * np.pi * t / 7)  # 4 Hz, over half the body's height from end to end
    track, report = repair_track(observations(points, points_m), 60, RATE)
    assert report.spikes == 0
    np.testing.assert_array_equal(track.landmarks_px[:, WRIST], points[:, WRIST])


def test_a_jump_that_stays_is_no_spike():
    points = np.zeros((20, 33, 2))
    points[10:, WRIST] = 300.0
    assert not find_spikes(np.arange(20), points, np.full(20, 400.0), 0.2).any()


def test_gaps_are_filled_in_between_and_held_at_the_ends():
    points, points_m = walk(60, noise_px=0.0)
    ramp = np.linspace(0, 300, 60)
    points[..., 0] += ramp[:, None]
    known = [frame for frame in range(5, 50) if not 20 <= frame < 26]
    track, _ = repair_track(observations(points, points_m, known), 60, RATE)
    assert np.flatnonzero(track.seen).tolist() == known
    nose = LANDMARKS.index("nose")
    np.testing.assert_allclose(track.landmarks_px[20:26, nose], points[20:26, nose], atol=0.01)
    np.testing.assert_array_equal(track.landmarks_px[:5], np.repeat(points[5:6], 5, axis=0))
    np.testing.assert_array_equal(track.landmarks_px[50:], np.repeat(points[49:50], 10, axis=0))
    assert track.visibility[~track.seen].max() == 0


def test_one_observation_is_enough_and_none_is_refused():
    points, points_m = walk(10)
    track, _ = repair_track(observations(points, points_m, [4]), 10, RATE)
    np.testing.assert_array_equal(track.landmarks_px[9], points[4])
    with pytest.raises(ValueError, match="at least one"):
        repair_track({}, 10, RATE)
