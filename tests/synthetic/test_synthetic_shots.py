"""Synthetic shots against their own truth."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.projection import project, unproject
from understudy.geometry.rigid import transform
from understudy.geometry.rotations import rotation_angle
from understudy.io.video.streams import open_shot, read_frames, read_video
from understudy.runtime.errors import BackendUnavailable
from understudy.synthetic import textures
from understudy.synthetic.films.camera_moves import MOVE_RANGES, CameraMove, camera_path
from understudy.synthetic.films.sample import SAMPLE_SHOT, draw_character, film_sample
from understudy.synthetic.films.sets import SETS
from understudy.synthetic.films.shots import SyntheticShotConfig, expose, film_synthetic_shot, set_up
from understudy.synthetic.people.motions import Action

RATE = Fraction(24)
SMALL = SyntheticShotConfig(
    width=161,
    height=91,
    frames=4,
    camera=CameraMove("arc", amount=0.3),
    action=Action("walk", (-0.2, 0.0), 1.0),
    seed=3,
)


@pytest.fixture(scope="module")
def shot(tmp_path_factory):
    return film_synthetic_shot(SMALL, tmp_path_factory.mktemp("shot"))


@pytest.fixture(scope="module")
def exposures(shot):
    return list(expose(shot.scene, SMALL))


def joints_px(scene, frame):
    motion, camera = scene.person.motion, scene.camera
    T = forward_kinematics(
        motion.skeleton.parents, motion.skeleton.T_parent_joint[:, :3, 3], motion.q_parent_joint[frame],
        motion.root_position_m[frame],
    )  # fmt: skip
    seen = transform(camera.T_camera_world[frame], T[:, :3, 3])
    return project(camera.K[frame], seen), seen[:, 2]


def test_all_files_have_all_frames(shot):
    assert len(open_shot(shot.path)) == 4
    for path in (shot.clean_plate, shot.masks, shot.depth):
        frames = list(read_video(path))
        assert len(frames) == 4
        assert frames[0].shape[:2] == (91, 161)


def test_the_mask_covers_the_joints_and_depth_agrees(shot):
    for frame, (mask, depth) in enumerate(zip(read_video(shot.masks), read_video(shot.depth), strict=True)):
        pixels, z = joints_px(shot.scene, frame)
        # Joints of the trunk, the thighs and the shins lie well inside the outline.
        for joint in (0, 1, 2, 3, 4, 14, 15, 18, 19):
            column, row = pixels[joint].astype(int)
            assert mask[row, column] == 255
            # The skin, or an arm that swings past, is nearer than the joint.
            assert -0.02 < z[joint] - depth[row, column] < 0.6


def test_depth_puts_the_floor_on_the_ground_plane(exposures, shot):
    camera = shot.scene.camera
    depth = exposures[2].depth_m
    rows, columns = np.mgrid[80:91:3, 5:156:10]
    free = exposures[2].mask[rows, columns] == 0
    pixels = np.stack([columns[free] + 0.5, rows[free] + 0.5], -1)
    z = depth[rows, columns][free].astype(float)
    world = transform(camera.T_world_camera[2], unproject(camera.K[2], pixels, z))
    assert np.abs(world[:, 1]).max() < 0.01


def test_the_clean_plate_is_the_shot_where_nobody_stands_or_throws_a_shadow(exposures):
    for exposed in exposures:
        difference = np.abs(exposed.picture.astype(int) - exposed.clean_plate).max(-1)
        wide = cv2.dilate(exposed.mask, np.ones((5, 5))) > 0
        assert difference[wide & (exposed.mask == 255)].mean() > 15
        assert (difference[~wide] == 0).mean() > 0.8
        # Where the two differ elsewhere, the shot is darker: the person's shadow.
        shaded = ~wide & (difference > 6)
        assert 20 < shaded.sum() < 0.2 * shaded.size
        assert (exposed.picture.sum(-1, dtype=int) < exposed.clean_plate.sum(-1, dtype=int))[shaded].mean() > 0.95


def test_the_same_seed_films_the_same_shot(exposures):
    again = next(expose(set_up(SMALL), SMALL))
    assert np.array_equal(again.picture, exposures[0].picture)
    assert np.array_equal(again.mask, exposures[0].mask)
    other = next(expose(set_up(replace(SMALL, seed=4)), replace(SMALL, seed=4)))
    assert np.abs(other.picture.astype(int) - exposures[0].picture).mean() > 3


def test_a_given_motion_is_done_as_given_and_filmed_with_its_contacts(shot):
    own = shot.scene.person.motion
    given = replace(own, root_position_m=own.root_position_m + [0.3, 0.0, 0.1])
    scene = set_up(replace(SMALL, motion=given))
    assert scene.person.motion is given and np.array_equal(scene.shape, shot.scene.shape)
    assert np.array_equal(scene.person.character.mesh.vertices, shot.scene.person.character.mesh.vertices)
    assert scene.ground_contact.shape == (4, 2) and scene.ground_contact.any(0).all()
    assert scene.camera.position - shot.scene.camera.position == pytest.approx(
        np.tile([0.3, 0.0, 0.1], (4, 1)), abs=1e-9
    )
    for wrong in ({"frames": 5}, {"frame_rate": Fraction(25)}, {"actor": "child"}):
        with pytest.raises(ValueError, match="the motion"):
            set_up(replace(SMALL, motion=given, **wrong))


def test_pictures_have_detail_to_track(exposures):
    grey = cv2.cvtColor(exposures[0].clean_plate, cv2.COLOR_RGB2GRAY)
    corners = cv2.goodFeaturesToTrack(grey, 400, 0.01, 3)
    assert len(corners) > 150
    assert 60 < grey.mean() < 180


@pytest.mark.parametrize("kind", sorted(SETS))
def test_sets_leave_the_stage_free_and_stand_on_the_ground(kind):
    film_set = SETS[kind](1)
    mesh = film_set.scenery.mesh
    v = mesh.vertices
    assert v[:, 1].min() == 0
    on_stage = (np.abs(v[:, 0]) < 2) & (np.abs(v[:, 2]) < 1.5) & (v[:, 1] > 0.02)
    assert not on_stage.any()
    corners = v[mesh.faces]
    turned = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((turned * mesh.normals[mesh.faces[:, 0]]).sum(1) > -1e-9).mean() > 0.99


def test_noise_repeats_without_a_seam():
    field = textures.noise(np.random.default_rng(0), 64, 96, 4)
    inner = np.abs(np.diff(field, axis=1)).max()
    assert np.abs(field[:, 0] - field[:, -1]).max() <= 1.5 * inner
    assert np.abs(field[0] - field[-1]).max() <= 1.5 * np.abs(np.diff(field, axis=0)).max()


def test_camera_moves_do_what_their_names_say():
    target = np.tile([0.3, 0.9, -0.2], (25, 1))

    def path(name, **options):
        return camera_path(CameraMove(name, **options), target, 320, 180, RATE)

    def turned(camera):
        R = camera.T_world_camera[:, :3, :3]
        return float(rotation_angle((R[0].T @ R[-1])[None])[0])

    still = path("static")
    assert (still.T_world_camera == still.T_world_camera[0]).all()
    pan = path("pan", amount=0.3)
    assert (pan.position == pan.position[0]).all() and turned(pan) == pytest.approx(0.3, rel=0.02)
    truck = path("truck", amount=1.5)
    assert turned(truck) < 1e-9
    assert np.linalg.norm(truck.position[-1] - truck.position[0]) == pytest.approx(1.5)
    arc = path("arc", amount=0.8)
    across = np.linalg.norm((arc.position - target)[:, [0, 2]], axis=1)
    assert np.ptp(across) < 1e-9 and turned(arc) == pytest.approx(0.8, rel=0.05)
    nearer = np.linalg.norm(path("push_in", amount=1.2).position - target, axis=1)
    assert (np.diff(nearer) < 0).all() and nearer[0] - nearer[-1] == pytest.approx(1.2, abs=0.05)
    assert nearer[0] < np.linalg.norm(path("pull_out", amount=1.2).position - target, axis=1)[-1] + 0.01
    assert (path("dolly", amount=-1.2).T_world_camera == path("pull_out", amount=1.2).T_world_camera).all()
    over = path("arc_up", amount=0.4)
    apart = over.position - target
    assert np.ptp(np.linalg.norm(apart, axis=1)) < 1e-9 and turned(over) == pytest.approx(0.4, rel=0.02)
    assert np.ptp(np.arctan2(apart[:, 0], apart[:, 2])) < 1e-9 and (np.diff(over.position[:, 1]) > 0).all()
    hand = path("handheld").position
    assert 0.005 < np.ptp(hand, axis=0).max() < 0.3
    assert np.linalg.norm(np.diff(hand, n=2, axis=0), axis=1).max() < 0.01


def test_lens_roll_and_vertical_moves_do_what_their_names_say():
    target = np.tile([0.3, 0.9, -0.2], (25, 1))

    def path(name, **options):
        return camera_path(CameraMove(name, **options), target, 320, 180, RATE)

    roll = path("roll", amount=0.3)
    forward = roll.T_world_camera[:, :3, 2]
    assert np.ptp(roll.position, axis=0).max() == 0 and np.abs(forward - forward[0]).max() < 1e-12
    assert float(rotation_angle(forward_turn(roll)[None])[0]) == pytest.approx(0.3)
    pedestal, crane = path("pedestal", amount=0.6), path("crane", amount=1.0)
    assert pedestal.position[-1, 1] - pedestal.position[0, 1] == pytest.approx(0.6)
    assert np.abs(forward_turn(pedestal) - np.eye(3)).max() < 1e-12
    assert crane.position[-1, 1] - crane.position[0, 1] == pytest.approx(1.0)
    aim = crane.T_camera_world @ [*target[0], 1.0]
    assert np.abs(aim[:, :2]).max() < 1e-9, "a crane keeps looking at its target"
    zoom = path("zoom", amount=1.0)
    assert zoom.K[-1, 0, 0] / zoom.K[0, 0, 0] == pytest.approx(2.0)
    assert (zoom.T_world_camera == zoom.T_world_camera[0]).all()
    vertigo = path("dolly_zoom", amount=1.5)
    depth = (vertigo.T_camera_world @ [*target[0], 1.0])[:, 2]
    assert depth[0] - depth[-1] > 1.2 and np.ptp(vertigo.K[:, 0, 0] / depth) < 0.02 * (vertigo.K[0, 0, 0] / depth[0])


def forward_turn(camera):
    R = camera.T_world_camera[:, :3, :3]
    return R[0].T @ R[-1]


@pytest.mark.parametrize("name", MOVE_RANGES)
def test_every_move_has_a_usual_amount_in_its_range_and_starts_gently(name):
    kind = MOVE_RANGES[name]
    assert kind.min <= kind.usual <= kind.max
    target = np.linspace([0, 0.9, 0], [0.5, 0.9, 0], 48)
    for amount in (kind.min, kind.max):
        camera = camera_path(CameraMove(name, amount=amount, ease=1.0), target, 320, 180, RATE)
        steps = np.linalg.norm(np.diff(camera.position, axis=0), axis=1)
        assert name in ("handheld", "follow") or steps[0] <= 0.3 * steps.max() + 1e-12


@pytest.mark.parametrize("move", [CameraMove("static", follow=1.0), CameraMove("follow")])
def test_a_following_camera_keeps_its_distance(move):
    target = np.linspace([0, 0.9, 0], [3, 0.9, 0], 49)
    camera = camera_path(move, target, 320, 180, RATE)
    across = np.linalg.norm((camera.position - target)[:, [0, 2]], axis=1)
    assert np.ptp(across) < 0.35
    assert np.linalg.norm(camera.position[-1] - camera.position[0]) > 2.0


def test_the_sample_is_small_and_has_sound(tmp_path):
    small = replace(SAMPLE_SHOT, width=192, height=108, frames=6)
    scene = film_sample(tmp_path / "sample.mp4", small)
    shot = open_shot(tmp_path / "sample.mp4")
    assert len(shot) == 6 == len(scene.camera) and shot.has_audio
    assert len(list(read_frames(shot))) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["sample.mp4"]


def test_the_actor_of_the_sample_stays_in_the_picture():
    scene = set_up(SAMPLE_SHOT)
    for frame in range(0, len(scene.camera), 6):
        pixels, z = joints_px(scene, frame)
        assert (z > 1).all()
        assert pixels[:, 0].min() > 30 and pixels[:, 0].max() < 930
        assert pixels[:, 1].min() > 15 and pixels[:, 1].max() < 530
        # Tall enough for every person detector.
        assert np.ptp(pixels[:, 1]) > 0.45 * 540


def test_the_sample_character_stands_free_with_arms_apart():
    picture = draw_character()
    solid = (picture[..., 3] > 128).astype(np.uint8)
    assert picture.shape == (768, 640, 4)
    assert not picture[[0, -1], :, 3].any() and not picture[:, [0, -1], 3].any()
    count, _, stats, _ = cv2.connectedComponentsWithStats(solid)
    assert count == 2
    assert stats[1, cv2.CC_STAT_HEIGHT] > 0.85 * 768
    # At the height of the hands: hand, legs or hips, hand.
    row = solid[405]
    assert (np.diff(row.astype(int)) == 1).sum() >= 3


@pytest.mark.slow
def test_the_person_detector_finds_the_actor_of_the_sample(tmp_path):
    from understudy.decompose.people.find import find_people
    from understudy.io.weights import ensure_weights

    try:
        ensure_weights("blazepose")
    except BackendUnavailable as error:
        pytest.skip(str(error))
    film_sample(tmp_path / "sample.mp4")
    people = find_people(open_shot(tmp_path / "sample.mp4"), tmp_path / "masks")
    assert len(people.tracks) == 1
    assert people.tracks[0].seen.mean() > 0.95


def test_the_command_tells_how_it_is_used():
    out = subprocess.run(
        [sys.executable, "-m", "understudy.synthetic.films.sample", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "sample_shot.mp4" in out.stdout
