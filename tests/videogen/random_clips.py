"""Clips of noise with true cameras: enough for laws that hold for any picture."""

from dataclasses import dataclass

import torch

from understudy.synthetic.worlds.clip_batch import ClipBatch


@dataclass(frozen=True)
class RandomClips:
    """A source of clips by number; picklable, so that a second process can make them."""

    size_px: int = 16
    frames: int = 3
    crops: int = 3

    def __call__(self, number: int, clips: int) -> ClipBatch:
        chance = torch.Generator().manual_seed(number)
        size, frames, crops = self.size_px, self.frames, self.crops

        def uniform(*shape: int) -> torch.Tensor:
            return torch.rand(shape, generator=chance)

        empty, mask = uniform(clips, frames, 3, size, size) * 2 - 1, (uniform(clips, frames, size, size) > 0.8).float()
        return ClipBatch(
            video=empty * (1 - mask[:, :, None]) + mask[:, :, None],
            empty=empty,
            mask=mask,
            depth_m=uniform(clips, frames, size, size) * 5 + 1,
            T_start_camera=turned(uniform(clips, frames)),
            K=lens(size, 75.0).expand(clips, 3, 3).contiguous(),
            context=uniform(clips, crops, 3, size, size) * 2 - 1,
            context_depth_m=uniform(clips, crops, size, size) * 5 + 1,
            T_start_crop=turned(uniform(clips, crops) * 6),
            K_crop=lens(size, 90.0).expand(clips, 3, 3).contiguous(),
            words=[f"a man in a red coat walks, take {clip}" for clip in range(clips)],
        )


def lens(size_px: int, view_deg: float) -> torch.Tensor:
    """K of a square picture with this field of view."""
    focal_px = size_px / 2 / torch.tensor(view_deg / 2).deg2rad().tan()
    return torch.tensor([[focal_px, 0, size_px / 2], [0, focal_px, size_px / 2], [0, 0, 1.0]])


def turned(angle_rad: torch.Tensor) -> torch.Tensor:
    """T_start_camera of cameras that turn about the vertical; the first of each clip is the start itself."""
    angle_rad = angle_rad.clone()
    angle_rad[:, 0] = 0
    T = torch.eye(4).repeat(*angle_rad.shape, 1, 1)
    T[..., 0, 0], T[..., 0, 2] = angle_rad.cos(), angle_rad.sin()
    T[..., 2, 0], T[..., 2, 2] = -angle_rad.sin(), angle_rad.cos()
    return T
