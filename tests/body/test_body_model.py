"""The body's laws: symmetry, rest pose, heights, linearity."""

import time

import numpy as np
import pytest

from understudy.body.model import LANDMARK_JOINTS, SEGMENTS, BodyModel, mirrored_name
from understudy.core.footage import LANDMARKS
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS
from understudy.geometry.kinematics import forward_kinematics, rest_pose
from understudy.geometry.skinning import skin_vertices

MIRROR = np.array([-1.0, 1.0, 1.0])
JOINT = {name: index for index, name in enumerate(BODY_JOINTS)}
MARK = {name: index for index, name in enumerate(LANDMARKS)}


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return BodyModel.load()


def test_load_is_quick(body: BodyModel) -> None:
    start = time.perf_counter()
    BodyModel.load.__wrapped__()
    assert time.perf_counter() - start < 0.5


def test_t_pose(body: BodyModel) -> None:
    """Arms along ±X, legs straight down, toes and nose to +Z, feet on the ground, left at +X."""
    shaped = body.shaped(body.shape_for_height(1.7))
    joints = shaped.joints
    for left, start, end, direction in (
        ("LeftArm", "LeftArm", "LeftForeArm", [1, 0, 0]),
        ("LeftForeArm", "LeftForeArm", "LeftHand", [1, 0, 0]),
        ("RightForeArm", "RightForeArm", "RightHand", [-1, 0, 0]),
        ("LeftUpLeg", "LeftUpLeg", "LeftLeg", [0, -1, 0]),
        ("RightLeg", "RightLeg", "RightFoot", [0, -1, 0]),
    ):
        bone = joints[JOINT[end]] - joints[JOINT[start]]
        assert np.allclose(bone / np.linalg.norm(bone), direction, atol=0.01), left
    assert shaped.vertices[:, 1].min() == pytest.approx(0.0, abs=1e-12)
    assert np.allclose(joints[0, [0, 2]], 0.0, atol=1e-6)
    for name in ("nose", "left_foot_index", "right_foot_index"):
        assert shaped.landmarks[MARK[name], 2] > joints[0, 2] + 0.05
    assert shaped.landmarks[MARK["left_shoulder"], 0] > 0.1
    assert 0.0 < shaped.landmarks[MARK["left_heel"], 1] < 0.05


def test_body_is_symmetric(body: BodyModel) -> None:
    shape = np.random.default_rng(0).normal(size=body.components)
    shaped = body.shaped(shape)
    assert np.abs(shaped.vertices[body.mirror_vertices] * MIRROR - shaped.vertices).max() < 2e-3  # half floats
    joints = [JOINT[mirrored_name(name)] for name in BODY_JOINTS]
    assert np.allclose(shaped.joints[joints] * MIRROR, shaped.joints, atol=1e-5)
    swapped = ["mouth_right" if name == "mouth_left" else mirrored_name(name) for name in LANDMARKS]
    assert np.allclose(shaped.landmarks[[MARK[name] for name in swapped]] * MIRROR, shaped.landmarks, atol=1e-5)


def test_shape_for_height(body: BodyModel) -> None:
    for height_m in (0.9, 1.2, 1.7, 2.0):
        shaped = body.shaped(body.shape_for_height(height_m))
        assert shaped.height_m == pytest.approx(height_m, abs=1e-3)
    child, adult = (body.shaped(body.shape_for_height(h)) for h in (1.0, 1.8))
    head_share = [(s.height_m - s.joints[JOINT["Head"], 1]) / s.height_m for s in (child, adult)]
    assert head_share[0] > head_share[1] * 1.1  # children have larger heads


def test_random_people_are_human(body: BodyModel) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        shaped = body.shaped(rng.normal(size=body.components))
        thigh = np.linalg.norm(shaped.joints[JOINT["LeftLeg"]] - shaped.joints[JOINT["LeftUpLeg"]])
        shin = np.linalg.norm(shaped.joints[JOINT["LeftFoot"]] - shaped.joints[JOINT["LeftLeg"]])
        assert 0.6 < shaped.height_m < 2.4
        assert 0.75 < thigh / shin < 1.15


def test_rest_pose_skins_to_itself(body: BodyModel) -> None:
    character = body.character(body.shape_for_height(1.6))
    T = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)
    skinned = skin_vertices(
        character.mesh.vertices, T @ character.T_joint_mesh, character.skin_joints, character.skin_weights
    )
    assert np.abs(skinned - character.mesh.vertices).max() < 1e-9
    assert character.height_m == pytest.approx(1.6, abs=1e-3)
    assert sorted(character.roles.values()) == list(range(22))


def test_offsets_rebuild_joints_and_landmarks(body: BodyModel) -> None:
    shaped = body.shaped(np.random.default_rng(2).normal(size=body.components))
    identity = np.tile([1.0, 0.0, 0.0, 0.0], (22, 1))
    T = forward_kinematics(BODY_PARENTS, shaped.joint_offsets, identity, shaped.joints[0])
    assert np.allclose(T[:, :3, 3], shaped.joints)
    assert np.allclose(shaped.joints[list(LANDMARK_JOINTS)] + shaped.landmark_offsets, shaped.landmarks)


def test_turned_arm_moves_its_side_only(body: BodyModel) -> None:
    """A quarter turn of the left elbow about −Y brings the left hand forward and moves nothing on the right."""
    character = body.character(np.zeros(body.components))
    q = np.tile([1.0, 0.0, 0.0, 0.0], (22, 1))
    q[JOINT["LeftForeArm"]] = [np.cos(np.pi / 4), 0.0, -np.sin(np.pi / 4), 0.0]
    offsets = character.skeleton.T_parent_joint[:, :3, 3]
    T = forward_kinematics(BODY_PARENTS, offsets, q, offsets[0])
    moved = skin_vertices(
        character.mesh.vertices, T @ character.T_joint_mesh, character.skin_joints, character.skin_weights
    )
    hand = body.vertex_segment == SEGMENTS.index("left_hand")
    right = character.mesh.vertices[:, 0] < -0.05
    assert moved[hand, 2].min() > 0.1
    assert np.allclose(moved[right], character.mesh.vertices[right])


def test_segments_cover_the_body(body: BodyModel) -> None:
    counts = np.bincount(body.vertex_segment, minlength=len(SEGMENTS))
    assert (counts > 50).all(), dict(zip(SEGMENTS, counts, strict=True))


def test_normals_point_outwards(body: BodyModel) -> None:
    mesh = body.character(np.zeros(body.components)).mesh
    chest = body.vertex_segment == SEGMENTS.index("torso")
    from_spine = mesh.vertices * [1.0, 0.0, 1.0]
    assert np.einsum("vi,vi->v", mesh.normals, from_spine)[chest].mean() > 0.05
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1.0)
