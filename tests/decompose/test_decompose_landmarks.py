"""The mathematics around the landmark networks, and the networks themselves on a real person."""

import cv2
import numpy as np
import pytest

from understudy.core.footage import LANDMARKS
from understudy.decompose.people.landmarks import Crop, PoseModel, detector_anchors, refine_on_heatmaps, sample_crop
from understudy.io.weights import ensure_weights
from understudy.runtime.errors import BackendUnavailable

WHOLE = Crop(np.array([640.0, 360.0]), 1280.0, 0.0)
"""All of a picture of the boy."""


@pytest.fixture(scope="module")
def model() -> PoseModel:
    try:
        return PoseModel(ensure_weights("blazepose"))
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def boy(shared_data) -> np.ndarray:
    """A frame of a real shot: a boy walks towards the camera."""
    reader = cv2.VideoCapture(str(shared_data / "shots" / "pullout_boy_path.mp4"))
    reader.set(cv2.CAP_PROP_POS_FRAMES, 30)
    return np.ascontiguousarray(reader.read()[1][:, :, ::-1])


def test_anchors_cover_the_square_evenly():
    anchors = detector_anchors()
    assert anchors.shape == (2254, 2)
    np.testing.assert_allclose(anchors[0], [4 / 224, 4 / 224])
    np.testing.assert_allclose(anchors.mean(0), 0.5)
    np.testing.assert_allclose(anchors[:1568:2].reshape(28, 28, 2)[3, 5], [5.5 / 28, 3.5 / 28])
    assert len(np.unique(anchors[1568 + 392 :], axis=0)) == 49


def test_crop_transforms_are_inverse_and_upright():
    crop = Crop(np.array([400.0, 300.0]), 512.0, 0.3)
    to_picture, to_crop = crop.picture_from_crop(256), crop.crop_from_picture(256)
    points = np.random.default_rng(0).uniform(0, 256, (50, 2))
    there = points @ to_picture[:, :2].T + to_picture[:, 2]
    np.testing.assert_allclose(there @ to_crop[:, :2].T + to_crop[:, 2], points, atol=1e-9)
    # A person who leans clockwise has the head up and to the right of the hips; in the crop it is straight above.
    head = crop.centre_px + 100 * np.array([np.sin(0.3), -np.cos(0.3)])
    np.testing.assert_allclose(to_crop[:, :2] @ head + to_crop[:, 2], [128, 128 - 50], atol=1e-9)


@pytest.mark.parametrize("size_px", [200.0, 256.0, 900.0])
def test_a_sampled_crop_shows_a_spot_where_the_transform_says(size_px):
    spot = np.array([523.0, 331.0])
    rows, columns = np.indices((720, 960)) + 0.5
    blob = 255 * np.exp(-((columns - spot[0]) ** 2 + (rows - spot[1]) ** 2) / (2 * 12.0**2))
    picture = np.repeat(blob[:, :, None], 3, axis=2).round().astype(np.uint8)
    crop = Crop(np.array([500.0, 350.0]), size_px, -0.4)
    patch = sample_crop(picture, crop, 256)[:, :, 0].astype(float)
    rows, columns = np.indices(patch.shape) + 0.5
    centre = np.array([(patch * columns).sum(), (patch * rows).sum()]) / patch.sum()
    M = crop.crop_from_picture(256)
    np.testing.assert_allclose(centre, M[:, :2] @ spot + M[:, 2], atol=0.05)


def test_a_crop_far_outside_the_picture_is_black():
    picture = np.full((100, 100, 3), 200, np.uint8)
    assert sample_crop(picture, Crop(np.array([-5000.0, 40.0]), 3000.0, 0.2), 256).max() == 0


def test_heat_map_peaks_pull_landmarks_and_flat_maps_do_not():
    heatmaps = np.full((64, 64, 2), -12.0)
    rows, columns = np.indices((64, 64))
    heatmaps[:, :, 0] += 16 * np.exp(-((columns - 31.0) ** 2 + (rows - 20.0) ** 2) / 2)
    points = np.array([[30.0 * 4, 21.0 * 4], [50.0, 60.0]])
    refined = refine_on_heatmaps(points, heatmaps)
    np.testing.assert_allclose(refined[0], [31 * 4, 20 * 4], atol=0.6)
    np.testing.assert_array_equal(refined[1], points[1])


def test_a_real_person_is_found_and_landmarks_do_not_depend_on_the_crop(model, boy):
    ((found,),) = model.detect(boy, [WHOLE])
    (first,) = model.estimate(boy, [found.crop])
    (pose,) = model.estimate(boy, [first.next_crop])
    assert pose.presence > 0.9
    nose, ankle = (pose.landmarks_px[LANDMARKS.index(name)] for name in ("nose", "left_ankle"))
    assert nose[1] < 300 < 600 < ankle[1]
    # He faces the camera: his own left is on the picture's right, and +X in metres.
    shoulders = [LANDMARKS.index("left_shoulder"), LANDMARKS.index("right_shoulder")]
    assert pose.landmarks_px[shoulders[0], 0] > pose.landmarks_px[shoulders[1], 0]
    assert pose.landmarks_m[shoulders[0], 0] > pose.landmarks_m[shoulders[1], 0]
    assert pose.landmarks_m[LANDMARKS.index("nose"), 1] < -0.4

    turned = Crop(pose.next_crop.centre_px + 12.0, pose.next_crop.size_px * 1.1, pose.next_crop.angle + 0.25)
    (other,) = model.estimate(boy, [turned])
    size = ankle[1] - nose[1]
    sure = (pose.visibility > 0.8) & (other.visibility > 0.8)
    assert sure.sum() > 20
    apart = np.linalg.norm(pose.landmarks_px - other.landmarks_px, axis=1)[sure]
    assert np.median(apart) < 0.015 * size
    assert np.median(np.linalg.norm(pose.landmarks_m - other.landmarks_m, axis=1)[sure]) < 0.08


def test_the_mask_covers_the_person_and_little_else(model, boy):
    (pose,) = model.estimate(boy, [model.detect(boy, [WHOLE])[0][0].crop])
    inside = [LANDMARKS.index(n) for n in ("left_shoulder", "right_hip", "left_knee", "nose")]
    columns, rows = pose.landmarks_crop_px[inside].astype(int).T
    assert pose.mask[rows, columns].min() > 200
    assert 0.05 < (pose.mask > 127).mean() < 0.4


def test_nobody_is_found_in_noise(model):
    noise = np.random.default_rng(1).integers(0, 255, (360, 640, 3), dtype=np.uint8)
    assert model.detect(noise, [Crop(np.array([320.0, 180.0]), 640.0, 0.0)]) == [[]]


def test_estimates_are_the_same_bytes_for_any_number_of_workers(model, boy):
    ((found,),) = model.detect(boy, [WHOLE])
    crops = [Crop(found.crop.centre_px + 9.0 * n, found.crop.size_px, 0.1 * n) for n in range(3)]
    alone = model.estimate(boy, crops)
    for workers in (2, 3, 8):
        many = PoseModel(ensure_weights("blazepose"), workers)
        for one, other in zip(alone, many.estimate(boy, crops), strict=True):
            assert one.landmarks_px.tobytes() == other.landmarks_px.tobytes()
            assert one.mask.tobytes() == other.mask.tobytes()
        assert alone[0].mask.tobytes() == many.estimate(boy, crops[:1])[0].mask.tobytes()
        ((again,),) = many.detect(boy, [WHOLE])
        assert again.box_px.tobytes() == found.box_px.tobytes()
