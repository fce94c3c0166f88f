"""The video transformer: shapes, what conditions may and may not change, overfitting, saving."""

import json
from dataclasses import replace

import pytest
import torch
from random_clips import RandomClips

from understudy.runtime.errors import FileFormatError, InputError
from understudy.videogen.training.feed import prepared
from understudy.videogen.training.optimisers import build_optimisers
from understudy.videogen.training.presets import PRESETS, VARIANTS, varied
from understudy.videogen.training.train import training_loss
from understudy.videogen.transformer.checkpoints import GeometryOrigin, load_model, save_model
from understudy.videogen.transformer.conditioning import OracleGeometry, SetGeometry, joined, mapped
from understudy.videogen.transformer.layers import Attention, Nearness, attend
from understudy.videogen.transformer.layers import _fused as fused
from understudy.videogen.transformer.model import VideoTransformer
from understudy.videogen.transformer.rays import POINT_NUMBERS, passing_numbers, point_numbers
from understudy.videogen.transformer.text_encoder import FILM_VOCABULARY, Vocabulary

TINY = PRESETS["tiny"]
ORIGIN = GeometryOrigin("oracle")


def clips_for(preset, clips=2, crops=None):
    batch = RandomClips(preset.model.picture_px, preset.model.frames, crops or preset.pictures)(0, clips)
    return prepared(batch, preset.model, OracleGeometry(preset.geometry_part))


def awake(config, seed=0) -> VideoTransformer:
    """A model whose weights are all random: at its start many are zero, and then nothing depends on anything."""
    torch.manual_seed(seed)
    model = VideoTransformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@torch.no_grad()
def look(model, clips, conditions=None, time=0.4):
    return model(clips.video, torch.full((len(clips),), time), conditions or clips.conditions).clip


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_learns_from_a_batch(name):
    preset = varied(TINY, name)
    clips = clips_for(preset)
    model = VideoTransformer(preset.model)
    loss = training_loss(model, preset.model, clips, preset.training, torch.Generator().manual_seed(0))
    loss.backward()
    assert torch.isfinite(loss)
    assert model(clips.video, torch.zeros(2), clips.conditions).clip.shape == clips.video.shape
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 0.0, 0.1), ("mini", 3.0, 3.6), ("small", 22.0, 30.0)])
def test_presets_have_their_size(name, low, high):
    with torch.device("meta"):
        model = VideoTransformer(PRESETS[name].model)
    assert low < sum(parameter.numel() for parameter in model.parameters()) / 1e6 < high


def test_an_unknown_variant_is_refused():
    with pytest.raises(InputError, match="no variant 'upside_down'; known: default"):
        varied(TINY, "upside_down")


def test_a_batch_can_be_overfitted():
    preset = varied(TINY, "default")
    clips = clips_for(preset)
    config = replace(preset.training, subject_weight=1.0)
    torch.manual_seed(0)
    model = VideoTransformer(preset.model)
    optimisers = build_optimisers(model, 0.02, 3e-3)
    losses = []
    for step in range(150):
        # Times and noise stay the same, so that what is left is what the network has not yet learned by heart.
        loss = training_loss(model, preset.model, clips, config, torch.Generator().manual_seed(step % 2))
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]


