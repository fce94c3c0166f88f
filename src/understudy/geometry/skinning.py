"""Linear-blend skinning."""

import numpy as np
from jaxtyping import Float, Int

__all__ = ["skin_vertices"]


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
