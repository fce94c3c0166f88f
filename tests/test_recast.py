"""The whole film, on a second of the bundled shot: what is in the folder, resuming, kills, and edits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
import pytest
from productions import Listener, production

import understudy
from understudy.characters.rig.character import character_from_rig
from understudy.io.cameras.files import read_camera_json, write_camera_json
from understudy.io.motions.arrays import read_motion_npz
from understudy.io.motions.bvh import read_bvh, write_bvh
from understudy.io.passes import PASS_FILES, read_passes
from understudy.io.video.streams import VideoWriter, open_shot, read_frames, read_video
from understudy.io.weights import PACKAGE, ensure_weights
from understudy.metrics.image import psnr_db
from understudy.runtime.errors import BackendUnavailable, FileFormatError, InputError, NobodyInShot
from understudy.runtime.progress import silent
from understudy.studio.delivery import read_film
from understudy.studio.pipeline.artifact import Scope
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.order import STAGES
from understudy.studio.pipeline.production import Cut, Production
from understudy.studio.pipeline.stage import Run
from understudy.studio.pipeline.stages.finishing import FILMING, finished_frames
from understudy.studio.project import file_hash
from understudy.studio.recast import decompose, recast_with

SHOT, CHARACTER = PACKAGE / "synthetic/films/sample_shot.mp4", PACKAGE / "synthetic/films/sample_character.png"
SECONDS = 0.5


@pytest.fixture(scope="module", autouse=True)
def weights() -> None:
    try:
        ensure_weights("blazepose")
    except BackendUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film made once; tests that change it put it back, or change a copy."""
    folder = tmp_path_factory.mktemp("films") / "film"
    recast(folder)
    return folder


def recast(folder: Path, **options: object) -> understudy.Film:
    return understudy.recast(SHOT, CHARACTER, folder, end=SECONDS, quality="draft", **options)


def finished(film: Production) -> Iterator[np.ndarray]:
    """The finished frames, before they are encoded."""
    (cut,) = FILMING.load(film, Scope()).cuts
    return finished_frames(cut, FILMING.settings(film.config).look)


def same_pictures(film: list[np.ndarray], other: list[np.ndarray]) -> bool:
    """Whether two films show the same, to the last bit: a film depends on nothing but what it is made of."""
    return all(np.array_equal(a, b) for a, b in zip(film, other, strict=True))


def stages_run(folder: Path, **options: object) -> set[str]:
    return set(recast(folder, **options).executed)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_the_film_does_not_depend_on_the_number_of_workers(folder, workers, tmp_path):
    recast(tmp_path / "film", workers=workers)
    one, other = (json.loads((place / "manifest.json").read_text()) for place in (folder, tmp_path / "film"))
    assert other["film"]["config"] == one["film"]["config"]
    assert {name: stage["fingerprint"] for name, stage in other["stages"].items()} == {
        name: stage["fingerprint"] for name, stage in one["stages"].items()
    }
    assert {name: value for name, value in other["written"].items() if name != "report.html"} == {
        name: value for name, value in one["written"].items() if name != "report.html"
    }


def test_the_film_keeps_frames_rate_time_and_sound(folder):
    source, film = open_shot(SHOT, None, SECONDS), open_shot(folder / "film.mp4")
    assert len(film) == len(source)
    assert film.frame_rate == source.frame_rate
    assert film.duration_s == pytest.approx(source.duration_s, abs=1e-3)
    assert film.has_audio == source.has_audio
    assert (film.width, film.height) == (source.width, source.height)


def test_the_character_stands_where_the_actor_stood(folder):
    source = open_shot(SHOT, None, SECONDS)
    masks = [mask > 127 for mask in read_video(folder / "actors/1/mask.mkv")]
    ids = [ids > 0 for ids in read_video(folder / "passes/ids.mkv")]
    for actor, character in zip(masks, ids, strict=True):
        boxes = [np.array([np.flatnonzero(m.any(axis))[[0, -1]] for axis in (1, 0)]) for m in (actor, character)]
        size = np.ptp(boxes[0][0])
        assert np.abs(boxes[0][0] - boxes[1][0]).max() < 0.12 * size  # top and bottom
        assert abs(boxes[0][1].mean() - boxes[1][1].mean()) < 0.15 * size
    # Away from both of them the film is the shot.
    for original, result, actor, character in zip(
        read_frames(source), read_video(folder / "film.mp4"), masks, ids, strict=True
    ):
        away = ~np.logical_or(actor, character)
        assert psnr_db(result, original, where=away) > 26
        assert psnr_db(result, original, where=actor) < 30  # somebody else is there


