"""Brings body and camera into one metric world: gravity along −Y, the ground at y = 0, the actor over the origin.

A picture alone knows neither scale nor gravity. Both come from the actor: bodies have a size, standing feet neither
slide nor sink, torsos are upright on the whole, and film cameras are level.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter1d

from understudy.core.camera import CameraPath
from understudy.core.motion import Motion, Skeleton
from understudy.decompose.body_pose import JOINT, POINT, SOLES, PlacedBody
from understudy.decompose.body_terms import Observations, State, Support
from understudy.geometry.rigid import transform_from
from understudy.geometry.rotations import continuous, quaternion_from_matrix, rotation_between

__all__ = ["camera_in_world", "find_support", "level_ground", "motion_in_world", "standing_feet", "start_scale"]

_FEET = [POINT[name] for name in SOLES]
STANDING_SPEED = 0.45
"""Metres per second: a foot that is faster does not stand."""
STANDING_HEIGHT_M = 0.08
"""A sole that is higher above the ground does not stand."""
STILL_ACCELERATION = 1.5
"""m/s² of the hips from which on the weight may be anywhere."""


def start_scale(
    feet_m: Float[np.ndarray, "time sole 3"], camera_position: Float[np.ndarray, "time 3"], frame_rate: float
) -> float:
    """Metres per unit of the camera's path, for which feet stand most.

    `feet_m` are in metres from the camera, turned into the world: feet + scale · camera is where they are. In each
    frame the slower foot should be slow, by a cost that stops to grow above walking speed.
    """
    span = max(2, round(frame_rate / 8))
    if len(feet_m) <= span:
        return 1.0
    feet = gaussian_filter1d(feet_m, span / 2, axis=0, mode="nearest")
    d_feet = (feet[span:] - feet[:-span]) * (frame_rate / span)
    d_camera = (camera_position[span:] - camera_position[:-span]) * (frame_rate / span)
    speed = float(np.median(np.linalg.norm(d_camera, axis=-1)))
    if speed < 1e-9:
        return 1.0
    scales = np.geomspace(0.02, 20.0, 240) / speed
    cost = []
    for scale in scales:
        v = np.linalg.norm(d_feet + scale * d_camera[:, None], axis=-1).min(1)
        cost.append(float((v**2 / (v**2 + 0.6**2)).mean()))
    return float(scales[int(np.argmin(gaussian_filter1d(np.array(cost), 2.0, mode="nearest")))])


def level_ground(state: State, placed: PlacedBody, seen: Observations) -> State:
    """A first guess of gravity and ground: between the level camera's up and the mean torso's, under the slow feet."""
    torso = placed.points_m[:, POINT["Neck"]] - placed.points_m[:, POINT["Hips"]]
    torso = torso / np.linalg.norm(torso, axis=1, keepdims=True)
    level = -seen.R_camera_world[:, 1].mean(0)
    up = level / np.linalg.norm(level) + np.median(torso, 0)
    sideways = seen.R_camera_world[:, 0].mean(0)
    up = up - sideways * (up @ sideways) / (sideways @ sideways)
    up = up / np.linalg.norm(up)
    feet = placed.points_m[:, _FEET]
    pivot = np.median(feet.reshape(-1, 3), 0)
    state = replace(state, up=up, ground_height=0.0, pivot=pivot)
    heights = (feet - pivot) @ up
    slow = 1.0 / (1.0 + (_speeds(placed, state, seen) / STANDING_SPEED) ** 4)
    ground = float(np.percentile(heights.min(1), 20))
    for _ in range(5):
        weight = slow / (1.0 + ((heights - ground) / 0.15) ** 2)
        ground = float((weight * heights).sum() / max(weight.sum(), 1e-9))
    return replace(state, ground_height=ground)


def _speeds(placed: PlacedBody, state: State, seen: Observations) -> Float[np.ndarray, "time sole"]:
    """Speeds of the soles in m/s; movement along the camera's ray, which is seen badly, counts a third."""
    feet = placed.points_m[:, _FEET]
    velocity = np.gradient(feet, axis=0) * seen.frame_rate if len(feet) > 1 else np.zeros_like(feet)
    ray = feet - np.exp(state.log_scale) * seen.camera_position[:, None]
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    along = (velocity * ray).sum(-1, keepdims=True)
    return np.linalg.norm(velocity - (2 / 3) * along * ray, axis=-1)


def find_support(placed: PlacedBody, state: State, seen: Observations) -> Support:
    """Which soles stand on the ground (they are slow and low), and how still the body is above them."""
    feet = placed.points_m[:, _FEET]
    heights = (feet - state.pivot) @ state.up - state.ground_height
    slow = 1.0 / (1.0 + (_speeds(placed, state, seen) / STANDING_SPEED) ** 4)
    low = 1.0 / (1.0 + (np.maximum(heights, 0.0) / STANDING_HEIGHT_M) ** 4)
    planted = slow * low
    share = planted + 1e-3
    hips = gaussian_filter1d(placed.points_m[:, POINT["Hips"]], seen.frame_rate / 15, axis=0, mode="nearest")
    acceleration = np.gradient(np.gradient(hips, axis=0), axis=0) * seen.frame_rate**2 if len(hips) > 1 else 0 * hips
    still = 1.0 / (1.0 + (np.linalg.norm(acceleration, axis=1) / STILL_ACCELERATION) ** 2)
    return Support(planted, share / share.sum(1, keepdims=True), planted.max(1) * still)


def standing_feet(planted: Float[np.ndarray, "time sole"], frame_rate: float) -> Bool[np.ndarray, "time 2"]:
    """Whether the left and the right foot stands: heel or ball is planted, for at least a twelfth of a second."""
    firm = np.stack([planted[:, :2].max(1), planted[:, 2:].max(1)], 1) > 0.5
    size = max(2, round(frame_rate / 12))
    firm = binary_closing(np.pad(firm, ((size, size), (0, 0)), mode="edge"), np.ones((size, 1)))
    return binary_opening(firm, np.ones((size, 1)))[size:-size]


def _world_from_solver(state: State) -> Float[np.ndarray, "4 4"]:
    """Turns the solver's world until `up` is +Y, and puts the ground at y = 0 and the first root over the origin."""
    R = rotation_between(state.up, np.array([0.0, 1.0, 0.0]))
    root = R @ state.pose.root_m[0]
    ground = float(state.up @ state.pivot) + state.ground_height
    return transform_from(R, np.array([-root[0], -ground, -root[2]]))


def motion_in_world(state: State, skeleton: Skeleton, frame_rate: Fraction) -> Motion:
    """The fitted pose as a motion in the levelled world."""
    T = _world_from_solver(state)
    R = state.pose.R_parent_joint.copy()
    R[:, JOINT["Hips"]] = T[:3, :3] @ R[:, JOINT["Hips"]]
    return Motion(
        skeleton=skeleton,
        q_parent_joint=continuous(quaternion_from_matrix(R)),
        root_position_m=state.pose.root_m @ T[:3, :3].T + T[:3, 3],
        frame_rate=frame_rate,
    )


def camera_in_world(state: State, camera: CameraPath, T_solver_first: Float[np.ndarray, "4 4"]) -> CameraPath:
    """The camera's path in the levelled world, in metres."""
    T = camera.T_world_camera.copy()
    T[:, :3, 3] *= np.exp(state.log_scale)
    return replace(camera, T_world_camera=_world_from_solver(state) @ T_solver_first @ T)
