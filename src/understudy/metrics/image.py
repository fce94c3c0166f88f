"""How far pictures and masks are from the truth."""

from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8
from skimage.metrics import structural_similarity

__all__ = ["mask_iou", "pixel_agreement", "psnr_db", "ssim"]


def mask_iou(predicted: Bool[np.ndarray, "height width"], true: Bool[np.ndarray, "height width"]) -> float:
    """Intersection over union; 1 when both are empty."""
    union = np.count_nonzero(predicted | true)
    return np.count_nonzero(predicted & true) / union if union else 1.0


def pixel_agreement(predicted: Bool[np.ndarray, "height width"], true: Bool[np.ndarray, "height width"]) -> float:
    """PA: share of equal pixels inside the true mask's box, grown by a quarter of its size on every side.

    Raises:
        ValueError: the true mask is empty, so it has no box.
    """
    rows, columns = np.flatnonzero(true.any(1)), np.flatnonzero(true.any(0))
    if not len(rows):
        raise ValueError("pixel agreement needs a true mask that is not empty")
    grow_y, grow_x = (rows[-1] - rows[0] + 1) / 4, (columns[-1] - columns[0] + 1) / 4
    top, left = int(max(rows[0] - grow_y, 0)), int(max(columns[0] - grow_x, 0))
    box = np.s_[top : int(rows[-1] + 1 + grow_y), left : int(columns[-1] + 1 + grow_x)]
    return float((predicted[box] == true[box]).mean())


def psnr_db(
    predicted: UInt8[np.ndarray, "height width 3"],
    true: UInt8[np.ndarray, "height width 3"],
    where: Bool[np.ndarray, "height width"] | None = None,
) -> float:
    """Peak signal-to-noise ratio over all pixels, or those of `where`; infinite for equal pictures."""
    difference = predicted.astype(np.float64) - true
    if where is not None:
        difference = difference[where]
    error = (difference**2).mean() if difference.size else 0.0
    return float(10 * np.log10(255**2 / error)) if error > 0 else float("inf")


def ssim(predicted: UInt8[np.ndarray, "height width 3"], true: UInt8[np.ndarray, "height width 3"]) -> float:
    """Structural similarity of the two pictures' luma, -1 … 1; the mean over all places where the window fits.

    Raises:
        ValueError: a picture is less than 11 pixels high or wide.
    Source: Wang et al. 2004, with its Gaussian window (11 × 11 pixels, σ = 1.5) and constants.
    """
    luma = np.array([0.299, 0.587, 0.114])
    similarity: Any = structural_similarity(  # With other arguments it gives several figures.
        predicted @ luma, true @ luma, data_range=255, gaussian_weights=True, use_sample_covariance=False
    )
    return float(similarity)
