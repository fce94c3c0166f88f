"""COLMAP's model and nerfstudio's transforms: cameras, points and where they were seen agree in pixels and metres."""

import json
from dataclasses import replace

import numpy as np
import pycolmap
import pytest
from moving_camera import moving_camera

from understudy.core.camera import CameraPath
from understudy.core.footage import SetPoints, Sightings
from understudy.geometry.projection import project
from understudy.io.cameras.reconstructions import write_colmap_text, write_nerfstudio, write_points_ply

NAMES = [f"frame.{1001 + frame}.png" for frame in range(9)]
NO_POINTS = SetPoints(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), Sightings())


@pytest.fixture
def camera() -> CameraPath:
    return moving_camera()


@pytest.fixture
def points(camera) -> SetPoints:
    """Twenty points, each seen in some frames a third of a pixel off; the last in none."""
    rng = np.random.default_rng(4)
    position = rng.uniform(-0.5, 0.5, (20, 3)) + [0, 1, 0]
    seen = rng.uniform(size=(20, 9)) < 0.6
    seen[-1] = False
    point, frame = np.nonzero(seen)
    noise = rng.normal(size=(len(point), 2))
    noise *= 1 / 3 / np.linalg.norm(noise, axis=1, keepdims=True)
    sightings = Sightings(point, frame, pixels(camera, position)[frame, point] + noise)
    return SetPoints(position, rng.integers(0, 256, (20, 3), np.uint8), sightings)


def pixels(camera: CameraPath, position: np.ndarray) -> np.ndarray:
    T = camera.T_camera_world
    return np.stack([project(camera.K[t], position @ T[t, :3, :3].T + T[t, :3, 3]) for t in range(len(camera))])


def test_colmap_reads_cameras_points_and_tracks(tmp_path, camera, points):
    write_colmap_text(tmp_path / "sparse", camera, NAMES, points, "a note")
    read = pycolmap.Reconstruction(str(tmp_path / "sparse"))
    assert sorted(image.name for image in read.images.values()) == NAMES
    assert len(read.points3D) == 20
    truth = pixels(camera, points.position_m)
    for number, point in read.points3D.items():
        row = number - 1
        assert point.xyz == pytest.approx(points.position_m[row], abs=1e-6)
        assert point.color.tolist() == points.colour[row].tolist()
        frames = sorted(element.image_id - 1 for element in point.track.elements)
        assert frames == points.sightings.frame[points.sightings.point == row].tolist()
        for element in point.track.elements:
            image = read.images[element.image_id]
            seen = image.points2D[element.point2D_idx]
            assert seen.point3D_id == number
            assert image.project_point(point.xyz) == pytest.approx(truth[element.image_id - 1, row], abs=0.01)
            assert np.linalg.norm(image.project_point(point.xyz) - seen.xy) == pytest.approx(1 / 3, abs=0.01)
        assert point.error == pytest.approx(1 / 3 if frames else -1, abs=0.01)
    # COLMAP's own measure, from all of its parts together.
    assert read.compute_mean_reprojection_error() == pytest.approx(1 / 3, abs=0.01)
    assert (tmp_path / "sparse/images.txt").read_text().startswith("# a note\n")


def test_points_that_were_never_seen_and_none_at_all_are_read_too(tmp_path, camera, points):
    write_colmap_text(tmp_path / "unseen", camera, NAMES, replace(points, sightings=Sightings()))
    assert len(pycolmap.Reconstruction(str(tmp_path / "unseen")).points3D) == 20
    write_colmap_text(tmp_path / "none", camera, NAMES, NO_POINTS)
    read = pycolmap.Reconstruction(str(tmp_path / "none"))
    assert len(read.points3D) == 0 and len(read.images) == 9


def test_a_fixed_lens_is_one_colmap_camera(tmp_path, camera):
    still = CameraPath(camera.T_world_camera, np.tile(camera.K[:1], (9, 1, 1)), 1280, 720, camera.frame_rate)
    write_colmap_text(tmp_path, still, NAMES, NO_POINTS)
    assert len(pycolmap.Reconstruction(str(tmp_path)).cameras) == 1


def read_ply(path) -> np.ndarray:
    """By the format's rules, of a file that has vertices alone."""
    head, body = path.read_bytes().split(b"end_header\n", 1)
    lines = head.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    count = next(int(line.split()[2]) for line in lines if line.startswith("element vertex"))
    kinds = {"float": "<f4", "uchar": "u1"}
    columns = [(line.split()[2], kinds[line.split()[1]]) for line in lines if line.startswith("property")]
    return np.frombuffer(body, columns, count)


def test_nerfstudio_projects_its_points_as_we_do(tmp_path, camera, points):
    """By nerfstudio's rules: camera-to-world, −Z ahead, and points in the transforms' own world."""
    paths = [f"frames/{name}" for name in NAMES]
    write_points_ply(tmp_path / "points.ply", points.position_m, points.colour)
    write_nerfstudio(tmp_path / "transforms.json", camera, paths, "points.ply", "a note")
    document = json.loads((tmp_path / "transforms.json").read_text())
    assert [frame["file_path"] for frame in document["frames"]] == paths and document["note"] == "a note"
    ply = read_ply(tmp_path / document["ply_file_path"])
    assert np.stack([ply["red"], ply["green"], ply["blue"]], 1).tolist() == points.colour.tolist()
    world = np.stack([ply["x"], ply["y"], ply["z"]], 1)
    # +Z is up, in metres.
    assert world[:, 2] == pytest.approx(points.position_m[:, 1], abs=1e-6)
    for number in (0, 8):
        frame = document["frames"][number]
        T = np.linalg.inv(np.array(frame["transform_matrix"]))
        local = world @ T[:3, :3].T + T[:3, 3]
        x = frame["fl_x"] * local[:, 0] / -local[:, 2] + frame["cx"]
        y = frame["cy"] - frame["fl_y"] * local[:, 1] / -local[:, 2]
        assert np.abs(np.stack([x, y], -1) - pixels(camera, points.position_m)[number]).max() < 1e-3


def test_without_points_nerfstudio_is_told_of_none(tmp_path, camera):
    write_nerfstudio(tmp_path / "transforms.json", camera, NAMES)
    assert "ply_file_path" not in json.loads((tmp_path / "transforms.json").read_text())
