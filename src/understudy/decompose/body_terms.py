"""What a fitted body should do: one small function per term, each giving residuals and their Jacobians.

A residual of one is one standard deviation: weights are the `*_sigma` of `TermConfig`. Terms of one frame give `Rows`;
terms between neighbouring frames give `Stencil`s: sums of a few frames' points with fixed factors.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from understudy.core.footage import LANDMARKS
from understudy.decompose.body_pose import (
    FREEDOM_NAMES,
    JOINT,
    POINT,
    POINTS,
    SOLES,
    BodyPoints,
    PlacedBody,
    Pose,
    freedom,
    place,
    pose_jacobian,
    shape_jacobian,
)
from understudy.geometry.rotations import cross_matrix, matrix_from_vector, vector_from_matrix

__all__ = [
    "BONES",
    "BONE_MATRIX",
    "EXTRA",
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
    "balance",
    "bone_depths",
    "foot_speeds",
    "ground_contacts",
    "linearise",
    "pose_prior",
    "project_landmarks",
    "reprojections",
    "robust",
    "shared_priors",
    "upright",
]

Kernel = Literal["square", "cauchy"]
EXTRA = ("log_scale", "depth_tilt", "up_a", "up_b", "ground_height")
"""Unknowns that all frames share besides the shape, in the order in which they follow it."""


@dataclass(frozen=True)
class Bone:
    """A direction whose depth the landmark model guesses.

    Its guess is the sine of the bone's angle away from the camera. On rendered people, whose truth is known, the truth
    is nearest to `gain` · guess + `offset`, with `spread` as standard deviation: BlazePose holds arms too far forward.
    """

    name: str
    start: tuple[str, ...]
    end: tuple[str, ...]
    """Means of landmarks."""
    spread: float
    gain: float = 1.0
    offset: float = 0.0


BONES: tuple[Bone, ...] = (
    Bone("torso", ("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"), 0.2),
    Bone("hips", ("right_hip",), ("left_hip",), 0.15),
    Bone("shoulders", ("right_shoulder",), ("left_shoulder",), 0.1),
    Bone("face", ("left_ear", "right_ear"), ("nose",), 0.1),
    Bone("ears", ("right_ear",), ("left_ear",), 0.1),
    *(
        Bone(f"{side}_{name}", (f"{side}_{start}",), (f"{side}_{end}",), spread, gain, offset)
        for side in ("left", "right")
        for name, start, end, spread, gain, offset in (
            ("upper_arm", "shoulder", "elbow", 0.25, 1.0, 0.09),
            ("forearm", "elbow", "wrist", 0.33, 1.0, 0.2),
            ("hand", "wrist", "index", 0.35, 1.0, 0.25),
            ("thigh", "hip", "knee", 0.2, 1.2, -0.09),
            ("shin", "knee", "ankle", 0.2, 1.2, -0.1),
            ("foot", "heel", "foot_index", 0.4, 1.2, 0.2),
        )
    ),
)


def _bone_matrix() -> np.ndarray:
    C = np.zeros((len(BONES), len(LANDMARKS)))
    for row, bone in enumerate(BONES):
        for names, sign in ((bone.start, -1.0), (bone.end, 1.0)):
            for name in names:
                C[row, LANDMARKS.index(name)] += sign / len(names)
    return C


BONE_MATRIX = _bone_matrix()
"""Bones as differences of landmarks."""


@dataclass(frozen=True)
class TermConfig:
    """How much each term is believed. Sigmas are standard deviations: smaller is stronger."""

    pixel_sigma: float = 0.014
    """Of landmarks in the picture, as a share of the person's height there."""
    pixel_kernel: float = 2.5
    """From how many sigmas on a landmark counts less and less."""
    depth_sigma: float = 1.0
    """Factor of the spreads of BONES: errors last for many frames, and do not average out."""
    tilt_sigma: float = 0.2
    """Radians by which the landmark model may lean every body, forwards or backwards."""
    acceleration: float = 1.0
    """Factor of the accelerations that a body is expected to have; less is smoother."""
    acceleration_kernel: float = 1.0
    """From how many of these on a burst counts less and less."""
    speed_sigma: float = 0.1
    """Metres per second of a standing foot."""
    contact_sigma_m: float = 0.02
    """Distance of a standing foot's sole from the ground."""
    below_sigma_m: float = 0.03
    """Of any foot below the ground."""
    prior_weight: float = 0.5
    """Factor of the residuals of the pose prior."""
    balance_sigma_m: float = 0.06
    """Distance of the body's weight from above the feet, while it is still."""
    upright_sigma: float = 0.12
    """Radians by which the mean torso leans."""
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


