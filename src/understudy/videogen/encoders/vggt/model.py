"""VGGT: pictures of one scene to tokens that know its geometry, and to cameras, depth and points.

Our own code with the published parameter names, so that the official weights load. Source: Wang et al., VGGT: Visual
Geometry Grounded Transformer (CVPR 2025).
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from understudy.runtime.errors import FileFormatError
from understudy.videogen.encoders.vggt.blocks import Block, PictureEncoder, grid_rotation
from understudy.videogen.encoders.vggt.heads import CameraHead, DenseHead, DenseHeadConfig, depth_from, points_from
from understudy.videogen.encoders.vggt.pose_encoding import cameras_from_encoding

__all__ = ["VGGT", "Aggregator", "SceneGeometry", "VggtConfig", "load_vggt"]

PICTURE_MEAN = (0.485, 0.456, 0.406)
PICTURE_STD = (0.229, 0.224, 0.225)
IGNORED_PREFIXES = ("track_head.",)
"""What the published file holds and we do not build: the point tracker."""


@dataclass(frozen=True)
class VggtConfig:
    """Sizes; the defaults are those of VGGT-1B."""

    channels: int = 1024
    layers: int = 24
    """Pairs of a frame block and a global block."""
    heads: int = 16
    encoder_layers: int = 24
    encoder_heads: int = 16
    patch_px: int = 14
    size_px: int = 518
    """Side of the square pictures that the position table was made for; others resize it."""
    registers: int = 4
    head_layers: tuple[int, int, int, int] = (4, 11, 17, 23)
    """Which layers the dense heads read."""
    dense: DenseHeadConfig = field(default_factory=DenseHeadConfig)

    @property
    def special(self) -> int:
        """Tokens of a picture before its patches: the camera token, then the registers."""
        return 1 + self.registers


@dataclass(frozen=True)
class SceneGeometry:
    """What the heads say of a scene, in its own unit; the world is the first picture's camera (OpenCV axes)."""

    pose_encoding: Float[Tensor, "batch picture 9"]
    T_camera_world: Float[Tensor, "batch picture 3 4"]
    K: Float[Tensor, "batch picture 3 3"]
    """In pixels of the pictures given."""
    depth: Float[Tensor, "batch picture height width"]
    """Along each camera's +Z."""
    depth_confidence: Float[Tensor, "batch picture height width"]
    points: Float[Tensor, "batch picture height width 3"]
    """In the world, by a head of their own: more direct than unprojected depth, less exact."""
    points_confidence: Float[Tensor, "batch picture height width"]


