"""Which joints move each vertex, and how much."""

import numpy as np
from jaxtyping import Float, Int

from understudy.characters.picture.bone_weights import BoundFigure, bone_distance, bone_weights
from understudy.characters.picture.volume import adjacency
from understudy.geometry.skinning import strongest_influences

__all__ = ["MOVED_BY", "bone_distance", "skin", "smoothed"]

MOVED_BY: dict[str, tuple[str, ...]] = {
    "torso": (
        "Hips", "Spine", "Spine1", "Spine2", "Neck", "LeftShoulder", "RightShoulder",
    ),
    "head": ("Neck", "Head"),
    "left_arm": ("LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"),
    "right_arm": ("RightShoulder", "RightArm", "RightForeArm", "RightHand"),
    "left_leg": ("LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase"),
    "right_leg": ("RightUpLeg", "RightLeg", "RightFoot", "RightToeBase"),
    "cape": ("Hips", "Spine", "Spine1", "Spine2"),
}  # fmt: skip
"""The bones of each part."""

SMOOTHING_ROUNDS = 4
"""Parts have weights of their own, which differ a little where they meet."""


def skin(
    vertices: Float[np.ndarray, "vertex 3"],
    faces: Int[np.ndarray, "face 3"],
    part_at: Int[np.ndarray, " vertex"],
    joints: Float[np.ndarray, "22 3"],
    tips: Float[np.ndarray, "22 3"],
) -> tuple[Int[np.ndarray, "vertex 4"], Float[np.ndarray, "vertex 4"]]:
    """Joint indices and weights as a person's body has them beside its bones, smoothed over the surface.

    `joints` are the starts and `tips` the ends of the bones of BODY_JOINTS. An arm at the side does not drag the thigh
    beside it: a part follows its own joints and those that it hangs on.
    """
    weights = bone_weights(BoundFigure(vertices, part_at, joints, tips))
    return strongest_influences(smoothed(weights, faces, SMOOTHING_ROUNDS))


def smoothed(
    weights: Float[np.ndarray, "vertex joint"], faces: Int[np.ndarray, "face 3"], rounds: int
) -> Float[np.ndarray, "vertex joint"]:
    """Weights moved half way to the mean of their neighbours on the surface, so many times."""
    mean = adjacency(faces, len(weights))
    for _ in range(rounds):
        weights = 0.5 * weights + 0.5 * (mean @ weights)
    return weights
