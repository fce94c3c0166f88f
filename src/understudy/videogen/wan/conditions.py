"""What Wan is told of a batch of clips, made alike for training and for filming."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from understudy.videogen.encoders.scene_encoder import SceneEncoder
from understudy.videogen.transformer.conditioning import CONDITIONS
from understudy.videogen.wan.model import Wan, WanContext, latent_cameras

__all__ = ["PX_PER_LATENT", "WanConditions", "conditions_of", "fitted", "velocity_of"]

PX_PER_LATENT = 8
"""The VAE makes 8 × 8 pixels one place."""


@dataclass(frozen=True)
class WanConditions:
    """Everything that Wan is told about a batch of clips."""

    words: Float[Tensor, "batch word text_width"]
    no_words: Float[Tensor, "1 word text_width"]
    """The empty sentence, encoded."""
    camera: Float[Tensor, "batch latent 12"]
    context: WanContext

    def without(self, absent: Bool[Tensor, "batch 3"]) -> "WanConditions":
        """The same with CONDITIONS taken away: the empty sentence for words, zeros for set and camera."""
        told = ~absent.to(self.camera.device)
        words, known_set, camera = (told[:, index, None, None] for index in range(len(CONDITIONS)))
        context = self.context
        geometry = None if context.geometry is None else context.geometry * known_set[..., None]
        return replace(
            self,
            words=torch.where(words, self.words, self.no_words),
            camera=self.camera * camera,
            context=replace(context, pictures=context.pictures * known_set[..., None, None], geometry=geometry),
        )


def velocity_of(
    model: nn.Module,
    noisy: Float[Tensor, "batch channel latent rows columns"],
    level: Float[Tensor, " batch"],
    conditions: WanConditions,
    bfloat16: bool,
) -> Float[Tensor, "batch channel latent rows columns"]:
    """noise − clean, as Wan says it of latents at noise levels 0 … 1; its products in bfloat16 where asked for."""
    with torch.autocast(noisy.device.type, torch.bfloat16, enabled=bfloat16):
        output = model(noisy, 1000 * level, conditions.words, conditions.camera, conditions.context)
    return output.float()


def conditions_of(
    wan: Wan,
    encoder: SceneEncoder | None,
    pictures: Float[Tensor, "batch picture 3 height width"],
    T_start_camera: Float[Tensor, "batch frame 4 4"],
    sentences: Sequence[str],
) -> WanConditions:
    """What is told of clips: pictures as latents I_t, their geometry F_t on the latents' grid, cameras and words."""
    rows, columns = (side // PX_PER_LATENT for side in pictures.shape[-2:])
    # One clip after the other: the VAE's memory grows with the number of pictures.
    latents = torch.cat([wan.encode_pictures(pictures_of_clip[None]) for pictures_of_clip in pictures])
    geometry = None if encoder is None else encoder(pictures, rows, columns).features.float()
    words = wan.encode_words([*sentences, ""]).float()
    return WanConditions(words[:-1], words[-1:], latent_cameras(T_start_camera), WanContext(latents, geometry))


def fitted(
    pictures: Float[Tensor, "picture 3 _ _"], height: int, width: int
) -> Float[Tensor, "picture 3 {height} {width}"]:
    """Pictures cut about their middle to the shape of a clip, at its size."""
    scale = min(pictures.shape[-2] / height, pictures.shape[-1] / width)
    high, wide = round(height * scale), round(width * scale)
    top, left = (pictures.shape[-2] - high) // 2, (pictures.shape[-1] - wide) // 2
    cut = pictures[..., top : top + high, left : left + wide]
    if (high, wide) == (height, width):
        return cut.contiguous()
    return F.interpolate(cut, size=(height, width), mode="bicubic", antialias=True).clamp(-1, 1)
