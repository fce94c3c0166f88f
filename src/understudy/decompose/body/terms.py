"""What a fitted body should do: one small function per term, each giving residuals and their Jacobians.

A residual of one is one standard deviation: weights are the `*_sigma` of `TermConfig`. Terms of one frame give `Rows`;
terms between neighbouring frames give `Stencil`s: sums of a few frames' points with fixed factors.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from understudy.core.footage import LANDMARKS
from understudy.decompose.body.pose_state import (
    POINT,
    POINTS,
    SOLES,
    BodyPoints,
    PlacedBody,
    Pose,
    place,
    pose_jacobian,
    shape_jacobian,
)
from understudy.decompose.people.landmark_bias import BONE_MATRIX, BONES

__all__ = [
    "EXTRA",
    "FEET",
    "Kernel",
    "Linearised",
    "Observations",
    "Rows",
    "SetGround",
    "State",
    "Stencil",
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
    "robust",
    "shared_zeros",
]

Kernel = Literal["square", "cauchy"]
EXTRA = ("log_scale", "depth_tilt", "up_a", "up_b", "ground_height")
"""Unknowns that all frames share besides the shape, in the order in which they follow it."""


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

    pose: Pose
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

    def moved(self, step: Float[np.ndarray, "time freedom"], shared: Float[np.ndarray, " shared"]) -> "State":
        """This state, changed."""
        count = len(self.shape)
        log_scale, tilt, a, b, height = shared[count:]
        across = ground_axes(self.up)
        up = self.up + a * across[0] + b * across[1]
        return State(
            self.pose.moved(step),
            self.shape + shared[:count],
            self.log_scale + float(log_scale),
            self.depth_tilt + float(tilt),
            up / np.linalg.norm(up),
            self.ground_height + float(height),
            self.pivot,
        )


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

    @property
    def shared(self) -> int:
        """How many unknowns all frames share."""
        return self.d_shape.shape[-1] + len(EXTRA)


def linearise(points: BodyPoints, state: State) -> Linearised:
    """Place the body and all its derivatives."""
    placed = place(points, state.pose, state.shape)
    return Linearised(placed, pose_jacobian(points, placed), shape_jacobian(points, placed))


@dataclass(frozen=True)
class Rows:
    """Residuals of single frames; the parts of one row are weighed together by the kernel."""

    residual: Float[np.ndarray, "time row part"]
    d_pose: Float[np.ndarray, "time row part some"]
    """By the freedoms in `freedoms`; the others do not matter to these rows."""
    d_shared: Float[np.ndarray, "time row part shared"] | None
    weight: Float[np.ndarray, "time row"]
    kernel: Kernel = "square"
    kernel_scale: float = 1.0
    freedoms: slice = field(default_factory=lambda: slice(None))


@dataclass(frozen=True)
class Stencil:
    """Residuals Σ factor[k] · point[t + k] · scale, for each t and each of `points`."""

    points: Int[np.ndarray, " n"]
    factors: tuple[float, ...]
    scale: Float[np.ndarray, " n"]
    weight: Float[np.ndarray, "window n"]
    kernel: Kernel = "square"
    kernel_scale: float = 1.0


def robust(
    squared: Float[np.ndarray, "..."], kernel: Kernel, scale: float
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Cost and weight of squared residuals. Cauchy: Black and Anandan 1996; weights after Triggs et al. 1999."""
    if kernel == "square":
        return squared, np.ones_like(squared)
    share = squared / scale**2
    return scale**2 * np.log1p(share), 1.0 / (1.0 + share)


def shared_zeros(lin: Linearised, rows: int, parts: int) -> np.ndarray:
    return np.zeros((len(lin.placed.points_m), rows, parts, lin.shared))


def project_landmarks(
    seen: Observations, state: State, placed: PlacedBody
) -> tuple[Float[np.ndarray, "time 33 2"], Float[np.ndarray, "time 33"]]:
    """Where the picture shows the body's landmarks, in pixels, and their depths in metres."""
    offset = placed.points_m[:, : len(LANDMARKS)] - np.exp(state.log_scale) * seen.camera_position[:, None]
    camera = offset @ np.swapaxes(seen.R_camera_world, 1, 2)
    z = np.maximum(camera[..., 2], 0.05)
    return camera[..., :2] / z[..., None] * seen.K[:, None, [0, 1], [0, 1]] + seen.K[:, None, :2, 2], z


