"""Which triangles of a surface cut through others."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import cKDTree

__all__ = ["intersecting"]


def intersecting(
    corners: Float[np.ndarray, "face 3 3"],
    vertex_at: Int[np.ndarray, "face 3"],
    part: Int[np.ndarray, " face"] | None = None,
) -> Bool[np.ndarray, " face"]:
    """Whether each triangle cuts through another that shares no vertex with it (`vertex_at`: numbers of its vertices).

    An edge of one of the two then passes through the other's inside. Triangles in one plane do not count; where `part`
    is given, nor do those of one part.
    """
    pairs = _near(corners)
    if part is not None:
        pairs = pairs[part[pairs[:, 0]] != part[pairs[:, 1]]]
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
    """Pairs of triangles whose enclosing balls may touch, each once; looked up by classes of size, each twice as large
    as the one before, because a few large triangles would make every small one a neighbour of hundreds."""
    middle = corners.mean(1)
    radius = np.linalg.norm(corners - middle[:, None], axis=2).max(1)
    smallest = max(float(np.percentile(radius, 5)), 1e-12)
    size = np.maximum(np.ceil(np.log2(np.maximum(radius / smallest, 1e-9))), 0).astype(int)
    groups = [np.flatnonzero(size == number) for number in np.unique(size)]
    reach = [float(radius[group].max()) for group in groups]
    trees = [cKDTree(middle[group]) for group in groups]
    pairs = []
    for large, (own, tree) in enumerate(zip(groups, trees, strict=True)):
        pairs.append(own[tree.query_pairs(2 * reach[large], output_type="ndarray")])
        for small in range(large):
            found = trees[small].query_ball_point(middle[own], reach[large] + reach[small])
            counts = [len(some) for some in found]
            others = groups[small][np.concatenate(found).astype(np.int64)] if sum(counts) else np.zeros(0, np.int64)
            pairs.append(np.stack([np.repeat(own, counts), others], 1))
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
