"""Pictures of light: right values, and files that claim more than they hold."""

import os
import re
import struct
import subprocess
import sys

import cv2
import numpy as np
import OpenEXR
import pytest

from understudy.io.pictures.high_dynamic_range import read_light
from understudy.runtime.errors import PictureError

HEAD = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n"


def ramp(height: int = 40, width: int = 80) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([0.01 + x, 0.5 + y, 1 + 0 * x], -1)


def write_hdr(path, light: np.ndarray) -> None:
    assert cv2.imwrite(str(path), light[..., ::-1])


def write_exr(path, channels: dict[str, np.ndarray], **header) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage} | header
    OpenEXR.File(header, channels).write(str(path))


@pytest.mark.parametrize("rows", [b"-Y", b"+Y"])
@pytest.mark.parametrize("columns", [b"+X", b"-X"])
def test_radiance_is_read_upright(tmp_path, rows, columns):
    write_hdr(tmp_path / "a.hdr", ramp())
    data = (tmp_path / "a.hdr").read_bytes().replace(b"-Y 40 +X 80", rows + b" 40 " + columns + b" 80")
    (tmp_path / "a.hdr").write_bytes(data)
    expected = ramp()[:: -1 if rows == b"+Y" else 1, :: -1 if columns == b"-X" else 1]
    assert np.abs(read_light(tmp_path / "a.hdr") - expected).max() < 0.5


def test_sizes_in_comments_are_none(tmp_path):
    """The size is the line behind the empty one, whatever lines before and behind it look like."""
    write_hdr(tmp_path / "a.hdr", ramp())
    pixels = (tmp_path / "a.hdr").read_bytes().partition(b"+X 80\n")[2]
    for decoy in (b"-Y 2 +X 2\n", b"# -Y 90000 +X 90000\n", b"COMMENT\n-Y 90000 +X 90000\n"):
        (tmp_path / "a.hdr").write_bytes(
            b"#?RADIANCE\n" + decoy + b"FORMAT=32-bit_rle_rgbe\n" + decoy + b"\n-Y 40 +X 80\n" + pixels
        )
        assert np.abs(read_light(tmp_path / "a.hdr") - ramp()).max() < 0.5
        (tmp_path / "a.hdr").write_bytes(
            b"#?RADIANCE\n-Y 40 +X 80\nFORMAT=32-bit_rle_rgbe\n\n-Y 90000 +X 90000\n\n-Y 40 +X 80\n" + pixels
        )
        with pytest.raises(PictureError, match="90000×90000 pixels"):
            read_light(tmp_path / "a.hdr")


@pytest.mark.parametrize("kind", ["lines", "tiles"])
def test_openexr_is_read(tmp_path, kind):
    header = {} if kind == "lines" else {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}
    light = np.ascontiguousarray(np.tile(ramp(), (8, 1, 1)))  # More rows than are read at once.
    write_exr(tmp_path / "a.hdr", {"RGB": light}, **header)
    assert (read_light(tmp_path / "a.hdr") == light).all()
    write_exr(tmp_path / "a.exr", {"RGBA": np.concatenate([light, light[..., :1]], -1).astype(np.float16)}, **header)
    assert np.abs(read_light(tmp_path / "a.exr") - light).max() < 0.05
    write_exr(tmp_path / "a.exr", {"Y": light[..., 0].copy()}, **header)
    assert (read_light(tmp_path / "a.exr") == light[..., :1]).all()


def test_odd_numbers_and_other_primaries(tmp_path):
    light = ramp()
    light[0, :3] = [[np.nan] * 3, [np.inf] * 3, [-5] * 3]
    p3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329)
    write_exr(tmp_path / "a.exr", {"RGB": light})
    assert read_light(tmp_path / "a.exr")[0, :3, 0].tolist() == [0.0, 65504.0, 0.0]
    write_exr(tmp_path / "a.exr", {"RGB": np.ascontiguousarray(light[1:])}, chromaticities=p3)
    # Rows of the matrix from Display P3 to BT.709, as in SMPTE EG 432-1.
    matrix = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    expected = np.maximum(light[1:] @ matrix.T, 0)
    assert np.abs(read_light(tmp_path / "a.exr") - expected).max() < 0.03


