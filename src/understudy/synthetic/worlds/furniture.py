"""What stands in ray-cast worlds: furniture, plants, cars and what hangs on walls, each of a few simple bodies."""

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.synthetic.worlds.patterns import PATTERNS

__all__ = ["BALL", "BOX", "CYLINDER", "NONE", "PARTS", "THINGS", "Catalogue", "catalogue"]

NONE, BOX, CYLINDER, BALL = -1, 0, 1, 2
"""Shapes of bodies: nothing; a box; an upright cylinder; a ball; each scaled along its own three axes."""
PARTS = 4
"""Most bodies per thing."""

Number = float | int
Range = tuple[Number, Number]


@dataclass(frozen=True)
class Part:
    """A body of a thing, in shares of the thing's width, height and depth; the floor's middle is the origin."""

    shape: int
    centre: tuple[Number, Number, Number]
    half: tuple[Number, Number, Number]
    pattern: str = "plain"
    tone: int = 0
    """0, 1: the thing's own two colours; 2: leaves; 3: wood; 4: dark; 5: shining; 6: white."""


@dataclass(frozen=True)
class Thing:
    """A kind of thing: how large, where, of what."""

    width_m: Range
    height_m: Range
    depth_m: Range
    weights: tuple[Number, Number, Number]
    """How often in rooms, courtyards and streets."""
    parts: tuple[Part, ...]
    at_wall: Number = 0.8
    """How often it stands with its back to a wall."""


def _block(
    y: float, half_y: float, pattern: str = "plain", tone: int = 0, x: Number = 0.0, z: Number = 0.0,
    half_x: Number = 0.5, half_z: Number = 0.5,
) -> Part:  # fmt: skip
    return Part(BOX, (x, y, z), (half_x, half_y, half_z), pattern, tone)


def _post(y: float, half_y: float, half: float = 0.5, pattern: str = "plain", tone: int = 0) -> Part:
    return Part(CYLINDER, (0.0, y, 0.0), (half, half_y, half), pattern, tone)


def _round(y: float, half_y: float, half: float = 0.5, pattern: str = "plain", tone: int = 0) -> Part:
    return Part(BALL, (0.0, y, 0.0), (half, half_y, half), pattern, tone)


def _sides(half_y: float, tone: int, x: float, half_x: float, half_z: float) -> tuple[Part, Part]:
    """Two blocks from the ground up, on the left and on the right."""
    left, right = (_block(half_y, half_y, "plain", tone, side, 0.0, half_x, half_z) for side in (-x, x))
    return left, right


