"""The cameras for other programs: every file that they name is there, in one metric world with the set's points."""

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pycolmap
import pytest
from productions import production, run

from understudy.core.camera import CameraPath, UnscaledCameraPath
from understudy.core.footage import CameraSolution, Sightings
from understudy.geometry.projection import project
from understudy.geometry.rigid import transform, transform_from
from understudy.geometry.rotations import look_at
from understudy.io.cameras.files import read_camera_json, write_camera_json
from understudy.io.video.streams import VideoWriter, open_shot, read_video
from understudy.runtime.errors import InputError
from understudy.studio.film_files import BodyFit, save_fit, save_solution
from understudy.studio.options import RecastOptions
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.production import Production
from understudy.studio.pipeline.stages.camera_exports import CAMERA_EXPORTS

WIDTH, HEIGHT, FRAMES = 97, 65, 6
RATE = Fraction(25)
SCALE = 2.5
"""Metres per unit of the camera's solution."""


def the_world() -> tuple[CameraPath, np.ndarray]:
    """A travelling camera in metres, and points of the set."""
    eye = np.array([[0.3 * t, 1.5, 4.0] for t in range(FRAMES)])
    T = look_at(eye, np.tile([0.5, 1.0, 0.0], (FRAMES, 1)))
    K = np.tile(np.array([[90.0, 0, WIDTH / 2], [0, 90, HEIGHT / 2], [0, 0, 1]]), (FRAMES, 1, 1))
    points = np.stack(np.meshgrid(np.linspace(0, 1.2, 4), np.linspace(0.6, 1.4, 3), [0.0]), -1).reshape(-1, 3)
    return CameraPath(T, K, WIDTH, HEIGHT, RATE), points


def solution_of(camera: CameraPath, points: np.ndarray) -> tuple[CameraSolution, np.ndarray]:
    """The same as the picture shows it: from the first camera, in units of 2.5 m; and what brings it back."""
    T_world_solution = camera.T_world_camera[0] @ np.diag([SCALE, SCALE, SCALE, 1.0])
    T = camera.T_camera_world[0] @ camera.T_world_camera
    T[:, :3, 3] /= SCALE
    local = transform(camera.T_camera_world[0], points) / SCALE
    px = np.stack([project(camera.K[t], transform(camera.T_camera_world[t], points)) for t in range(FRAMES)], 1)
    point, frame = (grid.ravel() for grid in np.mgrid[: len(points), :FRAMES])
    inside = ((px[point, frame] > 0) & (px[point, frame] < [WIDTH, HEIGHT])).all(1)
    sightings = Sightings(point[inside], frame[inside], px[point, frame][inside])
    solved = UnscaledCameraPath(T, camera.K, WIDTH, HEIGHT, RATE)
    return CameraSolution(solved, "parallax", local, np.zeros(FRAMES), (), sightings), T_world_solution


def colour_of(points: np.ndarray) -> np.ndarray:
    return np.stack([60 + 60 * points[:, 0], 40 + 100 * points[:, 1], np.full(len(points), 90)], 1).astype(np.uint8)


@pytest.fixture
def film(tmp_path: Path) -> Iterator[Production]:
    """A film's folder as the stages before leave it; the plate shows each point as a blot of its colour."""
    camera, points = the_world()
    solution, T_world_solution = solution_of(camera, points)
    folder = tmp_path / "film"
    for name in ("camera", "actors/1", "plate"):
        (folder / name).mkdir(parents=True)
    with VideoWriter(folder / "plate/clean_plate.mp4", WIDTH, HEIGHT, RATE, "plate") as writer:
        for t in range(FRAMES):
            picture = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
            px = project(camera.K[t], transform(camera.T_camera_world[t], points))
            for at, colour in zip(px, colour_of(points).tolist(), strict=True):
                cv2.circle(picture, (int(at[0]), int(at[1])), 5, colour, -1)
            writer.write(picture)
    save_solution(folder / "camera/solution.npz", solution)
    fit = BodyFit(np.zeros(FRAMES), np.zeros((FRAMES, 2), bool), T_world_solution)
    save_fit(folder / "actors/1/fit.npz", fit)
    write_camera_json(folder / "camera/source.json", camera)
    fitted = replace(
        camera, T_world_camera=transform_from(np.eye(3), np.array([0.0, 0.2, 0.0])) @ camera.T_world_camera
    )
    write_camera_json(folder / "camera/fitted.json", fitted)
    (folder / "manifest.json").write_text('{"film": {}, "stages": {}, "written": {}, "arriving": {}}')
    # The shot has odd sides, to which the plate's codec adds a row and a column.
    shot = replace(open_shot(folder / "plate/clean_plate.mp4"), width=WIDTH, height=HEIGHT)
    film = production(folder, shot)
    yield film
    film.project.close()


