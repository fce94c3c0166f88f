"""Camera paths as our own editable JSON, and for other programs: USD (see `reconstructions` for more)."""

import json
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field

from understudy.core.camera import CameraPath
from understudy.geometry.rigid import transform_from
from understudy.geometry.rotations import continuous, matrix_from_quaternion, quaternion_from_matrix
from understudy.io.files import reading
from understudy.io.records import Record, read_record
from understudy.io.text import replace_text
from understudy.runtime.errors import FileFormatError

__all__ = [
    "FORMAT",
    "CameraRecord",
    "read_camera_json",
    "write_camera_json",
    "write_camera_usda",
]

FORMAT = "understudy camera 1"
CONVENTIONS = {
    "world": "right-handed, +Y up, metres, ground at y = 0",
    "camera": "OpenCV axes: +X right, +Y down, +Z forward",
    "position_m": "the optical centre in the world",
    "rotation_wxyz": "unit quaternion that turns camera axes into world axes",
    "focal_px": "horizontal and vertical focal length in pixels of this picture size",
    "centre_px": "optical centre; the centre of the top-left pixel is (0.5, 0.5)",
    "frame_rate": "numerator and denominator, frames per second",
}
MAX_FILE_BYTES = 48 << 20
SENSOR_WIDTH_MM = 36.0
OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
"""Turns our camera axes into OpenGL's: +Y up, looking along −Z."""
CENTIMETRES_PER_METRE = 100.0


def numbers(values: np.ndarray, digits: int) -> list[float]:
    """Rounded values as plain floats."""
    return [float(value) + 0.0 for value in np.round(values, digits)]


def write_camera_json(path: Path, camera: CameraPath) -> None:
    """Write a camera path for people to read and edit: one line per frame, conventions in the file."""
    q = continuous(quaternion_from_matrix(camera.T_world_camera[:, :3, :3]))
    head = {
        "format": FORMAT,
        "conventions": CONVENTIONS,
        "width_px": camera.width,
        "height_px": camera.height,
        "frame_rate": [camera.frame_rate.numerator, camera.frame_rate.denominator],
    }
    rows = [
        {
            "position_m": numbers(camera.position[frame], 9),
            "rotation_wxyz": numbers(q[frame], 12),
            "focal_px": numbers(np.diag(camera.K[frame])[:2], 6),
            "centre_px": numbers(camera.K[frame, :2, 2], 6),
        }
        for frame in range(len(camera))
    ]
    lines = ",\n".join("    " + json.dumps(row) for row in rows)
    replace_text(path, json.dumps(head, indent=2)[:-2] + ',\n  "frames": [\n' + lines + "\n  ]\n}\n")


def read_camera_json(path: Path) -> CameraPath:
    """Read what `write_camera_json` wrote, also after edits by hand.

    `focal_px` may be one number; `centre_px` may be left out (the picture's centre); rotations need not be of unit
    length.

    Raises:
        FileFormatError: the file is absent, no JSON, or of another format, or a frame is incomplete.
    """
    record = read_record(path, CameraRecord, "camera", MAX_FILE_BYTES)
    if record.format != FORMAT:
        raise FileFormatError(f'{path.name} is no camera of ours: it needs "format": "{FORMAT}"')
    with reading(path, "camera"):
        return _camera_from(record)


_Metres = Annotated[float, Field(ge=-1e9, le=1e9)]
_Pixels = Annotated[float, Field(ge=-1e7, le=1e7)]
_Focal = Annotated[float, Field(gt=0, le=1e7)]
_Side = Annotated[int, Field(ge=1, le=1 << 16)]
_Share = Annotated[float, Field(ge=-1e6, le=1e6)]
_Term = Annotated[int, Field(ge=1, le=1_000_000_000)]


class FrameRecord(Record):
    """A camera in one frame."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    position_m: tuple[_Metres, _Metres, _Metres]
    """The optical centre in the world, in metres: +Y up, the ground at y = 0."""
    rotation_wxyz: tuple[_Share, _Share, _Share, _Share]
    """Quaternion that turns camera axes (+X right, +Y down, +Z forward) into world axes."""
    focal_px: _Focal | tuple[_Focal, _Focal]
    """Focal length, or the horizontal and the vertical one, in pixels of this picture size."""
    centre_px: tuple[_Pixels, _Pixels] | None = None
    """Optical centre in pixels, right and down; the centre of the top-left pixel is (0.5, 0.5)."""


class CameraRecord(Record):
    """A camera path, as it stands in a file."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    format: str
    """What the file is, with its version."""
    width_px: _Side
    """Of the picture, in square pixels."""
    height_px: _Side
    """Of the picture, in square pixels."""
    frame_rate: tuple[_Term, _Term]
    """Numerator and denominator, frames per second."""
    frames: Annotated[tuple[FrameRecord, ...], Field(min_length=1)]
    """One for each frame of the cut, in order."""


