"""Film sets by formula and at random: a courtyard and a room, open towards +Z, where the camera stands.

The middle, some 4 m × 3 m around the origin, is free for the actor; nothing stands between it and the camera.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from understudy.core.character import Character, Material
from understudy.core.environment import Light
from understudy.synthetic import textures
from understudy.synthetic.films.building import Builder

__all__ = ["SETS", "FilmSet", "SetKind"]

SetKind = Literal["courtyard", "room"]


@dataclass(frozen=True)
class FilmSet:
    """Scenery and the light on it."""

    scenery: Character
    """Rigid, on one joint; ground at y = 0."""
    light: Light
    sky: textures.Texture
    """All around, from the horizon (bottom row) to overhead (top row)."""


def courtyard(seed: int) -> FilmSet:
    """A paved yard between brick and plaster walls, in late sun."""
    rng = np.random.default_rng(seed)
    b = Builder()

    tone = rng.normal(0, 0.03, 3)
    m = {
        "brick": b.matt(textures.bricks(rng, np.array([0.58, 0.33, 0.26]) + tone)),
        "stone": b.matt(textures.paving(rng, np.array([0.58, 0.56, 0.52]) + tone), 0.85),
        "plaster": b.matt(textures.plaster(rng, np.array([0.84, 0.74, 0.58]) + tone)),
        "trim": b.matt(textures.plaster(rng, (0.72, 0.70, 0.66), worn=False)),
        "boards": b.matt(textures.wood(rng, (0.45, 0.33, 0.23)), 0.8),
        "leaves": b.matt(textures.foliage(rng)),
        "clay": b.matt(textures.plaster(rng, (0.66, 0.40, 0.28), worn=False)),
        "iron": b.material(Material(base_colour=(0.03, 0.035, 0.04, 1.0), roughness=0.45, metallic=0.6)),
    }
    _yard_walls(b, rng, m)
    _yard_things(b, rng, m)
    to_key = np.array([rng.uniform(-0.75, -0.5), rng.uniform(0.9, 1.1), rng.uniform(0.4, 0.6)])
    light = Light(
        to_key / np.linalg.norm(to_key), np.array([1.22, 1.06, 0.83]), np.array([0.36, 0.42, 0.52]),
        np.array([0.20, 0.17, 0.14]), np.radians(1.5),
    )  # fmt: skip
    return FilmSet(b.build("courtyard"), light, textures.sky(rng))


def _yard_walls(b: Builder, rng: np.random.Generator, m: dict[str, int]) -> None:
    """Ground, walls, windows, door and posters."""
    b.rectangle((-9, 0, 9), (18, 0, 0), (0, 0, -18), m["stone"], 2.4)
    b.rectangle((-7, 0, -4.5), (14, 0, 0), (0, 5.2, 0), m["brick"], 1.5)
    b.rectangle((-7, 0, 7), (0, 0, -11.5), (0, 4.4, 0), m["plaster"], 2.5)
    b.rectangle((6.2, 0, -4.5), (0, 0, 11.5), (0, 4.8, 0), m["plaster"], 2.5)
    # Plinths and copings hide where walls meet the ground and the sky.
    b.box((-7, 0, -4.5), (13.2, 0.35, 0.1), m["trim"], 1.2)
    b.box((-7, 5.2, -4.6), (13.4, 0.18, 0.35), m["trim"], 1.2)
    b.box((-7.1, 4.4, -4.5), (0.3, 0.15, 11.5), m["trim"], 1.2)
    b.box((6.1, 4.8, -4.5), (0.3, 0.15, 11.5), m["trim"], 1.2)
    for x in (-4.9, -2.3, 2.5, 4.6):
        pane = b.matt(textures.window(rng, (0.86, 0.85, 0.80)), 0.4)
        b.rectangle((x, 2.5, -4.46), (1.1, 0, 0), (0, 1.7, 0), pane)
        b.box((x - 0.12, 2.36, -4.5), (1.34, 0.14, 0.22), m["trim"], 1.0)
        b.box((x - 0.12, 4.2, -4.5), (1.34, 0.16, 0.12), m["trim"], 1.0)
        if rng.random() < 0.7:
            b.box((x + 0.05, 2.5, -4.42), (1.0, 0.16, 0.2), m["clay"], 0.8)
            b.box((x + 0.08, 2.64, -4.42), (0.94, 0.2, 0.18), m["leaves"], 0.7)
    entrance = b.matt(textures.door(rng, rng.uniform(0.1, 0.4, 3)), 0.5)
    b.rectangle((0.3, 0.18, -4.44), (1.15, 0, 0), (0, 2.25, 0), entrance)
    b.box((0.0, 0, -4.5), (1.75, 0.18, 0.7), m["trim"], 1.0)
    b.box((0.12, 2.43, -4.5), (1.5, 0.2, 0.3), m["trim"], 1.0)
    for x, y, width in ((-5.9, 0.9, 0.85), (-1.0, 0.85, 0.95), (2.3, 0.8, 0.8), (3.35, 0.9, 0.9)):
        print_ = b.matt(textures.poster(rng), 0.7)
        b.rectangle((x, y, -4.47), (width, 0, 0), (0, 1.45 * width, 0), print_)
    for z in (-2.6, 0.2):
        pane = b.matt(textures.window(rng, (0.35, 0.42, 0.36)), 0.4)
        b.rectangle((-6.96, 1.5, z + 1.0), (0, 0, -1.0), (0, 1.6, 0), pane)
        b.box((-7.0, 1.36, z - 0.1), (0.2, 0.14, 1.2), m["trim"], 1.0)


def _yard_things(b: Builder, rng: np.random.Generator, m: dict[str, int]) -> None:
    """Plants, crates, a barrel, a bench and a lamp along the walls."""
    # Ivy, pots and a tree against the right wall; crates, a barrel and a bench on the left.
    for _ in range(26):
        y, z = rng.uniform(0.2, 3.6), rng.uniform(-4.4, -0.5)
        size = rng.uniform(0.4, 0.9) * (1.25 - y / 5)
        b.box((6.2 - 0.12 - 0.1 * rng.random(), y, z), (0.2, size, size), m["leaves"], 0.8)
    for x, z, radius in ((4.9, -3.4, 0.34), (5.3, -2.3, 0.28), (-3.3, -4.0, 0.26), (4.6, -1.2, 0.24)):
        b.cylinder((x, 0, z), (0.7 * radius, 0.85 * radius, radius, 1.06 * radius), 1.6 * radius, m["clay"], 0.8)
        for level, share in ((1.5, 1.0), (2.3, 1.15), (3.1, 0.9)):
            ball = radius * share * 1.5
            radii = [ball * np.sin(t) + 0.01 for t in np.linspace(0.15, np.pi - 0.1, 7)]
            b.cylinder((x, level * radius, z), radii, 1.7 * ball, m["leaves"], 0.7, 14)
    for x, z, size, y, turn in (
        (-5.0, -3.3, 0.80, 0.0, 0.2), (-4.1, -3.6, 0.65, 0.0, -0.35), (-4.7, -3.4, 0.55, 0.80, 0.5),
        (-5.6, -1.4, 0.70, 0.0, 0.9), (3.2, -3.9, 0.60, 0.0, 0.25),
    ):  # fmt: skip
        crate = b.matt(textures.panelled(rng, rng.uniform(0.9, 1.15) * np.array([0.56, 0.42, 0.27])), 0.85)
        b.box((x - size / 2, y, z - size / 2), (size, size, size), crate, None, turn)
    b.cylinder((-2.6, 0, -3.7), (0.26, 0.31, 0.33, 0.31, 0.26), 0.9, m["boards"], 0.9)
    for y in (0.18, 0.66):
        b.cylinder((-2.6, y, -3.7), (0.325, 0.325), 0.06, m["iron"], lid=False)
    for z in (0.9, 2.0):
        b.box((-6.5, 0, z), (0.42, 0.42, 0.08), m["iron"])
    b.box((-6.55, 0.42, 0.7), (0.5, 0.06, 1.6), m["boards"], 0.9)
    b.box((-6.72, 0.60, 0.7), (0.06, 0.42, 1.6), m["boards"], 0.9)
    b.cylinder((2.1, 0, -3.95), (0.07, 0.05, 0.045, 0.045), 2.9, m["iron"])
    glass = b.material(Material("lamp", base_colour=(0.8, 0.75, 0.6, 1.0), emissive=(0.5, 0.42, 0.25)))
    b.cylinder((2.1, 2.9, -3.95), (0.09, 0.15, 0.13), 0.34, glass)


def room(seed: int) -> FilmSet:
    """A living room without a ceiling, as studios build them, under a large soft lamp."""
    rng = np.random.default_rng(seed)
    b = Builder()

    m = {
        "floor": b.matt(textures.wood(rng, (0.52, 0.37, 0.24), planks=6), 0.55),
        "wall": b.matt(textures.wallpaper(rng, rng.uniform(0.35, 0.75, 3))),
        "side": b.matt(textures.plaster(rng, (0.80, 0.77, 0.70), worn=False)),
        "white": b.matt(textures.plaster(rng, (0.88, 0.87, 0.84), worn=False)),
        "walnut": b.matt(textures.wood(rng, (0.36, 0.24, 0.15)), 0.5),
        "cloth": b.matt(textures.wallpaper(rng, rng.uniform(0.15, 0.5, 3))),
        "rug": b.matt(textures.wallpaper(rng, (0.55, 0.18, 0.16))),
        "leaves": b.matt(textures.foliage(rng)),
        "clay": b.matt(textures.plaster(rng, (0.75, 0.73, 0.70), worn=False)),
        "brass": b.material(Material(base_colour=(0.6, 0.43, 0.15, 1.0), roughness=0.35, metallic=0.9)),
    }
    _room_walls(b, rng, m)
    _bookcase(b, rng, m)
    _furniture(b, rng, m)
    to_key = np.array([rng.uniform(-0.6, 0.6), 1.3, rng.uniform(0.7, 1.0)])
    light = Light(
        to_key / np.linalg.norm(to_key), np.array([0.80, 0.74, 0.66]), np.array([0.40, 0.40, 0.42]),
        np.array([0.22, 0.19, 0.16]), np.radians(5.0),
    )  # fmt: skip
    return FilmSet(b.build("room"), light, textures.to_texture(np.full((4, 16, 3), 0.04)))


def _room_walls(b: Builder, rng: np.random.Generator, m: dict[str, int]) -> None:
    """Floor, walls, skirting, windows, door and framed prints."""
    b.rectangle((-6, 0, 8), (12, 0, 0), (0, 0, -12), m["floor"], 1.8)
    b.rectangle((-2.4, 0.006, 1.5), (4.8, 0, 0), (0, 0, -3.0), m["rug"], 1.1)
    b.rectangle((-5, 0, -3.4), (10, 0, 0), (0, 3.4, 0), m["wall"], 1.3)
    b.rectangle((-5, 0, 6.6), (0, 0, -10), (0, 3.4, 0), m["side"], 2.2)
    b.rectangle((5, 0, -3.4), (0, 0, 10), (0, 3.4, 0), m["side"], 2.2)
    b.box((-5, 0, -3.4), (10, 0.14, 0.03), m["white"], 1.0)
    b.box((-5, 3.25, -3.4), (10, 0.15, 0.08), m["white"], 1.0)
    b.box((-5, 0, -3.4), (0.03, 0.14, 10), m["white"], 1.0)
    b.box((4.97, 0, -3.4), (0.03, 0.14, 10), m["white"], 1.0)
    for x in (-3.9, -2.5):
        pane = b.matt(textures.window(rng, (0.9, 0.9, 0.88)), 0.4)
        b.rectangle((x, 1.0, -3.36), (1.1, 0, 0), (0, 1.75, 0), pane)
    b.box((-4.1, 0.88, -3.4), (2.9, 0.1, 0.25), m["white"], 1.0)
    entrance = b.matt(textures.door(rng, rng.uniform(0.3, 0.7, 3)), 0.5)
    b.rectangle((3.5, 0, -3.37), (0.95, 0, 0), (0, 2.1, 0), entrance)
    for x, y, width in ((0.1, 1.45, 0.6), (0.95, 1.6, 0.45), (-0.7, 1.55, 0.5)):
        print_ = b.matt(textures.poster(rng), 0.6)
        b.box((x - 0.03, y - 0.03, -3.4), (width + 0.06, 1.5 * width + 0.06, 0.03), m["walnut"], 0.7)
        b.rectangle((x, y, -3.365), (width, 0, 0), (0, 1.5 * width, 0), print_)


def _bookcase(b: Builder, rng: np.random.Generator, m: dict[str, int]) -> None:
    """A bookcase with books of all colours."""
    b.box((1.75, 0, -3.4), (1.5, 2.1, 0.06), m["walnut"], 0.8)
    for x in (1.75, 3.21):
        b.box((x, 0, -3.4), (0.04, 2.1, 0.34), m["walnut"], 0.8)
    spines = [b.material(Material(base_colour=(*c, 1.0), roughness=0.7)) for c in rng.uniform(0.02, 0.6, (14, 3))]
    for level in range(6):
        y = 0.06 + 0.4 * level
        b.box((1.75, y - 0.03, -3.4), (1.5, 0.03, 0.34), m["walnut"], 0.8)
        x = 1.82
        while level < 5 and x < 3.1:
            width, height = rng.uniform(0.025, 0.06), rng.uniform(0.2, 0.33)
            if rng.random() < 0.92:
                spine = spines[int(rng.integers(len(spines)))]
                b.box((x, y, -3.34), (width, height, 0.2 + 0.05 * rng.random()), spine)
            x += width + 0.004


def _furniture(b: Builder, rng: np.random.Generator, m: dict[str, int]) -> None:
    """A sofa, a low table, a standing lamp and a plant."""
    b.box((-2.9, 0.08, -3.1), (2.4, 0.36, 0.9), m["cloth"], 0.8)
    b.box((-2.9, 0.44, -3.1), (2.4, 0.45, 0.25), m["cloth"], 0.8)
    b.box((-3.1, 0.08, -3.1), (0.22, 0.58, 0.9), m["cloth"], 0.8)
    b.box((-0.5, 0.08, -3.1), (0.22, 0.58, 0.9), m["cloth"], 0.8)
    for x in (-2.5, -1.1):
        cushion = b.material(Material(base_colour=(*(rng.uniform(0.1, 0.7, 3)), 1.0)))
        b.box((x, 0.46, -2.85), (0.42, 0.36, 0.14), cushion, None, float(rng.uniform(-0.3, 0.3)))
    b.box((-4.4, 0.42, -1.2), (0.9, 0.05, 0.6), m["walnut"], 0.8)
    for x in (-4.35, -3.6):
        for z in (-1.15, -0.7):
            b.box((x, 0, z), (0.05, 0.42, 0.05), m["walnut"], 0.8)
    b.cylinder((-4.0, 0.47, -0.9), (0.06, 0.08, 0.05, 0.07), 0.24, m["clay"], 0.3)
    b.cylinder((0.75, 0, -2.95), (0.16, 0.02, 0.02, 0.02, 0.02, 0.02), 1.5, m["brass"])
    shade = b.material(Material("lamp shade", base_colour=(0.9, 0.8, 0.6, 1.0), emissive=(0.35, 0.28, 0.16)))
    b.cylinder((0.75, 1.45, -2.95), (0.24, 0.15), 0.32, shade)
    b.cylinder((4.3, 0, -1.6), (0.18, 0.24, 0.26), 0.42, m["clay"], 0.5)
    for y, radius in ((0.45, 0.35), (0.85, 0.45), (1.25, 0.3)):
        b.cylinder(
            (4.3, y, -1.6),
            [radius * np.sin(t) + 0.01 for t in np.linspace(0.2, 3.0, 7)],
            radius * 1.6,
            m["leaves"],
            0.6,
            14,
        )


SETS: dict[SetKind, Callable[[int], FilmSet]] = {"courtyard": courtyard, "room": room}
"""Builders by name; the same seed gives the same set."""
