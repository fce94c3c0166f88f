"""Joints between the landmarks that several looks at a picture find, and how much they are to be trusted."""

from dataclasses import replace

import numpy as np
import pytest
from test_characters_picture import draw, truth_px

from understudy.body.model import BodyModel
from understudy.characters.picture.joint_network import joints_from_outline
from understudy.characters.picture.joints import POINTS, FigureJoints, combined, find_joints, joints_from_landmarks
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


def test_two_voices_are_weighed_by_their_doubts():
    first = FigureJoints(np.zeros((20, 2)), sure=True, doubt_px=np.full(20, 3.0))
    points = np.zeros((20, 2))
    points[:, 0] = 6.0
    points[5, 0] = 90.0
    doubt = np.full(20, 6.0)
    doubt[5] = 1.0
    both = combined(first, FigureJoints(points, guessed=True, doubt_px=doubt))
    assert both.sure and not both.guessed and both.doubt_px is not None
    np.testing.assert_allclose(both.points_px[0], (6 * 9 / 45, 0))
    assert both.doubt_px[0] < 3.0
    # They contradict each other: the landmark's place, and a large doubt.
    np.testing.assert_allclose(both.points_px[5], (0, 0))
    assert both.doubt_px[5] == pytest.approx(90)
    unsure = combined(replace(first, sure=False), FigureJoints(points, guessed=True, sure=False, doubt_px=doubt))
    np.testing.assert_allclose(unsure.points_px, points)
    assert not unsure.sure


def test_network_finds_joints_in_outline_and_colours():
    rgba, part = draw()
    found = joints_from_outline(np.ascontiguousarray(rgba[..., :3]), part >= 0)
    assert found is not None and found.guessed and not found.sure and found.doubt_px is not None
    names = [f"{s}_{n}" for s in ("left", "right") for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]
    off = [np.linalg.norm(found[name] - truth_px(name)) / 530 for name in names]
    assert np.mean(off) < 0.03
    assert max(off) < 0.07
    assert np.mean(found.doubt_px) / 530 < 0.06


def test_mirrored_figure_has_mirrored_joints():
    rgba, part = draw()
    rgb, figure = np.ascontiguousarray(rgba[..., :3]), part >= 0
    figure[300:, :200] = False  # one leg
    found, mirrored = joints_from_outline(rgb, figure), joints_from_outline(rgb[:, ::-1], figure[:, ::-1])
    assert found is not None and mirrored is not None
    for name in POINTS:
        other = name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
        np.testing.assert_allclose(mirrored[other], (420 - found[name][0], found[name][1]), atol=3.0)


def test_network_knows_what_is_no_figure():
    grey = np.full((300, 400, 3), 128, np.uint8)
    block, tall, cross = (np.zeros((300, 400), bool) for _ in range(3))
    block[50:250, 20:380] = True
    tall[10:290, 150:210] = True
    cross[140:160, 20:380] = cross[100:200, 190:210] = True
    for shape in (block, tall, cross):
        assert joints_from_outline(grey, shape) is None
