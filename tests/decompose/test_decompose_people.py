"""Finding people, on real shots; and the rough masks, on people of whom the truth is known."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from understudy.core.footage import LANDMARKS
from understudy.decompose.people.find import PeopleConfig, find_people
from understudy.decompose.people.landmarks import Crop, PoseEstimate
from understudy.decompose.people.person_tracks import Observation, Track
from understudy.decompose.people.refinement import refine_track
from understudy.decompose.people.rough_masks import MaskStore, own_mask, write_rough_masks
from understudy.decompose.people.tracker import TrackerConfig
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import open_shot, read_frames, read_video
from understudy.io.weights import ensure_weights
from understudy.runtime.errors import BackendUnavailable, FootageError
from understudy.runtime.parallel import limit_workers


@pytest.fixture(scope="module", autouse=True)
def weights():
    try:
        ensure_weights("blazepose")
        ensure_weights("blazepose_heavy")
    except BackendUnavailable as error:
        pytest.skip(str(error))


def test_two_people_of_a_real_shot_are_told_apart(shared_data, tmp_path):
    shot = open_shot(shared_data / "shots" / "static_two_people_mall_render.mp4", 0.0, 2.0)
    people = find_people(shot, tmp_path, PeopleConfig(network="full"))
    assert len(people.tracks) == len(people.masks) == 2
    assert people.others is None
    man, woman = people.tracks
    assert man.seen.all()
    assert woman.seen.all()
    # He walks away on the left, she comes towards the camera on the right; he is the larger one.
    hips = [LANDMARKS.index("left_hip"), LANDMARKS.index("right_hip")]
    assert man.landmarks_px[:, hips, 0].max() < 360 < woman.landmarks_px[:, hips, 0].min()
    first = next(read_frames(shot)).astype(float)
    his, hers = (next(read_video(mask)) for mask in people.masks)
    assert first[his > 200].mean(0).max() < 110  # dark leather, dark trousers
    red, green, blue = first[hers > 200].mean(0)
    assert red > 1.3 * max(green, blue)  # a red dress
    assert np.minimum(his, hers).max() == 0


def test_a_person_put_into_an_empty_shot_is_followed(shared_data, tmp_path):
    """A real person slides through a still: the track must slide with them, exactly."""
    still = next(read_frames(open_shot(shared_data / "shots" / "pullout_boy_path.mp4"), [30]))
    length, step = 16, 9
    with VideoWriter(tmp_path / "slide.mkv", 960, 720, Fraction(24), "lossless") as writer:
        for frame in range(length):
            writer.write(np.ascontiguousarray(still[:, 40 + step * frame : 1000 + step * frame]))
    people = find_people(open_shot(tmp_path / "slide.mkv"), tmp_path)
    track = people.tracks[0]
    assert track.seen.all()
    sure = track.visibility.min(0) > 0.8
    assert sure.sum() > 20
    moved = track.landmarks_px[:, sure] - track.landmarks_px[:1, sure]
    expected = np.stack([-step * np.arange(length), np.zeros(length)], axis=1)
    assert np.median(np.linalg.norm(moved - expected[:, None], axis=-1)) < 2.5
    masks = [mask > 127 for mask in read_video(people.masks[0])]
    back = np.roll(masks[10], 10 * step, axis=1)
    assert (back & masks[0]).sum() / (back | masks[0]).sum() > 0.95


def test_a_shot_with_nobody_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(60, 190, (9, 16, 3), dtype=np.uint8), (320, 180), interpolation=cv2.INTER_CUBIC)
    with VideoWriter(tmp_path / "wall.mkv", 320, 180, Fraction(24), "lossless") as writer:
        for _ in range(6):
            writer.write(wall)
    with pytest.raises(FootageError, match="nobody was found"):
        find_people(open_shot(tmp_path / "wall.mkv"), tmp_path / "masks")
    assert list((tmp_path / "masks").glob("*.mkv")) == []


def stick_person(x: float) -> np.ndarray:
    points = np.zeros((33, 2)) + [x, 60.0]
    rows = {"shoulder": 80.0, "elbow": 100.0, "wrist": 115.0, "hip": 120.0, "knee": 145.0, "ankle": 168.0}
    for name, y in rows.items():
        for side, offset in (("left", 8.0), ("right", -8.0)):
            points[LANDMARKS.index(f"{side}_{name}")] = x + offset, y
    for index, name in enumerate(LANDMARKS):
        if name.split("_")[-1] in ("pinky", "index", "thumb", "heel") or "foot" in name:
            points[index] = points[LANDMARKS.index(("left" if "left" in name else "right") + "_ankle")]
    return points


def track_of(x: float, frames: list[int], key: int, colours: np.ndarray) -> Track:
    crop = Crop(np.array([x, 100.0]), 160.0, 0.0)
    observation = Observation(stick_person(x), np.ones(33), np.zeros((33, 3)), crop, crop, 1.0, key)
    return Track(colours, {frame: observation for frame in frames}, last_frame=frames[-1])


def test_contested_pixels_go_to_the_nearer_body_and_short_gaps_are_painted(tmp_path):
    with VideoWriter(tmp_path / "shot.mkv", 320, 180, Fraction(24), "lossless") as writer:
        for _ in range(40):
            writer.write(np.full((180, 320, 3), 128, np.uint8))
    shot = open_shot(tmp_path / "shot.mkv")
    everything = np.full((256, 256), 255, np.uint8)
    colours = np.zeros((2, 272))
    with MaskStore(tmp_path) as store:
        key = store.put(everything)
        left = track_of(120.0, [0, 1, 2, 6, 7], key, colours)
        right = track_of(180.0, [0, 30], key, colours)
        paths = write_rough_masks(shot, [left, right], [], store, tmp_path)
    his, hers = (list(read_video(path)) for path in paths)
    assert [path.name for path in paths] == ["person_1.mkv", "person_2.mkv"]
    assert his[0][60:170, 118:122].min() == 255
    assert hers[0][60:170, 118:122].max() == 0
    assert hers[0][60:170, 178:182].min() == 255
    assert his[0][60:170, 178:182].max() == 0
    assert his[4].max() == 255  # a gap of three frames
    assert hers[15].max() == 0  # a gap of a second: nobody knows
    assert his[20].max() == 0


def test_masks_are_the_same_bytes_for_any_number_of_workers(tmp_path):
    with VideoWriter(tmp_path / "shot.mkv", 320, 180, Fraction(24), "lossless") as writer:
        for value in range(30):
            writer.write(np.full((180, 320, 3), 5 * value, np.uint8))
    shot = open_shot(tmp_path / "shot.mkv")
    written = []
    for workers in (1, 2, 5):
        folder = tmp_path / str(workers)
        folder.mkdir()
        with limit_workers(workers), MaskStore(folder) as store:
            key = store.put(np.full((256, 256), 255, np.uint8))
            tracks = [track_of(100.0 + 40 * n, [0, 1, 9, 20 + n], key, np.zeros((2, 272))) for n in range(3)]
            paths = write_rough_masks(shot, tracks[:2], tracks[2:], store, folder)
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1] == written[2]


def test_the_larger_network_is_believed_only_where_it_sees_the_same_person(tmp_path):
    with VideoWriter(tmp_path / "shot.mkv", 320, 180, Fraction(24), "lossless") as writer:
        for value in range(8):
            writer.write(np.full((180, 320, 3), 20 * value, np.uint8))
    track = track_of(100.0, [1, 2, 4, 6], 7, np.zeros((2, 272)))
    looks = {1: (101.0, 0.9), 2: (150.0, 0.9), 4: (101.0, 0.4), 6: (99.0, 0.9)}
    """Of each frame: where the larger network sees a person, and how surely."""

    def estimate(picture, crops):
        (crop,) = crops
        x, presence = looks[round(float(picture.mean()) / 20)]
        patch, mask = np.zeros((256, 256, 3), np.uint8), np.zeros((256, 256), np.uint8)
        return [PoseEstimate(stick_person(x), np.ones(33), np.zeros((33, 3)), presence, crop, crop, patch, mask)]

    refined = refine_track(open_shot(tmp_path / "shot.mkv"), track, estimate, TrackerConfig())
    for frame, x in {1: 101.0, 2: 100.0, 4: 100.0, 6: 99.0}.items():
        np.testing.assert_array_equal(refined.observations[frame].landmarks_px, stick_person(x))
        assert refined.observations[frame].mask_key == 7


def test_islands_that_no_bone_touches_are_not_the_persons():
    crop = Crop(np.array([128.0, 128.0]), 256.0, 0.0)
    mask = np.zeros((256, 256), np.uint8)
    mask[50:180, 110:150] = 255
    mask[10:40, 200:240] = 255
    pose = PoseEstimate(
        stick_person(128.0), np.ones(33), np.zeros((33, 3)), 1.0, crop, crop, np.zeros((256, 256, 3), np.uint8), mask
    )
    own = own_mask(pose)
    assert own[10:40, 200:240].max() == 0
    np.testing.assert_array_equal(own[50:180, 110:150], 255)
