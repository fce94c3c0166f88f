"""Endless plain rooms for tests of the scene encoder: boxes with random waves on their walls, seen from inside."""

import math

import torch
import torch.nn.functional as F

from understudy.videogen.encoders.matching import rotation_about
from understudy.videogen.encoders.set_pictures import SetPictures


def box_rooms(number: int, clips: int, crops: int = 5, size: int = 48, spread_deg: float = 60.0) -> SetPictures:
    """Sets whose pictures look around from one place, each picture turned by a random angle from the one before it."""
    chance = torch.Generator().manual_seed(number + 1)
    half = 1.5 + 3 * torch.rand(clips, 1, 1, 3, generator=chance)
    step = math.radians(spread_deg) * (0.3 + 0.7 * torch.rand(clips, crops, generator=chance))
    step[:, 0] = 0
    yaw = step.cumsum(1)
    start = torch.rand(clips, 1, generator=chance) * 2 * math.pi
    R = _about_y(yaw + start)
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    camera_rays = torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 3)
    rays = torch.einsum("bcij,pj->bcpi", R, camera_rays)
    distance = (half / rays.abs().clamp(min=1e-6)).amin(-1, keepdim=True)
    points = rays * distance
    waves = torch.randn(clips, 1, 12, 3, generator=chance) * 3
    phase = torch.rand(clips, 1, 1, 12, generator=chance) * 2 * math.pi
    paint = torch.randn(clips, 1, 12, 3, generator=chance) / 3
    colour = torch.tanh(torch.sin(points @ waves.mT + phase) @ paint)
    return SetPictures(
        colour.mT.unflatten(-1, (size, size)), distance[..., 0].unflatten(-1, (size, size)), _about_y(yaw)
    )


def _about_y(angle: torch.Tensor) -> torch.Tensor:
    return rotation_about(F.pad(angle[..., None], (1, 1)))
