"""The programs in examples/ run as they are shown, on small files."""

import re
import runpy
import shutil
import sys
from fractions import Fraction

import numpy as np
import pytest
from page_makers import ROOT

import understudy
from understudy.evaluation.transfer_bodies import new_body
from understudy.synthetic.people.motions import Action, act

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture
def example(monkeypatch, capsys):
    """Runs an example by its number, and returns what it prints."""

    def run(number: int, *arguments: object) -> str:
        (path,) = (ROOT / "examples").glob(f"{number:02d}_*.py")
        monkeypatch.setattr(sys, "argv", [path.name, *map(str, arguments)])
        runpy.run_path(str(path), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_there_are_six_short_ones():
    assert [path.name[:3] for path in EXAMPLES] == ["01_", "02_", "03_", "04_", "05_", "06_"]
    assert max(len(path.read_text().splitlines()) for path in EXAMPLES) <= 40


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_says_how_it_is_run_and_uses_the_public_interface_alone(path):
    text = path.read_text()
    assert f"python examples/{path.name} " in text
    names = set(re.findall(r"understudy\.(\w+)", text))
    assert names and names <= set(understudy.__all__)
    assert not re.search(r"from understudy|import understudy\.", text)


def test_1_recasts_a_shot(example, studio, tmp_path):
    folder = shutil.copytree(studio / "film", tmp_path / "film")
    said = example(1, studio / "shot.mp4", studio / "hero.png", folder)
    assert "nothing, all was up to date" in said and "MB  actors/1/motion.bvh" in said


@pytest.mark.slow
def test_2_changes_what_the_actor_does(example, studio, tmp_path):
    folder = shutil.copytree(studio / "film", tmp_path / "film")
    hand = understudy.BODY_JOINTS.index("LeftHand")
    before = understudy.read_motion_npz(folder / "performance/motion.npz")
    said = example(2, studio / "shot.mp4", studio / "hero.png", folder)
    assert "made anew: retarget, camera fit" in said and "people" not in said
    after = understudy.read_motion_npz(folder / "performance/motion.npz")
    raised_m = (after.T_world_joint() - before.T_world_joint())[:, hand, 1, 3]
    assert raised_m.mean() > 0.15


def test_3_writes_a_camera_for_other_programs(example, film, tmp_path):
    said = example(3, film / "camera/fitted.json", tmp_path / "cameras")
    names = {path.name for path in (tmp_path / "cameras").iterdir()}
    assert names == {"camera.usda", "camera.glb", "transforms.json", "camera_extrinsics.json", "realestate10k.txt"}
    assert "camera.usda" in said
    camera = understudy.read_camera_json(film / "camera/fitted.json")
    T = understudy.read_unreal_cameras(tmp_path / "cameras/camera_extrinsics.json")["cam01"]
    assert np.allclose(T, camera.T_world_camera, atol=1e-5)


def test_4_puts_motion_capture_on_a_rig(example, tmp_path):
    model = understudy.BodyModel.load()
    performer = model.character(model.shape_for_height(1.8))
    walk, _ = act(performer.skeleton, Action("walk_and_wave"), 24, Fraction(24))
    understudy.write_bvh(tmp_path / "walk.bvh", walk)
    understudy.write_character(tmp_path / "rig.glb", new_body(1.2))
    said = example(4, tmp_path / "walk.bvh", tmp_path / "rig.glb", tmp_path / "out", "--frame-rate", 24)
    assert "24 frames on 22 joints" in said
    done = understudy.read_bvh(tmp_path / "out/motion.bvh")
    travelled = [np.linalg.norm(np.ptp(motion.root_position_m[:, [0, 2]], axis=0)) for motion in (done, walk)]
    assert travelled[0] / travelled[1] == pytest.approx(1.2 / 1.8, abs=0.08)  # a child's steps
    assert understudy.read_gltf_clip_names(tmp_path / "out/scene.glb")


@pytest.mark.slow
def test_5_makes_a_clean_plate(example, studio, tmp_path):
    said = example(5, studio / "shot.mp4", tmp_path / "plate")
    assert "1 people" in said and "the camera: parallax" in said
    shot, plate = understudy.open_shot(studio / "shot.mp4"), understudy.open_shot(tmp_path / "plate/clean_plate.mp4")
    assert len(plate) == len(shot) and plate.width == shot.width


def test_6_films_in_a_set(example, tmp_path):
    torch = pytest.importorskip("torch", reason="needs the scene extra: PyTorch")
    from understudy.videogen.training.presets import PRESETS, varied
    from understudy.videogen.transformer.checkpoints import GeometryOrigin, save_model
    from understudy.videogen.transformer.model import VideoTransformer

    config = varied(PRESETS["tiny"], "no_geometry").model
    torch.manual_seed(0)
    save_model(
        tmp_path / "model", config, VideoTransformer(config).state_dict(), 0, GeometryOrigin("oracle"), pictures=5
    )
    (tmp_path / "photos").mkdir()
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 256, (80, 100, 3), np.uint8)
        understudy.write_png(tmp_path / f"photos/{number}.png", picture)
    said = example(6, tmp_path / "photos", tmp_path / "clip.mp4", "--model", tmp_path / "model", "--preset", "tiny")
    assert "take 2: " in said
    clips = [understudy.open_shot(tmp_path / f"clip_{take}.mp4") for take in (1, 2)]
    assert len(clips[0]) == len(clips[1]) == PRESETS["tiny"].model.frames
    assert len(understudy.read_camera_json(tmp_path / "clip_1.camera.json")) == len(clips[0])
