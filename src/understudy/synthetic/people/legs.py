"""Feet that stand and step, and the legs that reach them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from understudy.core.motion import BODY_JOINTS, Skeleton
from understudy.geometry.rotations import matrix_from_vector, quaternion_from_matrix

__all__ = ["FootTrack", "leg_rotations"]

STRIKE_RAD, PUSH_RAD = -0.30, 1.0
"""How far the toes are up when the heel strikes, and the heel when the toes push off."""
HEEL_BEHIND_M = 0.04
"""How far the heel's lowest point lies behind the ankle."""
LIFT_M = 0.055


@dataclass(frozen=True)
class FootTrack:
    """One foot over time."""

    ankle_m: Float[np.ndarray, "time 3"]
    R_world_foot: Float[np.ndarray, "time 3 3"]
    toe_bend_rad: Float[np.ndarray, " time"]
    """Of the toes against the foot, about the foot's +X."""
    stands: Bool[np.ndarray, " time"]

    @staticmethod
    def standing(
        frames: int,
        ground_m: Float[np.ndarray, "2"],
        yaw_rad: float,
        ankle_height_m: float,
        toe_m: Float[np.ndarray, "3"],
    ) -> "FootTrack":
        """A foot that never moves, its ankle over `ground_m` (x, z)."""
        ankle = np.tile([ground_m[0], ankle_height_m, ground_m[1]], (frames, 1))
        R = matrix_from_vector(np.tile([0.0, yaw_rad, 0.0], (frames, 1)))
        return FootTrack(ankle, R, np.zeros(frames), np.ones(frames, bool))

    @staticmethod
    def stepping(
        time_s: Float[np.ndarray, " time"],
        touch_s: Float[np.ndarray, " step"],
        stance_s: float,
        ground_m: Float[np.ndarray, "step 2"],
        yaw_rad: Float[np.ndarray, " step"],
        ankle_height_m: float,
        toe_m: Float[np.ndarray, "3"],
    ) -> "FootTrack":
        """A foot that stands at each of its places for `stance_s` after `touch_s`, and swings in between.

        Standing, it rolls from the heel over the flat sole onto the toes, which stay where they are.
        """
        step = np.searchsorted(touch_s, time_s, side="right") - 1
        since = time_s - touch_s[step]
        stands = since < stance_s
        phase = np.clip(since / stance_s, 0, 1)
        strike = STRIKE_RAD * (1 - _smooth(phase / 0.24))
        # The heel rises late and ever faster: knees bend by about 15 degrees while the foot stands, 45 as it leaves
        # (Winter 2009, Biomechanics and motor control of human movement, table A.4).
        push = PUSH_RAD * _smooth((phase - 0.5) / 0.5) ** 3
        pitch = strike + push

        def ankle(index: np.ndarray, pitch: np.ndarray) -> np.ndarray:
            flat = np.stack([ground_m[index, 0], np.full(len(index), ankle_height_m), ground_m[index, 1]], 1)
            R_yaw = matrix_from_vector(yaw_rad[index, None] * [0.0, 1.0, 0.0])
            # The foot turns about the toes' joint with its heel up, about the heel with its toes up.
            pivot = np.where((pitch > 0)[:, None], toe_m, np.array([0.0, -ankle_height_m, -HEEL_BEHIND_M]))
            rolled = pivot - np.einsum("tij,tj->ti", _about_x(pitch), pivot)
            return flat + np.einsum("tij,tj->ti", R_yaw, rolled)

        swing = np.clip((since - stance_s) / np.maximum(touch_s[step + 1] - touch_s[step] - stance_s, 1e-9), 0, 1)
        ones = np.ones(len(time_s))
        leave, arrive = ankle(step, PUSH_RAD * ones), ankle(step + 1, STRIKE_RAD * ones)
        share = _smooth(swing)
        flying = leave + share[:, None] * (arrive - leave)
        flying[:, 1] += LIFT_M * np.sin(np.pi * swing) ** 2
        place = np.where(stands[:, None], ankle(step, pitch), flying)
        pitch = np.where(stands, pitch, PUSH_RAD + share * (STRIKE_RAD - PUSH_RAD))
        yaw = yaw_rad[step] + np.where(stands, 0.0, share) * (yaw_rad[step + 1] - yaw_rad[step])
        toes = np.where(stands, -push, -PUSH_RAD * (1 - _smooth(swing / 0.35)))
        R = matrix_from_vector(yaw[:, None] * [0.0, 1.0, 0.0]) @ _about_x(pitch)
        return FootTrack(place, R, toes, stands)


