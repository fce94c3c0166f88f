"""How much of the light from all sides a body keeps from itself: ambient occlusion, for whole poses.

A posed surface is looked at from many directions without perspective; how near it comes is kept in one coarse grid per
direction, and a point is open to a direction if nothing in the grid lies before it. Everything is soft by a few cells,
so that occlusion follows the pose without steps. It is worked out at places spread over the surface, and other vertices
take it from those around them. Source: Whitehurst 2003, Depth map based ambient occlusion lighting; Pharr and Green
2004, Ambient occlusion (GPU Gems, chapter 17).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from understudy.core.character import Character, Mesh
from understudy.geometry.meshes import face_areas
from understudy.geometry.vectors import unit
from understudy.render.posing import PosedMesh

__all__ = ["AmbientOcclusion", "unoccluded"]

AXES = 24
"""Each is looked along both ways."""
GRID = 96
"""Cells along each side of a direction's grid: 2 to 3 cm each for a grown-up."""
SAMPLES = 12_000
"""Points of the surface that fill the grids: enough that a man's leave hardly a gap."""
PLACES = 1500
"""Where occlusion is worked out: 3 to 5 cm from each other on a grown-up."""
MAX_CELLS, BISECTIONS = 2048, 12
"""Cells along the largest side have numbers below the first: they are a thousandth of it at least. After so many
bisections of the ratio between that and the whole side their size is known within 0.2 %."""
NEIGHBOURS = 8
"""How many places a vertex takes its occlusion from."""
MARGIN = 4
"""Cells along the grids' edges for what lies off the surface."""
OFF_SURFACE_CELLS = 1.5
"""How far above its own surface a place lies, so as not to be hidden by it."""
SOFT_CELLS = 3.0
"""By how much something must lie before a place to hide it altogether."""
GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))


class AmbientOcclusion:
    """Ambient occlusion of one character on itself, in any pose."""

    def __init__(self, character: Character) -> None:
        mesh = character.mesh
        self._samples, self._places = _spread(mesh), _clusters(mesh)
        self._weights = _shares(mesh, self._places)
        self._frames = _directions()
        self._reach_m = _around(self._samples @ mesh.vertices)[1]

    def __call__(self, posed: PosedMesh) -> Float[np.ndarray, " vertex"]:
        """The share of light from all sides, weighted by the cosine, that each vertex gets: 1 where nothing is near."""
        points = self._samples @ posed.vertices
        centre, reach_m = _around(points)
        # A grid that does not follow each pose's size keeps its cells where they were.
        cell_m = 2.0 * max(self._reach_m, reach_m) / (GRID - 2 * MARGIN)
        to_cells = (self._frames / cell_m).astype(np.float32)
        nearest, farthest = _grids(*((points - centre).astype(np.float32) @ to_cells))
        normals = unit(self._places @ posed.normals)
        places = self._places @ posed.vertices + OFF_SURFACE_CELLS * cell_m * normals - centre
        x, y, z = places.astype(np.float32) @ to_cells
        ahead, behind = _open(x, y, z, nearest, farthest)
        cosine = (normals @ self._frames[2]).astype(np.float32)
        towards, away = np.maximum(cosine, 0.0), np.maximum(-cosine, 0.0)
        seen = (towards * ahead + away * behind).sum(1) / np.maximum((towards + away).sum(1), 1e-6)
        return self._weights @ seen.astype(np.float64)


def unoccluded(character: Character, wanted: bool = True) -> Callable[[PosedMesh], Float[np.ndarray, " vertex"]]:
    """What tells each vertex' share of the fill: all of it for props and sets, which do not bend, or if not wanted."""
    if wanted and len(character.skeleton) > 1 and len(character.mesh.faces):
        return AmbientOcclusion(character)
    return lambda posed: np.ones(len(posed.vertices))


def _around(points: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, "3"], float]:
    """The points' middle, and how far the farthest lies from it."""
    centre = points.mean(0)
    return centre, float(np.sqrt(((points - centre) ** 2).sum(1).max()))


