"""From a model, pictures of a set, a camera path and words to the frames of a clip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from understudy.core.camera import CameraPath
from understudy.diffusion.guidance import guided
from understudy.diffusion.samplers import SAMPLERS, SamplerName
from understudy.diffusion.schedule import sampling_times, velocity_from_prediction
from understudy.geometry.rigid import invert
from understudy.runtime.errors import InputError
from understudy.runtime.progress import Progress, silent
from understudy.videogen.encoders.scene_encoder import SceneEncoder
from understudy.videogen.transformer.conditioning import CONDITIONS, Conditions, at_size
from understudy.videogen.transformer.model import VideoTransformer

__all__ = ["GUIDANCE", "Sampling", "conditions_for", "frames_of", "pictures_for", "sample_clips", "shoot"]

GUIDANCE = {"words": 1.3, "set": 1.3}
"""What films are shot with. With mini, guidance by the set brings backgrounds of held-out sets 0.1 dB nearer (1.6 and 2
are no nearer); guidance by words brings the subject into nearly every clip, and what it costs of the background the
shift of 4 gives back."""


@dataclass(frozen=True)
class Sampling:
    """How clips are drawn from a model."""

    steps: int = 20
    shift: float = 4.0
    """Above 1: more of the steps where there is much noise."""
    sampler: SamplerName = "euler"
    guidance: Mapping[str, float] = field(default_factory=dict)
    """A scale for any of CONDITIONS; 1, or left out, is the model as it is."""
    precision: torch.dtype = torch.float32
    """Of the network's products."""


def shoot(
    model: VideoTransformer,
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    camera: CameraPath,
    words: str,
    seed: int,
    encoder: SceneEncoder | None = None,
    sampling: Sampling = Sampling(),
    progress: Progress = silent,
) -> UInt8[np.ndarray, "frame height width 3"]:
    """Film words in a set along a path: the frames, sRGB, square, of the size that the model was trained at.

    `pictures` show the empty set and are cut square about their middle; the first must be the view from which the path
    starts. If it is not, the path still begins at that view: poses are read relative to the path's first frame.
    The path is read at as many moments as the model's clips have, with its first lens: a zoom is not filmed. The same
    seed gives the same frames.

    Raises:
        InputError: no picture, more than the model can number, no geometry for a model that needs it, or an unknown
            name in the guidance.
    """
    conditions = conditions_for(model, pictures, camera, words, encoder)
    return frames_of(sample_clips(model, conditions, seed, sampling, progress))[0]


@torch.no_grad()
def sample_clips(
    model: VideoTransformer,
    conditions: Conditions,
    seed: int,
    sampling: Sampling = Sampling(),
    progress: Progress = silent,
) -> Float[Tensor, "batch frame 3 height width"]:
    """Clips under conditions, sRGB, −1 … 1 (about). A seed gives clip i of any batch the same noise.

    Raises:
        InputError: an unknown name in the guidance.
    """
    if unknown := set(sampling.guidance) - set(CONDITIONS):
        raise InputError(f"there is no guidance by {sorted(unknown)}; known: {', '.join(CONDITIONS)}")
    config, device = model.config, conditions.K.device
    shape = (conditions.T_start_camera.shape[1], 3, config.picture_px, config.picture_px)
    # Drawn on the CPU, clip by clip: the same on every device and for every batch size.
    generator = torch.Generator().manual_seed(seed)
    noise = torch.stack([torch.randn(shape, generator=generator) for _ in range(len(conditions))]).to(device)

    def velocity(
        noisy: Float[Tensor, "batch frame 3 height width"], time: Float[Tensor, " batch"], without: frozenset[str]
    ) -> Float[Tensor, "batch frame 3 height width"]:
        output = model(noisy.to(sampling.precision), time, conditions.without(without)).clip
        return velocity_from_prediction(output, noisy, time, config.prediction)

    times = sampling_times(sampling.steps, sampling.shift).to(device)
    return SAMPLERS[sampling.sampler](guided(velocity, sampling.guidance), noise, times, progress)


def conditions_for(
    model: VideoTransformer,
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    camera: CameraPath,
    words: str,
    encoder: SceneEncoder | None = None,
) -> Conditions:
    """What the model is told for one clip, on the model's device. Errors as of `shoot`."""
    config, device = model.config, next(model.parameters()).device
    if not pictures:
        raise InputError("a set needs a picture or more; give the view from which the clip starts first")
    if config.numbered_pictures and len(pictures) > config.numbered_pictures:
        raise InputError(f"this model takes up to {config.numbered_pictures} pictures of a set; got {len(pictures)}")
    shown = pictures_for(pictures, config.set_px).to(device)
    known = None
    if config.geometry != "none":
        if encoder is None or encoder.channels != config.geometry_channels:
            raise InputError(
                f"this model needs the geometry of the set, {config.geometry_channels} channels a patch; give the scene"
                " encoder that it was trained with"
            )
        known = encoder(shown, config.side, config.side)
    if config.guide:
        raise InputError("this model needs a rendered point cloud of the set, which pictures alone do not give")
    T_start_camera, K = _path_for(camera, config.frames, config.picture_px)
    return Conditions(
        T_start_camera=T_start_camera.to(device),
        K=K.to(device),
        frame_number=torch.arange(config.frames, device=device).float()[None],
        pictures=at_size(shown, config.picture_px),
        word_ids=config.vocabulary.ids([words]).to(device),
        absent=torch.tensor([[not words.strip(), False, False]], device=device),
        geometry=known,
    )


def pictures_for(
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], size_px: int
) -> Float[Tensor, "1 picture 3 size_px size_px"]:
    """Pictures cut square about their middle, at one size, sRGB −1 … 1."""
    squares = []
    for picture in pictures:
        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = np.ascontiguousarray(picture[top : top + side, left : left + side])
        how = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
        squares.append(cv2.resize(square, (size_px, size_px), interpolation=how))
    stacked = torch.from_numpy(np.stack(squares)).float() / 127.5 - 1
    return stacked.permute(0, 3, 1, 2)[None].contiguous()


def frames_of(
    clips: Float[Tensor, "batch frame 3 height width"],
) -> UInt8[np.ndarray, "batch frame height width 3"]:
    """Clips as bytes."""
    return ((clips.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 1, 3, 4, 2).cpu().numpy()


def _path_for(
    camera: CameraPath, frames: int, size_px: int
) -> tuple[Float[Tensor, "1 frame 4 4"], Float[Tensor, "1 3 3"]]:
    """Poses relative to the path's first, at evenly spaced frames of it, and its first lens's square middle."""
    moments = np.linspace(0, len(camera) - 1, frames).round().astype(int)
    T_start_camera = invert(camera.T_world_camera[0]) @ camera.T_world_camera[moments]
    side = min(camera.width, camera.height)
    K = camera.K[0].copy()
    K[:2, 2] -= [(camera.width - side) / 2, (camera.height - side) / 2]
    K[:2] *= size_px / side
    return torch.from_numpy(T_start_camera).float()[None], torch.from_numpy(K).float()[None]
