"""Metrics: laws, and agreement with public reference code."""

import json

import numpy as np
import pytest
import torch
from lpips_weights import linear_weights, trunk_weights

from understudy.geometry.rigid import invert, transform_from
from understudy.geometry.rotations import matrix_from_vector
from understudy.metrics import camera, image, motion
from understudy.metrics.lpips import Lpips
from understudy.runtime.errors import FileFormatError


@pytest.fixture
def joints() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 22, 3))


def test_alignment_removes_what_it_should(joints):
    R, t = matrix_from_vector(np.array([0.3, -0.7, 0.2])), np.array([1.0, 2.0, 3.0])
    assert motion.mpjpe_mm(joints + t, joints).max() < 1e-9
    assert motion.mpjpe_mm(joints @ R.T, joints).mean() > 100
    assert motion.pa_mpjpe_mm(1.7 * joints @ R.T + t, joints).max() < 1e-9
    assert motion.w_mpjpe_mm(1.7 * joints @ R.T + t, joints).max() < 1e-9
    assert motion.root_translation_error_percent(joints[:, 0] @ R.T + t, joints[:, 0]).max() < 1e-9


def test_known_errors(joints):
    assert motion.mpjpe_mm(joints * np.array([1, 1, 1]) + 0.0, joints).max() == 0
    moved = joints.copy()
    moved[:, 5, 0] += 0.022
    assert motion.mpjpe_mm(moved, joints) == pytest.approx(np.full(40, 1.0))
    cubic = np.zeros((10, 1, 3))
    cubic[:, 0, 1] = np.arange(10.0) ** 3
    assert motion.jitter(cubic, 1.0) == pytest.approx(np.full(7, 0.6))
    assert motion.amplitude_kept(0.6 * joints[:, 0], joints[:, 0]) == pytest.approx(0.6)


def test_camera_errors_ignore_the_world_and_the_scale():
    rng = np.random.default_rng(1)
    path = transform_from(matrix_from_vector(rng.normal(size=(20, 3))), rng.normal(size=(20, 3)))
    other_world = transform_from(matrix_from_vector(np.array([0.5, 1.0, 0.2])), np.array([3.0, 1.0, 2.0])) @ path
    assert camera.rotation_error_deg(other_world, path).max() < 1e-5
    scaled = other_world.copy()
    scaled[:, :3, 3] *= 3
    assert camera.relative_trajectory_error(scaled, path) < 1e-9
    assert camera.translation_error_sum(scaled, path) < 1e-6
    turned = path.copy()
    turned[5:, :3, :3] = turned[5:, :3, :3] @ matrix_from_vector(np.array([0.0, np.radians(2), 0.0]))
    assert camera.rotation_error_deg(turned, path) == pytest.approx(np.r_[np.zeros(5), np.full(15, 2.0)], abs=1e-6)


def test_pictures():
    rng = np.random.default_rng(2)
    picture = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert image.psnr_db(picture, picture) == float("inf")
    assert image.ssim(picture, picture) == pytest.approx(1.0)
    brighter = np.clip(picture.astype(int) + 1, 0, 255).astype(np.uint8)
    assert image.psnr_db(brighter, picture) == pytest.approx(48.13, abs=0.05)
    a, b = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    assert image.mask_iou(a, b) == 1.0
    a[10:20, 10:20] = True
    b[10:20, 15:25] = True
    assert image.mask_iou(a, b) == pytest.approx(1 / 3)
    # The box of `a` grown by 2.5 on each side: 15 × 15 pixels, of which 50 + 20 differ.
    assert image.pixel_agreement(b, a) == pytest.approx(1 - 70 / (15 * 15))


