"""From what rays hit to light: the sides of a world, the sky, patterns, sun, and the dark near corners."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.synthetic.worlds.colours import BODIES_START, SKY
from understudy.synthetic.worlds.furniture import BALL, BOX, CYLINDER
from understudy.synthetic.worlds.patterns import SIDE, texture_bank
from understudy.synthetic.worlds.raycast.bodies import FAR_M, BodyHits
from understudy.synthetic.worlds.raycast.views import View
from understudy.synthetic.worlds.world import World

__all__ = ["Hits", "Shading", "hit_sides", "shade", "sunlit"]

AMBIENT, FILL = 0.72, 0.28
"""Ambient light from everywhere, and from the side of the light."""
CORNER, CORNER_M = 0.42, 0.16
"""How much darker a corner is, and how far that reaches."""


@dataclass(frozen=True)
class Hits:
    """What each ray of each frame hits of a world's box."""

    directions: Float[Tensor, "3 frame ray"]
    """In the world."""
    origin_m: Float[Tensor, "3 frame 1"]
    """Of the camera, from the middle of the box."""
    t: Float[Tensor, "frame ray"]
    """How often the direction has to be gone; FAR_M: the sky. Shortened by what stands before the side."""
    surface: Int[Tensor, "frame ray"]
    """The side, as number in the row of all clips' surfaces."""
    across_x: Float[Tensor, "frame ray"]
    """1 where that side lies across X."""
    across_y: Float[Tensor, "frame ray"]


@dataclass(frozen=True)
class Shading:
    """Tables of all clips' surfaces in one row each, and of all clips."""

    top_m: Float[Tensor, " surface"]
    sunward: Float[Tensor, " surface"]
    """Cosine between a side's normal and the sun, at least 0."""
    fillward: Float[Tensor, " surface"]
    pattern: Float[Tensor, " surface"]
    per_m: tuple[Tensor, Tensor]
    offset: tuple[Tensor, Tensor]
    detail: Float[Tensor, " surface"]
    """log2 of the finest texels per metre."""
    first: tuple[Tensor, ...]
    to_second: tuple[Tensor, ...]
    to_third: tuple[Tensor, ...]
    surfaces: int
    """Per clip."""
    centre_m: Float[Tensor, "batch 3"]
    half_m: Float[Tensor, "batch 3"]

    @classmethod
    def of(cls, world: World) -> "Shading":
        """Of a batch of worlds."""
        walls, light, material = world.walls, world.light, world.materials
        surfaces = material.pattern.shape[1]

        def of_sides(values: Tensor, rest: float) -> Tensor:
            return torch.nn.functional.pad(values, (0, surfaces - values.shape[1]), value=rest).reshape(-1)

        def channels(values: Tensor) -> tuple[Tensor, ...]:
            return tuple(channel.reshape(-1).contiguous() for channel in values.unbind(-1))

        def pair(values: Tensor) -> tuple[Tensor, Tensor]:
            first, second = channels(values)
            return first, second

        inward = torch.tensor([1.0, -1.0], device=walls.low_m.device)
        sun = (light.to_sun[:, :, None] * inward).flatten(1)
        fill = (light.to_fill[:, :, None] * inward).flatten(1)
        return cls(
            of_sides(walls.top_m, 2e3), of_sides(sun.clamp(min=0.0), 0.0), of_sides(fill, 1.0),
            material.pattern.reshape(-1), pair(material.per_m), pair(material.offset),
            (SIDE * material.per_m.amax(-1)).log2().reshape(-1), channels(material.first),
            channels(material.second - material.first), channels(material.third - material.first), surfaces,
            0.5 * (walls.low_m + walls.high_m), 0.5 * (walls.high_m - walls.low_m),
        )  # fmt: skip


