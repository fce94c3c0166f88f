"""What a fitted body should do: one small function per term, each giving residuals and their derivatives.

A residual of one is one standard deviation: weights are the `*_sigma` of `TermConfig`. The unknowns have names: "pose"
of every frame, and what all frames share ("shape", "log_scale", "depth_tilt", "up", "ground_height"; see `State`).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from understudy.core.footage import LANDMARKS
from understudy.decompose.body.pose_state import (
    POINT,
    POINTS,
    SOLES,
    BodyPoints,
    PlacedBody,
    PoseState,
    place,
    pose_jacobian,
    shape_jacobian,
)
from understudy.decompose.people.landmark_bias import BONE_MATRIX, BONES
from understudy.runtime.checks import check_options
from understudy.solvers.losses import Loss, cauchy
from understudy.solvers.residuals import FrameResiduals
from understudy.solvers.unknowns import Step

__all__ = [
    "FEET",
    "Linearised",
    "Observations",
    "SetGround",
    "State",
    "Support",
    "TermConfig",
    "accelerations",
    "bone_depths",
    "foot_speeds",
    "ground_axes",
    "ground_contacts",
    "linearise",
    "project_landmarks",
    "reprojections",
    "shared_sizes",
]

_MAX_TURN = 0.5
"""Radians by which one step may turn a joint: beyond, the linear model of a turn says little."""


@dataclass(frozen=True)
class TermConfig:
    """How much each term is believed. Sigmas are standard deviations: smaller is stronger."""

    pixel_sigma: float = 0.014
    """Of landmarks in the picture, as a share of the person's height there."""
    pixel_kernel: float = 2.5
    """From how many sigmas on a landmark counts less and less."""
    depth_sigma: float = 2.2
    """Factor of the spreads of BONES: errors last for many frames, and do not average out."""
    tilt_sigma: float = 0.2
    """Radians by which the landmark model may lean every body, forwards or backwards."""
    acceleration: float = 1.0
    """Factor of the accelerations that a body is expected to have; less is smoother."""
    acceleration_kernel: float = 1.3
    """From how many of these on a burst counts less and less."""
    speed_sigma: float = 0.1
    """Metres per second of a standing foot."""
    contact_sigma_m: float = 0.02
    """Distance of a standing foot's sole from the ground."""
    below_sigma_m: float = 0.03
    """Of any foot below the ground."""
    prior_weight: float = 0.6
    """Factor of the residuals of the pose prior."""
    balance_sigma_m: float = 0.06
    """Distance of the body's weight from above the feet, while it is still."""
    upright_sigma: float = 0.06
    """Radians by which the mean torso leans."""
    swing_sigma: float = 0.25
    """Sine of the angle by which a hanging arm, or its forearm, is not where the walk's swing has it."""
    roll_sigma: float = 0.02
    """Radians of a film camera's roll."""
    pitch_sigma: float = 0.25
    """Radians by which a film camera looks up or down."""
    set_up_sigma: float = 0.04
    """Radians by which gravity may differ from across the ground that the set's points show."""
    height_sigma_m: float = 0.02
    """Of the body's height about the expected one."""
    shape_sigma: float = 0.7
    """Of each shape component about the likeliest body of the expected height."""

    def __post_init__(self) -> None:
        check_options(
            self,
            acceleration=(0, 1000),
            prior_weight=(0, 1000),
            **{name: (1e-6, 1000) for name in vars(self) if name.endswith(("sigma", "sigma_m", "kernel"))},
        )


@dataclass(frozen=True)
class Observations:
    """What the picture says, for each frame."""

    landmarks_px: Float[np.ndarray, "time 33 2"]
    trust: Float[np.ndarray, "time 33"]
    """0 … 1: how much each landmark counts."""
    person_px: Float[np.ndarray, " time"]
    """How tall the person would stand in the picture, in pixels."""
    bone_depth: Float[np.ndarray, "time bone"]
    """Sine of each bone's angle away from the camera, by the landmark model."""
    bone_drop: Float[np.ndarray, "time bone"]
    """Share of each bone's length that points down in the picture."""
    bone_trust: Float[np.ndarray, "time bone"]
    K: Float[np.ndarray, "time 3 3"]
    R_camera_world: Float[np.ndarray, "time 3 3"]
    camera_position: Float[np.ndarray, "time 3"]
    """In the world, of unknown scale where the camera moves through space."""
    frame_rate: float

    def __len__(self) -> int:
        return len(self.person_px)


