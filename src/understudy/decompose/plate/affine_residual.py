"""The last pixels of alignment between a fill of a mosaic and the frame it goes into."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped

from understudy.decompose.plate.blend import luminance_of
from understudy.imaging.channels import median

__all__ = ["AlignmentTarget", "affine_residual", "move", "shake_px"]

_MIN_SAMPLES, _MAX_SAMPLES = 200, 3500
"""Pixels that are compared: with fewer nothing is told, more tell no more."""
_NOISE_LEVELS = 4.0
"""8-bit levels: differences up to about this are noise, and count fully."""


@dataclass(frozen=True)
class AlignmentTarget:
    """A frame that fills are aligned with."""

    luminance: Float[np.ndarray, "height width"]
    """Smoothed."""
    gradient_x: Float[np.ndarray, "height width"]
    gradient_y: Float[np.ndarray, "height width"]

    @staticmethod
    def of(frame: Float[np.ndarray, "height width 3"]) -> "AlignmentTarget":
        """What of a frame is compared."""
        luminance = _smooth(frame)
        x, y = (cv2.Sobel(luminance, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
        return AlignmentTarget(luminance, x, y)


def affine_residual(
    fill: Float[np.ndarray, "height width 3"],
    target: AlignmentTarget,
    known: Bool[np.ndarray, "height width"],
    max_px: float = 4.0,
) -> Float[np.ndarray, "2 3"]:
    """The affine map (frame index → fill index) under which the fill meets the frame best where both are known.

    Gauss-Newton on luminance with robust weights, in coordinates around the centre; returns the identity where the
    picture is too plain to tell or the answer is farther than `max_px`.

    Source: Baker and Matthews 2004, Lucas-Kanade 20 Years On, section 3.2 (inverse compositional).
    """
    identity = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    height, width = known.shape
    source = _smooth(fill)
    inner = cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rows, columns = np.nonzero(inner)
    if len(rows) < _MIN_SAMPLES:
        return identity
    step = -(-len(rows) // _MAX_SAMPLES)
    rows, columns = rows[::step], columns[::step]
    gradient_x, gradient_y = target.gradient_x[rows, columns], target.gradient_y[rows, columns]
    scale = max(height, width) / 2
    x, y = ((at / scale).astype(np.float32) for at in (columns - width / 2, rows - height / 2))
    jacobian = np.stack([gradient_x * x, gradient_x * y, gradient_x, gradient_y * x, gradient_y * y, gradient_y])
    values = target.luminance[rows, columns]
    homogeneous = np.stack([x, y, np.ones_like(x)])
    centre = np.array([[width / 2], [height / 2]])
    A = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    # The prior holds the affine part back where only few edges are seen.
    prior = np.diag([1.0, 1.0, 0.1, 1.0, 1.0, 0.1]) * 0.02 * len(rows)
    for _ in range(6):
        at = ((A @ homogeneous) * scale + centre).astype(np.float32)
        moved = cv2.remap(source, at[:1], at[1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        error = moved[0] - values
        error -= np.float32(median(error))
        weight = 1 / (1 + (error / np.float32(max(_NOISE_LEVELS, 1.5 * median(np.abs(error))))) ** 2) ** 2
        # Inverse compositional: the step is solved on the target and composed inversely onto the source's map.
        weighted = jacobian * weight
        step_px = np.linalg.solve(weighted @ jacobian.T + prior, weighted @ error).reshape(2, 3)
        increment = np.vstack([identity + step_px / scale, [0, 0, 1]])
        A = np.vstack([A, [0, 0, 1]]) @ np.linalg.inv(increment)
        A = A[:2]
        if np.abs(step_px).max() < 0.02:
            break
    corners = np.array([[-1.0, -1.0, 1.0], [1.0, -1.0, 1.0], [-1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    if not np.isfinite(A).all() or np.abs(corners @ (A - identity).T).max() * scale > max_px:
        return identity
    to_unit = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, scale]]) / scale
    from_unit = np.linalg.inv(to_unit)
    return (from_unit @ np.vstack([A, [0, 0, 1]]) @ to_unit)[:2]


def _smooth(picture: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width"]:
    return cv2.GaussianBlur(luminance_of(picture), (0, 0), 1.0)


def move(
    fill: Shaped[np.ndarray, "height width *channel"], A_fill_frame: Float[np.ndarray, "2 3"]
) -> Shaped[np.ndarray, "height width *channel"]:
    """The fill where the map of `affine_residual` puts it."""
    return cv2.warpAffine(
        fill,
        A_fill_frame,
        (fill.shape[1], fill.shape[0]),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def shake_px(A_fill_frame: Float[np.ndarray, "2 3"], height: int, width: int) -> float:
    """How far the map of `affine_residual` moves the farthest corner of a picture, in pixels."""
    corners = np.array([[0.0, 0.0, 1.0], [width, 0.0, 1.0], [0.0, height, 1.0], [width, height, 1.0]])
    return float(np.linalg.norm(corners @ A_fill_frame.T - corners[:, :2], axis=1).max())