def test_what_nobody_touched_is_the_shots_own_to_the_bit(folder):
    film = production(folder, open_shot(SHOT, None, SECONDS))
    videos = (read_video(folder / "plate/removed.mkv"), read_passes(folder / "passes"), finished(film))
    for original, removed, passes, done in zip(read_frames(film.shot), *videos, strict=True):
        # With room for the blur that matches the lens.
        own = (removed == 0) & (cv2.dilate(passes.alpha, np.ones((17, 17))) == 0) & (passes.shadow == 0)
        assert own.mean() > 0.4
        assert np.array_equal(done[own], original[own])
    film.project.close()


def test_the_folder_holds_every_element(folder):
    expected = [
        *("film.mp4", "report.html", "manifest.json", "scene.glb", "light.json"),
        *("plate/clean_plate.mp4", "plate/removed.mkv"),
        *("actors/1/motion.npz", "actors/1/motion.bvh", "actors/1/mask.mkv", "actors/1/body.glb"),
        "actors/1/presence.json",
        *("character/character.glb", "performance/motion.npz", "performance/motion.bvh"),
        *(f"camera/{name}{kind}" for name in ("source", "fitted") for kind in (".json", ".usda", "_transforms.json")),
        *(f"camera/{name}_colmap/images.txt" for name in ("source", "fitted")),
        *(f"passes/{name}" for name in PASS_FILES),
        *("passes/README.txt", "passes/exr/passes.0001.exr"),
    ]
    assert [name for name in expected if not (folder / name).is_file()] == []
    assert [path for path in folder.rglob("*") if "unfinished" in path.name or path.name.endswith(".part")] == []
    header = OpenEXR.File(str(folder / "passes/exr/passes.0001.exr"), header_only=True).header()
    manifests = [value for key, value in header.items() if key.startswith("cryptomatte/") and key.endswith("manifest")]
    assert {name for text in manifests for name in json.loads(text)} == {"character", "person_1"}
    assert header["framesPerSecond"] == open_shot(SHOT).frame_rate
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["film"]["shot"]["sha256"] == file_hash(SHOT)
    assert all(record["seconds"] >= 0 for record in manifest["stages"].values())
    assert manifest["understudy"] == understudy.__version__


def test_the_report_is_one_file_that_needs_nothing_else(folder):
    page = (folder / "report.html").read_text()
    assert "http://" not in page and "https://" not in page
    stages = ("camera track", "clean plate", "matte", "body track", "feet", "smoothness", "character", "framing")
    for word in (*stages, "motion on the character", "light and tone", "data:video/mp4;base64,"):
        assert word in page


def test_the_motion_is_metric_and_stands_on_the_ground(folder):
    motion = read_motion_npz(folder / "actors/1/motion.npz")
    assert motion.frame_rate == open_shot(SHOT).frame_rate
    assert 0.6 < np.median(motion.root_position_m[:, 1]) < 1.3
    body = character_from_rig(folder / "actors/1/body.glb")
    assert 1.4 < body.height_m < 2.1
    assert (read_camera_json(folder / "camera/source.json").position[:, 1] > 0).all()


