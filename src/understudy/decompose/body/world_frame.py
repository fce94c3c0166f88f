"""Brings body and camera into one metric world: gravity along −Y, the ground at y = 0, the actor over the origin.

A picture alone knows neither scale nor gravity. Both come from the actor: bodies have a size, standing feet neither
slide nor sink, torsos are upright on the whole, and film cameras are level.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter1d

from understudy.core.camera import CameraPath, UnscaledCameraPath
from understudy.core.motion import Motion, Skeleton
from understudy.decompose.body.pose_state import JOINT, POINT, SOLES, PlacedBody
from understudy.decompose.body.terms import Observations, SetGround, State, Support
from understudy.geometry.rigid import transform_from
from understudy.geometry.rotations import continuous, quaternion_from_matrix, rotation_between

__all__ = [
    "T_WORLD_CAMERA",
    "camera_in_world",
    "find_support",
    "ground_of_set",
    "level_ground",
    "likely_scale",
    "motion_in_world",
    "standing_feet",
    "start_scale",
    "world_from_solution",
]

T_WORLD_CAMERA = np.diag([1.0, -1.0, -1.0, 1.0])
"""A level camera that looks along −Z: the solver's world, before it is levelled."""
_FEET = [POINT[name] for name in SOLES]
STANDING_SPEED = 0.45
"""Metres per second: a foot that is faster does not stand."""
STANDING_HEIGHT_M = 0.08
"""A sole that is higher above the ground does not stand."""
GROUNDED_HEIGHT_M = 0.15
"""How far above the ground the lowest sole of a body may be thought to be by mistake."""
STILL_ACCELERATION = 1.5
"""m/s² of the hips from which on the weight may be anywhere."""


def start_scale(
    feet_m: Float[np.ndarray, "time sole 3"],
    camera_position: Float[np.ndarray, "time 3"],
    frame_rate: float,
    likely: float | None,
) -> float:
    """Metres per unit of the camera's path, for which feet stand most; within a factor of four of `likely`, if known.

    `feet_m` are in metres from the camera, turned into the world: feet + scale · camera is where they are. In each
    frame the slower foot should be slow, by a cost that stops to grow above walking speed.
    """
    span = max(2, round(frame_rate / 8))
    if len(feet_m) <= span:
        return likely or 1.0
    feet = gaussian_filter1d(feet_m, span / 2, axis=0, mode="nearest")
    d_feet = (feet[span:] - feet[:-span]) * (frame_rate / span)
    d_camera = (camera_position[span:] - camera_position[:-span]) * (frame_rate / span)
    speed = float(np.median(np.linalg.norm(d_camera, axis=-1)))
    if speed < 1e-9:
        return likely or 1.0
    scales = likely * np.geomspace(0.25, 4.0, 120) if likely else np.geomspace(0.02, 20.0, 240) / speed
    cost = []
    for scale in scales:
        v = np.linalg.norm(d_feet + scale * d_camera[:, None], axis=-1).min(1)
        cost.append(float((v**2 / (v**2 + 0.6**2)).mean()))
    return float(scales[int(np.argmin(gaussian_filter1d(np.array(cost), 2.0, mode="nearest")))])


