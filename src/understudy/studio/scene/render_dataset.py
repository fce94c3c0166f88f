"""Renders scene-decoupled clips to disk: `understudy scene render-dataset`."""

import json
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from understudy.core.camera import CameraPath
from understudy.core.clip import SceneClip
from understudy.geometry.projection import intrinsics
from understudy.io.scene_dataset import LENS_MM, SENSOR_MM, finished_scenes, write_scene_clip
from understudy.io.temporary import remove_abandoned
from understudy.io.text import read_json, replace_text
from understudy.runtime.checks import check_option
from understudy.runtime.errors import InputError, quoted
from understudy.runtime.progress import Progress, silent
from understudy.studio.outputs import own_folder
from understudy.synthetic.worlds.endless import ClipSizes, EndlessClips, SceneDescription
from understudy.synthetic.worlds.opengl import film_with_opengl, panorama_with_opengl
from understudy.synthetic.worlds.seeded_random import Split
from understudy.synthetic.worlds.words import action_words
from understudy.videogen.device import check_seed, device_named

__all__ = ["RenderDatasetConfig", "render_dataset"]

FRAME_RATE = Fraction(15)
FRAMES_AT_ONCE = 8
MAX_SETTINGS_BYTES = 1 << 20
RendererName = Literal["raycast", "opengl"]


@dataclass(frozen=True)
class RenderDatasetConfig:
    """What is rendered. The defaults are the public dataset's."""

    clips: int = 100
    """How many clips the folder shall hold; those that are there already are kept."""
    width: int = 672
    height: int = 384
    frames: int = 81
    """At 15 a second."""
    panorama_width: int = 2048
    seed: int = 0
    split: Split = "train"
    renderer: RendererName = "raycast"
    """raycast: on `device`; opengl: with cast shadows, in software or on whatever GPU there is."""
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_option("clips", self.clips, 1, 1_000_000)
        check_option("frames", self.frames, 1, 10_000)
        for name, most in (("width", 8192), ("height", 8192), ("panorama_width", 16384)):
            check_option(name, getattr(self, name), 16, most)


def render_dataset(config: RenderDatasetConfig, out: Path, progress: Progress = silent) -> list[str]:
    """Render clips into `out` in the Scene-Decoupled layout; gives the names of all scenes there.

    Interrupted at any moment, the next call goes on with the first clip that is not complete.

    Raises:
        InputError: `out` holds clips of other settings or cannot be written to, a size makes no sense, or there is no
            such device.
    """
    if config.width % 2 or config.height % 2 or config.panorama_width % 2:
        raise InputError(
            f"films have even sides and a panorama is twice as wide as high; got --width {config.width}, --height"
            f" {config.height}, --panorama-width {config.panorama_width}"
        )
    device = device_named(config.device)
    own_folder(out)
    _same_settings(config, out)
    field_rad = 2 * math.atan(0.5 * SENSOR_MM / LENS_MM)
    sizes = ClipSizes(config.frames, config.height, config.width, crops=1, crop_size=16, field_rad=field_rad)
    clips = EndlessClips(config.seed, sizes, device, config.split)
    done = set(finished_scenes(out))
    for number in range(config.clips):
        name = f"scene{number:06d}"
        if name not in done:
            _clean(out, name)
            scene = clips.describe([number])
            write_scene_clip(out, _filmed(clips, scene, config, name), action_words(scene.subject)[0])
        progress(number + 1, config.clips)
    return finished_scenes(out)


def _same_settings(config: RenderDatasetConfig, out: Path) -> None:
    """Write the settings of a new folder; refuse a folder of others."""
    ours = asdict(config) | {"clips": 0, "device": "any"}
    path = out / "settings.json"
    if path.exists():
        theirs = read_json(path, "list of settings", MAX_SETTINGS_BYTES)
        if theirs != ours:
            raise InputError(
                f"{out} holds clips of other settings ({quoted(theirs)[1:-1]}); name another folder or use the same."
            )
        return
    replace_text(path, json.dumps(ours) + "\n")


def _clean(out: Path, scene: str) -> None:
    """Remove what an interrupted run left of a scene under temporary names."""
    for folder in out.glob(f"*/**/{scene}/"):
        remove_abandoned(folder)


def _filmed(clips: EndlessClips, scene: SceneDescription, config: RenderDatasetConfig, name: str) -> SceneClip:
    share = torch.linspace(0, 1, config.frames, device=scene.T_world_start.device)[None]
    T_start_camera = scene.moves.T_start_camera(share)[0].cpu().double().numpy()
    T_world_camera = scene.T_world_start[0].cpu().double().numpy() @ T_start_camera
    K = intrinsics(clips.sizes.focal_px, config.width, config.height)
    K = np.repeat(K[None], config.frames, 0)
    camera = CameraPath(T_world_camera, K, config.width, config.height, FRAME_RATE)
    film = _with_opengl if config.renderer == "opengl" else _with_rays
    video, empty, mask, depth_m, panorama = film(clips, scene, config, camera)
    return SceneClip(name, "01", camera, video, empty, panorama, scene.words[0], mask, depth_m)


Pictures = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Video, empty, mask, depth, panorama, as `SceneClip` holds them."""


def _with_rays(
    clips: EndlessClips, scene: SceneDescription, config: RenderDatasetConfig, camera: CameraPath
) -> Pictures:
    parts = [
        clips.film(scene, range(first, min(first + FRAMES_AT_ONCE, config.frames)))
        for first in range(0, config.frames, FRAMES_AT_ONCE)
    ]
    video, empty, mask, depth_m = (
        torch.cat([getattr(part, field)[0] for part in parts]).cpu() for field in ("video", "empty", "mask", "depth_m")
    )
    return (
        _bytes(video), _bytes(empty), (mask * 255).round().to(torch.uint8).numpy(), depth_m.double().numpy(),
        _bytes(clips.panorama(scene, config.panorama_width).cpu())[0],
    )  # fmt: skip


def _with_opengl(
    clips: EndlessClips, scene: SceneDescription, config: RenderDatasetConfig, camera: CameraPath
) -> Pictures:
    frames = list(film_with_opengl(scene, 0, camera, np.linspace(0, 1, config.frames)))
    return (
        np.stack([frame.picture for frame in frames]), np.stack([frame.clean_plate for frame in frames]),
        np.stack([frame.mask for frame in frames]), np.stack([frame.depth_m for frame in frames]).astype(np.float64),
        panorama_with_opengl(scene, 0, config.panorama_width),
    )  # fmt: skip


def _bytes(pictures: Float[Tensor, "time 3 height width"]) -> UInt8[np.ndarray, "time height width 3"]:
    """sRGB −1 … 1 as bytes."""
    return ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
