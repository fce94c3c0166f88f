"""Filming in a given set: camera moves by name, pictures of a set, and the whole job with a tiny model."""

import json
import shutil
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the scene extra: PyTorch")

import torch

from understudy.cli.main import main
from understudy.core.camera import CameraPath
from understudy.geometry.projection import intrinsics
from understudy.io.cameras.files import read_camera_json, write_camera_json
from understudy.io.pictures.files import write_png
from understudy.io.video.streams import open_shot, read_frames
from understudy.runtime.errors import BackendUnavailable, FileFormatError, InputError
from understudy.studio.scene.config import PRESET_NAMES, ShootConfig, camera_of_words
from understudy.studio.scene.set_pictures import PhotographedSet, read_set
from understudy.studio.scene.shoot import shoot_clip
from understudy.studio.scene.shoot_models import CHECKPOINTS, path_of
from understudy.studio.scene.shoot_models import _encoder as encoder_of
from understudy.studio.scene.train import WAN_PRESET, TrainSceneConfig
from understudy.videogen.training.presets import PRESETS, varied
from understudy.videogen.transformer.checkpoints import GeometryOrigin, load_model, save_model
from understudy.videogen.transformer.model import VideoTransformer


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """An untrained tiny model on disk that needs no geometry."""
    folder = tmp_path_factory.mktemp("model")
    config = varied(PRESETS["tiny"], "no_geometry").model
    torch.manual_seed(0)
    save_model(folder, config, VideoTransformer(config).state_dict(), 0, GeometryOrigin("oracle"), pictures=5)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of three pictures of a set."""
    folder = tmp_path_factory.mktemp("set")
    for index in range(3):
        rng = np.random.default_rng(index)
        write_png(folder / f"{index}.png", rng.integers(0, 256, (80, 100 + 10 * index, 3), np.uint8))
    return folder


def relative(words: str, distance_m: float = 3.0) -> np.ndarray:
    T = path_of(camera_of_words(words), distance_m).T_world_camera
    return np.linalg.inv(T[0]) @ T[-1]


def test_a_pan_turns_in_place_to_the_right():
    T = relative("pan:+60")
    assert np.allclose(T[:3, 3], 0, atol=1e-9)
    assert np.allclose(T[:3, 2], [np.sin(np.pi / 3), 0, np.cos(np.pi / 3)])


def test_an_arc_keeps_its_distance_and_looks_at_the_pivot():
    path = path_of(camera_of_words("arc:-45"), 2.0)
    pivot = path.T_world_camera[0] @ [0, 0, 2.0, 1]
    seen = path.T_camera_world @ pivot
    assert np.allclose(seen[:, :3], [0, 0, 2.0])


@pytest.mark.parametrize(
    ("words", "step"), [("dolly:1", (0, 0, 1)), ("truck:-2", (-2, 0, 0)), ("pedestal:0.5", (0, -0.5, 0))]
)
def test_straight_moves_go_where_their_names_say(words, step):
    T = relative(words)
    assert np.allclose(T[:3, 3], step) and np.allclose(T[:3, :3], np.eye(3))


def test_a_path_starts_level_in_a_world_whose_y_is_up():
    T = path_of(camera_of_words("static"), 3.0).T_world_camera[0]
    assert np.allclose(T[:3, 1], [0, -1, 0]) and T[1, 3] > 0


@pytest.mark.parametrize("words", ["swirl:3", "arc", "pan:far", "arc:1000", "pan:nan"])
def test_unknown_moves_are_one_clear_sentence(words):
    with pytest.raises(InputError, match="--camera is"):
        camera_of_words(words)


def test_crops_of_a_panorama_look_where_they_should(tmp_path):
    """A panorama whose colour is its longitude: each crop's middle column has the colour of its turn."""
    longitude = (np.arange(720) + 0.5) / 720 * 2 * np.pi - np.pi
    colour = np.stack([np.cos(longitude), np.sin(longitude), 0 * longitude], -1) * 100 + 128
    panorama = np.broadcast_to(colour[None], (360, 720, 3)).astype(np.uint8).copy()
    write_png(tmp_path / "pano.png", panorama)
    for index, crop in enumerate(read_set(tmp_path / "pano.png").views(6)):
        turn = index * np.pi / 3
        middle = crop[:, 127:129].astype(float).mean((0, 1))
        assert np.abs(middle - [128 + 100 * np.cos(turn), 128 + 100 * np.sin(turn), 128]).max() < 3
        edge = crop[:, -1].astype(float).mean(0)
        right = turn + np.arctan(255 / 256)
        assert np.abs(edge[:2] - [128 + 100 * np.cos(right), 128 + 100 * np.sin(right)]).max() < 4


