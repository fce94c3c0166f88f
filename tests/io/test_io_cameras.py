"""Camera files: what other tools read must project points as our camera does."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest
from moving_camera import moving_camera

from understudy.core.camera import CameraPath
from understudy.geometry.projection import project
from understudy.io.cameras.files import (
    read_camera_json,
    write_camera_json,
    write_camera_usda,
)
from understudy.runtime.errors import FileFormatError

POINTS = np.random.default_rng(5).uniform(-0.5, 0.5, (6, 3)) + [0, 1, 0]


@pytest.fixture
def camera() -> CameraPath:
    return moving_camera()


def pixels(camera: CameraPath, frame: int) -> np.ndarray:
    T = camera.T_camera_world[frame]
    return project(camera.K[frame], POINTS @ T[:3, :3].T + T[:3, 3])


def test_our_json_comes_back(tmp_path, camera):
    write_camera_json(tmp_path / "camera.json", camera)
    back = read_camera_json(tmp_path / "camera.json")
    assert np.abs(back.T_world_camera - camera.T_world_camera).max() < 1e-8
    assert np.abs(back.K - camera.K).max() < 1e-5
    assert (back.width, back.height, back.frame_rate) == (1280, 720, Fraction(30000, 1001))
    assert len((tmp_path / "camera.json").read_text().splitlines()) < len(camera) + 25


def test_our_json_after_edits_by_hand(tmp_path, camera):
    write_camera_json(tmp_path / "camera.json", camera)
    document = json.loads((tmp_path / "camera.json").read_text())
    document["frames"] = [
        {"position_m": [0, 1, 2], "rotation_wxyz": [2, 0, 0, 0], "focal_px": 800},
        {"position_m": [0, 1, 3], "rotation_wxyz": [0, 1, 0, 0], "focal_px": [800, 900], "centre_px": [1, 2]},
    ]
    (tmp_path / "camera.json").write_text(json.dumps(document))
    back = read_camera_json(tmp_path / "camera.json")
    assert back.T_world_camera[0, :3, :3] == pytest.approx(np.eye(3))
    assert back.K[0].tolist() == [[800, 0, 640], [0, 800, 360], [0, 0, 1]]
    assert back.K[1, :2].tolist() == [[800, 0, 1], [0, 900, 2]]


def parse_usda(text: str, key: str, code: int) -> list[float]:
    """One attribute's numbers at one frame."""
    plain = re.search(rf"{re.escape(key)} = (.+)", text)
    if plain:
        return [float(plain[1])]
    block = re.search(rf"{re.escape(key)}\.timeSamples = \{{(.*?)\n    \}}", text, re.S)[1]
    line = re.search(rf"^\s*{code}: (.+),$", block, re.M)[1]
    return [float(number) for number in re.findall(r"-?[\d.]+(?:e[-+]?\d+)?", line)]


def test_usd_projects_as_we_do(tmp_path, camera):
    """By USD's rules: row vectors, −Z ahead, apertures and offsets in tenths of the stage's unit."""
    write_camera_usda(tmp_path / "camera.usda", camera)
    text = (tmp_path / "camera.usda").read_text()
    assert text.startswith("#usda 1.0\n") and 'upAxis = "Y"' in text and "metersPerUnit = 0.01" in text
    assert "timeCodesPerSecond = 29.97002997" in text and "startTimeCode = 1\n" in text and "endTimeCode = 9\n" in text
    assert_usd_projects(text, camera, 1)


def test_usd_counts_from_the_first_frame(tmp_path, camera):
    write_camera_usda(tmp_path / "camera.usda", camera, first_frame=1001)
    text = (tmp_path / "camera.usda").read_text()
    assert "startTimeCode = 1001\n" in text and "endTimeCode = 1009\n" in text
    assert_usd_projects(text, camera, 1001)


def assert_usd_projects(text, camera, first_frame):
    for frame in (0, 4, 8):
        code = first_frame + frame
        M = np.array(parse_usda(text, "matrix4d xformOp:transform", code)).reshape(4, 4)
        local = np.concatenate([POINTS * 100, np.ones((len(POINTS), 1))], 1) @ np.linalg.inv(M)
        focal, wide, tall, right, up = (
            parse_usda(text, f"float {name}", code)[0]
            for name in ("focalLength", "horizontalAperture", "verticalAperture", "horizontalApertureOffset",
                         "verticalApertureOffset")
        )  # fmt: skip
        x = (focal * local[:, 0] / -local[:, 2] - right) / wide + 0.5
        y = 0.5 - (focal * local[:, 1] / -local[:, 2] - up) / tall
        assert np.abs(np.stack([x * 1280, y * 720], -1) - pixels(camera, frame)).max() < 1e-3


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('"understudy camera 1"', '"other"', "no camera of ours"), ('"width_px"', '"wide"', "width_px: Field required"),
        ('"position_m": [', '"position_m": ["a", ', "position_m"), ("{", "", "JSON"), ("30000,", "0,", "frame_rate"),
        ("1001\n", "0\n", "frame_rate"), ('"focal_px": [1000.0, 1010.0]', '"focal_px": -3', "greater than 0"),
        ('"focal_px": [1000.0, 1010.0]', '"focal_px": [NaN, 1]', "focal_px"), ("30000,", "9" * 400 + ",", "frame_rate"),
        ('"position_m": [', '"position_m": [1e300, ', "position_m"),
        ('"width_px": ', '"width_px": 1e9, "w": ', "width_px"),
        ('"frames": [', '"frames": [], "more": [', "frames"), ('"frames": [', '"frames": ' + "[" * 10_000, "JSON"),
    ],
)  # fmt: skip
def test_broken_cameras_say_why(tmp_path, camera, old, new, words):
    write_camera_json(tmp_path / "camera.json", camera)
    text = (tmp_path / "camera.json").read_text()
    assert old in text
    (tmp_path / "camera.json").write_text(text.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=words):
        read_camera_json(tmp_path / "camera.json")


def test_a_missing_camera(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_camera_json(tmp_path / "none.json")
