"""Where rays meet boxes, cylinders and balls."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.synthetic.worlds.furniture import BALL, BOX, CYLINDER
from understudy.synthetic.worlds.raycast.views import SAMPLES, Rectangles, View
from understudy.synthetic.worlds.world import World

__all__ = ["FAR_M", "BodyHits", "BodyTable", "hit_bodies", "rays_of"]

FAR_M = 1e4
"""Where a ray into the sky ends."""
LAYER_M = 2e-5
"""How much farther each body is taken to be than the one before it, so that faces in one plane never flicker."""
HUGE = 1e18


@dataclass(frozen=True)
class BodyTable:
    """The bodies of all worlds, ready for casting."""

    shape: Int[Tensor, "batch body"]
    centre_m: Float[Tensor, "batch body 3"]
    half_m: Float[Tensor, "batch body 3"]
    cos: Float[Tensor, "batch body"]
    sin: Float[Tensor, "batch body"]

    @classmethod
    def of(cls, world: World) -> "BodyTable":
        """Of a batch of worlds."""
        bodies = world.bodies
        return cls(bodies.shape, bodies.centre_m, bodies.half_m, bodies.yaw_rad.cos(), bodies.yaw_rad.sin())


@dataclass(frozen=True)
class BodyHits:
    """The rays that end on a body."""

    ray: Int[Tensor, " hit"]
    """Number in the row of all frames' rays."""
    body: Int[Tensor, " hit"]
    """Number in the row of all clips' bodies."""


def rays_of(pixel: Int[Tensor, " touched"], frame: Int[Tensor, " touched"], view: View) -> Int[Tensor, "4 touched"]:
    """The four rays of each pixel, in the row of all frames' rays."""
    first = frame * (SAMPLES * view.pixels) + pixel
    return first + view.pixels * torch.arange(SAMPLES, device=pixel.device)[:, None]


def hit_bodies(
    table: BodyTable,
    clip: Int[Tensor, " frame"],
    T_world_camera: Float[Tensor, "frame 4 4"],
    view: View,
    directions: Float[Tensor, "3 frame ray"],
    t: Float[Tensor, "frame ray"],
) -> BodyHits:
    """Find the rays that meet a body before `t`, which is shortened to where they do."""
    rectangles = _rectangles(table, clip, T_world_camera, view)
    touched = (rectangles.width * rectangles.height) > 0
    shape = table.shape[clip]
    found = [
        _intersect(kind, table, clip, T_world_camera, view, directions, rectangles, touched & (shape == kind))
        for kind in (BOX, CYLINDER, BALL)
    ]
    ray, body, near = (torch.cat(parts, -1) for parts in zip(*found, strict=True))
    ray, near = ray.flatten(), near.flatten()
    row = t.view(-1)
    row.scatter_reduce_(0, ray, near, "amin")
    first = ((near == row.index_select(0, ray)) & (near < FAR_M)).nonzero()[:, 0]
    return BodyHits(ray.index_select(0, first), body.repeat(SAMPLES).index_select(0, first))


def _rectangles(
    table: BodyTable, clip: Int[Tensor, " frame"], T_world_camera: Float[Tensor, "frame 4 4"], view: View
) -> Rectangles:
    R = T_world_camera[:, None, :3, :3].transpose(-1, -2)
    centre = (R @ (table.centre_m[clip] - T_world_camera[:, None, :3, 3])[..., None])[..., 0]
    cos, sin, half = table.cos[clip], table.sin[clip], table.half_m[clip]
    x, y, z = R.unbind(-1)
    along_x = (cos[..., None] * x - sin[..., None] * z).abs() * half[..., :1]
    along_z = (sin[..., None] * x + cos[..., None] * z).abs() * half[..., 2:]
    return view.rectangles(centre, along_x + y.abs() * half[..., 1:2] + along_z)


