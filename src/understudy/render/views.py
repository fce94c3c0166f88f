"""Views as matrices: from the world to a device's clip space, for cameras and for lights."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = [
    "LightView", "PixelBounds", "camera_clip_from_world", "covered_runs", "ground_outline", "light_view", "pixel_box",
]  # fmt: skip

CELL_PX = 16
"""What is drawn into a picture is confined to square cells of this side that something touches."""


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


def covered_runs(
    pixels: Float[np.ndarray, "n 2"], faces: Int[np.ndarray, "face 3"], box: PixelBounds
) -> list[PixelBounds]:
    """The cells of a box in which faces may lie, those beside each other as one, counted from the box's corner.

    Args:
        pixels: where the faces' points are in the picture.
    """
    shape = np.array([-(-box.width // CELL_PX), -(-box.height // CELL_PX)])
    at = np.clip((pixels - [box.left, box.top]) / CELL_PX, 0, shape - 1).astype(np.int32)
    a, b, c = (at[corner] for corner in faces.T)
    (left, top), (right, bottom) = np.minimum(np.minimum(a, b), c).T, np.maximum(np.maximum(a, b), c).T + 1
    # How many faces' rectangles begin and end at each corner of the cells: summed up, how many lie over each cell.
    columns, rows = (shape + 1).tolist()
    steps = np.zeros(rows * columns, np.int64)
    for y, x, sign in ((top, left, 1), (bottom, right, 1), (top, right, -1), (bottom, left, -1)):
        steps += sign * np.bincount(y * columns + x, minlength=len(steps))
    covered = np.zeros((rows - 1, columns + 1), np.int8)
    covered[:, 1:] = steps.reshape(rows, columns)[:-1].cumsum(0).cumsum(1) > 0
    turns = CELL_PX * np.argwhere(np.diff(covered, axis=1))
    return [
        PixelBounds(start, row, min(end, box.width), min(row + CELL_PX, box.height))
        for (row, start), (_, end) in zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True)
    ]


def ground_outline(discs: Float[np.ndarray, "n 3"], sides: int) -> Float[np.ndarray, "sides 3"]:
    """The corners of a polygon on the ground around discs, each given by its centre (x, z) and its radius; convex."""
    angle = 2.0 * np.pi * np.arange(sides) / sides
    normals = np.stack([np.cos(angle), np.sin(angle)])
    reach = (discs[:, :2] @ normals + discs[:, 2:]).max(0)
    # Where each side meets the next one.
    along = (np.roll(reach, -1) - reach * np.cos(angle[1])) / np.sin(angle[1])
    corners = reach * normals + along * np.stack([-normals[1], normals[0]])
    return np.stack([corners[0], np.zeros(sides), corners[1]], -1)


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