def test_a_second_run_redoes_nothing_and_a_change_only_what_depends_on_it(folder):
    assert stages_run(folder) == set()
    before = list(read_video(folder / "film.mp4"))
    assert stages_run(folder, refine=False) == {"film", "report"}
    assert stages_run(folder) == {"film", "report"}
    assert same_pictures(list(read_video(folder / "film.mp4")), before)
    assert "body" not in stages_run(folder, camera_fit=False)
    assert "people" not in stages_run(folder)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_makes_the_same_where_nothing_lies_but_what_it_reads(stage, folder, tmp_path):
    """Files that it does not declare are not there: to open one would fail, and to look for one would be in vain."""
    film = production(folder, open_shot(SHOT, None, SECONDS), [CHARACTER], quality="draft")
    film.project.close()
    film.project.visited = list(film.project.stages)
    (scope,) = film.scopes(stage.level, film.cuts[0])
    reads = stage.reading(film, scope).files
    for name, path in reads.items():
        if path.is_relative_to(folder):
            (tmp_path / "film" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / "film" / name)
    shot = film.shot if "shot" in reads else replace(film.shot, path=tmp_path / "not_to_be_read.mp4")
    alone = replace(film, shot=shot, cuts=[Cut(shot)], played=[Cut(shot)])
    alone.project.folder = tmp_path / "film"
    said: list[str] = []
    stage.make(alone, scope, tmp_path / "made", Run(silent, said.append))
    made = {path.relative_to(tmp_path / "made"): path for path in (tmp_path / "made").rglob("*") if path.is_file()}
    assert {path.as_posix() for path in made} == set(film.project.stages[stage.key(scope, film)].outputs)
    for name, path in made.items():
        if name.suffix not in (".html", ".mp4"):  # which hold times, and encoders' threads
            assert file_hash(path) == file_hash(folder / name), name


def test_stages_up_to_one_and_then_the_others(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "film")
    for name in ("actors/1/presence.json", "scene.glb"):
        (folder / name).unlink()
    film = recast(folder, until="presence")
    assert film.executed == ("presence",) and not (folder / "scene.glb").exists()
    assert stages_run(folder) == {"scene"}
    with pytest.raises(InputError, match="there is no stage 'paint'"):
        recast(folder, until="paint")


def test_a_shot_is_taken_apart_without_a_character_and_a_recast_goes_on_from_there(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "film")
    for name in ("actors/1/mask.mkv", "plate/removed.mkv", "character/character.glb"):
        (folder / name).unlink()
    config = RecastConfig(end=SECONDS, quality="draft")
    made = decompose(SHOT, folder, config, Listener(), "plate")
    assert made.executed == ("plate",) and (folder / "plate/removed.mkv").is_file()
    made = decompose(SHOT, folder, config, Listener(), "mask")
    assert made.executed == ("mask",) and (folder / "actors/1/mask.mkv").is_file()
    assert not (folder / "character/character.glb").exists()
    assert stages_run(folder) == {"character"}


def test_a_film_of_an_earlier_version_is_made_anew_and_edits_stay(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "film")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["format"]
    manifest["stages"]["people"]["report"] = {"people": 1}
    for record in manifest["stages"].values():
        record["fingerprint"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "light.json").write_text((folder / "light.json").read_text() + " ")
    narrator = Listener()
    recast_with(SHOT, CHARACTER, folder, RecastConfig(end=SECONDS, quality="draft"), narrator, until="people")
    assert [text for text in narrator.said if "earlier version" in text and "edits stay" in text]
    assert (folder / "light.json").read_text().endswith(" ")


def test_the_film_may_be_a_sequence_of_pictures_with_its_sound_beside_it(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "film")
    before = list(read_video(folder / "film.mp4"))
    film = recast(folder, film_codec="exr")
    assert set(film.executed) == {"film", "report"}
    frames = zip(before, read_film(film.film, range(len(before))), strict=True)
    assert all(psnr_db(coded, exact) > 32 for coded, exact in frames)
    assert sorted(path.name for path in film.film.iterdir())[:: len(before)] == ["film.0001.exr", "sound.mov"]