def test_a_wide_picture_is_a_panorama_and_a_radiance_file_is_developed(tmp_path):
    import cv2

    light = np.linspace(0.01, 8, 200 * 400 * 3, dtype=np.float32).reshape(200, 400, 3)
    cv2.imwrite(str(tmp_path / "pano.hdr"), light)
    crops = read_set(tmp_path / "pano.hdr").views(5)
    assert len(crops) == 5 and crops[0].dtype == np.uint8 and 60 < crops[0].mean() < 200
    (tmp_path / "text.hdr").write_text("no picture")
    with pytest.raises(InputError, match="Radiance"):
        read_set(tmp_path / "text.hdr").views(5)
    (tmp_path / "huge.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 90000 +X 180000\n")
    with pytest.raises(InputError, match="scale it"):
        read_set(tmp_path / "huge.hdr").views(5)


def test_a_set_is_a_folder_in_the_order_of_names(pictures, tmp_path):
    found = read_set(pictures).views(6)
    assert [picture.shape[1] for picture in found] == [100, 110, 120]
    with pytest.raises(InputError, match="no pictures"):
        read_set(tmp_path).views(6)


def marked(folder, *names):
    """Pictures that tell their place in a list by their width."""
    for place, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(folder / name, np.zeros((80, 100 + place, 3), np.uint8))


def widths(folder):
    return [picture.shape[1] - 100 for picture in read_set(folder).pictures]


def test_pictures_come_in_the_order_in_which_people_count(tmp_path):
    marked(tmp_path, "view8.png", "view9.png", "View10.png", "view100.png")
    assert widths(tmp_path) == [0, 1, 2, 3]


def test_hidden_files_are_left_alone_and_a_folder_within_is_found(tmp_path):
    marked(tmp_path / "set", "images/a.png", "images/b.png")
    (tmp_path / "set" / "._a.png").write_bytes(b"what a file manager leaves")
    (tmp_path / "set" / "images" / "._a.png").write_bytes(b"the same")
    marked(tmp_path / "set", "__MACOSX/a.png")
    (tmp_path / "set" / "transforms.json").touch()
    assert widths(tmp_path / "set") == [0, 1]
    marked(tmp_path / "set", "other/c.png")
    with pytest.raises(InputError, match=r"several folders do \(images, other\)"):
        read_set(tmp_path / "set")


def test_of_many_pictures_some_are_taken_the_start_view_among_them(tmp_path):
    marked(tmp_path, *(f"{number}.png" for number in range(100)))
    found = read_set(tmp_path)
    chosen = widths(tmp_path)
    assert len(chosen) == 32 and chosen[0] == 0 and chosen[-1] > 95 and max(np.diff(chosen)) <= 4
    assert found.left_out == 68


def test_a_picture_that_is_no_panorama_is_refused_before_it_is_developed(tmp_path, monkeypatch):
    """To develop it takes several times its memory."""
    import cv2

    def develop(light):
        raise AssertionError("it was developed")

    monkeypatch.setattr("understudy.studio.scene.set_pictures._srgb", develop)
    cv2.imwrite(str(tmp_path / "wide.hdr"), np.ones((64, 640, 3), np.float32))
    with pytest.raises(InputError, match="640×64 pixels; a panorama is twice as wide as high"):
        read_set(tmp_path / "wide.hdr")


def test_large_pictures_are_kept_small(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((500, 4000, 3), np.uint8))
    assert read_set(tmp_path).pictures[0].shape == (192, 1536, 3)