def hit_sides(
    tables: Shading, clip: Int[Tensor, " frame"], T_world_camera: Float[Tensor, "frame 4 4"], view: View
) -> Hits:
    """Where rays from inside leave the box; `t` is FAR_M where that is above a wall's top."""
    # Written out, because a matrix product's rounding depends on how many frames are cast together.
    x, y, z = view.directions
    R = T_world_camera[:, :3, :3, None]
    directions = torch.stack([(R[:, i, 0] * x).addcmul_(R[:, i, 1], y).addcmul_(R[:, i, 2], z) for i in range(3)])
    origin = (T_world_camera[:, :3, 3] - tables.centre_m[clip]).T[:, :, None]
    half = tables.half_m[clip].T[:, :, None]
    tx, ty, tz = (torch.copysign(half[i], directions[i]).sub_(origin[i]).div_(directions[i]) for i in range(3))
    t = torch.minimum(torch.minimum(tx, ty), tz)
    # Arithmetic on 0 and 1 instead of choices: several times quicker on a CPU.
    across_x = (tx <= t).to(t.dtype)
    across_y = (ty <= t).to(t.dtype).mul_(1 - across_x)
    across_z = 1 - across_x - across_y
    out_x, out_y, out_z = (directions > 0).to(t.dtype)
    side = (2 + out_y).mul_(across_y).addcmul_(across_z, 4 + out_z).addcmul_(across_x, out_x)
    first = (clip * tables.surfaces).to(torch.int32)[:, None]
    surface = side.to(torch.int32).add_(first)
    y = torch.addcmul(origin[1] + half[1], directions[1], t)
    sky = y > _of(tables.top_m, surface)
    return Hits(directions, origin, t.masked_fill_(sky, FAR_M), surface, across_x, across_y)


def shade(
    world: World,
    tables: Shading,
    clip: Int[Tensor, " frame"],
    view: View,
    hits: Hits,
    bodies: BodyHits,
) -> Float[Tensor, "3 frame ray"]:
    """Linear light of every ray."""
    q = torch.addcmul(hits.origin_m, hits.directions, hits.t)
    half = tables.half_m[clip].T[:, :, None]
    y = q[1] + half[1]
    across_z = 1 - hits.across_x - hits.across_y
    u = torch.addcmul(q[0], hits.across_x, q[2] - q[0])
    v = torch.addcmul(y, hits.across_y, q[2] - y)
    axis = torch.stack([hits.across_x, hits.across_y, across_z])
    slant = (axis * hits.directions).sum(0).abs_()
    # A ray's width on the surface, squared: between that across and that along the slope.
    width = (hits.t * hits.t).mul_(view.lengths).div_(slant)
    nook = _nook(q, half, y).mul_(1 / (1 - CORNER))
    sunward, fillward = _of(tables.sunward, hits.surface), _of(tables.fillward, hits.surface)
    ray = ShadedRays(hits.surface, u, v, width, sunward, fillward, nook)
    _draw_sky(tables, clip, view, hits, ray)
    _draw_bodies(world, tables, clip, view, hits, bodies, q, ray)
    light = _light(world, tables, clip[:, None], q, ray)
    return _colour(tables, view, ray).mul_(light)


@dataclass(frozen=True)
class ShadedRays:
    """What decides the colour of a ray."""

    surface: Int[Tensor, "*ray"]
    u: Float[Tensor, "*ray"]
    """Metres along the surface."""
    v: Float[Tensor, "*ray"]
    """Metres up the surface."""
    width: Float[Tensor, "*ray"]
    """Squared, in metres: how much of the surface it covers if it is one radian wide."""
    sunward: Float[Tensor, "*ray"]
    fillward: Float[Tensor, "*ray"]
    nook: Float[Tensor, "*ray"]
    """How much of the ambient light gets there."""

    def put(self, ray: Int[Tensor, " some"], *values: Tensor) -> None:
        """Overwrite some rays with surface, u, v, width, sunward, fillward and nook."""
        fields = (self.surface, self.u, self.v, self.width, self.sunward, self.fillward, self.nook)
        for field, value in zip(fields, values, strict=True):
            field.view(-1).index_copy_(0, ray, value)


def _of(table: Float[Tensor, " surface"], surface: Int[Tensor, "*ray"]) -> Float[Tensor, "*ray"]:
    return table.index_select(0, surface.reshape(-1)).view(surface.shape)