def _directions() -> Float[np.ndarray, "3 3 axis"]:
    """For each axis across, across and along it, as columns; over half the sphere, evenly (a Fibonacci lattice)."""
    turn = GOLDEN_ANGLE * np.arange(AXES)
    y = 1.0 - (np.arange(AXES) + 0.5) / AXES
    along = np.stack([np.sqrt(1.0 - y**2) * np.cos(turn), y, np.sqrt(1.0 - y**2) * np.sin(turn)], -1)
    helper = np.where(np.abs(along[:, 1:2]) > 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    across = unit(np.cross(helper, along))
    return np.stack([across.T, np.cross(along, across).T, along.T])


def _spread(mesh: Mesh) -> csr_array:
    """SAMPLES points spread over the surface by area, as weights of vertices: a row each."""
    cumulated = np.cumsum(np.maximum(face_areas(mesh.vertices, mesh.faces), 1e-12))
    order = np.arange(SAMPLES)
    faces = mesh.faces[np.searchsorted(cumulated, (order + 0.5) / SAMPLES * cumulated[-1])]
    # Within a face: Roberts 2018, The unreasonable effectiveness of quasirandom sequences, folded by Turk 1990.
    a, b = (np.sqrt(order * 0.7548776662466927 % 1.0), order * 0.5698402909980532 % 1.0)
    weights = np.stack([1.0 - a, a * (1.0 - b), a * b], -1)
    return csr_array((weights.ravel(), faces.ravel(), 3 * np.arange(SAMPLES + 1)), shape=(SAMPLES, len(mesh.vertices)))


def _clusters(mesh: Mesh) -> csr_array:
    """About PLACES clusters of neighbouring vertices that face alike, as weights of vertices by area: a row each."""
    area = (
        np.bincount(mesh.faces.ravel(), np.repeat(face_areas(mesh.vertices, mesh.faces) / 3.0, 3), len(mesh.vertices))
        + 1e-12
    )
    used = np.unique(mesh.faces)
    corner, size = mesh.vertices[used].min(0), float(np.ptp(mesh.vertices[used], axis=0).max())
    main = np.abs(mesh.normals[used]).argmax(1)
    facing = 2 * main + (np.take_along_axis(mesh.normals[used], main[:, None], 1)[:, 0] > 0)
    low, high = 1e-3 * size, size
    for _ in range(BISECTIONS):
        cell = np.sqrt(low * high)
        at = np.floor((mesh.vertices[used] - corner) / cell).astype(np.int64)
        number = ((at[:, 0] * MAX_CELLS + at[:, 1]) * MAX_CELLS + at[:, 2]) * 6 + facing
        found, cluster = np.unique(number, return_inverse=True)
        low, high = (cell, high) if len(found) > PLACES else (low, cell)
    share = area[used] / np.bincount(cluster, area[used])[cluster]
    return csr_array((share, (cluster, used)), shape=(len(found), len(mesh.vertices)))


def _shares(mesh: Mesh, places: csr_array) -> csr_array:
    """What each vertex takes from the places around it that face alike, in the rest pose: a row each.

    Source: Franke and Little's local weights (Franke 1982, Scattered data interpolation), flattened at the places.
    """
    at, normals = places @ mesh.vertices, unit(places @ mesh.normals)
    spacing = float(np.sqrt(face_areas(mesh.vertices, mesh.faces).sum() / max(len(at), 1)))
    count = min(NEIGHBOURS + 1, len(at))
    tree = KDTree(np.concatenate([at, spacing * normals], 1))
    away, near = tree.query(np.concatenate([mesh.vertices, spacing * mesh.normals], 1), count)
    away, near = np.reshape(away, (-1, count)), np.reshape(near, (-1, count))
    away = away / np.maximum(1.0001 * away[:, -1:], 1e-12)
    weights = ((1.0 - away) / (away + 0.3)) ** 2
    weights /= weights.sum(1, keepdims=True)
    rows = count * np.arange(len(mesh.vertices) + 1)
    return csr_array((weights.ravel(), near.ravel(), rows), shape=(len(mesh.vertices), len(at)))


def _grids(
    x: Float[np.ndarray, "n axis"], y: Float[np.ndarray, "n axis"], z: Float[np.ndarray, "n axis"]
) -> tuple[Float[np.ndarray, " cell"], Float[np.ndarray, " cell"]]:
    """The least and the greatest z over each cell of each axis' grid; points in cells, from the grids' middle."""
    column, row = (np.clip(v + GRID / 2, 0, GRID - 1).astype(np.int32) for v in (x, y))
    cell = (column + GRID * row + _first_cells()).ravel()
    nearest = np.full(AXES * GRID * GRID, np.inf, np.float32)
    farthest = -nearest
    np.minimum.at(nearest, cell, z.ravel())
    np.maximum.at(farthest, cell, z.ravel())
    return nearest, farthest


def _first_cells() -> Int[np.ndarray, " axis"]:
    return GRID * GRID * np.arange(AXES, dtype=np.int32)


def _open(
    x: Float[np.ndarray, "n axis"],
    y: Float[np.ndarray, "n axis"],
    z: Float[np.ndarray, "n axis"],
    nearest: Float[np.ndarray, " cell"],
    farthest: Float[np.ndarray, " cell"],
) -> tuple[Float[np.ndarray, "n axis"], Float[np.ndarray, "n axis"]]:
    """How open each point is along each axis, and against it: a mean over two by two cells around it, 0 … 1."""
    x, y = (np.clip(v + (GRID / 2 - 1), 0, GRID - 3) for v in (x, y))
    column, row = x.astype(np.int32), y.astype(np.int32)
    # A box of two cells touches three.
    across, down = ((1 - f, np.ones_like(f), f) for f in (x - column, y - row))
    cell = column + GRID * row + _first_cells()
    ahead, behind = np.zeros_like(z), np.zeros_like(z)
    for j in range(3):
        for i in range(3):
            weight, at = 0.25 * across[i] * down[j], cell + (i + GRID * j)
            ahead += weight * np.clip(1.0 - (farthest[at] - z) / SOFT_CELLS, 0.0, 1.0)
            behind += weight * np.clip(1.0 - (z - nearest[at]) / SOFT_CELLS, 0.0, 1.0)
    return ahead, behind
