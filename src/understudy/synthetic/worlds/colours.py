"""Patterns and colours of every surface of a world."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.synthetic.worlds.patterns import PATTERNS
from understudy.synthetic.worlds.placing import Bodies
from understudy.synthetic.worlds.seeded_random import SeededRandom

__all__ = ["BODIES_START", "FLOOR", "SKY", "Materials", "linear", "sample_materials"]

FLOOR, SKY, BODIES_START = 2, 6, 7
"""Surfaces: the six sides (−X, +X, floor, ceiling, −Z, +Z), the sky, then the bodies."""

WALL_PATTERNS = (
    {"plain": 1.5, "plaster": 1.5, "stripes": 1.2, "bricks": 0.8, "planks": 0.8, "diamonds": 0.7, "rings": 0.5,
     "checks": 0.5, "tiles": 0.5},
    {"bricks": 2.0, "plaster": 1.5, "facade": 1.2, "planks": 0.6, "paving": 0.6},
    {"facade": 5.0, "bricks": 0.8, "plaster": 0.5},
)  # fmt: skip
FLOOR_PATTERNS = (
    {"planks": 2.0, "tiles": 1.2, "checks": 1.2, "diamonds": 0.5, "plain": 0.6},
    {"paving": 2.0, "tiles": 1.0, "bricks": 0.8, "leaves": 0.5},
    {"paving": 2.0, "plain": 1.0, "tiles": 0.8},
)
PERIOD_M = {
    "plain": 4.0, "bricks": 1.2, "tiles": 1.6, "paving": 2.2, "checks": 2.0, "stripes": 1.6, "planks": 1.2,
    "plaster": 3.0, "facade": 4.4, "books": 1.2, "leaves": 1.1, "sky": 1.0, "door": 1.0, "window": 1.0, "picture": 1.0,
    "rings": 1.6, "diamonds": 1.8,
}  # fmt: skip
"""How far each pattern goes before it repeats."""

Rgb = tuple[float, float, float]
LEAF, WOOD, DARK, SHINING, WHITE = 2, 3, 4, 5, 6
"""Tones of `worlds_things.Part` that are not the thing's own."""


@dataclass(frozen=True)
class Materials:
    """What every surface of a world looks like."""

    pattern: Float[Tensor, "batch surface"]
    """Number in `worlds_textures.PATTERNS`."""
    per_m: Float[Tensor, "batch surface 2"]
    """Tiles per metre, along and up."""
    offset: Float[Tensor, "batch surface 2"]
    """In tiles."""
    first: Float[Tensor, "batch surface 3"]
    """Linear RGB."""
    second: Float[Tensor, "batch surface 3"]
    third: Float[Tensor, "batch surface 3"]


