"""Image sequences as shots: which files they are, what their samples mean, and what is refused."""

import logging
import os
import struct
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from made_films import number_of, numbered, write_h264
from PIL import Image

from understudy.io.video.streams import open_shot, read_frames, write_film
from understudy.runtime.errors import FootageError, InputError

PATCHES = np.array([(250, 20, 10), (15, 240, 30), (10, 30, 235), (128, 128, 128), (200, 210, 60), (90, 20, 120)])
"""sRGB bytes."""


def write_pictures(folder: Path, names: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        Image.fromarray(numbered(index)).save(folder / name, quality=95)


def shown(shot, frames=None) -> list[int]:
    return [number_of(frame) for frame in read_frames(shot, frames)]


def refused(path: Path, *words: str, kind: type[InputError] = FootageError, **options) -> None:
    with pytest.raises(kind) as caught:
        list(read_frames(open_shot(path, **options)))
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "PNG"])
def test_a_folder_a_pattern_and_the_first_picture_are_one_shot(tmp_path, suffix):
    folder = tmp_path / "frames"
    write_pictures(folder, [f"shot_v02.{1000 + index}.{suffix}" for index in range(12)])
    (folder / ".shot_v02.1003.png").write_bytes(b"hidden")
    (folder / "notes.txt").write_bytes(b"no picture")
    for given in ("", f"shot_v02.%04d.{suffix}", f"shot_v02.%d.{suffix}", f"shot_v02.####.{suffix}",
                  f"shot_v02.#.{suffix}", f"shot_v02.1000.{suffix}"):  # fmt: skip
        shot = open_shot(folder / given)
        assert (len(shot), shot.width, shot.height, shot.frame_rate, shot.has_audio) == (12, 96, 64, 24, False)
        assert shown(shot) == list(range(12))
        assert shown(shot, [2, 7]) == [2, 7]
    assert shown(open_shot(folder / f"shot_v02.1004.{suffix}")) == list(range(4, 12))
    frame = next(read_frames(shot, [3], max_side_px=48))
    assert frame.shape == (32, 48, 3) and number_of(np.repeat(np.repeat(frame, 2, 0), 2, 1)) == 3


def test_numbers_count_not_letters(tmp_path):
    names = [f"f{number}.png" for number in (8, 9, 10, 11, 100)]
    write_pictures(tmp_path / "a", names)
    shot = open_shot(tmp_path / "a")
    assert shown(shot) == list(range(5))
    assert [file.name for file in shot.pictures] == names


def test_the_frame_rate_is_the_users_and_the_film_has_it(tmp_path):
    write_pictures(tmp_path / "a", [f"{index:03d}.png" for index in range(10)])
    rate = Fraction(24000, 1001)
    shot = open_shot(tmp_path / "a", frame_rate=rate)
    write_film(tmp_path / "new.mp4", shot, read_frames(shot))
    film = open_shot(tmp_path / "new.mp4")
    assert film.frame_rate == shot.frame_rate == rate
    assert shown(film) == list(range(10))
    part = open_shot(tmp_path / "a", 0.25, 0.5, frame_rate=Fraction(8))
    assert (part.start_frame, len(part)) == (2, 2) and shown(part) == [2, 3]
    assert shown(shot.part(4, 7)) == [4, 5, 6]
    write_h264(tmp_path / "film.mp4", [numbered(0)] * 3)
    refused(tmp_path / "film.mp4", "frame rate", frame_rate=Fraction(24))
    refused(tmp_path / "film.mp4", "colour space", colour_space="linear")
    refused(tmp_path / "a", "no colour space", "acescg", colour_space="log")


