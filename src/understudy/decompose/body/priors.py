"""What is likely of any body and any film camera: how people hold their joints, gravity, balance, size.

Residuals as in `terms`: a residual of one is one standard deviation.
"""

from itertools import product

import numpy as np
from jaxtyping import Float

from understudy.decompose.body.pose_state import FREEDOM_NAMES, FREEDOMS, JOINT, POINT, PoseState, freedom
from understudy.decompose.body.terms import (
    FEET,
    Linearised,
    Observations,
    SetGround,
    State,
    Support,
    TermConfig,
    ground_axes,
)
from understudy.geometry.rotations import cross_matrix, matrix_from_vector, vector_from_matrix
from understudy.solvers.losses import cauchy
from understudy.solvers.residuals import FrameResiduals, SharedResiduals

__all__ = ["FOREARM_SHARE", "HABITS", "SWING_SHARE", "arm_swing", "balance", "pose_prior", "shared_priors", "upright"]


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
) -> FrameResiduals:
    """Residuals that want a sum of points (whose factors add to zero) to be vertical."""
    across = ground_axes(state.up)
    span = np.einsum("tp,tpi->ti", mixture, lin.placed.points_m)
    used = np.flatnonzero(mixture.any(0))
    d_span = np.einsum("tp,tpif->tif", mixture[:, used], lin.d_pose[:, used])
    d_shape = np.einsum("tp,tpik->tik", mixture[:, used], lin.d_shape[:, used])
    # Turning `up` by a towards one of its axes takes a · (span · up) off the part along that axis.
    derivatives = {
        "pose": (across @ d_span)[:, None] / sigma_m,
        "shape": (across @ d_shape)[:, None] / sigma_m,
        "up": (-(span @ state.up)[:, None, None] * np.eye(2))[:, None] / sigma_m,
    }
    residual = (span @ across.T)[:, None] / sigma_m
    return FrameResiduals(residual, derivatives, weight[:, None], cauchy(kernel_scale))


def upright(state: State, lin: Linearised, config: TermConfig) -> list[FrameResiduals]:
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


def balance(state: State, lin: Linearised, support: Support, config: TermConfig) -> FrameResiduals:
    """Who stands still has the body's weight above the feet."""
    mixture = np.zeros(lin.placed.points_m.shape[:2])
    mixture[:, POINT["Hips"]], mixture[:, POINT["Spine2"]] = 0.6, 0.4
    mixture[:, FEET] -= support.share
    return _horizontal(state, lin, mixture, config.balance_sigma_m, support.stillness, 2.0)


SWING_SHARE = 0.75
"""An arm's arc over that of the leg on its own side, which it goes against: 31 over 42 degrees in a free walk (Murray
1967, Gait as a total pattern of movement)."""
FOREARM_SHARE = 2.0
"""A forearm's arc over the upper arm's: as that swings forwards and back, the elbow bends and opens by as much again
(30 degrees: Kang et al. 2023, The elbow is the load-bearing joint during arm swing)."""
_BEND = 0.35
"""How far forwards a forearm leans under an upper arm that hangs straight, as a sine: the mean elbow of HABITS."""
_SWINGS = (
    ((("shoulder", "elbow", 1.0), ("hip", "knee", SWING_SHARE)), 0.0),
    ((("elbow", "wrist", 1.0), ("shoulder", "elbow", -FOREARM_SHARE)), _BEND),
)
"""Bones and factors; their leans forwards, as sines, times these add up to a number."""


def arm_swing(state: State, lin: Linearised, config: TermConfig) -> FrameResiduals:
    """Arms that hang swing against the leg on their side, forearms ahead; over legs that stand they hang down.

    The landmark model does not see this in people who walk towards the camera or away from it.
    """
    placed = lin.placed
    time, rows = len(placed.points_m), 2 * len(_SWINGS)
    forward = placed.R_world_joint[:, JOINT["Hips"], :, 2]
    forward = forward - (forward @ state.up)[:, None] * state.up
    forward /= np.maximum(np.linalg.norm(forward, axis=1, keepdims=True), 1e-9)
    mixture = np.zeros((time, rows, placed.points_m.shape[1]))
    weight, lean = np.ones((time, rows)), np.zeros(rows)
    for row, (side, (bones, lean[row])) in enumerate(product(("left", "right"), _SWINGS)):
        for top, bottom, factor in bones:
            points = [POINT[f"{side}_{name}"] for name in (top, bottom)]
            span = placed.points_m[:, points[1]] - placed.points_m[:, points[0]]
            length = np.maximum(np.linalg.norm(span, axis=1), 1e-3)
            mixture[:, row, points] += (factor / length)[:, None] * [-1.0, 1.0]
            # Who sits or lifts an arm does something else; an elbow bends while the arm hangs.
            weight[:, row] *= np.clip(-(span @ state.up) / length, 0.0, 1.0) ** (2 if bottom == "wrist" else 4)
    span = np.einsum("tnp,tpi->tni", mixture, placed.points_m)
    used = np.flatnonzero(mixture.any((0, 1)))
    d_pose = np.einsum("tnp,tpif,ti->tnf", mixture[:, :, used], lin.d_pose[:, used], forward)
    d_shape = np.einsum("tnp,tpik,ti->tnk", mixture[:, :, used], lin.d_shape[:, used], forward)
    residual = (np.einsum("tni,ti->tn", span, forward) - lean)[..., None]
    sigma = config.swing_sigma
    derivatives = {"pose": d_pose[:, :, None] / sigma, "shape": d_shape[:, :, None] / sigma}
    return FrameResiduals(residual / sigma, derivatives, weight, cauchy(2.0))


