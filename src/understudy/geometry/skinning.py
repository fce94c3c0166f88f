"""Linear-blend skinning."""

import numpy as np
from jaxtyping import Float, Int

__all__ = ["skin_vertices", "strongest_influences"]

INFLUENCES = 4
"""Of a vertex: as many as game engines read."""


def skin_vertices(
    vertices: Float[np.ndarray, "vertex 3"],
    T_world_mesh: Float[np.ndarray, "joint 4 4"],
    skin_joints: Int[np.ndarray, "vertex influence"],
    skin_weights: Float[np.ndarray, "vertex influence"],
) -> Float[np.ndarray, "vertex 3"]:
    """Rest vertices moved by their joints; `T_world_mesh` = T_world_joint @ T_joint_mesh for each joint.

    Weights must sum to one. Source: Magnenat-Thalmann et al. 1988.
    """
    blended = np.einsum("vi,vijk->vjk", skin_weights, T_world_mesh[skin_joints, :3])
    return np.einsum("vjk,vk->vj", blended[..., :3], vertices) + blended[..., 3]


def strongest_influences(
    weights: Float[np.ndarray, "vertex joint"],
) -> tuple[Int[np.ndarray, "vertex 4"], Float[np.ndarray, "vertex 4"]]:
    """The joints that move each vertex most, the strongest first, and their weights brought to a sum of one."""
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    strongest = np.take_along_axis(weights, joints, 1)
    return joints, strongest / strongest.sum(1, keepdims=True)
