"""What the camera fit compares, with derivatives in closed form.

The unknowns of a frame are three blocks: "turn", a small one of the camera about its own axes (radians); "shift", of
its position in the world (as shares of the subject's distance); and "log_focal", the logarithm of the focal length.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from understudy.cinematography.body_proxy import BodyProxy
from understudy.geometry.rotations import cross_matrix
from understudy.solvers.residuals import Derivatives

__all__ = ["UNKNOWNS", "FitCamera", "Picture", "picture_of"]

UNKNOWNS = {"turn": 3, "shift": 3, "log_focal": 1}
"""The blocks and their sizes."""
_EXTENTS = 4
_SOFTNESS = 0.012
"""Over which share of the actor's height the extents are smooth."""
_FRAMES_AT_ONCE = 256


@dataclass(frozen=True)
class FitCamera:
    """A camera over time in the form that the fit moves."""

    R_world_camera: Float[np.ndarray, "time 3 3"]
    position: Float[np.ndarray, "time 3"]
    focal_px: Float[np.ndarray, "time 2"]
    centre_px: Float[np.ndarray, "time 2"]
    near_m: float
    """Points nearer than this are not seen."""
    distance_m: float
    """The unit of the camera's shifts."""


@dataclass(frozen=True)
class Picture:
    """What is compared of a body in the picture, in pixels, with derivatives by the unknowns."""

    points_px: Float[np.ndarray, "time point 2"]
    """The joints, then the two soles."""
    points_seen: Float[np.ndarray, "time point"]
    """1 in front of the camera, else 0."""
    by_points: Derivatives
    """Of `points_px`, by each block: "time point 2 size"."""
    outline_px: Float[np.ndarray, "time 6"]
    """Left, top, right, bottom, and the middle (x, y) of the surface."""
    outline_seen: Float[np.ndarray, " time"]
    """1 where the whole body is in front of the camera."""
    by_outline: Derivatives
    """Of `outline_px`, by each block: "time 6 size"."""
    box_px: Float[np.ndarray, "time 4"]
    """Left, top, right, bottom: exact, where the outline is smooth."""


def picture_of(body: BodyProxy, view: FitCamera, height_px: Float[np.ndarray, " time"] | None) -> Picture:
    """Project a body. The outline is soft over a small share of `height_px`; None: over that of the body itself."""
    time = len(body.joints)
    points = np.concatenate([body.joints, body.soles], 1)
    pixels = np.empty((time, points.shape[1], 2))
    seen = np.empty((time, points.shape[1]))
    by_points = {name: np.empty((time, points.shape[1], 2, size)) for name, size in UNKNOWNS.items()}
    outline, outline_seen = np.empty((time, 6)), np.empty(time)
    by_outline, box = {name: np.empty((time, 6, size)) for name, size in UNKNOWNS.items()}, np.empty((time, 4))
    for start in range(0, time, _FRAMES_AT_ONCE):
        span = slice(start, start + _FRAMES_AT_ONCE)
        pixels[span], seen[span], by_joints = _projected(points[span], view, span)
        surface, surface_seen, by_surface = _projected(body.surface[span], view, span)
        height = np.ptp(surface[..., 1], axis=1) if height_px is None else height_px[span]
        outline[span], by_edge = _outline(surface, by_surface, np.maximum(height, 1.0))
        for name in UNKNOWNS:
            by_points[name][span], by_outline[name][span] = by_joints[name], by_edge[name]
        outline_seen[span] = surface_seen.min(1)
        box[span] = np.concatenate([surface.min(1), surface.max(1)], 1)
    return Picture(pixels, seen, by_points, outline, outline_seen, by_outline, box)


def _projected(
    points: Float[np.ndarray, "time point 3"], view: FitCamera, span: slice
) -> tuple[Float[np.ndarray, "time point 2"], Float[np.ndarray, "time point"], Derivatives]:
    """Pixels, whether in front of the camera, and derivatives.

    With p = Rᵀ (X − c): a turn w of the camera about its axes moves p by p × w, a shift d of its position by −Rᵀ d.
    """
    R, focal, centre = view.R_world_camera[span], view.focal_px[span], view.centre_px[span]
    p = (points - view.position[span, None]) @ R
    seen = p[..., 2] > view.near_m
    z = np.maximum(p[..., 2], view.near_m)
    share = p[..., :2] / z[..., None]
    pixels = share * focal[:, None] + centre[:, None]
    by_p = np.zeros((*p.shape[:2], 2, 3))
    by_p[..., 0, 0], by_p[..., 1, 1] = focal[:, None, 0] / z, focal[:, None, 1] / z
    by_p[..., 2] = -share * focal[:, None] / z[..., None] * seen[..., None]
    derivatives = {
        "turn": by_p @ cross_matrix(p),
        "shift": -view.distance_m * by_p @ np.swapaxes(R, 1, 2)[:, None],
        "log_focal": (pixels - centre[:, None])[..., None],
    }
    return pixels, seen.astype(np.float64), derivatives


def _outline(
    pixels: Float[np.ndarray, "time point 2"],
    derivatives: Derivatives,
    height_px: Float[np.ndarray, " time"],
) -> tuple[Float[np.ndarray, "time 6"], Derivatives]:
    """Soft extents (a logarithm of a sum of exponentials) and the middle, with derivatives."""
    outline = np.empty((len(pixels), 6))
    by_outline = {name: np.empty((len(pixels), 6, size)) for name, size in UNKNOWNS.items()}
    softness = (_SOFTNESS * height_px)[:, None]
    for side in range(_EXTENTS):
        axis, sign = side % 2, -1.0 if side < 2 else 1.0
        value = sign * pixels[..., axis] / softness
        most = value.max(1, keepdims=True)
        weight = np.exp(value - most)
        total = weight.sum(1, keepdims=True)
        outline[:, side] = (sign * softness * (most + np.log(total)))[:, 0]
        for name, derivative in derivatives.items():
            by_outline[name][:, side] = np.einsum("tp,tpk->tk", weight / total, derivative[:, :, axis])
    outline[:, 4:] = pixels.mean(1)
    for name, derivative in derivatives.items():
        by_outline[name][:, 4:] = derivative.mean(1)
    return outline, by_outline
