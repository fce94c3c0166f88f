"""The video diffusion transformer: a noisy clip, seen beside pictures of a set, their geometry, a camera and words.

CineScene (arXiv 2602.06959) on pixels instead of latents: tokens are patches of pixels, all tokens attend to one
another, and the network predicts the clean clip (Li and He 2025). Conditions enter in `told` and nowhere else.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from understudy.diffusion.schedule import Prediction
from understudy.videogen.transformer.conditioning import (
    CameraMode,
    Conditions,
    ContextMode,
    GeometryUse,
    SetGeometry,
    camera_numbers,
)
from understudy.videogen.transformer.layers import Attention, Linear, Nearness, SwiGLU, rms_norm
from understudy.videogen.transformer.rays import RAY_FEATURES, passing_numbers, plucker_rays, ray_features
from understudy.videogen.transformer.text_encoder import Vocabulary, WordEncoder

__all__ = ["ModelConfig", "ModelOutput", "VideoTransformer"]

TIME_WAVES = 64
TIME_SCALE = 1000.0
FRAME_WAVES = 16


@dataclass(frozen=True)
class ModelConfig:
    """The size of a video model and how conditions enter it."""

    picture_px: int
    """Width and height of a clip and of the set's pictures."""
    patch_px: int
    frames: int
    """Of a whole clip."""
    width: int
    layers: int
    heads: int
    hidden: int
    """Of the feed-forward layers."""
    bottleneck: int
    """Patches are squeezed to so many numbers before they become tokens."""
    text_width: int
    vocabulary: Vocabulary
    geometry_channels: int = 9
    camera: CameraMode = "rays"
    context: ContextMode = "added"
    geometry: GeometryUse = "input"
    nearness: bool = True
    """Whether patches of the clip attend to patches of the set that their rays pass by, where F_t says where these lie
    and the camera enters as rays."""
    numbered_pictures: int = 0
    """Pictures get a learned place by their number, up to this one; 0: only the first differs from the others."""
    guide: bool = False
    """Whether a rendered point cloud is told (explicit 3D)."""
    finer_px: int = 0
    """Width and height of the set's pictures as a scene encoder sees them; 0: as the model does, at picture_px."""
    prediction: Prediction = "clean"
    readings: int = 8
    """Tokens that carry the words."""

    def __post_init__(self) -> None:
        if self.picture_px % self.patch_px or self.width % self.heads or self.width % 2:
            raise ValueError(
                f"pictures of {self.picture_px} px need whole patches (got {self.patch_px} px), and a width of"
                f" {self.width} whole heads (got {self.heads})"
            )
        if 0 < self.finer_px < self.picture_px:
            raise ValueError(f"a scene encoder sees pictures as fine as the model's or finer; got {self.finer_px} px")
        if self.context == "none" and self.geometry != "none":
            raise ValueError('geometry belongs to the pictures: context "none" needs geometry "none"')

    @property
    def set_px(self) -> int:
        """Width and height of the set's pictures as they are given."""
        return self.finer_px or self.picture_px

    @property
    def knows_nearness(self) -> bool:
        """Whether attention knows of rays and points."""
        return self.nearness and self.camera == "rays" and self.geometry == "input"

    @property
    def side(self) -> int:
        """Patches along a side of a picture."""
        return self.picture_px // self.patch_px


class ModelOutput(NamedTuple):
    """What the network says."""

    clip: Float[Tensor, "batch frame 3 height width"]
    """Of the clip: see ModelConfig.prediction."""
    geometry: Float[Tensor, "batch picture token channel"] | None
    """F_t as the hidden states of the pictures know it; only for geometry "aligned"."""


