"""A mesh as a generator leaves it, cleaned: no degenerate faces, no loose crumbs, not too many vertices."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from understudy.core.character import Mesh
from understudy.geometry.meshes import cluster_means, clustered, face_areas, vertex_normals
from understudy.runtime.errors import CharacterError

__all__ = ["CleanedMesh", "cleaned", "welded"]

WELD = 1e-5
"""Vertices nearer than this share of the mesh's largest side are one place: seams of the texture hold each twice."""
CRUMB_AREA, CRUMB_DISTANCE = 0.01, 0.02
"""Pieces with less than this share of the surface are left out where they float: further than this share of the largest
side from all that stay. Eyes, buttons and strands of hair are as small, but lie on something."""
MAX_VERTICES = 80_000
"""More slow every frame down, and show nothing more at the size of a film's figure."""
MIN_SIDE, MAX_SIDE = 1e-9, 1e9
"""Largest sides in units of the file between which a mesh is a thing: beyond, single precision or a scale is broken."""
FINEST_CELLS = 400
"""Over the largest side, in the grid by which vertices are first brought together: 4 mm on a person."""
CELL_GROWTH = 1.25
"""The next coarser grid's cell in those of the last: about 1 / 1.6 of a surface's vertices."""
CHART_ROUNDS = 12
"""So many grids keep the texture's charts apart, up to cells of 11.6 (1.25¹¹) times the first's side."""


@dataclass(frozen=True)
class CleanedMesh:
    """A mesh and what was done to it."""

    mesh: Mesh
    remarks: tuple[str, ...]
    """For the user."""


def welded(mesh: Mesh) -> Int[np.ndarray, " vertex"]:
    """Which place each vertex is at, numbered from 0: the vertices of a seam share theirs."""
    side = float(np.ptp(mesh.vertices, axis=0).max())
    return clustered(mesh.vertices, max(WELD * side, 1e-300))[0]


def cleaned(mesh: Mesh, max_vertices: int = MAX_VERTICES) -> CleanedMesh:
    """The mesh without degenerate faces and loose crumbs, made coarser where it has too many vertices.

    Raises:
        CharacterError: it has no size, or nothing is left.
    """
    side = float(np.ptp(mesh.vertices, axis=0).max(initial=0.0))
    if not MIN_SIDE < side < MAX_SIDE:
        raise CharacterError(f"the mesh is {side:g} units large; expected the size of a thing: export it again")
    remarks = []
    mesh = _with_faces(mesh, _sound(mesh, welded(mesh)))
    kept = _main_pieces(mesh, side)
    if not kept.all():
        remarks.append(f"{(~kept).sum():,} faces of loose crumbs were left out")
    mesh = _with_faces(mesh, kept)
    if len(mesh.vertices) > max_vertices:
        remarks.append(f"{len(mesh.vertices):,} vertices were brought down to about {max_vertices:,}")
        mesh = _coarser(mesh, max_vertices, side)
    place = welded(mesh)
    normals = vertex_normals(cluster_means(place, mesh.vertices), place[mesh.faces], (0.0, 1.0, 0.0))[place]
    return CleanedMesh(replace(mesh, normals=normals), tuple(remarks))


def _sound(mesh: Mesh, place: Int[np.ndarray, " vertex"]) -> Bool[np.ndarray, " face"]:
    corners = place[mesh.faces]
    return (corners != np.roll(corners, 1, axis=1)).all(1)


def _pieces(faces: Int[np.ndarray, "face 3"]) -> Int[np.ndarray, " vertex"]:
    """The piece that each vertex belongs to, numbered from 0: vertices of one face are of one piece."""
    count = int(faces.max()) + 1
    starts, ends = faces[:, [0, 1]].T.ravel(), faces[:, [1, 2]].T.ravel()
    return connected_components(coo_array((np.ones(len(starts)), (starts, ends)), shape=(count, count)), False)[1]


def _with_faces(mesh: Mesh, keep: Bool[np.ndarray, " face"]) -> Mesh:
    """The mesh with some of its faces, and the vertices that they use."""
    faces = mesh.faces[keep]
    if not len(faces):
        raise CharacterError("the mesh has no face with an area; export it again")
    rows, corners = np.unique(faces, return_inverse=True)
    return Mesh(
        mesh.vertices[rows], corners.reshape(-1, 3), mesh.normals[rows], mesh.uv[rows], mesh.face_material[keep],
        mesh.materials,
    )  # fmt: skip


def _main_pieces(mesh: Mesh, side: float) -> Bool[np.ndarray, " face"]:
    """The faces of the largest piece, and of those that are no crumbs beside it."""
    place = welded(mesh)
    piece = _pieces(place[mesh.faces])[place[mesh.faces[:, 0]]]
    areas = np.bincount(piece, face_areas(mesh.vertices, mesh.faces))
    keep = areas >= CRUMB_AREA * areas.sum()
    keep[areas.argmax()] = True
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    points = np.concatenate([a, b, c, 0.5 * (a + b), 0.5 * (b + c), 0.5 * (c + a), (a + b + c) / 3])
    of_point = np.tile(piece, 7)
    grown = keep
    while grown.any() and not keep.all():  # fingers in pieces hang on each other
        rest = np.flatnonzero(~keep[of_point])
        distance, _ = cKDTree(points[grown[of_point]]).query(points[rest], distance_upper_bound=CRUMB_DISTANCE * side)
        grown = np.zeros_like(keep)
        grown[of_point[rest[np.isfinite(distance)]]] = True
        keep |= grown
    return keep[piece]


def _coarser(mesh: Mesh, max_vertices: int, side: float) -> Mesh:
    """Vertices of one cell and one chart of the texture become one, in the middle of all that are in the cell."""
    chart = _pieces(mesh.faces)
    cell = side / FINEST_CELLS
    for _ in range(CHART_ROUNDS):
        cluster, first = clustered(mesh.vertices, cell, chart)
        if len(first) <= max_vertices:
            break
        cell *= CELL_GROWTH
    else:  # a texture in more charts than that: its seams are given up
        cell = side / FINEST_CELLS
        while True:
            cluster, first = clustered(mesh.vertices, cell)
            if len(first) <= max_vertices:
                break
            cell *= CELL_GROWTH
    cells, _ = clustered(mesh.vertices, cell)
    middle = cluster_means(cells, mesh.vertices)[cells]
    coarse = Mesh(
        middle[first], cluster[mesh.faces], mesh.normals[first], mesh.uv[first], mesh.face_material, mesh.materials
    )
    return _with_faces(coarse, _sound(coarse, welded(coarse)))
