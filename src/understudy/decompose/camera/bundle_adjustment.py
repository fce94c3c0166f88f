"""Bundle adjustment: camera poses, one or many focal lengths and points, from observed points; robust, deterministic.

Points are homogeneous (x, y, z, w) of unit length, so that distant points and, with w = 0, pure directions are
treated alike: a camera that only turns is the same problem with `translate` false and w held at zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from understudy.geometry.rotations import matrix_from_vector
from understudy.solvers.independent import minimise_each
from understudy.solvers.levenberg_marquardt import LevenbergMarquardt, minimise
from understudy.solvers.losses import cauchy
from understudy.solvers.residuals import FrameResiduals, PointResiduals, Residuals, VisibilityGraph
from understudy.solvers.unknowns import Step, Unknowns

__all__ = [
    "Bundle",
    "BundleConfig",
    "adjust",
    "noise_scale_px",
    "refine_cameras",
    "refine_points",
    "residuals",
]

_NEAREST = 1e-9
"""Depth from which on a point is in front of a camera."""
_BEHIND_PX = 1e4
"""Residual of a point that is not: as wrong as can be."""
_MAX_ZOOM = 0.3
"""By how much one step may change the logarithm of a focal length: beyond, the linear model says little."""


@dataclass(frozen=True)
class Bundle:
    """Cameras that see points. Observations are sorted by point."""

    R_camera_world: Float[np.ndarray, "camera 3 3"]
    t_camera_world: Float[np.ndarray, "camera 3"]
    focal_px: Float[np.ndarray, " camera"]
    centre_px: Float[np.ndarray, "2"]
    points: Float[np.ndarray, "point 4"]
    """Homogeneous, unit length. While w < 0 a point lies beyond infinity: no point of the set, but to forbid it would
    leave the others' steps without it wrong."""
    camera: Int[np.ndarray, " observation"]
    point: Int[np.ndarray, " observation"]
    xy_px: Float[np.ndarray, "observation 2"]


@dataclass(frozen=True)
class BundleConfig:
    """What is solved for, and how robustly."""

    translate: bool
    """Whether cameras change place and points have depths."""
    scale_px: float
    """Residual at which an observation's weight has dropped to a half (Cauchy loss)."""
    focal: Literal["fixed", "shared", "each"] = "shared"
    """One for all cameras, or one for each, which changes smoothly: a zoom."""
    focal_prior_px: float = 0.0
    """Where the focal length is expected; 0: nowhere."""
    focal_prior_spread: float = 0.3
    """Standard deviation of the logarithm of the focal length around the prior."""
    focal_prior_gain: float = 0.02
    """How far off the expected focal length may pull, as a share of the cost at one standard deviation. Tracking
    errors are not independent, so that counting observations would let them outvote any prior on a camera move that
    says nothing of the lens (a straight push-in: each focal length fits, with depths stretched to match)."""
    zoom_spread: float = 0.02
    """Standard deviation of the change of the zoom's speed (in log focal length) from one camera to the next."""
    iterations: int = 30


def residuals(bundle: Bundle) -> Float[np.ndarray, "observation 2"]:
    """Projection minus observation, in pixels; 1e4 where a point is not in front of the camera."""
    _, y = _in_cameras(bundle)
    ahead = y[2] > _NEAREST
    scale = bundle.focal_px[bundle.camera] / np.where(ahead, y[2], 1.0)
    r = [scale * y[k] + (bundle.centre_px[k] - bundle.xy_px[:, k]) for k in range(2)]
    return np.where(ahead, r, _BEHIND_PX).T


def noise_scale_px(bundle: Bundle, unit_px: float) -> float:
    """The robust scale that suits what is left: three medians, so that drifting and wrong tracks lose their say."""
    left = float(np.median(np.linalg.norm(residuals(bundle), axis=1)))
    return float(np.clip(3.0 * left, 0.25 * unit_px, unit_px))


def adjust(bundle: Bundle, config: BundleConfig) -> Bundle:
    """Levenberg–Marquardt over everything; the first camera stays. The world's scale is left as it drifts.

    Source: Triggs et al. 2000, Bundle Adjustment – A Modern Synthesis; Hartley and Zisserman, appendix 6.
    """
    spread = float(cauchy(config.scale_px).weighed((residuals(bundle) ** 2).sum(1))[0].sum())
    config = replace(
        config, focal_prior_spread=config.focal_prior_spread / max(np.sqrt(config.focal_prior_gain * spread), 1e-9)
    )
    visible = VisibilityGraph(bundle.camera, bundle.point)

    def terms(bundle: Bundle) -> list[Residuals]:
        return [_reprojections(bundle, visible, config), *_focal_priors(bundle, config)]

    rule = LevenbergMarquardt(config.iterations, tolerance=1e-5, damping=1e-4)
    return minimise(_unknowns(bundle, config), bundle, terms, _moved, rule).state


