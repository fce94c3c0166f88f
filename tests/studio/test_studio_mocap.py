"""Motion capture: whatever a file's zero pose and unit are, the body does what the performer did."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from understudy.body.model import BodyModel
from understudy.core.film import Performance
from understudy.core.motion import BODY_JOINTS, Motion, Skeleton
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rotations import quaternion_from_matrix
from understudy.io.motions.bvh import write_bvh
from understudy.runtime.errors import FileFormatError, InputError
from understudy.studio.mocap import captured_motion
from understudy.synthetic.people.motions import Action, act

RATE = Fraction(24)


@pytest.fixture(scope="module")
def body():
    model = BodyModel.load()
    return model.character(model.shape_for_height(1.7), "body")


@pytest.fixture(scope="module")
def walk(body):
    return act(body.skeleton, Action("walk_and_wave"), 48, RATE)[0]


def in_other_frames(motion: Motion, seed: int, scale: float) -> Motion:
    """The same motion on a skeleton whose joints' frames, and so its zero pose, are anyhow, and its unit too."""
    skeleton = motion.skeleton
    Q = Rotation.random(len(skeleton), rng=np.random.default_rng(seed)).as_matrix()
    offsets = skeleton.T_parent_joint[:, :3, 3]
    R = forward_kinematics(skeleton.parents, offsets, motion.q_parent_joint, motion.root_position_m)[..., :3, :3] @ Q
    T, local = np.tile(np.eye(4), (len(skeleton), 1, 1)), R.copy()
    for joint, parent in enumerate(skeleton.parents):
        T[joint, :3, 3] = scale * (Q[parent].T @ offsets[joint] if parent >= 0 else offsets[joint])
        if parent >= 0:
            local[:, joint] = R[:, parent].swapaxes(1, 2) @ R[:, joint]
    return Motion(
        Skeleton(skeleton.names, skeleton.parents, T), quaternion_from_matrix(local), scale * motion.root_position_m,
        motion.frame_rate,
    )  # fmt: skip


def joints_in_the_first_frame(body, motion):
    """Joints over time as the hips of the first frame see them, over the ground."""
    joints = Performance(body, motion).joints_m()
    left = joints[0, BODY_JOINTS.index("LeftUpLeg")] - joints[0, BODY_JOINTS.index("RightUpLeg")]
    turn = Rotation.from_rotvec([0.0, np.arctan2(left[2], left[0]), 0.0]).as_matrix()
    return (joints - joints[0, 0] * [1.0, 0.0, 1.0]) @ turn.T


@pytest.mark.parametrize(("seed", "scale"), [(1, 1.0), (2, 39.37), (3, 1000.0)])
def test_a_motion_comes_back_from_any_zero_pose_and_unit(body, walk, tmp_path, seed, scale):
    write_bvh(tmp_path / "walk.bvh", in_other_frames(walk, seed, scale), unit_m=1.0)
    found = captured_motion(tmp_path / "walk.bvh", body, RATE, 100)
    off = np.linalg.norm(joints_in_the_first_frame(body, found) - joints_in_the_first_frame(body, walk), axis=-1)
    assert len(found) == len(walk)
    assert np.median(off) < 0.02 and off.max() < 0.08


def test_another_body_does_the_same_at_its_own_size(body, walk, tmp_path):
    model = BodyModel.load()
    child = model.character(model.shape_for_height(1.1), "child")
    write_bvh(tmp_path / "walk.bvh", in_other_frames(walk, 4, 1.0), unit_m=1.0)
    found = captured_motion(tmp_path / "walk.bvh", child, Fraction(12), 10)
    assert len(found) == 10 and found.frame_rate == 12
    travelled = [np.linalg.norm(np.diff(m.root_position_m[[0, last]], axis=0)) for m, last in ((found, 9), (walk, 18))]
    legs = [c.skeleton.T_parent_joint[BODY_JOINTS.index("LeftLeg"), 1, 3] for c in (child, body)]
    assert travelled[0] / travelled[1] == pytest.approx(legs[0] / legs[1], rel=0.1)
    toes = Performance(child, found).joints_m()[:, BODY_JOINTS.index("LeftToeBase"), 1]
    assert 0.0 < toes.min() < 0.05


def test_files_that_cannot_be_done_are_refused(body, walk, tmp_path):
    names = ["Hips", *(f"bone{k}" for k in range(1, 22))]
    line = np.tile(np.eye(4), (22, 1, 1))
    line[1:, 1, 3] = 0.1
    snake = Skeleton(tuple(names), (-1, *range(21)), line)
    write_bvh(tmp_path / "snake.bvh", replace(walk, skeleton=snake), unit_m=1.0)
    with pytest.raises(FileFormatError, match=r"snake\.bvh has no joints for"):
        captured_motion(tmp_path / "snake.bvh", body, RATE, 100)
    write_bvh(tmp_path / "short.bvh", replace(walk, q_parent_joint=walk.q_parent_joint[:1],
                                               root_position_m=walk.root_position_m[:1]), unit_m=1.0)  # fmt: skip
    with pytest.raises(InputError, match="two or more"):
        captured_motion(tmp_path / "short.bvh", body, RATE, 100)
