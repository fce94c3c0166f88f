"""A deformable radiance field: what is where in a canonical space, and how that space is bent at each moment.

Source: Pumarola et al. 2021, D-NeRF: Neural Radiance Fields for Dynamic Scenes, section 3. Beside colour and density
the canonical network says which keypoints a point belongs to, and the deformation network where it goes next; both are
what the camera's semantic and motion terms look at.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from understudy.cinematography.dnerf.config import FieldConfig

__all__ = ["FieldSamples", "RadianceField", "positional_encoding"]

_DENSITY_SCALE = 10.0
_DENSITY_BIAS = -5.0
"""Space is nearly empty before anything is learned: opaque space would hide what is behind it from learning."""


def positional_encoding(x: Float[Tensor, "n axis"], frequencies: int) -> Float[Tensor, "n code"]:
    """x, then sine and cosine of π x at doubling frequencies. Source: Mildenhall et al. 2020, NeRF, equation 4."""
    scale = torch.pi * 2.0 ** torch.arange(frequencies, device=x.device, dtype=x.dtype)
    angle = (x[:, None, :] * scale[:, None]).flatten(1)
    return torch.cat([x, angle.sin(), angle.cos()], 1)


def _code_size(axes: int, frequencies: int) -> int:
    return axes * (1 + 2 * frequencies)


class _Layers(nn.Module):
    """Linear layers with ReLU; the input enters once more in the middle."""

    def __init__(self, inputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.again = depth // 2
        sizes = [inputs if k == 0 else width + inputs * (k == self.again) for k in range(depth)]
        self.layers = nn.ModuleList(nn.Linear(size, width) for size in sizes)

    def forward(self, x: Float[Tensor, "n inputs"]) -> Float[Tensor, "n width"]:
        h = x
        for k, layer in enumerate(self.layers):
            if k == self.again and k > 0:
                h = torch.cat([h, x], 1)
            h = functional.relu(layer(h))
        return h


@dataclass(frozen=True)
class FieldSamples:
    """What a field holds at some points."""

    density: Float[Tensor, " n"]
    """Per unit of the field's box."""
    colour: Float[Tensor, "n 3"]
    """Linear light."""
    keypoints: Float[Tensor, "n keypoint"]
    """How much the point belongs to each keypoint; sums to one."""
    movement: Float[Tensor, "n 3"]
    """From this key frame to the next, in units of the field's box."""


class RadianceField(nn.Module):
    """A body over time in a box that goes along with it; positions are in units of the box's radius, time is 0 … 1."""

    def __init__(self, config: FieldConfig, keypoints: int) -> None:
        super().__init__()
        self.config = config
        position = _code_size(3, config.position_frequencies)
        time = _code_size(1, config.time_frequencies)
        direction = _code_size(3, config.direction_frequencies)
        self.deformation = _Layers(position + time, config.width, config.depth)
        self.displacement = nn.Linear(config.width, 3)
        self.movement = nn.Linear(config.width, 3)
        self.canonical = _Layers(position, config.width, config.depth)
        self.density = nn.Linear(config.width, 1)
        self.keypoints = nn.Linear(config.width, keypoints)
        self.colour = nn.Sequential(
            nn.Linear(config.width + direction, config.width // 2), nn.ReLU(), nn.Linear(config.width // 2, 3)
        )
        for head in (self.displacement, self.movement):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def _bent(
        self, points: Float[Tensor, "n 3"], time: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n width"]]:
        codes = [
            positional_encoding(points, self.config.position_frequencies),
            positional_encoding(time[:, None], self.config.time_frequencies),
        ]
        hidden = self.deformation(torch.cat(codes, 1))
        return torch.where(time[:, None] == 0, 0.0, self.displacement(hidden)), hidden

    def deform(self, points: Float[Tensor, "n 3"], time: Float[Tensor, " n"]) -> Float[Tensor, "n 3"]:
        """From points at a moment to the canonical space, which is the body at time 0: nothing moves there."""
        return self._bent(points, time)[0]

    def density_at(self, points: Float[Tensor, "n 3"], time: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The density alone."""
        return self._density(self._canonical_hidden(points + self.deform(points, time)))

    def forward(
        self, points: Float[Tensor, "n 3"], time: Float[Tensor, " n"], directions: Float[Tensor, "n 3"]
    ) -> FieldSamples:
        """Look at points at their moments, along unit directions."""
        displacement, bent = self._bent(points, time)
        hidden = self._canonical_hidden(points + displacement)
        seen_along = positional_encoding(directions, self.config.direction_frequencies)
        return FieldSamples(
            density=self._density(hidden),
            colour=self.colour(torch.cat([hidden, seen_along], 1)).sigmoid(),
            keypoints=self.keypoints(hidden).softmax(1),
            movement=self.movement(bent),
        )

    def _canonical_hidden(self, points: Float[Tensor, "n 3"]) -> Float[Tensor, "n width"]:
        return self.canonical(positional_encoding(points, self.config.position_frequencies))

    def _density(self, hidden: Float[Tensor, "n width"]) -> Float[Tensor, " n"]:
        return _DENSITY_SCALE * functional.softplus(self.density(hidden)[:, 0] + _DENSITY_BIAS)
