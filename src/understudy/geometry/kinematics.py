"""Forward kinematics."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from understudy.geometry.rotations import matrix_from_quaternion

__all__ = ["forward_kinematics", "rest_pose"]


def forward_kinematics(
    parents: Sequence[int],
    offsets_m: Float[np.ndarray, "joint 3"],
    q_parent_joint: Float[np.ndarray, "*time joint 4"],
    root_position_m: Float[np.ndarray, "*time 3"],
) -> Float[np.ndarray, "*time joint 4 4"]:
    """`T_world_joint` from local rotations; the root's offset is replaced by its position.

    A second root (parent −1) stays where the rest pose has it.
    """
    R_local = matrix_from_quaternion(q_parent_joint)
    T = np.zeros((*q_parent_joint.shape[:-1], 4, 4))
    T[..., 3, 3] = 1.0
    for joint, parent in enumerate(parents):
        if parent < 0:
            T[..., joint, :3, :3] = R_local[..., joint, :, :]
            T[..., joint, :3, 3] = root_position_m if joint == 0 else offsets_m[joint]
        else:
            R_parent = T[..., parent, :3, :3]
            T[..., joint, :3, :3] = R_parent @ R_local[..., joint, :, :]
            T[..., joint, :3, 3] = T[..., parent, :3, 3] + R_parent @ offsets_m[joint]
    return T


def rest_pose(parents: Sequence[int], T_parent_joint: Float[np.ndarray, "joint 4 4"]) -> Float[np.ndarray, "joint 4 4"]:
    """`T_model_joint` of the rest pose."""
    T = np.empty_like(T_parent_joint)
    for joint, parent in enumerate(parents):
        T[joint] = T_parent_joint[joint] if parent < 0 else T[parent] @ T_parent_joint[joint]
    return T
