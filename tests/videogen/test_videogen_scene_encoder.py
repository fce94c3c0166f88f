"""Scene encoders: the small one learns and resumes, VGGT's is fused and resampled as the paper says."""

from pathlib import Path

import pytest
import torch
from box_rooms import box_rooms
from safetensors.torch import load_file, save_file

from understudy.runtime.errors import BackendUnavailable, FileFormatError, InputError
from understudy.synthetic.worlds.endless import ClipSizes, EndlessClips
from understudy.videogen.encoders.correlation import (
    CorrelationEncoder,
    EncoderConfig,
    load_correlation_encoder,
    save_correlation_encoder,
)
from understudy.videogen.encoders.scene_encoder import (
    MINI_WEIGHTS,
    CorrelationBackend,
    EncodedGeometry,
    GeometryProjection,
    SceneEncoder,
    VggtBackend,
    fuse,
    resample,
)
from understudy.videogen.encoders.set_pictures import LookingAround, SetPictures
from understudy.videogen.encoders.vggt.heads import DenseHeadConfig
from understudy.videogen.encoders.vggt.model import VGGT, VggtConfig
from understudy.videogen.training.train_scene_encoder import (
    EncoderTraining,
    measure_scene_encoder,
    train_scene_encoder,
)
from understudy.videogen.transformer.conditioning import GeometrySource
from understudy.videogen.transformer.rays import ASIDE_NUMBERS, passing_numbers

TINY = EncoderConfig(size_px=16, channels=32, layers=1, feature_channels=16)
TINY_VGGT = VggtConfig(
    channels=32, layers=2, heads=2, encoder_layers=1, encoder_heads=2, head_layers=(0, 0, 1, 1),
    dense=DenseHeadConfig(features=8, level_channels=(8, 8, 8, 8)),
)  # fmt: skip


def tiny_rooms(number: int, sets: int):
    return box_rooms(number, sets, crops=3, size=16)


def test_the_small_encoder_sees_and_hands_on(tmp_path):
    torch.manual_seed(0)
    model = CorrelationEncoder(TINY).eval()
    path = tmp_path / "encoder.safetensors"
    save_correlation_encoder(path, model)
    encoder = CorrelationBackend(path).build()
    assert isinstance(encoder, SceneEncoder)
    pictures = tiny_rooms(0, 2).pictures
    geometry = encoder(pictures, 2, 2)
    assert geometry.features.shape == (2, 3, 4, encoder.channels) and geometry.rays.shape == (2, 3, 4, 6)
    # A patch of one pixel lies on its own ray, ahead; the pictures are all from one place.
    fine = encoder(pictures, TINY.size_px, TINY.size_px)
    seen = passing_numbers(torch.eye(4).expand(2, 3, 4, 4), fine.rays) * fine.points
    assert seen[..., :ASIDE_NUMBERS].sum(-1).abs().max() < 1e-4
    torch.testing.assert_close(seen[..., ASIDE_NUMBERS:].sum(-1), torch.ones(2, 3, TINY.size_px**2))
    larger = encoder(torch.nn.functional.interpolate(pictures.flatten(0, 1), scale_factor=2).unflatten(0, (2, 3)), 4, 4)
    assert larger.features.shape == (2, 3, 16, encoder.channels)
    torch.testing.assert_close(larger.rays[..., :3].norm(dim=-1), torch.ones(2, 3, 16))
    assert CorrelationBackend(path, tells_rays=False).build()(pictures, 2, 2).rays is None
    assert isinstance(EncodedGeometry(encoder), GeometrySource)
    with pytest.raises(ValueError, match="square"):
        encoder(pictures[..., :8], 2, 2)