def likely_scale(
    points: Float[np.ndarray, "point 3"],
    camera: UnscaledCameraPath,
    body_px: Float[np.ndarray, "time 33 2"],
    body_m: Float[np.ndarray, "time 33"],
) -> float | None:
    """Metres per unit of the camera's path for which the person stands as far as the set around it; None without set.

    Args:
        body_px, body_m: where the body's landmarks are in the picture, and their depths in metres.
    """
    ratios = []
    for t in range(0, len(camera), max(1, len(camera) // 40)):
        local = (points - camera.T_world_camera[t, :3, 3]) @ camera.T_world_camera[t, :3, :3]
        local = local[local[:, 2] > 1e-6]
        px = local[:, :2] / local[:, 2:] * camera.K[t, [0, 1], [0, 1]] + camera.K[t, :2, 2]
        tall = np.ptp(body_px[t, :, 1])
        near = np.abs(px - body_px[t].mean(0)).max(1) < tall
        if near.sum() >= 8:
            ratios.append(float(np.median(body_m[t]) / np.percentile(local[near, 2], 30)))
    return float(np.median(ratios)) if len(ratios) >= 3 else None


def ground_of_set(
    points: Float[np.ndarray, "point 3"],
    camera: UnscaledCameraPath,
    seen: Observations,
    feet_px: Float[np.ndarray, "time 2"],
    feet_m: Float[np.ndarray, " time"],
) -> SetGround | None:
    """Scale and gravity from the set's points on the ground around the actor's feet; None where too few are seen.

    On the ground, 1 / depth grows linearly down the picture. What it is at the feet, times the feet's depth in metres
    (from the body's size), is the scale of the camera's path.

    Args:
        feet_px, feet_m: where the lower foot is in the picture, and its depth in metres.
    """
    scales, inliers = [], np.zeros(len(points), bool)
    for t in range(0, len(seen), max(1, len(seen) // 80)):
        if not seen.trust[t].any() or feet_px[t, 1] > camera.height + 0.4 * seen.person_px[t]:
            continue
        local = (points - camera.T_world_camera[t, :3, 3]) @ camera.T_world_camera[t, :3, :3]
        ahead = local[:, 2] > 1e-6
        px = (
            local[:, :2] / np.where(ahead, local[:, 2], 1.0)[:, None] * camera.K[t, [0, 1], [0, 1]] + camera.K[t, :2, 2]
        )
        off = (px - feet_px[t]) / seen.person_px[t]
        near = np.flatnonzero(ahead & (np.abs(off[:, 0]) < 1.0) & (off[:, 1] > -0.4) & (off[:, 1] < 0.4))
        if len(near) < 8:
            continue
        line, good = _robust_line(off[near, 1], 1.0 / local[near, 2])
        # Flat walls and far hills do not come nearer down the picture; ground must, at the rate of some camera height.
        if line[0] > 0 and 0.05 < line[1] / line[0] < 3.0 and good.sum() >= 6:
            scales.append(line[0] * feet_m[t])
            inliers[near[good]] = True
    if len(scales) < 3:
        return None
    logs = np.log(scales)
    spread = 1.4826 * float(np.median(np.abs(logs - np.median(logs))))
    up = _plane_normal(points[inliers] @ T_WORLD_CAMERA[:3, :3].T)
    return SetGround(float(np.median(logs)), max(0.03, spread / np.sqrt(len(scales))), up)


def _robust_line(
    x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "2"], Bool[np.ndarray, " n"]]:
    """Offset and slope of y over x without outliers (from the median of many pairs), and which points lie on it."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, len(x), (2, 200))
    apart = np.abs(x[first] - x[second]) > 0.02
    if not apart.any():
        return np.array([np.median(y), 0.0]), np.zeros(len(x), bool)
    first, second = first[apart], second[apart]
    slope = (y[second] - y[first]) / (x[second] - x[first])
    offset = y[first] - slope * x[first]
    off = np.abs(offset[:, None] + slope[:, None] * x - y)
    best = int(np.median(off, axis=1).argmin())
    limit = max(3.0 * 1.4826 * float(np.median(off[best])), 0.02 * float(np.median(y)))
    good = off[best] < limit
    A = np.stack([np.ones(good.sum()), x[good]], 1)
    return np.linalg.lstsq(A, y[good], rcond=None)[0], good


def _plane_normal(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "3"] | None:
    """The normal (upwards) of the plane through the points; None where they do not span one that could be ground."""
    if len(points) < 12:
        return None
    weight = np.ones(len(points))
    for _ in range(10):
        centre = (weight[:, None] * points).sum(0) / weight.sum()
        _, singular, Vt = np.linalg.svd((points - centre) * np.sqrt(weight)[:, None], full_matrices=False)
        off = (points - centre) @ Vt[2]
        weight = 1.0 / (1.0 + (off / (1.4826 * np.median(np.abs(off)) + 1e-9)) ** 2)
    normal = Vt[2] * np.sign(Vt[2, 1] or 1.0)
    return normal if singular[1] > 6.0 * singular[2] and normal[1] > 0.8 else None


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
    # Skaters glide and runners are seldom slow, but whose foot is the lowest and low, stands on something.
    lowest = heights < heights.min(1, keepdims=True) + 0.03
    grounded = np.maximum(planted, 0.3 * lowest / (1.0 + (heights / GROUNDED_HEIGHT_M) ** 2))
    share = planted + 1e-3
    hips = gaussian_filter1d(placed.points_m[:, POINT["Hips"]], seen.frame_rate / 15, axis=0, mode="nearest")
    acceleration = np.gradient(np.gradient(hips, axis=0), axis=0) * seen.frame_rate**2 if len(hips) > 1 else 0 * hips
    still = 1.0 / (1.0 + (np.linalg.norm(acceleration, axis=1) / STILL_ACCELERATION) ** 2)
    return Support(planted, grounded, share / share.sum(1, keepdims=True), planted.max(1) * still)


def standing_feet(planted: Float[np.ndarray, "time sole"], frame_rate: float) -> Bool[np.ndarray, "time 2"]:
    """Whether the left and the right foot stands: heel or ball is planted, for at least a twelfth of a second."""
    firm = np.stack([planted[:, :2].max(1), planted[:, 2:].max(1)], 1) > 0.5
    size = max(2, round(frame_rate / 12))
    firm = binary_closing(np.pad(firm, ((size, size), (0, 0)), mode="edge"), np.ones((size, 1), bool))
    return binary_opening(firm, np.ones((size, 1), bool))[size:-size]


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


def camera_in_world(state: State, camera: UnscaledCameraPath, T_solver_first: Float[np.ndarray, "4 4"]) -> CameraPath:
    """The camera's path in the levelled world, in metres: here its scale becomes known, from the actor's size."""
    path = camera.in_metres(float(np.exp(state.log_scale)))
    return replace(path, T_world_camera=_world_from_solver(state) @ T_solver_first @ path.T_world_camera)


def world_from_solution(state: State, T_solver_first: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """Brings points of the camera's solution into the levelled world, in metres: a similarity."""
    scale = np.exp(state.log_scale)
    return _world_from_solver(state) @ T_solver_first @ np.diag([scale, scale, scale, 1.0])