def _shared_zeros(lin: Linearised, rows: int, parts: int) -> np.ndarray:
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
    d_shared = _shared_zeros(lin, count, 2)
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
    d_shared = _shared_zeros(lin, len(BONES), 1)
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
    d_shared = _shared_zeros(lin, len(which), 1)
    components = lin.d_shape.shape[-1]
    d_shared[:, :, 0, :components] = np.einsum("tpik,i->tpk", lin.d_shape[:, which], state.up)
    d_shared[:, :, 0, components + 2 : components + 4] = (points - state.pivot) @ ground_axes(state.up).T
    d_shared[:, :, 0, components + 4] = -1.0
    return height, d_pose, d_shared


_FEET = np.array([POINT[name] for name in SOLES])
_ABOVE = tuple(POINT[name] for name in (*SOLES, "left_knee", "right_knee",
                                        "left_wrist", "right_wrist", "Hips", "Head"))  # fmt: skip
_CLEARANCE = np.array([0.0 if POINTS[p] in SOLES else 0.04 for p in _ABOVE])


def ground_contacts(
    state: State, lin: Linearised, planted: Float[np.ndarray, "time sole"], config: TermConfig
) -> tuple[Rows, Rows]:
    """Standing soles should be on the ground; nothing should be below it."""
    height, d_pose, d_shared = _ground_derivatives(state, lin, _FEET)
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


def _repeats(time: int) -> float:
    """How often a prior on the whole shot counts: errors of landmarks repeat from frame to frame, so that many
    frames do not outweigh it as if each were new."""
    return 1.0 + 0.2 * time


def _horizontal(
    state: State,
    lin: Linearised,
    mixture: Float[np.ndarray, "time point"],
    sigma_m: float,
    weight: Float[np.ndarray, " time"],
    kernel_scale: float,
) -> Rows:
    """Rows that want a sum of points (whose factors add to zero) to be vertical."""
    across = ground_axes(state.up)
    span = np.einsum("tp,tpi->ti", mixture, lin.placed.points_m)
    used = np.flatnonzero(mixture.any(0))
    d_span = np.einsum("tp,tpif->tif", mixture[:, used], lin.d_pose[:, used])
    d_shape = np.einsum("tp,tpik->tik", mixture[:, used], lin.d_shape[:, used])
    components = d_shape.shape[-1]
    d_shared = _shared_zeros(lin, 1, 2)
    d_shared[:, 0, :, :components] = across @ d_shape
    # Turning `up` by a towards its first axis takes a · (span · up) off the part along that axis.
    d_shared[:, 0, 0, components + 2] = d_shared[:, 0, 1, components + 3] = -(span @ state.up)
    residual = (span @ across.T)[:, None] / sigma_m
    return Rows(
        residual, (across @ d_span)[:, None] / sigma_m, d_shared / sigma_m, weight[:, None], "cauchy", kernel_scale
    )


def upright(state: State, lin: Linearised, config: TermConfig) -> list[Rows]:
    """Over the whole shot, torsos point up and hips are above the ankles' middle."""
    points = lin.placed.points_m
    time = len(points)
    weight = np.full(time, _repeats(time) / time)
    terms = []
    for top, bottom in (("Neck", ("Hips",)), ("Hips", ("left_ankle", "right_ankle"))):
        mixture = np.zeros(points.shape[:2])
        mixture[:, POINT[top]] = 1.0
        for name in bottom:
            mixture[:, POINT[name]] = -1.0 / len(bottom)
        length = float(np.linalg.norm(np.einsum("tp,tpi->ti", mixture, points), axis=1).max())
        terms.append(_horizontal(state, lin, mixture, length * config.upright_sigma, weight, 2.0))
    return terms


