"""Which triangles of a surface cut through others."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

__all__ = ["intersecting"]

_LARGE_PERCENT = 99.0
"""Triangles up to this percentile of size are looked up together, larger ones one by one."""


def intersecting(
    corners: Float[np.ndarray, "face 3 3"], vertex_at: Int[np.ndarray, "face 3"]
) -> Bool[np.ndarray, " face"]:
    """Whether each triangle cuts through another that shares no vertex with it (`vertex_at`: numbers of its vertices).

    An edge of one of the two then passes through the other's inside. Triangles in one plane do not count.
    """
    pairs = _near(corners)
    a, b = pairs.T
    low, high = corners.min(1), corners.max(1)
    meet = ((low[a] <= high[b]) & (low[b] <= high[a])).all(1)
    a, b = a[meet], b[meet]
    apart = (vertex_at[a][:, :, None] != vertex_at[b][:, None, :]).all((1, 2))
    a, b = a[apart], b[apart]
    cut = _pierces(corners[a], corners[b]) | _pierces(corners[b], corners[a])
    found = np.zeros(len(corners), bool)
    found[a[cut]] = found[b[cut]] = True
    return found


def _near(corners: Float[np.ndarray, "face 3 3"]) -> Int[np.ndarray, "pair 2"]:
    """Pairs of triangles whose enclosing balls may touch, each once."""
    middle = corners.mean(1)
    radius = np.linalg.norm(corners - middle[:, None], axis=2).max(1)
    usual = float(np.percentile(radius, _LARGE_PERCENT))
    small, large = np.flatnonzero(radius <= usual), np.flatnonzero(radius > usual)
    tree = cKDTree(middle[small])
    pairs = [small[tree.query_pairs(2 * usual, output_type="ndarray")]]
    for face, others in zip(large, tree.query_ball_point(middle[large], radius[large] + usual), strict=True):
        pairs.append(np.stack([np.full(len(others), face), small[others]], 1))
    if len(large) > 1:
        first, second = np.triu_indices(len(large), 1)
        pairs.append(np.stack([large[first], large[second]], 1))
    return np.concatenate(pairs).astype(np.int64)


def _pierces(a: Float[np.ndarray, "pair 3 3"], b: Float[np.ndarray, "pair 3 3"]) -> Bool[np.ndarray, " pair"]:
    """Whether an edge of each `a` passes through the inside of its `b`, by signs of volumes of tetrahedra."""
    result = np.zeros(len(a), bool)
    normal = np.cross(b[:, 1] - b[:, 0], b[:, 2] - b[:, 0])
    side = np.einsum("pcx,px->pc", a - b[:, :1], normal)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        crosses = np.flatnonzero(side[:, start] * side[:, end] < 0)
        p, along = a[crosses, start], a[crosses, end] - a[crosses, start]
        turns = [
            np.einsum("px,px->p", along, np.cross(b[crosses, i] - p, b[crosses, (i + 1) % 3] - p)) for i in range(3)
        ]
        inside = (np.array(turns) > 0).all(0) | (np.array(turns) < 0).all(0)
        result[crosses[inside]] = True
    return result
