"""Last touches to a fitted pose, for freedoms that landmarks do not show: toes and forearms."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from understudy.core.footage import LANDMARKS
from understudy.decompose.body.pose_state import JOINT, PoseState
from understudy.decompose.body.terms import State
from understudy.decompose.body.window import BodyProblem
from understudy.geometry.rotations import matrix_from_vector, quaternion_from_matrix

__all__ = ["bend_toes", "spread_twist"]

MAX_TOE_BEND_RAD = 1.0


def bend_toes(problem: BodyProblem, state: State) -> PoseState:
    """Toes bent up where their tips would be below the ground: when a heel lifts, the toes stay down."""
    placed = problem.place(state)
    body = problem.model.shaped(np.pad(state.shape, (0, problem.model.components - len(state.shape))))
    R = state.pose.R_parent_joint.copy()
    for side in ("Left", "Right"):
        toe = JOINT[f"{side}ToeBase"]
        tip = body.landmarks[LANDMARKS.index(f"{side.lower()}_foot_index")] * [1.0, 0.0, 1.0] - body.joints[toe]
        # In the foot's frame, toes turn about x; the height of their tip is a sum of a sine and a cosine.
        up = np.einsum("tji,j->ti", placed.R_world_joint[:, JOINT[f"{side}Foot"]], state.up)
        base = (placed.joints_m[:, toe] - state.pivot) @ state.up - state.ground_height
        bends = np.linspace(0.0, MAX_TOE_BEND_RAD, 41)
        y, z = tip[1] * np.cos(bends) + tip[2] * np.sin(bends), tip[2] * np.cos(bends) - tip[1] * np.sin(bends)
        heights = base[:, None] + up[:, :1] * tip[0] + up[:, 1:2] * y + up[:, 2:] * z
        bend = bends[np.where((heights >= 0).any(1), (heights >= 0).argmax(1), heights.argmax(1))]
        bend = gaussian_filter1d(bend, 0.7, mode="nearest")
        R[:, toe] = matrix_from_vector(np.stack([-bend, 0 * bend, 0 * bend], 1))
    return PoseState(state.pose.root_m, R)


def spread_twist(pose: PoseState) -> PoseState:
    """Half of each hand's turn about the arm given to the forearm: skin twists along it, not at the wrist alone."""
    R = pose.R_parent_joint.copy()
    for side in ("Left", "Right"):
        fore, hand = JOINT[f"{side}ForeArm"], JOINT[f"{side}Hand"]
        q = quaternion_from_matrix(R[:, hand])
        half: Float[np.ndarray, " time"] = np.arctan2(q[:, 1], q[:, 0])
        turn = matrix_from_vector(np.stack([half, 0 * half, 0 * half], 1))
        R[:, fore] = R[:, fore] @ turn
        R[:, hand] = np.swapaxes(turn, 1, 2) @ R[:, hand]
    return PoseState(pose.root_m, R)
