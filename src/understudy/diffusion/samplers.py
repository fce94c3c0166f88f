"""From noise to a clip along a velocity field: Euler and Heun, one visible loop each."""

from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.runtime.progress import Progress, silent

__all__ = ["SAMPLERS", "SamplerName", "VelocityField", "euler", "heun"]

SamplerName = Literal["euler", "heun"]


@runtime_checkable
class VelocityField(Protocol):
    """Says where noisy clips move."""

    def __call__(
        self, noisy: Float[Tensor, "batch *shape"], time: Float[Tensor, " batch"]
    ) -> Float[Tensor, "batch *shape"]:
        """The velocity of every clip at its time, which is below 1."""
        ...


@torch.no_grad()
def euler(
    field: VelocityField,
    noise: Float[Tensor, "batch *shape"],
    times: Float[Tensor, " steps_1"],
    progress: Progress = silent,
) -> Float[Tensor, "batch *shape"]:
    """First order: one look at the field per step; exact where paths are straight."""
    clip = noise
    for step in range(len(times) - 1):
        now, after = times[step], times[step + 1]
        clip = clip + (after - now) * field(clip, now.expand(len(clip)).to(clip))
        progress(step + 1, len(times) - 1)
    return clip


@torch.no_grad()
def heun(
    field: VelocityField,
    noise: Float[Tensor, "batch *shape"],
    times: Float[Tensor, " steps_1"],
    progress: Progress = silent,
) -> Float[Tensor, "batch *shape"]:
    """Second order: the mean of the field at both ends of a step, two looks per step.

    The last step has one look, because the field has no value at t = 1. Source: Karras et al. 2022, algorithm 1.
    """
    clip = noise
    for step in range(len(times) - 1):
        now, after = times[step], times[step + 1]
        velocity = field(clip, now.expand(len(clip)).to(clip))
        if step + 1 < len(times) - 1:
            ahead = clip + (after - now) * velocity
            velocity = (velocity + field(ahead, after.expand(len(clip)).to(clip))) / 2
        clip = clip + (after - now) * velocity
        progress(step + 1, len(times) - 1)
    return clip


SAMPLERS = {"euler": euler, "heun": heun}
"""By name."""
