"""Unit vectors, the smooth step, and the normals of meshes, by their definitions."""

import numpy as np
import pytest

from understudy.geometry.meshes import unit_normals, vertex_normals
from understudy.geometry.vectors import smooth_step, unit


def test_unit_keeps_directions_and_zero():
    v = np.array([[3.0, 0.0, -4.0], [0.0, 0.0, 0.0], [0.0, 1e-6, 0.0]])
    np.testing.assert_allclose(unit(v), [[0.6, 0.0, -0.8], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]], atol=1e-12)


def test_smooth_step_is_level_at_its_ends_and_half_in_the_middle():
    x = np.array([-2.0, 0.0, 0.25, 0.5, 1.0, 3.0])
    np.testing.assert_allclose(smooth_step(x), [0.0, 0.0, 0.15625, 0.5, 1.0, 1.0])
    near = 1e-4
    assert smooth_step(np.array([near]))[0] < 4 * near**2 and 1 - smooth_step(np.array([1 - near]))[0] < 4 * near**2


def test_vertex_normals_are_means_by_area_and_turn_by_the_right_hand():
    """Two faces at a right angle, one three times as large: the shared edge leans towards the large one."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 3, 0], [0, 0, 1], [9, 9, 9]], float)
    faces = np.array([[0, 1, 2], [0, 3, 1]])  # +Z with area 3/2; +Y with area 1/2
    normals = vertex_normals(vertices, faces, (0.0, 0.0, 1.0))
    shared = np.array([0.0, 1.0, 3.0]) / np.sqrt(10)
    np.testing.assert_allclose(normals, [shared, shared, [0, 0, 1], [0, 1, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(vertex_normals(vertices, faces[:, ::-1])[:4], -normals[:4], atol=1e-12)
    np.testing.assert_allclose(vertex_normals(vertices, faces)[4], 0)


@pytest.mark.parametrize("length", [1e-9, 1.0, 1e9])
def test_normals_of_models_in_any_unit_count_and_broken_ones_do_not(length):
    normals = unit_normals(np.array([[0, length, 0], [0, 0, 0], [np.inf, 0, 0], [np.nan, 0, 0]]), (1.0, 0.0, 0.0))
    np.testing.assert_allclose(normals, [[0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]])