def _unknowns(bundle: Bundle, config: BundleConfig) -> Unknowns:
    pose = {"turn": 3, "shift": 3} if config.translate else {"turn": 3}
    focal = {"log_focal": 1}
    return Unknowns(
        frames=len(bundle.focal_px),
        per_frame=pose | focal if config.focal == "each" else pose,
        shared=focal if config.focal == "shared" else {},
        held=focal if config.focal == "fixed" else {},
        eliminated={"point": (len(bundle.points), 3 if config.translate else 2)},
        anchored=tuple(pose),
    )


def _reprojections(bundle: Bundle, visible: VisibilityGraph, config: BundleConfig) -> PointResiduals:
    """Points should stand where they were seen."""
    linear = _Linear.of(bundle)
    by = {"turn": linear.by_turn(), "point": linear.by_point(config.translate), "log_focal": linear.by_log_focal()}
    if config.translate:
        by["shift"] = linear.by_shift()
    return PointResiduals(visible, residuals(bundle), by, cauchy(config.scale_px))


def _focal_priors(bundle: Bundle, config: BundleConfig) -> Sequence[FrameResiduals]:
    """The mean focal length is near the expected one; a zoom changes its speed slowly. Both of logarithms."""
    log_focal = np.log(bundle.focal_px)[:, None, None]
    frames = len(log_focal)
    priors = []

    def add(value: np.ndarray, spread: float, factors: tuple[float, ...]) -> None:
        by = {"log_focal": np.full((frames, 1, 1, 1), 1.0 / spread)}
        windows = max(frames - len(factors) + 1, 0)
        priors.append(FrameResiduals(value / spread, by, np.ones((windows, 1)), factors=factors))

    if config.focal != "fixed" and config.focal_prior_px > 0:
        add(log_focal - np.log(config.focal_prior_px), config.focal_prior_spread, (1.0 / frames,) * frames)
    if config.focal == "each":
        add(log_focal, config.zoom_spread, (1.0, -2.0, 1.0))
    return priors


def _moved(bundle: Bundle, step: Step) -> Bundle:
    change = np.clip(step["log_focal"][..., 0], -_MAX_ZOOM, _MAX_ZOOM)
    return replace(
        bundle,
        R_camera_world=matrix_from_vector(step["turn"]) @ bundle.R_camera_world,
        t_camera_world=bundle.t_camera_world + step.get("shift", 0.0),
        focal_px=bundle.focal_px * np.exp(change),
        points=_moved_points(bundle.points, step["point"]),
    )


def refine_cameras(bundle: Bundle, translate: bool, scale_px: float, iterations: int = 12) -> Bundle:
    """Every camera by itself against fixed points and focal lengths (resection), all in one batch."""

    def at(values: tuple[np.ndarray, ...]) -> Bundle:
        return replace(bundle, R_camera_world=values[0], t_camera_world=values[1])

    def derivatives(values: tuple[np.ndarray, ...]) -> np.ndarray:
        linear = _Linear.of(at(values))
        return np.concatenate([linear.by_turn(), linear.by_shift()], 2) if translate else linear.by_turn()

    def moved(values: tuple[np.ndarray, ...], step: np.ndarray) -> tuple[np.ndarray, ...]:
        return matrix_from_vector(step[:, :3]) @ values[0], values[1] + (step[:, 3:] if translate else 0.0)

    start = bundle.R_camera_world, bundle.t_camera_world
    return at(
        minimise_each(
            start, bundle.camera, lambda v: residuals(at(v)), derivatives, moved, cauchy(scale_px), iterations
        )
    )


def refine_points(bundle: Bundle, translate: bool, scale_px: float, iterations: int = 12) -> Bundle:
    """Every point by itself against fixed cameras (triangulation), all in one batch."""

    def at(values: tuple[np.ndarray, ...]) -> Bundle:
        return replace(bundle, points=values[0])

    def moved(values: tuple[np.ndarray, ...], step: np.ndarray) -> tuple[np.ndarray, ...]:
        return (_moved_points(values[0], step),)

    return at(
        minimise_each(
            (bundle.points,),
            bundle.point,
            lambda values: residuals(at(values)),
            lambda values: _Linear.of(at(values)).by_point(translate),
            moved,
            cauchy(scale_px),
            iterations,
        )
    )


