"""What is drawn is confined to where something can be, and to no less."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from understudy.render.backends.opengl_targets import tiles_of
from understudy.render.views import PixelBounds, covered_runs, ground_outline


def painted(runs, box):
    picture = np.zeros((box.height, box.width), int)
    for run in runs:
        picture[run.top : run.bottom, run.left : run.right] += 1
    return picture


def inside(triangle, x, y):
    """Which of the points lie in a triangle, by the signs of three areas."""
    (ax, ay), (bx, by), (cx, cy) = triangle
    areas = [(qx - px) * (y - py) - (qy - py) * (x - px)
             for (px, py), (qx, qy) in (((ax, ay), (bx, by)), ((bx, by), (cx, cy)), ((cx, cy), (ax, ay)))]  # fmt: skip
    return np.all(np.array(areas) >= 0, 0) | np.all(np.array(areas) <= 0, 0)


@pytest.mark.parametrize("size", [3.0, 60.0])
def test_no_face_lies_outside_the_cells_and_few_cells_are_without(size):
    rng = np.random.default_rng(1)
    box = PixelBounds(37, 11, 37 + 203, 11 + 150)
    corners = rng.uniform([0, 0], [280, 180], (12, 1, 2)) + rng.normal(0, size, (12, 3, 2))
    y, x = np.mgrid[: box.height, : box.width] + 0.5
    expected = np.any([inside(triangle - [box.left, box.top], x, y) for triangle in corners], axis=0)
    seen = painted(covered_runs(corners.reshape(-1, 2), np.arange(36).reshape(12, 3), box), box)
    assert seen.max() == 1 and (seen[expected] == 1).all()
    if size < 10:
        assert 0.02 < seen.mean() < 0.35


def test_the_outline_holds_every_disc_and_little_more():
    rng = np.random.default_rng(2)
    discs = np.concatenate([rng.normal(0, 1, (40, 2)), rng.uniform(0, 0.6, (40, 1))], 1)
    outline = ground_outline(discs, 16)
    assert outline.shape == (16, 3) and not outline[:, 1].any()
    angle = np.linspace(0, 2 * np.pi, 200)
    rims = discs[:, None, :2] + discs[:, None, 2:] * np.stack([np.cos(angle), np.sin(angle)], -1)
    corners, following = outline[:, [0, 2]], np.roll(outline[:, [0, 2]], -1, 0)
    edges, from_corner = following - corners, rims.reshape(-1, 1, 2) - corners
    left_of_edge = edges[:, 0] * from_corner[..., 1] - edges[:, 1] * from_corner[..., 0]
    assert left_of_edge.min() > -1e-9
    assert ConvexHull(corners).volume < 1.1 * ConvexHull(rims.reshape(-1, 2)).volume


@pytest.mark.parametrize("width, height, factor", [(640, 700, 2), (1920, 1080, 1), (1920, 1080, 2), (5000, 40, 2)])
def test_tiles_cover_a_box_once_and_are_few(width, height, factor):
    tiles = tiles_of(PixelBounds(7, 9, 7 + width, 9 + height), factor)
    assert (painted([PixelBounds(t.left - 7, t.top - 9, t.right - 7, t.bottom - 9) for t in tiles],
                    PixelBounds(0, 0, width, height)) == 1).all()  # fmt: skip
    assert len(tiles) == {(640, 2): 1, (1920, 1): 1, (1920, 2): 6, (5000, 2): 7}[width, factor]