THINGS: dict[str, Thing] = {
    "cabinet": Thing((0.6, 1.5), (0.6, 1.2), (0.35, 0.5), (1.2, 0, 0), (
        _block(0.5, 0.48, "planks", 3), _block(0.98, 0.03, "plain", 0))),
    "bookcase": Thing((0.7, 1.5), (1.5, 2.1), (0.25, 0.35), (1.2, 0, 0), (_block(0.5, 0.5, "books", 0),), 1.0),
    "table": Thing((0.8, 1.6), (0.7, 0.8), (0.7, 1.0), (1.2, 0.4, 0), (
        _block(0.95, 0.05, "planks", 3), _post(0.45, 0.45, 0.09, "plain", 4), _post(0.03, 0.03, 0.3, "plain", 4)), 0.3),
    "sofa": Thing((1.4, 2.1), (0.75, 0.95), (0.8, 1.0), (1.4, 0, 0), (
        _block(0.25, 0.25, "plain", 0), _block(0.6, 0.4, "plain", 0, 0, -0.38, 0.5, 0.12),
        *_sides(0.36, 1, 0.45, 0.06, 0.5)), 0.8),
    "bed": Thing((0.9, 1.5), (0.8, 1.0), (1.8, 2.0), (0.8, 0, 0), (
        _block(0.25, 0.25, "diamonds", 0), _block(0.5, 0.5, "planks", 3, 0, -0.48, 0.5, 0.03),
        _block(0.54, 0.06, "plain", 6, 0, -0.35, 0.4, 0.1)), 1.0),
    "lamp": Thing((0.4, 0.5), (1.5, 1.75), (0.4, 0.5), (1.0, 0, 0), (
        _post(0.45, 0.45, 0.05, "plain", 4), _post(0.01, 0.01, 0.35, "plain", 4),
        _post(0.9, 0.1, 0.5, "plain", 5)), 0.6),
    "plant": Thing((0.5, 0.9), (0.8, 1.7), (0.5, 0.9), (1.2, 0.8, 0.3), (
        _post(0.15, 0.15, 0.3, "plain", 0), _round(0.65, 0.35, 0.5, "leaves", 2)), 0.6),
    "stool": Thing((0.35, 0.5), (0.45, 0.6), (0.35, 0.5), (0.8, 0.3, 0), (
        _post(0.9, 0.1, 0.5, "plain", 0), _post(0.42, 0.42, 0.2, "plain", 4)), 0.2),
    "chair": Thing((0.45, 0.55), (0.9, 1.05), (0.45, 0.55), (1.2, 0.2, 0), (
        _block(0.47, 0.04, "plain", 0), _block(0.75, 0.25, "stripes", 0, 0, -0.42, 0.45, 0.07),
        *_sides(0.22, 3, 0.38, 0.07, 0.4)), 0.3),
    "crate": Thing((0.5, 1.0), (0.45, 0.9), (0.5, 0.9), (0.5, 1.2, 0.6), (_block(0.5, 0.5, "planks", 3),), 0.5),
    "globe": Thing((0.4, 0.9), (0.4, 0.9), (0.4, 0.9), (0.5, 0.5, 0.1), (_round(0.5, 0.5, 0.5, "rings", 0),), 0.3),
    "column": Thing((0.4, 0.7), (2.0, 2.4), (0.4, 0.7), (0.4, 0.6, 0.2), (
        _post(0.5, 0.5, 0.36, "stripes", 0), _block(0.97, 0.03, "plain", 0), _block(0.04, 0.04, "plain", 0)), 0.4),
    "tree": Thing((1.8, 3.0), (3.0, 5.0), (1.8, 3.0), (0, 1.2, 1.2), (
        _post(0.3, 0.3, 0.06, "planks", 3), _round(0.7, 0.3, 0.5, "leaves", 2)), 0.3),
    "bush": Thing((0.7, 1.5), (0.6, 1.3), (0.7, 1.2), (0, 1.4, 0.8), (_round(0.42, 0.5, 0.5, "leaves", 2),), 0.8),
    "bench": Thing((1.3, 1.9), (0.8, 0.95), (0.5, 0.65), (0, 1.2, 0.8), (
        _block(0.47, 0.05, "planks", 3), _block(0.8, 0.18, "planks", 3, 0, -0.42, 0.5, 0.06),
        *_sides(0.21, 4, 0.4, 0.04, 0.45)), 0.9),
    "barrel": Thing((0.5, 0.7), (0.8, 1.0), (0.5, 0.7), (0.2, 1.2, 0.4), (
        _post(0.5, 0.48, 0.5, "planks", 3), _post(0.98, 0.01, 0.46, "plain", 4)), 0.6),
    "flower box": Thing((1.0, 2.0), (0.7, 1.0), (0.4, 0.6), (0, 1.2, 0.6), (
        _block(0.25, 0.25, "bricks", 0), _round(0.6, 0.4, 0.48, "leaves", 2)), 1.0),
    "fountain": Thing((1.2, 1.8), (0.9, 1.3), (1.2, 1.8), (0, 0.7, 0), (
        _post(0.2, 0.2, 0.5, "paving", 6), _post(0.5, 0.5, 0.08, "plain", 6), _post(0.8, 0.04, 0.26, "plain", 6)), 0.1),
    "car": Thing((3.6, 4.4), (1.35, 1.6), (1.6, 1.8), (0, 0, 2.4), (
        _block(0.42, 0.24, "plain", 0), _block(0.8, 0.2, "window", 1, -0.05, 0, 0.28, 0.44),
        *_sides(0.16, 4, 0.3, 0.1, 0.49)), 0.9),
    "street lamp": Thing((0.5, 0.7), (3.0, 4.2), (0.5, 0.7), (0, 0.4, 1.4), (
        _post(0.47, 0.47, 0.1, "plain", 4), _round(0.95, 0.06, 0.35, "plain", 5),
        _post(0.02, 0.02, 0.3, "plain", 4)), 0.7),
    "letter box": Thing((0.45, 0.6), (1.2, 1.5), (0.45, 0.6), (0, 0.2, 1.0), (
        _post(0.5, 0.5, 0.42, "plain", 0), _post(0.92, 0.04, 0.5, "plain", 1)), 0.8),
    "kiosk": Thing((1.4, 2.2), (2.1, 2.5), (1.2, 1.6), (0, 0.1, 1.0), (
        _block(0.46, 0.46, "stripes", 0, 0, 0, 0.46, 0.46), _block(0.95, 0.05, "plain", 1)), 1.0),
    "bollard": Thing((0.22, 0.3), (0.8, 1.1), (0.22, 0.3), (0, 0.2, 0.8), (_post(0.5, 0.5, 0.5, "stripes", 0),), 0.3),
    "door": Thing((0.9, 1.1), (2.0, 2.2), (0.06, 0.09), (1.0, 1.0, 1.0), (_block(0.5, 0.5, "door", 0),)),
    "window": Thing((1.0, 1.7), (1.1, 1.5), (0.05, 0.08), (1.0, 1.0, 0.4), (_block(0.5, 0.5, "window", 5),)),
    "picture": Thing((0.5, 1.3), (0.5, 1.0), (0.04, 0.06), (1.6, 0.4, 0), (_block(0.5, 0.5, "picture", 0),)),
    "poster": Thing((0.6, 1.2), (0.8, 1.4), (0.02, 0.03), (0.4, 0.6, 1.0), (_block(0.5, 0.5, "rings", 0),)),
    "shop window": Thing((1.8, 3.0), (1.7, 2.2), (0.08, 0.12), (0, 0, 1.2), (_block(0.5, 0.5, "window", 1),)),
}  # fmt: skip