@dataclass(frozen=True)
class Support:
    """What carries the body, as known from the last state."""

    planted: Float[np.ndarray, "time sole"]
    """How surely, 0 … 1, each of SOLES stands still on the ground."""
    grounded: Float[np.ndarray, "time sole"]
    """How surely it touches the ground at all: gliding counts too."""
    share: Float[np.ndarray, "time sole"]
    """How the weight is spread over them; each row adds to one."""
    stillness: Float[np.ndarray, " time"]
    """0 … 1: how well the weight stands above the feet: not in flight, not while speeding up."""


@dataclass(frozen=True)
class SetGround:
    """What the set's points say of scale and gravity."""

    log_scale: float
    """Logarithm of metres per unit of the camera's path."""
    log_scale_sigma: float
    up: Float[np.ndarray, "3"] | None
    """Unit vector against gravity in the solver's world; None where the points do not tell."""


@dataclass(frozen=True)
class State:
    """Everything that is solved for."""

    pose: PoseState
    shape: Float[np.ndarray, " component"]
    log_scale: float
    """Logarithm of metres per unit of the camera's path."""
    depth_tilt: float
    """Radians by which the landmark model leans bodies towards the camera."""
    up: Float[np.ndarray, "3"]
    """Unit vector against gravity."""
    ground_height: float
    """Of the ground along `up`, above `pivot`."""
    pivot: Float[np.ndarray, "3"]
    """A fixed point near the feet; the ground turns about it."""

    def scaled(self, log_scale: float, camera_position: Float[np.ndarray, "time 3"]) -> "State":
        """This state with another scale of the camera's path: the body keeps its place in each frame's picture."""
        change = np.exp(log_scale) - np.exp(self.log_scale)
        pose = replace(self.pose, root_m=self.pose.root_m + change * camera_position)
        return replace(self, pose=pose, log_scale=log_scale)

    def moved(self, step: Step) -> "State":
        """This state after a step of the unknowns; `up` moves along its `ground_axes`."""
        pose = step["pose"].copy()
        pose[:, 3:] = np.clip(pose[:, 3:], -_MAX_TURN, _MAX_TURN)
        up = self.up + step["up"] @ ground_axes(self.up)
        return State(
            self.pose.moved(pose),
            self.shape + step["shape"],
            self.log_scale + float(step["log_scale"][0]),
            self.depth_tilt + float(step["depth_tilt"][0]),
            up / np.linalg.norm(up),
            self.ground_height + float(step["ground_height"][0]),
            self.pivot,
        )


def shared_sizes(components: int) -> dict[str, int]:
    """The unknowns that all frames share."""
    return {"shape": components, "log_scale": 1, "depth_tilt": 1, "up": 2, "ground_height": 1}


def ground_axes(up: Float[np.ndarray, "3"]) -> Float[np.ndarray, "2 3"]:
    """Two unit vectors across `up`."""
    first = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    first = first / np.linalg.norm(first)
    return np.stack([first, np.cross(up, first)])


@dataclass(frozen=True)
class Linearised:
    """The body at a state, and how its points move."""

    placed: PlacedBody
    d_pose: Float[np.ndarray, "time point 3 freedom"]
    d_shape: Float[np.ndarray, "time point 3 component"]


def linearise(points: BodyPoints, state: State) -> Linearised:
    """Place the body and all its derivatives."""
    placed = place(points, state.pose, state.shape)
    return Linearised(placed, pose_jacobian(points, placed), shape_jacobian(points, placed))


