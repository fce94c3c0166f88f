"""Figures of few values many times over."""

import numpy as np
import pytest

from understudy.imaging.channels import inside_picture


@pytest.mark.parametrize("shape", [(7,), (5, 6)])
def test_positions_on_the_edge_are_inside_and_lost_ones_are_not(shape):
    at = np.random.default_rng(1).uniform(-3, 12, (*shape, 2)).astype(np.float32)
    at.reshape(-1, 2)[:4] = [[1, 1], [8, 4], [np.nan, 2], [2, np.inf]]
    x, y = at[..., 0], at[..., 1]
    expected = (x >= 1) & (y >= 1) & (x <= 8) & (y <= 4)
    assert 2 <= expected.sum() < expected.size
    np.testing.assert_array_equal(inside_picture(at, 6, 10, rim=1), expected)


def test_no_positions_are_no_error():
    assert inside_picture(np.zeros((0, 2), np.float32), 6, 10).shape == (0,)
