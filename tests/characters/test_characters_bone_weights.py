"""Skin weights beside bones are those of a person: on bodies of other shapes and poses than the examples."""

import numpy as np
import pytest

from understudy.body.model import SEGMENTS, BodyModel
from understudy.characters.picture.bone_weights import BoundFigure, bone_ends, part_of
from understudy.characters.picture.parts import PARTS
from understudy.characters.picture.weights import skin
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rotations import quaternion_from_vector
from understudy.geometry.skinning import skin_vertices


def bound(shape, lowered=0.0):
    """A body of the model with its arms lowered, and its true weights."""
    model = BodyModel.load()
    body = model.character(shape)
    segments = [SEGMENTS[segment] for segment in model.vertex_segment]
    faces = body.mesh.faces[~np.isin(segments, ["eyes", "tongue"])[body.mesh.faces].any(1)]
    used, renumbered = np.unique(faces, return_inverse=True)
    weights = np.zeros((len(segments), 22))
    np.add.at(weights, (np.arange(len(segments))[:, None], body.skin_joints), body.skin_weights)
    turns = np.zeros((22, 3))
    for side, sign in (("Left", -1), ("Right", 1)):
        turns[BODY_JOINTS.index(f"{side}Arm"), 2] = sign * lowered
    offsets = body.skeleton.T_parent_joint[:, :3, 3]
    T = forward_kinematics(BODY_PARENTS, offsets, quaternion_from_vector(turns), offsets[0])
    vertices = skin_vertices(body.mesh.vertices, T @ body.T_joint_mesh, body.skin_joints, body.skin_weights)[used]
    parts = np.array([PARTS.index(part_of(segment)) for segment in segments])[used]
    figure = BoundFigure(vertices, parts, T[:, :3, 3], bone_ends(T, body, weights))
    return figure, renumbered.reshape(-1, 3), weights[used]


def weights_of(figure, faces):
    joints, weights = skin(figure.vertices, faces, figure.part_at, figure.joints, figure.tips)
    dense = np.zeros((len(joints), 22))
    np.add.at(dense, (np.arange(len(joints))[:, None], joints), weights)
    return dense


@pytest.mark.parametrize("seed, lowered", [(None, 0.0), (1, 0.0), (2, 0.7), (3, 1.2)])
def test_weights_are_near_the_bodys_own(seed, lowered):
    components = BodyModel.load().components
    shape = np.zeros(components) if seed is None else np.random.default_rng(seed).normal(size=components)
    figure, faces, truth = bound(shape, lowered)
    weights = weights_of(figure, faces)
    assert np.abs(weights.sum(1) - 1).max() < 1e-9
    # Heat equilibrium has 0.33; 2 is the most that two rows of weights can differ by.
    difference = np.abs(weights - truth).sum(1)
    assert difference.mean() < 0.1 and np.percentile(difference, 99) < 0.7


def test_a_body_bound_anew_moves_as_it_did():
    figure, faces, truth = bound(np.zeros(BodyModel.load().components))
    weights, rng = weights_of(figure, faces), np.random.default_rng(0)
    offsets = figure.joints - np.where(np.array(BODY_PARENTS)[:, None] >= 0, figure.joints[list(BODY_PARENTS)], 0)
    points, errors = np.concatenate([figure.vertices, np.ones((len(truth), 1))], 1), []
    for _ in range(8):
        T = forward_kinematics(
            BODY_PARENTS, offsets, quaternion_from_vector(rng.normal(0, 0.35, (22, 3))), figure.joints[0]
        )
        back = np.tile(np.eye(4), (22, 1, 1))
        back[:, :3, 3] = -figure.joints
        moved = np.einsum("jab,vb->vja", (T @ back)[:, :3], points)
        errors.append(np.linalg.norm(np.einsum("vj,vja->va", weights - truth, moved), axis=1))
    assert 1000 * np.mean(errors) < 1.4
    assert 1000 * np.max(errors) < 60