def linear(srgb: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Linear light of sRGB, 0 … 1. Source: IEC 61966-2-1."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clamp(min=0.0) + 0.055) / 1.055) ** 2.4)


def sample_materials(
    rng: SeededRandom, kind: Int[Tensor, " batch"], bodies: Bodies, ambient: Float[Tensor, "batch 3"]
) -> Materials:
    """Patterns and colours at random; the sky is as bright as it is drawn whatever the ambient light."""
    batch, device = len(kind), kind.device
    names = list(PATTERNS)
    period = torch.tensor([PERIOD_M[name] for name in names], device=device)
    side_pattern, side_first, side_second, side_third = _sides(rng.stream("sides"), kind)
    body_first, body_second, body_third = _bodies(rng.stream("bodies"), bodies)
    sky = torch.full((batch, 1), names.index("sky"), device=device)
    sky_first, sky_second = _sky(rng.stream("sky"), ambient)
    pattern = torch.cat([side_pattern, sky, bodies.pattern], 1)
    stretch = rng.uniform(pattern.shape[1], 1, low=0.8, high=1.25)
    per_m = (1.0 / period[pattern])[..., None].expand(-1, -1, 2) / stretch
    offset = rng.uniform(pattern.shape[1], 2)
    # The sky goes once around and once up; fitted patterns fill their face, from its middle.
    per_m[:, SKY] = 1.0
    offset[:, SKY, 1] = 0.0
    fitted = bodies.fitted[..., None] > 0
    own = 0.5 / torch.stack([bodies.half_m[..., 0], bodies.half_m[..., 1]], -1)
    per_m[:, BODIES_START:] = torch.where(fitted, own, per_m[:, BODIES_START:])
    offset[:, BODIES_START:] = torch.where(fitted, torch.full_like(own, 0.5), offset[:, BODIES_START:])
    return Materials(
        pattern.to(torch.float32), per_m, offset,
        torch.cat([side_first, sky_first, body_first], 1),
        torch.cat([side_second, sky_second, body_second], 1),
        torch.cat([side_third, sky_second, body_third], 1),
    )  # fmt: skip


def _hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Float[Tensor, "*shape 3"]:
    """Linear RGB of hue (0 … 1), saturation and value (of sRGB)."""
    shift = torch.tensor([5.0, 3.0, 1.0], device=hue.device)
    k = (shift + 6 * hue[..., None]) % 6
    return linear(value[..., None] * (1 - saturation[..., None] * torch.minimum(k, 4 - k).clamp(0, 1)))


def _pattern(
    rng: SeededRandom, tables: tuple[dict[str, float], ...], kind: Tensor, count: int
) -> Int[Tensor, "batch n"]:
    """Patterns by the weights of each clip's kind of world."""
    weights = torch.tensor([[table.get(name, 0.0) for name in PATTERNS] for table in tables], device=kind.device)
    edges = weights.cumsum(1)[kind]
    chosen = torch.searchsorted(edges, rng.uniform(count) * edges[:, -1:], right=True)
    return chosen.clamp(max=len(PATTERNS) - 1)


def _sides(rng: SeededRandom, kind: Int[Tensor, " batch"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pattern and three colours of the six sides: walls alike or each its own, a calm floor, a pale ceiling."""
    walls = _pattern(rng, WALL_PATTERNS, kind, 6)
    floor = _pattern(rng, FLOOR_PATTERNS, kind, 1)
    ceiling = torch.zeros_like(floor)
    pattern = torch.cat([walls[:, :2], floor, ceiling, walls[:, 4:]], 1)
    own = rng.chance(0.55, 6)
    hue = torch.where(own, rng.uniform(6), rng.uniform(1)) % 1.0
    outdoors = (kind > 0)[:, None]
    saturation = rng.uniform(6, low=0.12, high=0.62) * torch.where(outdoors, 0.75, 1.0)
    value = rng.uniform(6, low=0.45, high=0.95)
    # Floors are wood, stone or carpet.
    warm = 0.04 + 0.08 * rng.uniform()
    carpet = rng.chance(0.3)
    hue[:, 2] = torch.where(carpet, hue[:, 2], warm)
    saturation[:, 2] = torch.where(carpet, 0.45 * saturation[:, 2] + 0.1, torch.where(kind > 0, 0.12, 0.4))
    value[:, 2] = rng.uniform(low=0.4, high=0.75)
    saturation[:, 3], value[:, 3] = 0.06, rng.uniform(low=0.8, high=0.95)
    contrast = rng.uniform(6, low=0.45, high=0.8)
    darker = torch.where(value > 0.6, value * contrast, (value / contrast).clamp(max=0.97))
    second = _hsv(hue, saturation * 0.6, torch.where(pattern == list(PATTERNS).index("facade"), 0.9, darker))
    # Panes of facades are bluish and dark; the third colour is otherwise near the first.
    pane = _hsv(torch.full_like(hue, 0.58), 0.35 + 0 * hue, 0.25 + 0.25 * rng.uniform(6))
    near = _hsv((hue + 0.05) % 1.0, saturation, value * 0.72)
    third = torch.where((pattern == list(PATTERNS).index("facade"))[..., None], pane, near)
    return pattern, _hsv(hue, saturation, value), second, third


def _sky(rng: SeededRandom, ambient: Float[Tensor, "batch 3"]) -> tuple[Tensor, Tensor]:
    """Blue to grey, and its clouds, divided by the ambient light by which it will be lit."""
    hue = rng.uniform(1, low=0.53, high=0.63)
    blue = _hsv(hue, rng.uniform(1, low=0.2, high=0.65), rng.uniform(1, low=0.7, high=0.92))
    cloud = torch.full_like(blue, 0.88)
    return blue / ambient[:, None], cloud / ambient[:, None]


def _bodies(rng: SeededRandom, bodies: Bodies) -> tuple[Tensor, Tensor, Tensor]:
    """Three colours of every body: by its thing, unless its tone says what it is made of."""
    things = int(bodies.thing.max()) + 1
    hue, second_hue = rng.uniform(things), rng.uniform(things)
    main = _hsv(hue, rng.uniform(things, low=0.35, high=0.85), rng.uniform(things, low=0.35, high=0.92))
    other = _hsv(second_hue, rng.uniform(things, low=0.1, high=0.5), rng.uniform(things, low=0.5, high=0.95))
    index = bodies.thing[..., None].expand(-1, -1, 3)
    main, other = main.gather(1, index), other.gather(1, index)
    count = bodies.tone.shape[1]
    shade = rng.uniform(count, low=0.7, high=1.2)
    tones = [
        (main, other, 0.55 * main),
        (other, main, 0.4 * other),
        _fixed(shade, (0.20, 0.40, 0.16), (0.35, 0.55, 0.22), (0.10, 0.24, 0.10)),
        _fixed(shade, (0.52, 0.36, 0.22), (0.25, 0.16, 0.10), (0.40, 0.26, 0.15)),
        _fixed(shade, (0.16, 0.16, 0.18), (0.3, 0.3, 0.3), (0.1, 0.1, 0.1)),
        _fixed(1.6 + 0 * shade, (0.80, 0.86, 0.92), (0.75, 0.72, 0.68), (1.0, 1.0, 0.98)),
        _fixed(shade.clamp(0.9, 1.1), (0.85, 0.84, 0.80), (0.6, 0.6, 0.58), (0.75, 0.74, 0.7)),
    ]
    chosen = bodies.tone[..., None]
    first, second, third = main, other, 0.55 * main
    for tone, (a, b, c) in enumerate(tones[1:], 1):
        first, second, third = (
            torch.where(chosen == tone, new, old) for new, old in ((a, first), (b, second), (c, third))
        )
    return first, second, third


def _fixed(shade: Float[Tensor, "batch body"], *srgb: Rgb) -> tuple[Float[Tensor, "batch body 3"], ...]:
    """Linear colours, each body's a little lighter or darker."""
    return tuple(shade[..., None] * linear(torch.tensor(colour, device=shade.device)) for colour in srgb)
