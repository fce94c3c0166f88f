"""Skeletons and how they move."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from understudy.geometry.kinematics import forward_kinematics
from understudy.runtime.checks import check_finite, check_rigid, check_shape

__all__ = ["BODY_JOINTS", "BODY_PARENTS", "Motion", "Skeleton"]

BODY_JOINTS: tuple[str, ...] = (
    "Hips", "Spine", "Spine1", "Spine2", "Neck", "Head",
    "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand",
    "RightShoulder", "RightArm", "RightForeArm", "RightHand",
    "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase",
    "RightUpLeg", "RightLeg", "RightFoot", "RightToeBase",
)  # fmt: skip
"""The 22 joints of the canonical body, by their Mixamo names; a joint stands at the start of its bone."""

BODY_PARENTS: tuple[int, ...] = (-1, 0, 1, 2, 3, 4, 3, 6, 7, 8, 3, 10, 11, 12, 0, 14, 15, 16, 0, 18, 19, 20)
"""The parent of each of BODY_JOINTS, as an index; −1 for the root."""


@dataclass(frozen=True)
class Skeleton:
    """Joints, who hangs on whom, and the rest pose. Parents stand before their children."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    T_parent_joint: Float[np.ndarray, "joint 4 4"]
    """The rest pose, in metres: each joint in its parent's frame, a root in the model's frame (+Y up, facing +Z)."""

    def __post_init__(self) -> None:
        check_rigid("T_parent_joint", self.T_parent_joint)
        check_shape("T_parent_joint", self.T_parent_joint, len(self.names), 4, 4)
        if len(self.parents) != len(self.names):
            raise ValueError(f"{len(self.names)} joints but {len(self.parents)} parents")
        for joint, parent in enumerate(self.parents):
            if not -1 <= parent < joint:
                raise ValueError(f"joint {self.names[joint]!r} stands before its parent (index {parent})")

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Motion:
    """A skeleton over time: every joint turns, the root also travels.

    In the canonical body skeleton (BODY_JOINTS) all rest rotations are the identity and the rest pose is a T-pose
    facing +Z, so a rotation says how the bone is turned away from the T-pose.
    """

    skeleton: Skeleton
    q_parent_joint: Float[np.ndarray, "time joint 4"]
    """Unit quaternions wxyz: the full rotation of each joint in its parent's frame (the root's: in the world)."""
    root_position_m: Float[np.ndarray, "time 3"]
    """Where the root joint is in the world, in metres."""
    frame_rate: Fraction

    def __post_init__(self) -> None:
        time = len(self.root_position_m)
        check_shape("root_position_m", self.root_position_m, None, 3)
        check_shape("q_parent_joint", self.q_parent_joint, time, len(self.skeleton), 4)
        check_finite("root_position_m", self.root_position_m)
        check_finite("q_parent_joint", self.q_parent_joint)
        if np.abs(np.linalg.norm(self.q_parent_joint, axis=-1) - 1.0).max(initial=0.0) > 1e-4:
            raise ValueError("q_parent_joint holds quaternions that are not of unit length")

    def __len__(self) -> int:
        return len(self.root_position_m)

    def T_world_joint(self) -> Float[np.ndarray, "time joint 4 4"]:
        """Every joint in the world, over time."""
        skeleton = self.skeleton
        offsets_m = skeleton.T_parent_joint[:, :3, 3]
        return forward_kinematics(skeleton.parents, offsets_m, self.q_parent_joint, self.root_position_m)
