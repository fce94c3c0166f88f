"""A body of other proportions stands where the actor stands, also on one leg that leans away from the hips."""

from fractions import Fraction

import numpy as np
import pytest
from box_person import box_person

from understudy.core.motion import BODY_JOINTS, Motion
from understudy.geometry.rotations import quaternion_from_vector
from understudy.retarget.rest import measure
from understudy.retarget.retarget import RetargetConfig, retarget_motion, world_scale

PLAIN = RetargetConfig(foot_lock="never", clear_arms=False)
JOINT = {name: joint for joint, name in enumerate(BODY_JOINTS)}


def gliding(frames: int = 120, lean_rad: float = 0.35) -> Motion:
    """Along +Z on the left leg, which leans to the side; the right one is raised behind."""
    person = box_person()
    turns = np.zeros((frames, 22, 3))
    turns[:, JOINT["LeftUpLeg"], 2] = lean_rad
    turns[:, JOINT["LeftFoot"], 2] = -lean_rad
    turns[:, JOINT["RightUpLeg"], 0] = 1.0
    hips = np.stack([np.zeros(frames), np.zeros(frames), np.linspace(0, 4, frames)], 1)
    motion = Motion(person.skeleton, quaternion_from_vector(turns), hips, Fraction(30))
    ankle = motion.T_world_joint()[:, JOINT["LeftFoot"], 1, 3]
    hips[:, 1] = measure(person).ankle_height_m - ankle
    return Motion(person.skeleton, motion.q_parent_joint, hips, Fraction(30))


@pytest.mark.parametrize("leg", [0.5, 0.8, 1.3])
def test_the_foot_that_carries_is_where_the_actors_is(leg):
    person, other, motion = box_person(), box_person(leg=leg), gliding()
    made = retarget_motion(motion, person, other, PLAIN)
    theirs, mine = (m.T_world_joint()[:, JOINT["LeftFoot"], :3, 3] for m in (motion, made))
    away = np.abs(mine - world_scale(person, other) * theirs)[:, [0, 2]].max(1)
    assert np.median(away) < 0.012


def test_the_same_body_stays_where_it_is():
    person, motion = box_person(), gliding()
    made = retarget_motion(motion, person, person, PLAIN)
    assert np.abs(made.root_position_m - motion.root_position_m).max() < 1e-9


def test_a_body_in_the_air_keeps_its_path():
    person, other, motion = box_person(), box_person(leg=0.6), gliding()
    high = Motion(motion.skeleton, motion.q_parent_joint, motion.root_position_m + [0.0, 2.0, 0.0], motion.frame_rate)
    made = retarget_motion(high, person, other, PLAIN)
    assert np.abs(made.root_position_m - world_scale(person, other) * high.root_position_m)[:, [0, 2]].max() < 1e-3