def test_missing_numbers_are_said_and_time_goes_on(tmp_path, caplog):
    write_pictures(tmp_path / "a", [f"s.{number:04d}.png" for number in (5, 6, 9, 10, 12)])
    shot = open_shot(tmp_path / "a")
    assert shot.timestamps.tolist() == [0, 1, 4, 5, 7] and shown(shot) == list(range(5))
    assert "7–8, 11" in caplog.text
    caplog.clear()
    write_pictures(tmp_path / "twos", [f"s.{number:04d}.png" for number in (1, 3, 5, 7)])
    assert open_shot(tmp_path / "twos").timestamps.tolist() == [0, 1, 2, 3] and not caplog.records
    write_pictures(tmp_path / "dates", ["s.0001.png", "s.0002.png", "s.20240101.png"])
    refused(tmp_path / "dates", "stands still")
    write_pictures(tmp_path / "long", ["s.1.png", "s.2.png", f"s.{10**40}.png"])
    refused(tmp_path / "long", "too large")


@pytest.mark.posix
def test_what_is_no_sequence_is_said_in_one_sentence(tmp_path, caplog):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "without numbered pictures")
    write_pictures(tmp_path / "two", ["a.1.png", "a.2.png", "b.1.png", "b.2.png"])
    refused(tmp_path / "two", "2 kinds of names", "a.#.png")
    assert shown(open_shot(tmp_path / "two" / "b.1.png")) == [2, 3]
    write_pictures(tmp_path / "takes", ["t1.1.png", "t1.2.png", "t2.1.png", "t2.2.png"])
    refused(tmp_path / "takes", "several sequences")
    assert shown(open_shot(tmp_path / "takes" / "t2.1.png")) == [2, 3]
    write_pictures(tmp_path / "same", ["a.1.png", "a.01.png", "a.2.png"])
    refused(tmp_path / "same", "two pictures", "a.01.png")
    refused(tmp_path / "two" / "c.%04d.png", "no picture's name")
    refused(tmp_path / "two" / "a.####.##.png", "2 places")
    write_pictures(tmp_path / "one", ["a.1.png", "cover.png"])
    refused(tmp_path / "one" / "a.1.png", "one picture")
    refused(tmp_path / "one" / "cover.png", "one picture")
    refused(tmp_path / "two" / "absent.png", "No such file")
    write_pictures(tmp_path / "beside", ["a.1.png", "a.2.png", "contact_sheet.png"])
    with caplog.at_level(logging.WARNING):
        assert len(open_shot(tmp_path / "beside")) == 2
    assert "left out" in caplog.text
    write_pictures(tmp_path / "sizes", ["a.1.png", "a.2.png", "a.3.png"])
    Image.new("RGB", (128, 64)).save(tmp_path / "sizes" / "a.3.png")
    refused(tmp_path / "sizes", "128×64", "one size")
    (tmp_path / "sizes" / "a.3.png").unlink()
    os.mkfifo(tmp_path / "sizes" / "a.3.png")
    refused(tmp_path / "sizes", "pipe")
    write_pictures(tmp_path / "broken", ["a.1.png", "a.2.png"])
    (tmp_path / "broken" / "a.2.png").write_bytes((tmp_path / "broken" / "a.1.png").read_bytes()[:100])
    refused(tmp_path / "broken", "a.2.png", kind=InputError)
    (tmp_path / "broken" / "a.2.png").write_bytes(b"text")
    refused(tmp_path / "broken", "a.2.png", kind=InputError)


def test_a_picture_that_changed_is_noticed(tmp_path):
    write_pictures(tmp_path / "a", ["a.1.png", "a.2.png"])
    shot = open_shot(tmp_path / "a")
    Image.new("RGB", (128, 96)).save(tmp_path / "a" / "a.2.png")
    with pytest.raises(FootageError, match="changed"):
        list(read_frames(shot))


def test_an_animated_png_is_a_film(tmp_path):
    frames = [Image.fromarray(numbered(index)) for index in range(4)]
    frames[0].save(tmp_path / "film.1.png", save_all=True, append_images=frames[1:], duration=40)
    assert shown(open_shot(tmp_path / "film.1.png")) == [0, 1, 2, 3]


