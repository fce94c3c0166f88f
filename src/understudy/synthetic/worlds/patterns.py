"""Tiling patterns for ray-cast worlds, as weights of three colours, at several sizes.

A pattern says for every texel how much of its surface's second and third colour shows; the rest is the first colour.
Patterns repeat in both directions; row 0 is the lower edge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter
from torch import Tensor

__all__ = ["PATTERNS", "SIDE", "TextureBank", "texture_bank"]

SIDE = 128
LEVELS = 7
"""128, 64 … 2 texels a side."""

Pattern = tuple[np.ndarray, np.ndarray]
X, Y = np.meshgrid((np.arange(SIDE) + 0.5) / SIDE, (np.arange(SIDE) + 0.5) / SIDE)


def _noise(rng: np.random.Generator, blur: float | int) -> Float[np.ndarray, "side side"]:
    """Smooth tiling noise, 0 … 1, its median at one half."""
    rough = gaussian_filter(rng.normal(size=(SIDE, SIDE)), blur, mode="wrap")
    return np.clip(0.5 + 0.22 * rough / rough.std(), 0, 1)


def _cells(rng: np.random.Generator, columns: int, rows: int, gap: float, shifted: bool) -> Pattern:
    """Courses of blocks: joints between them, and each block's own tone."""
    row = np.floor(Y * rows).astype(int)
    x = X * columns + (0.5 * (row % 2) if shifted else 0.0)
    column = np.floor(x).astype(int) % columns
    edge_x = np.minimum(x % 1, 1 - x % 1) / columns
    edge_y = np.minimum(Y * rows % 1, 1 - Y * rows % 1) / rows
    joint = (np.minimum(edge_x, edge_y) < gap).astype(float)
    return joint, (1 - joint) * rng.random((rows, columns))[row, column]


def _plain(rng: np.random.Generator) -> Pattern:
    return 0.25 * _noise(rng, 12), 0.25 * _noise(rng, 4)


def _bricks(rng: np.random.Generator) -> Pattern:
    return _cells(rng, 4, 8, 0.012, True)


def _tiles(rng: np.random.Generator) -> Pattern:
    joint, tone = _cells(rng, 4, 4, 0.01, False)
    return joint, 0.4 * tone


def _paving(rng: np.random.Generator) -> Pattern:
    return _cells(rng, 3, 4, 0.012, True)


def _checks(rng: np.random.Generator) -> Pattern:
    dark = (np.floor(X * 4) + np.floor(Y * 4)) % 2
    return dark, 0.15 * _noise(rng, 3)


def _stripes(rng: np.random.Generator) -> Pattern:
    return (X * 4 % 1 < 0.5).astype(float), 0.1 * _noise(rng, 6)


def _planks(rng: np.random.Generator) -> Pattern:
    joint, tone = _cells(rng, 6, 1, 0.006, False)
    grain = gaussian_filter(rng.normal(size=(SIDE, SIDE)), (14, 0.8), mode="wrap")
    return joint, np.clip((1 - joint) * (0.7 * tone + 0.12 + 0.12 * grain / grain.std()), 0, 1)


def _plaster(rng: np.random.Generator) -> Pattern:
    return 0.5 * _noise(rng, 9), 0.2 * (_noise(rng, 1.2) > 0.7)


def _facade(rng: np.random.Generator) -> Pattern:
    """Two by two windows in frames, on a wall."""
    x, y = np.abs(X * 2 % 1 - 0.5), Y * 2 % 1 - 0.52
    frame = (x < 0.24) & (np.abs(y) < 0.33)
    pane = (x < 0.19) & (x > 0.015) & (np.abs(y) < 0.28)
    lit = (0.75 + 0.25 * rng.random((2, 2)))[(Y * 2).astype(int), (X * 2).astype(int)]
    sill = (x < 0.28) & (np.abs(y + 0.36) < 0.03)
    return ((frame & ~pane) | sill).astype(float), pane * lit


def _books(rng: np.random.Generator) -> Pattern:
    """Four shelves of spines."""
    shelf = (Y * 4 % 1 < 0.09).astype(float)
    spine = (X * 18).astype(int)
    tone = rng.random((4, 18))[(Y * 4).astype(int), spine]
    height = (0.62 + 0.3 * rng.random((4, 18)))[(Y * 4).astype(int), spine]
    gap = height < Y * 4 % 1
    return np.where(gap, 0.0, np.maximum(shelf, (1 - shelf) * (tone < 0.45))), np.where(gap, 0.0, (1 - shelf) * tone)


def _leaves(rng: np.random.Generator) -> Pattern:
    light, dark = _noise(rng, 2.5) > 0.58, _noise(rng, 1.8) > 0.66
    return (light & ~dark).astype(float), dark.astype(float)


