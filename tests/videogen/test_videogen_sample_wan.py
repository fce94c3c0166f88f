"""Filming with a trained Wan, on tiny real classes: its laws, what is refused, and both verbs."""

import json
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from random_clips import turned
from test_videogen_train_wan import CLIPS, CONFIG, SIZE_PX, MeanColours
from test_videogen_wan import tiny_wan_folder  # noqa: F401

from understudy.cli.main import main
from understudy.core.camera import CameraPath
from understudy.geometry.projection import intrinsics
from understudy.io.cameras.files import read_camera_json
from understudy.io.pictures.files import write_png
from understudy.io.video.streams import open_shot
from understudy.runtime.errors import FileFormatError, InputError
from understudy.videogen.sample import Sampling, frames_of
from understudy.videogen.transformer.checkpoints import latest_checkpoint
from understudy.videogen.wan import train as training_module
from understudy.videogen.wan.conditions import conditions_of
from understudy.videogen.wan.model import load_wan
from understudy.videogen.wan.sample import load_trained_wan, shoot_wan
from understudy.videogen.wan.train import WanClips, WanOrigin, train_wan, wan_loss


@pytest.fixture(scope="module")
def bold(tiny_wan_folder, tmp_path_factory) -> Path:  # noqa: F811
    """A training with steps so large that every condition is heard in the pictures."""
    folder = tmp_path_factory.mktemp("bold")
    config = replace(CONFIG, learning_rate=0.03)
    train_wan(folder, load_wan(tiny_wan_folder), config, CLIPS, MeanColours(), WanOrigin(str(tiny_wan_folder)))
    return latest_checkpoint(folder)


def camera(turn_rad: float) -> CameraPath:
    """Turns by this much, as the training's clips do, in 25 moments, at a place that is not the world's origin."""
    T = turned(torch.linspace(0, turn_rad, 25)[None])[0].double().numpy()
    T[:, 0, 3] = 3.0
    return CameraPath(T, np.tile(intrinsics(30.0, 64, 48), (25, 1, 1)), 64, 48, Fraction(24))


def pictures(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 70, 90, 3), dtype=np.uint8))


def test_a_saved_training_films_the_same_frames_by_the_same_seed(bold):
    saved, few = load_trained_wan(bold), Sampling(steps=2)

    def frames(seed=7, path=None, count=3, sampling=few):
        path = path or camera(1.0)
        return shoot_wan(saved, pictures(count), path, "a man dances", seed, MeanColours(), sampling)

    first = frames()
    assert first.shape == (CONFIG.frames, SIZE_PX, SIZE_PX, 3) and first.dtype == np.uint8
    assert np.array_equal(first, frames()) and not np.array_equal(first, frames(seed=8))
    assert not np.array_equal(first, frames(path=camera(3.0)))
    moved = camera(1.0)
    moved.T_world_camera[:, 1, 3] += 5.0
    assert np.array_equal(first, frames(path=moved))
    assert frames(count=1).shape == frames(count=6).shape == first.shape
    for name in ("words", "set", "camera"):
        assert not np.array_equal(first, frames(sampling=replace(few, guidance={name: 30.0}))), name
    assert frames(sampling=replace(few, sampler="heun", precision=torch.bfloat16)).shape == first.shape


def test_the_exact_answer_has_no_loss_and_leads_to_its_clip(bold):
    """A network that knows the clean clip: noise − clean is (noisy − clean) / t, told t as 1000 t."""
    saved, batch = load_trained_wan(bold), CLIPS(5, 1)
    clean = saved.wan.encode_clip(batch.video)
    told = conditions_of(saved.wan, MeanColours(), batch.context, batch.T_start_camera, batch.words)
    saved.model.register_forward_hook(lambda _, inputs, __: 1000 * (inputs[0] - clean) / inputs[1])
    assert float(wan_loss(saved.model, WanClips(clean, told), CONFIG, torch.Generator().manual_seed(0))) < 1e-8
    levels = []
    saved.model.register_forward_pre_hook(lambda _, inputs: levels.append(inputs[1] / 1000))
    for shift in (1.0, 5.0):
        wan_loss(saved.model, WanClips(clean, told), replace(CONFIG, shift=shift), torch.Generator().manual_seed(0))
    torch.testing.assert_close(levels[1], 5 * levels[0] / (1 + 4 * levels[0]))
    frames = shoot_wan(saved, pictures(1), camera(1.0), "", 0, MeanColours(), Sampling(steps=3))
    wanted = frames_of(saved.wan.decode_clip(clean))[0]
    assert np.abs(frames.astype(int) - wanted).max() <= 1


