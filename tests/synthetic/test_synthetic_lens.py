"""Shutter, lens and compression against what they must leave alone."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from understudy.core.motion import Motion
from understudy.geometry.rotations import quaternion_from_vector, rotation_angle, slerp
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import read_video
from understudy.metrics.image import psnr_db
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.lens import (
    camera_at,
    circle_of_confusion,
    defocused,
    exposure_instants,
    motion_at,
    out_of_focus,
)
from understudy.synthetic.films.shots import SyntheticShotConfig, expose, set_up
from understudy.synthetic.people.motions import Action

WALK = SyntheticShotConfig(
    width=129, height=73, frames=2, frame_rate=Fraction(12), camera=CameraMove("truck", amount=0.3),
    action=Action("walk", (-0.2, 0.0), 1.0), actor="woman", grain=0.0, seed=3, shadow_map_px=512,
)  # fmt: skip


@pytest.fixture(scope="module")
def scene():
    return set_up(WALK)


@pytest.fixture(scope="module")
def sharp(scene):
    return list(expose(scene, WALK))


@pytest.fixture(scope="module")
def smeared(scene):
    return list(expose(scene, replace(WALK, shutter=0.5)))


def gradient(picture):
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(float)
    return np.hypot(*np.gradient(grey))


def frozen(scene):
    """Everybody and everything as in frame 0."""
    first = np.zeros(len(scene.camera))
    person = replace(scene.person, motion=motion_at(scene.person.motion, first))
    return replace(scene, person=person, camera=camera_at(scene.camera, first))


def test_an_exposure_is_centred_on_its_frame(scene):
    motion, camera = scene.person.motion, scene.camera
    instants = exposure_instants(motion, camera, 1, 0.5)
    assert len(instants) % 2 == 1 and len(instants) >= 3
    assert instants.mean() == pytest.approx(1, abs=1e-12) and instants[len(instants) // 2] == pytest.approx(1)
    assert (np.diff(instants) > 0).all() and np.ptp(instants) < 0.5
    middle = motion_at(motion, instants[len(instants) // 2 :][:1])
    assert middle.q_parent_joint[0] == pytest.approx(motion.q_parent_joint[1], abs=1e-9)
    assert middle.root_position_m[0] == pytest.approx(motion.root_position_m[1], abs=1e-9)
    seen_by = camera_at(camera, instants[len(instants) // 2 :][:1])
    assert seen_by.T_world_camera[0] == pytest.approx(camera.T_world_camera[1], abs=1e-9)


def test_what_moves_faster_gets_more_instants(scene):
    motion, camera = scene.person.motion, scene.camera
    counts = [len(exposure_instants(motion, camera, 1, shutter)) for shutter in (0.0, 0.1, 0.5, 1.0)]
    assert counts[0] == 1 and counts == sorted(counts) and counts[-1] > counts[1]


def test_between_frames_joints_turn_evenly_and_beyond_them_go_on(scene):
    skeleton = scene.person.motion.skeleton
    q = np.tile([1.0, 0.0, 0.0, 0.0], (2, len(skeleton), 1))
    q[1, 3] = quaternion_from_vector(np.array([0.0, 0.0, 0.8]))
    motion = Motion(skeleton, q, np.array([[0.0, 1.0, 0.0], [0.4, 1.0, 0.0]]), Fraction(24))
    found = motion_at(motion, np.array([-0.25, 0.25, 1.25]))
    for number, share in enumerate((-0.25, 0.25, 1.25)):
        turned = quaternion_from_vector(np.array([0.0, 0.0, 0.8 * share]))
        assert found.q_parent_joint[number, 3] == pytest.approx(turned, abs=1e-12)
        assert found.root_position_m[number, 0] == pytest.approx(0.4 * share)
    assert slerp(q[0], q[1], np.full(len(skeleton), 0.25)) == pytest.approx(found.q_parent_joint[1])
    single = motion_at(motion_at(motion, np.zeros(1)), np.array([0.3]))
    assert single.root_position_m[0] == pytest.approx(motion.root_position_m[0])


def test_a_camera_between_frames_lies_between_them(scene):
    camera = camera_at(scene.camera, np.array([0.5]))
    assert camera.position[0] == pytest.approx(scene.camera.position[:2].mean(0))
    R = scene.camera.T_world_camera[:2, :3, :3]
    halves = [float(rotation_angle((one.T @ camera.T_world_camera[0, :3, :3])[None])[0]) for one in R]
    assert halves[0] == pytest.approx(halves[1], abs=1e-9)


def test_nothing_is_smeared_where_nothing_moves(scene):
    still = frozen(scene)
    a, b = (next(expose(still, replace(WALK, shutter=shutter))) for shutter in (0.0, 1.0))
    for name in ("picture", "clean_plate", "mask", "depth_m"):
        assert np.array_equal(getattr(a, name), getattr(b, name))


def test_motion_blur_softens_what_moves_and_keeps_the_masks_area(sharp, smeared):
    areas = [np.mean([exposed.mask.astype(float).sum() for exposed in shot]) for shot in (sharp, smeared)]
    assert areas[1] == pytest.approx(areas[0], rel=0.01)
    for a, b in zip(sharp, smeared, strict=True):
        soft = [((exposed.mask > 20) & (exposed.mask < 235)).sum() for exposed in (a, b)]
        assert soft[1] > 1.5 * soft[0]
        assert gradient(b.clean_plate).mean() < 0.9 * gradient(a.clean_plate).mean()
        assert abs(a.picture.mean() - b.picture.mean()) < 1
        # The mask stays where it was: truth is the frame's own pose.
        centres = [np.argwhere(exposed.mask > 127).mean(0) for exposed in (a, b)]
        assert np.abs(centres[0] - centres[1]).max() < 0.5


def test_depth_is_that_of_the_frames_own_instant(sharp, smeared):
    for a, b in zip(sharp, smeared, strict=True):
        assert (np.abs(a.depth_m / b.depth_m - 1) < 1e-3).mean() > 0.999


def test_the_circle_of_confusion_is_that_of_a_thin_lens():
    # f = 50 mm on a 36 mm sensor of 1000 px, f/2, focused at 4 m: the textbook's A f |z − s| / (z (s − f)).
    focal_m, opening_m, focus_m, pixels_per_m = 0.05, 0.025, 4.0, 1000 / 0.036
    depth = np.array([[2.0, 4.0, 8.0, np.inf]])
    behind = np.abs(1 - focus_m / depth)
    textbook = opening_m * focal_m * behind / (focus_m - focal_m) * pixels_per_m
    found = circle_of_confusion(depth, focus_m, opening_m, focal_m * pixels_per_m)
    # Ours leaves out that the focal length is short against the distance.
    assert found == pytest.approx(textbook, rel=1.5 * focal_m / focus_m)
    assert found[0, 1] == 0


def test_defocus_spreads_a_point_over_its_circle_and_loses_no_light():
    point = np.zeros((61, 61, 3), np.float32)
    point[30, 30] = 1.0
    for diameter in (3.0, 8.0, 12.0, 24.0):
        spread = defocused(point, np.full((61, 61), diameter))
        assert spread.sum() == pytest.approx(3.0, rel=1e-3)
        rows = np.flatnonzero(spread[..., 0].sum(1) > 1e-6)
        assert abs(np.ptp(rows) + 1 - diameter) <= 2
    flat = np.full((40, 50, 3), 0.3, np.float32)
    varied = np.linspace(0, 20, 50)[None] * np.ones((40, 1))
    assert defocused(flat, varied) == pytest.approx(flat, abs=1e-5)
    assert defocused(point, np.ones((61, 61))) is point


def test_a_sharp_person_hides_a_soft_set():
    rng = np.random.default_rng(0)
    behind = rng.random((60, 80, 3)).astype(np.float32)
    share = np.zeros((60, 80), np.float32)
    share[10:50, 30:50] = 1.0
    share[10:50, 50] = 0.5
    person = rng.random((60, 80, 3)).astype(np.float32)
    whole = share[..., None] * person + (1 - share[..., None]) * behind
    picture, coverage = out_of_focus(whole, behind, share, np.zeros((60, 80)), np.full((60, 80), 9.0))
    assert np.array_equal(coverage, share)
    assert picture[share == 1] == pytest.approx(whole[share == 1], abs=1e-6)
    assert picture[share == 0].std() < 0.4 * whole[share == 0].std()
    # No halo: what shows beside the person is the set, not the person's colour.
    bright = out_of_focus(np.where(share[..., None] > 0, 5 * whole, whole), behind, share, np.zeros((60, 80)),
                          np.full((60, 80), 9.0))[0]  # fmt: skip
    assert bright[share == 0] == pytest.approx(picture[share == 0], abs=1e-6)


def test_an_open_lens_keeps_the_person_and_softens_what_is_far(scene, sharp):
    open_wide = next(expose(scene, replace(WALK, aperture_m=0.2)))
    inside = cv2.erode((sharp[0].mask == 255).astype(np.uint8), np.ones((3, 3))) > 0
    difference = np.abs(open_wide.picture.astype(int) - sharp[0].picture)
    assert difference[inside].max() <= 1
    assert np.array_equal(open_wide.depth_m, sharp[0].depth_m)
    far = (sharp[0].depth_m > 6) & (cv2.dilate(sharp[0].mask, np.ones((9, 9))) == 0)
    assert gradient(open_wide.picture)[far].mean() < 0.75 * gradient(sharp[0].picture)[far].mean()
    assert gradient(open_wide.clean_plate)[far].mean() < 0.75 * gradient(sharp[0].clean_plate)[far].mean()


def test_shutter_and_lens_repeat_by_seed(scene, smeared):
    config = replace(WALK, shutter=0.2, aperture_m=0.2)
    a, b = (next(expose(one, config)) for one in (scene, set_up(WALK)))
    assert np.array_equal(a.picture, b.picture) and np.array_equal(a.mask, b.mask)
    assert not np.array_equal(a.picture, smeared[0].picture)


def test_a_higher_crf_makes_smaller_and_worse_films(sharp, tmp_path):
    sizes, quality = [], []
    for crf in (None, 23, 34, 45):
        path = tmp_path / f"{crf}.mp4"
        with VideoWriter(path, 129, 73, Fraction(12), "film", crf) as film:
            for exposed in sharp:
                film.write(exposed.picture)
        sizes.append(path.stat().st_size)
        frames = [frame[:73, :129] for frame in read_video(path)]
        quality.append(np.mean([psnr_db(frame, e.picture) for frame, e in zip(frames, sharp, strict=True)]))
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < 0.5 * sizes[0]
    assert quality == sorted(quality, reverse=True) and quality[-1] < quality[0] - 5
    with pytest.raises(ValueError, match="crf"):
        VideoWriter(tmp_path / "a.mkv", 16, 16, Fraction(12), "mask", 20)
    with pytest.raises(ValueError, match="crf"):
        VideoWriter(tmp_path / "a.mp4", 16, 16, Fraction(12), "film", 52)


@pytest.mark.parametrize("wrong", [{"shutter": 1.5}, {"shutter": -0.1}, {"aperture_m": -0.01}])
def test_a_camera_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="shutter"):
        SyntheticShotConfig(**wrong)
