"""Pictures in and out: upright, RGBA, and one clear sentence for whatever cannot be used."""

import base64
import os
import stat
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from understudy.io.pictures import files as images
from understudy.io.pictures.files import read_picture, write_png
from understudy.runtime.errors import PictureError


def gradient(height: int = 80, width: int = 120, channels: int = 4) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 2, y * 3, x + y, 255 - x], -1).astype(np.uint8)[..., :channels]


def test_what_is_written_is_read(tmp_path):
    for channels in (3, 4):
        write_png(tmp_path / "a.png", gradient(channels=channels))
        back = read_picture(tmp_path / "a.png")
        assert (back[..., :channels] == gradient(channels=channels)).all()
        assert channels == 4 or (back[..., 3] == 255).all()
    write_png(tmp_path / "grey.png", gradient()[..., 0])
    assert (read_picture(tmp_path / "grey.png")[..., :3] == gradient()[..., :1]).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "grey.png"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "I", "F", "YCbCr"])
def test_every_mode_becomes_rgba(tmp_path, mode):
    grey = np.repeat(np.arange(100, dtype=np.uint8)[:, None] * 2, 100, 1)
    name = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.tif" if mode in ("I", "F") else "a.png")
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    else:
        image = Image.fromarray(grey).convert(mode)
    image.save(name)
    back = read_picture(name)
    assert back.shape == (100, 100, 4) and back.dtype == np.uint8
    if mode != "1":
        assert np.abs(back[..., 1].astype(int) - grey).max() <= 4


