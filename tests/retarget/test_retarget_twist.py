"""Twisted arms keep their flesh: by a rig's own twist joints, and by those of characters that we make."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from rig_conventions import CONVENTIONS, rig_of

from understudy.body.model import BodyModel
from understudy.characters.rig.character import character_from_rig
from understudy.characters.twist_joints import with_twist_joints
from understudy.core.motion import BODY_JOINTS, Motion
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rotations import quaternion_from_matrix, quaternion_from_vector
from understudy.geometry.skinning import skin_vertices
from understudy.io.gltf.write import write_character
from understudy.retarget.retarget import RetargetConfig, retarget_motion

PLAIN = RetargetConfig(foot_lock="never", clear_arms=False)


@pytest.fixture(scope="module")
def body():
    model = BodyModel.load()
    return model.character(np.zeros(model.components))


def turning(body, turns, frames=9):
    """The body at rest but for some joints, which turn evenly; `turns` are the last frame's rotation vectors."""
    vectors = np.zeros((frames, 22, 3))
    for name, vector in turns.items():
        vectors[:, BODY_JOINTS.index(name)] = np.linspace(0, 1, frames)[:, None] * np.array(vector)
    path = np.tile(body.skeleton.T_parent_joint[0, :3, 3], (frames, 1))
    return Motion(body.skeleton, quaternion_from_vector(vectors), path, Fraction(25))


def posed(character, motion):
    """Vertices in the last frame."""
    T = motion.T_world_joint()[-1] @ character.T_joint_mesh
    return skin_vertices(character.mesh.vertices, T, character.skin_joints, character.skin_weights)


def section_areas(character, vertices, xs):
    """Areas of the slices of flesh that lie at some places along the left arm at rest, seen along it when posed."""
    faces, areas = character.mesh.faces, []
    for x in xs:
        d = character.mesh.vertices[faces, 0] - x
        crossed = (d > 0).any(1) & (d <= 0).any(1)
        d, corners = d[crossed], faces[crossed]
        lone_is_ahead = (d > 0).sum(1) == 1
        lone = np.where(lone_is_ahead, (d > 0).argmax(1), (d <= 0).argmax(1))
        row, ends = np.arange(len(corners)), []
        for other in ((lone + 1) % 3, (lone + 2) % 3):
            share = (d[row, lone] / (d[row, lone] - d[row, other]))[:, None]
            ends.append(vertices[corners[row, lone]] * (1 - share) + vertices[corners[row, other]] * share)
        p, q = ends
        sign = np.where(lone_is_ahead, 1.0, -1.0)
        areas.append(abs(0.5 * (sign * (p[:, 1] * q[:, 2] - p[:, 2] * q[:, 1])).sum()))
    return np.array(areas)


@pytest.mark.parametrize(
    "turns, bone, reach, without, at_least",
    [
        ({"LeftHand": (np.radians(90), 0, 0)}, ("ForeArm", "Hand"), (0.05, 1.25), 0.55, 0.9),
        ({"LeftHand": (np.radians(150), 0, 0)}, ("ForeArm", "Hand"), (0.05, 1.25), 0.15, 0.8),
        ({"LeftForeArm": (np.radians(60), 0, 0), "LeftHand": (np.radians(60), 0, 0)}, ("ForeArm", "Hand"),
         (0.05, 1.25), 0.8, 0.85),
        ({"LeftArm": (np.radians(90), 0, 0)}, ("Arm", "ForeArm"), (0.0, 0.9), 0.55, 0.8),
    ],
    ids=["wrist 90", "wrist 150", "elbow and wrist", "shoulder 90"],
)  # fmt: skip
def test_arms_do_not_collapse(body, turns, bone, reach, without, at_least):
    """`without` is what linear skinning between the body's own joints leaves of the thinnest slice."""
    start, end = (-body.T_joint_mesh[BODY_JOINTS.index(f"Left{part}"), 0, 3] for part in bone)
    xs = start + np.linspace(*reach, 40) * (end - start)
    motion = turning(body, turns)
    shares = {}
    for character in (body, with_twist_joints(body)):
        done = retarget_motion(motion, body, character, PLAIN)
        areas = section_areas(character, posed(character, done), xs)
        shares[len(character.skeleton)] = (areas / section_areas(character, character.mesh.vertices, xs)).min()
    assert shares[22] < without
    assert shares[34] > at_least


