"""Where things stand in a world: along its walls and freely, never in a camera's or a subject's way."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.synthetic.worlds.furniture import NONE, PARTS, THINGS, Catalogue, catalogue
from understudy.synthetic.worlds.seeded_random import SeededRandom

__all__ = ["STANDING", "WALL_HUNG", "Bodies", "place_bodies"]

STANDING, WALL_HUNG = 8, 6
"""Most things that stand, and most that hang, in a world."""
TRIES = 24
"""Places thrown for a thing, of which the first free one is taken."""
NEAR_CAMERA_M, NEAR_SUBJECT_M, BESIDE_VIEW_M = 0.45, 0.55, 0.25
"""Clear space round the camera's path, round the subject, and beside the line between them."""


@dataclass(frozen=True)
class Bodies:
    """Boxes, upright cylinders and balls; body 4 k … 4 k + 3 belong to thing k, after `STANDING` things one each."""

    shape: Int[Tensor, "batch body"]
    """Of `worlds_things`: NONE, BOX, CYLINDER or BALL."""
    centre_m: Float[Tensor, "batch body 3"]
    half_m: Float[Tensor, "batch body 3"]
    """Half extents along the body's own axes."""
    yaw_rad: Float[Tensor, "batch body"]
    """Turn about +Y: the body's own +Z points along (sin, 0, cos)."""
    pattern: Int[Tensor, "batch body"]
    fitted: Float[Tensor, "batch body"]
    """1: the pattern fills a face once."""
    tone: Int[Tensor, "batch body"]
    thing: Int[Tensor, "batch body"]
    """Number of the thing, by which bodies share colours."""
    thing_centre_m: Float[Tensor, "batch standing 3"]
    """Where each standing thing touches the ground; absent things are at their last try, with radius 0."""
    thing_radius_m: Float[Tensor, "batch standing"]
    window_m: Float[Tensor, "batch 3"]
    """Middle of the first window."""
    window_half_m: Float[Tensor, "batch 3"]
    """Half extents along the world's axes."""
    window_out: Float[Tensor, "batch 3"]
    """From inside to outside through it."""


@dataclass(frozen=True)
class _Placed:
    thing: Int[Tensor, "batch slot"]
    size_m: Float[Tensor, "batch slot 3"]
    foot_m: Float[Tensor, "batch slot 3"]
    yaw_rad: Float[Tensor, "batch slot"]
    there: Bool[Tensor, "batch slot"]


def place_bodies(
    rng: SeededRandom,
    kind: Int[Tensor, " batch"],
    low_m: Float[Tensor, "batch 3"],
    high_m: Float[Tensor, "batch 3"],
    path_m: Float[Tensor, "batch point 3"],
    subject_m: Float[Tensor, "batch place 3"],
) -> Bodies:
    """Things at random in the box `low_m` … `high_m` of a world of each `kind`."""
    table = catalogue(low_m.device)
    hung = _hang(rng.stream("hung"), table, kind, low_m, high_m)
    stood = _stand(rng.stream("stood"), table, kind, low_m, high_m, path_m, subject_m)
    parts = [_bodies(table, stood, PARTS), _bodies(table, hung, 1)]
    shape, centre, half, yaw, pattern, fitted, tone = (torch.cat(pair, 1) for pair in zip(*parts, strict=True))
    number = torch.arange(STANDING + WALL_HUNG, device=low_m.device)
    thing = torch.cat([number[:STANDING].repeat_interleave(PARTS), number[STANDING:]]).expand(len(kind), -1)
    cos, sin = hung.yaw_rad[:, 0].cos(), hung.yaw_rad[:, 0].sin()
    inward = torch.stack([sin, 0 * sin, cos], 1)
    across = torch.stack([cos.abs(), 0 * sin, sin.abs()], 1)
    up = torch.tensor([0.0, 1.0, 0.0], device=low_m.device)
    window_half = 0.5 * hung.size_m[:, 0, :1] * across + 0.5 * hung.size_m[:, 0, 1:2] * up
    window = hung.foot_m[:, 0] + 0.5 * hung.size_m[:, 0, 1:2] * up
    radius = 0.5 * stood.size_m[:, :, [0, 2]].amax(2) * stood.there
    return Bodies(
        shape, centre, half, yaw, pattern, fitted, tone, thing, stood.foot_m, radius,
        window, window_half, -inward,
    )  # fmt: skip