def _sky(rng: np.random.Generator) -> Pattern:
    """Clouds round the horizon: x goes once around, y from the horizon to overhead."""
    haze = np.exp(-4.0 * Y)
    cloud = np.clip(4 * (gaussian_filter(_noise(rng, 5), (0, 3), mode="wrap") - 0.5), 0, 1) * (1 - Y) ** 0.5
    return np.maximum(0.75 * haze, 0.9 * cloud), np.zeros_like(X)


def _door(rng: np.random.Generator) -> Pattern:
    frame = (np.abs(X - 0.5) > 0.42) | (Y > 0.94)
    panel = (np.abs(np.abs(X - 0.5) - 0.19) < 0.12) & (np.abs(np.abs(Y - 0.47) - 0.22) < 0.15)
    knob = (X - 0.82) ** 2 + (Y - 0.46) ** 2 / 4 < 0.001
    return np.maximum(frame, knob).astype(float), 0.6 * panel


def _window(rng: np.random.Generator) -> Pattern:
    frame = (np.abs(X - 0.5) > 0.43) | (np.abs(Y - 0.5) > 0.44) | (np.abs(X - 0.5) < 0.03) | (np.abs(Y - 0.6) < 0.02)
    return frame.astype(float), (1 - frame) * (0.6 + 0.4 * Y)


def _picture(rng: np.random.Generator) -> Pattern:
    frame = (np.abs(X - 0.5) > 0.44) | (np.abs(Y - 0.5) > 0.44)
    hill = 0.42 + 0.12 * np.sin(7 * X) > Y
    sun = (X - 0.65) ** 2 + (Y - 0.68) ** 2 < 0.012
    return (frame | sun).astype(float), (1 - frame) * hill


def _rings(rng: np.random.Generator) -> Pattern:
    far = np.hypot(X * 2 % 1 - 0.5, Y * 2 % 1 - 0.5)
    return ((far > 0.2) & (far < 0.38)).astype(float), (far < 0.12).astype(float)


def _diamonds(rng: np.random.Generator) -> Pattern:
    far = np.abs(X * 3 % 1 - 0.5) + np.abs(Y * 3 % 1 - 0.5)
    return (far < 0.38).astype(float), (far > 0.85).astype(float)


PATTERNS: dict[str, Callable[[np.random.Generator], Pattern]] = {
    "plain": _plain, "bricks": _bricks, "tiles": _tiles, "paving": _paving, "checks": _checks, "stripes": _stripes,
    "planks": _planks, "plaster": _plaster, "facade": _facade, "books": _books, "leaves": _leaves, "sky": _sky,
    "door": _door, "window": _window, "picture": _picture, "rings": _rings, "diamonds": _diamonds,
}  # fmt: skip
"""Every pattern by name; its position is its number in the bank."""


@dataclass(frozen=True)
class TextureBank:
    """All patterns at all sizes, in one row: level by level, in a level pattern by pattern, then rows of texels."""

    second: Float[Tensor, " texel"]
    """Weight of a surface's second colour."""
    third: Float[Tensor, " texel"]
    """Weight of a surface's third colour."""

    def look_up(
        self,
        pattern: Float[Tensor, "*ray"],
        u: Float[Tensor, "*ray"],
        v: Float[Tensor, "*ray"],
        level: Float[Tensor, "*ray"],
    ) -> tuple[Float[Tensor, "*ray"], Float[Tensor, "*ray"]]:
        """Weights of the second and the third colour.

        `u`, `v`: in tiles, any number. `level`: log2 of how many of the finest texels a sample covers.
        """
        # All in float32, where every index is exact: it is several times quicker than integers are.
        side = (7.0 - (level + 0.5).floor_().clamp_(0, LEVELS - 1)).exp2_()
        column = ((u - u.floor()) * side).floor_()
        row = ((v - v.floor()) * side).floor_()
        column, row = torch.minimum(column, side - 1), torch.minimum(row, side - 1)
        count = len(PATTERNS)
        start = (SIDE * SIDE - side * side) * (4 * count / 3)
        texel = torch.addcmul(column, torch.addcmul(row, pattern, side), side).add_(start).add_(0.25)
        texel = texel.to(torch.int32).view(-1)
        return self.second.index_select(0, texel).view(u.shape), self.third.index_select(0, texel).view(u.shape)


@cache
def texture_bank(device: torch.device) -> TextureBank:
    """The patterns on a device; always the same ones."""
    rng = np.random.default_rng(20)
    weights = np.stack([np.stack(pattern(rng)) for pattern in PATTERNS.values()], 1)
    level = torch.tensor(weights, dtype=torch.float32)
    rows = []
    for _ in range(LEVELS):
        rows.append(level.reshape(2, -1))
        level = torch.nn.functional.avg_pool2d(level, 2)
    second, third = torch.cat(rows, 1).to(device).contiguous()
    return TextureBank(second.contiguous(), third.contiguous())
