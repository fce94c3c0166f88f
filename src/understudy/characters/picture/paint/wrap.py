"""Where in the picture the sides of a surface find their colour: inside the nearer rim of its front or its back."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage, sparse
from scipy.sparse.csgraph import dijkstra

from understudy.geometry.vectors import smooth_step

__all__ = ["FAR", "Wrap", "wrap_from"]

SMOOTHING_ROUNDS = 10
LEAST_ROUNDS = 1
"""Steps along a rim over which the least reach counts, before reaches are smoothed."""
FAR = 1e6
"""Farther than any place of a surface from any other, in cells."""
MAX_REACH = 28
"""Half cells that are looked at, inwards from a rim."""
SHARE_OF_REACH = 0.8
MIN_REACH = 2.0
"""Cells over which cloth goes back and forth at least."""
MAX_LEVEL_SHIFT = 6.0
"""Cells along a bone by which a rim's place is moved to a vertex's level."""


@dataclass(frozen=True)
class Wrap:
    """For each vertex a place of a rim, near it over the surface. Coordinates are the grid's (x right, y down).

    A place `away` from the rim looks up the picture `away` inside it, mirrored: texels keep their size, and a side
    shows its own garment. Beyond `reach` it goes back and forth.
    """

    rim: Float[np.ndarray, "vertex 2"]
    inwards: Float[np.ndarray, "vertex 2"]
    """Unit vectors in the picture."""
    away: Float[np.ndarray, " vertex"]
    """Over the surface, in cells; FAR where no rim can be reached."""
    reach: Float[np.ndarray, " vertex"]
    """How far inside the rim the middle of the shape is, in cells."""

    def at_level(self, place: Float[np.ndarray, "vertex 2"], along: Float[np.ndarray, "vertex 2"]) -> "Wrap":
        """Looking, where the rim is near, exactly across the bone from each vertex's own level: stripes stay straight.

        Args:
            place: of each vertex in the picture.
            along: unit vectors along its bone.
        """
        off = ((place - self.rim) * along).sum(1)
        slope = (self.inwards * along).sum(1)
        across = self.inwards - slope[:, None] * along
        level = smooth_step((0.85 - np.abs(slope)) / 0.3)[:, None]
        inwards = self.inwards + level * (across - self.inwards)
        inwards /= np.maximum(np.linalg.norm(inwards, axis=1, keepdims=True), 1e-6)
        shift = level * np.clip(off, -MAX_LEVEL_SHIFT, MAX_LEVEL_SHIFT)[:, None] * along
        return Wrap(self.rim + shift, inwards, self.away, self.reach)

    def within(
        self, depth: float, max_reach: Float[np.ndarray, " vertex"] | float = FAR
    ) -> Float[np.ndarray, "vertex 2"]:
        """Where in the picture each vertex's level is, so many cells inside the rim, or as far as there is reach."""
        return self.rim + np.minimum(np.minimum(self.reach, max_reach), depth)[:, None] * self.inwards

    def place(self, max_reach: Float[np.ndarray, " vertex"] | float = FAR) -> Float[np.ndarray, "vertex 2"]:
        """Where in the picture to look, going back and forth over the reach, or less of it."""
        reach = np.minimum(self.reach, max_reach)
        turn = np.mod(self.away, 2 * reach)
        return self.rim + np.minimum(turn, 2 * reach - turn)[:, None] * self.inwards


