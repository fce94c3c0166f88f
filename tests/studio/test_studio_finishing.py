"""Finished frames: whatever neither the actor's removal nor the character touches is the shot's own, to the bit."""

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from productions import production, run

import understudy
from understudy.core.camera import CameraPath
from understudy.core.environment import Light
from understudy.core.passes import Passes
from understudy.io.passes import PassWriter, read_passes
from understudy.io.video.streams import VideoWriter, open_shot, read_frames, read_video
from understudy.metrics.image import psnr_db
from understudy.runtime.errors import FileFormatError, InputError
from understudy.studio.delivery import film_name, read_film
from understudy.studio.film_files import Presence, load_presence, save_light, save_presence
from understudy.studio.pipeline.artifact import Scope
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.inputs import inputs_of
from understudy.studio.pipeline.production import Production
from understudy.studio.pipeline.stages.finishing import FILMING, RenderReads, filmed_people, finished_frames
from understudy.studio.project import StageRecord, file_hash

WIDTH, HEIGHT, FRAMES = 97, 65, 6
RATE = Fraction(25)
PRESENT = np.array([False, True, True, True, True, False])
CAMERA = CameraPath(np.tile(np.eye(4), (FRAMES, 1, 1)), np.tile(np.eye(3), (FRAMES, 1, 1)), WIDTH, HEIGHT, RATE)
LIGHT = Light(np.array([0.6, 0.8, 0.0]), np.ones(3), np.ones(3), np.zeros(3))
HERO = Path(understudy.__file__).parent / "synthetic/films/sample_character.png"
PLATE, REMOVED = "plate/clean_plate.mp4", "plate/removed.mkv"


def write(path: Path, frames: list[np.ndarray], kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, frames[0].shape[1], frames[0].shape[0], RATE, kind) as writer:
        for frame in frames:
            writer.write(frame)


def box(rows: slice, columns: slice) -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH), np.float32)
    picture[rows, columns] = 1
    return picture


def rendered(frame: int, there: float) -> Passes:
    """A grey character with soft edges, and its shadow to the right of its feet; `there`: 0 or 1."""
    alpha = there * cv2.GaussianBlur(box(slice(15, 50), slice(30 + frame, 45 + frame)), (0, 0), 1.0).astype(np.float32)
    shadow = there * 0.5 * box(slice(46, 52), slice(45 + frame, 65 + frame))
    solid = alpha > 0
    normals = np.where(solid[..., None], np.float32([0, 0, 1]), np.float32(0))
    depth = np.where(solid, 3.0, np.inf).astype(np.float32)
    colour = 0.2 * np.repeat(alpha[..., None], 3, -1)
    return Passes(
        colour=colour, alpha=alpha, shadow=shadow, depth_m=depth, normals=normals, ids=solid.astype(np.uint8),
        id_share=alpha,
    )  # fmt: skip


@pytest.fixture
def film(tmp_path: Path) -> Iterator[Production]:
    """A film's folder as the stages before the last leave it, of a noisy shot whose actor was a bright box."""
    rng = np.random.default_rng(2)
    pictures = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(FRAMES)]
    write(tmp_path / "shot.mkv", pictures, "lossless")
    folder = tmp_path / "film"
    share = cv2.GaussianBlur(box(slice(18, 48), slice(30, 50)), (0, 0), 1.0)
    removed = [np.rint(255 * share).astype(np.uint8)] * FRAMES
    write(folder / PLATE, [np.full((HEIGHT, WIDTH, 3), 90, np.uint8)] * FRAMES, "plate")
    write(folder / REMOVED, removed, "mask")
    write(folder / "actors/1/mask.mkv", removed, "mask")
    with PassWriter(folder / "passes", CAMERA, "video") as writer:
        for frame, there in enumerate(PRESENT):
            writer.write(rendered(frame, 1.0 if there else 0.0))
    save_light(folder / "light.json", LIGHT)
    save_presence(folder / "actors/1/presence.json", Presence(PRESENT, 1))
    (folder / "manifest.json").write_text('{"film": {}, "stages": {}, "written": {}, "arriving": {}}')
    film = production(folder, open_shot(tmp_path / "shot.mkv"))
    film.project.written = {name: file_hash(folder / name) for name in (PLATE, REMOVED)}
    yield film
    film.project.close()


def finished(film: Production) -> Iterator[np.ndarray]:
    """The finished frames of a film without cuts."""
    (cut,) = FILMING.load(film, Scope()).cuts
    return finished_frames(cut, FILMING.settings(film.config).look)


def untouched(film: Production) -> list[np.ndarray]:
    """Where nothing was removed and neither the character nor its shadow is, with room for the lens match's blur."""
    room = np.ones((17, 17), np.uint8)
    return [
        (share == 0) & (cv2.dilate(passes.alpha, room) == 0) & (passes.shadow == 0)
        for share, passes in zip(read_video(film.path(REMOVED)), read_passes(film.path("passes")), strict=True)
    ]