def _intersect(
    kind: int,
    table: BodyTable,
    clip: Int[Tensor, " frame"],
    T_world_camera: Float[Tensor, "frame 4 4"],
    view: View,
    directions: Float[Tensor, "3 frame ray"],
    rectangles: Rectangles,
    chosen: Tensor,
) -> tuple[Int[Tensor, "4 touched"], Int[Tensor, " touched"], Float[Tensor, "4 touched"]]:
    """Rays, bodies and distances (FAR_M: missed) of all bodies of one kind, which in their own frames are all alike."""
    frame, number = chosen.nonzero().unbind(1)
    some = Rectangles(*(values[frame, number] for values in (
        rectangles.left, rectangles.top, rectangles.width, rectangles.height)))  # fmt: skip
    touched = view.touched(some)
    world = clip[frame]
    cos, sin, half = table.cos[world, number], table.sin[world, number], table.half_m[world, number]
    off = T_world_camera[frame, :3, 3] - table.centre_m[world, number]
    per = 1.0 / half
    origin = (
        (cos * off[:, 0] - sin * off[:, 2]) * per[:, 0], off[:, 1] * per[:, 1],
        (sin * off[:, 0] + cos * off[:, 2]) * per[:, 2],
    )  # fmt: skip
    turn = (cos * per[:, 0], -sin * per[:, 0], per[:, 1], sin * per[:, 2], cos * per[:, 2], number * LAYER_M)
    ox, oy, oz, xx, xz, yy, zx, zz, layer = (
        value.index_select(0, touched.owner) for value in (*origin, *turn)
    )  # fmt: skip
    ray = rays_of(touched.pixel, frame.index_select(0, touched.owner), view)
    dx, dy, dz = (axis.reshape(-1).index_select(0, ray.view(-1)).view(ray.shape) for axis in directions)
    lx, ly, lz = xx * dx + xz * dz, yy * dy, zx * dx + zz * dz
    near, far = INTERVALS[kind](ox, oy, oz, lx, ly, lz)
    missed = (far <= near) | (near <= 0)
    body = (world * table.shape.shape[1] + number).index_select(0, touched.owner)
    return ray, body, (near + layer).masked_fill_(missed, FAR_M)


def _inverse(d: Tensor) -> Tensor:
    """1 / d, and something huge where a ray runs parallel: 0 times it is 0, where infinity would make no number."""
    return (1.0 / d).clamp_(-HUGE, HUGE)


def _slab(o: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Where a ray is within −1 … 1 of one axis."""
    inverse = _inverse(d)
    middle, half = -o * inverse, inverse.abs()
    return middle - half, middle + half


def _box(ox: Tensor, oy: Tensor, oz: Tensor, dx: Tensor, dy: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    (x0, x1), (y0, y1), (z0, z1) = _slab(ox, dx), _slab(oy, dy), _slab(oz, dz)
    return torch.maximum(torch.maximum(x0, y0), z0), torch.minimum(torch.minimum(x1, y1), z1)


def _roots(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Where a t² + 2 b t + c ≤ 0; nowhere gives an empty interval."""
    square = b * b - a * c
    root = square.clamp(min=0.0).sqrt_()
    inverse = _inverse(a)
    near = (-b - root) * inverse
    return near, torch.where(square > 0, (root - b) * inverse, near)


def _cylinder(ox: Tensor, oy: Tensor, oz: Tensor, dx: Tensor, dy: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    near, far = _roots(dx * dx + dz * dz, ox * dx + oz * dz, ox * ox + oz * oz - 1)
    y0, y1 = _slab(oy, dy)
    return torch.maximum(near, y0), torch.minimum(far, y1)


def _ball(ox: Tensor, oy: Tensor, oz: Tensor, dx: Tensor, dy: Tensor, dz: Tensor) -> tuple[Tensor, Tensor]:
    return _roots(dx * dx + dy * dy + dz * dz, ox * dx + oy * dy + oz * dz, ox * ox + oy * oy + oz * oz - 1)


INTERVALS = {BOX: _box, CYLINDER: _cylinder, BALL: _ball}
"""Of each kind of body with a half extent of 1: where a ray o + t d enters and leaves it."""