def test_at_the_start_the_papers_camera_changes_nothing():
    preset = varied(TINY, "paper")
    torch.manual_seed(0)
    model = VideoTransformer(preset.model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("camera."):
                parameter.add_(torch.randn_like(parameter) * 0.1)
        model.no_camera.zero_()
    clips = clips_for(preset)
    moved = replace(clips.conditions, T_start_camera=clips.conditions.T_start_camera.flip(1))
    assert torch.equal(look(model, clips), look(model, clips, moved))
    with torch.no_grad():
        model.camera.weight.normal_()
    assert not torch.allclose(look(model, clips), look(model, clips, moved))


def test_rays_do_change_what_is_seen():
    clips, model = clips_for(TINY), awake(TINY.model)
    moved = replace(clips.conditions, T_start_camera=clips.conditions.T_start_camera.flip(1))
    assert not torch.allclose(look(model, clips), look(model, clips, moved), atol=1e-3)


def test_the_order_of_pictures_means_nothing_when_geometry_is_added():
    clips, model = clips_for(TINY, crops=4), awake(TINY.model)
    shuffled = clips.conditions.shuffled(torch.Generator().manual_seed(1))
    assert not torch.equal(shuffled.pictures, clips.conditions.pictures)
    assert torch.allclose(look(model, clips), look(model, clips, shuffled), atol=1e-4)
    # Geometry that is left behind does matter, and so does which picture is the first.
    torn = replace(clips.conditions, pictures=shuffled.pictures)
    assert not torch.allclose(look(model, clips), look(model, clips, torn), atol=1e-3)
    known = clips.conditions.geometry
    other_first = replace(
        clips.conditions,
        pictures=clips.conditions.pictures.roll(1, 1),
        geometry=mapped(known, lambda tensor: tensor.roll(1, 1)),
    )
    assert not torch.allclose(look(model, clips), look(model, clips, other_first), atol=1e-3)


def test_shuffling_keeps_the_first_picture_and_carries_geometry_along():
    conditions = clips_for(TINY, clips=3, crops=6).conditions
    shuffled = conditions.shuffled(torch.Generator().manual_seed(0))
    assert torch.equal(shuffled.pictures[:, 0], conditions.pictures[:, 0])
    for clip in range(3):
        order = [
            next(i for i in range(6) if torch.equal(conditions.pictures[clip, i], picture))
            for picture in shuffled.pictures[clip]
        ]
        assert sorted(order) == list(range(6))
        assert torch.equal(shuffled.geometry.features[clip], conditions.geometry.features[clip, order])
        assert torch.equal(shuffled.geometry.rays[clip], conditions.geometry.rays[clip, order])
        assert torch.equal(shuffled.geometry.points[clip], conditions.geometry.points[clip, order])


def test_attention_goes_where_a_ray_passes_and_not_behind_it():
    T_start_camera = torch.eye(4)[None, None].clone()
    T_start_camera[..., :3, 3] = torch.tensor([2.0, 0.0, 0.0])
    ray = torch.tensor([0.0, 0.0, 1.0, 0.0, -2.0, 0.0])[None, None, None]  # from there along +Z
    points = torch.tensor([[2.0, 0.0, 5.0], [0.0, 0.0, 5.0], [2.0, 0.0, -5.0]])
    nearness = Nearness.of(passing_numbers(T_start_camera, ray)[:, 0], 0, point_numbers(points)[None], 1, 4)
    attention = Attention(8, 2, knows_nearness=True)
    with torch.no_grad():
        attention.query.weight.zero_()
        attention.value.weight.copy_(torch.eye(8))
        attention.out.weight.copy_(torch.eye(8))
        attention.aside.fill_(20.0)
        attention.ahead.fill_(20.0)
    x = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(attention(x, nearness)[0, 0], x[0, 1], atol=1e-4)
    # Tokens without a ray look everywhere.
    assert torch.allclose(attention(x, nearness)[0, 1:], x.mean(1).expand(3, -1), atol=1e-4)


def test_attention_of_gpus_is_that_of_cpus_where_queries_are_wider_than_values():
    chance = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, width, generator=chance) for width in (16, 16, 8))
    assert fused(q, k, v).shape == v.shape
    assert torch.allclose(fused(q, k, v), attend(q, k, v), atol=1e-5)


@pytest.mark.parametrize("name", ["default", "frames"])
def test_points_stand_at_the_tokens_that_carry_geometry(name):
    preset = varied(TINY, name)
    clips, model = clips_for(preset), VideoTransformer(preset.model)
    config, points = preset.model, clips.conditions.geometry.points.flatten(1, 2)
    video = config.frames * config.side**2
    context = points.shape[1] * (2 if name == "frames" else 1)
    nearness = model.nearness(clips.conditions, torch.zeros(2, video + context + config.readings, config.width))
    before = video + context - points.shape[1]  # joined along the frames, geometry stands behind the pictures
    assert torch.equal(nearness.points[:, before : -config.readings, :POINT_NUMBERS], points)
    assert not nearness.points[:, :before].any() and not nearness.points[:, -config.readings :].any()
    assert nearness.rays[:, :video].any(-1).all() and not nearness.rays[:, video:].any()


def test_where_patches_of_the_set_lie_changes_what_is_seen_unless_the_camera_or_the_set_is_absent():
    clips, model = clips_for(TINY), awake(TINY.model)
    known = clips.conditions.geometry
    elsewhere = replace(clips.conditions, geometry=replace(known, points=known.points.flip(2)))
    assert not torch.allclose(look(model, clips), look(model, clips, elsewhere), atol=1e-4)
    for absent in ("camera", "set"):
        without = frozenset({absent})
        assert torch.equal(
            look(model, clips, clips.conditions.without(without)), look(model, clips, elsewhere.without(without))
        )