def test_structural_similarity_by_its_formula():
    """In a picture of one level the formula of Wang et al. leaves only the term of the means; noise lowers it further,
    and the negative of a picture is less like it than nothing at all."""
    grey, lighter = np.full((20, 30, 3), 100, np.uint8), np.full((20, 30, 3), 120, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert image.ssim(grey, lighter) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1), abs=1e-6)
    noise = np.random.default_rng(3).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert image.ssim(noise, 255 - noise) < -0.5 < 0.1 < image.ssim(noise, noise // 2)
    assert image.ssim(noise, noise[::-1]) == pytest.approx(0, abs=0.1)
    with pytest.raises(ValueError, match="win_size"):
        image.ssim(grey[:10], grey[:10])


def test_a_path_s_error_is_a_share_of_the_true_length_whatever_the_predicted_one_s_size():
    true = np.tile(np.eye(4), (3, 1, 1))
    true[:, :3, 3] = [[0, 0, 0], [4, 0, 0], [4, 4, 0]]
    predicted = true.copy()
    predicted[:, :3, 3] *= 5.0
    assert camera.relative_trajectory_error(predicted, true) == pytest.approx(0, abs=1e-9)
    predicted[1, :3, 3] += [0, 0, 3.0]
    expected = camera.trajectory_error_m(predicted, true).mean() / 8.0
    assert camera.relative_trajectory_error(predicted, true) == pytest.approx(expected)
    assert camera.relative_trajectory_error(predicted, np.tile(np.eye(4), (3, 1, 1))) == 0.0


def test_equal_to_the_reference_motion_metrics(shared_data):
    folder = shared_data / "conformance/pose_metrics"
    with np.load(folder / "sequence.npz") as file:
        data = {key: file[key].astype(np.float64) for key in file.files}
    predicted, true = data["in.pred_j3d"], data["in.target_j3d"]
    hips = (1, 2)
    contact = data["out.contact"].astype(bool)
    feet = data["in.pred_feet"]
    ours = {
        "mpjpe": motion.mpjpe_mm(predicted, true, hips),
        "wa2_mpjpe": motion.w_mpjpe_mm(predicted, true),
        "waa_mpjpe": motion.wa_mpjpe_mm(predicted, true),
        "pa_mpjpe": motion.pa_mpjpe_mm(
            predicted - predicted[:, hips].mean(1, keepdims=True), true - true[:, hips].mean(1, keepdims=True)
        ),
        "rte": motion.root_translation_error_percent(predicted[:, 0], true[:, 0]),
        "jitter": motion.jitter(predicted, 30.0),
    }
    for name, values in ours.items():
        assert values == pytest.approx(data[f"out.{name}"], rel=1e-4, abs=1e-3), name
    assert np.sort(motion.foot_sliding_mm(feet, contact)) == pytest.approx(np.sort(data["out.fs"]), abs=1e-3)


def test_equal_to_the_reference_camera_metrics(shared_data):
    folder = shared_data / "conformance/camera_metrics"
    expected = json.loads((folder / "metrics.json").read_text())
    with np.load(folder / "trajectories.npz") as data:
        for case, figures in expected.items():
            paths = []
            for side in ("est", "gt"):
                T = np.tile(np.eye(4), (figures["frames"], 1, 1))
                T[:, :3] = data[f"{case}.{side}_w2c"]
                paths.append(invert(T))
            assert camera.rotation_error_sum(*paths) == pytest.approx(figures["RotErr"], rel=1e-5)
            assert camera.translation_error_sum(*paths) == pytest.approx(figures["TransErr_rel"], rel=1e-5)
            assert camera.cam_mc(*paths) == pytest.approx(figures["CamMC_rel"], rel=1e-5)


@pytest.mark.parametrize(("side", "expected"), [(32, 0.0550294816), (64, 0.0640065074), (97, 0.0657892078)])
def test_lpips_is_that_of_the_reference(side, expected):
    # Computed with the package lpips 0.1.4 on the same weights and pictures.
    y, x = torch.meshgrid(torch.arange(side).double(), torch.arange(side).double(), indexing="ij")
    a = torch.stack([torch.sin(x / 3), torch.cos(y / 4), torch.sin((x + y) / 5)]).float()
    b = torch.stack([torch.sin(x / 3 + 0.5), torch.cos(y / 4), torch.sin((x - y) / 5)]).float()
    distance = Lpips(trunk_weights(), linear_weights())(torch.stack([a, a]), torch.stack([b, a]))
    assert distance.tolist() == pytest.approx([expected, 0.0], rel=1e-4)


def test_weights_that_are_not_of_lpips_are_refused():
    with pytest.raises(FileFormatError, match="weights of LPIPS"):
        Lpips({"features.0.weight": torch.zeros(3)}, linear_weights())
    with pytest.raises(FileFormatError, match="lin0"):
        Lpips(trunk_weights(), {})
