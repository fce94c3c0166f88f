"""Pictures in and out: upright, RGBA, and one clear sentence for whatever cannot be used."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from understudy.core.errors import PictureError
from understudy.io.images import read_picture, write_png


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


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def test_what_cannot_be_used_is_said_in_one_sentence(tmp_path):
    write_png(tmp_path / "whole.png", gradient())
    whole = (tmp_path / "whole.png").read_bytes()
    files = {
        "dot.png": ("64 a side", None),
        "cut.png": ("damaged or cut off", whole[: len(whole) // 2]),
        "noise.png": ("not a picture", bytes(range(256)) * 9),
        "empty.png": ("not a picture", b""),
        "film.mp4": ("not a picture", b"\0\0\0\x18ftypmp42" + bytes(500)),
        "bomb.png": ("million", bomb(9000, 9000)),
        "larger.png": ("pixels", bomb(60000, 60000)),
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
    with pytest.raises(PictureError, match="no picture"):
        read_picture(tmp_path / "absent.png")
    with pytest.raises(PictureError, match="folder"):
        read_picture(tmp_path)


def test_only_pictures_are_written(tmp_path):
    with pytest.raises(ValueError, match="bytes"):
        write_png(tmp_path / "a.png", np.zeros((4, 4, 3)))
    assert not list(tmp_path.iterdir())
