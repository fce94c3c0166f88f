"""How deep a character made of one picture is: a person's proportions where the picture shows a person."""

import itertools
import json

import cv2
import numpy as np
import pytest

from understudy.body.model import BodyModel
from understudy.characters.picture.character import PictureConfig, character_from_picture
from understudy.characters.picture.inflate import _ear_gain
from understudy.characters.picture.profiles import body_profiles
from understudy.core.motion import BODY_JOINTS
from understudy.io.pictures.files import write_png

PX_PER_M, HEIGHT_M = 400.0, 1.75


def test_profiles_are_those_of_a_person():
    """Chests are flatter than wide, thighs round, calves behind the shin."""
    profiles = body_profiles()
    front, back = profiles["torso"].at(np.array([0.75]))
    assert 0.55 < float(front[0] + back[0]) / 2 < 0.85
    front, back = profiles["thigh"].at(np.array([0.6]))
    assert 0.9 < float(front[0] + back[0]) / 2 < 1.2
    front, back = profiles["shin"].at(np.array([0.4]))
    assert back[0] > 1.3 * front[0]


@pytest.fixture(scope="module")
def body_and_character(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of our body in its T-pose, and of the character made of its silhouette with joints at its true ones."""
    model = BodyModel.load()
    body = model.shaped(model.shape_for_height(HEIGHT_M))

    def px(points: np.ndarray) -> np.ndarray:
        return np.array([450.0, 860.0]) + PX_PER_M * points[..., :2] * (1, -1)

    mask = np.zeros((900, 900), np.uint8)
    for triangle in px(body.vertices)[model.faces]:
        cv2.fillConvexPoly(mask, np.round(triangle * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    joint = {name: body.joints[i] for i, name in enumerate(BODY_JOINTS)}
    points = {"head_top": body.vertices[body.vertices[:, 1].argmax()], "head": joint["Head"], "neck": joint["Neck"]}
    for side in ("Left", "Right"):
        ours = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot"}
        points |= {f"{side.lower()}_{name}": joint[side + part] for name, part in ours.items()}
    folder = tmp_path_factory.mktemp("body")
    write_png(folder / "body.png", np.dstack([np.full((900, 900, 3), 150, np.uint8), mask]))
    (folder / "joints.json").write_text(json.dumps({name: px(place).tolist() for name, place in points.items()}))
    config = PictureConfig(height_m=body.height_m, joints=folder / "joints.json")
    return body.vertices, character_from_picture(folder / "body.png", lambda _: None, config).mesh.vertices


@pytest.mark.parametrize(
    ("low", "high", "within"),
    [(0.86, 0.93, 0.2), (0.68, 0.76, 0.12), (0.54, 0.60, 0.15), (0.32, 0.40, 0.15), (0.12, 0.22, 0.2)],
    ids=["head", "chest", "belly", "thigh", "shin"],
)
def test_a_persons_silhouette_gets_a_persons_depth(body_and_character, low, high, within):
    """Depth of each slice, arms left out, within so much of the body's own; inflation alone is 20 to 40 % flat."""

    def depth_m(vertices: np.ndarray) -> float:
        share = vertices[:, 1] / np.ptp(vertices[:, 1])
        own = (share > low) & (share < high) & (np.abs(vertices[:, 0]) < 0.16)
        return float(np.mean([np.ptp(vertices[own & (share >= a) & (share < b), 2]) for a, b in slices(low, high)]))

    truth, made = (depth_m(vertices) for vertices in body_and_character)
    assert made == pytest.approx(truth, rel=within)


def slices(low: float, high: float) -> list[tuple[float, float]]:
    """Four of equal height."""
    return list(itertools.pairwise(np.linspace(low, high, 5)))


def test_soles_are_flat(body_and_character):
    """A tenth of what a foot shows from below lies on the ground, not one round point of it."""
    _, made = body_and_character
    foot = made[(made[:, 1] < 0.05 * np.ptp(made[:, 1])) & (made[:, 0] > 0)]
    low = foot[foot[:, 1] < foot[:, 1].min() + 0.004]
    assert np.ptp(low[:, 2]) > 0.6 * np.ptp(foot[:, 2])


def test_feet_are_as_long_as_the_body_s(body_and_character):
    lengths = []
    for vertices in body_and_character:
        tall = np.ptp(vertices[:, 1])
        foot = vertices[(vertices[:, 1] - vertices[:, 1].min() < 0.05 * tall) & (vertices[:, 0] > 0), 2]
        lengths.append(np.ptp(foot) / tall)
    assert lengths[1] == pytest.approx(lengths[0], rel=0.15)


def test_ears_are_plates_and_heads_without_them_stay():
    rows, columns = np.mgrid[:80, :80] + 0.5
    skull = (columns - 40) ** 2 + (rows - 45) ** 2 < 20**2
    ears = ((np.abs(columns - 40) - 19) ** 2 + (rows - 24) ** 2 < 7**2) & ~skull
    thin = _ear_gain(skull | ears, 20.0, 60.0)
    assert thin[22, 18] < 0.6 and thin[22, 62] < 0.6
    np.testing.assert_allclose(thin[45, 25:55], 1.0)
    assert _ear_gain(skull, 20.0, 60.0).min() == 1.0
    assert _ear_gain(skull | ears, 20.0, 10.0).min() == 1.0, "below the jaw there are no ears"
    crown = skull | ((np.abs(np.abs(columns - 40) - 6) < 3) & (rows > 8) & (rows < 40)) | ears
    assert _ear_gain(crown, 20.0, 60.0).min() == 1.0, "spikes of a crown go round the head"