def test_later_pictures_may_change_places():
    torch.manual_seed(0)
    model = CorrelationEncoder(TINY).eval().requires_grad_(False)
    pictures = tiny_rooms(3, 2).pictures
    seen, swapped = model(pictures), model(pictures[:, [0, 2, 1]])
    torch.testing.assert_close(swapped.patch_tokens[:, [0, 2, 1]], seen.patch_tokens, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(swapped.R_start_picture[:, [0, 2, 1]], seen.R_start_picture, atol=5e-3, rtol=1e-3)


def test_training_lowers_the_loss_and_goes_on_as_if_never_interrupted(tmp_path):
    training = EncoderTraining(steps=14, batch=4, warm_up_steps=3, checkpoint_every=4, correlate_share=0.4)
    whole, losses = train_scene_encoder(tmp_path / "whole", tiny_rooms, TINY, training)
    assert min(losses[-3:]) < losses[6], "after attention has joined"
    with pytest.raises(KeyboardInterrupt):
        train_scene_encoder(tmp_path / "cut", tiny_rooms, TINY, training, progress=stop_at(9))
    resumed, last_losses = train_scene_encoder(tmp_path / "cut", tiny_rooms, TINY, training)
    assert last_losses == losses[8:], "from the checkpoint of step 8"
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    with pytest.raises(InputError, match="other settings"):
        train_scene_encoder(tmp_path / "cut", tiny_rooms, TINY, EncoderTraining(steps=99))


def stop_at(step: int):
    def progress(done: int, total: int) -> None:
        if done == step:
            raise KeyboardInterrupt

    return progress


def test_damaged_or_foreign_weights_are_refused(tmp_path):
    path = tmp_path / "encoder.safetensors"
    save_correlation_encoder(path, CorrelationEncoder(TINY))
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(FileFormatError, match="no readable file"):
        load_correlation_encoder(path)
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(FileFormatError, match="scene encoder of ours"):
        load_correlation_encoder(path)
    weights = CorrelationEncoder(TINY).state_dict()
    save_file(weights, path, {"config": '{"size_px": 10000000}'})
    with pytest.raises(FileFormatError, match="scene encoder of ours"):
        load_correlation_encoder(path)
    with pytest.raises(FileFormatError, match="no readable file"):
        load_correlation_encoder(tmp_path / "absent.safetensors")


def test_looking_around_depends_on_the_number_alone():
    source = LookingAround(size_px=16)
    one, same, other = source(4, 2), source(4, 2), source(5, 2)
    assert torch.equal(one.pictures, same.pictures) and torch.equal(one.R_start_picture, same.R_start_picture)
    assert one.pictures.shape[1] != other.pictures.shape[1] or not torch.equal(one.pictures, other.pictures)
    assert torch.equal(one.R_start_picture[:, 0], torch.eye(3).expand(2, 3, 3))
    held_out = LookingAround(size_px=16, split="held_out")(4, 2)
    assert not torch.equal(held_out.pictures, one.pictures)


def test_the_context_of_clips_is_a_set_of_pictures():
    sizes = ClipSizes(frames=1, height=16, width=16, crops=3, crop_size=16)
    clips = EndlessClips(0, sizes).clips(range(2))
    figures = measure_scene_encoder(CorrelationEncoder(TINY).eval(), [SetPictures.of(clips)])
    assert figures.pictures == 4 and figures.depth_abs_rel > 0 and 0 <= figures.rotation_mean_deg <= 180


def test_the_camera_token_is_added_to_every_patch_token():
    patches, camera = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 5)
    whole = fuse(patches, camera, "whole")
    torch.testing.assert_close(whole - fuse(patches, camera, "patches"), fuse(patches, camera, "camera"))
    torch.testing.assert_close(whole[1, 2, 3], patches[1, 2, 3] + camera[1, 2])


def test_tokens_are_resampled_row_by_row():
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(6.0), indexing="ij")
    tokens = torch.stack([rows, columns], -1).reshape(1, 1, 24, 2)
    assert resample(tokens, (4, 6), 4, 6) is tokens
    half = resample(tokens, (4, 6), 2, 3).reshape(2, 3, 2)
    torch.testing.assert_close(half[:, 0, 0], torch.tensor([0.5, 2.5]))
    torch.testing.assert_close(half[0, :, 1], torch.tensor([0.5, 2.5, 4.5]))
    projected = GeometryProjection(2, 8)(tokens, 4, 6)
    assert projected.shape == (1, 1, 6, 8)
    torch.testing.assert_close(projected.mean(-1), torch.zeros(1, 1, 6), atol=1e-5, rtol=0)
    changed = tokens.clone()
    changed[0, 0, 1 * 6 + 3] += 5  # row 1, column 3: in the patch of row 0, column 1
    first = GeometryProjection(2, 8).requires_grad_(False)
    difference = (first(changed, 4, 6) - first(tokens, 4, 6)).abs().sum(-1)[0, 0]
    assert difference.nonzero().flatten().tolist() == [1]


def test_vggt_hands_on_its_last_layer(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    model = VGGT(TINY_VGGT).eval().requires_grad_(False)
    save_file(model.state_dict(), path)
    pictures = torch.rand(1, 2, 3, 28, 42) * 2 - 1
    tokens = model.last_tokens(pictures / 2 + 0.5)
    encoder = VggtBackend(path, TINY_VGGT, width_px=42).build()
    assert isinstance(encoder, SceneEncoder) and encoder.channels == 64
    geometry = encoder(pictures, 2, 3)
    torch.testing.assert_close(geometry.features, tokens[:, :, 5:] + tokens[:, :, :1], atol=1e-4, rtol=1e-3)
    assert geometry.rays is None
    assert encoder(pictures, 6, 8).features.shape == (1, 2, 48, 64)


def test_absent_vggt_weights_are_named(tmp_path):
    with pytest.raises(BackendUnavailable, match="facebook/VGGT-1B"):
        VggtBackend(tmp_path / "model.safetensors").build()


def test_the_bundled_encoder_finds_its_way_in_held_out_sets():
    model = load_correlation_encoder(MINI_WEIGHTS)
    assert MINI_WEIGHTS.stat().st_size < 6_000_000
    assert sum(parameter.numel() for parameter in model.parameters()) < 2_000_000
    ring = LookingAround(seed=7, split="held_out", counts=(6,), even_share=0.0, random_share=0.0)
    figures = measure_scene_encoder(model, [ring(0, 16)])
    assert figures.rotation_median_deg < 10
    assert figures.depth_abs_rel < 0.4


def test_bundled_weights_are_plain_floats():
    assert isinstance(MINI_WEIGHTS, Path)
    assert {tensor.dtype for tensor in load_file(MINI_WEIGHTS).values()} == {torch.float32}
