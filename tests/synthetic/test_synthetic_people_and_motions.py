"""Synthetic people: dressed bodies and what they do."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from understudy.body.model import SEGMENTS, BodyModel
from understudy.core.character import Material
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rotations import matrix_from_quaternion
from understudy.synthetic.films.sound import SAMPLE_RATE_HZ, soundtrack
from understudy.synthetic.people.legs import HEEL_BEHIND_M
from understudy.synthetic.people.motions import Action, act, ground_contact
from understudy.synthetic.people.people import Outfit, dressed, random_outfit
from understudy.synthetic.people.wardrobe import garment

RATE = Fraction(24)
KINDS = ("walk", "turn", "wave", "dance", "walk_and_wave", "squat", "bow", "stretch")


@pytest.fixture(scope="module")
def model():
    return BodyModel.load()


@pytest.fixture(scope="module")
def body(model):
    return model.character(model.shape_for_height(1.72))


def joints_of(motion):
    skeleton = motion.skeleton
    return forward_kinematics(
        skeleton.parents, skeleton.T_parent_joint[:, :3, 3], motion.q_parent_joint, motion.root_position_m
    )


def sole_points(motion, side):
    """The toes' joint and the heel's lowest point over time."""
    T = joints_of(motion)
    foot = T[:, BODY_JOINTS.index(f"{side}Foot")]
    rest = motion.skeleton.T_parent_joint
    ankle_height = sum(rest[BODY_JOINTS.index(n), 1, 3] for n in ("Hips", f"{side}UpLeg", f"{side}Leg", f"{side}Foot"))
    heel = foot[:, :3, :3] @ np.array([0.0, -ankle_height, -HEEL_BEHIND_M]) + foot[:, :3, 3]
    return T[:, BODY_JOINTS.index(f"{side}ToeBase"), :3, 3], heel


@pytest.mark.parametrize("kind", KINDS)
def test_standing_feet_stand(body, kind):
    motion, contact = act(body.skeleton, Action(kind, (0.3, -0.2), 0.4), 72, RATE)
    assert contact.any(1).all()
    for foot, side in enumerate(("Left", "Right")):
        toe, heel = sole_points(motion, side)
        both = contact[1:, foot] & contact[:-1, foot]
        # Rolling from heel to toe, one of the two rests on the ground at any time.
        moved = np.minimum(*(np.linalg.norm(np.diff(point, axis=0), axis=1) for point in (toe, heel)))
        # A frame may begin on the heel and end flat.
        assert np.median(moved[both]) < 1e-6
        assert moved[both].max() < 0.012
        assert heel[:, 1].min() > -0.002


@pytest.mark.parametrize("kind", [*KINDS, "jump"])
def test_motions_are_smooth(body, kind):
    motion, _ = act(body.skeleton, Action(kind), 96, Fraction(48))
    position = joints_of(motion)[:, :, :3, 3]
    acceleration = np.diff(position, n=2, axis=0) * 48**2
    # A jump of 5 cm between two frames would show as 115 m/s².
    assert np.linalg.norm(acceleration, axis=-1).max() < 100.0
    assert np.abs(np.diff(motion.q_parent_joint, axis=0)).max() < 0.2


def test_exercises_do_what_their_names_say(body):
    def joint(motion, name):
        return joints_of(motion)[:, BODY_JOINTS.index(name), :3, 3]

    squat, bow, stretch, jump = (
        act(body.skeleton, Action(kind), 80, RATE) for kind in ("squat", "bow", "stretch", "jump")
    )
    assert np.ptp(joint(squat[0], "Hips")[:, 1]) > 0.25 and np.ptp(joint(squat[0], "LeftFoot")[:, 1]) < 0.02
    head, hips = joint(bow[0], "Head"), joint(bow[0], "Hips")
    assert (head - hips)[:, 2].max() > 0.35 and np.ptp(hips[:, 1]) < 0.12
    assert joint(stretch[0], "LeftHand")[:, 1].max() > joint(stretch[0], "Head")[:, 1].max() + 0.2
    feet = joint(jump[0], "RightFoot")[:, 1]
    standing = jump[1][:, 1]
    assert 0.09 < feet.max() - feet[standing].max() < 0.125 and 0.1 < 1 - standing.mean() < 0.5


@pytest.mark.parametrize("kind", ["walk", "turn", "dance", "squat", "jump"])
def test_ground_contact_is_found_from_the_motion(body, kind):
    motion, stands = act(body.skeleton, Action(kind), 96, RATE)
    found = ground_contact(motion)
    assert found.shape == stands.shape and (found == stands).mean() > 0.93
    # The moments of touching down and leaving are off by two frames at most.
    for side in range(2):
        true, seen = (np.flatnonzero(np.diff(x[:, side].astype(int))) for x in (stands, found))
        assert all(np.abs(seen - moment).min() <= 2 for moment in true)
    flying = replace(motion, root_position_m=motion.root_position_m + [0.0, 0.5, 0.0])
    assert not ground_contact(flying).any()


def test_a_walk_covers_its_distance_and_turns_as_told(body):
    action = Action("turn", (1.0, 2.0), 0.0, speed_m_s=1.2, turn_rad=-2.0)
    motion, _ = act(body.skeleton, action, 73, RATE)
    assert motion.root_position_m[0, [0, 2]] == pytest.approx([1.0, 2.0], abs=0.05)
    path = np.linalg.norm(np.diff(motion.root_position_m[:, [0, 2]], axis=0), axis=1).sum()
    assert path == pytest.approx(1.2 * 3.0, rel=0.05)
    facing = matrix_from_quaternion(motion.q_parent_joint[:, 0])[:, :, 2]
    heading = np.unwrap(np.arctan2(facing[:, 0], facing[:, 2]))
    assert heading[-1] - heading[0] == pytest.approx(-2.0, abs=0.3)


def test_legs_keep_their_length_and_knees_bend_forwards(body):
    motion, _ = act(body.skeleton, Action("walk", heading_rad=0.8), 48, RATE)
    T = joints_of(motion)
    facing = T[:, 0, :3, 2]
    for side in ("Left", "Right"):
        hip, knee, ankle = (T[:, BODY_JOINTS.index(f"{side}{part}"), :3, 3] for part in ("UpLeg", "Leg", "Foot"))
        # Where the knee of a straight leg lies on the line from hip to ankle.
        thigh_m, shin_m = (np.linalg.norm(b - a, axis=1, keepdims=True) for a, b in ((hip, knee), (knee, ankle)))
        straight = hip + (ankle - hip) * thigh_m / (thigh_m + shin_m)
        assert (((knee - straight) * facing).sum(1) > -1e-4).all()


def test_a_wave_raises_the_right_hand_above_the_head(body):
    motion, _ = act(body.skeleton, Action("wave", wave_at_s=0.5), 84, RATE)
    T = joints_of(motion)
    hand, head = (T[:, BODY_JOINTS.index(name), 1, 3] for name in ("RightHand", "Head"))
    assert hand[0] < head[0] - 0.4
    assert hand[36:50].min() > head[36:50].min()
    assert T[40, BODY_JOINTS.index("LeftHand"), 1, 3] < head[40] - 0.4


def test_a_dressed_person_is_a_whole_rigged_character(model):
    rng = np.random.default_rng(2)
    shape = model.shape_for_height(1.72)
    bare = model.shaped(shape)
    person = dressed(model, shape, random_outfit(rng), 2)
    assert person.roles == model.character(shape).roles
    assert person.height_m == pytest.approx(bare.height_m, abs=0.06)
    assert np.abs(np.linalg.norm(person.mesh.normals, axis=1) - 1).max() < 1e-6
    assert person.mesh.vertices[:, 1].min() > -0.01
    names = [material.name for material in person.mesh.materials]
    assert {"head", "top", "trousers", "hair", "left shoe", "left eye"} <= set(names)
    # Clothes lie outside the body: their vertices are farther out than the nearest skin, along its normal.
    again = dressed(model, shape, random_outfit(np.random.default_rng(2)), 2)
    assert np.array_equal(again.mesh.vertices, person.mesh.vertices)
    assert all(
        np.array_equal(a.texture, b.texture) for a, b in zip(again.mesh.materials, person.mesh.materials, strict=True)
    )


def test_garments_end_exactly_on_their_outline(model):
    body = model.shaped(np.zeros(model.components))
    hem_m = 0.61
    legs = np.isin(model.vertex_segment, [i for i, n in enumerate(SEGMENTS) if n.endswith(("thigh", "shin"))])
    field = np.where(legs, hem_m - body.vertices[:, 1], -0.1)
    piece = garment(model, body, field, 0.01, Material())
    sources = body.vertices[piece.carriers]
    base = (1 - piece.share)[:, None] * sources[:, 0] + piece.share[:, None] * sources[:, 1]
    assert base[:, 1].max() == pytest.approx(hem_m, abs=1e-9)
    hem = np.abs(base[:, 1] - hem_m) < 1e-9
    assert hem.sum() > 40
    # Away from its hems the shell lies a centimetre outside the skin.
    deep = (base[:, 1] < hem_m - 0.05) & (base[:, 1] > 0.25)
    assert np.linalg.norm(piece.vertices - base, axis=1)[deep] == pytest.approx(0.01, abs=1e-3)


def test_outfits_change_the_picture_not_the_rig(model):
    shape = model.shape_for_height(1.7)
    plain = dressed(model, shape, Outfit())
    hero = dressed(model, shape, Outfit(style="jacket", boots=True, head_scale=1.3, gloves=(0.3, 0.2, 0.1)))
    assert np.array_equal(plain.skeleton.T_parent_joint, hero.skeleton.T_parent_joint)
    assert hero.height_m > plain.height_m + 0.04


def test_the_sound_has_a_click_for_every_step():
    contact = np.ones((48, 2), bool)
    contact[10:20, 0] = contact[25:35, 1] = False
    sound = soundtrack(contact, 24.0)
    assert len(sound) == 2 * SAMPLE_RATE_HZ
    assert np.abs(sound).max() <= 1.0
    loud = np.abs(sound).reshape(48, -1).max(1)
    quiet = np.median(loud)
    assert loud[20] > 2 * quiet and loud[35] > 2 * quiet
    assert np.flatnonzero(loud > 2 * quiet).min() == 20