def test_exif_orientation_is_applied(tmp_path):
    upright = gradient(channels=3)
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn the stored picture clockwise to see it upright.
    Image.fromarray(np.ascontiguousarray(np.rot90(upright))).save(tmp_path / "phone.png", exif=exif)
    assert (read_picture(tmp_path / "phone.png")[..., :3] == upright).all()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    return png[:33] + chunk(kind, data) + png[33:]


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def test_what_cannot_be_used_is_said_in_one_sentence(tmp_path):
    write_png(tmp_path / "whole.png", gradient())
    whole = (tmp_path / "whole.png").read_bytes()
    files = {
        "dot.png": ("64 a side", None),
        "cut.png": ("no readable picture", whole[: len(whole) // 2]),
        "noise.png": ("not a picture", bytes(range(256)) * 9),
        "empty.png": ("not a picture", b""),
        "film.mp4": ("not a picture", b"\0\0\0\x18ftypmp42" + bytes(500)),
        "bomb.png": ("scale it", bomb(9000, 9000)),
        "larger.png": ("million", bomb(60000, 60000)),
        "none.png": ("picture", bomb(0, 100)),
        "hero.png": (
            "not a picture",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n",
        ),
        "texture.dds": ("not a picture", b"DDS " + struct.pack("<3I", 124, 0x1007, 100) + bytes(500)),
        "phone.jpg": ("HEIC", b"\0\0\0\x18ftypheic" + bytes(500)),
        "text.svg": ("not a picture", b'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"/>'),
        "profile.png": ("no readable picture", with_chunk(whole, b"iCCP", b"a\0\0" + zlib.compress(bytes(4 << 20)))),
        "text.png": ("no readable picture", with_chunk(whole, b"zTXt", b"a\0\0" + zlib.compress(bytes(4 << 20)))),
    }
    write_png(tmp_path / "dot.png", np.zeros((1, 1, 3), np.uint8))
    for name, (words, data) in files.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(PictureError) as caught:
            read_picture(tmp_path / name)
        assert words in str(caught.value) and name in str(caught.value) and "\n" not in str(caught.value)
    frames = [Image.fromarray(gradient(channels=3) // k) for k in (1, 2)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match="animated"):
        read_picture(tmp_path / "moving.gif")
    with pytest.raises(PictureError, match="check the name"):
        read_picture(tmp_path / "absent.png")
    with pytest.raises(PictureError, match="folder"):
        read_picture(tmp_path)


def test_no_program_and_no_other_file_is_touched(tmp_path, monkeypatch):
    """An EPS picture is a program for Ghostscript, whatever its name."""
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {started}\n")
    (tmp_path / "gs").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    Image.fromarray(gradient(channels=3)).save(tmp_path / "hero.eps")
    (tmp_path / "hero.eps").rename(tmp_path / "hero.png")
    with pytest.raises(PictureError, match="not a picture"):
        read_picture(tmp_path / "hero.png")
    assert not started.exists()


@pytest.mark.posix
def test_pipes_are_no_pictures(tmp_path):
    os.mkfifo(tmp_path / "hero.png")
    with pytest.raises(PictureError, match="pipe"):
        read_picture(tmp_path / "hero.png")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif", "avif"])
def test_the_content_says_what_a_picture_is(tmp_path, suffix):
    Image.fromarray(gradient(channels=3)).save(tmp_path / f"a.{suffix}")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.dat")
    apart = np.abs(read_picture(tmp_path / "a.dat")[..., :3].astype(int) - gradient(channels=3))
    assert apart.mean() < (15 if suffix == "gif" else 5)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif", "avif"])
def test_every_orientation_is_set_upright(tmp_path, orientation, suffix):
    """Source of the stored order: CIPA DC-008, tag 274, as where row 0 and column 0 stand."""
    upright = gradient(channels=3)
    stored = upright.transpose(1, 0, 2) if orientation > 4 else upright
    stored = stored[::-1] if orientation in (3, 4, 6, 7) else stored
    stored = stored[:, ::-1] if orientation in (2, 3, 7, 8) else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
    apart = np.abs(read_picture(tmp_path / f"a.{suffix}")[..., :3].astype(int) - upright)
    assert apart.mean() < 5


def test_a_damaged_orientation_says_nothing(tmp_path):
    write_png(tmp_path / "a.png", gradient(channels=3))
    whole = (tmp_path / "a.png").read_bytes()
    turns = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHII", 0x0112, 3, 1 << 20, 26) + bytes(4) + bytes(2 << 20)
    for data in (b"junk", b"MM\0*\xff\xff\xff\xff", turns, b""):
        (tmp_path / "a.png").write_bytes(with_chunk(whole, b"eXIf", data))
        assert (read_picture(tmp_path / "a.png")[..., :3] == gradient(channels=3)).all()


def test_of_several_pictures_in_a_file_it_is_the_first(tmp_path):
    for name, kind in (("a.jpg", "MPO"), ("a.tif", "TIFF")):
        first, second = (Image.fromarray(gradient(channels=3) // k) for k in (1, 3))
        first.save(tmp_path / name, kind, save_all=True, append_images=[second])
        with Image.open(tmp_path / name) as image:
            assert image.n_frames == 2
        assert np.abs(read_picture(tmp_path / name)[..., :3].astype(int) - gradient(channels=3)).mean() < 4


@pytest.mark.shared
def test_a_photograph_of_a_telephone(shared_data):
    path = shared_data / "faults/phone_photo_mpo.jpg"
    with Image.open(path) as image:
        image.seek(0)
        assert (read_picture(path)[..., :3] == np.asarray(image)).all()


@pytest.mark.parametrize("suffix", ["avif", "webp", "jpg", "gif", "bmp", "tif"])
def test_what_decoders_say_of_damage_is_one_sentence(tmp_path, suffix):
    """Bytes overwritten and lost; some decoders raise RuntimeError."""
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(gradient(channels=3)).save(path)
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, len(data) - 8, 3):
            data[at : at + 4] = rng.integers(0, 256, 4, np.uint8).tobytes()
        path.write_bytes(data[: rng.integers(len(data) // 2, len(data))])
        try:
            read_picture(path)
        except PictureError as error:
            assert "a." + suffix in str(error)
            refused += 1
    assert refused > 20


HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAUJtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAA"
    "AAAERAAAEAAQAAAAABZgABAAAAAAAAADUAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAAwmlwcnAA"
    "AACkaXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkA"
    "AAAwAAAwAeoDCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABRpc3BlAAAAAAAAAGAAAABAAAAAEHBpeGkAAAAAAwgICAAA"
    "ABZpcG1hAAAAAAAAAAEAAQOBAgMAAAA9bWRhdAAAADEoAa8TgOUzwJ//7EqP/2588Pu7BrilP/WeVH8oc7/8mlNGf+/Yop7JKdvgl9SbeFvw"
)
"""96 × 64 pixels, red above blue."""


def test_heic_is_read_where_its_reader_is_installed(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(HEIC)
    monkeypatch.setattr(images, "HEIF_READERS", ())
    with pytest.raises(PictureError, match=r"understudy\[heic\]"):
        read_picture(tmp_path / "a.jpg")
    monkeypatch.undo()
    if not images._heif_reader():
        pytest.skip("no reader of HEIC is installed")
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.shape == (64, 96, 4)
    assert np.abs(picture[10, 50].astype(int) - [200, 40, 40, 255]).max() < 6
    assert np.abs(picture[50, 50].astype(int) - [40, 80, 200, 255]).max() < 6
    (tmp_path / "a.jpg").write_bytes(HEIC[: len(HEIC) - 30])
    with pytest.raises(PictureError, match=r"HEIC|no readable picture"):
        read_picture(tmp_path / "a.jpg")


def tiff(tags: dict[int, tuple[int, int, int]], tail: bytes = b"") -> bytes:
    """A TIFF of one page, from tag to (kind, count, value or offset); `tail` stands behind the tags."""
    entries = b"".join(struct.pack("<HHII", tag, *entry) for tag, entry in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + tail


GREY = {
    256: (4, 1, 100), 257: (4, 1, 100), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 200),
    277: (3, 1, 1), 278: (4, 1, 100), 279: (4, 1, 10000),
}  # fmt: skip


def test_odd_tiffs_are_right_or_one_sentence(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(GREY).ljust(200, b"\0") + bytes(range(100)) * 100)
    assert (read_picture(path)[..., 0] == np.arange(100)).all()
    colours = gradient(96, 128, 3)
    Image.fromarray(colours).save(path, compression="tiff_lzw", tiffinfo={322: 64, 323: 64})
    assert (read_picture(path)[..., :3] == colours).all()
    floats = tiff(GREY | {258: (3, 3, 32), 262: (3, 1, 2), 277: (3, 1, 3), 339: (3, 1, 3)}, bytes(130_000))
    for data, words in (
        (floats, "rare kind of TIFF"),
        (tiff(GREY | {256: (4, 1, 0)}, bytes(20_000)), "TIFF"),
        (tiff(GREY | {256: (4, 1, 1 << 30), 257: (4, 1, 1 << 30)}, bytes(20_000)), "million pixels"),
        (tiff(GREY | {279: (4, 1, 1 << 31), 278: (4, 1, 1 << 31)}, bytes(200)), "picture"),
        (tiff(GREY | {273: (4, 40_000_000, 200)}), "values of tag 273"),
        (tiff(GREY | {700: (3, 4_000_000_000, 200)}), "values of tag 700"),
        (tiff(GREY | {259: (3, 1, 34712)}, bytes(20_000)), "TIFF"),
        (b"II*\0\xff\xff\xff\xff", "picture"),
        (b"MM\0+\0\x08\0\0" + b"\xff" * 8, "picture"),
    ):
        path.write_bytes(data)
        with pytest.raises(PictureError, match=words):
            read_picture(path)


REFUSE = """
import resource, sys, time
from pathlib import Path
from understudy.runtime.errors import PictureError
from understudy.io.pictures.files import read_picture
for name in sys.argv[1:]:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        read_picture(Path(name))
        outcome = "read"
    except PictureError:
        outcome = "refused"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    print(outcome, grown, time.process_time() - began)
"""


@pytest.mark.linux
def test_what_is_refused_costs_little_memory_and_time(tmp_path):
    """Files that claim, or unfold to, far more than they hold."""
    strips = np.full(30_000_000, 8, np.uint16).tobytes()
    files = {
        "strips.tif": tiff(GREY | {273: (3, 30_000_000, 200), 279: (3, 30_000_000, 200)}, bytes(78) + strips),
        "rows.tif": tiff(GREY | {257: (4, 1, 4_000_000_000), 278: (4, 1, 1)}, bytes(300)),
        "empty.png": bomb(8000, 7000),
        "wide.png": bomb(60_000, 60_000),
        "wide.bmp": b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "wide.gif": b"GIF89a" + struct.pack("<HH", 65000, 65000) + b"\0\0\0,\0\0\0\0" + b"\xff" * 4 + bytes(90),
        "chunk.png": with_chunk(bomb(100, 100), b"iCCP", b"a\0\0" + zlib.compress(bytes(100 << 20))),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    names = [str(tmp_path / name) for name in files]
    result = subprocess.run([sys.executable, "-c", REFUSE, *names], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert len(lines) == len(files)
    for name, line in zip(files, lines, strict=True):
        outcome, grown, seconds = line.split()
        assert outcome == "refused" and int(grown) < 280 and float(seconds) < 2, (name, line)


def test_only_pictures_are_written(tmp_path):
    with pytest.raises(ValueError, match="bytes"):
        write_png(tmp_path / "a.png", np.zeros((4, 4, 3)))
    assert not list(tmp_path.iterdir())