def refused(tmp_path) -> dict[str, tuple[str, bytes]]:
    """By name: words of the message, and the file."""
    write_hdr(tmp_path / "whole.hdr", ramp())
    write_exr(tmp_path / "whole.exr", {"RGB": ramp()})
    hdr, exr = (tmp_path / "whole.hdr").read_bytes(), (tmp_path / "whole.exr").read_bytes()
    window = struct.pack("<4i", 0, 0, 79, 39)
    assert exr.count(window) == 2
    files = {
        "text.hdr": ("no Radiance", b"no picture"), "empty.exr": ("no Radiance", b""),
        "sizeless.hdr": ("size", b"#?RADIANCE\n\n" + bytes(100)), "endless.hdr": ("size", b"#?RADIANCE\n" * 9000),
        "turned.hdr": ("on its side", HEAD + b"+X 80 -Y 40\n" + bytes(9000)),
        "huge.hdr": ("scale it", HEAD + b"-Y 90000 +X 180000\n"), "none.hdr": ("cut off", HEAD + b"-Y 0 +X 0\n"),
        "long.hdr": ("size", HEAD + b"-Y " + b"9" * 400 + b" +X 10\n"),
        "62.hdr": ("scale it", HEAD + b"-Y 5568 +X 11136\n" + bytes(1000)),
        "hollow.hdr": ("cut off", HEAD + b"-Y 2900 +X 5800\n" + bytes(200_000)),
        "flat.hdr": ("damaged", HEAD + b"-Y 1500 +X 3000\n" + b"\2\2\x0b\xb8" + b"\xff" * 2_000_000),
        "half.hdr": ("damaged|cut off", hdr[: len(hdr) * 2 // 3]),
        "xyz.hdr": ("XYZ", hdr.replace(b"rgbe", b"xyze")),
        "cut.exr": ("damaged|panorama", exr[: len(exr) // 2]), "head.exr": ("damaged|panorama", exr[:200]),
        "huge.exr": ("scale it", exr.replace(window, struct.pack("<4i", 0, 0, 1 << 20, 1 << 20))),
        "tall.exr": ("cut off|damaged|panorama", exr.replace(window, struct.pack("<4i", 0, 0, 1, 10_000_000))),
        "inside_out.exr": ("damaged|size|panorama", exr.replace(window, struct.pack("<4i", 0, 0, -80, -40))),
        "wraps.exr": ("damaged|size|scale", exr.replace(window, struct.pack("<4i", -(1 << 31), 0, 2**31 - 1, 5))),
        "junk.exr": ("damaged|panorama", exr[:8] + bytes(range(256)) * 20),
    }  # fmt: skip
    write_exr(tmp_path / "a.exr", {"Z": ramp()[..., 0].copy()})
    files["depth.exr"] = ("channels R, G and B", (tmp_path / "a.exr").read_bytes())
    return files


READ = """
import resource, sys, time
from pathlib import Path
from understudy.runtime.errors import PictureError
from understudy.io.pictures.high_dynamic_range import read_light
for name in sys.argv[1:]:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        read_light(Path(name))
        said = "nothing"
    except PictureError as error:
        said = str(error)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    print(grown, time.process_time() - began, said)
"""


@pytest.mark.linux
def test_what_is_refused_costs_little_memory_and_time(tmp_path):
    files = refused(tmp_path)
    for name, (_, data) in files.items():
        (tmp_path / name).write_bytes(data)
    names = [str(tmp_path / name) for name in files]
    result = subprocess.run([sys.executable, "-c", READ, *names], capture_output=True, text=True, check=True)
    lines = [line for line in result.stdout.splitlines() if re.match(r"\d+ [\d.e-]+ ", line)]
    assert len(lines) == len(files)
    for (name, (words, _)), line in zip(files.items(), lines, strict=True):
        grown, seconds, said = line.split(" ", 2)
        assert re.search(words, said) and name in said, (name, said)
        assert int(grown) < 280 and float(seconds) < 2, (name, line)


@pytest.mark.posix
def test_pipes_and_folders_are_no_panoramas(tmp_path):
    os.mkfifo(tmp_path / "a.hdr")
    for path, words in ((tmp_path / "a.hdr", "pipe"), (tmp_path, "folder"), (tmp_path / "b.exr", "check the name")):
        with pytest.raises(PictureError, match=words):
            read_light(path)


@pytest.mark.shared
def test_real_panoramas(shared_data):
    for name in ("apartment.hdr", "forest.hdr", "courtyard.exr"):
        light = read_light(shared_data / "sets/env" / name)
        assert light.shape == (512, 1024, 3) and 0.3 < light.mean() < 2 and light.max() > 20


def test_a_damaged_panorama_gets_our_sentence_alone(tmp_path, capfd):
    (tmp_path / "a.hdr").write_bytes(HEAD + b"-Y 150 +X 300\n" + b"\2\2\1\x2c" + b"\xff" * 200_000)
    with pytest.raises(PictureError):
        read_light(tmp_path / "a.hdr")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a\x1b[31m.exr", os.fsdecode(b"\xff.exr")])
def test_any_name_of_a_panorama_is_read_and_kept_from_the_terminal(tmp_path, capfd, name):
    write_exr(tmp_path / "a.exr", {"RGB": ramp()})
    path = (tmp_path / "a.exr").rename(tmp_path / name)
    assert np.abs(read_light(path) - ramp()).max() < 0.05
    path.write_bytes(path.read_bytes()[:-300] + bytes(100))
    with pytest.raises(PictureError, match="damaged"):
        read_light(path)
    assert "\x1b" not in capfd.readouterr().err


def test_many_channels_and_attributes_cost_no_time(tmp_path):
    write_exr(tmp_path / "a.exr", {"RGB": ramp()})
    whole = (tmp_path / "a.exr").read_bytes()
    at = whole.index(b"channels\0chlist\0") + 16
    channels = b"".join(b"c%06d\0" % number + struct.pack("<iB3xii", 1, 0, 1, 1) for number in range(100_000))
    size = struct.unpack_from("<I", whole, at)[0] + len(channels)
    attributes = b"".join(b"a%06d\0int\0" % number + struct.pack("<Ii", 4, 1) for number in range(100_000))
    for content, words in (
        (whole[:at] + struct.pack("<I", size) + channels + whole[at + 4 :], "list of channels"),
        (whole[:8] + attributes + whole[8:], "attributes"),
    ):
        (tmp_path / "b.exr").write_bytes(content)
        with pytest.raises(PictureError, match=words):
            read_light(tmp_path / "b.exr")
