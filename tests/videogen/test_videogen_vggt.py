"""VGGT against reference figures, and its own laws."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from understudy.runtime.errors import FileFormatError
from understudy.videogen.encoders.vggt.heads import DenseHeadConfig
from understudy.videogen.encoders.vggt.model import IGNORED_PREFIXES, VGGT, VggtConfig, load_vggt
from understudy.videogen.encoders.vggt.pictures import prepare_pictures
from understudy.videogen.encoders.vggt.pose_encoding import (
    cameras_from_encoding,
    encode_cameras,
    inverse_rigid,
    unproject,
)

TINY = VggtConfig(
    channels=64,
    layers=4,
    heads=4,
    encoder_layers=2,
    encoder_heads=4,
    head_layers=(0, 1, 2, 3),
    dense=DenseHeadConfig(features=32, level_channels=(16, 32, 64, 64)),
)


@pytest.fixture(scope="module")
def reference(shared_data) -> Path:
    return shared_data / "conformance" / "vggt"


@pytest.fixture(scope="module")
def tiny(reference) -> VGGT:
    return load_vggt(reference / "tiny_a_weights.safetensors", TINY)


def random_vggt(config: VggtConfig = TINY) -> VGGT:
    torch.manual_seed(0)
    model = VGGT(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim > 2:
            parameter.normal_(0, 0.02)
    return model


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).abs().max() / wanted.abs().max())


def test_every_output_equals_the_reference(tiny, reference):
    io = load_file(reference / "tiny_a_io.safetensors")
    pictures = io["images"]
    tokens = tiny.aggregator(pictures, range(4))
    errors = {f"aggregated_tokens.{n}": relative(tokens[n], io[f"aggregated_tokens.{n}"]) for n in range(4)}
    rounds = tiny.camera_head(tokens[3][:, :, 0])
    errors |= {f"pose_enc.{n}": relative(rounds[n], io[f"pose_enc.{n}"]) for n in range(4)}
    geometry = tiny(pictures)
    ours = {
        "extrinsic": geometry.T_camera_world,
        "intrinsic": geometry.K,
        "depth": geometry.depth[..., None],
        "depth_conf": geometry.depth_confidence,
        "world_points": geometry.points,
        "world_points_conf": geometry.points_confidence,
        "world_points_from_depth": unproject(geometry.depth, geometry.T_camera_world, geometry.K),
    }
    errors |= {name: relative(value, io[name]) for name, value in ours.items()}
    assert {name: error for name, error in errors.items() if error > 1e-4} == {}


def test_patch_tokens_equal_the_reference(tiny, reference):
    io = load_file(reference / "tiny_a_io.safetensors")
    from understudy.videogen.encoders.vggt.model import PICTURE_MEAN, PICTURE_STD

    mean, std = torch.tensor(PICTURE_MEAN)[:, None, None], torch.tensor(PICTURE_STD)[:, None, None]
    got = tiny.aggregator.patch_embed(((io["images"] - mean) / std).flatten(0, 1))
    assert relative(got, io["patch_tokens"]) < 1e-4


def test_full_size_has_the_published_names_and_shapes(reference):
    manifest = json.loads((reference / "vggt_1b_manifest.json").read_text())["tensors"]
    with torch.device("meta"):
        ours = {name: list(value.shape) for name, value in VGGT().state_dict().items()}
    published = {name: entry["shape"] for name, entry in manifest.items() if not name.startswith(IGNORED_PREFIXES)}
    assert ours == published
    assert sum(not name.startswith("track_head.") for name in manifest) == len(ours)


def test_pose_encoding_equals_the_reference(reference):
    known = load_file(reference / "pose_encoding.safetensors")
    got = encode_cameras(known["extrinsic"], known["intrinsic"], 42, 70)
    assert relative(got, known["pose_enc"]) < 1e-5
    T, K = cameras_from_encoding(known["pose_enc_scaled_quaternion"], 42, 70)
    assert relative(T, known["extrinsic_from_scaled"]) < 1e-5
    assert relative(K, known["intrinsic_from_scaled"]) < 1e-5
    assert relative(inverse_rigid(known["extrinsic"][0]), known["inverse_extrinsic"]) < 1e-5
    points = unproject(known["depth"][..., 0], known["extrinsic"][0], known["intrinsic"][0])
    assert relative(points, known["world_points_from_depth"]) < 1e-5


def test_prepared_pictures_equal_the_reference(reference):
    folder = reference / "preprocess"
    expected = np.load(folder / "expected.npz")
    order = json.loads((folder / "expected.json").read_text())["order"]
    pictures = {name: np.array(Image.open(folder / f"{name}.png")) for name in order}
    lists = {name: [picture] for name, picture in pictures.items()} | {"all": list(pictures.values())}
    for key in expected.files:
        name, fit = key.split(".")
        got = (prepare_pictures(lists[name], fit) * 255).round().numpy()
        assert got.shape == expected[key].shape, key
        assert np.abs(got - expected[key].astype(np.float32)).max() <= 1, key


def test_encoding_a_camera_and_back_gives_the_same_camera():
    generator = torch.Generator().manual_seed(1)
    quaternion = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    encoding = torch.cat([torch.randn(50, 3, generator=generator), quaternion, 0.3 + torch.rand(50, 2)], -1).double()
    T, K = cameras_from_encoding(encoding, 120, 200)
    again = cameras_from_encoding(encode_cameras(T, K, 120, 200), 120, 200)
    torch.testing.assert_close(again[0], T)
    torch.testing.assert_close(again[1], K)
    half_turns = torch.diag_embed(torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]]))
    T = torch.cat([half_turns, torch.zeros(3, 3, 1)], -1)
    torch.testing.assert_close(cameras_from_encoding(encode_cameras(T, K[:3].float(), 120, 200), 120, 200)[0], T)


def test_other_pictures_may_change_places_but_not_the_first():
    model = random_vggt()
    pictures = torch.rand(1, 4, 3, 42, 56, generator=torch.Generator().manual_seed(2))
    tokens = model.last_tokens(pictures)
    swapped = model.last_tokens(pictures[:, [0, 3, 2, 1]])
    torch.testing.assert_close(swapped[:, [0, 3, 2, 1]], tokens, atol=1e-4, rtol=1e-4)
    moved = model.last_tokens(pictures[:, [1, 0, 2, 3]])
    assert not torch.allclose(moved[:, [1, 0, 2, 3]], tokens, atol=1e-4)


def test_scenes_of_a_batch_do_not_see_each_other():
    model = random_vggt()
    pictures = torch.rand(2, 2, 3, 28, 42, generator=torch.Generator().manual_seed(3))
    geometry = model(pictures)
    alone = model(pictures[1:])
    torch.testing.assert_close(geometry.depth[1:], alone.depth, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(geometry.pose_encoding[1:], alone.pose_encoding, atol=1e-4, rtol=1e-4)
    assert geometry.depth.shape == (2, 2, 28, 42) and geometry.points.shape == (2, 2, 28, 42, 3)


def test_more_frames_than_a_head_takes_at_once_come_out_the_same():
    model = random_vggt()
    levels = [torch.randn(1, 10, 4, 128, generator=torch.Generator().manual_seed(n)) for n in range(4)]
    maps = model.depth_head(levels, (2, 2))
    single = [model.depth_head([level[:, n : n + 1] for level in levels], (2, 2)) for n in range(10)]
    torch.testing.assert_close(maps, torch.cat(single, 1))


def test_bfloat16_matrices_change_little():
    model = random_vggt()
    pictures = torch.rand(1, 2, 3, 28, 28, generator=torch.Generator().manual_seed(4))
    exact = model.last_tokens(pictures)
    rounded = model.with_bfloat16_matrices().last_tokens(pictures)
    assert rounded.dtype == torch.float32
    assert 0 < relative(rounded, exact) < 0.03


def test_weights_are_saved_and_loaded_whole(tmp_path):
    model = random_vggt()
    weights = dict(model.state_dict()) | {"track_head.tracker.fmap_norm.weight": torch.ones(8)}
    path = tmp_path / "weights.safetensors"
    save_file(weights, path)
    loaded = load_vggt(path, TINY)
    pictures = torch.rand(1, 2, 3, 28, 28)
    torch.testing.assert_close(loaded.last_tokens(pictures), model.last_tokens(pictures))


def test_wrong_weights_are_refused_in_a_sentence(tmp_path):
    weights = dict(random_vggt().state_dict())
    path = tmp_path / "weights.safetensors"
    cases = {
        "1 tensors missing": {name: value for name, value in weights.items() if name != "camera_head.token_norm.bias"},
        "1 too many": weights | {"surprise": torch.zeros(1)},
        "expected 64": weights | {"aggregator.patch_embed.norm.weight": torch.zeros(65)},
    }
    for words, content in cases.items():
        save_file(content, path)
        with pytest.raises(FileFormatError, match=words):
            load_vggt(path, TINY)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FileFormatError, match="damaged"):
        load_vggt(path, TINY)
    with pytest.raises(FileFormatError, match=r"cannot be read|damaged"):
        load_vggt(tmp_path / "absent.safetensors", TINY)
    with pytest.raises(FileFormatError, match=r"not a \.safetensors"):
        load_vggt(tmp_path / "model.pt", TINY)


def test_pictures_of_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="multiples of 14"):
        random_vggt().last_tokens(torch.rand(1, 1, 3, 30, 28))