def reprojections(seen: Observations, state: State, lin: Linearised, config: TermConfig) -> Rows:
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
    d_shared = shared_zeros(lin, count, 2)
    components = lin.d_shape.shape[-1]
    d_shared[..., :components] = d_point @ lin.d_shape[:, :count]
    d_shared[..., components] = -scale * np.einsum("tpij,tj->tpi", d_point, seen.camera_position)
    return Rows(residual, d_point @ lin.d_pose[:, :count], d_shared, seen.trust, "cauchy", config.pixel_kernel)


def bone_depths(seen: Observations, state: State, lin: Linearised, config: TermConfig) -> Rows:
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
    d_shared = shared_zeros(lin, len(BONES), 1)
    d_shared[:, :, 0, lin.d_shape.shape[-1] + 1] = -seen.bone_drop / sigma
    return Rows(residual[..., None], d_pose[:, :, None], d_shared, seen.bone_trust, "cauchy", 1.0)


_ACCELERATION = {
    "Hips": 5.0, "Spine2": 6.0, "Head": 8.0, "nose": 10.0, "shoulder": 8.0, "elbow": 16.0, "wrist": 32.0, "index": 40.0,
    "hip": 6.5, "knee": 16.0, "ankle": 27.0, "foot_index": 30.0,
    "Hips.front": 5.0, "Spine2.front": 6.0, "UpLeg.front": 14.0, "Arm.front": 16.0,
}  # fmt: skip
"""Usual accelerations of points of the body, in m/s²; bursts of many times this (serves, steps) are let through."""


def accelerations(seen: Observations, config: TermConfig) -> Stencil:
    """Points should change their speed no more than bodies do; bursts are let through."""
    names, usual = [], []
    for name, value in _ACCELERATION.items():
        both = [name] if name in POINT else [f"{side}{name}" for side in ("left_", "right_", "Left", "Right")]
        both = [each for each in both if each in POINT]
        names += both
        usual += [value] * len(both)
    return Stencil(
        points=np.array([POINT[name] for name in names]),
        factors=(1.0, -2.0, 1.0),
        scale=seen.frame_rate**2 / (np.array(usual) * config.acceleration),
        weight=np.ones((max(len(seen) - 2, 0), len(names))),
        kernel="cauchy",
        kernel_scale=config.acceleration_kernel,
    )


def foot_speeds(seen: Observations, planted: Float[np.ndarray, "time sole"], config: TermConfig) -> Stencil:
    """Standing feet should stay where they are; `planted` is 0 … 1 for each of SOLES."""
    return Stencil(
        points=np.array([POINT[name] for name in SOLES]),
        factors=(-1.0, 1.0),
        scale=np.full(len(SOLES), seen.frame_rate / config.speed_sigma),
        weight=np.minimum(planted[1:], planted[:-1]),
        kernel="cauchy",
        kernel_scale=2.0,
    )


def _ground_derivatives(
    state: State, lin: Linearised, which: Int[np.ndarray, " row"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights of points above the ground, and how they change."""
    points = lin.placed.points_m[:, which]
    height = (points - state.pivot) @ state.up - state.ground_height
    d_pose = np.einsum("tpif,i->tpf", lin.d_pose[:, which], state.up)
    d_shared = shared_zeros(lin, len(which), 1)
    components = lin.d_shape.shape[-1]
    d_shared[:, :, 0, :components] = np.einsum("tpik,i->tpk", lin.d_shape[:, which], state.up)
    d_shared[:, :, 0, components + 2 : components + 4] = (points - state.pivot) @ ground_axes(state.up).T
    d_shared[:, :, 0, components + 4] = -1.0
    return height, d_pose, d_shared


FEET = np.array([POINT[name] for name in SOLES])
_ABOVE = tuple(POINT[name] for name in (*SOLES, "left_knee", "right_knee",
                                        "left_wrist", "right_wrist", "Hips", "Head"))  # fmt: skip
_CLEARANCE = np.array([0.0 if POINTS[p] in SOLES else 0.04 for p in _ABOVE])


def ground_contacts(
    state: State, lin: Linearised, planted: Float[np.ndarray, "time sole"], config: TermConfig
) -> tuple[Rows, Rows]:
    """Standing soles should be on the ground; nothing should be below it."""
    height, d_pose, d_shared = _ground_derivatives(state, lin, FEET)
    sigma = config.contact_sigma_m
    standing = Rows((height / sigma)[..., None], (d_pose / sigma)[:, :, None], d_shared / sigma, planted, "cauchy", 2.0)
    height, d_pose, d_shared = _ground_derivatives(state, lin, np.array(_ABOVE))
    short = height - _CLEARANCE
    sigma = config.below_sigma_m
    below = Rows(
        (np.minimum(short, 0.0) / sigma)[..., None],
        (d_pose / sigma)[:, :, None],
        d_shared / sigma,
        (short < 0).astype(np.float64),
    )
    return standing, below
