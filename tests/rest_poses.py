"""The same body, modelled in another pose."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from understudy.core.character import Character
from understudy.core.motion import BODY_JOINTS, Skeleton
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rigid import invert
from understudy.geometry.rotations import quaternion_from_matrix, quaternion_from_vector
from understudy.geometry.skinning import skin_vertices


def in_rest_pose(
    person: Character, turns: Mapping[str, np.ndarray], frames: Float[np.ndarray, "22 3 3"] | None = None
) -> Character:
    """A copy of a person of BODY_JOINTS with another rest pose; `turns` are rotation vectors of joints, in their
    parents, `frames` the joints' own axes."""
    s = person.skeleton
    q = np.tile(quaternion_from_matrix(np.eye(3)), (22, 1))
    for name, turn in turns.items():
        q[BODY_JOINTS.index(name)] = quaternion_from_vector(turn)
    T = forward_kinematics(s.parents, s.T_parent_joint[:, :3, 3], q, s.T_parent_joint[0, :3, 3])
    vertices = skin_vertices(person.mesh.vertices, T @ person.T_joint_mesh, person.skin_joints, person.skin_weights)
    T = T.copy()
    if frames is not None:
        T[:, :3, :3] = T[:, :3, :3] @ frames
    local = np.array([X if p < 0 else invert(T[p]) @ X for X, p in zip(T, s.parents, strict=True)])
    return replace(
        person,
        mesh=replace(person.mesh, vertices=vertices),
        skeleton=Skeleton(BODY_JOINTS, s.parents, local),
        T_joint_mesh=invert(T),
    )
