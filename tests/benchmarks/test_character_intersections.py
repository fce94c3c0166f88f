"""The benchmark of characters finds the triangles that cut through others."""

import numpy as np
from known_bodies import benchmark

intersecting = benchmark("intersections").intersecting


def apart(count: int) -> np.ndarray:
    """Numbers of vertices for triangles that share none."""
    return np.arange(3 * count).reshape(count, 3)


def sheet(height: float, cells: int) -> np.ndarray:
    """A square in the plane z = height, cut into triangles, as corners."""
    x, y = np.meshgrid(np.arange(cells), np.arange(cells))
    low = np.stack([x.ravel(), y.ravel(), np.full(x.size, height)], 1).astype(float)
    right, up = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    return np.concatenate(
        [np.stack([low, low + right, low + up], 1), np.stack([low + right, low + right + up, low + up], 1)]
    )


def test_a_large_triangle_cuts_just_the_small_ones_that_its_plane_meets():
    wall = np.array([[[3.3, -5.0, -5.0], [3.3, 30.0, -5.0], [3.3, 5.0, 30.0]]])
    corners = np.concatenate([sheet(0.0, 8), wall])
    found = intersecting(corners, apart(len(corners)))
    reaches = (corners[..., 0].min(1) < 3.3) & (corners[..., 0].max(1) > 3.3)
    assert found[-1] and np.array_equal(found[:-1], reaches[:-1])


def test_triangles_beside_over_and_in_the_plane_of_each_other_do_not_cut():
    corners = np.concatenate([sheet(0.0, 5), sheet(0.1, 5), sheet(0.0, 5) + [9.0, 0.0, 0.0]])
    assert not intersecting(corners, apart(len(corners))).any()


def test_neighbours_are_left_out():
    corners = np.array([[[0.0, 0, 0], [2, 0, 0], [0, 2, 0]], [[0.3, 0.3, -1], [0.4, 0.3, 1], [0.3, 0.4, 1]]])
    assert intersecting(corners, apart(2)).all()
    assert not intersecting(corners, np.array([[0, 1, 2], [2, 3, 4]])).any()


def test_all_pairs_are_found_as_by_brute_force():
    rng = np.random.default_rng(4)
    corners = rng.uniform(0, 4, (70, 1, 3)) + rng.normal(0, 0.6, (70, 3, 3)) * rng.choice([0.3, 1.0, 2.0], (70, 1, 1))
    one_by_one = np.zeros(70, bool)
    for a in range(70):
        for b in range(a):
            if intersecting(corners[[a, b]], apart(2)).any():
                one_by_one[[a, b]] = True
    assert 20 < one_by_one.sum() < 65
    assert np.array_equal(intersecting(corners, apart(70)), one_by_one)