class Aggregator(nn.Module):
    """Attention within each picture and across all of them, in turn."""

    def __init__(self, config: VggtConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PictureEncoder(
            config.channels,
            config.encoder_layers,
            config.encoder_heads,
            patch_px=config.patch_px,
            size_px=config.size_px,
            registers=config.registers,
        )
        # Entry 0 marks the first picture, whose camera is the world; entry 1 all others.
        self.camera_token = nn.Parameter(torch.randn(1, 2, 1, config.channels) * 1e-6)
        self.register_token = nn.Parameter(torch.randn(1, 2, config.registers, config.channels) * 1e-6)
        self.frame_blocks = nn.ModuleList(self._block() for _ in range(config.layers))
        self.global_blocks = nn.ModuleList(self._block() for _ in range(config.layers))

    def _block(self) -> Block:
        return Block(self.config.channels, self.config.heads, norm_queries=True, scale_start=0.01)

    def forward(
        self, pictures: Float[Tensor, "batch picture 3 height width"], layers: Sequence[int]
    ) -> dict[int, Float[Tensor, "batch picture token channel"]]:
        """Tokens after the wanted layers: the frame block's beside the global block's, so twice `channels`.

        Only wanted layers are kept, and none after the last of them is computed. Per picture: the camera token, the
        registers, then patches row by row.

        Args:
            pictures: sRGB, 0 … 1; height and width are multiples of the patch's.
            layers: numbers of the wanted layers, counted from 0.
        """
        batch, count, _, height, width = pictures.shape
        patch_px = self.config.patch_px
        if height % patch_px or width % patch_px:
            raise ValueError(f"VGGT takes pictures whose sides are multiples of {patch_px}; got {width}×{height}")
        mean = torch.tensor(PICTURE_MEAN, device=pictures.device, dtype=pictures.dtype)[:, None, None]
        std = torch.tensor(PICTURE_STD, device=pictures.device, dtype=pictures.dtype)[:, None, None]
        patches = self.patch_embed(((pictures - mean) / std).flatten(0, 1))
        special = torch.cat([self.camera_token, self.register_token], 2).to(patches.dtype)
        first = special[:, :1].expand(batch, -1, -1, -1)
        others = special[:, 1:].expand(batch, count - 1, -1, -1)
        tokens = torch.cat([torch.cat([first, others], 1).flatten(0, 1), patches], 1)
        return self._alternate(tokens, count, (height // patch_px, width // patch_px), layers)

    def _alternate(
        self, tokens: Float[Tensor, "flat token channel"], count: int, grid: tuple[int, int], layers: Sequence[int]
    ) -> dict[int, Float[Tensor, "batch picture token twice"]]:
        config = self.config
        rotation = grid_rotation(*grid, config.special, config.channels // config.heads, device=tokens.device)
        everywhere = type(rotation)(*(part.repeat(1, 1, count, 1) for part in rotation))
        kept = {}
        size = tokens.shape[1]
        for layer in range(max(layers) + 1):
            within = self.frame_blocks[layer](tokens, rotation)
            across = self.global_blocks[layer](within.reshape(-1, count * size, within.shape[-1]), everywhere)
            tokens = across.reshape_as(within)
            if layer in layers:
                kept[layer] = torch.cat([within, tokens], -1).unflatten(0, (-1, count))
        return kept


class VGGT(nn.Module):
    """The aggregator and its camera, depth and point heads."""

    def __init__(self, config: VggtConfig = VggtConfig()) -> None:
        super().__init__()
        self.config = config
        self.aggregator = Aggregator(config)
        width = 2 * config.channels
        self.camera_head = CameraHead(width)
        self.point_head = DenseHead(width, 4, config.dense, config.patch_px)
        self.depth_head = DenseHead(width, 2, config.dense, config.patch_px)

    def forward(self, pictures: Float[Tensor, "batch picture 3 height width"]) -> SceneGeometry:
        """Everything that the heads say of pictures (sRGB, 0 … 1; sides multiples of the patch's)."""
        height, width = pictures.shape[-2:]
        config = self.config
        last = config.layers - 1
        tokens = self._aggregated(pictures, sorted({*config.head_layers, last}))
        encoding = self.camera_head(tokens[last][:, :, 0])[-1]
        T_camera_world, K = cameras_from_encoding(encoding, height, width)
        grid = (height // config.patch_px, width // config.patch_px)
        levels = [tokens[layer][:, :, config.special :] for layer in config.head_layers]
        del tokens
        depth, depth_confidence = depth_from(self.depth_head(levels, grid))
        points, points_confidence = points_from(self.point_head(levels, grid))
        return SceneGeometry(encoding, T_camera_world, K, depth, depth_confidence, points, points_confidence)

    def last_tokens(
        self, pictures: Float[Tensor, "batch picture 3 height width"]
    ) -> Float[Tensor, "batch picture token channel"]:
        """The last layer's tokens in float32, special ones included: what a scene encoder needs."""
        last = self.config.layers - 1
        return self._aggregated(pictures, [last])[last]

    def with_bfloat16_matrices(self) -> "VGGT":
        """Keep the aggregator's matrices in bfloat16, all else in float32: half the memory, and faster on a GPU.

        The published model runs the same way (autocast), but casts its matrices anew in every forward pass.
        """
        for module in self.aggregator.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.to(torch.bfloat16)
        return self

    def _aggregated(
        self, pictures: Float[Tensor, "batch picture 3 height width"], layers: Sequence[int]
    ) -> dict[int, Float[Tensor, "batch picture token channel"]]:
        with self._precision(pictures.device):
            tokens = self.aggregator(pictures, layers)
        return {layer: kept.float() for layer, kept in tokens.items()}

    def _precision(self, device: torch.device) -> AbstractContextManager:
        half = self.aggregator.get_parameter("frame_blocks.0.attn.proj.weight").dtype == torch.bfloat16
        return torch.autocast(device.type, torch.bfloat16, enabled=half)


def load_vggt(path: Path, config: VggtConfig = VggtConfig()) -> VGGT:
    """VGGT with the weights of a .safetensors file (float32, evaluation mode, no gradients).

    Every name and shape is compared with the configuration before any weight is read, so that a file cannot make us
    take more memory than the model needs. The tracker's weights (`track_head.`) are skipped.

    Raises:
        FileFormatError: no such file, not a .safetensors file, or not these weights.
    """
    if path.suffix != ".safetensors":
        raise FileFormatError(f"{path.name} is not a .safetensors file; VGGT's weights are read from that format only")
    with torch.device("meta"):
        model = VGGT(config)
    expected = {name: list(value.shape) for name, value in model.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            stored = {
                name: file.get_slice(name).get_shape()
                for name in file.keys()  # noqa: SIM118 (not a dict)
                if not name.startswith(IGNORED_PREFIXES)
            }
            _check_tensors(path, stored, expected)
            weights = {name: file.get_tensor(name).float() for name in expected}
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise FileFormatError(f"{path.name} is damaged or no .safetensors file ({error})") from error
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _check_tensors(path: Path, stored: dict[str, list[int]], expected: dict[str, list[int]]) -> None:
    missing, extra = expected.keys() - stored.keys(), stored.keys() - expected.keys()
    if missing or extra:
        examples = ", ".join(sorted(missing | extra)[:3])
        raise FileFormatError(
            f"{path.name} is not these VGGT weights: {len(missing)} tensors missing, {len(extra)} too many ({examples})"
        )
    for name, shape in expected.items():
        if stored[name] != shape:
            wanted, got = (" × ".join(map(str, sizes)) for sizes in (shape, stored[name]))
            raise FileFormatError(
                f"{name} in {path.name} is {got} ({math.prod(stored[name])} values); expected {wanted}"
            )
