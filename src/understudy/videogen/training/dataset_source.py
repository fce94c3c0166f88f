"""Training clips from a folder in the Scene-Decoupled layout: our own rendered ones, or the public dataset's."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from understudy.geometry.panorama import level_views
from understudy.geometry.rigid import invert
from understudy.io.scene_dataset import finished_scenes, frame_count, read_scene_clip
from understudy.runtime.errors import InputError
from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.synthetic.worlds.endless import ClipSizes

__all__ = ["DatasetSource"]

KEPT_BYTES = 2 << 30
"""Of clips that stay in memory, so that small films are decoded once."""


@dataclass(frozen=True)
class DatasetSource:
    """Clips of a folder by number, in an order of its own for every pass."""

    root: Path
    sizes: ClipSizes
    """Frames are taken evenly from each film and cut square about their middle."""
    scenes: tuple[str, ...]
    seed: int = 0
    device: str = "cpu"
    """Where clips are given."""

    @staticmethod
    def of_folder(root: Path, sizes: ClipSizes, seed: int = 0, device: str = "cpu") -> "DatasetSource":
        """All finished scenes of a folder.

        Raises:
            InputError: there is none.
        """
        scenes = tuple(finished_scenes(root))
        if not scenes:
            raise InputError(
                f"{root} holds no finished scenes: fill it with `understudy scene render-dataset -o {root}`, or name a"
                " folder in the Scene-Decoupled layout"
            )
        return DatasetSource(root, sizes, scenes, seed, device)

    def __call__(self, number: int, clips: int) -> ClipBatch:
        """The batch of that number. The depth of the set's pictures is not in such folders: it is inf.

        Raises:
            FileFormatError: a file of a scene is damaged.
        """
        chosen, clip_of = [], _remembering(self.sizes)
        for index in range(number * clips, (number + 1) * clips):
            turn, place = divmod(index, len(self.scenes))
            order = torch.randperm(
                len(self.scenes), generator=torch.Generator().manual_seed(1_000_003 * self.seed + turn)
            )
            chosen.append(clip_of(self.root, self.scenes[order[place]], self.sizes))
        words = [words for _, words in chosen]
        batch = ClipBatch(
            **{name: torch.stack([part[name] for part, _ in chosen]) for name in chosen[0][0]}, words=words
        )
        return batch.to(self.device)


@lru_cache(1)
def _remembering(sizes: ClipSizes) -> Callable[[Path, str, ClipSizes], tuple[dict[str, Tensor], str]]:
    """`_clip` that remembers as many clips as KEPT_BYTES hold."""
    # Of a pixel: video, empty, mask and depth of a frame; a picture of the set and its depth.
    numbers = 8 * sizes.frames * sizes.height * sizes.width + 4 * sizes.crops * sizes.crop_size**2
    return lru_cache(KEPT_BYTES // (4 * numbers))(_clip)


def _clip(root: Path, scene: str, sizes: ClipSizes) -> tuple[dict[str, Tensor], str]:
    """One clip as the fields of a batch, and its sentence."""
    total = frame_count(root, scene)
    if total < sizes.frames:
        raise InputError(f"{scene} in {root} has {total} frames; the model needs {sizes.frames}")
    clip = read_scene_clip(root, scene, frames=np.linspace(0, total - 1, sizes.frames).round().astype(int).tolist())
    size = (sizes.width, sizes.height)
    T = clip.camera.T_world_camera
    K, left, top, width, height = _cut(clip.camera.K[0], clip.camera.width, clip.camera.height, *size)
    window = np.s_[:, top : top + height, left : left + width]
    mask, depth_m = clip.mask, clip.depth_m
    empty = _pictures(clip.empty[window], size)
    count = len(empty)
    crops, T_start_crop, K_crop = level_views(clip.panorama, sizes.crops, sizes.crop_size)
    fields = {
        "video": _pictures(clip.video[window], size),
        "empty": empty,
        "mask": torch.zeros(count, *size[::-1]) if mask is None else _resized(mask[window], size) / 255,
        "depth_m": torch.full((count, *size[::-1]), torch.inf) if depth_m is None else _nearest(depth_m[window], size),
        "T_start_camera": torch.from_numpy(invert(T[0]) @ T).float(),
        "K": torch.from_numpy(K).float(),
        "context": _pictures((crops + 0.5).astype(np.uint8), (sizes.crop_size, sizes.crop_size)),
        "context_depth_m": torch.full((sizes.crops, sizes.crop_size, sizes.crop_size), torch.inf),
        "T_start_crop": torch.from_numpy(T_start_crop).float(),
        "K_crop": torch.from_numpy(K_crop).float(),
    }
    return fields, clip.words


def _cut(
    K: Float[np.ndarray, "3 3"], width: int, height: int, new_width: int, new_height: int
) -> tuple[Float[np.ndarray, "3 3"], int, int, int, int]:
    """The largest middle window of a new shape: K of it at its new size, then left, top, width and height."""
    scale = min(width / new_width, height / new_height)
    wide, high = int(new_width * scale), int(new_height * scale)
    left, top = (width - wide) // 2, (height - high) // 2
    moved = K - np.array([[0, 0, left], [0, 0, top], [0, 0, 0]])
    return np.diag([new_width / wide, new_height / high, 1.0]) @ moved, left, top, wide, high


def _pictures(
    frames: UInt8[np.ndarray, "time height width 3"], size: tuple[int, int]
) -> Float[Tensor, "time 3 new_height new_width"]:
    """sRGB, −1 … 1."""
    return (_resized(frames, size) / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


def _resized(frames: UInt8[np.ndarray, "time height width *channel"], size: tuple[int, int]) -> Float[Tensor, "..."]:
    sized = [cv2.resize(frame.astype(np.float32), size, interpolation=cv2.INTER_AREA) for frame in frames]
    return torch.from_numpy(np.stack(sized))


def _nearest(
    depth_m: Float[np.ndarray, "time height width"], size: tuple[int, int]
) -> Float[Tensor, "time new_height new_width"]:
    """Depth is not blended across edges."""
    sized = [cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST) for frame in depth_m]
    return torch.from_numpy(np.stack(sized)).float()
