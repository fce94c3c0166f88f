"""When the actor is there, by their matte."""

import numpy as np
import pytest

from understudy.decompose.matte.presence import find_presence


def mattes(pixels: list[int]) -> list[np.ndarray]:
    """Mattes that show so many pixels of the actor, from the picture's left border on."""
    frames = []
    for count in pixels:
        frame = np.zeros((480, 270), np.uint8)
        frame.T.flat[:count] = 250
        frames.append(frame.T)
    return frames


def present(pixels: list[int]) -> list[int]:
    return np.flatnonzero(find_presence(mattes(pixels))).tolist()


def test_somebody_who_comes_late_and_leaves_early_is_there_only_between():
    assert present([0] * 5 + [40] * 8 + [0] * 30) == list(range(5, 13))


def test_the_first_hand_at_the_border_counts_and_specks_do_not():
    assert present([0, 2, 2, 6, 30, 90, 6, 3, 0]) == [3, 4, 5, 6]
    assert present([0, 30, 60, 9000, 80_000, 120_000, 9000, 130, 90, 0]) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize(("gap", "stays"), [(1, True), (12, True), (13, False), (40, False)])
def test_a_short_gap_does_not_blink_them_out_and_who_returns_later_was_away(gap, stays):
    expected = [*range(3), *(range(3, 3 + gap) if stays else ()), *range(3 + gap, 6 + gap)]
    assert present([50] * 3 + [0] * gap + [50] * 3) == expected


def test_pale_coverage_is_nobody():
    assert not find_presence([np.full((270, 480), 200, np.uint8)] * 4).any()
