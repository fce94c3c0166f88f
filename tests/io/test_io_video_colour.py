"""Saturated colours through every kind of film: encoded here by the standards' own formulas, compared as sRGB."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from made_films import refused

from understudy.io.video.streams import open_shot, read_frames

PATCH_PX = 32
PATCHES = np.array(
    [(250, 20, 10), (15, 240, 30), (10, 30, 235), (20, 230, 240), (240, 30, 220), (245, 235, 20), (230, 120, 90),
     (128, 128, 128), (12, 12, 12), (90, 20, 120), (200, 210, 220), (160, 60, 10)],
)  # fmt: skip
"""sRGB bytes."""
XY = {
    "709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
LUMA = {"601": (0.299, 0.114), "709": (0.2126, 0.0722), "2020": (0.2627, 0.0593)}
"""Weights of red and blue in a matrix's luma (ITU-T H.273, table 4)."""
CODES = {
    "601": 6,
    "709": 1,
    "2020": 9,
    "p3": 12,
    "srgb": 13,
    "bt709": 1,
    "pq": 16,
    "hlg": 18,
    "2020_10": 14,
    "linear": 8,
}


def to_xyz(name: str) -> np.ndarray:
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in XY[name]]).T
    return columns * np.linalg.solve(columns, (0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290))


def signal(srgb: np.ndarray, primaries: str, transfer: str) -> np.ndarray:
    """sRGB bytes as the R'G'B' of a camera with these primaries and this transfer; white is 203 cd/m2 in HDR."""
    v = srgb / 255
    if transfer == "bt709" and primaries == "709":
        return v  # Shown as it is.
    light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    light = np.maximum(light @ (np.linalg.inv(to_xyz(primaries)) @ to_xyz("709")).T, 0)
    if transfer == "linear":
        return light
    if transfer == "pq":
        y = (light * 203 / 10000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375
    if transfer == "hlg":
        shown = light * 203 / 1000
        luminance = shown @ (0.2627, 0.6780, 0.0593)
        scene = shown / np.maximum((luminance ** (1 / 1.2)) ** 0.2, 1e-9)[..., None]
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def ycbcr(rgb: np.ndarray, matrix: str, bits: int, full: bool) -> np.ndarray:
    """R'G'B' as codes of Y', Cb and Cr (ITU-T H.273, equations 20 … 37)."""
    red, blue = LUMA[matrix]
    y = rgb @ (red, 1 - red - blue, blue)
    chroma = np.stack([(rgb[..., 2] - y) / (2 * (1 - blue)), (rgb[..., 0] - y) / (2 * (1 - red))], -1)
    scale, most = 2 ** (bits - 8), 2**bits - 1
    luma = y * most if full else (16 + 219 * y) * scale
    chroma = chroma * most + 128 * scale if full else (128 + 224 * chroma) * scale
    return np.clip(np.round(np.concatenate([luma[..., None], chroma], -1)), 0, most)


def write_patches(
    path: Path, pixels: str, primaries: str, transfer: str, matrix: str, full: bool = False, code: int = 0
) -> None:
    """Two frames of patches, lossless."""
    bits = 10 if "10" in pixels else 8
    codes = ycbcr(signal(PATCHES, primaries, transfer), matrix, bits, full)
    picture = np.repeat(np.repeat(codes.reshape(3, 4, 3), PATCH_PX, 0), PATCH_PX, 1)
    across, down = (1 if "444" in pixels else 2), (2 if "420" in pixels else 1)
    frame = VideoFrame(picture.shape[1], picture.shape[0], pixels)
    for plane, values in zip(
        frame.planes, (picture[..., 0], picture[::down, ::across, 1], picture[::down, ::across, 2]), strict=True
    ):
        dtype = np.dtype("<u2" if bits > 8 else "u1")
        rows = np.zeros((plane.height, plane.line_size // dtype.itemsize), dtype)
        rows[:, : plane.width] = values
        plane.update(rows.tobytes())
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixels
        context = stream.codec_context
        context.color_primaries, context.color_trc = (
            CODES[primaries if primaries != "709" else "bt709"],
            CODES[transfer],
        )
        context.colorspace, context.color_range = code or CODES[matrix], 2 if full else 1
        for number in range(2):
            frame.pts, frame.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


SUBSAMPLED = ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"]
KINDS = [
    ("709", "bt709", "709"), ("709", "bt709", "601"), ("p3", "srgb", "709"), ("p3", "srgb", "601"),
    ("2020", "2020_10", "2020"), ("2020", "pq", "2020"), ("2020", "hlg", "2020"), ("709", "linear", "709"),
]  # fmt: skip
TEN_BITS = ("pq", "hlg", "linear")
"""Transfers for which eight bits are too few."""


@pytest.mark.parametrize(
    ("pixels", "primaries", "transfer", "matrix"),
    [(pixels, *kind) for pixels in SUBSAMPLED for kind in KINDS if "10" in pixels or kind[1] not in TEN_BITS],
)
def test_saturated_colours_arrive_as_srgb(tmp_path, pixels, primaries, transfer, matrix):
    for full in (False, True):
        write_patches(tmp_path / "patches.mkv", pixels, primaries, transfer, matrix, full)
        shot = open_shot(tmp_path / "patches.mkv")
        for side in (None, shot.width // 2):
            frame = next(read_frames(shot, max_side_px=side)).astype(int)
            step = PATCH_PX if side is None else PATCH_PX // 2
            seen = frame[step // 2 :: step, step // 2 :: step].reshape(-1, 3)
            wanted = rolled_off(PATCHES) if transfer in ("pq", "hlg") else PATCHES
            # Few bits hold a wide gamut coarsely, and most so a dark channel beside a bright one.
            fine = "10" in pixels and primaries != "2020" and transfer != "linear"
            assert np.abs(seen - wanted).max() <= (4 if fine else 12)


def rolled_off(srgb: np.ndarray) -> np.ndarray:
    """sRGB bytes after the roll-off of highlights: 0.7 of white stays, 1000 cd/m2 becomes white, hue stays."""
    v = srgb / 255
    light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    knee, room = 0.7, 1000 / 203 - 0.7
    top = light.max(-1, keepdims=True)
    over = np.maximum(top - knee, 0)
    # A hyperbola with slope 1 at the knee.
    light = light / top * (np.minimum(top, knee) + over / (1 + over * (1 / (1 - knee) - 1 / room)))
    return np.round(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


def test_matrices_that_are_not_known_are_refused(tmp_path):
    for code in (8, 14):  # YCgCo, ICtCp
        path = tmp_path / f"{code}.mkv"
        write_patches(path, "yuv420p10le", "2020", "pq", "2020", code=code)
        refused(path, f"matrix {code}")
