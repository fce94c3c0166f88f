"""Edits of every kind of file: what does not fit the shot is named before any work is done."""

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from productions import production

from understudy.characters.picture.joints import POINTS, read_joints
from understudy.core.camera import CameraPath, UnscaledCameraPath
from understudy.core.footage import LANDMARKS, CameraSolution, LandmarkTrack
from understudy.io.arrays import write_arrays
from understudy.io.cameras.files import write_camera_json
from understudy.io.motions.arrays import write_landmarks_npz
from understudy.io.video.encoding import VideoKind
from understudy.io.video.streams import VideoWriter, open_shot
from understudy.runtime.errors import CharacterError, FileFormatError, InputError
from understudy.studio.film_files import BodyFit, CutList, load_cuts, load_fit, load_solution, save_fit, save_solution
from understudy.studio.pipeline.artifact import Scope
from understudy.studio.pipeline.edits import check_edits
from understudy.studio.pipeline.production import Production
from understudy.studio.pipeline.stages.finishing import RENDERING
from understudy.studio.project import StageRecord

FRAMES, WIDTH, HEIGHT = 6, 64, 48


def write_video(path: Path, kind: VideoKind, frames: int = FRAMES, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    channels = {"mask": (), "depth": (), "lossless_alpha": (4,)}.get(kind, (3,))
    frame = np.ones((size[1], size[0], *channels), np.float32 if kind == "depth" else np.uint8)
    with VideoWriter(path, *size, Fraction(24), kind) as writer:
        for _ in range(frames):
            writer.write(frame)


def camera(frames: int = FRAMES, width: int = WIDTH) -> CameraPath:
    K = np.array([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]])
    return CameraPath(np.tile(np.eye(4), (frames, 1, 1)), np.tile(K, (frames, 1, 1)), width, HEIGHT, Fraction(24))


def unscaled(width: int = WIDTH) -> UnscaledCameraPath:
    return UnscaledCameraPath.of(camera(width=width))


def solution(**changes: Any) -> CameraSolution:
    return replace(CameraSolution(unscaled(), "static", np.zeros((0, 3)), np.zeros(FRAMES), ("a note",)), **changes)


def landmarks(frames: int) -> LandmarkTrack:
    count = len(LANDMARKS)
    values = np.zeros((frames, count, 2)), np.ones((frames, count)), np.zeros((frames, count, 3))
    return LandmarkTrack(*values, np.ones(frames, bool))


@pytest.fixture
def film(tmp_path: Path) -> Production:
    write_video(tmp_path / "shot.mp4", "film")
    shot = open_shot(tmp_path / "shot.mp4", None, None)
    return production(tmp_path / "film", shot)


def edited(film: Production, name: str, write: Callable[[Path], object]) -> None:
    """A file of the film as the user has changed it."""
    film.path(name).parent.mkdir(parents=True, exist_ok=True)
    write(film.path(name))
    film.project.edits = [name]


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("camera/source.json", lambda path: write_camera_json(path, camera(frames=5)), "5 frames"),
    (
        "camera/solution.npz",
        lambda path: save_solution(path, solution(camera=unscaled(32))),
        "of 32×48",
    ),
    ("people/landmarks_1.npz", lambda path: write_landmarks_npz(path, landmarks(7)), "7 frames"),
    (
        "actors/1/fit.npz",
        lambda path: save_fit(path, BodyFit(np.zeros(5), np.zeros((5, 2), bool), np.eye(4))),
        "5 frames",
    ),
    ("actors/1/motion.npz", lambda path: path.write_bytes(b"PK"), "table of arrays"),
    ("light.json", lambda path: path.write_text("[" * 10_000), "light"),
    ("light.json", lambda path: path.write_text('{"key_direction": [1e999, 0, 0]}'), "light"),
    ("people/person_1.mkv", lambda path: write_video(path, "lossless"), "a matte is grey"),
    ("actors/1/mask.mkv", lambda path: write_video(path, "mask", frames=5), "5 frames"),
    ("plate/clean_plate.mp4", lambda path: write_video(path, "plate", size=(64, 64)), "64×64"),
    ("plate/removed.mkv", lambda path: path.write_bytes(b"no film"), "removed.mkv"),
    ("passes/colour.mkv", lambda path: write_video(path, "lossless"), "bgra"),
    ("passes/ids.mkv", lambda path: write_video(path, "lossless"), "gray"),
    ("passes/depth.mkv", lambda path: write_video(path, "mask"), "gray16le"),
    ("passes/shadow.mkv", lambda path: write_video(path, "depth"), "other channels"),
    ("passes/normals.mkv", lambda path: write_video(path, "lossless", frames=3), "3 frames"),
    ("passes/id_share.mkv", lambda path: write_video(path, "mask", size=(32, 24)), "32×24"),
]