def test_photographs_that_lie_on_their_side_are_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix in ("jpg", "png", "tif"):
        folder = tmp_path / suffix
        folder.mkdir()
        for number in (1, 2):
            stored = np.ascontiguousarray(np.rot90(numbered(number)))
            Image.fromarray(stored).save(folder / f"a.{number}.{suffix}", exif=exif)
        shot = open_shot(folder)
        assert (shot.width, shot.height) == (96, 64) and shown(shot) == [1, 2]


def linear(srgb: np.ndarray) -> np.ndarray:
    v = srgb / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def patches(values: np.ndarray) -> np.ndarray:
    """64×96: two rows of three."""
    return np.repeat(np.repeat(values.reshape(2, 3, 3), 32, 0), 32, 1)


def write_exr(path: Path, channels: dict[str, np.ndarray], **header) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage} | header
    OpenEXR.File(header, {name: np.ascontiguousarray(values) for name, values in channels.items()}).write(str(path))


def exr_shot(folder: Path, channels: dict[str, np.ndarray], colour_space: str | None = None, **header):
    folder.mkdir(exist_ok=True)
    for number in (1, 2):
        write_exr(folder / f"shot.{number:04d}.exr", channels, **header)
    return open_shot(folder / "shot.%04d.exr", colour_space=colour_space)


def colours_off(frame: np.ndarray, wanted: np.ndarray = PATCHES) -> int:
    return int(np.abs(frame[16::32, 16::32].reshape(-1, 3).astype(int) - wanted).max())


# From sRGB's light to that of ACES, with Bradford's adaptation of white (published with the ACES 1.0 release).
AP1_FROM_SRGB = [[0.613097, 0.339523, 0.047379], [0.070194, 0.916354, 0.013452], [0.020616, 0.109570, 0.869815]]
AP0_FROM_SRGB = [[0.439633, 0.382989, 0.177378], [0.089776, 0.813439, 0.096784], [0.017541, 0.111547, 0.870912]]
AP1 = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)
AP0 = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, 0.32168, 0.33767)


@pytest.mark.parametrize("depth", [np.float16, np.float32])
def test_openexr_is_light_in_the_primaries_that_it_names(tmp_path, depth):
    light = patches(linear(PATCHES))
    assert colours_off(next(read_frames(exr_shot(tmp_path / "a", {"RGB": light.astype(depth)})))) <= 1
    for number, (matrix, chromaticities, space) in enumerate(
        ((AP1_FROM_SRGB, AP1, "acescg"), (AP0_FROM_SRGB, AP0, "aces2065-1"))
    ):
        stored = (light @ np.array(matrix).T).astype(depth)
        named = exr_shot(tmp_path / f"b{number}", {"RGB": stored}, chromaticities=chromaticities)
        assert colours_off(next(read_frames(named))) <= 1
        told = exr_shot(tmp_path / f"c{number}", {"RGB": stored}, space)
        assert colours_off(next(read_frames(told))) <= 1
        # What the user says counts.
        assert colours_off(next(read_frames(exr_shot(tmp_path / f"d{number}", {"RGB": stored}, "linear")))) > 20
    display = exr_shot(tmp_path / "e", {"RGB": patches(PATCHES / 255).astype(depth)}, "srgb")
    assert colours_off(next(read_frames(display))) <= 1


def test_strange_light_is_white_or_black(tmp_path):
    light = np.full((64, 96, 3), 0.5, np.float32)
    light[:32, :32], light[:32, 32:64], light[:32, 64:] = np.nan, np.inf, -3
    light[32:, :32] = 40
    frame = next(read_frames(exr_shot(tmp_path / "a", {"RGB": light})))
    assert frame[16::32, 16::32, 0].tolist() == [[0, 255, 0], [255, 188, 188]]


