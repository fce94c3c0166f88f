"""Weights for LPIPS that follow a law, so that its figures are known without the trained ones."""

import numpy as np
import torch
from torch import Tensor

SHAPES = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}


def waves(*shape: int) -> Tensor:
    """Numbers in the spread that keeps a layer's output as large as its input."""
    number = np.arange(np.prod(shape), dtype=np.float64)
    wave = np.sin(number * number * 0.37 + 1.3 * number) * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(wave).float().reshape(shape)


def trunk_weights() -> dict[str, Tensor]:
    """Under AlexNet's names, with one of those that LPIPS has no use for."""
    trunk = {"classifier.6.bias": torch.zeros(1000)}
    for layer, shape in SHAPES.items():
        trunk |= {f"features.{layer}.weight": waves(*shape), f"features.{layer}.bias": waves(shape[0])}
    return trunk


def linear_weights() -> dict[str, Tensor]:
    """Under the names of LPIPS 0.1."""
    return {
        f"lin{number}.model.1.weight": waves(1, shape[0], 1, 1).abs() for number, shape in enumerate(SHAPES.values())
    }