def _in_cameras(bundle: Bundle) -> tuple[Float[np.ndarray, "3 observation"], Float[np.ndarray, "3 observation"]]:
    """Each observation's point turned into its camera's axes, and then shifted into its camera.

    Coordinates come first in arrays here: NumPy is several times quicker along long last axes.
    """
    R = np.take(bundle.R_camera_world.reshape(-1, 9).T, bundle.camera, 1).reshape(3, 3, -1)
    X = np.take(bundle.points.T, bundle.point, 1)
    turned = R[:, 0] * X[0] + R[:, 1] * X[1] + R[:, 2] * X[2]
    return turned, turned + X[3] * np.take(bundle.t_camera_world.T, bundle.camera, 1)


def _mirrors(points: Float[np.ndarray, "point 4"], size: int) -> Float[np.ndarray, "point size_1"]:
    """A unit vector v per point; the reflection I − 2 v vᵀ takes the point to the last axis, up to sign.

    So it takes the other axes to the directions in which the point can move: three, or two for directions alone.
    """
    v = points[:, : size + 1]
    v = np.concatenate([v[:, :-1], v[:, -1:] + np.where(v[:, -1:] >= 0, 1.0, -1.0)], 1)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def _moved_points(points: Float[np.ndarray, "point 4"], step: Float[np.ndarray, "point size"]) -> np.ndarray:
    """Points moved across themselves, and brought back to unit length."""
    size = step.shape[1]
    mirrors = _mirrors(points, size)
    change = -2 * mirrors * (mirrors[:, :size] * step).sum(1, keepdims=True)
    change[:, :size] += step
    moved = points.copy()
    moved[:, : size + 1] += change
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


@dataclass(frozen=True)
class _Linear:
    """Derivatives of the residuals; all zero where a point is not in front of its camera.

    As "observation 2 unknown", though the observations lie next to each other in memory.
    """

    bundle: Bundle
    turned: Float[np.ndarray, "3 observation"]
    share: Float[np.ndarray, "2 observation"]
    """x / z and y / z before the camera."""
    scale: Float[np.ndarray, " observation"]
    """Focal length over z."""

    @staticmethod
    def of(bundle: Bundle) -> "_Linear":
        turned, y = _in_cameras(bundle)
        z = np.where(y[2] > _NEAREST, y[2], np.inf)
        return _Linear(bundle, turned, y[:2] / z, bundle.focal_px[bundle.camera] / z)

    def by_turn(self) -> Float[np.ndarray, "observation 2 3"]:
        """By a turn of the camera about its own axes."""
        x, y, z = self.turned
        a, b = self.share
        J = np.stack([-a * y, z + a * x, -y, -z - b * y, b * x, x]) * self.scale
        return J.reshape(2, 3, -1).transpose(2, 0, 1)

    def by_shift(self) -> Float[np.ndarray, "observation 2 3"]:
        """By a shift of the camera's translation."""
        w = np.take(self.bundle.points[:, 3], self.bundle.point) * self.scale
        J = np.zeros((2, 3, len(w)))
        J[0, 0] = J[1, 1] = w
        J[:, 2] = -self.share * w
        return J.transpose(2, 0, 1)

    def by_log_focal(self) -> Float[np.ndarray, "observation 2 1"]:
        """By the logarithm of the focal length: the distance from the picture's centre."""
        return (self.share * self.bundle.focal_px[self.bundle.camera]).T[..., None]

    def by_point(self, translate: bool) -> Float[np.ndarray, "observation 2 size"]:
        """By the point: its three directions across itself, or, of directions alone, its two."""
        bundle, size = self.bundle, 3 if translate else 2
        P = np.concatenate([bundle.R_camera_world, bundle.t_camera_world[..., None]], 2)[:, :, : size + 1]
        P = np.take(P.reshape(len(P), -1).T, bundle.camera, 1).reshape(3, size + 1, -1)
        by_world = P[:2] - self.share[:, None] * P[2]
        v = np.take(_mirrors(bundle.points, size).T, bundle.point, 1)
        along = (by_world * v).sum(1)
        J = (by_world[:, :-1] - 2 * along[:, None] * v[:-1]) * self.scale
        return J.transpose(2, 0, 1)