WALL_THINGS: dict[str, float] = {"door": 0.0, "window": 0.95, "picture": 1.25, "poster": 0.9, "shop window": 0.35}
"""What hangs on walls or is set into them, and how high over the floor it starts, in metres."""
FITTED = ("door", "window", "picture")
"""Patterns that fill a body's face once instead of repeating."""


@dataclass(frozen=True)
class Catalogue:
    """`THINGS` as tables; row by row the same things."""

    weights: Float[Tensor, "world thing"]
    wall_weights: Float[Tensor, "world thing"]
    size_low_m: Float[Tensor, "thing 3"]
    """Width, height, depth."""
    size_high_m: Float[Tensor, "thing 3"]
    at_wall: Float[Tensor, " thing"]
    start_height_m: Float[Tensor, " thing"]
    shape: Int[Tensor, "thing part"]
    centre: Float[Tensor, "thing part 3"]
    half: Float[Tensor, "thing part 3"]
    pattern: Int[Tensor, "thing part"]
    fitted: Float[Tensor, "thing part"]
    tone: Int[Tensor, "thing part"]


@cache
def catalogue(device: torch.device) -> Catalogue:
    """The tables on a device."""
    things = list(THINGS.values())
    hangs = torch.tensor([float(name in WALL_THINGS) for name in THINGS])
    weights = torch.tensor([thing.weights for thing in things]).T
    patterns = list(PATTERNS)
    nothing = Part(NONE, (0, 0, 0), (1, 1, 1))
    parts = [[*thing.parts, *[nothing] * (PARTS - len(thing.parts))] for thing in things]

    def table(values: list) -> Tensor:
        return torch.tensor(values, device=device)

    sizes = [(thing.width_m, thing.height_m, thing.depth_m) for thing in things]
    return Catalogue(
        (weights * (1 - hangs)).to(device),
        (weights * hangs).to(device),
        table([[low for low, _ in size] for size in sizes]),
        table([[high for _, high in size] for size in sizes]),
        table([float(thing.at_wall) for thing in things]),
        table([float(WALL_THINGS.get(name, 0.0)) for name in THINGS]),
        table([[part.shape for part in row] for row in parts]),
        table([[[float(x) for x in part.centre] for part in row] for row in parts]),
        table([[[float(x) for x in part.half] for part in row] for row in parts]),
        table([[patterns.index(part.pattern) for part in row] for row in parts]),
        table([[float(part.pattern in FITTED) for part in row] for row in parts]),
        table([[part.tone for part in row] for row in parts]),
    )