def test_everybody_who_was_filmed_has_a_matte_by_name(film):
    shares = {"people/person_1.mkv": 255, "people/person_2.mkv": 51, "people/others.mkv": 0, "actors/2/mask.mkv": 102}
    for name, share in shares.items():
        # A matte from elsewhere may be padded to even sides.
        write(film.path(name), [np.full((HEIGHT + 1, WIDTH + 1), share, np.uint8)] * FRAMES, "mask")
    film.project.stages["people"] = StageRecord("", {}, dict.fromkeys(shares, ""), 0.0)
    film = replace(film, config=RecastConfig(actor=2))
    # The replaced actor's is the refined one.
    expected = {"person_1": "people/person_1.mkv", "person_2": "actors/2/mask.mkv", "others": "people/others.mkv"}
    mattes = {name: film.path(file) for name, file in expected.items()}
    inputs = [inputs_of(RenderReads)[name].bind(film, Scope()).load() for name in ("actors", "bystanders", "rest")]
    assert RenderReads((), CAMERA, LIGHT, *inputs).mattes == mattes
    frames = list(filmed_people(mattes, CAMERA))
    assert len(frames) == FRAMES
    for frame in frames:
        assert {name: matte.shape for name, matte in frame.items()} == dict.fromkeys(mattes, (HEIGHT, WIDTH))
        assert {name: float(matte.max()) for name, matte in frame.items()} == pytest.approx(
            {"person_1": 1.0, "person_2": 0.4, "others": 0.0}
        )
    assert list(filmed_people({}, CAMERA)) == [{}] * FRAMES


def test_what_nobody_touched_equals_the_shot_to_the_bit(film):
    frames = zip(PRESENT, read_frames(film.shot), finished(film), untouched(film), strict=True)
    for there, original, done, own in frames:
        assert own.mean() > 0.4
        assert np.array_equal(done[own], original[own])
        assert np.array_equal(done[~own], original[~own]) != there


def test_where_the_actor_is_not_there_the_film_is_the_shot_to_the_bit(film):
    frames = list(zip(read_frames(film.shot), finished(film), strict=True))
    assert [bool((done == original).all()) for original, done in frames] == (~PRESENT).tolist()


def test_a_plate_that_somebody_painted_on_is_seen_everywhere_unless_they_say_where(film):
    before = FILMING.reading(film, Scope()).says
    write(film.path(PLATE), [np.full((HEIGHT, WIDTH, 3), 200, np.uint8)] * FRAMES, "plate")
    film.project.find_edits()
    assert FILMING.reading(film, Scope()).says != before
    for done, own in zip(finished(film), untouched(film), strict=True):
        assert np.abs(done[own].astype(int) - 200).max() <= 2
    share = np.zeros((HEIGHT, WIDTH), np.uint8)
    share[:10] = 255
    write(film.path(REMOVED), [share] * FRAMES, "mask")
    film.project.find_edits()
    for original, done in zip(read_frames(film.shot), finished(film), strict=True):
        assert np.abs(done[:10].astype(int) - 200).max() <= 2
        assert np.array_equal(done[-10:], original[-10:])


def test_somebody_else_may_say_when_the_actor_is_there(tmp_path):
    path = tmp_path / "presence.json"
    for present in (PRESENT, np.ones(6, bool), np.array([1, 0, 1, 1, 0, 1], bool)):
        save_presence(path, Presence(present, 1))
        assert np.array_equal(load_presence(path, 6).present, present)
    path.write_text('{"first_frame": 1001, "present": [[1005, 1006], [1001, 1002], [1002, 1003]]}')
    assert load_presence(path, 6).present.tolist() == [True, True, True, False, True, True]


@pytest.mark.parametrize(("codec", "min_db"), [("prores4444", 18), ("exr", math.inf)])
def test_the_film_is_written_as_it_is_wanted(film, codec, min_db):
    film = replace(film, config=RecastConfig(film_codec=codec))
    run(FILMING, film)
    path = film.path(film_name(codec))
    for done, back in zip(finished(film), read_film(path, range(FRAMES)), strict=True):
        assert psnr_db(done, back) >= min_db  # white noise is the worst that a codec can be given
    assert path.is_dir() == (codec == "exr")


def test_a_shot_too_small_for_dnxhr_is_refused_before_any_work(film, tmp_path):
    with pytest.raises(InputError, match="256×120 pixels at least, the shot has 97×65"):
        understudy.recast(film.shot.path, HERO, tmp_path / "new", film_codec="dnxhr")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"first_frame": 1, "present": [[2, 7]]}', "from frame 2 to 7; give frames from 1 to 6"),
        ('{"first_frame": 1, "present": [[3, 2]]}', "from frame 3 to 2"),
        ('{"first_frame": 1, "present": [[0, 2]]}', "from frame 0 to 2"),
        ('{"first_frame": 1, "present": []}', "names no frame"),
        ('{"first_frame": 1, "present": [[1]]}', "no list of frames"),
        ('{"first_frame": 1, "present": [[1e400, 2]]}', "no list of frames"),
        ('{"present": [[1, 2]]}', "first_frame"),
        ("[" * 100_000, "no list of frames"),
        ("", "no list of frames"),
    ],
)
def test_a_presence_that_cannot_be_is_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "presence.json"
    path.write_text(content)
    with pytest.raises(FileFormatError, match=words):
        load_presence(path, 6)
