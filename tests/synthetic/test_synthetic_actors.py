"""Actors: bodies by their measurements, in clothes at random."""

from dataclasses import replace

import numpy as np
import pytest

from understudy.body.model import BodyModel
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.projection import project
from understudy.geometry.rigid import transform
from understudy.synthetic.films.camera_moves import MOVE_RANGES, CameraMove, camera_path
from understudy.synthetic.films.shots import SyntheticShotConfig, set_up
from understudy.synthetic.people.actors import ACTORS, actor_outfit, build_of, shape_for_build
from understudy.synthetic.people.motions import Action, act
from understudy.synthetic.people.people import dressed

DEFAULTS = SyntheticShotConfig()


@pytest.fixture(scope="module")
def model():
    return BodyModel.load()


@pytest.fixture(scope="module")
def shapes(model):
    return {name: shape_for_build(model, build) for name, build in ACTORS.items()}


def joints_in_world(motion):
    offsets = motion.skeleton.T_parent_joint[:, :3, 3]
    T = forward_kinematics(motion.skeleton.parents, offsets, motion.q_parent_joint, motion.root_position_m)
    return T[..., :3, 3]


def test_actors_reach_from_a_small_child_to_a_man_of_two_metres(model, shapes):
    heights = {name: model.shaped(shape).height_m for name, shape in shapes.items()}
    assert len(ACTORS) >= 8
    assert min(heights.values()) == pytest.approx(1.1, abs=0.01)
    assert max(heights.values()) == pytest.approx(2.0, abs=0.01)
    for name, build in ACTORS.items():
        assert heights[name] == pytest.approx(build.height_m, abs=0.01)


@pytest.mark.parametrize("name", ACTORS)
def test_an_actor_has_about_the_measurements_of_the_table_and_is_no_freak(model, shapes, name):
    wanted, found = vars(ACTORS[name]), vars(build_of(model, shapes[name]))
    assert all(found[measure] == pytest.approx(wanted[measure], abs=0.02) for measure in wanted)
    # The length of a random person's shape is 4 on average, one of 6 is one in a thousand.
    assert np.linalg.norm(shapes[name]) < 4


def test_measurements_are_those_of_the_body(model, shapes):
    body, build = model.shaped(shapes["man"]), build_of(model, shapes["man"])
    left, right = (body.joints[BODY_JOINTS.index(f"{side}Arm"), 0] for side in ("Left", "Right"))
    assert build.shoulders_m == pytest.approx(left - right)
    assert build.height_m == pytest.approx(body.height_m)
    slice_ = body.vertices[np.abs(body.vertices[:, 1] - body.joints[BODY_JOINTS.index("Spine"), 1]) < 0.02]
    assert build.belly_m == pytest.approx(np.ptp(slice_[np.abs(slice_[:, 0]) < 0.2][:, 2]), abs=0.02)


def test_who_is_heavier_is_wider_at_the_same_height(model):
    average = ACTORS["woman"]
    girths = (-0.04, 0.0, 0.04, 0.08)
    shapes = [
        shape_for_build(
            model,
            replace(
                average,
                waist_m=average.waist_m + extra,
                belly_m=average.belly_m + extra,
                hips_m=average.hips_m + extra,
            ),
        )
        for extra in girths
    ]
    bodies = [model.shaped(shape) for shape in shapes]
    builds = [build_of(model, shape) for shape in shapes]
    assert np.ptp([body.height_m for body in bodies]) < 0.002
    for measure in ("waist_m", "belly_m", "hips_m"):
        assert (np.diff([getattr(build, measure) for build in builds]) > 0.02).all()
    # Volume by the divergence theorem: weight, in short.
    volumes = [np.linalg.det(body.vertices[model.faces]).sum() / 6 for body in bodies]
    assert (np.diff(volumes) > 0.003).all()


def test_heavy_and_slight_actors_differ_as_their_names_say(model, shapes):
    build = {name: build_of(model, shape) for name, shape in shapes.items()}
    assert build["heavy_man"].waist_m > build["man"].waist_m + 0.05
    assert build["heavy_woman"].belly_m > build["woman"].belly_m + 0.08
    assert build["woman"].bust_m > build["man"].bust_m + 0.01
    shoulders_to_hips = {name: one.shoulders_m / one.hips_m for name, one in build.items()}
    assert shoulders_to_hips["man"] > shoulders_to_hips["woman"] + 0.1
    # A child's head is large for its height.
    head = {}
    for name in ("child", "man"):
        body = model.shaped(shapes[name])
        head[name] = (body.vertices[:, 1].max() - body.joints[BODY_JOINTS.index("Neck"), 1]) / body.height_m
    assert head["child"] > 1.15 * head["man"]


@pytest.mark.parametrize("name", ["child", "heavy_woman"])
def test_clothes_fit_every_build(model, shapes, name):
    outfit = actor_outfit(name, np.random.default_rng(3))
    person, bare = dressed(model, shapes[name], outfit, 3), model.shaped(shapes[name])
    # Hair and soles add a little, nothing hangs below the ground or sticks out sideways.
    assert bare.height_m - 0.01 < person.height_m < bare.height_m + 0.06
    assert person.mesh.vertices[:, 1].min() > -0.01
    low, high = bare.vertices.min(0), bare.vertices.max(0)
    assert (person.mesh.vertices > low - 0.04).all() and (person.mesh.vertices < high + 0.06).all()


def test_outfits_differ_by_seed_and_repeat():
    outfits = [actor_outfit("man", np.random.default_rng(seed)) for seed in range(20)]
    assert len({outfit.top for outfit in outfits}) == 20 and len({outfit.hair for outfit in outfits}) >= 3
    assert actor_outfit("man", np.random.default_rng(4)) == outfits[4]
    assert actor_outfit("old_man", np.random.default_rng(4)).hair != outfits[4].hair


def test_a_shot_has_the_actor_it_was_told(model, shapes):
    scene = set_up(SyntheticShotConfig(width=64, height=36, frames=2, actor="child", seed=2))
    assert np.array_equal(scene.shape, shapes["child"])
    assert scene.body.height_m == pytest.approx(1.1, abs=0.01)
    assert "hair" in {material.name for material in scene.person.character.mesh.materials}
    with pytest.raises(ValueError, match="child"):
        SyntheticShotConfig(actor="child", height_m=1.8)


@pytest.mark.parametrize("name", ["child", "heavy_man", "thin_tall_man"])
def test_every_move_keeps_every_actor_in_the_picture(model, shapes, name):
    body = model.character(shapes[name])
    for kind in ("walk", "turn", "stretch", "jump"):
        motion, _ = act(body.skeleton, Action(kind), DEFAULTS.frames, DEFAULTS.frame_rate)
        joints = joints_in_world(motion)
        target = motion.root_position_m * [1, 0, 1] + [0, 0.52 * model.shaped(shapes[name]).height_m, 0]
        for move in MOVE_RANGES:
            camera = camera_path(
                CameraMove(move), target, DEFAULTS.width, DEFAULTS.height, DEFAULTS.frame_rate, DEFAULTS.seed
            )
            local = transform(camera.T_camera_world, joints)
            pixels = project(camera.K, local)
            inside = (local[..., 2] > 0.3) & (pixels > 0).all(-1) & (pixels < [DEFAULTS.width, DEFAULTS.height]).all(-1)
            # Feet may leave the picture where somebody walks up to the camera; most of the person may not.
            assert (inside.mean(1) > 0.6).mean() > 0.9, (kind, move)
