"""Pictures packed by us are, to the OpenEXR library, those that it writes itself."""

import numpy as np
import OpenEXR
import pytest

from understudy.io.exr.scan_lines import Channel, half_planes, write_channels


def of_library(path, header, channels):
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}, channels).write(
        str(path)
    )


def opened(path):
    file = OpenEXR.File(str(path), separate_channels=True)
    return file.header(), {name: np.array(channel.pixels) for name, channel in file.channels().items()}


def whole(channel, height, width):
    plane = np.full((height, width), channel.outside, channel.values.dtype)
    plane[channel.box] = channel.values
    return plane


@pytest.mark.parametrize("height, width", [(1, 1), (16, 1), (15, 7), (33, 50), (48, 64)])
def test_the_library_reads_what_it_would_have_written(tmp_path, height, width):
    rng = np.random.default_rng(height)

    def channel(kind, outside=0.0):
        (top, bottom), (left, right) = (np.sort(rng.integers(0, size + 1, 2)) for size in (height, width))
        box = slice(int(top), int(bottom)), slice(int(left), int(right))
        return Channel(rng.normal(size=(bottom - top, right - left)).astype(kind), box, outside)

    every = slice(0, height), slice(0, width)
    channels = {
        "Z": channel(np.float32, 1e10), "R": channel(np.float16), "A": channel(np.float16, 1.0),
        "x.long_name_of_more_than_31_characters": channel(np.float32),
        "G": Channel(np.zeros((0, 0), np.float16), (slice(0, 0), slice(0, 0))),
        "B": Channel(rng.normal(size=(height, width)).astype(np.float16), every),
    }  # fmt: skip
    header = {"comments": "compression\tdataWindow", "imageCounter": 7, "pixelAspectRatio": 2.0}
    write_channels(tmp_path / "ours.exr", header, height, width, channels)
    of_library(tmp_path / "library.exr", header, {name: whole(one, height, width) for name, one in channels.items()})
    ours, library = opened(tmp_path / "ours.exr"), opened(tmp_path / "library.exr")
    assert list(ours[0]) == list(library[0]) and list(ours[1]) == list(library[1])
    for name in ours[0].keys() - {"channels"}:
        assert str(ours[0][name]) == str(library[0][name]), name
    for name, plane in library[1].items():
        assert ours[1][name].dtype == plane.dtype and np.array_equal(ours[1][name], plane), name


def test_what_cannot_be_packed_is_kept_as_it_is(tmp_path):
    noise = np.random.default_rng(0).integers(0, 1 << 32, (40, 64), np.uint32).view(np.float32)
    write_channels(tmp_path / "ours.exr", {}, 40, 64, {"Y": Channel(noise, (slice(0, 40), slice(0, 64)))})
    _, channels = opened(tmp_path / "ours.exr")
    assert np.array_equal(channels["Y"].view(np.uint32), noise.view(np.uint32))
    assert noise.nbytes < (tmp_path / "ours.exr").stat().st_size < noise.nbytes + 1000


def test_a_picture_that_is_blank_nearly_everywhere_is_small(tmp_path):
    values = np.random.default_rng(0).normal(size=(30, 20)).astype(np.float16)
    write_channels(tmp_path / "a.exr", {}, 720, 1280, {"Y": Channel(values, (slice(300, 330), slice(90, 110)))})
    assert (tmp_path / "a.exr").stat().st_size < 20_000


def test_half_floats_are_those_of_numpy():
    values = np.random.default_rng(0).normal(0, 10, (40, 50, 3)).astype(np.float32)
    values[0, :6, 0] = 0.0, -0.0, 65504, 65519, 1e-8, 3e-5
    for box in (np.s_[:, :], np.s_[3:30, 5:49], np.s_[0:0, 0:0]):
        planes = half_planes(values[box])
        assert len(planes) == 3
        for i, plane in enumerate(planes):
            assert np.array_equal(plane.view(np.uint16), values[box][..., i].astype(np.float16).view(np.uint16))
    assert np.array_equal(half_planes(values[..., 1])[0], values[..., 1].astype(np.float16))


def test_the_same_picture_is_the_same_file_whatever_memory_held_before(tmp_path):
    """ISA-L's deflate did not hold this on every run, which is why zlib-ng packs the lines."""
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(size=(540, 400)), axis=1).astype(np.float16)
    channels = {name: Channel(smooth + np.float16(n), (slice(0, 540), slice(90, 490))) for n, name in enumerate("RGBA")}
    seen = set()
    for _ in range(20):
        held = [rng.bytes(int(size)) for size in rng.integers(1, 1_000_000, 20)]
        del held
        write_channels(tmp_path / "picture.exr", {}, 540, 960, channels)
        seen.add((tmp_path / "picture.exr").read_bytes())
    assert len(seen) == 1
