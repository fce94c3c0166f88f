"""Joints between the landmarks that several looks at a picture find, and how much they are to be trusted."""

import numpy as np
import pytest

from understudy.body.model import BodyModel
from understudy.characters.picture.joints import POINTS, find_joints, joints_from_landmarks
from understudy.core.footage import LANDMARKS
from understudy.core.motion import BODY_JOINTS
from understudy.decompose.people.landmark_bias import landmark_shift

TALL_PX = 500.0
JOINT_OF = {
    "hips": "Hips", "neck": "Neck", "head": "Head", "left_shoulder": "LeftArm", "right_elbow": "RightForeArm",
    "left_wrist": "LeftHand", "right_hip": "RightUpLeg", "left_knee": "LeftLeg", "right_ankle": "RightFoot",
}  # fmt: skip
VISIBLE = np.ones(33), np.zeros((33, 3)), np.zeros((8, 8))


def in_picture(points: np.ndarray, height_m: float) -> np.ndarray:
    """From metres, y up, to pixels."""
    return (points[:, :2] * [1, -1] + [0, height_m]) * TALL_PX / height_m + [300, 20]


@pytest.fixture(scope="module")
def body() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A body's joints in the picture, the landmarks that BlazePose finds of it on average, and its outline."""
    model = BodyModel.load()
    person = model.shaped(np.random.default_rng(5).normal(size=model.components))
    off = np.array([landmark_shift(name) for name in LANDMARKS]) * person.height_m
    figure = np.zeros((540, 600), bool)
    column, row = np.floor(in_picture(person.vertices, person.height_m)).astype(int).T
    for dy, dx in np.ndindex(5, 5):
        figure[row + dy - 2, column + dx - 2] = True
    return in_picture(person.joints, person.height_m), in_picture(person.landmarks + off, person.height_m), figure


def test_joints_lie_where_the_bodys_are_not_where_landmarks_are(body):
    joints, landmarks, figure = body
    found = joints_from_landmarks((landmarks, *VISIBLE), figure)
    for name, joint in JOINT_OF.items():
        assert np.linalg.norm(found[name] - joints[BODY_JOINTS.index(joint)]) < 0.01 * TALL_PX, name


def looks(landmarks: np.ndarray, noise_px: float):
    """A detector whose every look at the padded, stretched picture errs anew; the first one by a lost arm as well."""
    rng, calls = np.random.default_rng(1), []

    def detect(picture: np.ndarray):
        calls.append(picture)
        rows, columns = (np.flatnonzero(np.any(picture != picture[0, 0], axis=(axis, 2))) for axis in (1, 0))
        low, size = np.array([columns[0], rows[0]]), np.array([np.ptp(columns), np.ptp(rows)]) + 1.0
        own_low, own_high = OUTLINE
        at = landmarks + rng.normal(0, noise_px, landmarks.shape)
        if len(calls) == 1:
            at[[13, 15, 17, 19, 21]] -= [0, 90]
        return (at - own_low) / (own_high - own_low) * size + low, *VISIBLE

    return detect


OUTLINE = np.zeros(2), np.zeros(2)


def test_looks_that_agree_are_taken_together(body, monkeypatch):
    joints, landmarks, figure = body
    rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
    own = np.array([columns[0], rows[0]]), np.array([columns[-1] + 1.0, rows[-1] + 1.0])
    monkeypatch.setitem(globals(), "OUTLINE", own)
    rgb = np.where(figure[..., None], np.uint8(90), np.uint8(0)).repeat(3, -1)
    found = find_joints(rgb, figure, looks(landmarks, 5.0))
    assert found is not None and found.sure and found.doubt_px is not None
    off = [np.linalg.norm(found[name] - joints[BODY_JOINTS.index(joint)]) for name, joint in JOINT_OF.items()]
    # One look alone is 6 pixels off on average.
    assert np.mean(off) < 4.5
    assert 0.008 * TALL_PX < np.median(found.doubt_px) < 0.03 * TALL_PX
    unsure = find_joints(rgb, figure, looks(landmarks, 22.0))
    assert unsure is not None and not unsure.sure and unsure.doubt_px is not None
    assert len(unsure.doubt_px) == len(POINTS) and np.median(unsure.doubt_px) > 0.05 * TALL_PX