def test_an_edited_motion_camera_and_mask_are_used(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "film")  # finished stages are known wherever the folder lies
    before = list(read_video(folder / "film.mp4"))
    bvh = folder / "actors/1/motion.bvh"
    original = bvh.read_bytes()
    skeleton = read_motion_npz(folder / "actors/1/motion.npz").skeleton
    motion = read_bvh(bvh, skeleton)
    write_bvh(
        bvh, type(motion)(skeleton, motion.q_parent_joint, motion.root_position_m + [0.3, 0, 0], motion.frame_rate)
    )
    run = stages_run(folder)
    assert {"retarget", "camera fit", "render", "film", "report"} <= run
    assert not same_pictures(list(read_video(folder / "film.mp4")), before)
    assert not run & {"people", "camera", "plate", "mask", "body"}
    moved = read_motion_npz(folder / "actors/1/motion.npz")
    assert moved.root_position_m[:, 0] == pytest.approx(motion.root_position_m[:, 0] + 0.3, abs=1e-3)
    bvh.unlink()
    stages_run(folder)
    assert bvh.read_bytes() == original
    assert same_pictures(list(read_video(folder / "film.mp4")), before)

    fitted = folder / "camera/fitted.json"
    camera = read_camera_json(fitted)
    T = camera.T_world_camera.copy()
    T[:, 1, 3] += 0.2
    write_camera_json(fitted, type(camera)(T, camera.K, camera.width, camera.height, camera.frame_rate))
    usda = file_hash(folder / "camera/fitted.usda")
    run = stages_run(folder)
    assert {"render", "film"} <= run and not run & {"body", "retarget", "camera fit"}
    assert file_hash(folder / "camera/fitted.usda") != usda
    fitted.unlink()

    mask = folder / "actors/1/mask.mkv"
    frames = list(read_video(mask))
    with VideoWriter(mask, frames[0].shape[1], frames[0].shape[0], open_shot(SHOT).frame_rate, "mask") as writer:
        for frame in frames:
            frame[:20, :20] = 255
            writer.write(frame)
    run = stages_run(folder)
    assert {"plate", "light", "film"} <= run and "people" not in run
    assert next(read_video(mask))[:20, :20].min() == 255


def test_the_character_is_there_only_when_the_actor_is(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "film")
    presence = folder / "actors/1/presence.json"
    count = len(list(read_frames(open_shot(SHOT, None, SECONDS))))
    written = {"format": "understudy presence 1", "first_frame": 1, "present": [[1, count]]}
    assert json.loads(presence.read_text()) == written
    presence.write_text(f'{{"first_frame": 1, "present": [[3, 5], [{count}, {count}]]}}')
    run = stages_run(folder)
    assert {"light", "render", "film", "report"} <= run and not run & {"people", "plate", "mask", "presence", "body"}
    film = production(folder, open_shot(SHOT, None, SECONDS))
    frames = zip(read_frames(film.shot), finished(film), read_passes(folder / "passes"), strict=True)
    for number, (original, done, passes) in enumerate(frames, 1):
        there = number in (3, 4, 5, count)
        assert (passes.ids.any(), passes.alpha.any(), passes.shadow.any()) == (there, there, there)
        assert np.array_equal(done, original) != there
    film.project.close()


@pytest.mark.slow
@pytest.mark.shared
def test_nobody_stands_in_for_an_actor_who_is_not_there_yet(shared_data, tmp_path):
    shot = shared_data / "faults/actor_enters_late.mp4"
    film = understudy.recast(shot, CHARACTER, tmp_path / "film", quality="draft", film_codec="exr")
    assert json.loads((tmp_path / "film/actors/1/presence.json").read_text())["present"] == [[9, 24]]
    frames = zip(read_frames(open_shot(shot)), read_film(film.film, range(24)), strict=True)
    assert [bool((done == original).all()) for original, done in frames] == [True] * 8 + [False] * 16