def leg_rotations(
    q: Float[np.ndarray, "time 22 4"],
    skeleton: Skeleton,
    hips_m: Float[np.ndarray, "time 3"],
    R_world_hips: Float[np.ndarray, "time 3 3"],
    feet: tuple[FootTrack, FootTrack],
) -> None:
    """Fill in hips to toes so that the ankles are where the feet want them; knees bend forwards.

    Lowers `hips_m` in place around where a leg would be too short. Two bones: the law of cosines.
    """
    offset = skeleton.T_parent_joint[:, :3, 3]
    index = {name: BODY_JOINTS.index(name) for name in BODY_JOINTS}
    lowered = np.zeros(len(hips_m))
    for side, foot in zip(("Left", "Right"), feet, strict=True):
        reach = 0.999 * sum(np.linalg.norm(offset[index[f"{side}{part}"]]) for part in ("Leg", "Foot"))
        hip = hips_m + R_world_hips @ offset[index[f"{side}UpLeg"]]
        across = np.linalg.norm((foot.ankle_m - hip)[:, [0, 2]], axis=1)
        highest = foot.ankle_m[:, 1] + np.sqrt(np.maximum(reach**2 - across**2, 0.01))
        lowered = np.maximum(lowered, hip[:, 1] - highest)
    # The widest frames are spread by as much as the filter then looks around, so it never lifts the hips too high.
    hips_m[:, 1] -= gaussian_filter1d(maximum_filter1d(lowered, 3, mode="nearest"), 0.8, radius=1, mode="nearest")
    for side, foot in zip(("Left", "Right"), feet, strict=True):
        thigh, shin = offset[index[f"{side}Leg"]], offset[index[f"{side}Foot"]]
        a, b = np.linalg.norm(thigh), np.linalg.norm(shin)
        hip = hips_m + R_world_hips @ offset[index[f"{side}UpLeg"]]
        to_ankle = foot.ankle_m - hip
        d = np.clip(np.linalg.norm(to_ankle, axis=1, keepdims=True), abs(a - b) + 1e-6, 0.9999 * (a + b))
        u = to_ankle / np.linalg.norm(to_ankle, axis=1, keepdims=True)
        # Between where the hips and where the toes point.
        forward = R_world_hips[:, :, 2] + foot.R_world_foot[:, :, 2]
        forward -= (forward * u).sum(1, keepdims=True) * u
        forward /= np.linalg.norm(forward, axis=1, keepdims=True)
        cosine = np.clip((a * a + d * d - b * b) / (2 * a * d), -1, 1)
        knee = hip + a * (cosine * u + np.sqrt(1 - cosine**2) * forward)
        left = np.cross(forward, u)
        R_thigh = _bone_rotation(thigh, (knee - hip) / a, left)
        R_shin = _bone_rotation(shin, (hip + d * u - knee) / b, left)
        R_toes = _about_x(foot.toe_bend_rad)
        for part, R in (
            ("UpLeg", np.swapaxes(R_world_hips, 1, 2) @ R_thigh),
            ("Leg", np.swapaxes(R_thigh, 1, 2) @ R_shin),
            ("Foot", np.swapaxes(R_shin, 1, 2) @ foot.R_world_foot),
            ("ToeBase", R_toes),
        ):
            q[:, index[f"{side}{part}"]] = quaternion_from_matrix(R)


def _bone_rotation(
    rest: Float[np.ndarray, "3"], direction: Float[np.ndarray, "time 3"], left: Float[np.ndarray, "time 3"]
) -> Float[np.ndarray, "time 3 3"]:
    """World rotations that turn a bone's rest direction to `direction` and the T-pose's +X to `left`."""

    def frame(along: np.ndarray, side: np.ndarray) -> np.ndarray:
        side = side - (side * along).sum(-1, keepdims=True) * along
        side = side / np.linalg.norm(side, axis=-1, keepdims=True)
        return np.stack([side, -along, np.cross(side, -along)], -1)

    rest_frame = frame(rest / np.linalg.norm(rest), np.array([1.0, 0.0, 0.0]))
    return frame(direction, left) @ rest_frame.T


def _about_x(angle_rad: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time 3 3"]:
    return matrix_from_vector(angle_rad[:, None] * [1.0, 0.0, 0.0])


def _smooth(share: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    share = np.clip(share, 0, 1)
    return share**3 * (10 - 15 * share + 6 * share * share)
