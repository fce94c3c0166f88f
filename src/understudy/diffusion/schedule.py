"""Straight paths from noise to pictures: times, noised clips, velocities and their weights.

Time t runs from 0 (pure noise) to 1 (clean): z(t) = t · clean + (1 − t) · noise, and its velocity is clean − noise.
Sources: Liu et al. 2022, Flow straight and fast (rectified flow); Li and He 2025, Back to basics (a network that
predicts the clean clip, judged by its velocity); Esser et al. 2024, Scaling rectified flow transformers (shift).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "MIN_NOISE",
    "Prediction",
    "TimeSampling",
    "noised",
    "sampling_times",
    "velocity_error",
    "velocity_from_prediction",
]

Prediction = Literal["clean", "velocity"]
"""What a network's output means: the clean clip, or the velocity (plain rectified flow)."""

MIN_NOISE = 0.1
"""Share of noise below which a clean clip's error counts no more than here: 1 / (1 − t)² has no bound."""


@dataclass(frozen=True)
class TimeSampling:
    """Which times a network is trained at: the sigmoid of a normal variable, and some share of pure noise."""

    mean: float = -1.2
    deviation: float = 1.0
    pure_noise: float = 0.1
    """Share of clips at t = 0, where sampling starts and where the layout of a clip is decided."""

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, " count"]:
        """Times for `count` clips, on the generator's device."""
        device = generator.device
        times = torch.sigmoid(torch.randn(count, generator=generator, device=device) * self.deviation + self.mean)
        return torch.where(torch.rand(count, generator=generator, device=device) < self.pure_noise, 0.0, times)


def noised(
    clean: Float[Tensor, "batch *shape"], noise: Float[Tensor, "batch *shape"], time: Float[Tensor, " batch"]
) -> Float[Tensor, "batch *shape"]:
    """Every clip at its time on the straight path from its noise."""
    t = _per_clip(time, clean)
    return t * clean + (1 - t) * noise


def velocity_from_prediction(
    output: Float[Tensor, "batch *shape"],
    noisy: Float[Tensor, "batch *shape"],
    time: Float[Tensor, " batch"],
    prediction: Prediction,
) -> Float[Tensor, "batch *shape"]:
    """Where a clip moves at its time, by what the network says. For "clean", t must be below 1."""
    if prediction == "velocity":
        return output
    return (output - noisy) / (1 - _per_clip(time, noisy))


def velocity_error(
    output: Float[Tensor, "batch *shape"],
    clean: Float[Tensor, "batch *shape"],
    noise: Float[Tensor, "batch *shape"],
    time: Float[Tensor, " batch"],
    prediction: Prediction,
) -> Float[Tensor, "batch *shape"]:
    """Squared error of the velocity, number by number.

    A clean clip's error e is one of e / (1 − t) in velocity; 1 − t is taken as MIN_NOISE at least.
    """
    if prediction == "velocity":
        return (output - (clean - noise)) ** 2
    return ((output - clean) / (1 - _per_clip(time, clean)).clamp(min=MIN_NOISE)) ** 2


def sampling_times(steps: int, shift: float = 1.0) -> Float[Tensor, " steps_1"]:
    """Times 0 … 1 between which a sampler steps; a shift above 1 puts more of them where there is much noise.

    Raises:
        ValueError: no step, or a shift that is not positive.
    """
    if steps < 1 or shift <= 0:
        raise ValueError(f"sampling needs a step or more and a positive shift; got {steps} and {shift:g}")
    noise_share = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    return (1 - shift * noise_share / (1 + (shift - 1) * noise_share)).float()


def _per_clip(time: Float[Tensor, " batch"], clip: Float[Tensor, "batch *shape"]) -> Tensor:
    """Times with axes of length 1, to multiply clips by."""
    return time.reshape(-1, *[1] * (clip.ndim - 1))
