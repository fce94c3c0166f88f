"""When an actor's feet stand on the ground."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter1d

from understudy.core.motion import BODY_JOINTS
from understudy.retarget.rest import SIDES, Body

__all__ = ["detect_contacts"]

SMOOTHING_S = 0.033
HIGHEST_SHARE = 0.045
"""A standing foot's lowest point is at most this share of the leg's length above the ground."""
FASTEST_LEGS_PER_S = 0.3
"""A standing foot's slowest point moves at most so many leg lengths in a second."""
SHORTEST_S = 0.1
LONGEST_GAP_S = 0.07


def detect_contacts(
    T_world_joint: Float[np.ndarray, "time 22 4 4"], actor: Body, frame_rate: float
) -> Bool[np.ndarray, "time 2"]:
    """Whether the left and the right foot stands: heel or ball is low and slow, for longer than a moment."""
    standing = np.zeros((len(T_world_joint), 2), bool)
    for place, side in enumerate(SIDES):
        sole = actor.soles[side]
        foot, toes = BODY_JOINTS.index(f"{side}Foot"), BODY_JOINTS.index(f"{side}ToeBase")
        for joint, point in ((foot, sole.heel), (foot, sole.ball), (toes, sole.tip)):
            T = T_world_joint[:, joint]
            path = T[:, :3, 3] + T[:, :3, :3] @ (point - actor.positions[joint])
            path = gaussian_filter1d(path, SMOOTHING_S * frame_rate, axis=0, mode="nearest")
            speed = np.linalg.norm(np.gradient(path, axis=0), axis=1) * frame_rate if len(path) > 1 else np.zeros(1)
            low = path[:, 1] < HIGHEST_SHARE * actor.leg_m
            standing[:, place] |= low & (speed < FASTEST_LEGS_PER_S * actor.leg_m)
    return np.stack([tidy(standing[:, place], frame_rate) for place in range(2)], 1)


def tidy(standing: Bool[np.ndarray, " time"], frame_rate: float) -> Bool[np.ndarray, " time"]:
    """Short gaps closed and short contacts dropped; the ends of the shot count as going on."""
    gap, short = (max(1, round(seconds * frame_rate)) for seconds in (LONGEST_GAP_S, SHORTEST_S))
    pad = gap + short + 1
    padded = np.pad(standing, pad, mode="edge")
    padded = binary_closing(padded, np.ones(gap + 1, bool))
    padded = binary_opening(padded, np.ones(short, bool))
    return padded[pad:-pad]
