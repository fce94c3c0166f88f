"""The terms that the camera fit lowers the cost of."""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from understudy.cinematography.body_proxy import BodyProxy
from understudy.cinematography.fit_terms import FitCamera, Picture, picture_of
from understudy.geometry.rotations import cross_matrix, matrix_from_vector, vector_from_matrix
from understudy.runtime.checks import check_options
from understudy.solvers.losses import pseudo_huber
from understudy.solvers.residuals import Derivatives, FrameResiduals, Residuals
from understudy.solvers.unknowns import Step

__all__ = ["FitProblem", "FitWeights", "Offsets"]

_ROBUST_FROM = 2.0
"""Tolerances from which on an error costs its length instead of its square: one hand that cannot be framed as the
actor's was does not pull the camera."""


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

    def __post_init__(self) -> None:
        check_options(
            self,
            **{
                name: (1e-6, 1000) if "tolerance" in name or "acceleration" in name else (0, 1000)
                for name in vars(self)
            },
        )


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

    def moved(self, step: Step) -> "Offsets":
        """After a step of the unknowns, per frame or the same for all frames."""
        return Offsets(
            self.R @ matrix_from_vector(step["turn"]),
            self.shift + step["shift"],
            self.log_focal + step["log_focal"][..., 0],
        )


@dataclass(frozen=True)
class FitProblem:
    """Which body shall look like which picture, seen from near which camera."""

    body: BodyProxy
    base: FitCamera
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

    def view(self, offsets: Offsets) -> FitCamera:
        """The camera with its offsets."""
        return replace(
            self.base,
            R_world_camera=self.base.R_world_camera @ offsets.R,
            position=self.base.position + self.base.distance_m * offsets.shift,
            focal_px=self.base.focal_px * np.exp(offsets.log_focal)[:, None],
        )

    def residuals(self, offsets: Offsets) -> list[Residuals]:
        """All terms, with their derivatives by the blocks of UNKNOWNS."""
        picture = picture_of(self.body, self.view(offsets), self.height_px)
        return [*self._framing(picture), *self._nearness(offsets), *self._smoothness(offsets)]

    def _framing(self, picture: Picture) -> list[FrameResiduals]:
        """Semantic, motion and instance terms."""
        w = self.weights
        height = self.height_px[:, None, None]
        weight = self.point_weight * picture.points_seen
        off_by = (picture.points_px - self.target.points_px) / height
        still = w.motion * np.minimum(weight[1:], weight[:-1])
        outline_by = ((picture.outline_px - self.target.outline_px) / height[:, 0])[..., None]
        outline_weight = w.instance * self.outline_weight * picture.outline_seen[:, None]

        def term(
            error: np.ndarray,
            derivatives: Derivatives,
            weight: np.ndarray,
            tolerance: float,
            factors: tuple[float, ...] = (1.0,),
        ) -> FrameResiduals:
            return FrameResiduals(
                error / tolerance,
                {name: each / (tolerance * height[..., None]) for name, each in derivatives.items()},
                weight,
                pseudo_huber(_ROBUST_FROM),
                factors,
            )

        by_outline = {name: derivative[:, :, None] for name, derivative in picture.by_outline.items()}
        return [
            term(off_by, picture.by_points, w.semantic * weight, w.framing_tolerance),
            term(off_by, picture.by_points, still, w.motion_tolerance, (-1.0, 1.0)),
            term(outline_by, by_outline, outline_weight, w.framing_tolerance),
        ]

    def _nearness(self, offsets: Offsets) -> list[FrameResiduals]:
        """The camera stays near the plate's."""
        w = self.weights
        tilt, pan = w.tilt_tolerance_rad, w.pan_tolerance_rad
        tolerance = {
            "turn": np.array([tilt, pan, tilt]),
            "shift": np.full(3, w.shift_tolerance),
            "log_focal": np.array([w.focal_tolerance]),
        }
        return _offset_terms(offsets, tolerance, (1.0,))

    def _smoothness(self, offsets: Offsets) -> list[FrameResiduals]:
        """The offsets change their speed slowly."""
        w, frames_squared = self.weights, self.frame_rate**2
        tolerance = {
            "turn": np.full(3, w.turn_acceleration_rad / frames_squared),
            "shift": np.full(3, w.shift_acceleration / frames_squared),
            "log_focal": np.full(1, w.shift_acceleration / frames_squared),
        }
        return _offset_terms(offsets, tolerance, (1.0, -2.0, 1.0))


def _offset_terms(
    offsets: Offsets, tolerance: dict[str, Float[np.ndarray, " size"]], factors: tuple[float, ...]
) -> list[FrameResiduals]:
    """What the offsets themselves should be, as numbers (rotation vector, shift, logarithm of the focal length)."""
    turn = vector_from_matrix(offsets.R)
    time = len(turn)
    weight = np.ones((max(time - len(factors) + 1, 0), 1))
    values = {"turn": turn, "shift": offsets.shift, "log_focal": offsets.log_focal[:, None]}
    terms = []
    for name, value in values.items():
        size = value.shape[1]
        by = _turn_by_step(turn) if name == "turn" else np.tile(np.eye(size), (time, 1, 1))
        by = by / tolerance[name][:, None]
        terms.append(FrameResiduals((value / tolerance[name])[:, None], {name: by[:, None]}, weight, factors=factors))
    return terms


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
