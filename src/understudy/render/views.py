"""Views as matrices: from the world to a device's clip space, for cameras and for lights."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["LightView", "PixelBounds", "camera_clip_from_world", "light_view", "pixel_box"]


@dataclass(frozen=True)
class PixelBounds:
    """A rectangle of whole pixels: left ≤ x < right, top ≤ y < bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """In pixels; 0 for an empty box."""
        return max(self.right - self.left, 0)

    @property
    def height(self) -> int:
        """In pixels; 0 for an empty box."""
        return max(self.bottom - self.top, 0)

    def tiles(self, side_px: int) -> list["PixelBounds"]:
        """The box cut into pieces of at most `side_px` × `side_px`."""
        return [
            PixelBounds(left, top, min(left + side_px, self.right), min(top + side_px, self.bottom))
            for top in range(self.top, self.bottom, side_px)
            for left in range(self.left, self.right, side_px)
        ]


def camera_clip_from_world(
    K: Float[np.ndarray, "3 3"], T_camera_world: Float[np.ndarray, "4 4"], box: PixelBounds, near_m: float, far_m: float
) -> Float[np.ndarray, "4 4"]:
    """Clip space of a pinhole camera that fills the viewport with `box`; clip w is the depth along +Z.

    The first row of the viewport is the picture's top row (OpenGL counts from below), so faces change their turn:
    counter-clockwise ones come out clockwise.
    """
    P = np.zeros((4, 4))
    P[0, :3] = 2.0 * K[0] / box.width
    P[1, :3] = 2.0 * K[1] / box.height
    P[0, 2] -= 2.0 * box.left / box.width + 1.0
    P[1, 2] -= 2.0 * box.top / box.height + 1.0
    P[2, 2] = (far_m + near_m) / (far_m - near_m)
    P[2, 3] = -2.0 * far_m * near_m / (far_m - near_m)
    P[3, 2] = 1.0
    return P @ T_camera_world


def pixel_box(
    K: Float[np.ndarray, "3 3"],
    points_camera: Float[np.ndarray, "n 3"],
    radius_m: Float[np.ndarray, " n"] | float,
    width: int,
    height: int,
    near_m: float,
) -> PixelBounds:
    """The part of the picture that balls around points may touch; all of it if one is nearer than `near_m`."""
    z = points_camera[:, 2]
    if not len(z) or z.max() <= near_m:
        return PixelBounds(0, 0, 0, 0)
    if z.min() <= near_m:
        return PixelBounds(0, 0, width, height)
    u, v = K[:2] @ points_camera.T / z
    reach_u, reach_v = np.abs(K[0, 0]) * radius_m / z + 1.0, np.abs(K[1, 1]) * radius_m / z + 1.0
    left, right = np.clip([(u - reach_u).min(), (u + reach_u).max()], 0, width)
    top, bottom = np.clip([(v - reach_v).min(), (v + reach_v).max()], 0, height)
    return PixelBounds(int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom)))


@dataclass(frozen=True)
class LightView:
    """What a distant light sees of some points, square, without perspective."""

    clip_from_world: Float[np.ndarray, "4 4"]
    texture_from_world: Float[np.ndarray, "4 4"]
    """The same, scaled from −1 … 1 to 0 … 1."""
    side_m: float
    """How much of the world the view's side spans."""


def light_view(to_light: Float[np.ndarray, "3"], points: Float[np.ndarray, "n 3"], margin_m: float) -> LightView:
    """The tightest square view along a light's direction that holds all points and `margin_m` around them."""
    z = -to_light / np.linalg.norm(to_light)
    helper = np.array([0.0, 0.0, 1.0]) if abs(z[1]) > 0.9 else np.array([0.0, 1.0, 0.0])
    x = np.cross(helper, z)
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    across = R @ points.T
    low, high = across.min(1), across.max(1)
    side = 1.05 * max(float((high - low)[:2].max()), 1e-3) + 2.0 * margin_m
    depth = 1.05 * max(float(high[2] - low[2]), 1e-3) + 2.0 * margin_m
    scale = np.array([2.0 / side, 2.0 / side, 2.0 / depth])
    clip = np.eye(4)
    clip[:3, :3] = scale[:, None] * R
    clip[:3, 3] = -scale * (low + high) / 2.0
    to_texture = np.diag([0.5, 0.5, 0.5, 1.0])
    to_texture[:3, 3] = 0.5
    return LightView(clip, to_texture @ clip, side)
