"""The picture's own light taken out of its colours, so that a film's light is not added to it."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

from understudy.characters.picture.parts import FigureGrid
from understudy.imaging.colour import linear_from_srgb_bytes, srgb_bytes_from_linear

__all__ = ["unshaded"]

CLOTHS = 4
"""How many colours a figure's cells are sorted into; within each, what varies with the surface's direction is light."""
CHROMA_WEIGHTS = np.array([0.35, 1.0, 1.0])
"""Lightness counts little, since shading changes it."""
SORTINGS = 3
"""Cells are sorted into cloths anew when the light is known better."""
SAME_HUE, SAME_LIGHTNESS = 6.0, 25.0
"""Distances in a and b and in L of Lab up to which two of the colours are one cloth in light and shadow."""
ROUNDS = 8
HUBER = 0.12
"""Natural logarithm of brightness: what is farther from its cloth's is print, fold or shadow, and counts less."""
RIDGE = 0.001
"""Keeps the light plain unless many places agree."""
SHADE_RANGE = (0.45, 1.1)
"""Brightness of a place by that of one that faces the camera, of which no picture's smooth light has more."""
SAME_SURFACE_CELLS = 2.0
"""Behind the foremost vertex of a cell: of steep sides all, of what a part hides nothing."""
NORMAL_BLUR = 1.2
"""Cells."""
DARKEST = 2e-3
"""Linear light below which a picture's noise is all there is."""


