"""Textures by formula and at random: sRGB bytes with full alpha, made to be repeated unless said otherwise."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

__all__ = [
    "Texture",
    "bricks",
    "door",
    "foliage",
    "noise",
    "panelled",
    "paving",
    "plaster",
    "poster",
    "sky",
    "to_texture",
    "wallpaper",
    "window",
    "wood",
]

Texture = UInt8[np.ndarray, "height width 4"]
Colour = Sequence[float] | Float[np.ndarray, "3"]
"""sRGB, 0 … 1."""


def noise(
    rng: np.random.Generator, height: int, width: int, cells: int, octaves: int = 4, roughness: float = 0.5
) -> Float[np.ndarray, "height width"]:
    """Cloudy noise that repeats seamlessly, mean 0, about −1 … 1; `cells` is how many blots stand side by side."""
    total, weight = np.zeros((height, width)), 1.0
    for octave in range(octaves):
        count = min(cells * 2**octave, width)
        rows = max(1, min(count * height // width, height))
        grid = np.pad(rng.uniform(-1, 1, (rows, count)), 2, mode="wrap")
        fine = cv2.resize(grid, None, fx=width / count, fy=height / rows, interpolation=cv2.INTER_CUBIC)
        top, left = round(2 * height / rows), round(2 * width / count)
        total += weight * fine[top : top + height, left : left + width]
        weight *= roughness
    return total


def to_texture(colour: Float[np.ndarray, "height width 3"]) -> Texture:
    """Bytes from sRGB shares, with full alpha."""
    alpha = np.ones((*colour.shape[:2], 1))
    return (np.concatenate([np.clip(colour, 0, 1), alpha], 2) * 255 + 0.5).astype(np.uint8)


def _flat(colour: Colour, height: int, width: int) -> Float[np.ndarray, "height width 3"]:
    return np.tile(np.asarray(colour, float), (height, width, 1))


def _tiled(
    rng: np.random.Generator,
    side_px: int,
    rows: int,
    columns: int,
    joint_px: int,
    shift: float,
    colour: Colour,
    spread: float,
    joint: Colour,
    hue: float,
) -> Float[np.ndarray, "height width 3"]:
    """Rectangles in rows, each with its own shade; every other row is shifted by a share of a rectangle."""
    y, x = np.mgrid[0:side_px, 0:side_px]
    row = y * rows // side_px
    along = (x * columns / side_px + shift * (row % 2)) % columns
    column = along.astype(int)
    # Height of the stone's face above the joint, 0 … 1.
    edge_x = np.minimum(along % 1, 1 - along % 1) * side_px / columns
    edge_y = np.minimum((y + 0.5) * rows / side_px % 1, 1 - (y + 0.5) * rows / side_px % 1) * side_px / rows
    wobble = 0.8 * noise(rng, side_px, side_px, 24, 2)
    face = np.clip((np.minimum(edge_x, edge_y) + wobble - joint_px / 2) / 1.5, 0, 1)[..., None]
    shade = rng.normal(0, spread, (rows, columns, 1)) + spread * hue * rng.normal(0, 1, (rows, columns, 3))
    grain = 0.05 * noise(rng, side_px, side_px, 32, 4, 0.75)[..., None]
    stone = np.asarray(colour, float) + shade[row, column] + grain
    # Light from above left catches the upper edges.
    bevel = np.clip(np.gradient(cv2.GaussianBlur(face[..., 0], (0, 0), 1.2), axis=0), -0.3, 0.3)[..., None]
    return face * stone + (1 - face) * (np.asarray(joint, float) + grain) + 0.25 * bevel


def bricks(rng: np.random.Generator, colour: Colour, side_px: int = 512) -> Texture:
    """A brick wall, weathered: 16 courses."""
    wall = _tiled(rng, side_px, 16, 6, 4, 0.5, colour, 0.06, (0.62, 0.58, 0.53), 0.35)
    stains = np.clip(noise(rng, side_px, side_px, 3, 4), 0, 1)[..., None]
    return to_texture(wall * (1 - 0.25 * stains))


def paving(rng: np.random.Generator, colour: Colour, side_px: int = 512, count: int = 4) -> Texture:
    """Stone slabs."""
    floor = _tiled(rng, side_px, count, count, 5, 0.5, colour, 0.05, np.asarray(colour) * 0.45, 0.12)
    cracks = np.abs(noise(rng, side_px, side_px, 5, 5, 0.6))[..., None]
    floor *= 1 - 0.35 * np.clip(1 - cracks / 0.02, 0, 1)
    return to_texture(floor + 0.04 * noise(rng, side_px, side_px, 4, 3)[..., None])


def plaster(rng: np.random.Generator, colour: Colour, side_px: int = 512, worn: bool = True) -> Texture:
    """Painted plaster with stains and, if it is worn, a few patches where it has come off."""
    wall = _flat(colour, side_px, side_px)
    wall += 0.035 * noise(rng, side_px, side_px, 4, 6, 0.7)[..., None]
    if not worn:
        return to_texture(wall)
    patch = np.clip((noise(rng, side_px, side_px, 5, 5, 0.55) - 0.75) * 8, 0, 1)[..., None]
    return to_texture(wall * (1 - patch) + patch * (np.array([0.60, 0.50, 0.42]) + 0.3 * (wall - wall.mean())))


def wood(rng: np.random.Generator, colour: Colour, side_px: int = 512, planks: int = 4) -> Texture:
    """Planks that run along the texture's width."""
    y, x = np.mgrid[0:side_px, 0:side_px]
    plank = y * planks // side_px
    grain = cv2.resize(noise(rng, side_px, side_px, 40, 3, 0.7), None, fx=6, fy=1)[:, :side_px]
    swirl = noise(rng, side_px, side_px, 3, 3)
    rings = np.sin(2 * np.pi * (y / side_px * 22 + 1.5 * swirl + plank * 0.37))
    shade = rng.normal(0, 0.05, planks)[plank] + 0.05 * grain + 0.035 * rings
    gap = np.minimum(y * planks / side_px % 1, 1 - y * planks / side_px % 1) * side_px / planks
    butt = np.abs(x - (rng.uniform(0.1, 0.9, planks) * side_px)[plank])
    dark = np.where((gap < 1.5) | (butt < 1.2), 0.35, 1.0)[..., None]
    return to_texture((np.asarray(colour, float) + shade[..., None] * [1.0, 0.85, 0.6]) * dark)


