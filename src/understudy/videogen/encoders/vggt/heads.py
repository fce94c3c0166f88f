"""VGGT's heads: cameras from camera tokens, depth and points from patch tokens.

Sources: Wang et al., VGGT (CVPR 2025, section 3.3); Ranftl et al., Vision Transformers for Dense Prediction.
Parameters carry their published names.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from understudy.videogen.encoders.vggt.blocks import Block, TwoLayers

__all__ = ["CameraHead", "DenseHead", "DenseHeadConfig", "depth_from", "points_from"]

POSE_NUMBERS = 9
FRAMES_AT_ONCE = 8
"""How many frames a dense head works on together: its maps at full size are what needs most memory."""


class CameraHead(nn.Module):
    """Refines every frame's camera encoding in a few rounds, all frames seeing each other."""

    def __init__(self, channels: int, layers: int = 4, heads: int = 16, rounds: int = 4) -> None:
        super().__init__()
        self.rounds = rounds
        self.trunk = nn.Sequential(
            *(Block(channels, heads, norm_queries=False, scale_start=0.01) for _ in range(layers))
        )
        self.token_norm = nn.LayerNorm(channels)
        self.trunk_norm = nn.LayerNorm(channels)
        self.empty_pose_tokens = nn.Parameter(torch.zeros(1, 1, POSE_NUMBERS))
        self.embed_pose = nn.Linear(POSE_NUMBERS, channels)
        self.poseLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(channels, 3 * channels))
        self.pose_branch = TwoLayers(channels, channels // 2, POSE_NUMBERS)

    def forward(self, camera_tokens: Float[Tensor, "batch picture channel"]) -> list[Float[Tensor, "batch picture 9"]]:
        """The encoding after each round (`pose_encoding`); the last one is the result."""
        token = self.token_norm(camera_tokens)
        normed = F.layer_norm(token, token.shape[-1:], eps=1e-6)
        encoding = None
        results = []
        for _ in range(self.rounds):
            seen = self.empty_pose_tokens.expand(*token.shape[:2], -1) if encoding is None else encoding.detach()
            shift, scale, gate = self.poseLN_modulation(self.embed_pose(seen)).chunk(3, -1)
            state = self.trunk(gate * (normed * (1 + scale) + shift) + token)
            change = self.pose_branch(self.trunk_norm(state))
            encoding = change if encoding is None else encoding + change
            # The next round sees the raw numbers; only what leaves the head has fields of view that cannot be negative.
            results.append(torch.cat([encoding[..., :7], F.relu(encoding[..., 7:])], -1))
        return results


@dataclass(frozen=True)
class DenseHeadConfig:
    """Sizes of a dense head."""

    features: int = 256
    level_channels: tuple[int, int, int, int] = (256, 512, 1024, 1024)


class ResidualConvUnit(nn.Module):
    """Two convolutions beside a skip path.

    The skip path carries the *rectified* input: the published model was trained with a rectifier that overwrites it.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        x = F.relu(x)
        return self.conv2(F.relu(self.conv1(x))) + x


class Fusion(nn.Module):
    """Adds a level to what came from the coarser ones, and resizes to the next level's grid."""

    def __init__(self, features: int, has_skip: bool) -> None:
        super().__init__()
        if has_skip:
            self.resConfUnit1 = ResidualConvUnit(features)
        self.resConfUnit2 = ResidualConvUnit(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(
        self,
        x: Float[Tensor, "batch channel height width"],
        size: tuple[int, int],
        skip: Float[Tensor, "batch channel height width"] | None = None,
    ) -> Float[Tensor, "batch channel rows columns"]:
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        # A 1 × 1 convolution and a resize commute; the convolution first works on a quarter of the pixels.
        return _resize(self.out_conv(self.resConfUnit2(x)), size)


class DenseHead(nn.Module):
    """A dense prediction transformer head: four layers' patch tokens to maps at full size.

    `out` channels, the last of which is the raw confidence. `depth_from` and `points_from` turn maps into results.
    """

    def __init__(self, channels: int, out: int, config: DenseHeadConfig, patch_px: int = 14) -> None:
        super().__init__()
        self.patch_px = patch_px
        features, levels = config.features, config.level_channels
        self.norm = nn.LayerNorm(channels)
        self.projects = nn.ModuleList(nn.Conv2d(channels, width, 1) for width in levels)
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(levels[0], levels[0], 4, 4),
                nn.ConvTranspose2d(levels[1], levels[1], 2, 2),
                nn.Identity(),
                nn.Conv2d(levels[3], levels[3], 3, 2, 1),
            ]
        )
        self.scratch = nn.Module()
        for number, width in enumerate(levels, 1):
            self.scratch.add_module(f"layer{number}_rn", nn.Conv2d(width, features, 3, padding=1, bias=False))
            self.scratch.add_module(f"refinenet{number}", Fusion(features, has_skip=number < 4))
        self.scratch.output_conv1 = nn.Conv2d(features, features // 2, 3, padding=1)
        self.scratch.output_conv2 = nn.Sequential(
            nn.Conv2d(features // 2, 32, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(32, out, 1)
        )

    def forward(
        self, levels: list[Float[Tensor, "batch picture token channel"]], grid: tuple[int, int]
    ) -> Float[Tensor, "batch picture out height width"]:
        """Patch tokens of four layers, on a grid of (rows, columns) patches, to raw maps at the pictures' size."""
        count = levels[0].shape[1]
        flat = [level.flatten(0, 1) for level in levels]
        parts = [
            self._maps([level[start : start + FRAMES_AT_ONCE] for level in flat], grid)
            for start in range(0, len(flat[0]), FRAMES_AT_ONCE)
        ]
        return torch.cat(parts).unflatten(0, (-1, count))

    def _maps(
        self, levels: list[Float[Tensor, "batch token channel"]], grid: tuple[int, int]
    ) -> Float[Tensor, "batch out height width"]:
        aspect = grid[1] / grid[0]
        maps = []
        for number, tokens in enumerate(levels):
            level = self.norm(tokens).transpose(1, 2).unflatten(2, grid)
            level = _add_positions(self.projects[number](level), aspect)
            level = self.resize_layers[number](level)
            maps.append(self.scratch.get_submodule(f"layer{number + 1}_rn")(level))
        x = maps[3]
        for number in (4, 3, 2, 1):
            target = maps[number - 2].shape[-2:] if number > 1 else tuple(2 * side for side in maps[0].shape[-2:])
            skip = maps[number - 1] if number < 4 else None
            x = self.scratch.get_submodule(f"refinenet{number}")(x, tuple(target), skip)
        x = self.scratch.get_submodule("output_conv1")(x)
        x = _resize(x, (grid[0] * self.patch_px, grid[1] * self.patch_px))
        return self.scratch.get_submodule("output_conv2")(_add_positions(x, aspect))


def depth_from(
    maps: Float[Tensor, "batch picture 2 height width"],
) -> tuple[Float[Tensor, "batch picture height width"], Float[Tensor, "batch picture height width"]]:
    """Depth along +Z in the scene's own unit, and confidence (1 …)."""
    return maps[:, :, 0].exp(), 1 + maps[:, :, 1].exp()


def points_from(
    maps: Float[Tensor, "batch picture 4 height width"],
) -> tuple[Float[Tensor, "batch picture height width 3"], Float[Tensor, "batch picture height width"]]:
    """Points in the first camera's axes in the scene's own unit, and confidence (1 …)."""
    raw = maps[:, :, :3].movedim(2, -1)
    return raw.sign() * raw.abs().expm1(), 1 + maps[:, :, 3].exp()


def _resize(
    x: Float[Tensor, "batch channel height width"], size: tuple[int, int]
) -> Float[Tensor, "batch channel rows columns"]:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def _add_positions(
    x: Float[Tensor, "batch channel height width"], aspect: float
) -> Float[Tensor, "batch channel height width"]:
    """Add sines and cosines of the position: first half of the channels by column, second half by row."""
    channels, height, width = x.shape[1:]
    diagonal = math.hypot(aspect, 1.0)
    quarter = channels // 4
    frequency = 100.0 ** -(torch.arange(quarter, device=x.device, dtype=torch.float64) / quarter)
    by_column = _waves(width, aspect / diagonal, frequency)[:, None, :].expand(-1, height, -1)
    by_row = _waves(height, 1 / diagonal, frequency)[:, :, None].expand(-1, -1, width)
    return x + 0.1 * torch.cat([by_column, by_row]).to(x.dtype)


def _waves(count: int, span: float, frequency: Float[Tensor, " quarter"]) -> Float[Tensor, "half count"]:
    last = span * (count - 1) / count
    angle = frequency[:, None] * torch.linspace(-last, last, count, device=frequency.device, dtype=frequency.dtype)
    return torch.cat([angle.sin(), angle.cos()])