def wrap_from(
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"],
    edges: Int[np.ndarray, "edge 2"],
    cost: Float[np.ndarray, " edge"],
    seen: Bool[np.ndarray, " vertex"],
    rim: Bool[np.ndarray, " vertex"],
    depth: Float[np.ndarray, "row column"],
) -> Wrap:
    """Wrap all that is not `seen` from the places `rim`, along `edges` of the surface (both ends given once).

    Args:
        vertices: in cells, x right, y up, z to the viewer.
        cost: of each edge, by which the nearest place of the rim is chosen.
        rim: seen vertices beside unseen ones, from which colour is taken.
        depth: at each cell of the grid how far it lies within what is seen, in cells.

    Source of the paths: Dijkstra 1959.
    """
    count = len(vertices)
    starts = np.flatnonzero(rim)
    place = vertices[:, :2] * [1, -1]
    inwards, reach = np.zeros((count, 2)), np.full(count, MIN_REACH)
    if not len(starts):
        return Wrap(place, inwards, np.full(count, FAR), reach)
    away, source = _nearest(vertices, edges, cost, starts)
    lost = away >= FAR
    inwards[starts] = -_outwards(vertices, normals, edges, seen)[starts]
    reach[starts] = _reaches(place[starts], inwards[starts], depth)
    both = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    both = both + both.T
    beside = edges[rim[edges].all(1)]
    for _ in range(LEAST_ROUNDS):
        least = reach.copy()
        np.minimum.at(least, beside[:, 0], reach[beside[:, 1]])
        np.minimum.at(least, beside[:, 1], reach[beside[:, 0]])
        reach = least
    # Along the rim, directions and reaches change slowly, else the cloth is torn.
    near = _among(both, rim)
    mean = _mean(near + near @ near + sparse.diags(rim.astype(float)))
    for _ in range(SMOOTHING_ROUNDS):
        inwards, reach = mean @ inwards, mean @ reach
    rim_place, inwards, reach = place[source], inwards[source], reach[source]
    free = ~rim & ~lost
    mean = _mean(_among(both, ~lost))
    for turn in range(SMOOTHING_ROUNDS):
        rim_place[free] = (mean @ rim_place)[free]
        inwards[free] = (mean @ inwards)[free]
        reach[free] = (mean @ reach)[free]
        if turn < 3:
            away[free] = (mean @ away)[free]
    length = np.linalg.norm(inwards, axis=1, keepdims=True)
    return Wrap(rim_place, inwards / np.maximum(length, 1e-6), away, np.maximum(reach, MIN_REACH))


def _nearest(
    vertices: Float[np.ndarray, "vertex 3"],
    edges: Int[np.ndarray, "edge 2"],
    cost: Float[np.ndarray, " edge"],
    starts: Int[np.ndarray, " start"],
) -> tuple[Float[np.ndarray, " vertex"], Int[np.ndarray, " vertex"]]:
    """How long the cheapest path from one of the starts to each vertex is, and from which start it comes."""
    count = len(vertices)
    graph = sparse.coo_matrix((cost, (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    total, before, source = dijkstra(graph, directed=False, indices=starts, min_only=True, return_predecessors=True)
    lost = ~np.isfinite(total)
    before = np.where(lost | (before < 0), np.arange(count), before)
    away = np.linalg.norm(vertices - vertices[before], axis=1)
    # Each round doubles the length of path that is summed up.
    while (before != before[before]).any():
        away, before = away + away[before], before[before]
    return np.where(lost, FAR, away), np.where(lost, np.arange(count), source)


def _among(graph: sparse.csr_matrix, chosen: Bool[np.ndarray, " vertex"]) -> sparse.csr_matrix:
    only = sparse.diags(chosen.astype(float))
    return sparse.csr_matrix(only @ graph @ only)


def _mean(graph: sparse.csr_matrix) -> sparse.csr_matrix:
    graph = graph.tocsr()
    graph.data[:] = 1.0
    return (sparse.diags(1 / np.maximum(np.asarray(graph.sum(1)).ravel(), 1.0)) @ graph).tocsr()


def _outwards(
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"],
    edges: Int[np.ndarray, "edge 2"],
    seen: Bool[np.ndarray, " vertex"],
) -> Float[np.ndarray, "vertex 2"]:
    """In the picture, where the unseen lies from seen vertices beside it: unit vectors."""
    total = np.zeros((len(vertices), 2))
    for a, b in ((0, 1), (1, 0)):
        start, end = edges[:, a], edges[:, b]
        over = seen[start] & ~seen[end]
        np.add.at(total, start[over], (vertices[end[over]] - vertices[start[over]])[:, :2])
    total += 0.5 * normals[:, :2]
    total *= [1, -1]
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-6)


def _reaches(
    places: Float[np.ndarray, "place 2"], inwards: Float[np.ndarray, "place 2"], depth: Float[np.ndarray, "row column"]
) -> Float[np.ndarray, " place"]:
    """How far inwards of each place the middle of the shape is, in cells."""
    steps = 0.5 * np.arange(MAX_REACH + 1)
    x, y = (places[:, None, i] + steps * inwards[:, None, i] - 0.5 for i in (0, 1))
    within = ndimage.map_coordinates(depth, [y, x], order=1, mode="nearest")
    deeper = (np.diff(within, axis=1, append=within[:, -1:]) > -0.05) & (within > 0)
    return SHARE_OF_REACH * 0.5 * np.logical_and.accumulate(deeper, 1).sum(1)
