"""Training: it goes on exactly after a kill, refuses other settings, and leaves curves, pictures and a model."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from random_clips import RandomClips

from understudy.core.camera import CameraPath
from understudy.geometry.projection import intrinsics
from understudy.runtime.errors import InputError, UnderstudyError
from understudy.synthetic.worlds.endless import ClipSizes, EndlessClips
from understudy.videogen.sample import Sampling, sample_clips, shoot
from understudy.videogen.training.curves import read_curves
from understudy.videogen.training.feed import EndlessSource, Feed, RenderProcess, prepared
from understudy.videogen.training.optimisers import learning_rate_share
from understudy.videogen.training.presets import PRESETS
from understudy.videogen.training.train import train
from understudy.videogen.transformer.checkpoints import GeometryOrigin, latest_checkpoint, load_model
from understudy.videogen.transformer.conditioning import OracleGeometry, SetGeometry
from understudy.videogen.transformer.model import VideoTransformer
from understudy.videogen.transformer.text_encoder import FILM_VOCABULARY

TINY = PRESETS["tiny"]
STEPS = 12
CONFIG = replace(TINY.training, steps=STEPS, checkpoint_every=5)


def run(folder: Path, **more):
    return train(folder, TINY.model, CONFIG, RandomClips(), OracleGeometry(), **{"beside": False, **more})


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in read_curves(folder / "curves.jsonl")]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    held_out = prepared(RandomClips()(99, 2), TINY.model, OracleGeometry())
    told = []
    report = run(folder, held_out=held_out, progress=lambda done, total: told.append((done, total)))
    assert report.finished and report.step == STEPS
    assert told == [(step, STEPS) for step in range(1, STEPS + 1)]
    return folder


def test_a_training_leaves_curves_pictures_and_a_model(unbroken):
    curves = read_curves(unbroken / "curves.jsonl")
    assert [line["step"] for line in curves] == list(range(1, STEPS + 1))
    assert curves[-1]["seconds_left"] == 0 and curves[-1]["samples_per_s"] > 0
    sheet = cv2.imread(str(unbroken / "sample_00000010.png"))
    assert sheet.shape[:2] == (2 * 2 * 16, 3 * 16)
    saved = load_model(latest_checkpoint(unbroken))
    assert saved.step == STEPS and saved.geometry.source == "oracle" and saved.pictures == 3
    assert not list(unbroken.rglob("*.partial")) and not list(unbroken.rglob("*.p*kl*"))


def test_slices_have_the_losses_of_one_run(unbroken, tmp_path):
    for _ in range(2 * STEPS):
        if run(tmp_path, time_limit_s=0.0).finished:  # stops after each step
            break
    assert losses(tmp_path) == losses(unbroken)
    ours, theirs = (load_model(latest_checkpoint(folder)).model.state_dict() for folder in (tmp_path, unbroken))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.posix
def test_a_killed_training_goes_on_exactly(unbroken, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from test_videogen_train import run\n"
        "if __name__ == '__main__':\n"
        "    run(Path(sys.argv[1]), beside=True)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, str(script), str(folder), str(Path(__file__).parent)])
    try:
        deadline = time.monotonic() + 120
        while len(losses(folder)) < 7 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert latest_checkpoint(folder).name in ("step_00000005", "step_00000010", "step_00000012")
    assert run(folder).finished
    assert losses(folder) == losses(unbroken)


def test_a_folder_of_another_training_is_refused(unbroken):
    with pytest.raises(InputError, match="was begun with other settings"):
        train(unbroken, TINY.model, replace(CONFIG, seed=1), RandomClips(), OracleGeometry())
    with pytest.raises(InputError, match=r"other settings \(geometry\)"):
        run(unbroken, origin=GeometryOrigin("oracle", "camera"))
    with pytest.raises(InputError, match=r"other settings \(data\)"):
        run(unbroken, data="folder of clips")


def test_a_checkpoint_of_an_older_version_goes_on(tmp_path):
    def slice_of(model):
        return train(
            tmp_path, model, CONFIG, RandomClips(), OracleGeometry(), time_limit_s=0.0, beside=False
        ).step  # fmt: skip

    model = replace(TINY.model, nearness=False)
    assert slice_of(model) == 1
    path = latest_checkpoint(tmp_path) / "training.json"
    facts = json.loads(path.read_text())
    del facts["model"]["nearness"], facts["geometry"], facts["data"]
    path.write_text(json.dumps(facts))
    (tmp_path / ".step_00000007.partial").mkdir()
    with pytest.raises(InputError, match=r"other settings \(model\)"):
        slice_of(TINY.model)
    assert slice_of(model) == 2 and not list(tmp_path.glob(".step_*"))


def test_geometry_of_other_channels_is_refused(tmp_path):
    with pytest.raises(ValueError, match="source of geometry of 9 channels; got none"):
        prepared(RandomClips()(0, 1), TINY.model, None)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path):
    config = replace(CONFIG, muon_rate=1e30, adamw_rate=1e30)
    with pytest.raises(UnderstudyError, match="no number at step"):
        train(tmp_path, TINY.model, config, RandomClips(), OracleGeometry(), beside=False)


def test_a_scene_encoder_may_see_finer_pictures_than_the_model():
    batch = EndlessClips(0, ClipSizes(2, 16, 16, 3, 32)).clips([0])
    finer = replace(TINY.model, frames=2, finer_px=32)
    clips = prepared(batch, finer, OracleGeometry())
    assert clips.conditions.pictures.shape == (1, 3, 3, 16, 16)
    coarse = batch.context.unfold(3, 2, 2).unfold(4, 2, 2).mean((-1, -2))
    assert (clips.conditions.pictures - coarse).abs().mean() < 0.1
    assert clips.conditions.geometry.features.shape[:3] == (1, 3, finer.side**2)
    with pytest.raises(ValueError, match="pictures of 16 px"):
        prepared(batch, replace(finer, finer_px=0), OracleGeometry())
    with pytest.raises(ValueError, match="finer"):
        replace(finer, finer_px=8)


def test_the_learning_rate_rises_stays_and_falls_to_zero():
    shares = [learning_rate_share(step, 100, 10, 0.35) for step in range(101)]
    assert shares[0] == 0.1 and shares[9:66] == [1.0] * 57
    assert shares[100] == 0 and all(before > after for before, after in pairwise(shares[66:]))


def test_the_pool_of_a_step_depends_on_the_step_alone():
    made = []

    def render(number):
        made.append(number)
        return prepared(RandomClips()(number, 2), TINY.model, OracleGeometry())

    def draw(feed, step):
        return feed.batch(step, 4, torch.Generator().manual_seed(step)).video

    walked = Feed(render, 3, 2)
    through = [draw(walked, step) for step in range(8)]
    assert made == list(range(6))  # each chunk once: three at first, then one every other step
    assert torch.equal(draw(Feed(render, 3, 2), 7), through[7])


@pytest.mark.posix
def test_the_render_process_gives_what_was_asked_for_and_ends():
    with RenderProcess(RenderRandom()) as process:
        for _ in range(2):
            with pytest.raises(InputError, match="there is no chunk 9"):
                process(9)
        os.kill(process._process.pid, signal.SIGINT)  # as Ctrl-C sends it to both; only the owner takes it
        assert all(torch.equal(process(number).video, RenderRandom()(number).video) for number in (0, 1, 5, 6))
    with pytest.raises(UnderstudyError, match="has ended"):
        process(7)


def test_every_word_of_our_clips_is_known_and_every_batch_is_another():
    source = EndlessSource(EndlessClips(0, ClipSizes(frames=1, height=8, width=8, crops=1, crop_size=8)))
    first, second = source(0, 40), source(1, 40)
    ids = FILM_VOCABULARY.ids([*first.words, *second.words])
    assert (ids <= len(FILM_VOCABULARY.words)).all() and (ids[:, -1] == 0).all()
    assert first.words != second.words and torch.equal(first.video, source(0, 40).video)


class RenderRandom:
    """What the training renders, without a training."""

    def __call__(self, number):
        if number == 9:
            raise InputError("there is no chunk 9")
        return prepared(RandomClips()(number, 2), TINY.model, OracleGeometry())


class FlatGeometry:
    """An encoder that knows nothing."""

    channels = TINY.model.geometry_channels

    def __call__(self, pictures, rows, columns):
        return SetGeometry(torch.zeros(*pictures.shape[:2], rows * columns, self.channels))


@pytest.fixture
def camera() -> CameraPath:
    T = np.tile(np.eye(4), (25, 1, 1))
    T[:, 0, 3] = np.linspace(3, 4, 25)
    return CameraPath(T, np.tile(intrinsics(30.0, 64, 48), (25, 1, 1)), 64, 48, Fraction(24))


@pytest.fixture
def pictures() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (4, 40, 60, 3), dtype=np.uint8))


def test_the_same_seed_gives_the_same_frames(unbroken, camera, pictures):
    model = load_model(latest_checkpoint(unbroken)).model

    def frames(seed, **more):
        return shoot(model, pictures, camera, "a man walks", seed, FlatGeometry(), Sampling(steps=3, **more))

    first = frames(7)
    assert first.shape == (3, 16, 16, 3) and first.dtype == np.uint8
    assert np.array_equal(first, frames(7)) and not np.array_equal(first, frames(8))
    assert np.array_equal(first, frames(7, guidance={"words": 1.0, "set": 1.0}))
    assert not np.array_equal(first, frames(7, guidance={"set": 4.0}))


def test_only_where_the_path_goes_from_its_start_matters(unbroken, camera, pictures):
    model = load_model(latest_checkpoint(unbroken)).model
    moved = CameraPath(camera.T_world_camera + 0, camera.K, 64, 48, Fraction(24))
    moved.T_world_camera[:, 1, 3] += 5.0
    frames = [shoot(model, pictures, path, "", 0, FlatGeometry(), Sampling(steps=2)) for path in (camera, moved)]
    assert np.array_equal(*frames)


def test_what_cannot_be_shot_is_refused(unbroken, camera, pictures):
    model = load_model(latest_checkpoint(unbroken)).model
    with pytest.raises(InputError, match="a picture or more"):
        shoot(model, [], camera, "", 0, FlatGeometry())
    with pytest.raises(InputError, match="needs the geometry of the set, 9 channels"):
        shoot(model, pictures, camera, "", 0)
    with pytest.raises(InputError, match=r"no guidance by \['weather'\]"):
        shoot(model, pictures, camera, "", 0, FlatGeometry(), Sampling(guidance={"weather": 2.0}))


def test_a_clip_has_its_noise_in_any_batch():
    torch.manual_seed(0)
    model = VideoTransformer(TINY.model).eval()
    clips = prepared(RandomClips()(0, 2), TINY.model, OracleGeometry())
    both = sample_clips(model, clips.conditions, 0, Sampling(steps=2))
    alone = sample_clips(model, clips.clips(torch.tensor([0])).conditions, 0, Sampling(steps=2))
    assert torch.allclose(both[:1], alone, atol=1e-5)


def test_facts_of_a_checkpoint_are_plain_json(unbroken):
    document = json.loads((latest_checkpoint(unbroken) / "training.json").read_text())
    assert document["training"]["steps"] == STEPS and document["model"]["width"] == TINY.model.width