# Joint, mean turn from the T-pose, spread of the turn about each axis, and its limits: radians, of the left side.
HABITS: tuple[tuple[str, tuple[float, float, float], tuple[float, float, float],
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
    for name, mean, sigma, lower, upper in HABITS:
        for side in ("Left", "Right") if name.startswith("Left") else ("",):
            joint = name.replace("Left", side) if side else name
            # A mirror image turns about x alike, about y and z the other way.
            flip = np.array([1.0, -1.0, -1.0]) if side == "Right" else np.ones(3)
            turn = np.array(mean) * flip
            bounds = np.sort(np.stack([np.array(lower) * flip, np.array(upper) * flip]) - turn, 0)
            joints.append(JOINT[joint])
            R_mean.append(matrix_from_vector(turn))
            spread.append(sigma)
            low.append(bounds[0])
            high.append(bounds[1])
            columns.append([freedom(f"{joint}.{k}") if f"{joint}.{k}" in FREEDOM_NAMES else -1 for k in "xyz"])
    return tuple(np.array(values) for values in (joints, R_mean, spread, low, high, columns))


_HABIT_JOINTS, _HABIT_MEAN, _HABIT_SPREAD, _HABIT_LOW, _HABIT_HIGH, _HABIT_COLUMNS = _habits()
_LIMIT_SIGMA = 0.1
"""Radians by which a joint may be beyond its limits."""
_SHARED_BY = np.where(JOINT["Spine"] == _HABIT_JOINTS, 3.0, np.where(JOINT["Neck"] == _HABIT_JOINTS, 2.0, 1.0))


def _habit_turns(pose: PoseState) -> tuple[np.ndarray, np.ndarray]:
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


def pose_prior(state: State, config: TermConfig) -> tuple[FrameResiduals, FrameResiduals]:
    """Joints should stay near how people hold them, and within what joints can do."""
    v, D = _habit_turns(state.pose)
    d_pose = np.zeros((*v.shape, FREEDOMS))
    joint, axis = np.nonzero(_HABIT_COLUMNS >= 0)
    d_pose[:, joint, :, _HABIT_COLUMNS[joint, axis]] = D[:, joint, :, axis]
    scale = config.prior_weight / _HABIT_SPREAD
    near = FrameResiduals(v * scale, {"pose": d_pose * scale[..., None]}, np.ones(v.shape[:2]), cauchy(2.0))
    beyond = np.minimum(v - _HABIT_LOW, 0.0) + np.maximum(v - _HABIT_HIGH, 0.0)
    active = beyond != 0
    within = FrameResiduals(
        beyond / _LIMIT_SIGMA, {"pose": d_pose * active[..., None] / _LIMIT_SIGMA}, active.any(-1).astype(np.float64)
    )
    return near, within


def shared_priors(
    seen: Observations,
    state: State,
    expected_shape: Float[np.ndarray, " component"],
    height_slope: Float[np.ndarray, " component"],
    ground: SetGround | None,
    config: TermConfig,
) -> list[SharedResiduals]:
    """What all frames share: shape, height, lean of the landmark model, level camera, the set's ground."""
    time = len(seen)
    often = np.sqrt(_repeats(time))
    off = state.shape - expected_shape
    tall = often / config.height_sigma_m
    lean = often / config.tilt_sigma
    priors = [
        SharedResiduals(often * off / config.shape_sigma, {"shape": often * np.eye(len(off)) / config.shape_sigma}),
        SharedResiduals(np.array([tall * (height_slope @ off)]), {"shape": tall * height_slope[None]}),
        SharedResiduals(np.array([lean * state.depth_tilt]), {"depth_tilt": np.array([[lean]])}),
    ]
    across = ground_axes(state.up)
    for axis, sigma in ((0, config.roll_sigma), (2, config.pitch_sigma)):
        directions = seen.R_camera_world[:, axis]
        weight = np.sqrt(_repeats(time) / time) / sigma
        priors.append(SharedResiduals(weight * (directions @ state.up), {"up": weight * (directions @ across.T)}))
    if ground is not None:
        certain = often / ground.log_scale_sigma
        off_scale = np.array([certain * (state.log_scale - ground.log_scale)])
        priors.append(SharedResiduals(off_scale, {"log_scale": np.array([[certain]])}))
        if ground.up is not None:
            steep = often / config.set_up_sigma
            # The part of the points' up across ours; turning ours by a takes off a.
            by_up = -steep * float(state.up @ ground.up) * np.eye(2)
            priors.append(SharedResiduals(steep * (across @ ground.up), {"up": by_up}))
    return priors
