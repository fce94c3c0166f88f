"""Joints from a figure's outline and colours by a small network, for figures that no landmark model knows.

Its weights are our own, learned from random figures alone (scripts/train_joint_network.py), no photograph among them.
"""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from safetensors.numpy import load_file
from skimage.morphology import convex_hull_image

from understudy.characters.picture.joints import POINTS, FigureJoints, silhouette_score

__all__ = ["HEAT_PX", "INPUT_PX", "joints_from_outline", "network_input", "network_points", "square_around"]

INPUT_PX = 64
"""Side of the square that the network sees."""
HEAT_PX = 32
"""Side of its heat maps."""
MARGIN = 1.12
"""Side of the square in the figure's longer side."""
MAX_DOUBT = 0.08
"""Mean spread of the joints, in heights, from which on the outline is no figure that the network knows."""
MAX_SOLID = 0.9
"""A silhouette that fills more of its convex hull shows no limbs."""
WEIGHTS_FILE = Path(__file__).with_name("joint_network.safetensors")


def square_around(figure: Bool[np.ndarray, "height width"]) -> tuple[Float[np.ndarray, "2"], float]:
    """Top-left corner and side, in pixels, of the square around a figure that the network sees."""
    rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
    low, high = np.array([columns[0], rows[0]]), np.array([columns[-1], rows[-1]]) + 1
    side = MARGIN * float((high - low).max())
    return 0.5 * (low + high) - 0.5 * side, side


def network_input(
    rgb: UInt8[np.ndarray, "height width 3"], figure: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, "64 64 4"]:
    """How much of each cell is figure, and the figure's mean sRGB colour there (0 … 1; 0 outside)."""
    corner, side = square_around(figure)
    rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    layers = np.dstack([figure[box], np.where(figure[box][..., None], rgb[box], 0) / 255.0]).astype(np.float32)
    scale = INPUT_PX / side
    size = max(1, round(layers.shape[1] * scale)), max(1, round(layers.shape[0] * scale))
    small = cv2.resize(layers, size, interpolation=cv2.INTER_AREA)
    # What is left of a whole number of cells goes into the last step, bilinear.
    exact = np.array([size[0] / layers.shape[1], size[1] / layers.shape[0]])
    shift = (np.array([columns[0], rows[0]]) - corner) * scale
    M = np.array([
        [scale / exact[0], 0, shift[0] + 0.5 * scale / exact[0] - 0.5],
        [0, scale / exact[1], shift[1] + 0.5 * scale / exact[1] - 0.5],
    ])  # fmt: skip
    out = cv2.warpAffine(small, M, (INPUT_PX, INPUT_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    out[..., 1:] /= np.maximum(out[..., :1], 1e-3)
    return out


def joints_from_outline(
    rgb: UInt8[np.ndarray, "height width 3"], figure: Bool[np.ndarray, "height width"]
) -> FigureJoints | None:
    """The joints of a figure whose limbs show in its outline or its colours; None if the network sees no figure."""
    if figure.sum() > MAX_SOLID * convex_hull_image(figure).sum():
        return None
    points, doubt = network_points(rgb, figure)
    tall = float(np.ptp(np.flatnonzero(figure.any(1))) + 1)
    if float(np.mean(doubt)) > MAX_DOUBT * tall:
        return None
    return FigureJoints(points, None, silhouette_score(points, figure), sure=False, guessed=True, doubt_px=doubt)


def network_points(
    rgb: UInt8[np.ndarray, "height width 3"], figure: Bool[np.ndarray, "height width"]
) -> tuple[Float[np.ndarray, "20 2"], Float[np.ndarray, "20"]]:
    """Where each of POINTS is, and how far off it may be (one standard deviation), in pixels.

    The network looks four times: at the colours and at the outline alone, each as it is and mirrored.
    """
    corner, side = square_around(figure)
    x = network_input(rgb, figure)
    coverage = x[..., :1]
    mean = (x[..., 1:] * coverage).sum((0, 1)) / max(float(coverage.sum()), 1.0)
    colour = np.concatenate([coverage, (x[..., 1:] - mean) * coverage], -1)
    outline = np.concatenate([coverage, np.zeros_like(x[..., 1:])], -1)
    heat = []
    for look in (colour, outline):
        heat += [_heat(look), _heat(look[:, ::-1])[:, ::-1, _MIRRORED]]
    means, variances = zip(*(_moments(values) for values in heat), strict=True)
    points, variance = np.mean(means, 0), np.mean(variances, 0) + np.var(means, 0).sum(-1)
    cell = side / HEAT_PX
    return corner + points * cell, np.sqrt(variance) * cell


_MIRRORED = np.array([
    POINTS.index(
        name.replace("left", "right") if name.startswith("left") else name.replace("right", "left")
    )
    for name in POINTS
])  # fmt: skip


def _moments(heat: Float32[np.ndarray, "row column 20"]) -> tuple[Float[np.ndarray, "20 2"], Float[np.ndarray, "20"]]:
    """Mean place (x, y), and variance in both directions together, of each heat map as a density, in cells."""
    share = np.exp(heat - heat.max((0, 1))).astype(np.float64)
    share /= share.sum((0, 1))
    at = np.arange(HEAT_PX) + 0.5
    across, downwards = share.sum(0), share.sum(1)
    mean = np.stack([at @ across, at @ downwards], -1)
    return mean, (at**2) @ across + (at**2) @ downwards - (mean**2).sum(-1)


@cache
def _weights() -> dict[str, Float32[np.ndarray, "..."]]:
    return {name: value.astype(np.float32) for name, value in load_file(WEIGHTS_FILE).items()}


def _convolved(x: Float32[np.ndarray, "h w c"], name: str, stride: int = 1) -> Float32[np.ndarray, "h2 w2 d"]:
    """A convolution of the network, its edge filled with zeros."""
    weight, bias = _weights()[f"{name}.weight"], _weights()[f"{name}.bias"]
    reach = weight.shape[-1] // 2
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], (0, 1))[::stride, ::stride]
    rows, columns = windows.shape[:2]
    return (windows.reshape(rows * columns, -1) @ weight.reshape(len(weight), -1).T + bias).reshape(rows, columns, -1)


def _heat(x: Float32[np.ndarray, "64 64 4"]) -> Float32[np.ndarray, "32 32 20"]:
    """The network: down to 4 × 4 cells and up again, sums across (Ronneberger et al. 2015, U-Net; He et al. 2016)."""

    def unit(x: np.ndarray, name: str, stride: int = 1) -> np.ndarray:
        return np.maximum(_convolved(x, name, stride), 0)

    half = INPUT_PX // 2
    x, kept = x.reshape(half, 2, half, 2, -1).transpose(0, 2, 4, 1, 3).reshape(half, half, -1), []
    for level in range(4):
        x = unit(x, f"down.{level}", 1 if level == 0 else 2)
        x = x + unit(x, f"same.{level}")
        kept.append(x)
    x = x + unit(x, "deep")
    for level in (2, 1, 0):
        x = unit(x, f"lift.{level}").repeat(2, 0).repeat(2, 1) + kept[level]
        x = x + unit(x, f"merge.{level}")
    return _convolved(x, "heat")
