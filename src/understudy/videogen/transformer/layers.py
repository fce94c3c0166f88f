"""The few layers that the video model and its text encoder are made of.

Weights stay float32; every product is computed in the precision of its input, so that one cast of the tokens decides.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from understudy.videogen.transformer.rays import ASIDE_NUMBERS, POINT_NUMBERS

__all__ = ["Attention", "Linear", "Nearness", "SwiGLU", "attend", "rms_norm"]

ASIDE_GAIN, AHEAD_GAIN = 10.0, 2.0
"""Units of what heads learn, in nats: against a squared angle of 1 rad², and for the way ahead against the way back."""


class Nearness(NamedTuple):
    """Which tokens look along rays, and which lie at points of the set; zeros for those that do neither.

    Two zeros more follow the numbers, because products of widths that eight divides are fast.
    """

    rays: Float[Tensor, "batch token 16"]
    """`rays.passing_numbers`."""
    points: Float[Tensor, "batch token 16"]
    """`rays.point_numbers`."""

    @staticmethod
    def of(
        rays: Float[Tensor, "batch ray 14"],
        first_ray: int,
        points: Float[Tensor, "batch point 14"],
        first_point: int,
        tokens: int,
    ) -> "Nearness":
        """Rays and points at their places among so many tokens."""
        padded = [
            F.pad(part, (0, -POINT_NUMBERS % 8, first, tokens - first - part.shape[1]))
            for part, first in ((rays, first_ray), (points, first_point))
        ]
        return Nearness(*padded)


class Linear(nn.Linear):
    """A linear map in the precision of its input."""

    def forward(self, x: Float[Tensor, "*batch wide"]) -> Float[Tensor, "*batch out"]:
        """x W + b."""
        return F.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))


def rms_norm(x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """Each vector at a root mean square of 1; the caller scales it."""
    return F.rms_norm(x, x.shape[-1:])


def attend(
    q: Float[Tensor, "batch head query width"],
    k: Float[Tensor, "batch head token width"],
    v: Float[Tensor, "batch head token other"],
) -> Float[Tensor, "batch head query other"]:
    """softmax(q kᵀ) v."""
    if q.device.type == "cpu":
        # The fused kernel is up to ten times slower backwards on CPUs than these two products in bfloat16.
        return torch.softmax(q @ k.mT, -1) @ v
    return _fused(q, k, v)


def _fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`attend` by PyTorch's own kernels; the fast ones on GPUs need values as wide as the queries."""
    wider = F.pad(v, (0, q.shape[-1] - v.shape[-1]))
    return F.scaled_dot_product_attention(q, k, wider, scale=1.0)[..., : v.shape[-1]]


class Attention(nn.Module):
    """Every token looks at every token; queries and keys are normalised (Dehghani et al. 2023).

    Keys start as queries do, so that at the start of training tokens attend to those that are like them: to patches of
    other pictures that see the same place, once both carry one kind of ray. With `knows_nearness`, they also
    attend to those whose points their rays pass by, each head as much as it learns to.
    """

    def __init__(self, width: int, heads: int, knows_nearness: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.query = Linear(width, width, bias=False)
        self.key = Linear(width, width, bias=False)
        self.value = Linear(width, width, bias=False)
        self.out = Linear(width, width, bias=False)
        self.query_scale = nn.Parameter(torch.ones(width // heads))
        self.key_scale = nn.Parameter(torch.ones(width // heads))
        if knows_nearness:
            self.aside = nn.Parameter(torch.full((heads,), 0.5))
            self.ahead = nn.Parameter(torch.full((heads,), 0.5))
        with torch.no_grad():
            self.key.weight.copy_(self.query.weight)
        nn.init.zeros_(self.out.weight)

    def forward(
        self, x: Float[Tensor, "batch token width"], nearness: Nearness | None = None
    ) -> Float[Tensor, "batch token width"]:
        """What each token takes from the others; nothing at the start of training."""
        q, k, v = (self._heads_of(part(x)) for part in (self.query, self.key, self.value))
        q = rms_norm(q) * self.query_scale.to(x.dtype)
        k = rms_norm(k) * (self.key_scale * k.shape[-1] ** -0.5).to(x.dtype)
        if nearness is not None:
            q, k = self._joined_by_nearness(q, k, nearness)
        return self.out(attend(q, k, v).transpose(1, 2).flatten(2))

    def _joined_by_nearness(self, q: Tensor, k: Tensor, nearness: Nearness) -> tuple[Tensor, Tensor]:
        """Queries and keys with numbers after their own whose products say how near rays pass points."""
        aside = (-ASIDE_GAIN * self.aside)[:, None].expand(-1, ASIDE_NUMBERS)
        ahead = (AHEAD_GAIN * self.ahead)[:, None].expand(-1, POINT_NUMBERS - ASIDE_NUMBERS)
        gain = F.pad(torch.cat([aside, ahead], 1), (0, -POINT_NUMBERS % 8))[:, None].to(k.dtype)
        rays = nearness.rays[:, None].expand(-1, self.heads, -1, -1)
        return torch.cat([q, rays], -1), torch.cat([k, nearness.points[:, None] * gain], -1)

    def _heads_of(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch head token part"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class SwiGLU(nn.Module):
    """A gated feed-forward layer; nothing at the start of training. Source: Shazeer 2020, GLU variants."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = Linear(width, hidden, bias=False)
        self.up = Linear(width, hidden, bias=False)
        self.down = Linear(hidden, width, bias=False)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """down(silu(gate(x)) · up(x))."""
        return self.down(F.silu(self.gate(x)) * self.up(x))
