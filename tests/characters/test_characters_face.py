"""Relief of faces on heads, and the network that sees it."""

import numpy as np
import pytest

from understudy.characters.picture.face import CHIN, LEFT_RIM, MAX_RELIEF, RIGHT_RIM, TOP, carve_face
from understudy.characters.picture.joints import POINTS
from understudy.characters.picture.parts import PARTS, FigureGrid
from understudy.decompose.people.face import FaceMesh
from understudy.io.pictures.files import read_picture
from understudy.io.weights import ensure_weights
from understudy.runtime.errors import BackendUnavailable

MIDDLE = np.array([30.0, 20.0])
WIDTH, TALL = 16.0, 20.0


def person() -> FigureGrid:
    points = np.full((len(POINTS), 2), 30.0)
    points[POINTS.index("head")], points[POINTS.index("head_top")] = (30, 30), (30, 10)
    empty = np.ones((60, 60))
    return FigureGrid(1.0, np.zeros(2), empty, np.zeros((60, 60, 3)), points, None, 180.0)


def head() -> tuple[np.ndarray, np.ndarray]:
    """The front half of an egg around MIDDLE, wider and taller than the face."""
    x, y = (v.ravel() for v in np.meshgrid(np.linspace(-11, 11, 89), np.linspace(-14, 14, 89)))
    inside = (x / 12) ** 2 + (y / 15) ** 2 < 0.9
    x, y = x[inside], y[inside]
    z = 14 * np.sqrt(1 - (x / 12) ** 2 - (y / 15) ** 2)
    normals = np.stack([x / 12**2, y / 15**2, z / 14**2], -1)
    return np.stack([30 + x, -20 + y, z], -1), normals / np.linalg.norm(normals, axis=1, keepdims=True)


def face(nose: float) -> np.ndarray:
    """468 points on the same egg, at another depth, with a nose of this height in the middle."""
    turn, reach = np.arange(468) * 2.399963, np.sqrt((np.arange(468) + 0.5) / 468)
    xy = np.stack([0.5 * WIDTH * reach * np.cos(turn), 0.5 * TALL * reach * np.sin(turn)], -1)
    for index, place in ((LEFT_RIM, (1, 0)), (RIGHT_RIM, (-1, 0)), (TOP, (0, -1)), (CHIN, (0, 1))):
        xy[index] = np.array(place) * (0.5 * WIDTH, 0.5 * TALL)
    egg = 14 * np.sqrt(1 - (xy[:, 0] / 12) ** 2 - (xy[:, 1] / 15) ** 2)
    bump = nose * np.exp(-((xy / 1.8) ** 2).sum(1))
    return np.column_stack([MIDDLE + xy, egg + bump + 100.0])


def relief(points: np.ndarray | None, part: str = "head") -> tuple[np.ndarray, np.ndarray]:
    """By how much each vertex of the head comes forward, and how far it lies from the face's middle."""
    vertices, normals = head()
    moved = carve_face(person(), vertices, normals, np.full(len(vertices), PARTS.index(part)), points)
    np.testing.assert_array_equal(moved[:, :2], vertices[:, :2])
    return moved[:, 2] - vertices[:, 2], np.linalg.norm(vertices[:, :2] * (1, -1) - MIDDLE, axis=1)


def test_a_nose_stands_out_from_the_head_and_nothing_else_does():
    out, away = relief(face(2.5))
    assert out[away < 0.5].mean() == pytest.approx(2.2, abs=0.4)
    assert np.abs(out[away > 5]).max() < 0.4


def test_heads_without_a_face_and_trunks_stay_as_they_are():
    assert not relief(None)[0].any()
    assert not relief(face(2.5), "torso")[0].any()


def test_no_wrong_face_dents_the_head():
    elsewhere = face(2.5) + (40, 0, 0)
    assert not relief(elsewhere)[0].any()
    torn = face(0.0)
    torn[:, 2] += np.random.default_rng(0).normal(0, 200, 468)
    assert np.abs(relief(torn)[0]).max() <= MAX_RELIEF * np.linalg.norm(torn[LEFT_RIM] - torn[RIGHT_RIM])
    bowl = face(0.0)
    bowl[:, 2] *= -1
    assert np.abs(relief(bowl)[0]).max() <= MAX_RELIEF * WIDTH


@pytest.fixture(scope="module")
def network() -> FaceMesh:
    try:
        return FaceMesh(ensure_weights("face_mesh") / "face_landmark.tflite")
    except BackendUnavailable as error:
        pytest.skip(str(error))


def test_the_network_sees_a_person_s_face_and_none_in_nothing(network, shared_data):
    picture = read_picture(shared_data / "characters" / "man_red_jacket.png")
    rgb = np.ascontiguousarray(picture[..., :3])
    # Nose, left eye (inner, middle, outer), right eye, ears, mouth: as body landmarks have them.
    landmarks = np.array([
        (300, 95), (312, 80), (318, 81), (324, 81), (289, 80), (282, 81), (276, 81), (333, 89), (267, 90), (313, 116),
        (287, 116),
    ], float)  # fmt: skip
    points = network(rgb, landmarks)
    nose_tip, eye_corners = points[1], points[[33, 133, 362, 263]]
    np.testing.assert_allclose(nose_tip[:2], (301.6, 103.8), atol=2)
    width = np.ptp(points[:, 0])
    assert 0.15 < (nose_tip[2] - eye_corners[:, 2].mean()) / width < 0.5, "the nose points to the viewer"
    assert network(np.full_like(rgb, 128), np.full((11, 2), 200.0)) is None
