"""Colours of pictures with profiles, against values computed here from the profiles' own numbers."""

import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from understudy.io.pictures.files import read_picture

D50, D65 = np.array([0.9642, 1.0, 0.8249]), np.array([0.95047, 1.0, 1.08883])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D50_FROM_D65 = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ D65)) @ BRADFORD
SRGB_FROM_XYZ = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)
P3 = np.array([[0.4865709, 0.2656677, 0.1982173], [0.2289746, 0.6917385, 0.0792869], [0.0, 0.0451134, 1.0439444]])
ADOBE = np.array(
    [[0.5767309, 0.1855540, 0.1881852], [0.2973769, 0.6273491, 0.0752741], [0.0270343, 0.0706872, 0.9911085]]
)
"""Linear RGB to XYZ under D65: Display P3 and Adobe RGB (1998)."""
COLOURS = np.array([[200, 80, 60], [90, 170, 100], [70, 90, 190], [180, 160, 60], [150, 90, 150], [128, 128, 128]])


def srgb(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """An ICC profile of version 2."""
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    rest = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(">I4sI4s4s4s", 128 + len(rest), b"lcms", 0x02400000, kind, space, connection)
    head += struct.pack(">6H4s4s", 2024, 1, 1, 0, 0, 0, b"acsp", b"APPL") + b"\0" * 24
    head += struct.pack(">3i", *(round(65536 * v) for v in D50))
    return head.ljust(128, b"\0") + rest


def curve(gamma: float) -> bytes:
    return struct.pack(">4sII", b"curv", 0, 1) + struct.pack(">H", round(256 * gamma))


def xyz(values: np.ndarray) -> bytes:
    return struct.pack(">4sI3i", b"XYZ ", 0, *(round(65536 * float(v)) for v in values))


def rgb_profile(to_xyz: np.ndarray, gamma: float) -> bytes:
    colorants = D50_FROM_D65 @ to_xyz
    tags = {b"desc": b"desc" + struct.pack(">II", 0, 5) + b"test\0" + b"\0" * 78, b"wtpt": xyz(D50)}
    tags |= {name: xyz(colorants[:, at]) for at, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    return profile(b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(gamma)))


def patches(colours: np.ndarray) -> np.ndarray:
    """One column of 20 pixels for each colour, 100 high."""
    return np.repeat(np.broadcast_to(colours[None], (100, *colours.shape)), 20, 1).astype(np.uint8)


def seen(path, count: int) -> np.ndarray:
    picture = read_picture(path)
    assert (picture[..., 3] == 255).all()
    return picture[50, 10 + 20 * np.arange(count), :3].astype(float)


@pytest.mark.parametrize(("to_xyz", "gamma"), [(P3, 2.2), (ADOBE, 563 / 256)], ids=["P3", "Adobe RGB"])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_a_wide_gamut_becomes_srgb(tmp_path, to_xyz, gamma, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(patches(COLOURS)).save(tmp_path / name, icc_profile=rgb_profile(to_xyz, gamma), **options)
    expected = srgb((COLOURS / 255) ** gamma @ (SRGB_FROM_XYZ @ to_xyz).T)
    assert np.abs(expected - COLOURS).max() > 15
    assert np.abs(seen(tmp_path / name, len(COLOURS)) - expected).max() < 2


def test_transparency_is_no_colour(tmp_path):
    alpha = np.broadcast_to(np.arange(120, dtype=np.uint8)[None, :, None], (100, 120, 1))
    picture = np.concatenate([patches(COLOURS), alpha], -1)
    Image.fromarray(picture).save(tmp_path / "a.png", icc_profile=rgb_profile(P3, 2.2))
    back = read_picture(tmp_path / "a.png")
    expected = srgb((COLOURS / 255) ** 2.2 @ (SRGB_FROM_XYZ @ P3).T)
    assert (back[..., 3:] == alpha).all()
    assert np.abs(back[50, 10 + 20 * np.arange(len(COLOURS)), :3] - expected).max() < 2


def test_a_profile_that_means_srgb_leaves_every_pixel(tmp_path):
    from PIL import ImageCms

    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(patches(COLOURS)).save(tmp_path / "a.png", icc_profile=data)
    assert (seen(tmp_path / "a.png", len(COLOURS)) == COLOURS).all()


@pytest.mark.parametrize("mode", ["L", "LA", "I;16", "P"])
def test_grey_of_another_gamma(tmp_path, mode):
    greys = np.array([10, 60, 128, 200, 250])
    data = profile(b"GRAY", b"XYZ ", {b"wtpt": xyz(D50), b"kTRC": curve(1.0)})
    if mode == "P":
        data, grey = rgb_profile(P3, 1.0), Image.fromarray(patches(greys)).convert("P")
    else:
        grey = Image.fromarray(patches(greys))
        grey = Image.fromarray(patches(greys).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    grey.save(tmp_path / "a.png", icc_profile=data)
    assert np.abs(seen(tmp_path / "a.png", 5) - srgb(greys / 255)[:, None]).max() < 2


def test_inks_are_seen_as_their_profile_says(tmp_path):
    """A press whose 16 overprints have known Lab colours, in 8 bits (ICC.1:2001, lut8Type)."""
    inks = np.array([[c, m, y, k] for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)], float)
    cover, black = inks[:, :3], inks[:, 3:]
    lightness = 100 * (1 - black[:, 0]) * (1 - cover @ [0.28, 0.28, 0.05])
    a, b = (1 - black[:, 0]) * (cover @ [-37, 70, -5]), (1 - black[:, 0]) * (cover @ [-50, -3, 80])
    grid = np.round(np.stack([lightness * 2.55, np.clip(a + 128, 0, 255), np.clip(b + 128, 0, 255)], -1))
    table = b"mft1" + struct.pack(">IBBBB", 0, 4, 3, 2, 0) + struct.pack(">9i", *(np.eye(3).ravel().astype(int) << 16))
    table += bytes(range(256)) * 4 + grid.astype(np.uint8).tobytes() + bytes(range(256)) * 3
    data = profile(b"CMYK", b"Lab ", {b"wtpt": xyz(D50), b"A2B0": table}, b"prtr")
    pure = np.array([[255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 255], [0, 0, 0, 0]])
    Image.frombytes("CMYK", (100, 100), patches(pure).tobytes()).save(tmp_path / "a.tif", icc_profile=data)
    L, a, b = (grid[[8, 4, 2, 1, 0]] / [2.55, 1, 1] - [0, 128, 128]).T
    f = np.stack([(L + 16) / 116 + a / 500, (L + 16) / 116, (L + 16) / 116 - b / 200], -1)
    tristimulus = D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    expected = srgb(tristimulus @ (SRGB_FROM_XYZ @ np.linalg.inv(D50_FROM_D65)).T)
    assert np.abs(seen(tmp_path / "a.tif", 5) - expected).max() < 3


def png_with(path, **chunks: bytes) -> None:
    information = PngImagePlugin.PngInfo()
    for name, data in chunks.items():
        information.add(name.encode(), data)
    Image.fromarray(patches(COLOURS)).save(path, pnginfo=information)


def test_a_png_may_give_gamma_and_primaries_as_numbers(tmp_path):
    primaries = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    png_with(tmp_path / "adobe.png", gAMA=struct.pack(">I", 45455), cHRM=struct.pack(">8I", *primaries))
    light = np.where(COLOURS <= 10, COLOURS / 255 / 12.92, ((COLOURS / 255 + 0.055) / 1.055) ** 2.4)
    assert np.abs(seen(tmp_path / "adobe.png", 6) - srgb(light @ (SRGB_FROM_XYZ @ ADOBE).T)).max() < 2
    png_with(tmp_path / "linear.png", gAMA=struct.pack(">I", 100000))
    assert np.abs(seen(tmp_path / "linear.png", 6) - srgb(COLOURS / 255)).max() < 2
    png_with(tmp_path / "usual.png", gAMA=struct.pack(">I", 45455))
    png_with(tmp_path / "said.png", gAMA=struct.pack(">I", 100000), sRGB=b"\0")
    png_with(tmp_path / "zero.png", gAMA=struct.pack(">I", 0), cHRM=bytes(32))
    for name in ("usual.png", "said.png", "zero.png"):
        assert (seen(tmp_path / name, 6) == COLOURS).all(), name


@pytest.mark.parametrize(
    "data",
    [
        b"no profile", rgb_profile(P3, 2.2)[:200], rgb_profile(P3, 2.2)[:132] + b"\xff" * 300,
        profile(b"GRAY", b"XYZ ", {b"wtpt": xyz(D50), b"kTRC": curve(1.0)}), b"\0" * (5 << 20),
    ],
    ids=["text", "cut off", "garbled", "for greys", "huge"],
)  # fmt: skip
def test_a_profile_that_cannot_serve_is_passed_over(tmp_path, data):
    Image.fromarray(patches(COLOURS)).save(tmp_path / "a.jpg", icc_profile=data, quality=100, subsampling=0)
    assert np.abs(seen(tmp_path / "a.jpg", 6) - COLOURS).max() <= 3


@pytest.mark.shared
def test_a_photograph_in_display_p3(shared_data):
    path = shared_data / "faults/display_p3_icc.png"
    with Image.open(path) as image:
        stored = np.asarray(image.convert("RGBA"))
    light = np.where(
        stored[..., :3] <= 10, stored[..., :3] / 255 / 12.92, ((stored[..., :3] / 255 + 0.055) / 1.055) ** 2.4
    )
    apart = np.abs(read_picture(path)[..., :3] - srgb(light @ (SRGB_FROM_XYZ @ P3).T))[stored[..., 3] > 0]
    assert (
        np.quantile(apart, 0.999) < 2.5
        and np.abs(read_picture(path)[..., :3] - stored[..., :3].astype(float)).max() > 10
    )
