"""LPIPS: how different two pictures look, by features of a network that was trained to name things."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from understudy.runtime.errors import FileFormatError

__all__ = ["Lpips"]


class Lpips(nn.Module):
    """Learned perceptual image patch similarity, version 0.1 with AlexNet; 0 for equal pictures.

    Source: Zhang et al. 2018; parameters are named as published, those of AlexNet as in torchvision.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, trunk: Mapping[str, Tensor], linear: Mapping[str, Tensor]) -> None:
        """Take AlexNet's weights, and those of the channels of its five layers.

        Raises:
            FileFormatError: they are not such weights.
        """
        super().__init__()
        layers = {
            "0": nn.Conv2d(3, 64, 11, stride=4, padding=2),
            "3": nn.Conv2d(64, 192, 5, padding=2),
            "6": nn.Conv2d(192, 384, 3, padding=1),
            "8": nn.Conv2d(384, 256, 3, padding=1),
            "10": nn.Conv2d(256, 256, 3, padding=1),
        }
        self.features = nn.ModuleDict(layers)
        self.importance = nn.ParameterList(nn.Parameter(torch.empty(layer.out_channels)) for layer in layers.values())
        try:
            self.features.load_state_dict(
                {name.removeprefix("features."): part for name, part in trunk.items() if name.startswith("features.")}
            )
            with torch.no_grad():
                for number, parameter in enumerate(self.importance):
                    parameter.copy_(linear[f"lin{number}.model.1.weight"].flatten())
        except (KeyError, RuntimeError) as error:
            raise FileFormatError(
                f"these are not the weights of LPIPS with AlexNet ({str(error).splitlines()[0]}); fetch them again"
            ) from error
        # Mean and spread of the photographs that the network was trained on, for pictures in −1 … 1.
        self.register_buffer("mean", torch.tensor([-0.030, -0.088, -0.188])[:, None, None])
        self.register_buffer("spread", torch.tensor([0.458, 0.448, 0.450])[:, None, None])
        self.eval().requires_grad_(False)

    def forward(
        self, a: Float[Tensor, "batch 3 height width"], b: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, " batch"]:
        """The distance of every pair of pictures, sRGB, −1 … 1, at least 32 pixels wide and high."""
        distance = torch.zeros(len(a), device=a.device)
        for number, parameter in zip(self.features, self.importance, strict=True):
            if number in ("3", "6"):
                a, b = (F.max_pool2d(x, 3, 2) for x in (a, b))
            elif number == "0":
                a, b = ((x - self.mean) / self.spread for x in (a, b))
            a, b = (F.relu(self.features[number](x)) for x in (a, b))
            # Not F.normalize: the reference adds its small number, and lengths near it do occur.
            unit_a, unit_b = (x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in (a, b))
            distance = distance + ((unit_a - unit_b).square() * parameter[:, None, None]).sum(1).mean((1, 2))
        return distance