class Block(nn.Module):
    """Attention and a feed-forward layer, both under the same shared modulation (Chen et al. 2023, PixArt-α)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = Attention(config.width, config.heads, config.knows_nearness)
        self.feed = SwiGLU(config.width, config.hidden)
        self.modulation = nn.Parameter(torch.zeros(6, config.width))

    def forward(
        self,
        x: Float[Tensor, "batch token feature"],
        shared: Float[Tensor, "batch 6 feature"],
        nearness: Nearness | None = None,
    ) -> Float[Tensor, "batch token feature"]:
        """The tokens after the block: they are unchanged at the start of training."""
        scale_a, shift_a, gate_a, scale_f, shift_f, gate_f = (
            (shared + self.modulation.to(shared.dtype))[:, :, None].unbind(1)
        )  # fmt: skip
        x = x + (1 + gate_a) * self.attention(rms_norm(x) * (1 + scale_a) + shift_a, nearness)
        return x + (1 + gate_f) * self.feed(rms_norm(x) * (1 + scale_f) + shift_f)


class Patches(nn.Module):
    """Pictures as tokens, through a bottleneck (Li and He 2025)."""

    def __init__(self, channels: int, config: ModelConfig) -> None:
        super().__init__()
        self.patch_px = config.patch_px
        self.squeeze = Linear(channels * config.patch_px**2, config.bottleneck, bias=False)
        self.widen = Linear(config.bottleneck, config.width)

    def forward(
        self, pictures: Float[Tensor, "batch picture channel height width"]
    ) -> Float[Tensor, "batch picture token feature"]:
        """Patches row by row."""
        flat = F.pixel_unshuffle(pictures.flatten(0, 1), self.patch_px).flatten(2).mT
        return self.widen(self.squeeze(flat)).unflatten(0, pictures.shape[:2])


class VideoTransformer(nn.Module):
    """The network. `forward` is one look at a noisy clip."""

    _no_split_modules = ("Block",)
    """Sharded training keeps each of these whole."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False
        width, tokens = config.width, config.side**2
        self.video_patches = Patches(3, config)
        self.place = nn.Parameter(torch.randn(tokens, width) * 0.02)
        self.frame_place = Linear(2 * FRAME_WAVES, width, bias=False)
        nn.init.zeros_(self.frame_place.weight)
        self.words = WordEncoder(config.vocabulary, config.text_width, width, config.readings)
        self.words_to_modulation = Linear(width, width)
        self.time_in = Linear(2 * TIME_WAVES, width)
        self.time_out = Linear(width, 6 * width)
        nn.init.zeros_(self.time_out.weight)
        nn.init.zeros_(self.time_out.bias)
        if config.camera == "matrix":
            self.camera = Linear(12, width)
            nn.init.zeros_(self.camera.weight)
            nn.init.zeros_(self.camera.bias)
        elif config.camera == "rays":
            self.ray_in = Linear(RAY_FEATURES, width)
            self.ray_out = Linear(width, width)
            self.ray_gain = nn.Parameter(torch.ones(width))
        if config.camera != "none":
            self.no_camera = nn.Parameter(torch.zeros(width))
        if config.context != "none":
            self.picture_patches = Patches(3, config)
            self.picture_kind = nn.Parameter(torch.randn(2, width) * 0.02)
            if config.numbered_pictures:
                self.picture_number = nn.Parameter(torch.zeros(config.numbered_pictures, width))
            self.no_set = nn.Parameter(torch.randn(width) * 0.02)
        if config.geometry == "input":
            self.geometry_in = Linear(config.geometry_channels, width)
            nn.init.zeros_(self.geometry_in.weight)
            nn.init.zeros_(self.geometry_in.bias)
            if config.context == "frames":
                self.geometry_kind = nn.Parameter(torch.randn(width) * 0.02)
        elif config.geometry == "aligned":
            self.geometry_out = Linear(width, config.geometry_channels)
        if config.guide:
            self.guide_patches = Patches(4, config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.last_modulation = Linear(width, 2 * width)
        self.to_pixels = Linear(width, 3 * config.patch_px**2)
        for layer in (self.last_modulation, self.to_pixels):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, noisy: Float[Tensor, "batch frame 3 height width"], time: Float[Tensor, " batch"], conditions: Conditions
    ) -> ModelOutput:
        """What the network says of a noisy clip at its time (0: noise … 1: clean).

        Tokens are computed in bfloat16 under `noisy.dtype` bfloat16, else in float32; the answer is float32.
        """
        video = self.video_patches(noisy) + self.place.to(noisy.dtype)
        video, context, words = self.told(video, conditions)
        frames, tokens = video.shape[1:3]
        clock = F.silu(self.time_in(_waves(time * TIME_SCALE, TIME_WAVES).to(noisy.dtype)))
        clock = clock + self.words_to_modulation(words.mean(1))
        shared = self.time_out(F.silu(clock)).unflatten(-1, (6, -1))
        x = torch.cat([video.flatten(1, 2), context.flatten(1, 2), words], 1)
        nearness = self.nearness(conditions, x)
        middle = x
        for number, block in enumerate(self.blocks):
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, shared, nearness, use_reentrant=False)
            else:
                x = block(x, shared, nearness)
            if number == len(self.blocks) // 2:
                middle = x
        aligned = None
        if self.config.geometry == "aligned":
            pictures = middle[:, frames * tokens : -self.config.readings].unflatten(1, (-1, tokens))
            aligned = self.geometry_out(rms_norm(pictures)).float()
        scale, shift = self.last_modulation(F.silu(clock))[:, None].chunk(2, -1)
        patches = self.to_pixels(rms_norm(x[:, : frames * tokens]) * (1 + scale) + shift)
        patches = patches.reshape(-1, tokens, patches.shape[-1]).mT.unflatten(-1, (self.config.side, -1))
        return ModelOutput(F.pixel_shuffle(patches, self.config.patch_px).unflatten(0, (-1, frames)).float(), aligned)

    def told(
        self, video: Float[Tensor, "batch frame token feature"], conditions: Conditions
    ) -> tuple[Float[Tensor, "batch frame token feature"], Float[Tensor, "batch picture token feature"], Tensor]:
        """Every condition enters here: the video's tokens with their camera, the context's and the words' tokens."""
        config, dtype = self.config, video.dtype
        no_words, no_set, no_camera = conditions.absent.unbind(1)
        words = self.words(torch.where(no_words[:, None], 0, conditions.word_ids)).to(dtype)

        video = video + self.frame_place(_waves(conditions.frame_number, FRAME_WAVES).to(dtype))[:, :, None]
        if config.camera == "matrix":
            path = self.camera(camera_numbers(conditions.T_start_camera).to(dtype))[:, :, None]
            video = video + _or(path, self.no_camera, no_camera)
        elif config.camera == "rays":
            video = video + _or(self.ray(self.rays(conditions), dtype), self.no_camera, no_camera)
        if config.guide:
            assert conditions.guide is not None
            guide = self.guide_patches(conditions.guide.to(dtype))
            video = video + guide * ~no_set[:, None, None, None]

        if config.context == "none":
            return video, video[:, :0], words
        pictures = (
            self.picture_patches(conditions.pictures.to(dtype)) + self.place.to(dtype) + self.kinds(video, conditions)
        )
        if config.geometry == "input":
            assert conditions.geometry is not None
            geometry = self.geometry_tokens(conditions.geometry, dtype)
            if config.context == "added":
                pictures = pictures + geometry
            else:  # joined along the frames: geometry of a picture stands at the picture's place, as another kind
                geometry = geometry + self.place.to(dtype) + self.kinds(video, conditions)
                pictures = torch.cat([pictures, geometry + self.geometry_kind.to(dtype)], 1)
        return video, _or(pictures, self.no_set, no_set), words

    def ray(
        self, rays: Float[Tensor, "batch picture token 6"], dtype: torch.dtype
    ) -> Float[Tensor, "batch picture token feature"]:
        """The one embedding of rays, for patches of the video and of the context alike.

        It starts as the largest part of every token, and F_t at nothing: so patches find those that see the same place
        from the first step on. With small rays beside a large F_t that took some ten times as many clips.
        """
        embedded = rms_norm(self.ray_out(F.silu(self.ray_in(ray_features(rays).to(dtype)))))
        return embedded * self.ray_gain.to(dtype)

    def geometry_tokens(
        self, geometry: SetGeometry, dtype: torch.dtype
    ) -> Float[Tensor, "batch picture token feature"]:
        """F_t at the model's width; rays that the source knows enter as the video's do."""
        tokens = self.geometry_in(rms_norm(geometry.features.to(dtype)))
        if geometry.rays is not None and self.config.camera == "rays":
            tokens = tokens + self.ray(geometry.rays, dtype)
        return tokens

    def nearness(self, conditions: Conditions, x: Float[Tensor, "batch token feature"]) -> Nearness | None:
        """Which of the tokens x, the video's before the context's, look along rays and which lie at points."""
        geometry = conditions.geometry
        if not self.config.knows_nearness or geometry is None or geometry.points is None:
            return None
        rays = passing_numbers(conditions.T_start_camera, self.rays(conditions)).flatten(1, 2)
        points = geometry.points.flatten(1, 2)
        told = ~conditions.absent[:, 1:].any(1)[:, None, None]
        # Joined along the frames, F_t stands behind the pictures, before the words.
        first_point = x.shape[1] - self.config.readings - points.shape[1]
        return Nearness.of((rays * told).to(x.dtype), 0, points.to(x.dtype), first_point, x.shape[1])

    def rays(self, conditions: Conditions) -> Float[Tensor, "batch frame token 6"]:
        """Of the video's patches."""
        side, patch_px = self.config.side, self.config.patch_px
        return plucker_rays(conditions.T_start_camera, conditions.K, side, side, patch_px)

    def kinds(self, video: Tensor, conditions: Conditions) -> Float[Tensor, "picture 1 feature"]:
        """What tells the first picture from the others, and numbered ones from one another."""
        count = conditions.pictures.shape[1]
        kinds = torch.cat([self.picture_kind[:1], self.picture_kind[1:].expand(count - 1, -1)])
        if self.config.numbered_pictures:
            kinds = kinds + self.picture_number[:count]
        return kinds[:, None].to(video.dtype)


def _or(
    told: Float[Tensor, "batch n token feature"], null: Float[Tensor, " feature"], absent: Tensor
) -> Float[Tensor, "batch n token feature"]:
    """A learned null in place of what is not told."""
    return torch.where(absent[:, None, None, None], null.to(told.dtype), told)


def _waves(value: Float[Tensor, "*batch"], waves: int) -> Float[Tensor, "*batch wave"]:
    """A number as sines and cosines of falling frequency (Vaswani et al. 2017)."""
    frequency = 10000.0 ** (-torch.arange(waves, device=value.device) / waves)
    phase = value[..., None] * frequency
    return torch.cat([phase.cos(), phase.sin()], -1)