def test_what_is_given_is_read_before_a_model_is_loaded(tmp_path):
    """PyTorch alone takes 300 MB and seconds: a set without pictures is refused without it."""
    code = (
        "import sys; from understudy.cli.main import main\n"
        f"code = main(['shoot', '--set', {str(tmp_path)!r}, '-o', {str(tmp_path / 'a.mp4')!r}])\n"
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"] and "no pictures" in done.stderr


def test_presets_are_those_that_there_are():
    assert (*PRESETS, WAN_PRESET) == PRESET_NAMES


def test_a_model_of_wan_without_its_packages_says_what_is_missing(tmp_path, pictures, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "wan.json").write_text("{}")
    monkeypatch.setattr("understudy.studio.scene.shoot_models.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match="diffusers"):
        shoot_clip(pictures, "static", "", tmp_path / "a.mp4", ShootConfig(model=tmp_path / "model"))


def test_a_clip_is_filmed_with_its_camera_and_preview(tiny, pictures, tmp_path):
    config = ShootConfig(preset="tiny", model=tiny, steps=2)
    shooting = shoot_clip(pictures, "arc:+30", "a man waves", tmp_path / "a.mp4", config)
    shot = open_shot(shooting.clip)
    assert len(shot) == PRESETS["tiny"].model.frames and shot.width == shot.height == 384
    camera = read_camera_json(shooting.camera)
    assert len(camera) == len(shot) and (camera.width, camera.height) == (384, 384)
    assert shooting.preview.stat().st_size > 1000
    again = shoot_clip(pictures, "arc:+30", "a man waves", tmp_path / "b.mp4", config)
    pairs = zip(read_frames(shot), read_frames(open_shot(again.clip)), strict=True)
    assert all((a == b).all() for a, b in pairs)
    other = shoot_clip(pictures, "arc:+30", "a man waves", tmp_path / "c.mp4", ShootConfig("tiny", tiny, 1, 2))
    assert any((a != b).any() for a, b in zip(read_frames(shot), read_frames(open_shot(other.clip)), strict=True))


def test_a_zoom_is_not_filmed_and_not_told(tiny, pictures, tmp_path):
    K = np.stack([intrinsics(focal, 64, 48) for focal in (30.0, 40.0, 60.0)])
    write_camera_json(tmp_path / "zoom.json", CameraPath(np.tile(np.eye(4), (3, 1, 1)), K, 64, 48, Fraction(24)))
    config = ShootConfig(preset="tiny", model=tiny, steps=1)
    shooting = shoot_clip(pictures, str(tmp_path / "zoom.json"), "", tmp_path / "a.mp4", config)
    assert np.allclose(read_camera_json(shooting.camera).K, intrinsics(30.0 * 384 / 48, 384, 384))


def test_a_model_of_ones_own_says_how_many_pictures_a_panorama_gives(tiny, tmp_path, monkeypatch):
    write_png(tmp_path / "pano.png", np.zeros((80, 160, 3), np.uint8))
    asked = []
    whole = PhotographedSet.views

    def views(found, crops):
        asked.append(crops)
        return whole(found, crops)

    monkeypatch.setattr(PhotographedSet, "views", views)
    shoot_clip(tmp_path / "pano.png", "static", "", tmp_path / "a.mp4", ShootConfig(model=tiny, steps=1))
    assert asked == [5], "not mini's 6"


def test_the_encoder_tells_the_part_that_the_model_was_trained_with(tmp_path):
    assert encoder_of(tmp_path, GeometryOrigin("correlation", "camera"), "cpu").part == "camera"


@pytest.mark.parametrize(
    "make",
    [
        lambda: ShootConfig(preset="bogus", model=CHECKPOINTS / "mini"),
        lambda: ShootConfig(guide_set=float("nan")),
        lambda: ShootConfig(guide_words=1e39),
        lambda: ShootConfig(seed=-1),
        lambda: TrainSceneConfig(minutes=float("nan")),
        lambda: TrainSceneConfig(seed=2**40),
    ],
)
def test_settings_that_make_no_sense_are_refused(make):
    with pytest.raises(InputError, match=r"no preset|--"):
        make()


def test_what_cannot_be_written_is_said_before_the_work(tiny, pictures, tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    for arguments in (
        ["shoot", "--set", str(pictures), "--model", str(tiny), "-o", str(file / "clip.mp4")],
        ["scene", "train", "--preset", "tiny", "-o", str(file)],
        ["scene", "evaluate", str(tiny), "-o", str(file / "page")],
        ["scene", "render-dataset", "-o", str(file)],
    ):
        assert main(arguments) == 2
        assert "cannot be written to" in capsys.readouterr().err


def test_what_is_absent_is_said(pictures, tmp_path):
    with pytest.raises(BackendUnavailable, match="no trained checkpoint"):
        shoot_clip(pictures, "static", "", tmp_path / "a.mp4", ShootConfig("tiny"))
    with pytest.raises(InputError, match=r"\.mp4"):
        shoot_clip(pictures, "static", "", tmp_path / "a.gif", ShootConfig("tiny"))


def test_the_verb_gives_exit_codes(tiny, pictures, tmp_path, capsys):
    out = tmp_path / "clip.mp4"
    common = ["--set", str(pictures), "--model", str(tiny), "--preset", "tiny", "--steps", "1", "-o", str(out)]
    assert main(["shoot", *common, "--camera", "pan:20"]) == 0 and out.exists()
    assert "clip.preview.png" in capsys.readouterr().out
    assert main(["shoot", *common, "--camera", "nowhere:1"]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert main(["shoot", *common, "--device", "gpu"]) == 2
    assert "--device is 'gpu'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        {"picture_px": 65536, "patch_px": 1}, {"frames": 65536}, {"frames": 0}, {"finer_px": 65536}, {"layers": "many"},
        {"heads": 0}, {"camera": 7}, {"geometry": "magic"}, {"vocabulary": {"words": "ab"}}, {"width": None}, {"x": 1},
    ],
)  # fmt: skip
def test_a_model_that_asks_for_too_much_or_for_nonsense_is_refused(tiny, tmp_path, change):
    document = json.loads((tiny / "model.json").read_text())
    document["model"] |= change
    (tmp_path / "model.json").write_text(json.dumps(document))
    shutil.copy(tiny / "model.safetensors", tmp_path)
    with pytest.raises(FileFormatError):
        load_model(tmp_path)


def test_training_by_name_resumes_and_can_be_filmed_with(pictures, tmp_path):
    run = tmp_path / "run"
    common = ["scene", "train", "--preset", "tiny", "--geometry", "oracle", "-o", str(run)]
    assert main([*common, "--variant", "no_geometry", "--steps", "10"]) == 0
    lines = [json.loads(line) for line in (run / "curves.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 10 and np.isfinite(lines[-1]["loss"])
    newest = sorted(run.glob("**/model.json"))[-1].parent
    config = ShootConfig(preset="tiny", model=newest, steps=1)
    assert shoot_clip(pictures, "static", "", tmp_path / "clip.mp4", config).clip.exists()
    assert main([*common, "--variant", "ordered"]) == 2


def test_training_on_clips_from_disk(tmp_path):
    data, run = str(tmp_path / "data"), str(tmp_path / "run")
    size = ["--width", "64", "--height", "48", "--frames", "3", "--panorama-width", "128"]
    assert main(["scene", "render-dataset", "--clips", "2", *size, "-o", data]) == 0
    common = ["scene", "train", "--preset", "tiny", "--steps", "2", "--data", data, "-o", run]
    assert main([*common, "--variant", "no_geometry"]) == 0
    assert len((tmp_path / "run" / "curves.jsonl").read_text().splitlines()) == 2
    assert main([*common, "--geometry", "oracle"]) == 2, "the truth about depth is not in such folders"


def test_the_bundled_model_films_at_once(pictures, tmp_path):
    shooting = shoot_clip(
        pictures, "pan:+40", "a woman in a green coat waves", tmp_path / "a.mp4", ShootConfig(steps=2)
    )
    assert len(open_shot(shooting.clip)) == PRESETS["mini"].model.frames
    folder = CHECKPOINTS / "mini"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 12 << 20
