"""The last pixel of alignment between a fill and the frame it goes into."""

import cv2
import numpy as np
from jaxtyping import Bool, Float

from understudy.decompose.plate.blend import luminance_of
from understudy.imaging.channels import median

__all__ = ["affine_residual", "move", "shake_px"]

_MIN_SAMPLES, _MAX_SAMPLES = 200, 3500
"""Pixels that are compared: with fewer nothing is told, more tell no more."""
_NOISE_LEVELS = 4.0
"""8-bit levels: differences up to about this are noise, and count fully."""


def affine_residual(
    fill: Float[np.ndarray, "height width 3"],
    frame: Float[np.ndarray, "height width 3"],
    known: Bool[np.ndarray, "height width"],
    max_px: float = 4.0,
) -> Float[np.ndarray, "2 3"]:
    """The affine map (frame index → fill index) under which the fill meets the frame best where both are known.

    Gauss-Newton on luminance with robust weights, in coordinates around the centre; returns the identity where the
    picture is too plain to tell or the answer is farther than `max_px`.

    Source: Baker and Matthews 2004, Lucas-Kanade 20 Years On, section 3.2 (inverse compositional).
    """
    identity = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    target = cv2.GaussianBlur(luminance_of(frame), (0, 0), 1.0)
    source = cv2.GaussianBlur(luminance_of(fill), (0, 0), 1.0)
    inner = cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rows, columns = np.nonzero(inner)
    if len(rows) < _MIN_SAMPLES:
        return identity
    step = -(-len(rows) // _MAX_SAMPLES)
    rows, columns = rows[::step], columns[::step]
    gradient_x = cv2.Sobel(target, cv2.CV_32F, 1, 0, scale=1 / 8)[rows, columns].astype(np.float64)
    gradient_y = cv2.Sobel(target, cv2.CV_32F, 0, 1, scale=1 / 8)[rows, columns].astype(np.float64)
    scale = max(frame.shape[:2]) / 2
    x, y = (columns - frame.shape[1] / 2) / scale, (rows - frame.shape[0] / 2) / scale
    jacobian = np.stack([gradient_x * x, gradient_x * y, gradient_x, gradient_y * x, gradient_y * y, gradient_y], -1)
    values = target[rows, columns].astype(np.float64)
    homogeneous = np.stack([x, y, np.ones_like(x)], -1)
    A = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    # The prior holds the affine part back where only few edges are seen.
    prior = np.diag([1.0, 1.0, 0.1, 1.0, 1.0, 0.1]) * 0.02 * len(rows)
    for _ in range(6):
        at = (homogeneous @ A.T) * scale + np.array([frame.shape[1] / 2, frame.shape[0] / 2])
        moved = cv2.remap(source, at.astype(np.float32)[None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        error = moved[0].astype(np.float64) - values
        error -= median(error)
        weight = 1.0 / (1.0 + (error / max(_NOISE_LEVELS, 1.5 * median(np.abs(error)))) ** 2) ** 2
        # Inverse compositional: the step is solved on the target and composed inversely onto the source's map.
        weighted = (jacobian * weight[:, None]).T
        step_parameters = np.linalg.solve(weighted @ jacobian + prior, weighted @ error).reshape(2, 3)
        increment = np.vstack([identity + step_parameters, [0, 0, 1]])
        A = np.vstack([A, [0, 0, 1]]) @ np.linalg.inv(increment)
        A = A[:2]
        if np.abs(step_parameters).max() * scale < 0.02:
            break
    corners = np.array([[-1.0, -1.0, 1.0], [1.0, -1.0, 1.0], [-1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    if not np.isfinite(A).all() or np.abs(corners @ (A - identity).T).max() * scale > max_px:
        return identity
    to_unit = np.array([[1, 0, -frame.shape[1] / 2], [0, 1, -frame.shape[0] / 2], [0, 0, scale]]) / scale
    from_unit = np.linalg.inv(to_unit)
    return (from_unit @ np.vstack([A, [0, 0, 1]]) @ to_unit)[:2]


def move(
    fill: Float[np.ndarray, "height width *channel"], A_fill_frame: Float[np.ndarray, "2 3"]
) -> Float[np.ndarray, "height width *channel"]:
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
