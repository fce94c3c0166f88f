"""Models of any preset that film in a given set, and the paths that their camera words mean; needs PyTorch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8

from understudy.core.camera import CameraPath
from understudy.geometry.projection import intrinsics
from understudy.runtime.errors import BackendUnavailable, InputError
from understudy.runtime.progress import Progress
from understudy.studio.scene.config import CameraWords, ShootConfig
from understudy.synthetic.worlds.camera_paths import MOVES, SceneMoves
from understudy.synthetic.worlds.endless import CAMERA_FIELD_RAD, CLIP_S
from understudy.videogen.device import device_named
from understudy.videogen.encoders.scene_encoder import SCENE_ENCODERS, SceneEncoder
from understudy.videogen.sample import GUIDANCE, Sampling, shoot
from understudy.videogen.training.presets import PRESETS
from understudy.videogen.transformer.checkpoints import WAN_JSON, GeometryOrigin, load_model

__all__ = ["CHECKPOINTS", "SetModel", "as_filmed", "model_of", "path_of"]

CHECKPOINTS = Path(__file__).parents[2] / "videogen" / "checkpoints"
ANGLES = ("pan", "tilt", "arc", "arc_up")
START_HEIGHT_M = 1.25
PATH_MOMENTS = 81
"""As many as the frames of a clip of Wan 2.1; shorter clips take the nearest ones."""
WAN_GUIDANCE = {"words": 5.0, "set": 1.0}
"""Wan hardly follows words without guidance."""


def path_of(move: CameraWords, distance_m: float) -> CameraPath:
    """The path of a camera move.

    It starts at a level view, 1.25 m high, with the lens of the training clips (75°).
    """
    kind = torch.tensor([MOVES.index(move.name)])
    way = torch.tensor([np.radians(move.amount) if move.name in ANGLES else move.amount], dtype=torch.float64)
    pivot = torch.tensor([[0.0, 0.0, distance_m]], dtype=torch.float64)
    moves = SceneMoves(kind, way, torch.full((1,), 0.5, dtype=torch.float64), pivot)
    T_start_camera = moves.T_start_camera(torch.linspace(0, 1, PATH_MOMENTS, dtype=torch.float64)[None])[0].numpy()
    T_world_start = np.diag([1.0, -1.0, -1.0, 1.0])
    T_world_start[1, 3] = START_HEIGHT_M
    size = 1024
    K = intrinsics(0.5 * size / np.tan(0.5 * CAMERA_FIELD_RAD), size, size)
    K = np.repeat(K[None], PATH_MOMENTS, 0)
    return CameraPath(T_world_start @ T_start_camera, K, size, size, clip_rate(PATH_MOMENTS))


@runtime_checkable
class SetFilm(Protocol):
    """A model's way to film."""

    def __call__(
        self, pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], camera: CameraPath, words: str, *, progress: Progress
    ) -> UInt8[np.ndarray, "frame height width 3"]:
        """Words in a set along a path: the frames, sRGB."""
        ...


@dataclass(frozen=True)
class SetModel:
    """A model of any preset, ready to film."""

    film: SetFilm
    pictures: int
    """How many are cut from a panorama."""
    field_rad: float | None = None
    """Of the lens, from left to right, where the model knows one only."""


def model_of(config: ShootConfig) -> SetModel:
    """The model that a configuration names.

    Raises:
        BackendUnavailable: it has no checkpoint here, or packages are missing.
        InputError: its files are no model of ours.
    """
    device = device_named(config.device)
    folder = config.model or CHECKPOINTS / config.preset
    if config.model is None and not folder.is_dir():
        raise BackendUnavailable(
            f"the preset {config.preset} has no trained checkpoint yet; train it with `understudy scene train --preset"
            f" {config.preset}` and name it with --model"
        )
    if config.preset == "wan-1.3b" or (folder / WAN_JSON).is_file():
        return _wan_model(folder, config, device)
    saved = load_model(folder, device)
    needs_geometry = saved.model.config.geometry != "none"
    encoder = _encoder(folder, saved.geometry, device) if needs_geometry else None
    sampling = Sampling(config.steps, sampler=config.sampler, guidance=config.guidance(GUIDANCE))
    film = partial(shoot, saved.model, seed=config.seed, encoder=encoder, sampling=sampling)
    return SetModel(film, saved.pictures or PRESETS[config.preset].pictures)


def _wan_model(folder: Path, config: ShootConfig, device: str) -> SetModel:
    """Wan with trained weights. Imported here, because Wan's parts take seconds to import."""
    missing = [name for name in ("diffusers", "transformers") if find_spec(name) is None]
    if missing:
        raise BackendUnavailable(
            f"{folder} is a model of Wan, which needs {' and '.join(missing)}: pip install 'understudy[scene]'"
        )
    from understudy.videogen.wan.sample import load_trained_wan, shoot_wan

    half = torch.bfloat16 if device.startswith("cuda") else torch.float32
    saved = load_trained_wan(folder, config.wan, half, device)
    origin = None if saved.origin.encoder is None else GeometryOrigin(saved.origin.encoder)
    encoder = None if origin is None else _encoder(folder, origin, device)
    guidance = config.guidance(WAN_GUIDANCE)
    sampling = Sampling(config.steps, saved.config.shift, config.sampler, guidance, half)
    film = partial(shoot_wan, saved, seed=config.seed, encoder=encoder, sampling=sampling)
    return SetModel(film, saved.config.pictures, CAMERA_FIELD_RAD)


def _encoder(folder: Path, origin: GeometryOrigin, device: str) -> SceneEncoder:
    """The scene encoder that the model in a folder was trained with."""
    if origin.source not in SCENE_ENCODERS:
        raise InputError(
            f"{folder} was trained with geometry from {origin.source!r}, which pictures alone do not give; train with"
            f" one of {', '.join(SCENE_ENCODERS)}"
        )
    return replace(SCENE_ENCODERS[origin.source](), part=origin.part).build(device)


def as_filmed(path: CameraPath, frames: int, width_px: int, height_px: int, field_rad: float | None) -> CameraPath:
    """The path at the moments, in the size and with the one lens with which it was filmed.

    That is the middle of the path's first picture, or the model's own lens: a zoom is not filmed.
    """
    moments = np.linspace(0, len(path) - 1, frames).round().astype(int)
    scale = min(path.width / width_px, path.height / height_px)
    K = np.repeat(path.K[:1], frames, 0)
    K[:, 0, 2] -= (path.width - scale * width_px) / 2
    K[:, 1, 2] -= (path.height - scale * height_px) / 2
    K[:, :2] /= scale
    if field_rad is not None:
        K[:] = intrinsics(0.5 * width_px / np.tan(0.5 * field_rad), width_px, height_px)
    return CameraPath(path.T_world_camera[moments], K, width_px, height_px, clip_rate(frames))


def clip_rate(frames: int) -> Fraction:
    """The rate at which so many frames last as long as a training clip."""
    return Fraction(frames - 1, 1) / Fraction(CLIP_S).limit_denominator(10)