def _drawn(
    rng: SeededRandom, table: Catalogue, weights: Float[Tensor, "world thing"], kind: Int[Tensor, " batch"], slots: int
) -> tuple[Int[Tensor, "batch slot"], Float[Tensor, "batch slot 3"]]:
    """Which things, and how large."""
    edges = weights[kind].cumsum(1)
    share = rng.uniform(slots) * edges[:, -1:]
    thing = torch.searchsorted(edges.contiguous(), share, right=True).clamp(max=weights.shape[1] - 1)
    low, high = table.size_low_m[thing], table.size_high_m[thing]
    return thing, low + (high - low) * rng.uniform(slots, 3)


def _at_wall(
    rng: SeededRandom, slots: int, size_m: Float[Tensor, "batch slot 3"], low_m: Tensor, high_m: Tensor
) -> tuple[Float[Tensor, "batch slot try 3"], Float[Tensor, "batch slot try"]]:
    """Places with the back to a wall, and the yaw that faces away from it."""
    side = rng.integer(4, slots, TRIES)  # −X, +X, −Z, +Z.
    share = rng.uniform(slots, TRIES)
    width, depth = size_m[:, :, None, 0], size_m[:, :, None, 2]
    low, high = low_m[:, None, None], high_m[:, None, None]

    def along(axis: int) -> Tensor:
        room = (high[..., axis] - low[..., axis] - width - 0.1).clamp(min=0.0)
        return low[..., axis] + 0.05 + 0.5 * width + share * room

    on_x = side < 2
    back = 0.5 * depth + 0.004  # Never in the wall's own plane.
    x = torch.where(side == 0, low[..., 0] + back, torch.where(side == 1, high[..., 0] - back, along(0)))
    z = torch.where(side == 2, low[..., 2] + back, torch.where(side == 3, high[..., 2] - back, along(2)))
    quarter = 0.5 * torch.pi
    yaw = torch.where(on_x, torch.where(side == 0, quarter, -quarter), torch.where(side == 2, 0.0, 2 * quarter))
    return torch.stack([x, torch.zeros_like(x), z], -1), yaw


def _first_free(
    place_m: Float[Tensor, "batch slot try 3"],
    yaw: Float[Tensor, "batch slot try"],
    free: Bool[Tensor, "batch slot try"],
    radius_m: Float[Tensor, "batch slot"],
    closeness: float,
) -> tuple[Float[Tensor, "batch slot 3"], Float[Tensor, "batch slot"], Bool[Tensor, "batch slot"]]:
    """For one slot after the other, the first try that is free and apart from the slots before."""
    feet, turns, there = [], [], []
    for slot in range(place_m.shape[1]):
        good = free[:, slot]
        for other in range(slot):
            gap = (place_m[:, slot] - feet[other][:, None]).norm(dim=-1)
            least = closeness * (radius_m[:, slot] + radius_m[:, other])
            good = good & ((gap > least[:, None]) | ~there[other][:, None])
        chosen = good.to(torch.uint8).argmax(1, keepdim=True)
        feet.append(place_m[:, slot].gather(1, chosen[..., None].expand(-1, -1, 3))[:, 0])
        turns.append(yaw[:, slot].gather(1, chosen)[:, 0])
        there.append(good.any(1))
    return torch.stack(feet, 1), torch.stack(turns, 1), torch.stack(there, 1)


def _hang(rng: SeededRandom, table: Catalogue, kind: Int[Tensor, " batch"], low_m: Tensor, high_m: Tensor) -> _Placed:
    """Doors, windows, pictures; the first is always a window."""
    thing, size = _drawn(rng, table, table.wall_weights, kind, WALL_HUNG)
    window = list(THINGS).index("window")
    thing[:, 0] = window
    size[:, 0] = torch.minimum(torch.maximum(size[:, 0], table.size_low_m[window]), table.size_high_m[window])
    place, yaw = _at_wall(rng, WALL_HUNG, size, low_m, high_m)
    foot, turn, there = _first_free(place, yaw, torch.ones_like(yaw, dtype=torch.bool), 0.5 * size[..., 0], 1.1)
    there = there & (torch.arange(WALL_HUNG, device=foot.device) < 3 + rng.integer(WALL_HUNG - 2)[:, None])
    height = table.start_height_m[thing]
    return _Placed(thing, size, torch.stack([foot[..., 0], height, foot[..., 2]], -1), turn, there)