def project_landmarks(
    seen: Observations, state: State, placed: PlacedBody
) -> tuple[Float[np.ndarray, "time 33 2"], Float[np.ndarray, "time 33"]]:
    """Where the picture shows the body's landmarks, in pixels, and their depths in metres."""
    offset = placed.points_m[:, : len(LANDMARKS)] - np.exp(state.log_scale) * seen.camera_position[:, None]
    camera = offset @ np.swapaxes(seen.R_camera_world, 1, 2)
    z = np.maximum(camera[..., 2], 0.05)
    return camera[..., :2] / z[..., None] * seen.K[:, None, [0, 1], [0, 1]] + seen.K[:, None, :2, 2], z


def reprojections(seen: Observations, state: State, lin: Linearised, config: TermConfig) -> FrameResiduals:
    """Landmarks should stand where the picture shows them."""
    count = len(LANDMARKS)
    scale = np.exp(state.log_scale)
    R = seen.R_camera_world
    pixels, z = project_landmarks(seen, state, lin.placed)
    focal = seen.K[:, None, [0, 1], [0, 1]]
    flat = (pixels - seen.K[:, None, :2, 2]) / focal
    sigma = (config.pixel_sigma * seen.person_px)[:, None, None]
    residual = (pixels - seen.landmarks_px) / sigma
    # d(x/z) = (dx − (x/z) dz) / z
    d_camera = np.zeros((*z.shape, 2, 3))
    d_camera[..., 0, 0] = d_camera[..., 1, 1] = 1.0
    d_camera[..., 2] = -flat
    d_camera *= (focal / (z[..., None] * sigma))[..., None]
    d_point = d_camera @ R[:, None]
    derivatives = {
        "pose": d_point @ lin.d_pose[:, :count],
        "shape": d_point @ lin.d_shape[:, :count],
        "log_scale": -scale * np.einsum("tpij,tj->tpi", d_point, seen.camera_position)[..., None],
    }
    return FrameResiduals(residual, derivatives, seen.trust, cauchy(config.pixel_kernel))


def bone_depths(seen: Observations, state: State, lin: Linearised, config: TermConfig) -> FrameResiduals:
    """Bones should point towards or away from the camera as the landmark model guesses, up to a common lean."""
    count = len(LANDMARKS)
    root = lin.placed.joints_m[:, 0]
    ray = root - np.exp(state.log_scale) * seen.camera_position
    ray = ray / np.linalg.norm(ray, axis=1, keepdims=True)
    bones = BONE_MATRIX @ lin.placed.points_m[:, :count]
    length = np.linalg.norm(bones, axis=-1)
    spread = np.array([bone.spread for bone in BONES])
    sigma = config.depth_sigma * spread
    residual = (
        np.einsum("tbi,ti->tb", bones, ray) / length - seen.bone_depth - state.depth_tilt * seen.bone_drop
    ) / sigma
    # The length changes with the shape only, and little: it is held.
    along = np.einsum("tpif,ti->tpf", lin.d_pose[:, :count], ray)
    d_pose = (BONE_MATRIX @ along) / (length * sigma)[..., None]
    derivatives = {"pose": d_pose[:, :, None], "depth_tilt": (-seen.bone_drop / sigma)[..., None, None]}
    return FrameResiduals(residual[..., None], derivatives, seen.bone_trust, cauchy(1.0))


_ACCELERATION = {
    "Hips": 5.0, "Spine2": 6.0, "Head": 8.0, "nose": 10.0, "shoulder": 8.0, "elbow": 16.0, "wrist": 32.0, "index": 40.0,
    "hip": 6.5, "knee": 16.0, "ankle": 27.0, "foot_index": 30.0,
    "Hips.front": 5.0, "Spine2.front": 6.0, "UpLeg.front": 14.0, "Arm.front": 16.0,
}  # fmt: skip
"""Usual accelerations of points of the body, in m/s²; bursts of many times this (serves, steps) are let through."""


