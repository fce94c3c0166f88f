"""Geometry: group axioms, round trips, conventions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from understudy.geometry.kinematics import forward_kinematics, rest_pose
from understudy.geometry.projection import intrinsics, project, unproject
from understudy.geometry.rigid import invert, similarity, transform, transform_from
from understudy.geometry.rotations import (
    continuous,
    cross_matrix,
    look_at,
    matrix_from_quaternion,
    matrix_from_vector,
    quaternion_from_matrix,
    quaternion_from_vector,
    quaternion_inverse,
    quaternion_multiply,
    rotation_angle,
    rotation_between,
    slerp,
    vector_from_matrix,
    vector_from_quaternion,
)
from understudy.geometry.skinning import skin_vertices, strongest_influences


@pytest.fixture
def vectors() -> np.ndarray:
    rng = np.random.default_rng(3)
    axes = rng.normal(size=(200, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    return axes * np.r_[np.linspace(0, np.pi - 1e-6, 190), [1e-12] * 5, [np.pi - 1e-9] * 5][:, None]


def test_rotation_forms_agree_with_scipy(vectors):
    R = matrix_from_vector(vectors)
    assert np.allclose(R, Rotation.from_rotvec(vectors).as_matrix())
    assert np.allclose(matrix_from_quaternion(quaternion_from_matrix(R)), R)
    assert np.allclose(vector_from_matrix(R), vectors, atol=1e-6)
    assert np.allclose(vector_from_quaternion(quaternion_from_vector(vectors)), vectors, atol=1e-7)
    assert np.allclose(rotation_angle(R), np.linalg.norm(vectors, axis=-1), atol=1e-7)


def test_group_axioms(vectors):
    a, b, c = (quaternion_from_vector(np.roll(vectors, shift, 0)) for shift in (0, 3, 7))
    assert np.allclose(
        quaternion_multiply(quaternion_multiply(a, b), c), quaternion_multiply(a, quaternion_multiply(b, c))
    )
    identity = quaternion_multiply(a, quaternion_inverse(a))
    assert np.allclose(identity, [1, 0, 0, 0])
    assert np.allclose(
        matrix_from_quaternion(quaternion_multiply(a, b)), matrix_from_quaternion(a) @ matrix_from_quaternion(b)
    )


def test_rotation_between_is_the_shortest():
    a, b = np.random.default_rng(6).normal(size=(2, 200, 3))
    R = rotation_between(a, b)
    turned = np.einsum("nij,nj->ni", R, a / np.linalg.norm(a, axis=-1, keepdims=True))
    assert np.allclose(turned, b / np.linalg.norm(b, axis=-1, keepdims=True))
    half_turn = rotation_between(a, -a)
    assert np.allclose(np.einsum("nij,nj->ni", half_turn, a), -a)
    assert np.allclose(rotation_angle(half_turn), np.pi)


def test_slerp_and_signs(vectors):
    a, b = quaternion_from_vector(vectors), quaternion_from_vector(np.roll(vectors, 1, 0))
    share = np.full(len(a), 0.5)
    half = slerp(a, b, share)
    to_half = rotation_angle(matrix_from_quaternion(quaternion_multiply(quaternion_inverse(a), half)))
    whole = rotation_angle(matrix_from_quaternion(quaternion_multiply(quaternion_inverse(a), b)))
    assert np.allclose(2 * to_half, whole, atol=1e-6)
    flipped = a * np.where(np.arange(len(a)) % 3 == 0, -1, 1)[:, None]
    smooth = continuous(flipped)
    assert (np.einsum("ti,ti->t", smooth[1:], smooth[:-1]) >= 0).all()
    assert np.allclose(matrix_from_quaternion(smooth), matrix_from_quaternion(a))


def test_cross_matrix():
    v, w = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert np.allclose(np.einsum("nij,nj->ni", cross_matrix(v), w), np.cross(v, w))


def test_rigid_and_similarity(vectors):
    rng = np.random.default_rng(5)
    T = transform_from(matrix_from_vector(vectors), rng.normal(size=(200, 3)))
    assert np.allclose(invert(T) @ T, np.eye(4))
    points = rng.normal(size=(200, 7, 3))
    assert np.allclose(transform(invert(T), transform(T, points)), points)
    source = rng.normal(size=(30, 3))
    scale, R, t = similarity(source, 2.5 * source @ T[3, :3, :3].T + T[3, :3, 3])
    assert scale == pytest.approx(2.5)
    assert np.allclose(R, T[3, :3, :3])
    assert np.allclose(t, T[3, :3, 3])
    mirrored = similarity(source, source * [1, 1, -1])[1]
    assert np.linalg.det(mirrored) == pytest.approx(1.0)  # a mirror image is matched by a rotation, never a mirror


def test_projection_conventions():
    K = intrinsics(500.0, 640, 360)
    centre, right_below = project(K, np.array([[0.0, 0.0, 2.0], [0.1, 0.2, 2.0]]))
    assert np.allclose(centre, [320, 180])
    assert right_below[0] > 320
    assert right_below[1] > 180
    points = np.random.default_rng(1).uniform([-1, -1, 1], [1, 1, 5], (50, 3))
    assert np.allclose(unproject(K, project(K, points), points[:, 2]), points)


def test_look_at_sees_its_target_in_the_middle():
    T_world_camera = look_at(np.array([3.0, 1.5, 4.0]), np.array([0.0, 1.0, 0.0]))
    target = transform(invert(T_world_camera), np.array([[0.0, 1.0, 0.0]]))
    assert np.allclose(target[0, :2], 0)
    assert target[0, 2] > 0
    above = transform(invert(T_world_camera), np.array([[0.0, 1.2, 0.0]]))
    assert above[0, 1] < 0  # up in the world is up in the picture: −Y
    with pytest.raises(ValueError, match="straight"):
        look_at(np.zeros(3), np.array([0.0, 5.0, 0.0]))


def test_kinematics_and_skinning():
    parents = (-1, 0, 1, 1)
    rng = np.random.default_rng(2)
    T_parent_joint = transform_from(matrix_from_vector(rng.normal(size=(4, 3))), rng.normal(size=(4, 3)))
    rest = rest_pose(parents, T_parent_joint)
    q_rest = quaternion_from_matrix(T_parent_joint[:, :3, :3])
    posed = forward_kinematics(parents, T_parent_joint[:, :3, 3], q_rest[None], T_parent_joint[None, 0, :3, 3])[0]
    assert np.allclose(posed, rest)
    vertices = rng.normal(size=(20, 3))
    skin_joints = rng.integers(0, 4, (20, 2))
    skin_weights = np.tile([0.3, 0.7], (20, 1))
    assert np.allclose(skin_vertices(vertices, posed @ np.linalg.inv(rest), skin_joints, skin_weights), vertices)
    # Turning the root about its own place turns everything rigidly.
    turn = transform_from(matrix_from_vector(np.array([0.0, 1.0, 0.0])), np.zeros(3))
    turned = skin_vertices(vertices, turn @ posed @ np.linalg.inv(rest), skin_joints, skin_weights)
    assert np.allclose(turned, transform(turn, vertices))


def test_the_four_strongest_joints_keep_a_vertex_between_them():
    joints, weights = strongest_influences(np.array([[0.1, 0.0, 0.4, 0.05, 0.25, 0.2], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]))
    assert joints[0].tolist() == [2, 4, 5, 0] and joints[1, 0] == 1
    assert weights[0] == pytest.approx(np.array([0.4, 0.25, 0.2, 0.1]) / 0.95)
    assert weights[1] == pytest.approx([1.0, 0.0, 0.0, 0.0])