def balance(state: State, lin: Linearised, support: Support, config: TermConfig) -> Rows:
    """Who stands still has the body's weight above the feet."""
    mixture = np.zeros(lin.placed.points_m.shape[:2])
    mixture[:, POINT["Hips"]], mixture[:, POINT["Spine2"]] = 0.6, 0.4
    mixture[:, _FEET] -= support.share
    return _horizontal(state, lin, mixture, config.balance_sigma_m, support.stillness, 2.0)


# Joint, mean turn from the T-pose, spread of the turn about each axis, and its limits: radians, of the left side.
_HABITS: tuple[tuple[str, tuple[float, float, float], tuple[float, float, float],
                     tuple[float, float, float], tuple[float, float, float]], ...] = (
    ("Spine", (0.0, 0.0, 0.0), (0.12, 0.12, 0.09), (-0.2, -0.3, -0.25), (0.5, 0.3, 0.25)),
    ("Neck", (0.0, 0.0, 0.0), (0.2, 0.25, 0.15), (-0.5, -0.7, -0.4), (0.5, 0.7, 0.4)),
    ("LeftShoulder", (0.0, 0.0, 0.0), (0.1, 0.15, 0.15), (-0.1, -0.5, -0.2), (0.1, 0.5, 0.6)),
    ("LeftArm", (0.0, 0.0, -1.1), (0.7, 0.8, 0.7), (-1.6, -2.6, -2.6), (1.6, 2.6, 2.6)),
    ("LeftForeArm", (0.0, -0.35, 0.0), (0.1, 0.9, 0.1), (-1.0, -2.2, -1.0), (1.0, 0.35, 1.0)),
    ("LeftHand", (0.0, 0.0, 0.0), (0.6, 0.3, 0.35), (-1.4, -0.6, -1.2), (1.4, 0.6, 1.2)),
    ("LeftUpLeg", (-0.1, 0.0, 0.05), (0.4, 0.3, 0.25), (-2.2, -0.7, -0.5), (0.7, 0.7, 1.0)),
    ("LeftLeg", (0.1, 0.0, 0.0), (0.3, 0.1, 0.1), (-0.1, -1.0, -1.0), (2.5, 1.0, 1.0)),
    ("LeftFoot", (0.0, 0.0, 0.0), (0.3, 0.2, 0.2), (-0.5, -0.5, -1.0), (0.9, 0.5, 1.0)),
)  # fmt: skip


def _habits() -> tuple[np.ndarray, ...]:
    joints, R_mean, spread, low, high, columns = [], [], [], [], [], []
    for name, mean, sigma, least, most in _HABITS:
        for side in ("Left", "Right") if name.startswith("Left") else ("",):
            joint = name.replace("Left", side) if side else name
            # A mirror image turns about x alike, about y and z the other way.
            flip = np.array([1.0, -1.0, -1.0]) if side == "Right" else np.ones(3)
            turn = np.array(mean) * flip
            bounds = np.sort(np.stack([np.array(least) * flip, np.array(most) * flip]) - turn, 0)
            joints.append(JOINT[joint])
            R_mean.append(matrix_from_vector(turn))
            spread.append(sigma)
            low.append(bounds[0])
            high.append(bounds[1])
            columns.append([freedom(f"{joint}.{k}") if f"{joint}.{k}" in FREEDOM_NAMES else -1 for k in "xyz"])
    return tuple(np.array(values) for values in (joints, R_mean, spread, low, high, columns))


_HABIT_JOINTS, _HABIT_MEAN, _HABIT_SPREAD, _HABIT_LOW, _HABIT_HIGH, _HABIT_COLUMNS = _habits()
_SHARED_BY = np.where(JOINT["Spine"] == _HABIT_JOINTS, 3.0, np.where(JOINT["Neck"] == _HABIT_JOINTS, 2.0, 1.0))