def panelled(rng: np.random.Generator, colour: Colour, side_px: int = 256) -> Texture:
    """A crate's side: boards within a frame, with nails. Not for repeating."""
    board = wood(rng, colour, side_px, 5)[..., :3] / 255.0
    width = side_px // 8
    frame = np.zeros((side_px, side_px), bool)
    frame[:width], frame[-width:], frame[:, :width], frame[:, -width:] = True, True, True, True
    diagonal = np.abs(np.mgrid[0:side_px, 0:side_px].sum(0) - side_px) < width * 0.7
    board[frame | diagonal] = np.swapaxes(board, 0, 1)[frame | diagonal] * 1.12
    edges = cv2.morphologyEx((frame | diagonal).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    board[edges > 0] *= 0.55
    for row in (width // 2, side_px - width // 2):
        for column in range(width // 2, side_px, side_px // 7):
            cv2.circle(board, (column, row), max(1, side_px // 90), (0.2, 0.2, 0.22), -1, cv2.LINE_AA)
    return to_texture(board)


def window(rng: np.random.Generator, frame: Colour, height_px: int = 384, width_px: int = 256) -> Texture:
    """A window with bars and panes that mirror a pale sky. Not for repeating."""
    y, x = np.mgrid[0:height_px, 0:width_px] / np.array([height_px, width_px]).reshape(2, 1, 1)
    sky_light = 0.55 - 0.35 * y + 0.08 * noise(rng, height_px, width_px, 3, 3)
    glass = sky_light[..., None] * [0.55, 0.66, 0.78]
    curtain = (np.abs(x - 0.5) > 0.30 + 0.03 * np.sin(20 * y)) & (y < 0.95)
    folds = 0.75 + 0.12 * np.sin(x * 120 + 4 * y)
    glass = np.where(curtain[..., None], 0.5 * glass + 0.4 * folds[..., None] * [0.9, 0.85, 0.75], glass)
    bars = (np.minimum(x, 1 - x) < 0.07) | (np.minimum(y, 1 - y) < 0.05)
    bars |= (np.abs(x - 0.5) < 0.025) | (np.abs(y - 0.36) < 0.02) | (np.abs(y - 0.68) < 0.012)
    shadow = cv2.GaussianBlur(np.roll(bars.astype(float), (4, 3), (0, 1)), (0, 0), 2)[..., None]
    paint = np.asarray(frame, float) + 0.04 * noise(rng, height_px, width_px, 20, 4)[..., None]
    return to_texture(np.where(bars[..., None], paint, glass * (1 - 0.5 * shadow)))


def door(rng: np.random.Generator, colour: Colour, height_px: int = 512, width_px: int = 256) -> Texture:
    """A wooden door with six panels, a handle and a letter box. Not for repeating."""
    face = _flat(colour, height_px, width_px) + 0.03 * noise(rng, height_px, width_px, 6, 5, 0.7)[..., None]
    relief = np.zeros((height_px, width_px))
    for top, bottom in ((0.06, 0.28), (0.34, 0.60), (0.66, 0.94)):
        for left, right in ((0.12, 0.45), (0.55, 0.88)):
            for inset, level in ((0.0, -1.0), (0.035, 0.6)):
                corner = (int((left + inset) * width_px), int((top + inset / 2) * height_px))
                far = (int((right - inset) * width_px), int((bottom - inset / 2) * height_px))
                cv2.rectangle(relief, corner, far, level, -1)
    slope = cv2.GaussianBlur(relief, (0, 0), 1.5)
    face += 0.25 * (np.gradient(slope, axis=0) + np.gradient(slope, axis=1))[..., None]
    brass = (0.80, 0.66, 0.32)
    cv2.circle(face, (int(0.92 * width_px), int(0.52 * height_px)), width_px // 24, brass, -1, cv2.LINE_AA)
    cv2.rectangle(
        face, (int(0.36 * width_px), int(0.62 * height_px)), (int(0.64 * width_px), int(0.645 * height_px)), brass, -1
    )
    face[:3], face[-3:], face[:, :3], face[:, -3:] = 0.1, 0.1, 0.1, 0.1
    return to_texture(face)


def poster(rng: np.random.Generator, height_px: int = 384, width_px: int = 256) -> Texture:
    """A printed poster: shapes, a title and lines of small print. Not for repeating."""
    palette = [tuple(c) for c in rng.uniform(0.1, 0.95, (4, 3))]
    paper = _flat(np.clip(rng.normal(0.88, 0.05, 3), 0.7, 0.97), height_px, width_px)
    picture = paper[int(0.05 * height_px) : int(0.68 * height_px), int(0.07 * width_px) : int(0.93 * width_px)]
    picture = np.ascontiguousarray(picture)
    rows, columns = picture.shape[:2]
    picture[:] = np.linspace(palette[0], palette[1], rows)[:, None]
    cv2.circle(
        picture, (int(rng.uniform(0.3, 0.7) * columns), int(0.35 * rows)), int(0.22 * columns), palette[2], -1, 16
    )
    for _ in range(5):
        base = int(rng.uniform(0, 1) * columns)
        peak = (base, int(rng.uniform(0.35, 0.75) * rows))
        reach = int(rng.uniform(0.15, 0.45) * columns)
        triangle = np.array([[base - reach, rows], peak, [base + reach, rows]], np.int32)
        shade = np.clip(np.asarray(palette[3]) * rng.uniform(0.4, 1.1), 0, 1)
        cv2.fillPoly(picture, [triangle], tuple(shade), cv2.LINE_AA)
    paper[int(0.05 * height_px) : int(0.68 * height_px), int(0.07 * width_px) : int(0.93 * width_px)] = picture
    words = ("FESTIVAL", "CINEMA", "MERIDIAN", "HARBOUR", "NOCTURNE", "ORCHARD")
    title = words[int(rng.integers(len(words)))]
    scale = 0.80 * width_px / cv2.getTextSize(title, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)[0][0]
    place = (int(0.1 * width_px), int(0.80 * height_px))
    cv2.putText(paper, title, place, cv2.FONT_HERSHEY_DUPLEX, scale, (0.1, 0.1, 0.12), 2, cv2.LINE_AA)
    for line in range(4):
        row = int((0.85 + 0.03 * line) * height_px)
        end = int(rng.uniform(0.5, 0.9) * width_px)
        cv2.line(paper, (int(0.1 * width_px), row), (end, row), (0.35, 0.35, 0.38), max(1, height_px // 200))
    return to_texture(paper * (1 + 0.03 * noise(rng, height_px, width_px, 6, 4)[..., None]))


def foliage(rng: np.random.Generator, side_px: int = 512) -> Texture:
    """Dense leaves."""
    leaves = np.full((side_px, side_px, 3), 0.06)
    for layer in range(1600):
        depth = layer / 1600
        centre = rng.integers(0, side_px, 2)
        size = int(rng.uniform(0.018, 0.034) * side_px)
        green = np.array([0.16, 0.30, 0.08]) * (0.4 + 0.9 * depth) + rng.normal(0, 0.025, 3)
        angle = float(rng.uniform(0, 360))
        for dx in (-side_px, 0, side_px):  # leaves that stick out on one side come back on the other
            for dy in (-side_px, 0, side_px):
                at = (int(centre[0] + dx), int(centre[1] + dy))
                cv2.ellipse(leaves, at, (size, size // 2), angle, 0, 360, tuple(np.clip(green, 0, 1)), -1, 16)
                tip = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]) * size
                end = (int(at[0] + tip[0]), int(at[1] + tip[1]))
                cv2.line(leaves, at, end, tuple(np.clip(green * 1.35, 0, 1)), 1, 16)
    return to_texture(leaves)


def sky(rng: np.random.Generator, height_px: int = 256, width_px: int = 1024) -> Texture:
    """A hazy sky with soft clouds; the bottom row is the horizon."""
    up = np.linspace(1, 0, height_px)[:, None, None]
    blue = up * np.array([0.35, 0.56, 0.86]) + (1 - up) * np.array([0.80, 0.87, 0.94])
    cloud = np.clip(1.3 * noise(rng, height_px, width_px, 8, 5, 0.55), 0, 1)[..., None]
    return to_texture(blue * (1 - cloud) + cloud * np.array([0.96, 0.96, 0.97]))


def wallpaper(rng: np.random.Generator, colour: Colour, side_px: int = 512) -> Texture:
    """A printed or woven pattern: stripes with rows of ornaments."""
    y, x = np.mgrid[0:side_px, 0:side_px] / side_px
    stripe = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 6 * x))
    paper = np.asarray(colour, float) * (0.92 + 0.16 * stripe[..., None])
    count = 6
    row = np.floor(count * y)
    dx = (count * x - 0.5 * (row % 2)) % 1 - 0.5
    dy = (count * y) % 1 - 0.5
    radius = np.hypot(dx, dy)
    petals = 0.30 + 0.10 * np.cos(4 * np.arctan2(dy, dx))
    flower = np.clip((petals - radius) * 30, 0, 1) * np.clip((radius - 0.08) * 30, 0, 1)
    paper += 0.55 * flower[..., None] * (0.65 * np.asarray(colour)[::-1] + 0.35 - paper)
    return to_texture(paper + 0.025 * noise(rng, side_px, side_px, 48, 3, 0.8)[..., None])