def test_edits_that_do_not_fit_the_shot_are_refused_and_kept(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "film")
    size, rate = next(read_video(folder / "film.mp4")).shape[1::-1], open_shot(SHOT).frame_rate

    def refused(name: str, *reasons: str) -> None:
        kept = file_hash(folder / name)
        with pytest.raises(FileFormatError) as caught:
            recast(folder)
        assert all(reason in str(caught.value) for reason in (name, *reasons))
        assert file_hash(folder / name) == kept
        (folder / name).unlink()
        recast(folder)

    bvh = folder / "performance/motion.bvh"
    motion = read_bvh(bvh, read_motion_npz(folder / "performance/motion.npz").skeleton)
    longer = [np.concatenate([part, part]) for part in (motion.q_parent_joint, motion.root_position_m)]
    write_bvh(bvh, type(motion)(motion.skeleton, *longer, motion.frame_rate))
    refused("performance/motion.bvh", f"has {2 * len(motion)} frames, the shot {len(motion)}")

    camera = read_camera_json(folder / "camera/fitted.json")
    write_camera_json(
        folder / "camera/fitted.json",
        type(camera)(camera.T_world_camera, camera.K, camera.width // 2, camera.height // 2, camera.frame_rate),
    )
    refused("camera/fitted.json", f"{size[0] // 2}×{size[1] // 2}", f"{size[0]}×{size[1]}")

    with VideoWriter(folder / "actors/1/mask.mkv", *size, rate, "lossless") as writer:
        for _ in range(len(motion)):
            writer.write(np.zeros((*size[::-1], 3), np.uint8))
    refused("actors/1/mask.mkv", "a matte is grey")


@pytest.mark.posix
def test_killed_and_run_again(folder, tmp_path):
    """Kill -9 while the plate is made: finished stages are kept, no half-written file has a final name."""
    out = tmp_path / "film"
    arguments = f"{str(SHOT)!r}, {str(CHARACTER)!r}, {str(out)!r}, end={SECONDS}, quality='draft'"
    code = f"import understudy; understudy.recast({arguments})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (out / ".unfinished/plate").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = set(json.loads((out / "manifest.json").read_text())["stages"])
    assert "camera" in finished and "plate" not in finished
    assert not (out / "plate/clean_plate.mp4").exists()
    run = stages_run(out)
    assert not run & finished
    assert same_pictures(list(read_video(out / "film.mp4")), list(read_video(folder / "film.mp4")))


def test_cuts_are_recast_one_by_one_and_rejoined(tmp_path):
    """A cutaway with nobody in it stays as it is; the cut with the actor is recast."""
    shot = open_shot(SHOT, None, 0.5)
    rng = np.random.default_rng(0)
    wall = np.kron(rng.integers(30, 220, (shot.height // 20, shot.width // 20, 1)), np.ones((20, 20, 3))).astype(
        np.uint8
    )
    joined = tmp_path / "joined.mp4"
    with VideoWriter(joined, shot.width, shot.height, shot.frame_rate, "film") as writer:
        for frame in read_frames(shot):
            writer.write(frame)
        for _ in range(len(shot)):
            writer.write(wall[: shot.height, : shot.width])
    film = understudy.recast(joined, CHARACTER, tmp_path / "film", quality="draft")
    assert (tmp_path / "film/cut_01/actors/1/motion.bvh").is_file()
    assert not (tmp_path / "film/cut_02/actors").exists()
    source, result = list(read_video(joined)), list(read_video(film.film))
    assert len(result) == len(source) == 2 * len(shot)
    assert psnr_db(result[-3], source[-3]) > 35


def test_nobody_in_the_shot(tmp_path):
    empty = tmp_path / "empty.mp4"
    rng = np.random.default_rng(0)
    with VideoWriter(empty, 320, 180, Fraction(24), "film") as writer:
        for _ in range(12):
            writer.write(rng.integers(90, 110, (180, 320, 3), dtype=np.uint8))
    with pytest.raises(NobodyInShot, match="nobody"):
        understudy.recast(empty, CHARACTER, tmp_path / "film")


def test_nobody_in_any_of_several_cuts(tmp_path):
    empty = tmp_path / "walls.mp4"
    rng = np.random.default_rng(0)
    walls = [
        np.kron(rng.integers(low, low + 90, (9, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8) for low in (10, 150)
    ]
    with VideoWriter(empty, 320, 180, Fraction(24), "film") as writer:
        for wall in walls:
            for _ in range(12):
                writer.write(wall)
    with pytest.raises(NobodyInShot, match=r"none of the 2 cuts of .*walls\.mp4 shows actor 1"):
        understudy.recast(empty, CHARACTER, tmp_path / "film", quality="draft")


def test_sound_is_copied(folder):
    with av.open(str(folder / "film.mp4")) as film, av.open(str(SHOT)) as source:
        assert [stream.codec_context.name for stream in film.streams.audio] == [
            stream.codec_context.name for stream in source.streams.audio
        ]
