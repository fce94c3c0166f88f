"""Transformer parts of VGGT: attention with rotary positions, blocks, and the DINOv2 picture encoder.

Sources: Wang et al., VGGT (CVPR 2025, section 3); Oquab et al., DINOv2; Darcet et al., Vision Transformers Need
Registers; Heo et al., Rotary Position Embedding for Vision Transformer. Parameters carry their published names.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Attention", "Block", "PictureEncoder", "Rotation", "TwoLayers", "attend", "grid_rotation", "rotate"]


class Rotation(NamedTuple):
    """Rotary positions of every token, ready to be applied to queries and keys."""

    cos: Float[Tensor, "#batch 1 token head_channel"]
    sin: Float[Tensor, "#batch 1 token head_channel"]


def grid_rotation(
    rows: int, columns: int, special: int, head_channels: int, base: float = 100.0, device: torch.device | None = None
) -> Rotation:
    """Rotary positions of `special` tokens, all at (0, 0), and of a grid of patches that starts at (1, 1).

    The first half of a head's channels turns with the row, the second half with the column.
    """
    quarter = head_channels // 4
    frequency = base ** -(torch.arange(quarter, device=device, dtype=torch.float32) / quarter)
    row = torch.arange(1, rows + 1, device=device, dtype=torch.float32).repeat_interleave(columns)
    column = torch.arange(1, columns + 1, device=device, dtype=torch.float32).repeat(rows)
    angle_row, angle_column = row[:, None] * frequency, column[:, None] * frequency
    angles = torch.cat([angle_row, angle_row, angle_column, angle_column], -1)
    angles = F.pad(angles, (0, 0, special, 0))[None, None]
    return Rotation(angles.cos(), angles.sin())


def rotate(
    x: Float[Tensor, "batch head token head_channel"], rotation: Rotation
) -> Float[Tensor, "batch head token head_channel"]:
    """Turn queries or keys by their tokens' positions."""
    a, b, c, d = x.chunk(4, -1)
    turned = torch.cat([-b, a, -d, c], -1)
    return (x * rotation.cos + turned * rotation.sin).to(x.dtype)


def attend(
    q: Float[Tensor, "batch head token head_channel"],
    k: Float[Tensor, "batch head key head_channel"],
    v: Float[Tensor, "batch head key head_channel"],
) -> Float[Tensor, "batch head token head_channel"]:
    """Softmax attention.

    When training on a CPU it is written out: the fused kernel's backward pass takes several times as long there for
    the few hundred tokens of the small models.
    """
    if q.device.type == "cpu" and torch.is_grad_enabled():
        return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1), -1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Multi-head self-attention, with or without normed queries and keys."""

    def __init__(self, channels: int, heads: int, norm_queries: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.q_norm = nn.LayerNorm(channels // heads) if norm_queries else nn.Identity()
        self.k_norm = nn.LayerNorm(channels // heads) if norm_queries else nn.Identity()
        self.proj = nn.Linear(channels, channels)

    def forward(
        self, x: Float[Tensor, "batch token channel"], rotation: Rotation | None = None
    ) -> Float[Tensor, "batch token channel"]:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        # Norms stay in float32 under autocast; attention is only fast in the dtype of the values.
        mixed = attend(q.to(v.dtype), k.to(v.dtype), v)
        return self.proj(mixed.transpose(1, 2).flatten(2))


class TwoLayers(nn.Module):
    """A perceptron with one hidden layer and exact GELU."""

    def __init__(self, channels: int, hidden: int, out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, out)

    def forward(self, x: Float[Tensor, "*batch channel"]) -> Float[Tensor, "*batch out"]:
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), start))

    def forward(self, x: Float[Tensor, "*batch channel"]) -> Float[Tensor, "*batch channel"]:
        return x * self.gamma


class Block(nn.Module):
    """Attention and perceptron, each normed before and scaled per channel after."""

    def __init__(
        self, channels: int, heads: int, *, norm_queries: bool, scale_start: float, eps: float = 1e-5, widen: int = 4
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=eps)
        self.attn = Attention(channels, heads, norm_queries)
        self.ls1 = LayerScale(channels, scale_start)
        self.norm2 = nn.LayerNorm(channels, eps=eps)
        self.mlp = TwoLayers(channels, widen * channels, channels)
        self.ls2 = LayerScale(channels, scale_start)

    def forward(
        self, x: Float[Tensor, "batch token channel"], rotation: Rotation | None = None
    ) -> Float[Tensor, "batch token channel"]:
        x = x + self.ls1(self.attn(self.norm1(x), rotation))
        return x + self.ls2(self.mlp(self.norm2(x)))


class Patches(nn.Module):
    """Square patches as tokens, row by row."""

    def __init__(self, channels: int, patch_px: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, patch_px, patch_px)

    def forward(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch token channel"]:
        return self.proj(pictures).flatten(2).transpose(1, 2)


class PictureEncoder(nn.Module):
    """DINOv2 with registers: normed pictures to normed patch tokens."""

    def __init__(self, channels: int, layers: int, heads: int, *, patch_px: int, size_px: int, registers: int) -> None:
        super().__init__()
        self.patch_px = patch_px
        self.table_side = size_px // patch_px
        self.cls_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.table_side**2, channels))
        self.register_tokens = nn.Parameter(torch.zeros(1, registers, channels))
        self.mask_token = nn.Parameter(torch.zeros(1, channels))  # published with the weights; only training masks
        self.patch_embed = Patches(channels, patch_px)
        self.blocks = nn.ModuleList(
            Block(channels, heads, norm_queries=False, scale_start=1.0, eps=1e-6) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, pictures: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch token channel"]:
        rows, columns = pictures.shape[-2] // self.patch_px, pictures.shape[-1] // self.patch_px
        patches = self.patch_embed(pictures) + self._positions(rows, columns)
        count = len(patches)
        # The class entry of the table belongs to the class token, the registers have no position.
        first = (self.cls_token + self.pos_embed[:, :1]).expand(count, -1, -1)
        tokens = torch.cat([first, self.register_tokens.expand(count, -1, -1), patches], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens[:, 1 + self.register_tokens.shape[1] :])

    def _positions(self, rows: int, columns: int) -> Float[Tensor, "1 token channel"]:
        side = self.table_side
        table = self.pos_embed[:, 1:]
        if (rows, columns) == (side, side):
            return table
        grid = table.float().transpose(1, 2).unflatten(2, (side, side))
        grid = F.interpolate(grid, size=(rows, columns), mode="bicubic", antialias=True)
        return grid.flatten(2).transpose(1, 2).to(table.dtype)