def _nook(
    q: Float[Tensor, "3 *ray"], half: Float[Tensor, "3 *#ray"], y: Float[Tensor, "*ray"]
) -> Float[Tensor, "*ray"]:
    """Less light near the floor and in the corners between walls: the product of one term per direction."""
    nook = 1 - CORNER * CORNER_M / (half[0] - q[0].abs()).abs_().add_(CORNER_M)
    nook.mul_(1 - CORNER * CORNER_M / y.abs().add_(CORNER_M))
    return nook.mul_(1 - CORNER * CORNER_M / (half[2] - q[2].abs()).abs_().add_(CORNER_M))


def _draw_sky(tables: Shading, clip: Int[Tensor, " frame"], view: View, hits: Hits, rays: ShadedRays) -> None:
    """Give rays into the sky its surface, lit as it is drawn."""
    ray = (hits.t.view(-1) >= FAR_M).nonzero()[:, 0]
    dx, dy, dz = (axis.reshape(-1).index_select(0, ray) for axis in hits.directions)
    around = torch.atan2(dx, dz) / (2 * torch.pi)
    up = torch.atan2(dy, (dx * dx + dz * dz).sqrt_()).clamp_(min=0.0) * (2 / torch.pi)
    frame = torch.div(ray, hits.t.shape[1], rounding_mode="floor")
    surface = (clip * tables.surfaces + SKY).to(torch.int32).index_select(0, frame)
    one = torch.ones_like(around)
    rays.put(ray, surface, around, up.clamp_(max=0.99), one / 36, 0 * one, one, one)


def _draw_bodies(
    world: World,
    tables: Shading,
    clip: Int[Tensor, " frame"],
    view: View,
    hits: Hits,
    found: BodyHits,
    q: Float[Tensor, "3 frame ray"],
    rays: ShadedRays,
) -> None:
    """Give rays that end on a body its surface."""
    bodies = world.bodies
    count = bodies.shape.shape[1]
    frame = torch.div(found.ray, hits.t.shape[1], rounding_mode="floor")
    batch = clip.index_select(0, frame)
    spot = [axis.reshape(-1).index_select(0, found.ray) for axis in q]
    middle = tables.centre_m.index_select(0, batch).T

    def own(values: Tensor) -> Tensor:
        return values.flatten(0, 1).index_select(0, found.body)

    half, centre, shape = own(bodies.half_m).T, own(bodies.centre_m).T, own(bodies.shape)
    cos, sin = own(bodies.yaw_rad.cos()), own(bodies.yaw_rad.sin())
    x, y, z = (spot[i] + middle[i] - centre[i] for i in range(3))
    x, z = cos * x - sin * z, sin * x + cos * z
    lx, ly, lz = x / half[0], y / half[1], z / half[2]
    # Own normal: of a box the axis on which the point lies farthest out; of a cylinder its lid or its round.
    box, cylinder, ball = (shape == BOX).float(), (shape == CYLINDER).float(), (shape == BALL).float()
    ax, ay, az = lx.abs(), ly.abs(), lz.abs()
    on_x = box * ((ax >= ay) & (ax >= az))
    on_y = box * (1 - on_x) * (ay >= az) + cylinder * (ly > 0.9995)
    on_z = box * (1 - on_x - on_y).clamp(min=0.0)
    curved = (cylinder * (1 - on_y) + ball) / half[0]
    nx = on_x * lx.sign() + curved * lx
    ny = on_y * ly.sign() + ball * ly / half[1]
    nz = on_z * lz.sign() + curved * lz * half[0] / half[2]
    length = (nx * nx + ny * ny + nz * nz).sqrt_().clamp_(min=1e-6)
    nx, ny, nz = (cos * nx + sin * nz) / length, ny / length, (cos * nz - sin * nx) / length
    flat = on_x + on_y + on_z
    u = on_x * z + (on_y + on_z) * x + (1 - flat) * torch.atan2(lx, lz) * half[0]
    v = (1 - on_y) * y + on_y * z
    d = [axis.reshape(-1).index_select(0, found.ray) for axis in hits.directions]
    slant = (nx * d[0] + ny * d[1] + nz * d[2]).abs_().clamp_(min=1e-3)
    t = hits.t.view(-1).index_select(0, found.ray)
    width = t * t * (d[0] ** 2 + d[1] ** 2 + d[2] ** 2).sqrt_() / slant
    sun, fill = world.light.to_sun.index_select(0, batch).T, world.light.to_fill.index_select(0, batch).T
    sunward = (nx * sun[0] + ny * sun[1] + nz * sun[2]).clamp_(min=0.0)
    fillward = nx * fill[0] + ny * fill[1] + nz * fill[2]
    box_half = tables.half_m.index_select(0, batch).T
    nook = _nook(torch.stack(spot), box_half, spot[1] + box_half[1])
    surface = (batch * tables.surfaces + found.body - batch * count + BODIES_START).to(torch.int32)
    rays.put(found.ray, surface, u, v, width, sunward, fillward, nook)


