"""Surfaces of triangles."""

import numpy as np
from jaxtyping import Float, Int

__all__ = ["cluster_means", "clustered", "face_areas", "unit_normals", "vertex_normals"]

MIN_AREA = 1e-20
"""In squared units of the mesh: less is rounding, and says nothing of a direction. Triangles of a millimetre in a model
whose unit is the kilometre have 1e-12."""

Axis = tuple[float, float, float]


def vertex_normals(
    vertices: Float[np.ndarray, "vertex 3"],
    faces: Int[np.ndarray, "face 3"],
    otherwise: Axis = (0.0, 0.0, 0.0),
) -> Float[np.ndarray, "vertex 3"]:
    """Unit normals, each the mean of its faces' weighted by area; `otherwise` where a vertex has no face.

    Faces turn counter-clockwise about their normals (right hand). Source: Gouraud 1971; by area: Max 1999, Weights for
    computing vertex normals from facet normals.
    """
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    sums = [
        sum((np.bincount(faces[:, corner], across[:, axis], len(vertices)) for corner in range(3)), np.zeros(1))
        for axis in range(3)
    ]
    return unit_normals(np.stack(sums, -1), otherwise)


def unit_normals(normals: Float[np.ndarray, "vertex 3"], otherwise: Axis) -> Float[np.ndarray, "vertex 3"]:
    """Normals brought to length one; `otherwise` where there is none, or no finite one."""
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    bad = ~((length > MIN_AREA) & (length < np.inf))
    return np.where(bad, np.array(otherwise), normals / np.where(bad, 1.0, length))


def face_areas(vertices: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"]) -> Float[np.ndarray, " face"]:
    """The area of each triangle, in squared units of the mesh."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def clustered(
    vertices: Float[np.ndarray, "vertex 3"], cell: float, chart: Int[np.ndarray, " vertex"] | None = None
) -> tuple[Int[np.ndarray, " vertex"], Int[np.ndarray, " cluster"]]:
    """The cluster of each vertex, and one vertex of each cluster: those of a cube of side `cell`, and of one chart.

    Source: Rossignac and Borrel 1993, Multi-resolution 3D approximations for rendering complex scenes.
    """
    places = np.floor((vertices - vertices.min(0)) / cell).astype(np.int64)
    keys = places if chart is None else np.column_stack([places, chart])
    _, first, cluster = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return cluster.reshape(-1), first


def cluster_means(
    cluster: Int[np.ndarray, " vertex"], values: Float[np.ndarray, "vertex 3"]
) -> Float[np.ndarray, "cluster 3"]:
    """The mean of the values of each cluster's vertices."""
    sums = [np.bincount(cluster, values[:, axis]) for axis in range(3)]
    return np.stack(sums, -1) / np.maximum(np.bincount(cluster), 1)[:, None]
