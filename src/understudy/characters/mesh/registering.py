"""A mesh turned and scaled so that from the front it looks as its picture does.

The mesh is sampled by coloured points; from each side their silhouette and colours are compared with the picture's.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.character import Mesh
from understudy.geometry.meshes import face_areas
from understudy.geometry.rotations import matrix_from_vector
from understudy.imaging.colour import srgb_bytes_from_linear

__all__ = [
    "UPS", "Likeness", "Registration", "Shown", "SurfacePoints", "feet_ahead", "likeness", "picture_at_size",
    "register", "sample_surface", "silhouette",
]  # fmt: skip

POINTS = 60_000
TALL_PX, WIDE_PX = 120, 240
"""The size at which silhouettes are compared, and how tall the figure is in it."""
STEP_RAD = np.radians(15.0)
FINE_RAD = np.radians(np.arange(-24.0, 25.0, 6.0))
"""Around the best step; the peak of the parabola through their scores is the side: a silhouette changes with the
square of a small turn."""
COLOUR_WEIGHT = 0.6
"""How much a mean difference of colours of 1 counts against an overlap of 1: it tells the front from the back, whose
silhouettes mirror each other."""
UNKNOWN = 0.12
"""What counts as difference where nobody knows the surface's colours: more than where pictures agree (0.03 … 0.1), less
than where they show different things (0.2 and more)."""
FORWARD_BONUS = 0.02
"""For the side that the file says is the front, where nothing else tells."""
FEET_WEIGHT, FEET_REACH = 0.06, 0.03
"""For feet that reach further ahead than the shins above them; fully from this share of the height on."""
FEET, SHINS = (0.0, 0.04), (0.07, 0.14)
"""Where they are, as shares of the height."""
MAX_SHIFT_PX = 10
UPS = (np.eye(3), matrix_from_vector(np.array([-np.pi / 2, 0.0, 0.0])))
"""Turns that stand a mesh up: +Y up as in glTF, +Z up as in many OBJ and PLY files."""


@dataclass(frozen=True)
class SurfacePoints:
    """Points spread evenly over a surface."""

    places: Float[np.ndarray, "point 3"]
    colours: UInt8[np.ndarray, "point 3"] | None
    """sRGB; None where the whole surface has one colour."""
    normals: Float[np.ndarray, "point 3"]
    """Of the faces, of length 1."""
    known: Bool[np.ndarray, " point"] | None = None
    """Which points have colours that were seen, and not made up; None: all."""


@dataclass(frozen=True)
class Registration:
    """How a mesh stands behind its picture."""

    R: Float[np.ndarray, "3 3"]
    """Turns the mesh to +Y up, facing +Z."""
    overlap: float
    """Intersection over union of the silhouettes, 0 … 1."""
    shift: float
    """How far to the right of the mesh's middle the picture's middle lies, in heights of the figure."""


def sample_surface(mesh: Mesh, count: int = POINTS) -> SurfacePoints:
    """Points at random (always the same), as many on each face as its area asks for."""
    random = np.random.default_rng(0)
    areas = face_areas(mesh.vertices, mesh.faces)
    face = random.choice(len(areas), count, p=areas / areas.sum())
    u, v = random.random((2, count))
    u, v = np.where(u + v > 1, 1 - u, u)[:, None], np.where(u + v > 1, 1 - v, v)[:, None]
    a, b, c = (mesh.vertices[mesh.faces[face, corner]] for corner in range(3))
    places = a + u * (b - a) + v * (c - a)
    uv = [mesh.uv[mesh.faces[face, corner]] for corner in range(3)]
    at = uv[0] + u * (uv[1] - uv[0]) + v * (uv[2] - uv[0])
    colours = np.zeros((count, 3), np.uint8)
    for number, material in enumerate(mesh.materials):
        own = mesh.face_material[face] == number
        tint = srgb_bytes_from_linear(np.array(material.base_colour[:3], np.float32))
        if material.texture is None:
            colours[own] = tint
        else:
            height, width = material.texture.shape[:2]
            x, y = (np.floor(at[own] * (width, height)).astype(int) % (width, height)).T
            colours[own] = (material.texture[y, x, :3] * (tint / 255.0)).astype(np.uint8)
    plain = not np.ptp(colours, axis=0).any()
    return SurfacePoints(places, None if plain else colours, 0.5 * np.cross(b - a, c - a) / areas[face, None])


def register(
    surface: SurfacePoints, rgb: UInt8[np.ndarray, "height width 3"], figure: Bool[np.ndarray, "height width"]
) -> Registration:
    """The turn under which the surface looks most like the figure of a picture."""
    wanted = picture_at_size(rgb, figure)
    turns = [(up, azimuth) for up in UPS for azimuth in np.arange(-np.pi, np.pi - 1e-9, STEP_RAD)]
    scored = [(_score(surface, wanted, up, azimuth), up, azimuth) for up, azimuth in turns]
    _, up, azimuth = max(scored, key=lambda one: one[0])
    around = [_score(surface, wanted, up, azimuth + more) for more in FINE_RAD]
    bend, slope, _ = np.polyfit(FINE_RAD, around, 2)
    peak = -0.5 * slope / bend if bend < 0 else FINE_RAD[int(np.argmax(around))]
    best = azimuth + float(np.clip(peak, FINE_RAD[0], FINE_RAD[-1]))
    found = likeness(surface, wanted, _turn(best) @ up)
    return Registration(_turn(best) @ up, found.overlap, found.shift)


def _turn(azimuth: float) -> Float[np.ndarray, "3 3"]:
    return matrix_from_vector(np.array([0.0, azimuth, 0.0]))


Shown = tuple[Bool[np.ndarray, "tall wide"], Float[np.ndarray, "tall wide 3"] | None]
"""A silhouette, and blurred colours in it, 0 … 1."""


def picture_at_size(rgb: UInt8[np.ndarray, "height width 3"], figure: Bool[np.ndarray, "height width"]) -> Shown:
    """The figure as tall as TALL_PX, its box in the middle."""
    rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = TALL_PX / len(figure[box])
    size = min(max(round(figure[box].shape[1] * scale), 1), WIDE_PX), TALL_PX
    mask = cv2.resize(figure[box].astype(np.float32), size, interpolation=cv2.INTER_AREA)
    colours = cv2.resize(
        np.where(figure[box][..., None], rgb[box], 0).astype(np.float32), size, interpolation=cv2.INTER_AREA
    )
    left = (WIDE_PX - size[0]) // 2
    whole, painted = np.zeros((TALL_PX, WIDE_PX), np.float32), np.zeros((TALL_PX, WIDE_PX, 3), np.float32)
    whole[:, left : left + size[0]], painted[:, left : left + size[0]] = mask, colours / 255
    return whole > 0.5, _blurred(painted, whole)


def _blurred(
    premultiplied: Float[np.ndarray, "height width 3"], coverage: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width 3"]:
    around = cv2.GaussianBlur(coverage, (0, 0), 2.0)
    return cv2.GaussianBlur(premultiplied, (0, 0), 2.0) / np.maximum(around, 1e-3)[..., None]


@dataclass(frozen=True)
class Likeness:
    """How much a surface, turned in some way, looks like a picture."""

    value: float
    """Overlap, less the difference of colours: the larger, the more."""
    overlap: float
    """Intersection over union of the silhouettes, 0 … 1."""
    shift: float
    """How far to the right of the mesh's middle the picture's middle lies, in heights of the figure."""


def likeness(surface: SurfacePoints, wanted: Shown, R: Float[np.ndarray, "3 3"]) -> Likeness:
    """How much the surface, after a turn, looks like the figure of a picture, at the best shift to the side."""
    mask, colours = _splat(surface, R)
    best = (0.0, 0.0)
    for shift in range(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1, 2):
        there = np.roll(mask, shift, 1)
        overlap = float((there & wanted[0]).sum() / max((there | wanted[0]).sum(), 1))
        best = max(best, (overlap, float(shift)), key=lambda one: one[0])
    value, shift = best
    if colours is not None and wanted[1] is not None:
        moved, both = np.roll(colours, int(shift), 1), np.roll(mask, int(shift), 1) & wanted[0]
        apart = np.abs(moved - wanted[1]).mean(-1)
        if surface.known is not None:
            seen = _splat(replace(surface, colours=surface.known[:, None].repeat(3, 1).astype(np.uint8) * 255), R)[1]
            assert seen is not None
            share = np.roll(seen[..., 0], int(shift), 1)
            apart = share * apart + (1 - share) * UNKNOWN
        value -= COLOUR_WEIGHT * float(apart[both].mean()) if both.any() else 1.0
    return Likeness(value, best[0], shift / TALL_PX)


def _score(surface: SurfacePoints, wanted: Shown, up: np.ndarray, azimuth: float) -> float:
    """How much speaks for a turn: likeness, feet that reach ahead, and what the file says is the front."""
    R = _turn(azimuth) @ up
    ahead = FEET_WEIGHT * feet_ahead(R @ surface.places.T)
    return likeness(surface, wanted, R).value + ahead + FORWARD_BONUS * float(np.cos(azimuth))


def feet_ahead(points: Float[np.ndarray, "3 point"]) -> float:
    """1 where the feet reach far ahead of the shins, −1 where they reach as far back."""
    height = max(float(np.ptp(points[1])), 1e-12)
    share = (points[1] - points[1].min()) / height
    feet, shins = (points[2, (low <= share) & (share < high)] for low, high in (FEET, SHINS))
    if not len(feet) or not len(shins):
        return 0.0
    return float(np.clip((feet.mean() - shins.mean()) / (FEET_REACH * height), -1, 1))


def silhouette(surface: SurfacePoints, R: Float[np.ndarray, "3 3"]) -> Bool[np.ndarray, "tall wide"]:
    """The surface from the front, after a turn, without perspective: TALL_PX tall, its box in the middle."""
    return _splat(replace(surface, colours=None), R)[0]


def _splat(surface: SurfacePoints, R: Float[np.ndarray, "3 3"]) -> Shown:
    """What is seen of the surface from the front, after a turn, without perspective."""
    x, y, z = R @ surface.places.T
    scale = (TALL_PX - 1e-3) / max(float(np.ptp(y)), 1e-12)
    column = np.floor((x - 0.5 * (x.min() + x.max())) * scale + 0.5 * WIDE_PX).astype(int)
    row = np.floor((y.max() - y) * scale).astype(int)
    inside = (column >= 0) & (column < WIDE_PX)
    order = np.flatnonzero(inside)[np.argsort(z[inside], kind="stable")]  # the nearest is drawn last
    mask = np.zeros((TALL_PX, WIDE_PX), np.uint8)
    mask[row[order], column[order]] = 1
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    if surface.colours is None:
        return closed, None
    painted = np.zeros((TALL_PX, WIDE_PX, 3), np.float32)
    painted[row[order], column[order]] = surface.colours[order] / np.float32(255)
    return closed, _blurred(painted, mask.astype(np.float32))