def _camera_from(record: CameraRecord) -> CameraPath:
    """A camera path from what a file holds."""
    frames, centre = record.frames, (record.width_px / 2, record.height_px / 2)
    q = np.array([frame.rotation_wxyz for frame in frames], np.float64)
    if not (np.linalg.norm(q, axis=1) > 1e-6).all():
        raise ValueError("a rotation has length zero")
    position_m = np.array([frame.position_m for frame in frames], np.float64)
    K = np.tile(np.eye(3), (len(frames), 1, 1))
    for number, frame in enumerate(frames):
        K[number, [0, 1], [0, 1]] = frame.focal_px
        K[number, :2, 2] = frame.centre_px or centre
    T = transform_from(matrix_from_quaternion(q), position_m)
    return CameraPath(T, K, record.width_px, record.height_px, Fraction(*record.frame_rate))


def write_camera_usda(path: Path, camera: CameraPath, name: str = "Camera", first_frame: int = 1) -> None:
    """Write an animated USD camera as plain text; the first frame is time code `first_frame`.

    The stage is in centimetres, because USD gives focal length and aperture in tenths of its unit: so they are
    millimetres, of a film back 36 mm wide. A moving lens and an off-centre optical axis are kept.
    Source: OpenUSD, UsdGeomCamera.
    """
    T = camera.T_world_camera @ OPENGL_AXES
    T[:, :3, 3] *= CENTIMETRES_PER_METRE
    mm_per_px = SENSOR_WIDTH_MM / camera.width
    focal_mm = camera.K[:, 0, 0] * mm_per_px
    # Square texels on the film back: what fy ≠ fx means goes into the height of the film back.
    tall = camera.K[:, 0, 0] / camera.K[:, 1, 1]
    samples = {
        "float focalLength": focal_mm,
        "float verticalAperture": camera.height * mm_per_px * tall,
        "float horizontalApertureOffset": (camera.width / 2 - camera.K[:, 0, 2]) * mm_per_px,
        "float verticalApertureOffset": (camera.K[:, 1, 2] - camera.height / 2) * mm_per_px * tall,
    }
    rate = f"{float(camera.frame_rate):.12g}"
    codes = range(first_frame, first_frame + len(camera))
    lines = [
        "#usda 1.0",
        "(",
        f'    defaultPrim = "{name}"',
        "    metersPerUnit = 0.01",
        '    upAxis = "Y"',
        f"    startTimeCode = {codes[0]}",
        f"    endTimeCode = {codes[-1]}",
        f"    timeCodesPerSecond = {rate}",
        f"    framesPerSecond = {rate}",
        ")",
        "",
        f'def Camera "{name}"',
        "{",
        '    token projection = "perspective"',
        "    float2 clippingRange = (1, 1000000)",
        f"    float horizontalAperture = {SENSOR_WIDTH_MM:g}",
    ]
    for key, values in samples.items():
        if np.ptp(values) < 1e-9:
            lines.append(f"    {key} = {values[0]:.9g}")
        else:
            lines += time_samples(key, codes, [f"{value:.9g}" for value in values])
    # USD multiplies row vectors: its matrices are the transposes of ours.
    rows = [", ".join(f"({', '.join(f'{value:.12g}' for value in row)})" for row in matrix.T) for matrix in T]
    lines += time_samples("matrix4d xformOp:transform", codes, [f"( {row} )" for row in rows])
    lines += ['    uniform token[] xformOpOrder = ["xformOp:transform"]', "}"]
    replace_text(path, "\n".join(lines) + "\n")


def time_samples(key: str, codes: Iterable[int], values: list[str]) -> list[str]:
    """An attribute of USD with one value per time code."""
    lines = [f"        {code}: {value}," for code, value in zip(codes, values, strict=True)]
    return [f"    {key}.timeSamples = {{", *lines, "    }"]
