"""What a ray-cast picture is made of: its rays, and where things can lie in it."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["SAMPLES", "Rectangles", "Touched", "View", "panorama_view", "pinhole_view"]

SAMPLES = 4
"""Rays per pixel, two by two."""
NEAR_M = 0.05


@dataclass(frozen=True)
class Rectangles:
    """Parts of pictures, in whole pixels; width or height 0: nothing."""

    left: Int[Tensor, "*shape"]
    top: Int[Tensor, "*shape"]
    width: Int[Tensor, "*shape"]
    height: Int[Tensor, "*shape"]


@dataclass(frozen=True)
class Touched:
    """All pixels of some rectangles, in one row."""

    owner: Int[Tensor, " touched"]
    """Which rectangle, counted among those that were asked for."""
    pixel: Int[Tensor, " touched"]
    """Number in the picture, row by row."""


@dataclass(frozen=True)
class View:
    """The rays of a picture, in the camera's frame. Ray = sample · pixels + pixel."""

    directions: Float[Tensor, "3 ray"]
    """A pinhole's have Z = 1, a panorama's have length 1."""
    lengths: Float[Tensor, " ray"]
    width: int
    height: int
    focal_px: float | None
    """None: the picture goes all around."""

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.width * self.height

    @property
    def sample_rad(self) -> float:
        """About how wide a ray is."""
        return 0.5 / self.focal_px if self.focal_px else math.pi / self.width

    def rectangles(
        self, centre_camera_m: Float[Tensor, "*shape 3"], half_camera_m: Float[Tensor, "*shape 3"]
    ) -> Rectangles:
        """The pixels that boxes along the camera's axes may touch, rather too many than too few."""
        if self.focal_px is None:
            none = torch.zeros(centre_camera_m.shape[:-1], dtype=torch.long, device=centre_camera_m.device)
            return Rectangles(none, none, none + self.width, none + self.height)
        near = (centre_camera_m[..., 2] - half_camera_m[..., 2]).clamp(min=NEAR_M)
        far = centre_camera_m[..., 2] + half_camera_m[..., 2]
        seen = far > NEAR_M
        near, far = 1.0 / near, 1.0 / far.clamp(min=NEAR_M)
        edges = []
        for axis, size in ((0, self.width), (1, self.height)):
            low = centre_camera_m[..., axis] - half_camera_m[..., axis]
            high = centre_camera_m[..., axis] + half_camera_m[..., axis]
            first = self.focal_px * torch.minimum(low * near, low * far) + size / 2
            last = self.focal_px * torch.maximum(high * near, high * far) + size / 2
            start = first.floor().clamp(0, size)
            edges.append((start.long(), ((last.ceil().clamp(0, size) - start).clamp(min=0) * seen).long()))
        (left, width), (top, height) = edges
        return Rectangles(left, top, width, height)

    def touched(self, some: Rectangles) -> Touched:
        """All pixels of rectangles that stand in one row."""
        count = some.width * some.height
        owner = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
        start = count.cumsum(0) - count
        number = torch.arange(len(owner), device=count.device) - start.index_select(0, owner)
        width = some.width.index_select(0, owner)
        row = torch.div(number, width, rounding_mode="floor")
        first = some.top * self.width + some.left
        pixel = first.index_select(0, owner) + row * (self.width - width) + number
        return Touched(owner, pixel)


@cache
def pinhole_view(width: int, height: int, focal_px: float, device: torch.device) -> View:
    """A pinhole camera with square pixels and its axis through the picture's middle."""
    rows = []
    for dy in (0.25, 0.75):
        for dx in (0.25, 0.75):
            x = (torch.arange(width, dtype=torch.float64) + dx - width / 2) / focal_px
            y = (torch.arange(height, dtype=torch.float64) + dy - height / 2) / focal_px
            plane = torch.ones(height, width, dtype=torch.float64)
            rows.append(torch.stack([x * plane, y[:, None] * plane, plane]))
    directions = torch.stack(rows, 1).reshape(3, -1).to(torch.float32).to(device)
    return View(directions, directions.norm(dim=0), width, height, focal_px)


@cache
def panorama_view(width: int, height: int, device: torch.device) -> View:
    """All around, equirectangular: the camera's +Z in the middle, its +X right of that; the top row looks up."""
    rows = []
    for dy in (0.25, 0.75):
        for dx in (0.25, 0.75):
            yaw = ((torch.arange(width, dtype=torch.float64) + dx) / width - 0.5) * 2 * math.pi
            up = (0.5 - (torch.arange(height, dtype=torch.float64) + dy) / height)[:, None] * math.pi
            rows.append(torch.stack([up.cos() * yaw.sin(), -up.sin().expand(height, width), up.cos() * yaw.cos()]))
    directions = torch.stack(rows, 1).reshape(3, -1).to(torch.float32).to(device)
    return View(directions, torch.ones_like(directions[0]), width, height, None)
