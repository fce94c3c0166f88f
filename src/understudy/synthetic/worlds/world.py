"""Worlds for the ray caster: rooms, courtyards and streets, built at random around a camera's path.

A world is a box with six sides, of which walls may end below the box's top (sky above them), bodies that stand in it or
hang on its walls, three colours and a pattern for every surface, and light. Everything is a tensor with a leading axis
for the clip. The world's origin is on the ground under the start view; +Y is up, metres.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.synthetic.worlds.colours import Materials, sample_materials
from understudy.synthetic.worlds.placing import Bodies, place_bodies
from understudy.synthetic.worlds.seeded_random import SeededRandom

__all__ = ["COURTYARD", "ROOM", "STREET", "WORLD_KINDS", "Walls", "World", "WorldLight", "sample_walls", "sample_world"]

WORLD_KINDS: tuple[str, ...] = ("room", "courtyard", "street")
ROOM, COURTYARD, STREET = range(len(WORLD_KINDS))
CLEARANCE_M = 0.6
"""Between a camera's path and any wall."""


@dataclass(frozen=True)
class Walls:
    """The box that a world is."""

    low_m: Float[Tensor, "batch 3"]
    high_m: Float[Tensor, "batch 3"]
    top_m: Float[Tensor, "batch 6"]
    """How high each side goes, in the order −X, +X, floor, ceiling, −Z, +Z; above it is sky."""


@dataclass(frozen=True)
class WorldLight:
    """A sun, shining over the walls or through a window, and light from all around."""

    to_sun: Float[Tensor, "batch 3"]
    sun: Float[Tensor, "batch 3"]
    """Linear RGB."""
    ambient: Float[Tensor, "batch 3"]
    to_fill: Float[Tensor, "batch 3"]
    """Where most of the ambient light comes from."""
    opening_m: Float[Tensor, "batch 3"]
    """Middle of the window that lets the sun in."""
    opening_half_m: Float[Tensor, "batch 3"]
    """Its half extents; all zero: there is none."""


@dataclass(frozen=True)
class World:
    """A set without a subject."""

    kind: Int[Tensor, " batch"]
    """Numbers of `WORLD_KINDS`."""
    walls: Walls
    bodies: Bodies
    materials: Materials
    light: WorldLight

    def __len__(self) -> int:
        return len(self.kind)


def sample_walls(
    rng: SeededRandom,
    kind: Int[Tensor, " batch"],
    ceiling_m: Float[Tensor, " batch"],
    inside_m: Float[Tensor, "batch point 3"],
) -> Walls:
    """A box at random that holds all points `inside_m` with room to spare; `ceiling_m` is how high a room is."""
    room, street = kind == ROOM, kind == STREET
    least, most = inside_m.min(1).values - CLEARANCE_M, inside_m.max(1).values + CLEARANCE_M
    share = rng.uniform(2, 2)  # Side, then axis (X, Z).
    along = rng.chance(0.5)  # Streets run along X, or along Z.
    wide = torch.stack([along, ~along], 1)[:, None]
    spare = torch.where(room[:, None, None], 0.1 + 2.2 * share, 0.5 + 4.0 * share)
    spare = torch.where(street[:, None, None] & wide, 9.0 + 11.0 * share, spare)
    height = torch.where(room[:, None], ceiling_m[:, None], rng.uniform(4, low=2.3, high=6.5))
    facade = rng.uniform(4, low=6.0, high=12.0)
    low_end = rng.chance(0.4, 4)
    street_height = torch.where(low_end & ~torch.stack([~along, ~along, along, along], 1), 0.6, facade)
    height = torch.where(street[:, None], street_height, height)
    top = torch.maximum(height.max(1).values, most[:, 1] - CLEARANCE_M + 0.3)
    none = torch.zeros_like(top)
    low = torch.stack([least[:, 0] - spare[:, 0, 0], none, least[:, 2] - spare[:, 0, 1]], 1)
    high = torch.stack([most[:, 0] + spare[:, 1, 0], top, most[:, 2] + spare[:, 1, 1]], 1)
    always = torch.full_like(top, 1e3)
    height = torch.where(room[:, None], always[:, None], height)
    roof = torch.where(room, always, -always)
    return Walls(low, high, torch.stack([height[:, 0], height[:, 1], always, roof, height[:, 2], height[:, 3]], 1))


def sample_world(
    rng: SeededRandom,
    kind: Int[Tensor, " batch"],
    walls: Walls,
    path_m: Float[Tensor, "batch point 3"],
    subject_m: Float[Tensor, "batch place 3"],
) -> World:
    """Bodies, colours and light at random; nothing stands near `path_m`, near `subject_m` or between.

    `path_m` begins with the start view.
    """
    bodies = place_bodies(rng.stream("bodies"), kind, walls.low_m, walls.high_m, path_m, subject_m)
    light = _light(rng.stream("light"), kind == ROOM, walls, bodies)
    materials = sample_materials(rng.stream("materials"), kind, bodies, light.ambient)
    return World(kind, walls, bodies, materials, light)


def _light(rng: SeededRandom, room: Bool[Tensor, " batch"], walls: Walls, bodies: Bodies) -> WorldLight:
    """The sun comes through a room's first window, or over a yard's walls from anywhere."""
    out = bodies.window_out
    turn = rng.uniform(low=-0.9, high=0.9)
    cos, sin = turn.cos(), turn.sin()
    sideways = torch.stack([cos * out[:, 0] + sin * out[:, 2], 0 * cos, cos * out[:, 2] - sin * out[:, 0]], 1)
    around = rng.uniform(high=6.2831853)
    anywhere = torch.stack([around.cos(), 0 * around, around.sin()], 1)
    flat = torch.where(room[:, None], sideways, anywhere)
    height = torch.where(room, rng.uniform(low=0.35, high=0.75), rng.uniform(low=0.6, high=1.1))
    up = torch.tensor([0.0, 1.0, 0.0], device=flat.device)
    to_sun = flat * height.cos()[:, None] + up * height.sin()[:, None]
    warm = rng.uniform()[:, None]
    sun_colour = torch.tensor([1.0, 0.93, 0.80], device=flat.device)
    blue = torch.tensor([0.42, 0.47, 0.55], device=flat.device)
    cream = torch.tensor([0.62, 0.57, 0.50], device=flat.device)
    sun = (sun_colour * (1 - 0.12 * warm * (1 - sun_colour))) * rng.uniform(1, low=0.55, high=0.95)
    ambient = torch.where(room[:, None], cream, blue) * rng.uniform(1, low=0.95, high=1.3)
    fill = torch.where(room[:, None], 0.75 * out + 0.65 * up, 0.35 * flat + 0.9 * up)
    return WorldLight(
        to_sun, sun, ambient, fill / fill.norm(dim=1, keepdim=True),
        bodies.window_m, bodies.window_half_m * room[:, None].to(sun.dtype),
    )  # fmt: skip
