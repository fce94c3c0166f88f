"""Classifier-free guidance with a scale of its own for every condition."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from understudy.diffusion.samplers import VelocityField

__all__ = ["ConditionedField", "guided"]


@runtime_checkable
class ConditionedField(Protocol):
    """A velocity field from which conditions can be taken away."""

    def __call__(
        self, noisy: Float[Tensor, "batch *shape"], time: Float[Tensor, " batch"], without: frozenset[str]
    ) -> Float[Tensor, "batch *shape"]:
        """The velocity under all conditions but those named."""
        ...


def guided(field: ConditionedField, scales: Mapping[str, float]) -> VelocityField:
    """The field with each condition's effect scaled: v + Σ (scale − 1) · (v − v without the condition).

    A scale of 1 is the conditional field itself and costs no look; 0 takes the condition's own effect away.
    Source: Ho and Salimans 2022, Classifier-free diffusion guidance, for several conditions that act side by side.
    """
    active = {name: scale for name, scale in scales.items() if scale != 1}

    def velocity(noisy: Float[Tensor, "batch *shape"], time: Float[Tensor, " batch"]) -> Float[Tensor, "batch *shape"]:
        full = field(noisy, time, frozenset())
        total = full
        for name, scale in active.items():
            total = total + (scale - 1) * (full - field(noisy, time, frozenset({name})))
        return total

    return velocity
