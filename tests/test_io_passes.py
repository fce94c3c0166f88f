"""Passes survive the disk; colour conversion is the standard's."""

from fractions import Fraction

import numpy as np
import OpenEXR
import pytest

from understudy.core.passes import Passes
from understudy.geometry.colour import (
    linear_from_srgb,
    linear_from_srgb_bytes,
    srgb_bytes_from_linear,
    srgb_from_linear,
)
from understudy.io.passes import PassWriter, read_passes


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
    )


def test_passes_come_back(tmp_path):
    frames = [frame(seed) for seed in range(4)]
    with PassWriter(tmp_path, 50, 36, Fraction(24), "exr") as writer:
        for passes in frames:
            writer.write(passes)
    for got, wrote in zip(read_passes(tmp_path), frames, strict=True):
        assert np.abs(got.alpha - wrote.alpha).max() <= 0.5 / 255 + 1e-6
        assert np.abs(got.colour - wrote.colour).max() < 0.015
        assert np.allclose(got.depth_m, wrote.depth_m, rtol=3e-4)
        assert np.array_equal(got.ids, wrote.ids)
        assert np.abs(got.id_share - wrote.id_share).max() <= 0.5 / 255 + 1e-6
        assert np.abs(got.shadow - wrote.shadow).max() <= 0.5 / 255 + 1e-6
        assert np.abs(got.normals - wrote.normals).max() < 0.01
        assert (got.normals[wrote.ids == 0] == 0).all()
    exr = OpenEXR.File(str(tmp_path / "exr/passes.00002.exr"), separate_channels=True).channels()
    assert exr["R"].pixels == pytest.approx(frames[2].colour[..., 0], abs=1e-3)
    assert np.isinf(exr["Z"].pixels[0, 0])


def test_srgb_is_the_standards():
    assert linear_from_srgb(np.array([0.5]))[0] == pytest.approx(0.21404, abs=1e-5)
    light = np.linspace(0, 1, 1001)
    assert linear_from_srgb(srgb_from_linear(light)) == pytest.approx(light, abs=1e-12)
    codes = np.arange(256, dtype=np.uint8)
    assert np.array_equal(srgb_bytes_from_linear(linear_from_srgb_bytes(codes)), codes)
    assert np.abs(255 * srgb_from_linear(light) - srgb_bytes_from_linear(light)).max() < 0.56
