"""From pictures of a set to the geometry tokens F_t that the video model is given (CineScene, section 3.2).

A scene encoder turns pictures taken from one place into `SetGeometry`. There are two: VGGT (Wang et al., CVPR 2025),
whose last layer CineScene takes, and a small one of the same class, trained on our own scenes, for the small presets.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from understudy.io.weights import cache_folder
from understudy.runtime.errors import BackendUnavailable, InputError
from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.videogen.encoders.correlation import CorrelationEncoder, load_correlation_encoder
from understudy.videogen.encoders.vggt.model import VGGT, VggtConfig, load_vggt
from understudy.videogen.transformer.checkpoints import GeometryOrigin
from understudy.videogen.transformer.conditioning import GeometryPart, GeometrySource, OracleGeometry, SetGeometry
from understudy.videogen.transformer.rays import patch_points, plucker_rays

__all__ = [
    "SCENE_ENCODERS",
    "CorrelationBackend",
    "EncodedGeometry",
    "GeometryProjection",
    "SceneEncoder",
    "VggtBackend",
    "fuse",
    "geometry_source",
    "resample",
]

VGGT_FOLDER = "vggt-1b"
MINI_WEIGHTS = Path(__file__).parents[1] / "checkpoints" / "scene_encoder_mini.safetensors"


@runtime_checkable
class SceneEncoder(Protocol):
    """Sees the pictures of a set together."""

    @property
    def channels(self) -> int:
        """Of its tokens."""
        ...

    def __call__(self, pictures: Float[Tensor, "batch picture 3 height width"], rows: int, columns: int) -> SetGeometry:
        """Tokens on a grid of rows × columns per picture, row by row, with the camera token in them.

        Args:
            pictures: sRGB, −1 … 1, all from one place; the first is the start view and its camera the world.
            rows, columns: the wanted grid; tokens are resampled to it.
        """
        ...


@dataclass(frozen=True)
class EncodedGeometry:
    """A scene encoder as the source of geometry for batches of clips."""

    encoder: SceneEncoder

    @property
    def channels(self) -> int:
        """Of its features."""
        return self.encoder.channels

    def __call__(self, batch: ClipBatch, rows: int, columns: int) -> SetGeometry:
        """F_t of the batch's context: of its pictures alone, not of their cameras or depth."""
        return self.encoder(batch.context, rows, columns)


def fuse(
    patches: Float[Tensor, "batch picture token channel"],
    camera: Float[Tensor, "batch picture channel"],
    part: GeometryPart,
) -> Float[Tensor, "batch picture token channel"]:
    """F = F_i + F_c: the camera token added to each patch token; or one of the two alone (CineScene, table 2)."""
    spread = camera[:, :, None].expand_as(patches)
    return {"whole": patches + spread, "patches": patches, "camera": spread}[part]


def resample(
    tokens: Float[Tensor, "batch picture token channel"], grid: tuple[int, int], rows: int, columns: int
) -> Float[Tensor, "batch picture place channel"]:
    """Tokens of one grid (rows, columns) on another, bilinear."""
    if grid == (rows, columns):
        return tokens
    maps = tokens.flatten(0, 1).mT.unflatten(2, grid)
    maps = F.interpolate(maps, size=(rows, columns), mode="bilinear", align_corners=False)
    return maps.flatten(2).mT.unflatten(0, tokens.shape[:2])