def _stand(
    rng: SeededRandom,
    table: Catalogue,
    kind: Int[Tensor, " batch"],
    low_m: Tensor,
    high_m: Tensor,
    path_m: Float[Tensor, "batch point 3"],
    subject_m: Float[Tensor, "batch place 3"],
) -> _Placed:
    """Furniture, plants, cars: four to eight that leave the camera and the subject alone."""
    thing, size = _drawn(rng, table, table.weights, kind, STANDING)
    wall_place, wall_yaw = _at_wall(rng, STANDING, size, low_m, high_m)
    radius = 0.5 * size[..., [0, 2]].norm(dim=-1)
    margin = (radius + 0.05)[:, :, None, None]
    low, high = low_m[:, None, None], high_m[:, None, None]
    free_place = low + margin + (high - low - 2 * margin).clamp(min=0) * rng.uniform(STANDING, TRIES, 3)
    free_yaw = rng.uniform(STANDING, TRIES, high=2 * torch.pi)
    at_wall = (rng.uniform(STANDING) < table.at_wall[thing])[:, :, None]
    place = torch.where(at_wall[..., None], wall_place, free_place) * torch.tensor([1.0, 0, 1], device=low.device)
    yaw = torch.where(at_wall, wall_yaw, free_yaw)
    flat = place[..., [0, 2]]
    path, subject = path_m[..., [0, 2]], subject_m[..., [0, 2]]
    # From the start view to the subject's places, and from the first of these to its last.
    free = _apart(flat, path, radius + NEAR_CAMERA_M) & _apart(flat, subject, radius + NEAR_SUBJECT_M)
    for end in range(subject.shape[1]):
        free &= _beside(flat, path[:, :1], subject[:, end : end + 1], radius + BESIDE_VIEW_M)
    foot, turn, there = _first_free(place, yaw, free, radius, 0.85)
    there = there & (torch.arange(STANDING, device=foot.device) < 4 + rng.integer(STANDING - 3)[:, None])
    return _Placed(thing, size, foot, turn, there)


def _apart(
    place: Float[Tensor, "batch slot try 2"], points: Float[Tensor, "batch point 2"], gap: Float[Tensor, "batch slot"]
) -> Bool[Tensor, "batch slot try"]:
    """Whether a place is farther than `gap` from all points."""
    batch, slots, tries, _ = place.shape
    far = torch.cdist(place.reshape(batch, slots * tries, 2), points).amin(2).reshape(batch, slots, tries)
    return far > gap[:, :, None]


def _beside(
    place: Float[Tensor, "batch slot try 2"],
    start: Float[Tensor, "batch 1 2"],
    end: Float[Tensor, "batch 1 2"],
    gap: Float[Tensor, "batch slot"],
) -> Bool[Tensor, "batch slot try"]:
    """Whether a place is farther than `gap` from the line between two points."""
    way = (end - start)[:, :, None]
    off = place - start[:, :, None]
    share = ((off * way).sum(-1) / (way * way).sum(-1).clamp(min=1e-6)).clamp(0, 1)
    return (off - share[..., None] * way).norm(dim=-1) > gap[:, :, None]


def _bodies(table: Catalogue, placed: _Placed, parts: int) -> tuple[Tensor, ...]:
    """Shape, centre, half extents, yaw, pattern, fitted and tone of the bodies of placed things."""
    thing, size = placed.thing, placed.size_m[:, :, None]
    batch, slots = thing.shape
    shape = torch.where(placed.there[:, :, None], table.shape[thing][:, :, :parts], NONE)
    x, y, z = (table.centre[thing][:, :, :parts] * size).unbind(-1)
    cos, sin = placed.yaw_rad.cos()[..., None], placed.yaw_rad.sin()[..., None]
    centre = placed.foot_m[:, :, None] + torch.stack([cos * x + sin * z, y, cos * z - sin * x], -1)
    half = table.half[thing][:, :, :parts] * size
    yaw = placed.yaw_rad[..., None].expand(batch, slots, parts)
    rest = (shape, centre, half, yaw, *(values[thing][:, :, :parts] for values in
            (table.pattern, table.fitted, table.tone)))  # fmt: skip
    return tuple(value.reshape(batch, slots * parts, *value.shape[3:]) for value in rest)
