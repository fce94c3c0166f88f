"""The figures of animation's laws, on motions that keep them or do not."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from box_person import box_person

from benchmarks.characters.laws import arms_through_body, contacts_kept, is_canonical, with_other_arms
from understudy.core.motion import BODY_JOINTS, Motion
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rotations import quaternion_from_vector


def standing(frames: int = 20) -> Motion:
    person = box_person()
    hips = person.skeleton.T_parent_joint[0, :3, 3]
    q = np.tile([1.0, 0, 0, 0], (frames, 22, 1))
    return Motion(person.skeleton, q, np.tile(hips, (frames, 1)), Fraction(12))


def test_contacts_are_kept_by_feet_that_neither_hover_nor_slide():
    person, motion, always = box_person(), standing(), np.ones((20, 2), bool)
    assert contacts_kept(person, motion, always).all()
    up, ahead = np.zeros((2, 20, 3))
    up[:, 1], ahead[:, 2] = 0.02, 0.01 * np.arange(20)
    for moved in (up, ahead):
        assert not contacts_kept(person, replace(motion, root_position_m=motion.root_position_m + moved), always).any()
    assert len(contacts_kept(person, motion, ~always)) == 0


def test_a_hand_in_the_belly_is_seen():
    person, motion = box_person(), standing()
    assert not arms_through_body(person, motion).any()
    turn = np.zeros((20, 22, 3))
    turn[10:, BODY_JOINTS.index("LeftArm"), 2], turn[10:, BODY_JOINTS.index("LeftForeArm"), 2] = -0.9, -1.6
    crossed = arms_through_body(person, replace(motion, q_parent_joint=quaternion_from_vector(turn)))
    assert not crossed[:5].any() and crossed[5:].all()


def test_the_other_rest_pose_is_an_a_pose_and_back():
    person = box_person()
    a = with_other_arms(person)
    assert is_canonical(person) and not is_canonical(a)
    for one, slope in ((a, 1.0), (with_other_arms(a), 0.0)):
        T = rest_pose(one.skeleton.parents, one.skeleton.T_parent_joint)
        for side, sign in (("Left", 1), ("Right", -1)):
            bone = T[BODY_JOINTS.index(f"{side}ForeArm"), :3, 3] - T[BODY_JOINTS.index(f"{side}Arm"), :3, 3]
            assert abs(-bone[1] - slope * sign * bone[0]) < 1e-9
