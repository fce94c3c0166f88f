"""What a person wears, as colours: enough to tell two people of one shot apart."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.footage import LANDMARKS

__all__ = ["clothes_colours", "clothes_odds", "colour_distance"]

LIGHTNESS_BINS = 16
CHROMA_BINS = 16
CHROMA_RANGE = (80.0, 176.0)
"""Of OpenCV's 8-bit a* and b*, in which almost all cloth and skin lies; what is beyond counts as their end."""
MIN_PART_PX = 20
"""Of a part, in pixels of the patch, below which its colours say nothing."""
_PARTS = (
    ("left_shoulder", "right_shoulder", "right_hip", "left_hip"),
    ("left_hip", "right_hip", "right_knee", "left_knee"),
)
_CORNERS = [[LANDMARKS.index(name) for name in part] for part in _PARTS]
_BINS = LIGHTNESS_BINS + CHROMA_BINS**2


def clothes_colours(
    patch: UInt8[np.ndarray, "size size 3"],
    mask: UInt8[np.ndarray, "size size"],
    landmarks: Float[np.ndarray, "33 2"],
) -> Float[np.ndarray, "part bin"]:
    """Colour histograms of the trunk and of the thighs, each half lightness, half chroma, with sum one.

    All in pixels of the same picture of the person. A part of which nothing is to be seen is all zero.
    """
    histograms = np.zeros((len(_CORNERS), _BINS))
    for histogram, corners in zip(histograms, _CORNERS, strict=True):
        area = np.zeros(mask.shape, np.uint8)
        polygon = np.clip(landmarks[corners], -len(patch), 2 * len(patch)).round().astype(np.int32)
        # A person seen from the side has no area between the shoulders: the outline's thickness gives it some.
        cv2.polylines(area, [polygon], True, 255, thickness=max(len(patch) // 32, 1))
        cv2.fillConvexPoly(area, cv2.convexHull(polygon), 255)
        area[mask < 128] = 0
        if cv2.countNonZero(area) < MIN_PART_PX:
            continue
        left, top, width, height = cv2.boundingRect(area)
        area = area[top : top + height, left : left + width]
        lab = cv2.cvtColor(patch[top : top + height, left : left + width], cv2.COLOR_RGB2LAB)
        lab[..., 1:] = np.clip(lab[..., 1:], CHROMA_RANGE[0], CHROMA_RANGE[1] - 1)
        lightness = cv2.calcHist([lab], [0], area, [LIGHTNESS_BINS], [0, 256])
        chroma = cv2.calcHist([lab], [1, 2], area, [CHROMA_BINS, CHROMA_BINS], [*CHROMA_RANGE, *CHROMA_RANGE])
        # Smoothing makes neighbouring bins alike, so that a change of light costs little.
        lightness = cv2.GaussianBlur(lightness, (1, 5), 0)
        chroma = cv2.GaussianBlur(chroma, (5, 5), 0)
        histogram[:LIGHTNESS_BINS] = 0.5 * lightness.ravel() / max(lightness.sum(), 1e-9)
        histogram[LIGHTNESS_BINS:] = 0.5 * chroma.ravel() / max(chroma.sum(), 1e-9)
    return histograms


def colour_distance(first: Float[np.ndarray, "part bin"], second: Float[np.ndarray, "part bin"]) -> float:
    """Hellinger distance, 0 … 1, over the parts that both show; 0.5 (no evidence) where they share none."""
    shared = (first.sum(1) > 0) & (second.sum(1) > 0)
    if not shared.any():
        return 0.5
    similarity = np.sqrt(first[shared] * second[shared]).sum(1).mean()
    return float(np.sqrt(max(1.0 - similarity, 0.0)))


def clothes_odds(
    picture: UInt8[np.ndarray, "height width 3"],
    first: Float[np.ndarray, "part bin"],
    second: Float[np.ndarray, "part bin"],
) -> Float[np.ndarray, "height width"]:
    """Per pixel the log of how much likelier its colour is in the first person's clothes than in the second's."""
    lab = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), np.uint8)
    lightness = lab[..., 0] // (256 // LIGHTNESS_BINS)
    low, high = CHROMA_RANGE
    a, b = (
        np.clip((lab[..., c].astype(int) - int(low)) * CHROMA_BINS // int(high - low), 0, CHROMA_BINS - 1)
        for c in (1, 2)
    )
    chroma = LIGHTNESS_BINS + a * CHROMA_BINS + b
    likelihoods = []
    for colours in (first, second):
        by_part = 4.0 * colours[:, lightness] * colours[:, chroma]
        likelihoods.append(by_part.max(0) + 0.5 / (LIGHTNESS_BINS * CHROMA_BINS**2))
    return np.log(likelihoods[0] / likelihoods[1])
