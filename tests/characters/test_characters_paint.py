"""The texture of a character of one picture: charts without stretch, cloth that goes on around, shading taken out."""

import cv2
import numpy as np
import pytest
from skimage.measure import marching_cubes

from understudy.characters.picture.paint.charts import MIN_AREA_SHARE, lay_charts, texels_of
from understudy.characters.picture.paint.shading import unshaded
from understudy.characters.picture.paint.wrap import wrap_from
from understudy.characters.picture.parts import FigureGrid
from understudy.geometry.meshes import vertex_normals
from understudy.imaging.colour import linear_from_srgb_bytes, srgb_bytes_from_linear

RADII = np.array([14.0, 22.0, 10.0])


@pytest.fixture(scope="module")
def egg() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An ellipsoid's vertices (its middle at x = 30, y = −30), faces and normals."""
    axes = np.mgrid[-30:31, -30:31, -30:31]
    inside = 1 - np.sqrt(sum((axis / radius) ** 2 for axis, radius in zip(axes, RADII, strict=True)))
    vertices, faces, _, _ = marching_cubes(inside, 0.0)
    vertices = vertices.astype(np.float64) - 30
    faces = faces.astype(np.int64)
    if np.einsum("fi,fi->", vertices[faces[:, 0]], np.cross(vertices[faces[:, 1]], vertices[faces[:, 2]])) < 0:
        faces = faces[:, ::-1].copy()
    vertices += [30, -30, 0]
    return vertices, faces, vertex_normals(vertices, faces)


def areas(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Of triangles in the plane or in space."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    if points.shape[1] == 2:
        u, v = b - a, c - a
        return 0.5 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def test_no_texel_is_drawn_out(egg):
    vertices, faces, _ = egg
    charts = lay_charts(vertices, faces, np.zeros(len(vertices), np.int64))
    whole = areas(vertices, faces)
    share = areas(charts.place, charts.faces)[whole > 1e-3] / whole[whole > 1e-3]
    assert share.min() > MIN_AREA_SHARE - 1e-6
    assert share.max() < 1 + 1e-6
    np.testing.assert_array_equal(charts.old[charts.faces], faces)


def test_charts_do_not_overlap_and_fill_much_of_the_square(egg):
    vertices, faces, _ = egg
    charts = lay_charts(vertices, faces, np.zeros(len(vertices), np.int64))
    texels = texels_of(charts, 8 * charts.side)
    covered = 64 * areas(charts.place, charts.faces).sum()
    assert len(texels.index) > 0.97 * covered
    assert len(texels.index) > 0.35 * (8 * charts.side) ** 2
    at = np.einsum("tc,tci->ti", texels.share, charts.place[charts.faces[texels.face]]) * 8
    centre = np.stack([texels.index % (8 * charts.side), texels.index // (8 * charts.side)], -1) + 0.5
    assert np.quantile(np.abs(at - centre).max(1), 0.95) < 1.0


def test_unseen_sides_look_where_the_same_cloth_is_seen_at_their_own_level(egg):
    vertices, faces, normals = egg
    seen = normals[:, 2] > 0.57
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), axis=0)
    beside = np.zeros(len(vertices), bool)
    for a, b in ((0, 1), (1, 0)):
        beside[edges[~seen[edges[:, b]], a]] = True
    outer = edges[(~seen | beside)[edges].all(1)]
    step = vertices[outer[:, 0]] - vertices[outer[:, 1]]
    cost = np.hypot(np.linalg.norm(step, axis=1), 4 * step[:, 1])
    cloth = np.zeros((60, 60, 4))
    row, column = np.mgrid[:60, :60] + 0.5
    cloth[..., 3] = 14 * (1 - np.hypot((column - 30) / RADII[0], (row - 30) / RADII[1]))
    # A print in the middle: nothing of it may come around.
    cloth[np.hypot(column - 30, row - 30) < 4, 0] = 80.0
    left = wrap_from(vertices, normals, outer, cost, seen, seen & beside & (normals[:, 0] < 0), cloth)
    along = np.tile([0.0, 1.0], (len(vertices), 1))
    place = vertices[:, :2] * [1, -1]
    level = left.at_level(place, along)
    looked = level.place(level.reach)
    side = ~seen & (vertices[:, 0] < 29) & (np.abs(vertices[:, 1] + 30) < 10)
    assert side.sum() > 200
    assert np.abs(looked[side, 1] - place[side, 1]).max() < 1.5, "stripes stay level"
    assert np.hypot(*(looked[side] - 30).T).min() > 3.7, "the print stays in front"
    assert looked[side, 0].max() < 30, "each side looks at its own half"
    turns = np.ptp(looked[side & (np.abs(vertices[:, 1] + 30) < 2), 0])
    assert turns > 1.0, "no stripe of one colour"


def egg_picture(lit: bool) -> tuple[FigureGrid, np.ndarray]:
    """The ellipsoid, red above and blue below, four pixels a cell, under light from above the camera or without any."""
    y, x = (np.mgrid[:240, :240] + 0.5) / 4
    across = ((x - 30) / RADII[0]) ** 2 + ((y - 30) / RADII[1]) ** 2
    normal = np.stack(
        [(x - 30) / RADII[0] ** 2, (30 - y) / RADII[1] ** 2, np.sqrt(np.maximum(1 - across, 0)) / RADII[2]], -1
    )
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    albedo = np.where((y < 30)[..., None], [0.5, 0.08, 0.06], [0.06, 0.10, 0.4])
    light = 0.35 + 0.65 * np.maximum(normal @ np.array([-0.3, 0.5, 0.81]), 0) if lit else np.ones_like(x)
    rgb = srgb_bytes_from_linear(albedo * light[..., None] * (across < 1)[..., None])
    row, column = np.mgrid[:60, :60] + 0.5
    distance = 14 * (1 - np.hypot((column - 30) / RADII[0], (row - 30) / RADII[1]))
    lab = cv2.cvtColor(
        cv2.resize(rgb, (60, 60), interpolation=cv2.INTER_AREA).astype(np.float32) / 255, cv2.COLOR_RGB2LAB
    )
    grid = FigureGrid(4.0, np.zeros(2), distance, lab.astype(np.float64), np.zeros((20, 2)), None, 44.0)
    return grid, rgb


def unevenness(rgb: np.ndarray) -> float:
    """How much brightness varies over the ellipsoid's lower half, away from its edges."""
    light = linear_from_srgb_bytes(rgb[130:175, 90:150]).sum(-1)
    return float(np.std(np.log(light)))


def test_the_pictures_light_is_taken_out(egg):
    vertices, _, normals = egg
    grid, rgb = egg_picture(lit=True)
    labels = np.where(grid.distance > 0, 0, -1)
    flat = unshaded(grid, labels, rgb, vertices, normals)
    assert unevenness(rgb) > 0.08
    assert unevenness(flat) < 0.3 * unevenness(rgb)


def test_a_flat_drawing_stays_as_it_is(egg):
    vertices, _, normals = egg
    grid, rgb = egg_picture(lit=False)
    labels = np.where(grid.distance > 0, 0, -1)
    flat = unshaded(grid, labels, rgb, vertices, normals)
    inside = cv2.resize((grid.distance > 1).astype(np.uint8), (240, 240)) > 0
    assert np.abs(flat.astype(int) - rgb)[inside].mean() < 2
