"""A surface laid out flat: charts that look along an axis each, packed into a square."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse.csgraph import connected_components

__all__ = ["MIN_AREA_SHARE", "Charts", "Texels", "lay_charts", "texels_of"]

AXES = np.array([[0, 0, 1], [0, 0, -1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], np.float64)
PLANES = ((0, 1), (0, 1), (2, 1), (2, 1), (0, 2), (0, 2))
"""The two coordinates that each axis's charts keep."""
FRONT_COSINE = 0.5
"""Faces within 60° of the view belong to a chart of the front or the back: the picture's pixels stay as they are."""
MIN_AREA_SHARE = 0.25
"""Of a face's area that its chart shows at least, so that no texel is drawn out more than four times."""
VOTES = 3
"""Rounds in which faces take the axis of those around them, so that seams don't zigzag."""
GAP = 1
"""Empty cells around each chart."""


@dataclass(frozen=True)
class Charts:
    """A surface split where charts meet."""

    old: Int[np.ndarray, " corner"]
    """For each new vertex the one it was."""
    faces: Int[np.ndarray, "face 3"]
    """Over the new vertices."""
    place: Float[np.ndarray, "corner 2"]
    """In the square, in units of the surface: x right, y down."""
    side: int
    """Of the square."""


@dataclass(frozen=True)
class Texels:
    """The texels that faces cover."""

    index: Int[np.ndarray, " texel"]
    """In the flattened square."""
    face: Int[np.ndarray, " texel"]
    share: Float[np.ndarray, "texel 3"]
    """Of each of the face's corners; they sum to one."""


def lay_charts(
    vertices: Float[np.ndarray, "vertex 3"],
    faces: Int[np.ndarray, "face 3"],
    group: Int[np.ndarray, " vertex"],
) -> Charts:
    """Charts of connected faces that look along one axis and are of one group, at the surface's own scale.

    Each is the parallel projection along its axis. Groups keep what hides something else apart from it.
    """
    chart, axis = _charts(vertices, faces, group)
    unique, new = np.unique(faces * (int(chart.max()) + 1) + chart[:, None], return_inverse=True)
    old, of_chart = unique // (int(chart.max()) + 1), unique % (int(chart.max()) + 1)
    new = new.reshape(faces.shape)
    planes = np.array(PLANES)[axis[of_chart]]
    place = np.take_along_axis(vertices[old], planes, 1) * [1, -1]
    count = int(chart.max()) + 1
    low = np.full((count, 2), np.inf)
    np.minimum.at(low, of_chart, place)
    low = np.floor(low)
    place = place - low[of_chart]
    order = np.argsort(chart, kind="stable")
    pieces = np.split(new[order], np.cumsum(np.bincount(chart, minlength=count))[:-1])
    corners, side = _pack([_mask(place[piece]) for piece in pieces])
    return Charts(old, new, place + corners[of_chart], side)


def texels_of(charts: Charts, size_px: int) -> Texels:
    """Which face each texel of a square texture shows, and where in it; borders reach half a texel over."""
    scale = size_px / charts.side
    corners = charts.place[charts.faces] * scale
    image = np.full((size_px, size_px), -1, np.int32)
    shift = 6
    fixed = np.round((corners - 0.5) * (1 << shift)).astype(np.int32)
    for face, points in enumerate(fixed):
        cv2.fillConvexPoly(image, points, face, cv2.LINE_8, shift)
    index = np.flatnonzero(image >= 0)
    face = image.ravel()[index].astype(np.int64)
    at = np.stack([index % size_px, index // size_px], -1) + 0.5
    a, b, c = (corners[face, i] for i in range(3))
    u, v, w = b - a, c - a, at - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    second = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / area
    third = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / area
    share = np.clip(np.stack([1 - second - third, second, third], -1), 0, 1)
    return Texels(index, face, share / share.sum(1, keepdims=True))


def _charts(
    vertices: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"], group: Int[np.ndarray, " vertex"]
) -> tuple[Int[np.ndarray, " face"], Int[np.ndarray, " chart"]]:
    """The chart of each face, and the axis of each chart."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    cosine = normal @ AXES.T
    own = np.where(np.abs(normal[:, 2]) > FRONT_COSINE, cosine[:, :2].argmax(1), cosine.argmax(1))
    axis = own
    for _ in range(VOTES):
        votes = np.zeros((len(vertices), len(AXES)))
        for corner in range(3):
            np.add.at(votes, (faces[:, corner], axis), 1.0)
        wanted = votes[faces].sum(1)
        axis = np.where(cosine > MIN_AREA_SHARE, wanted, -1.0).argmax(1)
    arm = np.sort(group[faces], 1)[:, 1]
    kind = axis * (int(group.max()) + 1) + arm
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    of_face = np.repeat(np.arange(len(faces)), 3)[order]
    same = (edges[order][1:] == edges[order][:-1]).all(1) & (kind[of_face[1:]] == kind[of_face[:-1]])
    pairs = of_face[1:][same], of_face[:-1][same]
    graph = sparse.coo_matrix((np.ones(same.sum()), pairs), (len(faces), len(faces)))
    count, chart = connected_components(graph, directed=False)
    axis_of = np.zeros(count, np.int64)
    axis_of[chart] = axis
    return chart.astype(np.int64), axis_of


def _mask(triangles: Float[np.ndarray, "face 3 2"]) -> Float[np.ndarray, "row column"]:
    """The cells that a chart needs."""
    columns, rows = np.ceil(triangles.reshape(-1, 2).max(0)).astype(int) + 1 + 2 * GAP
    mask = np.zeros((rows, columns), np.uint8)
    shift = 4
    for points in np.round((triangles + GAP - 0.5) * (1 << shift)).astype(np.int32):
        cv2.fillConvexPoly(mask, points, 1, cv2.LINE_8, shift)
    return cv2.dilate(mask, np.ones((1 + 2 * GAP, 1 + 2 * GAP), np.uint8)).astype(np.float32)


def _pack(masks: list[np.ndarray]) -> tuple[Float[np.ndarray, "chart 2"], int]:
    """Where each chart's origin comes, and the side of the square that holds them all: the largest ones first, each as
    near to the square's corner as it fits."""
    corners = np.zeros((len(masks), 2))
    side = max(int(np.ceil(np.sqrt(1.1 * sum(mask.sum() for mask in masks)))), max(max(m.shape) for m in masks))
    taken = np.zeros((side, side), np.float32)
    for index in sorted(range(len(masks)), key=lambda i: (-masks[i].sum(), i)):
        rows, columns = masks[index].shape
        while True:
            free = cv2.matchTemplate(taken, masks[index], cv2.TM_CCORR) < 0.5
            if free.any():
                break
            grow = max(2, len(taken) // 25)
            taken = np.pad(taken, ((0, grow), (0, grow)))
        y, x = np.nonzero(free)
        best = np.argmin(np.maximum(x + columns, y + rows) * 4.0 * len(taken) + x + y)
        taken[y[best] : y[best] + rows, x[best] : x[best] + columns] += masks[index]
        corners[index] = x[best] + GAP, y[best] + GAP
    return corners, len(taken)