def test_the_picture_is_the_display_window(tmp_path):
    light = patches(linear(PATCHES)).astype(np.float32)

    def window(left: int, top: int, right: int, bottom: int) -> tuple[np.ndarray, np.ndarray]:
        return np.array([left, top], np.int32), np.array([right, bottom], np.int32)

    over = np.pad(light, ((8, 8), (16, 16), (0, 0)), constant_values=1)
    overscan = exr_shot(
        tmp_path / "over", {"RGB": over}, displayWindow=window(100, 50, 195, 113), dataWindow=window(84, 42, 211, 121)
    )
    frame = next(read_frames(overscan))
    assert frame.shape == (64, 96, 3) and colours_off(frame) <= 1 and frame.min(-1).max() <= 140
    within = exr_shot(
        tmp_path / "in", {"RGB": light}, displayWindow=window(0, 0, 191, 127), dataWindow=window(32, 64, 127, 127)
    )
    frame = next(read_frames(within))
    assert frame.shape == (128, 192, 3) and colours_off(frame[64:, 32:128]) <= 1
    assert frame[:64].max() == frame[:, :32].max() == frame[:, 128:].max() == 0
    apart = exr_shot(
        tmp_path / "apart", {"RGB": light}, displayWindow=window(0, 0, 95, 63), dataWindow=window(200, 0, 295, 63)
    )
    assert next(read_frames(apart)).max() == 0


def test_channels_and_layers(tmp_path):
    light = patches(linear(PATCHES)).astype(np.float32)
    red, green, blue = (light[..., at] for at in range(3))
    depth = np.full_like(red, 7)
    for name, channels, wanted in (
        ("alpha", {"R": red, "G": green, "B": blue, "A": depth, "Z": depth}, PATCHES),
        ("layer", {"beauty.R": red, "beauty.G": green, "beauty.B": blue, "N.X": depth}, PATCHES),
        ("own", {"R": red, "G": green, "B": blue, "cc.R": depth, "cc.G": depth, "cc.B": depth}, PATCHES),
        ("grey", {"Y": green, "A": depth}, PATCHES[:, [1, 1, 1]]),
        ("two", {"R": red, "G": green}, PATCHES * (1, 1, 0)),
    ):
        assert colours_off(next(read_frames(exr_shot(tmp_path / name, channels))), wanted) <= 1
    layers = {f"{layer}.{channel}": red for layer in ("left", "right") for channel in "RGB"}
    with pytest.raises(FootageError, match="several layers"):
        exr_shot(tmp_path / "layers", layers)
    with pytest.raises(FootageError, match="no channels R, G and B"):
        exr_shot(tmp_path / "depth", {"Z": depth})


def test_what_openexr_says_of_rate_and_pixels_is_kept(tmp_path):
    light = patches(linear(PATCHES)).astype(np.float32)
    shot = exr_shot(tmp_path / "a", {"RGB": light}, framesPerSecond=Fraction(25), pixelAspectRatio=2.0)
    assert (shot.width, shot.height, shot.frame_rate) == (192, 64, 25)
    frame = next(read_frames(shot))
    assert frame.shape == (64, 192, 3) and colours_off(frame[:, ::2]) <= 1
    assert open_shot(tmp_path / "a", frame_rate=Fraction(30)).frame_rate == 30


