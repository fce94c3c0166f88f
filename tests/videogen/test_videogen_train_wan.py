"""Training Wan on tiny real classes: it learns, goes on exactly after a kill, and hears what it should."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from random_clips import RandomClips
from safetensors.torch import load_file
from test_videogen_wan import tiny_wan_folder  # noqa: F401

from understudy.runtime.errors import InputError, UnderstudyError
from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.videogen.training.curves import read_curves
from understudy.videogen.transformer.checkpoints import latest_checkpoint
from understudy.videogen.transformer.conditioning import SetGeometry
from understudy.videogen.wan.conditions import conditions_of, fitted
from understudy.videogen.wan.model import CineSceneWan, load_wan
from understudy.videogen.wan.sample import load_trained_wan
from understudy.videogen.wan.train import WanClips, WanOrigin, WanTrainingConfig, train_wan, wan_loss

SIZE_PX = 32
CONFIG = WanTrainingConfig(
    steps=6, batch=2, frames=5, height=SIZE_PX, width=SIZE_PX, pictures=3, rank=2, learning_rate=3e-3, warm_up_steps=2,
    drop_probability=(0.3, 0.3, 0.3), precision="float32", log_every=1, checkpoint_every=4,
)  # fmt: skip
CLIPS = RandomClips(SIZE_PX, CONFIG.frames, CONFIG.pictures)


class MeanColours:
    """The simplest encoder: the mean colour of each place, in this picture and in all."""

    channels = 6

    def __call__(self, pictures, rows, columns):
        means = F.adaptive_avg_pool2d(pictures.flatten(0, 1), (rows, columns)).flatten(2).mT
        means = means.unflatten(0, pictures.shape[:2])
        return SetGeometry(torch.cat([means, means.mean(1, keepdim=True).expand_as(means)], -1))


class SameClips:
    """The same two clips, whatever their number."""

    def __call__(self, number: int, clips: int) -> ClipBatch:
        return CLIPS(0, clips)


class OtherSets:
    """The same clips in other sets, on other paths, with other words."""

    def __call__(self, number: int, clips: int) -> ClipBatch:
        right, wrong = CLIPS(number, clips), CLIPS(number + 100, clips)
        return replace(wrong, video=right.video, words=["dances"] * clips)


class CutOffError(Exception):
    """Stands for the power going out: nothing is saved on the way."""


def cut_off_at(step):
    def progress(done, total):
        if done == step:
            raise CutOffError

    return progress


@pytest.fixture
def train(tiny_wan_folder):  # noqa: F811
    """Trains in a folder with freshly loaded parts."""

    def run(folder, config=CONFIG, source=CLIPS, encoder=None, **more):
        origin, encoder = WanOrigin(str(tiny_wan_folder)), encoder or MeanColours()
        return train_wan(folder, load_wan(tiny_wan_folder), config, source, encoder, origin, **more)

    return run


@pytest.fixture(scope="module")
def unbroken(tiny_wan_folder, tmp_path_factory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("unbroken")
    wan = load_wan(tiny_wan_folder)
    report = train_wan(folder, wan, CONFIG, CLIPS, MeanColours(), WanOrigin(str(tiny_wan_folder)))
    assert report.finished and report.step == CONFIG.steps and report.samples_per_s > 0
    return folder


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in read_curves(folder / "curves.jsonl")]


@pytest.mark.parametrize("training", ["lora", "full"])
def test_the_loss_of_fixed_clips_falls(training, train, tiny_wan_folder, tmp_path):  # noqa: F811
    config = replace(
        CONFIG, training=training, steps=15, learning_rate=1e-2, drop_probability=(0.0, 0.0, 0.0), checkpoint_every=15,
        gradient_checkpointing=False,
    )  # fmt: skip
    train(tmp_path, config, SameClips())
    trained = load_trained_wan(latest_checkpoint(tmp_path)).model
    wan = load_wan(tiny_wan_folder)
    batch = CLIPS(0, 2)
    told = conditions_of(wan, MeanColours(), batch.context, batch.T_start_camera, batch.words)
    clips = WanClips(wan.encode_clip(batch.video), told)
    torch.manual_seed(config.seed)
    untrained = CineSceneWan(wan.transformer, 6, training, config.rank)
    with torch.no_grad():
        before, after = (
            float(wan_loss(model, clips, replace(config, shift=1.0), torch.Generator().manual_seed(9)))
            for model in (untrained, trained)
        )
    assert after < 0.9 * before


def test_low_rank_training_saves_only_its_own_weights_and_changes_no_other(unbroken, tiny_wan_folder):  # noqa: F811
    folder = latest_checkpoint(unbroken)
    saved = load_file(folder / "trained.safetensors")
    own = (".down.", ".up.", "cam_encoder", "projector", "geometry.")
    assert all(any(part in name for part in own) for name in saved)
    assert any(saved[name].any() for name in saved if ".up." in name)
    state = load_file(folder / "training.safetensors")
    assert {name.removeprefix("model.") for name in state if name.startswith("model.")} == set(saved)
    assert {name.removeprefix("moment.").split("/")[0] for name in state if name.startswith("moment.")} == set(saved)
    published = load_wan(tiny_wan_folder).transformer.state_dict()
    trained = load_trained_wan(folder).model.transformer.state_dict()
    for name in ("blocks.0.attn1.attention.to_q.base.weight", "blocks.1.attn2.to_out.0.base.bias"):
        assert torch.equal(trained[name], published[name.replace("attention.", "").replace("base.", "")])
    assert torch.equal(trained["blocks.0.ffn.net.0.proj.weight"], published["blocks.0.ffn.net.0.proj.weight"])


@pytest.mark.parametrize("step", [2, 6])
def test_a_training_cut_off_anywhere_has_the_losses_of_one_run(step, unbroken, train, tmp_path):
    with pytest.raises(CutOffError):
        train(tmp_path, progress=cut_off_at(step))
    assert train(tmp_path).finished
    assert losses(tmp_path) == losses(unbroken) and len(losses(tmp_path)) == CONFIG.steps
    ours, theirs = (load_file(latest_checkpoint(run) / "training.safetensors") for run in (tmp_path, unbroken))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not list(tmp_path.rglob("*.partial")) and not list(tmp_path.rglob("*.p*kl*"))


def test_out_of_time_it_stops_with_a_checkpoint(unbroken, train, tmp_path):
    report = train(tmp_path, time_limit_s=0.0)
    assert report.step == 1 and not report.finished and latest_checkpoint(tmp_path).name == "step_00000001"
    assert losses(tmp_path) == losses(unbroken)[:1]


def test_another_training_or_other_clips_are_refused(unbroken, train, tmp_path):
    with pytest.raises(InputError, match="was begun with other settings"):
        train(unbroken, replace(CONFIG, seed=1))
    with pytest.raises(InputError, match=r"other settings \(data\)"):
        train(unbroken, encoder=MeanColours(), data="folder clips")
    with pytest.raises(InputError, match="5 frames of 32×32 pixels; got 9 of 16×16"):
        train(tmp_path, source=RandomClips(16, 9, 3))
    with pytest.raises(UnderstudyError, match="no number at step"):
        train(tmp_path, replace(CONFIG, training="full", learning_rate=1e30))


@pytest.mark.parametrize(
    ("change", "words"),
    [({"frames": 6}, r"1 \+ 4k frames; got 6: take 5"), ({"width": 40}, "multiples of 16"), ({"rank": 0}, "rank")],
)
def test_sizes_that_wan_does_not_have_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        replace(CONFIG, **change)


def test_what_is_taken_away_is_taken_from_its_clip_alone(tiny_wan_folder):  # noqa: F811
    wan, batch = load_wan(tiny_wan_folder), CLIPS(3, 2)
    batch = replace(batch, words=["a man", "dances"])
    told = conditions_of(wan, MeanColours(), batch.context, batch.T_start_camera, batch.words)
    less = told.without(torch.tensor([[True, False, False], [False, True, True]]))
    assert torch.equal(less.words[0], told.no_words[0]) and torch.equal(less.words[1], told.words[1])
    assert not torch.equal(told.words[0], told.no_words[0])
    for before, after in (
        (told.camera, less.camera),
        (told.context.pictures, less.context.pictures),
        (told.context.geometry, less.context.geometry),
    ):
        assert torch.equal(after[0], before[0]) and before[1].any() and not after[1].any()


def test_training_on_what_is_dropped_hears_nothing_of_it(train, tmp_path):
    def losses_of(name, drop, source):
        train(tmp_path / name, replace(CONFIG, steps=2, drop_probability=(drop, drop, drop)), source)
        return losses(tmp_path / name)

    assert losses_of("all", 1.0, CLIPS) == losses_of("all others", 1.0, OtherSets())
    assert losses_of("none", 0.0, CLIPS) != losses_of("none others", 0.0, OtherSets())


def test_training_sees_a_set_from_its_start_view_and_then_in_any_order(train, tmp_path):
    seen = []

    class Watching(MeanColours):
        def __call__(self, pictures, rows, columns):
            seen.append(pictures)
            return super().__call__(pictures, rows, columns)

    train(tmp_path, source=SameClips(), encoder=Watching())
    given = CLIPS(0, 2).context
    orders = set()
    for pictures_seen in seen:
        for clip in range(2):
            order = [(pictures_seen[clip] == picture).flatten(1).all(1).nonzero().item() for picture in given[clip]]
            orders.add(tuple(order))
    assert orders == {(0, 1, 2), (0, 2, 1)}


def test_geometry_lies_over_the_picture_it_belongs_to(tiny_wan_folder):  # noqa: F811
    """In any order of the pictures, and row by row on the grid of the latents."""
    wan, batch = load_wan(tiny_wan_folder), CLIPS(3, 2)
    shuffled = batch.shuffled(torch.Generator().manual_seed(3))
    assert not torch.equal(shuffled.context, batch.context)
    told = conditions_of(wan, MeanColours(), shuffled.context, batch.T_start_camera, batch.words).context
    assert told.geometry.shape == (2, 3, 16, 6) and told.pictures.shape == (2, 16, 3, 4, 4)
    for clip, picture in ((0, 1), (1, 2)):
        shown = shuffled.context[clip, picture]
        assert torch.allclose(told.geometry[clip, picture, 5, :3], shown[:, 8:16, 8:16].mean((1, 2)), atol=1e-6)
        alone = wan.encode_pictures(shown[None, None])[0, :, 0]
        assert torch.allclose(told.pictures[clip, :, picture], alone, atol=1e-5)


def test_pictures_are_cut_about_their_middle():
    across = torch.linspace(-1, 1, 60).expand(1, 3, 40, 60)
    cut = fitted(across, 20, 20)
    assert cut.shape == (1, 3, 20, 20) and cut[0, 0, 0, [0, -1]].numpy() == pytest.approx([-0.65, 0.65], abs=0.03)
    assert torch.equal(fitted(across, 40, 20), across[..., 20:40])
    assert fitted(across, 20, 60).shape == (1, 3, 20, 60)