def unshaded(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    rgb: UInt8[np.ndarray, "height width 3"],
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"],
) -> UInt8[np.ndarray, "height width 3"]:
    """The picture as if each place faced the camera: divided by the smooth light that its surface's directions explain.

    The logarithm of brightness is a constant of each cloth plus a quadratic in the normal, fitted robustly.

    Source: Ramamoorthi and Hanrahan 2001 (light on matt surfaces is of second order in the normal); Huber 1964.
    """
    normal, known = _normal_map(grid, vertices, normals)
    use = known & (grid.distance > 1.5) & (labels >= 0)
    if use.sum() < 20 * CLOTHS:
        return rgb
    light = linear_from_srgb_bytes(rgb) @ np.array([0.2126, 0.7152, 0.0722])
    at = _at_cells(grid, np.log(np.maximum(light, DARKEST)))
    basis = _basis(normal)
    weights = np.zeros(basis.shape[-1])
    for _ in range(SORTINGS):
        cloth = _cloths(_lightened(grid.lab[use], basis[use] @ weights))
        weights = _fitted(at[use], basis[use], cloth)
    shade = np.clip(np.exp(basis @ weights), *SHADE_RANGE)
    nearest = ndimage.distance_transform_edt(
        ~(known & (grid.distance > 0)), return_distances=False, return_indices=True
    )
    shade = ndimage.gaussian_filter(shade[tuple(nearest)], 0.7)
    to_grid = np.array(
        [
            [1 / grid.cell_px, 0, (0.5 - grid.origin_px[0]) / grid.cell_px - 0.5],
            [0, 1 / grid.cell_px, (0.5 - grid.origin_px[1]) / grid.cell_px - 0.5],
        ]
    )
    full = cv2.warpAffine(
        shade.astype(np.float32), to_grid, rgb.shape[1::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return srgb_bytes_from_linear(np.minimum(linear_from_srgb_bytes(rgb) / full[..., None], 1.0))


def _normal_map(
    grid: FigureGrid, vertices: Float[np.ndarray, "vertex 3"], normals: Float[np.ndarray, "vertex 3"]
) -> tuple[Float[np.ndarray, "row column 3"], Bool[np.ndarray, "row column"]]:
    """The surface's direction at each cell (x right, y up, z to the viewer), and where it is known."""
    rows, columns = grid.distance.shape
    facing = normals[:, 2] > 0.05
    cell = np.floor(vertices[facing, :2] * [1, -1]).astype(int)
    column, row = np.clip(cell, 0, [columns - 1, rows - 1]).T
    foremost = np.full((rows, columns), -np.inf)
    np.maximum.at(foremost, (row, column), vertices[facing, 2])
    # Legs inside a skirt, and its back, are behind what the picture shows.
    seen = vertices[facing, 2] > foremost[row, column] - SAME_SURFACE_CELLS
    total = np.zeros((rows, columns, 3))
    np.add.at(total, (row[seen], column[seen]), normals[facing][seen])
    known = np.linalg.norm(total, axis=-1) > 0
    smooth = np.stack([ndimage.gaussian_filter(total[..., i], NORMAL_BLUR) for i in range(3)], -1)
    return smooth / np.maximum(np.linalg.norm(smooth, axis=-1, keepdims=True), 1e-9), known


def _at_cells(grid: FigureGrid, value: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "row column"]:
    """The mean of a picture's values in each cell."""
    cell = grid.cell_px
    blurred = cv2.GaussianBlur(value.astype(np.float32), (0, 0), max(0.3, 0.4 * cell))
    to_picture = np.array(
        [[cell, 0, grid.origin_px[0] + 0.5 * cell - 0.5], [0, cell, grid.origin_px[1] + 0.5 * cell - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = grid.distance.shape[::-1]
    return cv2.warpAffine(blurred, to_picture, size, flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float64)


def _basis(normal: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 6"]:
    """Zero where a surface faces the camera."""
    x, y, z = normal[..., 0], normal[..., 1], normal[..., 2]
    return np.stack([x, y, z - 1, x * x, y * y, x * y], -1)


def _lightened(lab: Float[np.ndarray, "cell 3"], shade: Float[np.ndarray, " cell"]) -> Float[np.ndarray, "cell 3"]:
    """The colours divided by light, given as its natural logarithm."""
    offset, scale = 16.0, 116.0  # of lightness, CIE 1976
    root = (lab[:, 0] + offset) / scale * np.exp(-shade / 3)
    return np.column_stack([scale * root - offset, lab[:, 1:]])


def _cloths(lab: Float[np.ndarray, "cell 3"]) -> Int[np.ndarray, " cell"]:
    """Which of at most CLOTHS colours each cell has; light and shadow of one cloth are not told apart."""
    cv2.setRNGSeed(0)
    points = np.ascontiguousarray(lab * CHROMA_WEIGHTS, np.float32)
    criteria = (cv2.TERM_CRITERIA_MAX_ITER, 20, 0.1)
    _, which, middle = cv2.kmeans(
        points, CLOTHS, np.zeros((len(points), 1), np.int32), criteria, 2, cv2.KMEANS_PP_CENTERS
    )
    off = np.abs(middle[:, None] - middle) / CHROMA_WEIGHTS
    same = (np.hypot(off[..., 1], off[..., 2]) < SAME_HUE) & (off[..., 0] < SAME_LIGHTNESS)
    _, cloth = connected_components(same, directed=False)
    return cloth[which.ravel().astype(np.int64)].astype(np.int64)


def _fitted(
    value: Float[np.ndarray, " cell"], basis: Float[np.ndarray, "cell 6"], cloth: Int[np.ndarray, " cell"]
) -> Float[np.ndarray, "6"]:
    """Coefficients of the light, by iteratively reweighted least squares, each cloth about its own mean."""
    weight = np.ones(len(value))
    coefficients = np.zeros(basis.shape[1])
    for _ in range(ROUNDS):
        total = np.maximum(np.bincount(cloth, weight, CLOTHS), 1e-9)
        mean = np.bincount(cloth, weight * value, CLOTHS) / total
        middle = np.stack([np.bincount(cloth, weight * b, CLOTHS) / total for b in basis.T], -1)
        v, b = value - mean[cloth], basis - middle[cloth]
        gram = (b * weight[:, None]).T @ b + RIDGE * weight.sum() * np.eye(len(coefficients))
        coefficients = np.linalg.solve(gram, (b * weight[:, None]).T @ v)
        off = np.abs(v - b @ coefficients)
        weight = HUBER / np.maximum(off, HUBER)
    return coefficients
