"""The few layers that the video model and its text encoder are made of.

Weights stay float32; every product is computed in the precision of its input, so that one cast of the tokens decides.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Attention", "Linear", "SwiGLU", "attend", "rms_norm"]


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
    v: Float[Tensor, "batch head token width"],
) -> Float[Tensor, "batch head query width"]:
    """softmax(q kᵀ / √width) v."""
    if q.device.type == "cpu":
        # The fused kernel is up to ten times slower backwards on CPUs than these two products in bfloat16.
        return torch.softmax(q @ (k * q.shape[-1] ** -0.5).mT, -1) @ v
    return F.scaled_dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Every token looks at every token; queries and keys are normalised (Dehghani et al. 2023).

    Keys start as queries do, so that at the start of training tokens attend to those that are like them: to patches of
    other pictures that see the same place, once both carry one kind of ray.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = Linear(width, width, bias=False)
        self.key = Linear(width, width, bias=False)
        self.value = Linear(width, width, bias=False)
        self.out = Linear(width, width, bias=False)
        self.query_scale = nn.Parameter(torch.ones(width // heads))
        self.key_scale = nn.Parameter(torch.ones(width // heads))
        with torch.no_grad():
            self.key.weight.copy_(self.query.weight)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """What each token takes from the others; nothing at the start of training."""
        q, k, v = (self._heads_of(part(x)) for part in (self.query, self.key, self.value))
        q = rms_norm(q) * self.query_scale.to(x.dtype)
        k = rms_norm(k) * self.key_scale.to(x.dtype)
        return self.out(attend(q, k, v).transpose(1, 2).flatten(2))

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
