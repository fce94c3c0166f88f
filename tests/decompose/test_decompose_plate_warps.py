"""The small steps of a travelling camera's plate: maps, alignment, tone, depth's smoothing, parts of a hole."""

import cv2
import numpy as np
import pytest

from understudy.decompose.plate.affine_residual import AlignmentTarget, affine_residual
from understudy.decompose.plate.blend import Box, match_tone
from understudy.decompose.plate.mosaic import Witness, steady
from understudy.decompose.plate.parallax import _parts as parts
from understudy.decompose.plate.plane_sweep import SweepConfig
from understudy.decompose.plate.plane_sweep import _semi_global as semi_global
from understudy.decompose.plate.warp_fit import WarpFit, WarpTarget, fit_warp, full_size_map, positions_of

SCALE = 5


def texture(rows: int, columns: int) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(20, 230, (rows, columns, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return (noise - noise.mean()) * 4 + 120


def test_full_size_map_and_single_positions_follow_the_coarse_map():
    y, x = np.mgrid[0:40, 0:60].astype(np.float32)
    coarse = np.dstack([SCALE * x + 7, SCALE * y - 3]).astype(np.float32)
    fit = WarpFit(coarse, np.ones(3), np.zeros(3), np.zeros((40, 60, 3)), np.ones((40, 60), bool))
    box = Box(10, 170, 20, 280)
    found = full_size_map(fit, box, SCALE)
    rows, columns = np.mgrid[box.top : box.bottom, box.left : box.right]
    expected = np.dstack([columns + 7 + 0.5 - SCALE / 2, rows - 3 + 0.5 - SCALE / 2])
    # OpenCV looks up at 32 places between two pixels.
    assert np.abs(found - expected).max() < SCALE / 32
    places = (a.ravel()[::97].astype(np.int32) for a in (rows, columns))
    assert np.abs(positions_of(fit, *places, SCALE) - expected.reshape(-1, 2)[::97]).max() < SCALE / 32


def test_a_source_is_brought_to_its_target_s_place_and_tone():
    whole = texture(120, 160)
    target = WarpTarget(whole[10:90, 10:130], np.ones((80, 120), bool))
    source = (whole - 9) / 1.1
    y, x = np.mgrid[0:80, 0:120].astype(np.float32)
    off = SCALE * (np.dstack([x, y]) + 10 + 0.5) - 0.5
    fit = fit_warp(source.astype(np.float32), off.astype(np.float32), target, SCALE)
    np.testing.assert_allclose(fit.gain, 1.1, atol=0.03)
    assert np.abs(fit.small - target.small)[5:-5, 5:-5].mean() < 1.0


def test_alignment_ignores_what_moved_and_gives_up_on_plain_pictures():
    picture = texture(100, 140)
    moved = picture.copy()
    moved[30:60, 30:70] = 250
    shifted = cv2.warpAffine(picture, np.array([[1, 0, 1.3], [0, 1, -0.8]]), (140, 100), borderMode=cv2.BORDER_REFLECT)
    A = affine_residual(shifted, AlignmentTarget.of(moved), np.ones((100, 140), bool))
    np.testing.assert_allclose(A, [[1, 0, 1.3], [0, 1, -0.8]], atol=0.08)
    plain = np.full((100, 140, 3), 90, np.float32)
    np.testing.assert_array_equal(
        affine_residual(plain, AlignmentTarget.of(plain), np.ones((100, 140), bool)), np.eye(3)[:2]
    )


@pytest.mark.parametrize("shake_px", [0.0, 1.2])
def test_a_shaking_camera_s_frames_are_steadied_and_a_still_one_s_kept(shake_px):
    picture, nobody = np.clip(texture(100, 140), 0, 255), np.zeros((100, 140), bool)
    witnesses = []
    for time in range(7):
        M = np.array([[1, 0, shake_px * np.cos(2 * time)], [0, 1, shake_px * np.sin(2 * time)]])
        moved = cv2.warpAffine(picture, M, (140, 100), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        witnesses.append(Witness(time, np.clip(moved, 0, 255).astype(np.uint8), nobody, nobody))
    steadied, shaky = steady(witnesses)
    assert shaky == (shake_px > 0)
    middle = steadied[3].picture.astype(float)
    off = [np.abs(witness.picture - middle)[10:-10, 10:-10].mean() for witness in steadied]
    assert max(off) < 2.0


def test_tone_is_that_of_most_pixels():
    fill = texture(60, 80)
    frame = fill * [0.9, 1.0, 1.1] + [5, -3, 8]
    frame[:15] = 240
    gain, offset = match_tone(fill, frame.astype(np.float32), np.ones((60, 80), bool))
    np.testing.assert_allclose(gain, [0.9, 1.0, 1.1], atol=0.02)
    np.testing.assert_allclose(gain * 120 + offset, np.array([0.9, 1.0, 1.1]) * 120 + [5, -3, 8], atol=0.5)


@pytest.mark.parametrize("walls", [0, 2])
def test_smoothed_costs_are_those_of_the_cheapest_paths_from_four_sides(walls):
    config = SweepConfig()
    cost = np.random.default_rng(2).uniform(0, 40, (6, 4, 5)).astype(np.float32)
    count, rows, columns = cost.shape
    change = np.full((count, count), config.smooth_jump)
    np.fill_diagonal(change, 0)
    for plane in range(walls, count - 1):
        change[plane, plane + 1] = change[plane + 1, plane] = config.smooth_step
    expected = np.zeros_like(cost)
    for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        path = cost.copy()
        for y in range(rows)[:: dy or 1]:
            for x in range(columns)[:: dx or 1]:
                if 0 <= y - dy < rows and 0 <= x - dx < columns:
                    last = path[:, y - dy, x - dx]
                    path[:, y, x] += (last[:, None] + change).min(0) - last.min()
        expected += path
    np.testing.assert_allclose(semi_global(cost, walls, config), expected, rtol=1e-5)


def test_parts_hold_all_that_is_needed_and_little_else():
    needed = np.zeros((300, 400), bool)
    for row in range(20, 290):
        needed[row, row : row + 30] = True
    held = np.zeros_like(needed)
    for part in parts(needed):
        held[part.slices] = True
    assert not (needed & ~held).any()
    assert held.sum() < 0.4 * 270 * 300
