"""The cost that the camera fit lowers, and its normal equations."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from understudy.cinematography.body_proxy import StandIn
from understudy.cinematography.fit_terms import UNKNOWNS, Picture, View, picture_of
from understudy.cinematography.normal_equations import NormalEquations
from understudy.geometry.rotations import cross_matrix, matrix_from_vector, vector_from_matrix

__all__ = ["FitProblem", "FitWeights", "Offsets"]


@dataclass(frozen=True)
class FitWeights:
    """What counts how much. A tolerance is the error that costs as much as another term's tolerance does."""

    framing_tolerance: float = 0.04
    """Of joints, feet and outline, as a share of the actor's height in the picture."""
    motion_tolerance: float = 0.02
    """Of the body's movement in the picture from frame to frame, as the same share."""
    semantic: float = 1.0
    """Weight of the joints (and the feet that stand)."""
    instance: float = 1.0
    """Weight of the outline."""
    motion: float = 0.25
    """Weight of the movement."""
    tilt_tolerance_rad: float = math.radians(2.0)
    """Of pitch and roll: they move the horizon away from the plate's."""
    pan_tolerance_rad: float = math.radians(6.0)
    shift_tolerance: float = 0.6
    """Of the camera's place, as a share of the distance to the actor."""
    focal_tolerance: float = 0.1
    """Of the focal length, as a share; counts only where the focal length is free."""
    turn_acceleration_rad: float = math.radians(25.0)
    """Tolerance for how the turn's offset changes its speed, per second squared."""
    shift_acceleration: float = 0.5
    """Tolerance for how the shift changes its speed, per second squared, as a share of the distance."""


@dataclass(frozen=True)
class Offsets:
    """How the camera differs from the one that the fit starts from."""

    R: Float[np.ndarray, "time 3 3"]
    """Turns of the camera about its own axes."""
    shift: Float[np.ndarray, "time 3"]
    """In the world, as shares of the subject's distance."""
    log_focal: Float[np.ndarray, " time"]

    @staticmethod
    def none(time: int) -> "Offsets":
        """The camera as it is."""
        return Offsets(np.tile(np.eye(3), (time, 1, 1)), np.zeros((time, 3)), np.zeros(time))

    def moved(self, step: Float[np.ndarray, "time 7"]) -> "Offsets":
        """After a step of the unknowns."""
        return Offsets(self.R @ matrix_from_vector(step[:, :3]), self.shift + step[:, 3:6], self.log_focal + step[:, 6])


@dataclass(frozen=True)
class FitProblem:
    """Which body shall look like which picture, seen from near which camera."""

    body: StandIn
    base: View
    """The camera whose plate stands behind the body; offsets are from it."""
    target: Picture
    """The actor, in the source's picture."""
    height_px: Float[np.ndarray, " time"]
    """The actor's height in the picture."""
    point_weight: Float[np.ndarray, "time point"]
    """Of each joint and sole; their sum over a frame is at most one."""
    outline_weight: Float[np.ndarray, "time 6"]
    frame_rate: float
    weights: FitWeights

    def view(self, offsets: Offsets) -> View:
        """The camera with its offsets."""
        return replace(
            self.base,
            R_world_camera=self.base.R_world_camera @ offsets.R,
            position=self.base.position + self.base.distance_m * offsets.shift,
            focal_px=self.base.focal_px * np.exp(offsets.log_focal)[:, None],
        )

    def evaluate(self, offsets: Offsets) -> tuple[float, NormalEquations]:
        """The cost, and the normal equations there."""
        picture = picture_of(self.body, self.view(offsets), self.height_px)
        equations = NormalEquations.zeros(len(self.height_px), UNKNOWNS)
        cost = self._add_framing(picture, equations) + self._add_prior(offsets, equations)
        return cost + self._add_smoothness(offsets, equations), equations

    def _add_framing(self, picture: Picture, equations: NormalEquations) -> float:
        """Semantic, motion and instance terms."""
        w = self.weights
        height = self.height_px[:, None, None]
        error = (picture.points_px - self.target.points_px) / height
        jacobian = picture.by_points / height[..., None]
        weight = self.point_weight * picture.points_seen
        cost, residual, rows = _robust(error, jacobian, w.semantic * weight, w.framing_tolerance)
        equations.add_each(residual, rows)

        flow = error[1:] - error[:-1]
        flow_weight = w.motion * np.minimum(weight[1:], weight[:-1])
        more, residual, factor = _robust_factor(flow, flow_weight, w.motion_tolerance)
        before, after = (_flat(j * factor[..., None, None]) for j in (-jacobian[:-1], jacobian[1:]))
        equations.add_first_differences(residual, before, after)
        cost += more

        error = ((picture.outline_px - self.target.outline_px) / height[:, 0])[..., None]
        jacobian = (picture.by_outline / height)[:, :, None]
        weight = w.instance * self.outline_weight * picture.outline_seen[:, None]
        more, residual, rows = _robust(error, jacobian, weight, w.framing_tolerance)
        equations.add_each(residual, rows)
        return cost + more

    def _prior_tolerance(self) -> Float[np.ndarray, "7"]:
        w = self.weights
        tilt, pan = w.tilt_tolerance_rad, w.pan_tolerance_rad
        return np.array([tilt, pan, tilt, *[w.shift_tolerance] * 3, w.focal_tolerance])

    def _add_prior(self, offsets: Offsets, equations: NormalEquations) -> float:
        """The camera stays near the plate's."""
        value, jacobian = _offset_values(offsets)
        tolerance = self._prior_tolerance()
        residual = value / tolerance
        equations.add_each(residual, jacobian / tolerance[:, None])
        return 0.5 * float((residual**2).sum())

    def _add_smoothness(self, offsets: Offsets, equations: NormalEquations) -> float:
        """The offsets change their speed slowly."""
        if len(self.height_px) < 3:
            return 0.0
        w = self.weights
        tolerance = np.array([w.turn_acceleration_rad] * 3 + [w.shift_acceleration] * 4) / self.frame_rate**2
        value, jacobian = _offset_values(offsets)
        value, jacobian = value / tolerance, jacobian / tolerance[:, None]
        residual = value[:-2] - 2 * value[1:-1] + value[2:]
        equations.add_second_differences(residual, jacobian)
        return 0.5 * float((residual**2).sum())