def test_the_bodys_own_joints_move_as_without(body):
    motion = turning(body, {"LeftHand": (2.0, 0.3, 0.5), "RightArm": (1.0, -0.4, 0.9), "RightForeArm": (0.5, 1.0, 0)})
    made = with_twist_joints(body)
    assert made.skeleton.names[:22] == BODY_JOINTS and made.roles == body.roles
    assert np.abs(made.skin_weights.sum(1) - 1).max() < 1e-9 and made.skin_joints.shape[1] == 4
    plain, twisted = (retarget_motion(motion, body, character, PLAIN) for character in (body, made))
    assert np.abs(plain.q_parent_joint - twisted.q_parent_joint[:, :22]).max() < 1e-9
    # Nothing twists: nothing changes.
    bent = turning(body, {"LeftForeArm": (0, 1.5, 0), "RightHand": (0, 0, 0.7), "RightArm": (0, 0, 0.9)})
    plain, twisted = (posed(character, retarget_motion(bent, body, character, PLAIN)) for character in (body, made))
    assert np.percentile(np.linalg.norm(plain - twisted, axis=1), 99) < 0.004


@pytest.mark.parametrize(
    "convention, joint, expected",
    [
        ("Unreal", "lowerarm_twist_01_l", 1.0),
        ("Rigify", "DEF-forearm.L.001", 0.5),
        ("MakeHuman", "lowerarm02.L", 0.5),
        ("DAZ", "lForearmTwist", 0.5),
    ],
)
def test_a_rigs_own_twist_joints_turn_by_their_share(body, tmp_path, convention, joint, expected):
    rig, _ = rig_of(CONVENTIONS[convention])
    if convention == "Unreal":
        rig = moved_to(rig, joint, "hand_l")
    write_character(tmp_path / "rig.glb", rig)
    character = character_from_rig(tmp_path / "rig.glb")
    names = character.skeleton.names
    done = retarget_motion(turning(body, {"LeftHand": (2.4, 0, 0)}), body, character, PLAIN)
    T = done.T_world_joint()[-1]
    rest = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)
    turn = T[:, :3, :3] @ rest[:, :3, :3].swapaxes(1, 2)
    arm, forearm, hand = (turn[character.roles[f"Left{part}"]] for part in ("Arm", "ForeArm", "Hand"))
    own, all_of_it = about_x(arm.T @ forearm), about_x(arm.T @ forearm) + about_x(forearm.T @ hand)
    assert abs(all_of_it) > 0.03
    twisted = about_x(forearm.T @ turn[names.index(joint)])
    assert np.cos(twisted + own - expected * all_of_it) > 1 - 1e-9


def about_x(R):
    """The angle of a turn about the arm of a T-pose."""
    q = quaternion_from_matrix(R)
    return 2 * np.arctan2(q[1], q[0])


def moved_to(rig, name, other):
    """The rig with one joint standing where another does."""
    names, parents = rig.skeleton.names, rig.skeleton.parents
    rest = rest_pose(parents, rig.skeleton.T_parent_joint)
    joint = names.index(name)
    T = rig.skeleton.T_parent_joint.copy()
    T[joint, :3, 3] = rest[names.index(other), :3, 3] - rest[parents[joint], :3, 3]
    bind = rig.T_joint_mesh.copy()
    bind[joint, :3, 3] = -rest[names.index(other), :3, 3]
    return replace(rig, skeleton=replace(rig.skeleton, T_parent_joint=T), T_joint_mesh=bind)
