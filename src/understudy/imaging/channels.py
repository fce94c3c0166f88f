"""Figures of few values many times over, for which NumPy's own functions are slow."""

import cv2
import numpy as np
from jaxtyping import Bool, Float

__all__ = ["channel_max", "channel_mean", "channel_range", "inside_picture", "median"]


def channel_max(picture: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width"]:
    """The largest of each pixel's channels."""
    red, green, blue = _channels(picture)
    return np.maximum(np.maximum(red, green), blue)


def channel_mean(picture: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width"]:
    """The mean of each pixel's channels."""
    red, green, blue = _channels(picture)
    return (red + green + blue) / red.dtype.type(3)


def channel_range(picture: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width"]:
    """By how much each pixel's largest channel exceeds its smallest."""
    red, green, blue = _channels(picture)
    return np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)


def inside_picture(
    at: Float[np.ndarray, "*shape 2"], height: int, width: int, rim: int = 0
) -> Bool[np.ndarray, "*shape"]:
    """Which positions (array indices: column, row) lie in a picture, `rim` or more pixels from its edge."""
    if not at.size:
        return np.zeros(at.shape[:-1], bool)
    # OpenCV compares both coordinates in one pass, of rows of any length.
    rows = at.reshape(-1, at.shape[-2], 2) if at.ndim > 2 else at.reshape(1, -1, 2)
    return cv2.inRange(rows, (rim, rim), (width - 1 - rim, height - 1 - rim)).reshape(at.shape[:-1]) > 0


def _channels(picture: Float[np.ndarray, "height width 3"]) -> tuple[Float[np.ndarray, "height width"], ...]:
    # OpenCV has no pictures without pixels.
    return tuple(cv2.split(picture)) if picture.size else (picture[..., 0], picture[..., 1], picture[..., 2])


def median(values: Float[np.ndarray, " n"]) -> float:
    """The median of one or more finite values."""
    half = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, half)[half])
    return float(np.partition(values, (half - 1, half))[half - 1 : half + 1].mean())