def test_an_openexr_that_claims_much_is_refused_first(tmp_path):
    light = np.zeros((64, 96, 3), np.float32)
    window = struct.pack("<4i", 0, 0, 95, 63)
    for name, claim in (("wide", (0, 0, 99_999, 99_999)), ("thin", (0, 0, 8191, 20)), ("inside", (9, 9, 0, 0))):
        exr_shot(tmp_path / name, {"RGB": light})
        for file in (tmp_path / name).iterdir():
            file.write_bytes(file.read_bytes().replace(window, struct.pack("<4i", *claim)))
        refused(tmp_path / name, kind=InputError)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_and_other_spaces(tmp_path, suffix):
    density = 685 + np.log10(np.maximum(linear(PATCHES) * (1 - BLACK) + BLACK, 1e-9)) * 0.6 / 0.002
    p3 = linear(PATCHES) @ np.array([[0.8225, 0.1775, 0], [0.0332, 0.9668, 0], [0.0171, 0.0724, 0.9105]]).T
    display = np.where(p3 <= 0.0031308, 12.92 * p3, 1.055 * p3 ** (1 / 2.4) - 0.055)
    for space, stored in (
        ("srgb", PATCHES / 255), ("rec709", PATCHES / 255), ("linear", linear(PATCHES)), ("cineon", density / 1023),
        ("acescg", linear(PATCHES) @ np.array(AP1_FROM_SRGB).T), ("display-p3", display),
    ):  # fmt: skip
        (tmp_path / space).mkdir()
        codes = (patches(stored) * 65535).round().astype(np.uint16)
        for number in (1, 2):
            assert cv2.imwrite(str(tmp_path / space / f"a.{number}.{suffix}"), codes[..., ::-1])
        frame = next(read_frames(open_shot(tmp_path / space, colour_space=space)))
        assert colours_off(frame) <= 2, space


BLACK = 10 ** ((95 - 685) * 0.002 / 0.6)


def write_dpx(path: Path, codes: np.ndarray, transfer: int) -> None:
    """Ten bits, RGB, filled to 32 (method A), big-endian. Source: SMPTE ST 268-1."""
    head = bytearray(b"\xff" * 2048)
    struct.pack_into(">4sI8s", head, 0, b"SDPX", 2048, b"V2.0\0\0\0\0")
    struct.pack_into(">HHII", head, 768, 0, 1, codes.shape[1], codes.shape[0])
    struct.pack_into(">I", head, 780, 0)
    struct.pack_into(">BBBBHHI", head, 800, 50, transfer, 2, 10, 1, 0, 2048)
    struct.pack_into(">II", head, 1628, 1, 1)
    words = (codes.astype(np.uint32) << np.array([22, 12, 2], np.uint32)).sum(-1).astype(">u4")
    struct.pack_into(">I", head, 16, 2048 + words.nbytes)
    path.write_bytes(bytes(head) + words.tobytes())


def test_dpx_is_video_or_density_as_it_says(tmp_path):
    density = 685 + np.log10(linear(PATCHES) * (1 - BLACK) + BLACK) * 0.6 / 0.002
    for transfer, codes in ((6, PATCHES / 255 * 1023), (3, density), (2, linear(PATCHES) * 1023)):
        folder = tmp_path / str(transfer)
        folder.mkdir()
        for number in (1, 2):
            write_dpx(folder / f"scan.{number:07d}.dpx", patches(codes).round().astype(np.uint16), transfer)
        frame = next(read_frames(open_shot(folder)))
        assert frame.shape == (64, 96, 3) and colours_off(frame) <= (2 if transfer != 2 else 6)
    data = (folder / "scan.0000002.dpx").read_bytes()
    (folder / "scan.0000002.dpx").write_bytes(data[:772] + struct.pack(">II", 100_000, 100_000) + data[780:])
    refused(folder, "memory", kind=InputError)
    (folder / "scan.0000002.dpx").write_bytes(data[:4000])
    refused(folder, "scan.0000002.dpx", kind=InputError)


@pytest.mark.shared
def test_the_frames_of_a_real_sequence(shared_data):
    folder = shared_data / "faults" / "image_sequence"
    shot, film = open_shot(folder), open_shot(shared_data / "faults" / "base_shot.mp4")
    assert len(shot) == len(film) == 20 and shot.frame_rate == 24
    pairs = zip(read_frames(shot, [0, 19]), read_frames(film, [0, 19]), strict=True)
    assert all(np.abs(one.astype(int) - two).mean() < 3 for one, two in pairs)