def test_what_cannot_be_shot_is_refused(bold):
    saved = load_trained_wan(bold)
    with pytest.raises(InputError, match="a picture or more"):
        shoot_wan(saved, [], camera(1.0), "", 0, MeanColours())
    with pytest.raises(InputError, match="needs the geometry of the set, 6 channels"):
        shoot_wan(saved, pictures(1), camera(1.0), "", 0)
    with pytest.raises(InputError, match="place 30 frames of context; got 16 pictures"):
        shoot_wan(saved, pictures(16), camera(1.0), "", 0, MeanColours())
    with pytest.raises(InputError, match=r"no guidance by \['weather'\]"):
        shoot_wan(saved, pictures(1), camera(1.0), "", 0, MeanColours(), Sampling(guidance={"weather": 2.0}))


@pytest.mark.parametrize(
    "change", [{"geometry_channels": 10**9}, {"training": {"steps": 1}}, {"training": asdict(CONFIG) | {"rank": 10**9}}]
)
def test_a_description_out_of_bounds_is_refused(change, bold, tmp_path):
    document = json.loads((bold / "wan.json").read_text()) | change
    (tmp_path / "wan.json").write_text(json.dumps(document))
    with pytest.raises(FileFormatError, match="describes no training of Wan"):
        load_trained_wan(tmp_path)


def test_the_verbs_train_and_shoot(tiny_wan_folder, tmp_path, monkeypatch, capsys):  # noqa: F811
    """As `--preset wan-1.3b`, at a size that a test can wait for; the frames are wider than high."""
    small = replace(CONFIG, height=16, width=32, steps=2, batch=1)
    monkeypatch.setattr(training_module, "WAN_TRAINING", small)
    run, out = tmp_path / "run", tmp_path / "clip.mp4"
    common = ["scene", "train", "--preset", "wan-1.3b", "--wan", str(tiny_wan_folder), "-o", str(run)]
    assert main([*common, "--variant", "no_geometry"]) == 0
    (tmp_path / "set").mkdir()
    for index, picture in enumerate(pictures(2)):
        write_png(tmp_path / "set" / f"{index}.png", picture)
    shoot = ["shoot", "--preset", "wan-1.3b", "--set", str(tmp_path / "set"), "--steps", "2", "-o", str(out)]
    assert main([*shoot, "--model", str(run / "step_00000002"), "--camera", "arc:+30", "--prompt", "a man dances"]) == 0
    shot, taken = open_shot(out), read_camera_json(out.with_suffix(".camera.json"))
    assert len(shot) == len(taken) == small.frames and (shot.width, shot.height) == (768, 384)
    assert (taken.width, taken.height) == (768, 384) and taken.K[0, 0, 0] == pytest.approx(
        384 / np.tan(np.pi * 37.5 / 180)
    )
    capsys.readouterr()
    assert main([*common, "--variant", "matrix"]) == 2 and "default and no_geometry" in capsys.readouterr().err
    assert main([*common, "--geometry", "oracle"]) == 2 and "from vggt" in capsys.readouterr().err
    assert main([*shoot, "--camera", "static"]) == 3 and "no trained checkpoint" in capsys.readouterr().err
    assert main(["scene", "train", "--preset", "wan-1.3b", "--wan", str(tmp_path), "-o", str(run)]) == 3
    assert "hf download" in capsys.readouterr().err