@pytest.mark.parametrize("number", [-1, 10**9])
def test_frames_are_numbered_within_reason(number):
    with pytest.raises(InputError, match=f"--first-frame is {number}; give a number from 0 to"):
        RecastOptions(first_frame=number)


def test_exported_frames_are_where_the_files_say(film):
    film = replace(film, config=RecastConfig(export_frames=True, first_frame=1001))
    run(CAMERA_EXPORTS, film)
    names = [f"frame.{1001 + t}.png" for t in range(FRAMES)]
    assert sorted(path.name for path in film.path("camera/frames").iterdir()) == names
    for name, plate in zip(names, read_video(film.path("plate/clean_plate.mp4")), strict=True):
        picture = cv2.imread(str(film.path(f"camera/frames/{name}")))[..., ::-1]
        assert np.array_equal(picture, plate[:HEIGHT, :WIDTH])
    for camera in ("source", "fitted"):
        document = json.loads(film.path(f"camera/{camera}_transforms.json").read_text())
        named = [film.path("camera") / frame["file_path"] for frame in document["frames"]]
        assert [path.name for path in named] == names and all(path.is_file() for path in named)
        assert (film.path("camera") / document["ply_file_path"]).is_file()
        read = pycolmap.Reconstruction(str(film.path(f"camera/{camera}_colmap")))
        assert sorted(image.name for image in read.images.values()) == names
        assert "not written" not in film.path(f"camera/{camera}_colmap/images.txt").read_text() + document["note"]
        assert "startTimeCode = 1001" in film.path(f"camera/{camera}.usda").read_text()


def test_points_stand_in_metres_in_their_own_colours(film):
    run(CAMERA_EXPORTS, film)
    _, points = the_world()
    read = pycolmap.Reconstruction(str(film.path("camera/source_colmap")))
    assert [read.points3D[i + 1].xyz for i in range(len(points))] == pytest.approx(points, abs=1e-4)
    for i, colour in enumerate(colour_of(points)):
        assert np.abs(read.points3D[i + 1].color.astype(int) - colour).max() < 12
    assert all(len(point.track.elements) >= 2 for point in read.points3D.values())
    # As read back by COLMAP's own code, every point lands within a pixel of where it was seen.
    assert max(point.error for point in read.points3D.values()) < 0.05
    assert read.compute_mean_reprojection_error() < 0.05
    assert len(pycolmap.Reconstruction(str(film.path("camera/fitted_colmap"))).points3D) == len(points)


def test_without_frames_the_files_say_so_and_how_to_have_them(film):
    run(CAMERA_EXPORTS, film)
    assert not film.path("camera/frames").exists()
    for camera in ("source", "fitted"):
        texts = (film.path(f"camera/{camera}_colmap/images.txt").read_text().splitlines()[0],
                 json.loads(film.path(f"camera/{camera}_transforms.json").read_text())["note"])  # fmt: skip
        assert all("not written" in text and "--export-frames" in text for text in texts)


def test_a_camera_that_stands_has_no_points(film):
    camera, _ = the_world()
    save_solution(
        film.path("camera/solution.npz"),
        CameraSolution(UnscaledCameraPath.of(camera), "static", np.zeros((0, 3)), np.zeros(FRAMES)),
    )
    run(CAMERA_EXPORTS, film)
    assert not film.path("camera/points.ply").exists()
    assert len(pycolmap.Reconstruction(str(film.path("camera/source_colmap"))).points3D) == 0
    assert "ply_file_path" not in json.loads(film.path("camera/source_transforms.json").read_text())


def test_the_other_formats_follow_an_edited_camera_and_are_not_read_back(film):
    run(CAMERA_EXPORTS, film)
    before = film.path("camera/source.usda").read_text()
    camera = read_camera_json(film.path("camera/source.json"))
    T = camera.T_world_camera + np.array([[0, 0, 0, 0], [0, 0, 0, 0.5], [0, 0, 0, 0], [0, 0, 0, 0]])
    write_camera_json(film.path("camera/source.json"), replace(camera, T_world_camera=T))
    film.path("camera/fitted.usda").write_text("edited")
    film.project.find_edits()
    run(CAMERA_EXPORTS, film)
    assert film.path("camera/source.usda").read_text() != before
    assert film.path("camera/fitted.usda").read_text() == "edited"
    assert [text for text in film.narrator.said if "camera/fitted.usda" in text and "not read back" in text]
