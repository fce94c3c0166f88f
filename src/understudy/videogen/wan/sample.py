"""From a trained Wan, pictures of a set, a camera path and words to the frames of a clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from understudy.core.camera import CameraPath
from understudy.diffusion.guidance import guided
from understudy.diffusion.samplers import SAMPLERS
from understudy.diffusion.schedule import sampling_times
from understudy.geometry.rigid import invert
from understudy.runtime.errors import FileFormatError, InputError
from understudy.runtime.progress import Progress, silent
from understudy.videogen.encoders.scene_encoder import SceneEncoder
from understudy.videogen.sample import Sampling, frames_of
from understudy.videogen.transformer.checkpoints import WAN_JSON, read_document
from understudy.videogen.transformer.conditioning import CONDITIONS
from understudy.videogen.wan.conditions import WanConditions, conditions_of, fitted, velocity_of
from understudy.videogen.wan.model import CineSceneWan, Wan, load_trained, load_wan
from understudy.videogen.wan.train import WAN_FORMAT, WAN_WEIGHTS, WanOrigin, WanTrainingConfig

__all__ = ["SavedWan", "load_trained_wan", "shoot_wan"]

MAX_CHANNELS = 8192


@dataclass(frozen=True)
class SavedWan:
    """Wan with trained weights, as read from disk."""

    model: CineSceneWan
    wan: Wan
    config: WanTrainingConfig
    origin: WanOrigin
    geometry_channels: int | None
    step: int
    """Of its training."""


def load_trained_wan(
    folder: Path, weights: str | Path | None = None, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> SavedWan:
    """Read a checkpoint of `train_wan`, ready to film.

    Args:
        weights: Wan itself, where it is not where it was when it was trained.
        dtype: of the text encoder; the transformer's weights are float32.

    Raises:
        FileFormatError: a file is absent, damaged or of another kind.
        BackendUnavailable: Wan itself is not on this machine.
    """
    document = read_document(folder / WAN_JSON, WAN_FORMAT)
    try:
        entry: dict[str, Any] = dict(document["training"])
        entry["drop_probability"] = tuple(entry["drop_probability"])
        config = WanTrainingConfig(**entry)
        origin, step, channels = WanOrigin(**document["origin"]), int(document["step"]), document["geometry_channels"]
        if channels is not None and not 1 <= int(channels) <= MAX_CHANNELS:
            raise ValueError(f"geometry of {channels} channels; expected 1 to {MAX_CHANNELS}")
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise FileFormatError(f"{folder / WAN_JSON} describes no training of Wan: {error}") from error
    wan = load_wan(weights or origin.weights, dtype, device)
    model = CineSceneWan(wan.transformer.float(), channels, config.training, config.rank)
    load_trained(folder / WAN_WEIGHTS, model)
    return SavedWan(model.requires_grad_(False).eval(), wan, config, origin, channels, step)


@torch.no_grad()
def shoot_wan(
    saved: SavedWan,
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    camera: CameraPath,
    words: str,
    seed: int,
    encoder: SceneEncoder | None = None,
    sampling: Sampling | None = None,
    progress: Progress = silent,
) -> UInt8[np.ndarray, "frame height width 3"]:
    """Film words in a set along a path: the frames, sRGB, of the size and number that Wan was trained at.

    `pictures` show the empty set, as many as you have, and are cut about their middle to the shape of the clip; the
    first must be the view from which the path starts. The path is read at as many moments as a clip has frames. The
    lens is that of the training clips: Wan is told where the camera is, not how it sees. By default noise levels are
    shifted as they were in training. The same seed gives the same frames.

    Raises:
        InputError: no picture, more than Wan can place, no geometry for a model that needs it, or an unknown name in
            the guidance.
    """
    sampling = sampling or Sampling(shift=saved.config.shift)
    if unknown := set(sampling.guidance) - set(CONDITIONS):
        raise InputError(f"there is no guidance by {sorted(unknown)}; known: {', '.join(CONDITIONS)}")
    conditions = _conditions_for(saved, pictures, camera, words, encoder)
    vae_sizes: Any = saved.wan.vae.config  # diffusers types it as a dict, and reads its entries as attributes
    shape = (1, vae_sizes.z_dim, *saved.config.latents)
    # Drawn on the CPU: the same on every device.
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(conditions.camera.device)

    def velocity(
        noisy: Float[Tensor, "1 channel latent rows columns"], time: Float[Tensor, " 1"], without: frozenset[str]
    ) -> Float[Tensor, "1 channel latent rows columns"]:
        told = conditions.without(torch.tensor([[name in without for name in CONDITIONS]]))
        # Samplers run from noise (time 0) to clean (1), Wan's noise levels the other way.
        return -velocity_of(saved.model, noisy, 1 - time, told, sampling.precision == torch.bfloat16)

    times = sampling_times(sampling.steps, sampling.shift).to(noise.device)
    latents = SAMPLERS[sampling.sampler](guided(velocity, sampling.guidance), noise, times, progress)
    return frames_of(saved.wan.decode_clip(latents).float())[0]


def _conditions_for(
    saved: SavedWan,
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    camera: CameraPath,
    words: str,
    encoder: SceneEncoder | None,
) -> WanConditions:
    """What Wan is told for one clip, on its device."""
    config, device = saved.config, saved.model.transformer.device
    if not pictures:
        raise InputError("a set needs a picture or more; give the view from which the clip starts first")
    if saved.geometry_channels is None:
        encoder = None
    elif encoder is None or encoder.channels != saved.geometry_channels:
        raise InputError(
            f"this model needs the geometry of the set, {saved.geometry_channels} channels a patch; give the scene"
            " encoder that it was trained with"
        )
    sizes: Any = saved.wan.transformer.config
    places = sizes.rope_max_seq_len - config.latents[0]
    if len(pictures) * (1 if encoder is None else 2) > places:
        raise InputError(f"Wan can place {places} frames of context; got {len(pictures)} pictures: give fewer")
    tensors = [torch.tensor(picture).permute(2, 0, 1)[None] / 127.5 - 1 for picture in pictures]
    shown = torch.cat([fitted(tensor, config.height, config.width) for tensor in tensors])[None].to(device)
    moments = np.linspace(0, len(camera) - 1, config.frames).round().astype(int)
    T_start_camera = invert(camera.T_world_camera[0]) @ camera.T_world_camera[moments]
    return conditions_of(
        wan=saved.wan,
        encoder=encoder,
        pictures=shown,
        sentences=[words],
        T_start_camera=torch.from_numpy(T_start_camera).float()[None].to(device),
    )