def _accelerating() -> tuple[Int[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """The points whose accelerations are known, of both sides, and these."""
    points, usual = [], []
    for name, value in _ACCELERATION.items():
        both = [name] if name in POINT else [f"{side}{name}" for side in ("left_", "right_", "Left", "Right")]
        found = [POINT[each] for each in both if each in POINT]
        points += found
        usual += [value] * len(found)
    return np.array(points), np.array(usual)


_ACCELERATING, _USUAL_ACCELERATION = _accelerating()


def accelerations(seen: Observations, lin: Linearised, config: TermConfig) -> FrameResiduals:
    """Points should change their speed no more than bodies do; bursts are let through."""
    scale = seen.frame_rate**2 / (_USUAL_ACCELERATION * config.acceleration)
    weight = np.ones((max(len(seen) - 2, 0), len(scale)))
    loss = cauchy(config.acceleration_kernel)
    return _point_differences(lin, _ACCELERATING, scale, weight, loss, (1.0, -2.0, 1.0))


def foot_speeds(
    seen: Observations, lin: Linearised, planted: Float[np.ndarray, "time sole"], config: TermConfig
) -> FrameResiduals:
    """Standing feet should stay where they are; `planted` is 0 … 1 for each of SOLES."""
    scale = np.full(len(FEET), seen.frame_rate / config.speed_sigma)
    return _point_differences(lin, FEET, scale, np.minimum(planted[1:], planted[:-1]), cauchy(2.0), (-1.0, 1.0))


def _point_differences(
    lin: Linearised,
    which: Int[np.ndarray, " row"],
    scale: Float[np.ndarray, " row"],
    weight: Float[np.ndarray, "window row"],
    loss: Loss,
    factors: tuple[float, ...],
) -> FrameResiduals:
    """Residuals between neighbouring frames of some points, each times its scale."""
    each = scale[:, None, None]
    derivatives = {"pose": lin.d_pose[:, which] * each, "shape": lin.d_shape[:, which] * each}
    return FrameResiduals(lin.placed.points_m[:, which] * scale[:, None], derivatives, weight, loss, factors)


def _heights(
    state: State, lin: Linearised, which: Int[np.ndarray, " row"], sigma_m: float
) -> tuple[Float[np.ndarray, "time row"], dict[str, np.ndarray]]:
    """Heights of points above the ground in metres, and their derivatives in units of `sigma_m`."""
    points = lin.placed.points_m[:, which]
    height = (points - state.pivot) @ state.up - state.ground_height
    by = {
        "pose": np.einsum("tpif,i->tpf", lin.d_pose[:, which], state.up),
        "shape": np.einsum("tpik,i->tpk", lin.d_shape[:, which], state.up),
        "up": (points - state.pivot) @ ground_axes(state.up).T,
        "ground_height": np.full((*height.shape, 1), -1.0),
    }
    return height, {name: derivative[:, :, None] / sigma_m for name, derivative in by.items()}


FEET = np.array([POINT[name] for name in SOLES])
_ABOVE = tuple(POINT[name] for name in (*SOLES, "left_knee", "right_knee",
                                        "left_wrist", "right_wrist", "Hips", "Head"))  # fmt: skip
_CLEARANCE = np.array([0.0 if POINTS[p] in SOLES else 0.04 for p in _ABOVE])


def ground_contacts(
    state: State, lin: Linearised, planted: Float[np.ndarray, "time sole"], config: TermConfig
) -> tuple[FrameResiduals, FrameResiduals]:
    """Standing soles should be on the ground; nothing should be below it."""
    height, derivatives = _heights(state, lin, FEET, config.contact_sigma_m)
    standing = FrameResiduals((height / config.contact_sigma_m)[..., None], derivatives, planted, cauchy(2.0))
    height, derivatives = _heights(state, lin, np.array(_ABOVE), config.below_sigma_m)
    short = np.minimum(height - _CLEARANCE, 0.0)
    below = FrameResiduals((short / config.below_sigma_m)[..., None], derivatives, (short < 0).astype(np.float64))
    return standing, below
