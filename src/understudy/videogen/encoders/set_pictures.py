"""Pictures of empty sets, all of a set from one place: what scene encoders learn from and are measured on."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.synthetic.worlds.endless import ClipSizes, EndlessClips
from understudy.synthetic.worlds.seeded_random import Split
from understudy.videogen.encoders.matching import rotation_about

__all__ = ["LookingAround", "PictureSource", "SetPictures"]


@dataclass(frozen=True)
class SetPictures:
    """Pictures of empty sets, each set's all from one place; the first is the start view."""

    pictures: Float[Tensor, "batch picture 3 size size"]
    """sRGB, −1 … 1."""
    depth_m: Float[Tensor, "batch picture size size"]
    """Along each camera's +Z; the sky is inf."""
    R_start_picture: Float[Tensor, "batch picture 3 3"]

    @staticmethod
    def of(batch: ClipBatch) -> "SetPictures":
        """The context of clips."""
        return SetPictures(batch.context, batch.context_depth_m, batch.T_start_crop[..., :3, :3])

    def to(self, device: str) -> "SetPictures":
        """The same on another device."""
        return SetPictures(self.pictures.to(device), self.depth_m.to(device), self.R_start_picture.to(device))


@runtime_checkable
class PictureSource(Protocol):
    """Gives pictures of sets by number: the same number, the same pictures."""

    def __call__(self, number: int, sets: int) -> SetPictures:
        """The batch of that number."""
        ...


@dataclass(frozen=True)
class LookingAround:
    """Pictures of our own endless sets, from the start view's place: rings, rings out of true, or at random.

    A picture is turned by up to 5° more in pitch and roll, except in even rings; their number changes by batch.
    """

    seed: int = 0
    split: Split = "train"
    size_px: int = 48
    counts: tuple[int, ...] = (5, 6, 8)
    even_share: float = 0.3
    """Sets whose pictures stand at equal angles."""
    random_share: float = 0.3
    """Sets whose pictures look anywhere along the horizon; the rest are rings, each picture off by up to 30°."""
    tilt_rad: float = math.radians(5.0)

    def __call__(self, number: int, sets: int) -> SetPictures:
        """The batch of that number."""
        ...
        sizes = ClipSizes(frames=1, height=self.size_px, width=self.size_px, crops=1, field_rad=math.pi / 2)
        clips = EndlessClips(self.seed, sizes, split=self.split)
        scene = clips.describe(range(number * sets, (number + 1) * sets))
        R = self._rotations(torch.Generator().manual_seed(self.seed * 1_000_003 + number), number, sets)
        T_start_picture = torch.eye(4).repeat(*R.shape[:2], 1, 1)
        T_start_picture[..., :3, :3] = R
        pictures, depth_m = clips.empty_views(scene, T_start_picture)
        return SetPictures(pictures, depth_m, R)

    def _rotations(self, chance: torch.Generator, number: int, sets: int) -> Float[Tensor, "batch picture 3 3"]:
        count = self.counts[number % len(self.counts)]
        drawn = torch.rand((sets, count, 4), generator=chance) * 2 - 1
        ring = torch.arange(count) * (2 * math.pi / count) + torch.zeros(sets, 1)
        kind = torch.rand((sets, 1), generator=chance)
        even, anywhere = kind < self.even_share, kind > 1 - self.random_share
        jittered = ring + math.radians(30.0) * drawn[..., 0]
        yaw = torch.where(even, ring, torch.where(anywhere, math.pi * drawn[..., 1], jittered))
        tilt = torch.where(even[..., None], 0.0, self.tilt_rad * drawn[..., 2:])
        turns = torch.stack([tilt[..., 0], torch.zeros_like(yaw), tilt[..., 1]], -1)
        R = rotation_about(F.pad(yaw[..., None], (1, 1))) @ rotation_about(turns)
        R[:, 0] = torch.eye(3)  # the start view is level
        return R