def _habit_turns(pose: Pose) -> tuple[np.ndarray, np.ndarray]:
    """Turns from the usual pose as rotation vectors, and their derivatives by turns about the joint's own axes."""
    R = np.swapaxes(_HABIT_MEAN, 1, 2) @ pose.R_parent_joint[:, _HABIT_JOINTS]
    v = vector_from_matrix(R)
    # The inverse right Jacobian of rotations: Chirikjian 2012, volume 2, equation 10.86.
    angle = np.linalg.norm(v, axis=-1)
    small = angle < 1e-4
    safe = np.where(small, 1.0, np.minimum(angle, 3.1))
    factor = np.where(small, 1 / 12, 1 / safe**2 - (1 + np.cos(safe)) / (2 * safe * np.sin(safe)))
    V = cross_matrix(v)
    D = np.eye(3) + 0.5 * V + factor[..., None, None] * (V @ V)
    D = D / _SHARED_BY[:, None, None]
    return v, D


def pose_prior(state: State, config: TermConfig) -> list[Rows]:
    """Joints should stay near how people hold them, and within what joints can do."""
    v, D = _habit_turns(state.pose)
    beyond = np.minimum(v - _HABIT_LOW, 0.0) + np.maximum(v - _HABIT_HIGH, 0.0)
    scale = config.prior_weight / _HABIT_SPREAD
    ones = np.ones((len(v), 1))
    terms = []
    for row, columns in enumerate(_HABIT_COLUMNS):
        k = np.flatnonzero(columns >= 0)
        freedoms = slice(int(columns[k[0]]), int(columns[k[-1]]) + 1)
        own = slice(row, row + 1)
        d_pose = D[:, own, :, k[0] : k[-1] + 1]
        terms.append(Rows(v[:, own] * scale[row], d_pose * scale[row][:, None], None, ones, "cauchy", 2.0, freedoms))
        active = beyond[:, own] != 0
        if active.any():
            terms.append(Rows(beyond[:, own] / 0.1, d_pose * active[..., None] / 0.1, None, ones, freedoms=freedoms))
    return terms


def shared_priors(
    seen: Observations,
    state: State,
    expected_shape: Float[np.ndarray, " component"],
    height_slope: Float[np.ndarray, " component"],
    ground: SetGround | None,
    config: TermConfig,
) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, "row shared"]]:
    """Residuals of what all frames share: shape, height, lean of the landmark model, level camera, the set's ground."""
    count = len(state.shape)
    total = count + len(EXTRA)
    time = len(seen)
    residuals, rows = [], []

    def add(residual: Float[np.ndarray, " n"], columns: list[int], d: np.ndarray) -> None:
        row = np.zeros((len(residual), total))
        row[:, columns] = d
        residuals.append(residual)
        rows.append(row)

    often = np.sqrt(_repeats(time))
    off = state.shape - expected_shape
    add(often * off / config.shape_sigma, list(range(count)), often * np.eye(count) / config.shape_sigma)
    tall = often / config.height_sigma_m
    add(np.array([tall * (height_slope @ off)]), list(range(count)), tall * height_slope[None])
    lean = often / config.tilt_sigma
    add(np.array([lean * state.depth_tilt]), [count + 1], np.array([[lean]]))
    across = ground_axes(state.up)
    for axis, sigma in ((0, config.roll_sigma), (2, config.pitch_sigma)):
        directions = seen.R_camera_world[:, axis]
        weight = np.sqrt(_repeats(time) / time) / sigma
        add(weight * (directions @ state.up), [count + 2, count + 3], weight * (directions @ across.T))
    if ground is not None:
        certain = often / ground.log_scale_sigma
        add(np.array([certain * (state.log_scale - ground.log_scale)]), [count], np.array([[certain]]))
        if ground.up is not None:
            steep = often / config.set_up_sigma
            # The part of the points' up across ours; turning ours by a takes off a.
            add(steep * (across @ ground.up), [count + 2, count + 3], -steep * (state.up @ ground.up) * np.eye(2))
    return np.concatenate(residuals), np.concatenate(rows)