def _offset_values(offsets: Offsets) -> tuple[Float[np.ndarray, "time 7"], Float[np.ndarray, "time 7 7"]]:
    """The offsets as numbers (rotation vector, shift, focal), and their derivatives by a step."""
    turn = vector_from_matrix(offsets.R)
    value = np.concatenate([turn, offsets.shift, offsets.log_focal[:, None]], 1)
    jacobian = np.tile(np.eye(UNKNOWNS), (len(turn), 1, 1))
    jacobian[:, :3, :3] = _turn_by_step(turn)
    return value, jacobian


def _turn_by_step(turn: Float[np.ndarray, "time 3"]) -> Float[np.ndarray, "time 3 3"]:
    """The derivative of log(exp(turn) exp(step)) by the step: the inverse right Jacobian of SO(3).

    Source: Solà et al. 2018, A micro Lie theory for state estimation in robotics, equation 144.
    """
    angle = np.linalg.norm(turn, axis=1)
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    factor = np.where(small, 1 / 12, 1 / safe**2 - (1 + np.cos(safe)) / (2 * safe * np.sin(safe)))
    cross = cross_matrix(turn)
    return np.eye(3) + cross / 2 + factor[:, None, None] * cross @ cross


def _robust(
    error: Float[np.ndarray, "time item axis"],
    jacobian: Float[np.ndarray, "time item axis 7"],
    weight: Float[np.ndarray, "time item"],
    tolerance: float,
) -> tuple[float, Float[np.ndarray, "time row"], Float[np.ndarray, "time row 7"]]:
    """Cost, residuals and Jacobian rows of errors that cost their square at first and their length when large."""
    cost, residual, factor = _robust_factor(error, weight, tolerance)
    return cost, residual, _flat(jacobian * factor[..., None, None])


def _robust_factor(
    error: Float[np.ndarray, "time item axis"], weight: Float[np.ndarray, "time item"], tolerance: float
) -> tuple[float, Float[np.ndarray, "time row"], Float[np.ndarray, "time item"]]:
    """Cost, weighted residuals, and the factor that weights each item's Jacobian.

    The pseudo-Huber loss, 2 k² (√(1 + s / k²) − 1) of the squared length s, with k = 2 tolerances.
    """
    knee = 4.0
    square = (error**2).sum(-1) / tolerance**2
    root = np.sqrt(1 + square / knee)
    factor = np.sqrt(weight / root) / tolerance
    residual = (error * factor[..., None]).reshape(len(error), error.shape[1] * error.shape[2])
    return float((weight * knee * (root - 1)).sum()), residual, factor


def _flat(jacobian: Float[np.ndarray, "time item axis 7"]) -> Float[np.ndarray, "time row 7"]:
    time, items, axes, _ = jacobian.shape
    return jacobian.reshape(time, items * axes, UNKNOWNS)
