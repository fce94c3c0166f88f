"""Bundle adjustment against its definition: projections of known points, and finite differences of the cost."""

from dataclasses import replace

import numpy as np
import pytest

from understudy.decompose.camera.bundle_adjustment import (
    Bundle,
    BundleConfig,
    adjust,
    refine_cameras,
    refine_points,
    residuals,
)
from understudy.geometry.rigid import similarity
from understudy.geometry.rotations import matrix_from_vector, rotation_angle


def made(translate: bool, cameras: int = 6, points: int = 60) -> Bundle:
    """Cameras that all see all points, without noise."""
    random = np.random.default_rng(1)
    X = np.concatenate([random.uniform([-3, -2, 4], [3, 2, 9], (points, 3)), np.ones((points, 1))], 1)
    if not translate:
        X[:, 3] = 0.0
    R = matrix_from_vector(0.08 * random.normal(size=(cameras, 3)))
    t = 0.4 * random.normal(size=(cameras, 3)) * translate
    R[0], t[0] = np.eye(3), 0.0
    bundle = Bundle(
        R,
        t,
        np.full(cameras, 700.0),
        np.array([320.0, 180.0]),
        X / np.linalg.norm(X, axis=1, keepdims=True),
        np.tile(np.arange(cameras), points),
        np.repeat(np.arange(points), cameras),
        np.zeros((cameras * points, 2)),
    )
    return replace(bundle, xy_px=residuals(bundle))


def shaken(bundle: Bundle, translate: bool, size: float) -> Bundle:
    random = np.random.default_rng(2)
    turn = size * random.normal(size=(len(bundle.focal_px), 3))
    shift = size * random.normal(size=turn.shape) * translate
    turn[0] = shift[0] = 0.0
    points = bundle.points + size * random.normal(size=bundle.points.shape) * [1, 1, 1, translate]
    return replace(
        bundle,
        R_camera_world=matrix_from_vector(turn) @ bundle.R_camera_world,
        t_camera_world=bundle.t_camera_world + shift,
        points=points / np.linalg.norm(points, axis=1, keepdims=True),
    )


@pytest.mark.parametrize("translate", [True, False])
def test_adjusting_finds_the_cameras_and_the_lens_again(translate: bool) -> None:
    truth = made(translate)
    start = replace(shaken(truth, translate, 0.01), focal_px=np.full(6, 620.0))
    found = adjust(start, BundleConfig(translate, scale_px=5.0, iterations=60))
    assert np.abs(residuals(found)).max() < 1e-2
    assert found.focal_px == pytest.approx(700.0, rel=1e-3)
    assert rotation_angle(np.swapaxes(found.R_camera_world, 1, 2) @ truth.R_camera_world).max() < 1e-3
    if translate:
        a, b = (-np.einsum("tji,tj->ti", x.R_camera_world, x.t_camera_world) for x in (found, truth))
        scale, R, t = similarity(a, b)
        np.testing.assert_allclose(scale * a @ R.T + t, b, atol=1e-3)


def test_a_zoom_is_found_camera_by_camera() -> None:
    truth = made(False)
    truth = replace(truth, focal_px=700.0 * np.linspace(1.0, 1.2, 6))
    truth = replace(truth, xy_px=truth.xy_px + residuals(truth))
    start = replace(shaken(truth, False, 0.003), focal_px=np.full(6, 760.0))
    found = adjust(start, BundleConfig(False, 5.0, "each", zoom_spread=1.0, iterations=60))
    np.testing.assert_allclose(found.focal_px, truth.focal_px, rtol=2e-3)


def test_a_tenth_of_wrong_points_does_not_bend_the_cameras() -> None:
    truth = made(True, points=120)
    wrong = truth.point < 12
    drifting = truth.xy_px + 9.0 * np.outer(truth.camera, [1.0, 0.4]) * wrong[:, None]
    found = adjust(replace(shaken(truth, True, 0.003), xy_px=drifting), BundleConfig(True, 0.5, "fixed", iterations=60))
    assert np.median(np.linalg.norm(residuals(found)[~wrong], axis=1)) < 0.05


@pytest.mark.parametrize("translate", [True, False])
def test_resection_and_triangulation_each_find_their_half(translate: bool) -> None:
    truth = made(translate)
    start = shaken(truth, translate, 0.01)
    cameras = refine_cameras(replace(start, points=truth.points), translate, 5.0, 30)
    assert np.abs(residuals(cameras)).max() < 1e-3
    points = refine_points(replace(truth, points=start.points), translate, 5.0, 40)
    assert np.abs(residuals(points)).max() < 1e-2
