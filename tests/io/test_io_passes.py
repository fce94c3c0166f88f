"""Passes survive the disk; colour conversion is the standard's."""

import json
import re
from fractions import Fraction

import av
import numpy as np
import OpenEXR
import pytest

from understudy.core.camera import CameraPath
from understudy.core.passes import Passes
from understudy.geometry.projection import project
from understudy.geometry.rigid import transform
from understudy.geometry.rotations import look_at
from understudy.imaging.colour import (
    linear_from_srgb,
    linear_from_srgb_bytes,
    srgb_bytes_from_linear,
    srgb_from_linear,
)
from understudy.io.passes import PassWriter, read_layers, read_passes
from understudy.runtime.parallel import limit_workers


def frame(seed: int) -> Passes:
    rng = np.random.default_rng(seed)
    alpha = np.zeros((36, 50), np.float32)
    alpha[8:30, 10:40] = rng.uniform(0.05, 1, (22, 30))
    inside = alpha > 0
    normals = rng.normal(size=(36, 50, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return Passes(
        colour=(rng.uniform(0, 1, (36, 50, 3)) * alpha[..., None]).astype(np.float32),
        alpha=alpha,
        depth_m=np.where(inside, rng.uniform(1, 20, alpha.shape), np.inf).astype(np.float32),
        normals=(normals * inside[..., None]).astype(np.float32),
        ids=inside.astype(np.uint8),
        id_share=0.5 * alpha,
        shadow=rng.uniform(0, 1, alpha.shape).astype(np.float32),
        motion_px=(rng.normal(0, 5, (36, 50, 4)) * inside[..., None]).astype(np.float32),
    )


def camera(rate: Fraction = Fraction(24000, 1001)) -> CameraPath:
    """A travelling, zooming camera with an axis off the centre and pixels that are not square."""
    eye = np.array([[0.3 * t, 1.5, 4.0 - 0.2 * t] for t in range(4)])
    K = np.array([[[60.0 + 3 * t, 0, 23.0], [0, 57.0 + t, 20.0], [0, 0, 1]] for t in range(4)])
    return CameraPath(look_at(eye, np.tile([0.0, 1.0, 0.0], (4, 1)), 0.2), K, 50, 36, rate)


def written(folder, frames, people=None, first_frame=1, rate=Fraction(24000, 1001)):
    with PassWriter(folder, camera(rate), "exr", first_frame, ("hero",)) as writer:
        for passes in frames:
            writer.write(passes, people)


def opened(path):
    file = OpenEXR.File(str(path), separate_channels=True)
    return file.header(), {name: np.array(channel.pixels) for name, channel in file.channels().items()}


def test_passes_come_back(tmp_path):
    frames = [frame(seed) for seed in range(4)]
    written(tmp_path, frames)
    for got, wrote in zip(read_passes(tmp_path), frames, strict=True):
        assert np.abs(got.alpha - wrote.alpha).max() <= 0.5 / 255 + 1e-6
        assert np.abs(got.colour - wrote.colour).max() < 0.015
        assert np.allclose(got.depth_m, wrote.depth_m, rtol=3e-4)
        assert np.array_equal(got.ids, wrote.ids)
        assert np.abs(got.id_share - wrote.id_share).max() <= 0.5 / 255 + 1e-6
        assert np.abs(got.shadow - wrote.shadow).max() <= 0.5 / 255 + 1e-6
        assert np.abs(got.normals - wrote.normals).max() < 0.01
        assert (got.normals[wrote.ids == 0] == 0).all()


def test_frames_written_at_once_are_those_written_one_by_one(tmp_path):
    frames, people = [frame(seed) for seed in range(4)], [{"anna": frame(seed).alpha} for seed in range(4, 8)]
    folders = tmp_path / "one", tmp_path / "three"
    for folder, workers in zip(folders, (1, 3), strict=True):
        with limit_workers(workers), PassWriter(folder, camera(), "exr", 7, ("hero",)) as writer:
            if workers == 1:
                for passes, persons in zip(frames, people, strict=True):
                    writer.write(passes, persons)
            else:
                assert sum(1 for _ in writer.write_all(zip(frames, people, strict=True))) == 4
    names = [sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) for folder in folders]
    assert names[0] == names[1] and "exr/passes.0010.exr" in names[0]
    assert all(
        (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
        for name in names[0]
        if (folders[0] / name).is_file()
    )


def test_layers_are_what_the_passes_hold_of_them(tmp_path):
    written(tmp_path, [frame(seed) for seed in range(4)])
    for frames in (None, [1, 3]):
        for layer, passes in zip(read_layers(tmp_path, frames), read_passes(tmp_path, frames), strict=True):
            for name in ("colour", "alpha", "shadow"):
                assert np.array_equal(getattr(layer, name), getattr(passes, name))


def test_every_layer_of_an_exr_comes_back_under_the_name_that_compositors_know(tmp_path):
    frames = [frame(seed) for seed in range(4)]
    written(tmp_path, frames, first_frame=1001)
    assert sorted(path.name for path in (tmp_path / "exr").iterdir()) == [f"passes.{1001 + t}.exr" for t in range(4)]
    wrote, (_, channels) = frames[2], opened(tmp_path / "exr/passes.1003.exr")
    for i, name in enumerate("RGB"):
        assert channels[name] == pytest.approx(wrote.colour[..., i], abs=1e-3)
    assert channels["A"] == pytest.approx(wrote.alpha, abs=1e-3)
    inside = wrote.ids > 0
    assert np.array_equal(channels["Z"][inside], wrote.depth_m[inside]) and channels["Z"].dtype == np.float32
    assert (channels["Z"][~inside] == np.float32(1e10)).all()
    for i, axis in enumerate("xyz"):
        assert channels[f"N.{axis}"] == pytest.approx(wrote.normals[..., i], abs=1e-3)
    for i, (name, sign) in enumerate((("forward.u", 1), ("forward.v", -1), ("backward.u", 1), ("backward.v", -1))):
        assert channels[name] == pytest.approx(sign * wrote.motion_px[..., i], abs=0.02)
    assert channels["shadow.Y"] == pytest.approx(wrote.shadow, abs=1e-3)
    assert set(channels) == {
        *"RGBAZ", "N.x", "N.y", "N.z", "forward.u", "forward.v", "backward.u", "backward.v", "shadow.Y",
        *(f"CryptoObject00.{letter}" for letter in "rgba"),
    }  # fmt: skip


def test_an_exr_says_when_and_through_which_camera_it_was_seen(tmp_path):
    written(tmp_path, [frame(seed) for seed in range(4)], first_frame=1001)
    path, points = camera(), np.random.default_rng(2).uniform(-0.5, 0.5, (8, 3)) + [0, 1, 0]
    homogeneous = np.concatenate([points, np.ones((8, 1))], 1)
    for t in (0, 3):
        header, _ = opened(tmp_path / f"exr/passes.{1001 + t}.exr")
        assert header["framesPerSecond"] == Fraction(24000, 1001) and header["imageCounter"] == 1001 + t
        # 1001 frames at 24 per second of time code.
        assert str(header["timeCode"]).startswith(f"(0, 0, 41, {17 + t}")
        assert header["chromaticities"] == pytest.approx((0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290))
        # By OpenEXR's own words: row vectors; right, up and ahead; (0, 0) upper left and (1, 1) lower right.
        seen = transform(path.T_camera_world[t], points)
        local = homogeneous @ header["worldToCamera"]
        assert local[:, :3] == pytest.approx(seen * [1, -1, 1], abs=1e-5)
        ndc = homogeneous @ header["worldToNDC"]
        assert ndc[:, :2] / ndc[:, 3:] * [50, 36] == pytest.approx(project(path.K[t], seen), abs=1e-3)
        # The lens from millimetres, through the camera's own space.
        mm = header["pinholeFocalLength"] * local[:, :2] / local[:, 2:3]
        px = mm / header["sensorOverallDimensions"] * [50, -36] + path.K[t, :2, 2]
        assert px == pytest.approx(project(path.K[t], seen), abs=1e-3)


def test_light_beyond_half_floats_stays_finite(tmp_path):
    wrote = frame(0)
    wrote.colour[10, 12] = 1e6
    written(tmp_path, [wrote])
    _, channels = opened(tmp_path / "exr/passes.0001.exr")
    assert channels["R"][10, 12] == 65504 and all(np.isfinite(channels[name]).all() for name in "RGB")


def test_fast_film_has_no_time_code(tmp_path):
    written(tmp_path, [frame(0)], rate=Fraction(60))
    header, _ = opened(tmp_path / "exr/passes.0001.exr")
    assert "timeCode" not in header and header["framesPerSecond"] == 60


def test_mattes_are_pulled_from_an_exr_by_name(tmp_path):
    rng = np.random.default_rng(7)
    people = {name: rng.uniform(0, 1, (36, 50)).astype(np.float32) for name in ("person_1", "person_2", "others")}
    wrote = frame(0)
    written(tmp_path, [wrote], people)
    header, channels = opened(tmp_path / "exr/passes.0001.exr")
    found = {}
    for key, layer in header.items():
        if key.startswith("cryptomatte/") and key.endswith("/name"):
            for name, code in json.loads(header[key.removesuffix("name") + "manifest"]).items():
                levels = {channel.split(".")[0] for channel in channels if channel.startswith(layer)}
                pairs = [(f"{level}.{a}", f"{level}.{b}") for level in levels for a, b in ("rg", "ba")]
                code = np.array(int(code, 16), np.uint32).view(np.float32)
                found[layer, name] = sum(np.where(channels[a] == code, channels[b], 0) for a, b in pairs)
    total = np.maximum(sum(people.values()), 1)
    assert found.pop(("CryptoObject", "hero")) == pytest.approx(wrote.id_share, abs=1e-6)
    assert set(found) == {("CryptoPerson", name) for name in people}
    for name, matte in people.items():
        assert found["CryptoPerson", name] == pytest.approx(matte / total, abs=1e-6)


def test_the_folder_says_how_its_videos_hold_metres(tmp_path):
    wrote = frame(3)
    written(tmp_path, [wrote])
    text = (tmp_path / "README.txt").read_text(encoding="utf-8")
    formula = re.search(r"metres = ([^.]+\.\d+ \*[^.]+)\.", text)[1]
    with av.open(str(tmp_path / "depth.mkv")) as video:
        code = next(video.decode(video=0)).to_ndarray().astype(float)
    inside = wrote.ids > 0
    assert eval(formula, {"code": code})[inside] == pytest.approx(wrote.depth_m[inside], rel=2e-4)
    assert (code[~inside] == 65535).all()


@pytest.mark.parametrize("kind", ["exr", "png", "video"])
def test_the_folder_speaks_of_what_is_in_it(tmp_path, kind):
    with PassWriter(tmp_path, camera(), kind) as writer:
        writer.write(frame(0))
    text = (tmp_path / "README.txt").read_text(encoding="utf-8")
    named = {name for name in ("exr", "png") if f"{name}/" in text}
    assert named == {path.name for path in tmp_path.iterdir() if path.is_dir()}


def test_png_are_numbered_from_the_first_frame(tmp_path):
    with PassWriter(tmp_path, camera(), "png", 1001) as writer:
        writer.write(frame(0))
        writer.write(frame(1))
    assert sorted(path.name for path in (tmp_path / "png").iterdir()) == ["colour.1001.png", "colour.1002.png"]


def test_srgb_is_the_standards():
    assert linear_from_srgb(np.array([0.5]))[0] == pytest.approx(0.21404, abs=1e-5)
    light = np.linspace(0, 1, 1001)
    assert linear_from_srgb(srgb_from_linear(light)) == pytest.approx(light, abs=1e-12)
    codes = np.arange(256, dtype=np.uint8)
    assert np.array_equal(srgb_bytes_from_linear(linear_from_srgb_bytes(codes)), codes)
    assert np.abs(255 * srgb_from_linear(light) - srgb_bytes_from_linear(light)).max() < 0.56
