"""Cameras of public datasets: our conventions in, theirs out."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from understudy.core.camera import CameraPath
from understudy.geometry.projection import intrinsics, project
from understudy.geometry.rigid import invert, transform
from understudy.geometry.rotations import look_at
from understudy.io.cameras.sets import (
    WORLD_FROM_UNREAL,
    read_realestate10k,
    read_unreal_cameras,
    unreal_text_from_cameras,
    write_realestate10k,
    write_unreal_cameras,
)
from understudy.runtime.errors import FileFormatError


def orbit(frames: int = 9) -> np.ndarray:
    angle = np.linspace(0.3, 1.4, frames)
    position = np.stack([3 * np.sin(angle), 1.2 + 0.4 * angle, 3 * np.cos(angle)], 1)
    return look_at(position, np.array([0.2, 0.9, -0.1]))


def test_unreal_cameras_come_back(tmp_path: Path) -> None:
    cameras = {"01_24mm": orbit(), "02_24mm": orbit()[::-1]}
    write_unreal_cameras(tmp_path / "cameras.json", cameras)
    back = read_unreal_cameras(tmp_path / "cameras.json")
    assert list(back) == list(cameras)
    for name, T in cameras.items():
        np.testing.assert_allclose(back[name], T, atol=2e-6)


def test_unreal_axes_are_what_they_are_called() -> None:
    # A camera 1 m to our right and 2 m up that looks along our −Z: Unreal's forward.
    T = look_at(np.array([[1.0, 2.0, 0.0]]), np.array([[1.0, 2.0, -1.0]]))
    text = unreal_text_from_cameras({"a": T})["frame0"]["a"]
    rows = np.array([[float(x) for x in row.strip("[] ").split()] for row in text.strip().split("] [")])
    np.testing.assert_allclose(rows[:3, :3], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(rows[3], [0.0, 100.0, 200.0, 1.0])
    np.testing.assert_allclose(rows[:, 3], [0, 0, 0, 1])


def test_frames_are_ordered_by_number(tmp_path: Path) -> None:
    text = unreal_text_from_cameras({"a": orbit(12)})
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps(dict(sorted(text.items()))))  # frame0, frame1, frame10, frame11, frame2 …
    np.testing.assert_allclose(read_unreal_cameras(path)["a"], orbit(12), atol=2e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "JSON"),
        ("{}", "no frames"),
        ('{"frame0": {"a": "[1 0 0 0] [0 1 0 0] [0 0 1 0]"}}', "four rows"),
        ('{"frame0": {"a": "[2 0 0 0] [0 1 0 0] [0 0 1 0] [0 0 0 1]"}}', "no rotation"),
        ('{"frame0": {"a": "[1 0 0 5] [0 1 0 0] [0 0 1 0] [0 0 0 1]"}}', "last column"),
        ('{"frame0": {"a": "[1 0 0 0] [0 1 0 0] [0 0 1 0] [0 0 0 1]"}, "frame1": {}}', "lacks the camera a"),
        ('{"first": {}}', "expected frame0"),
        ("[1, 2]", "no readable camera file"),
    ],
)
def test_bad_unreal_files_say_why(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "cameras.json"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=says):
        read_unreal_cameras(path)


def test_realestate10k_comes_back(tmp_path: Path) -> None:
    K = intrinsics(310.0, 640, 360)
    camera = CameraPath(orbit(), np.repeat(K[None], 9, 0), 640, 360, Fraction(30))
    write_realestate10k(tmp_path / "a.txt", camera, "a film of ours")
    back = read_realestate10k(tmp_path / "a.txt", 640, 360)
    np.testing.assert_allclose(back.T_world_camera, camera.T_world_camera, atol=1e-7)
    np.testing.assert_allclose(back.K, camera.K, atol=1e-5)
    assert abs(back.frame_rate - 30) < 0.01
    half = read_realestate10k(tmp_path / "a.txt", 320, 180, Fraction(25))
    np.testing.assert_allclose(half.K[0, :2], camera.K[0, :2] / 2, atol=1e-5)
    assert half.frame_rate == 25


def test_realestate10k_projects_as_its_own_formula_does(tmp_path: Path) -> None:
    # One line by hand: a point of the file's world, projected with the file's own numbers.
    R = np.swapaxes(orbit(1)[0, :3, :3], 0, 1)
    t = np.array([0.1, -0.2, 0.3])
    line = "0 0.5 0.9 0.5 0.5 0 0 " + " ".join(str(x) for x in np.concatenate([R, t[:, None]], 1).ravel())
    (tmp_path / "a.txt").write_text(f"https://example\n{line}\n")
    camera = read_realestate10k(tmp_path / "a.txt", 100, 50, Fraction(30))
    point = np.array([0.3, 0.4, 5.0]) @ np.linalg.inv(R).T
    x, y, z = R @ point + t
    expected = [100 * (0.5 * x / z + 0.5), 50 * (0.9 * y / z + 0.5)]
    ours = point * [1, -1, -1]
    seen = project(camera.K[0], transform(camera.T_camera_world[0], ours[None]))
    np.testing.assert_allclose(seen[0], expected, atol=1e-6)


@pytest.mark.parametrize("text", ["", "head\n1 2 3\n", "head\n" + "nan " * 19 + "\n", "head\n0 " + "0 " * 18 + "\n"])
def test_bad_realestate10k_files_say_why(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=r"a\.txt"):
        read_realestate10k(path, 10, 10)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_realestate10k(tmp_path / "none.txt", 10, 10)


def test_recammaster_cameras_equal_the_reference(shared_data: Path) -> None:
    expected = np.load(shared_data / "conformance" / "recammaster" / "embedding.npz")
    files = {
        "": shared_data / "cameras" / "recammaster_extrinsics.json",
        "synthetic.": shared_data / "conformance" / "recammaster" / "synthetic_extrinsics.json",
    }
    frames = expected["frame_index"]
    checked = 0
    for prefix, path in files.items():
        for name, T in read_unreal_cameras(path).items():
            key = f"{prefix}{name}"
            if f"{key}.c2w" not in expected:
                continue
            checked += 1
            # The reference keeps Unreal's world axes; ours are the same points on other axes.
            np.testing.assert_allclose(WORLD_FROM_UNREAL @ expected[f"{key}.c2w"][:, :3], T[frames, :3], atol=2e-6)
            embedding = (invert(T[0]) @ T[frames])[:, :3].reshape(-1, 12).astype(np.float32)
            np.testing.assert_allclose(embedding, expected[f"{key}.embedding"], atol=1e-6)
    assert checked >= 4


def test_public_realestate10k_files_are_read(shared_data: Path) -> None:
    for path in sorted((shared_data / "cameras").glob("re10k_*.txt")):
        camera = read_realestate10k(path, 640, 360)
        assert len(camera) == 16 and 0.5 < camera.K[0, 0, 0] / camera.K[0, 1, 1] < 2 and camera.frame_rate > 0


def test_numbers_are_counted_before_they_are_read(tmp_path):
    (tmp_path / "a.txt").write_text("a film\n" + ("1 " * 19 + "\n") * 500_000)
    with pytest.raises(FileFormatError, match="its numbers; up to"):
        read_realestate10k(tmp_path / "a.txt", 640, 360)