class GeometryProjection(nn.Module):
    """Tokens on the latents' grid to tokens of a transformer: a stride-2 convolution, then LayerNorm.

    Trained with the transformer that it feeds; the encoder stays as it is. Source: CineScene, section 3.2.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.patchify = nn.Conv2d(channels, width, kernel_size=2, stride=2)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, tokens: Float[Tensor, "batch picture token channel"], rows: int, columns: int
    ) -> Float[Tensor, "batch picture patch width"]:
        """Tokens on a grid of rows × columns, both even, as rows/2 × columns/2 tokens."""
        maps = tokens.flatten(0, 1).mT.unflatten(2, (rows, columns))
        return self.norm(self.patchify(maps).flatten(2).mT).unflatten(0, tokens.shape[:2])


@dataclass(frozen=True)
class VggtEncoder:
    """The last layer of VGGT."""

    model: VGGT
    width_px: int
    part: GeometryPart

    @property
    def channels(self) -> int:
        """Frame and global attention's channels, side by side."""
        return 2 * self.model.config.channels

    @torch.no_grad()
    def __call__(self, pictures: Float[Tensor, "batch picture 3 height width"], rows: int, columns: int) -> SetGeometry:
        """Tokens of the last layer; VGGT does not say where its patches look, so there are no rays."""
        config = self.model.config
        height, width = pictures.shape[-2:]
        grid = (max(1, round(height * self.width_px / width / config.patch_px)), self.width_px // config.patch_px)
        size = (grid[0] * config.patch_px, grid[1] * config.patch_px)
        resized = F.interpolate(pictures.flatten(0, 1), size=size, mode="bicubic", antialias=True)
        sized = (resized.clamp(-1, 1) / 2 + 0.5).unflatten(0, pictures.shape[:2])
        tokens = self.model.last_tokens(sized)
        fused = fuse(tokens[:, :, config.special :], tokens[:, :, 0], self.part)
        return SetGeometry(resample(fused, grid, rows, columns))


@dataclass(frozen=True)
class VggtBackend:
    """VGGT-1B: the paper's encoder. Its weights are the user's own download, under their own licence."""

    weights: Path | None = None
    """A .safetensors file; else `weights/vggt-1b/model.safetensors` in our cache folder."""
    config: VggtConfig = field(default_factory=VggtConfig)
    width_px: int = 518
    """Pictures are made this wide, a multiple of 14."""
    part: GeometryPart = "whole"

    def build(self, device: str = "cpu") -> SceneEncoder:
        """The encoder on a device; its matrices are bfloat16 on a GPU.

        Raises:
            BackendUnavailable: the weights are not there.
            FileFormatError: they are not VGGT's.
        """
        path = self.weights or cache_folder() / "weights" / VGGT_FOLDER / "model.safetensors"
        if not path.is_file():
            raise BackendUnavailable(
                f"VGGT's weights are not at {path}: put model.safetensors of facebook/VGGT-1B there (not for commercial"
                " use; facebook/VGGT-1B-Commercial may be used so)"
            )
        model = load_vggt(path, self.config)
        if device != "cpu":
            model = model.with_bfloat16_matrices()
        return VggtEncoder(model.to(device), self.width_px, self.part)


@dataclass(frozen=True)
class SmallEncoder:
    """Our own encoder."""

    model: CorrelationEncoder
    part: GeometryPart
    tells_rays: bool

    @property
    def channels(self) -> int:
        """Frame and global attention's channels, side by side."""
        return 2 * self.model.config.channels

    @torch.no_grad()
    def __call__(self, pictures: Float[Tensor, "batch picture 3 height width"], rows: int, columns: int) -> SetGeometry:
        """Tokens of the last layer, and where the patches look and lie by the encoder's own rotations and depth."""
        config = self.model.config
        seen = self.model(config.resized(pictures))
        tokens = fuse(seen.patch_tokens, seen.camera_tokens, self.part)
        features = resample(tokens, (config.side, config.side), rows, columns)
        if not self.tells_rays:
            return SetGeometry(features)
        R = seen.R_start_picture
        T = torch.eye(4, device=R.device).repeat(*R.shape[:2], 1, 1)
        if self.part != "patches":
            T[..., :3, :3] = R
        K = config.intrinsics(rows, columns).to(R.device).expand(len(R), 3, 3)
        rays = plucker_rays(T, K, rows, columns, 1)
        if self.part == "camera":
            rays = torch.cat([T[..., None, :3, 2].expand_as(rays[..., :3]), torch.zeros_like(rays[..., 3:])], -1)
            return SetGeometry(features, rays)
        K = config.intrinsics(*seen.depth_m.shape[-2:]).to(R.device).expand(len(R), 3, 3)
        return SetGeometry(features, rays, patch_points(seen.depth_m, K, T, rows, columns))


@dataclass(frozen=True)
class CorrelationBackend:
    """The small encoder; its weights are bundled."""

    weights: Path = MINI_WEIGHTS
    part: GeometryPart = "whole"
    tells_rays: bool = True
    """Whether it says outright where patches look; else only its tokens know."""

    def build(self, device: str = "cpu") -> SceneEncoder:
        """The encoder on a device. Raises FileFormatError when the weights cannot be used."""
        return SmallEncoder(load_correlation_encoder(self.weights).to(device), self.part, self.tells_rays)


SCENE_ENCODERS: dict[str, Callable[[], VggtBackend | CorrelationBackend]] = {
    "vggt": VggtBackend,
    "correlation": CorrelationBackend,
}
"""By name, for command lines."""


def geometry_source(origin: GeometryOrigin, device: torch.device | str = "cpu") -> GeometrySource:
    """The source of geometry that a model was trained with.

    Raises:
        InputError: a name that is no source of ours.
        BackendUnavailable: its weights are not there.
    """
    if origin.source == "oracle":
        return OracleGeometry(origin.part)
    if origin.source not in SCENE_ENCODERS:
        raise InputError(f"there is no scene encoder {origin.source!r}; known: oracle, {', '.join(SCENE_ENCODERS)}")
    backend = replace(SCENE_ENCODERS[origin.source](), part=origin.part)
    return EncodedGeometry(backend.build(str(device)))