def sunlit(
    world: World, tables: Shading, clip: Int[Tensor, "*#ray"], q: Float[Tensor, "3 *ray"]
) -> Float[Tensor, "*ray"]:
    """1 where the sun shines over the walls or through the window, at points from the middle of the box."""
    light, top = world.light, world.walls.top_m
    sun = light.to_sun[clip].movedim(-1, 0)
    half = tables.half_m[clip].movedim(-1, 0)
    inverse = 1.0 / sun
    leave = torch.copysign(half, sun) * inverse
    tx, ty, tz = (torch.addcmul(leave[i], q[i], -inverse[i]) for i in range(3))
    t = torch.minimum(torch.minimum(tx, ty), tz)
    # Through which side it leaves: over that side's top there is sky, under a roof there is none.
    east, north = (sun[0] > 0).long(), (sun[2] > 0).long() + 4
    floor = tables.centre_m[clip][..., 1] - half[1]
    over = torch.stack([top[clip, east] - floor, top[clip, torch.full_like(east, 3)] - floor, top[clip, north] - floor])
    y = torch.addcmul(q[1] + half[1], sun[1], t)
    clear = ((tx <= t) & (y > over[0])) | ((ty <= t) & (y > over[1])) | ((tz <= t) & (y > over[2]))
    opening = light.opening_half_m[clip].movedim(-1, 0)
    # The window lies in a side: only the extents along that side count.
    slack = (opening == 0) & (opening.sum(0) > 0)
    away = light.opening_m[clip].movedim(-1, 0) - tables.centre_m[clip].movedim(-1, 0)
    reach = opening + 0.3 * slack
    through = t > 0
    for i in range(3):
        through = through & (torch.addcmul(q[i] - away[i], sun[i], t).abs_() < reach[i])
    return (clear | through).to(t.dtype)


def _light(
    world: World, tables: Shading, clip: Int[Tensor, "*#ray"], q: Float[Tensor, "3 *ray"], rays: ShadedRays
) -> Float[Tensor, "3 *ray"]:
    """Linear RGB of the light on each ray's end."""
    sun = sunlit(world, tables, clip, q).mul_(rays.sunward)
    ambient = (AMBIENT + FILL * rays.fillward).mul_(rays.nook)
    return torch.stack([
        torch.addcmul(ambient * world.light.ambient[clip][..., i], sun, world.light.sun[clip][..., i]) for i in range(3)
    ])  # fmt: skip


def _colour(tables: Shading, view: View, rays: ShadedRays) -> Float[Tensor, "3 *ray"]:
    """Linear RGB of what each ray hits, before light."""

    def own(table: Tensor) -> Tensor:
        return _of(table, rays.surface)

    u = torch.addcmul(own(tables.offset[0]), rays.u, own(tables.per_m[0]))
    v = torch.addcmul(own(tables.offset[1]), rays.v, own(tables.per_m[1]))
    level = (rays.width * view.sample_rad**2).log2_().mul_(0.5).add_(own(tables.detail))
    second, third = texture_bank(u.device).look_up(own(tables.pattern), u, v, level)
    return torch.stack([
        own(tables.first[i]).addcmul_(second, own(tables.to_second[i])).addcmul_(third, own(tables.to_third[i]))
        for i in range(3)
    ])  # fmt: skip