@pytest.mark.parametrize("name", ["words", "set", "camera"])
def test_what_is_absent_has_no_influence(name):
    clips, model = clips_for(TINY), awake(TINY.model)
    conditions = clips.conditions
    other = {
        "words": replace(conditions, word_ids=conditions.word_ids.flip(1)),
        "set": replace(conditions, pictures=-conditions.pictures, geometry=SetGeometry(-conditions.geometry.features)),
        "camera": replace(conditions, T_start_camera=conditions.T_start_camera.flip(1)),
    }[name]
    assert not torch.allclose(look(model, clips, conditions), look(model, clips, other), atol=1e-3)
    without = frozenset({name})
    assert torch.equal(look(model, clips, conditions.without(without)), look(model, clips, other.without(without)))
    with pytest.raises(ValueError, match="no conditions"):
        conditions.without(frozenset({"weather"}))


def test_conditions_are_dropped_as_often_as_asked():
    conditions = joined([clips_for(TINY, clips=10).conditions] * 400)
    share = conditions.dropped(0.1, torch.Generator().manual_seed(0)).absent.float().mean(0)
    assert ((share > 0.08) & (share < 0.12)).all()


def test_a_clip_does_not_depend_on_its_batch():
    clips, model = clips_for(TINY, clips=3), awake(TINY.model)
    alone = clips.clips(torch.tensor([1]))
    assert torch.allclose(look(model, clips)[1:2], look(model, alone), atol=1e-5)


def test_gradient_checkpointing_changes_no_gradient():
    clips = clips_for(TINY)
    found = []
    for on in (False, True):
        model = awake(TINY.model).train()
        model.gradient_checkpointing = on
        training_loss(model, TINY.model, clips, TINY.training, torch.Generator().manual_seed(0)).backward()
        found.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_bfloat16_is_close_to_float32():
    clips, model = clips_for(TINY), awake(TINY.model)
    with torch.no_grad():
        half = model(clips.video.bfloat16(), torch.full((2,), 0.4), clips.conditions).clip
    full = look(model, clips)
    assert half.dtype == torch.float32
    assert (half - full).norm() < 0.05 * full.norm()


def test_a_saved_model_is_the_same_model(tmp_path):
    clips, model = clips_for(TINY), awake(TINY.model)
    save_model(tmp_path / "model", TINY.model, model.state_dict(), 12, ORIGIN)
    saved = load_model(tmp_path / "model")
    assert (saved.step, saved.geometry, saved.model.config) == (12, ORIGIN, TINY.model)
    assert torch.equal(look(saved.model, clips), look(model, clips))


def test_a_model_from_before_nearness_knows_none(tmp_path):
    config = varied(TINY, "no_nearness").model
    save_model(tmp_path, config, awake(config).state_dict(), 0, ORIGIN, pictures=5)
    assert load_model(tmp_path).pictures == 5
    document = json.loads((tmp_path / "model.json").read_text())
    del document["model"]["nearness"], document["pictures"]
    (tmp_path / "model.json").write_text(json.dumps(document))
    saved = load_model(tmp_path)
    assert saved.model.config == config and saved.pictures is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 0}, "no readable video model"),
        ({"patch_px": 0}, "no readable video model"),
        ({"width": 64}, "other weights than expected"),
        ({"width": 10**9}, "not in 0 …"),
        ({"layers": 10**4}, "up to 256 are read"),
        ({"colour": 1}, "no readable video model"),
    ],
)
def test_a_model_whose_description_was_changed_is_refused(tmp_path, change, message):
    save_model(tmp_path, TINY.model, awake(TINY.model).state_dict(), 0, ORIGIN)
    document = json.loads((tmp_path / "model.json").read_text())
    document["model"].update(change)
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(FileFormatError, match=message):
        load_model(tmp_path)


def test_a_cut_off_model_is_refused(tmp_path):
    save_model(tmp_path, TINY.model, awake(TINY.model).state_dict(), 0, ORIGIN)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileFormatError, match="no readable file of weights"):
        load_model(tmp_path)
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_model(tmp_path / "elsewhere")


def test_words_known_unknown_and_none():
    ids = FILM_VOCABULARY.ids(["A man, in RED", "zyzzyva", "", "red " * 50])
    assert ids.shape == (4, FILM_VOCABULARY.longest)
    assert FILM_VOCABULARY.words[ids[0, 3] - 1] == "red" and (ids[0, 4:] == 0).all()
    assert len(FILM_VOCABULARY.words) < ids[1, 0] < len(FILM_VOCABULARY)
    assert (ids[2] == 0).all() and (ids[3] == ids[0, 3]).all()
    assert torch.equal(Vocabulary((), 7, 2).ids(["never seen before"]), Vocabulary((), 7, 2).ids(["never seen"]))