@pytest.mark.parametrize(("name", "write", "words"), BAD, ids=[f"{name}-{words}" for name, _, words in BAD])
def test_an_edit_that_does_not_fit_is_named(film, name, write, words):
    edited(film, name, write)
    with pytest.raises(InputError, match=words) as error:
        check_edits(film, film.cuts[0])
    assert Path(name).name in str(error.value)


def test_edits_that_fit_pass(film):
    kinds = {"colour": "lossless_alpha", "depth": "depth", "normals": "lossless", "ids": "mask", "shadow": "mask"}
    for name, kind in kinds.items():
        edited(film, f"passes/{name}.mkv", lambda path, kind=kind: write_video(path, kind))
        check_edits(film, film.cuts[0])
    edited(film, "camera/solution.npz", lambda path: save_solution(path, solution()))
    check_edits(film, film.cuts[0])
    edited(film, "people/landmarks_1.npz", lambda path: write_landmarks_npz(path, landmarks(FRAMES)))
    check_edits(film, film.cuts[0])


SOLUTION = {
    "T_world_camera": np.tile(np.eye(4), (2, 1, 1)), "K": np.tile(np.eye(3), (2, 1, 1)), "size_px": np.array([64, 48]),
    "frame_rate": np.array([24, 1]), "move": np.array("static"), "points": np.zeros((3, 3)),
    "residual_px": np.zeros(2), "notes": np.array([], np.str_), "sighting_point": np.array([0, 0, 2]),
    "sighting_frame": np.array([0, 1, 1]), "sighting_px": np.ones((3, 2)),
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"T_world_camera": np.eye(4)}, {"T_world_camera": np.full((2, 4, 4), np.nan)}, {"K": np.zeros((3, 3, 3))},
        {"T_world_camera": np.array("a")}, {"size_px": np.array([64])}, {"size_px": np.array(64)},
        {"size_px": np.array([0, 48])}, {"frame_rate": np.array([24, 0])}, {"frame_rate": np.array(["a", "b"])},
        {"frame_rate": np.array([np.nan, 1])}, {"move": np.array("fly")}, {"move": np.zeros((3, 3))},
        {"points": np.zeros(3)}, {"points": np.full((1, 3), np.inf)}, {"points": np.array([["a", "b", "c"]])},
        {"residual_px": np.zeros(3)}, {"residual_px": np.array(0.0)}, {"notes": np.array(1)},
        {"sighting_point": np.array([0, 0, 3])}, {"sighting_point": np.array([2, 0, 0])},
        {"sighting_point": np.array(["a", "b", "c"])}, {"sighting_frame": np.array([0, 1, -1])},
        {"sighting_frame": np.zeros(2, int)}, {"sighting_frame": np.full(3, np.nan)}, {"sighting_px": np.ones(3)},
        {"sighting_px": np.full((3, 2), np.nan)},
    ],
)  # fmt: skip
def test_a_camera_solution_that_is_none(tmp_path, change):
    write_arrays(tmp_path / "a.npz", "understudy camera solution 1", SOLUTION)
    assert len(load_solution(tmp_path / "a.npz").camera) == 2
    write_arrays(tmp_path / "a.npz", "understudy camera solution 1", SOLUTION | change)
    with pytest.raises(FileFormatError, match=r"a\.npz"):
        load_solution(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("distance", "contact"), [(2, (3, 2)), ((2, 2), (2, 2)), (2, (2, 3)), (2, (2,)), ("a", (1, 2)), ((), (2, 2))]
)
def test_a_body_fit_that_is_none(tmp_path, distance, contact):
    distances = np.array(["a"]) if distance == "a" else np.zeros(distance)
    arrays = {
        "reprojection_px": distances,
        "ground_contact": np.zeros(contact, bool),
        "T_world_solution": np.eye(4),
    }
    write_arrays(tmp_path / "a.npz", "understudy body fit 1", arrays)
    with pytest.raises(FileFormatError, match=r"a\.npz"):
        load_fit(tmp_path / "a.npz")


@pytest.mark.parametrize("T", [np.eye(3), np.full((4, 4), np.inf), np.array("a")])
def test_an_alignment_that_is_none(tmp_path, T):
    fit = BodyFit(np.zeros(2), np.zeros((2, 2), bool), np.eye(4))
    save_fit(tmp_path / "a.npz", fit)
    assert np.array_equal(load_fit(tmp_path / "a.npz").T_world_solution, np.eye(4))
    write_arrays(tmp_path / "a.npz", "understudy body fit 1", vars(fit) | {"T_world_solution": T})
    with pytest.raises(FileFormatError, match=r"a\.npz"):
        load_fit(tmp_path / "a.npz")


LISTS = ("", "[]", "{}", "{", "[" * 10_000, '{"first_frames": 7}', '{"first_frames": [0, 5]}',
         '{"first_frame": "a", "first_frames": [0]}', '{"first_frame": 0, "first_frames": [0.5]}',
         '{"first_frame": 0, "first_frames": ["a"]}', '{"first_frame": 1001, "first_frames": [0, 5]}')  # fmt: skip
NUMBERS = ([], [1, 3], [0, 1], [0, 99], [0, -2], [0, 3, 2], [0, 10**400], [0] * 100_000)


@pytest.mark.parametrize(
    "text", [*LISTS, *(json.dumps({"first_frame": 0, "first_frames": numbers}) for numbers in NUMBERS)]
)
def test_a_list_of_cuts_that_is_none(tmp_path, text):
    (tmp_path / "cuts.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"cuts\.json") as error:
        load_cuts(tmp_path / "cuts.json", 20)
    assert len(str(error.value)) < 1000
    (tmp_path / "cuts.json").write_text('{"first_frame": 1001, "first_frames": [1001, 1006]}')
    assert load_cuts(tmp_path / "cuts.json", 20) == CutList((0, 5), 1001)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"7", b"{", b"\xff", b"[" * 100_000, b'{"left_elbow": [1]}', b'{"left_elbow": [1, "a"]}',
        b'{"left_elbow": [1, NaN]}', b'{"left_elbow": [1, 1e999]}', b'{"left_elbow": [1, true]}',
        b'{"left_elbow": [1, 1' + b"0" * 400 + b"]}", b'{"left_elbow": [1, 1' + b"0" * 5000 + b"]}",
        b'{"tail": [1, 2]}', b'{"left_elbow": [1, 2]}', b'{"\x1b[31m": [1, 2]}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_joints_that_are_none(tmp_path, content, suffix):
    path = tmp_path / f"joints.{suffix}"
    path.write_bytes(content)
    with pytest.raises(CharacterError, match="joints") as error:
        read_joints(path)
    assert str(error.value).isprintable()
    path.unlink()
    path.mkdir()
    with pytest.raises(CharacterError, match="is a folder"):
        read_joints(path)


def test_joints_of_a_drawing_with_a_number_that_is_none(tmp_path):
    (tmp_path / "char_cfg.yaml").write_text("- loc:\n  - 1.2.3\n  - 4\n  name: torso\n")
    with pytest.raises(CharacterError, match=r"char_cfg\.yaml"):
        read_joints(tmp_path / "char_cfg.yaml")
    assert len(POINTS) == 20


@pytest.mark.parametrize("said", ["many", None, [1], {}, float("inf"), 10**9, -1])
def test_people_are_counted_by_their_files_whatever_the_manifest_says(film, said):
    names = {f"people/person_{number}.mkv": "0" * 64 for number in (1, 2)}
    film.project.stages["people"] = StageRecord("", {}, names, 0.0, {"people": said})
    mattes = RENDERING.reading(film, Scope()).files
    assert [name for name in mattes if name.startswith("people/")] == ["people/person_2.mkv"]


def test_an_edited_film_that_cannot_be_shown_is_named_before_any_work(film):
    film.path("film.mp4").write_bytes(b"")
    film.project.edits = ["film.mp4"]
    with pytest.raises(InputError, match="empty"):
        check_edits(film)
