"""Camera files of public video datasets: MultiCamVideo and ReCamMaster (JSON), RealEstate10K (text).

MultiCamVideo, ReCamMaster and the Scene-Decoupled set write, for every frame and camera, a 4 × 4 matrix as text: camera
to world for row vectors, so that the translation is its last row; centimetres; Unreal axes (+X forward, +Y right, +Z
up, left-handed) for world and camera. RealEstate10K writes a world-to-camera matrix per line, OpenCV axes, with
intrinsics as shares of the picture.
"""

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float

from understudy.core.camera import CameraPath
from understudy.geometry.rigid import invert, transform_from
from understudy.io.files import read_bytes, reading
from understudy.io.text import read_json, replace_text
from understudy.runtime.budget import Budget
from understudy.runtime.errors import quoted

__all__ = [
    "cameras_from_unreal_text",
    "read_realestate10k",
    "read_unreal_cameras",
    "unreal_text_from_cameras",
    "write_realestate10k",
    "write_unreal_cameras",
]

MAX_FILE_BYTES = 48 << 20
MAX_MEMORY_BYTES, NUMBER_BYTES = 256 << 20, 48
MAX_TRANSLATION = 1e9
CENTIMETRES_PER_METRE = 100.0
MICROSECONDS_PER_SECOND = 1_000_000
WORLD_FROM_UNREAL = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])
"""Unreal's right is our +X, its up our +Y, its forward our −Z; the change of hands is in the determinant, −1."""
UNREAL_FROM_CAMERA = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Our camera's right, down and forward on Unreal's camera axes: forward, right, up."""
_ROW = re.compile(r"\[([^\[\]]*)\]")


def read_unreal_cameras(path: Path) -> dict[str, Float[np.ndarray, "time 4 4"]]:
    """`T_world_camera` of every camera in a MultiCamVideo, ReCamMaster or Scene-Decoupled file, in metres.

    Raises:
        FileFormatError: the file is absent, too large, no such JSON, or a matrix is no rigid transform.
    """
    document = read_json(path, "camera file", MAX_FILE_BYTES)
    with reading(path, "camera file"):
        return cameras_from_unreal_text(document)


def cameras_from_unreal_text(
    document: Mapping[str, Mapping[str, str]],
) -> dict[str, Float[np.ndarray, "time 4 4"]]:
    """`T_world_camera` of every camera from the JSON of a file: {"frame0": {"cam01": "[…] […] […] […]"}, …}.

    Raises:
        ValueError: no frames, a camera that is not in every frame, or text that is no rigid 4 × 4 matrix.
    """
    frames = sorted(document, key=_frame_number)
    if not frames:
        raise ValueError("it has no frames")
    names = sorted(document[frames[0]])
    cameras: dict[str, Float[np.ndarray, "frame 4 4"]] = {}
    for name in names:
        rows: list[Float[np.ndarray, "4 4"]] = []
        for frame in frames:
            if name not in document[frame]:
                raise ValueError(f"{frame} lacks the camera {name}, which {frames[0]} has")
            rows.append(_matrix(document[frame][name], f"{frame}, {name}"))
        cameras[name] = _world_from_rows(np.stack(rows))
    return cameras


def _frame_number(key: str) -> int:
    digits = re.sub(r"\D", "", key)
    if not digits:
        raise ValueError(f"a frame is named {key!r}; expected frame0, frame1, …")
    return int(digits)


def _matrix(text: str, where: str) -> Float[np.ndarray, "4 4"]:
    """Four bracketed rows of four numbers."""
    rows = [[float(number) for number in row.replace(",", " ").split()] for row in _ROW.findall(text)]
    if [len(row) for row in rows] != [4, 4, 4, 4]:
        raise ValueError(f"{where}: {text[:60]!r} is no matrix of four rows of four")
    matrix = np.array(rows)
    R = matrix[:3, :3]
    if (
        not (np.abs(matrix) <= MAX_TRANSLATION).all()
        or np.abs(R @ R.T - np.eye(3)).max() > 1e-3
        or np.linalg.det(R) < 0
    ):
        raise ValueError(f"{where}: {text[:60]!r} is no rotation with a translation in the last row")
    if np.abs(matrix[:, 3] - [0, 0, 0, 1]).max() > 1e-6:
        raise ValueError(f"{where}: the last column is {matrix[:, 3].tolist()}; expected 0 0 0 1 (row vectors)")
    return matrix


def _world_from_rows(rows: Float[np.ndarray, "time 4 4"]) -> Float[np.ndarray, "time 4 4"]:
    R_unreal = np.swapaxes(rows[:, :3, :3], 1, 2)
    R = WORLD_FROM_UNREAL @ R_unreal @ UNREAL_FROM_CAMERA
    return transform_from(R, rows[:, 3, :3] @ WORLD_FROM_UNREAL.T / CENTIMETRES_PER_METRE)


def unreal_text_from_cameras(
    cameras: Mapping[str, Float[np.ndarray, "time 4 4"]],
) -> dict[str, dict[str, str]]:
    """The JSON of a camera file from `T_world_camera` of every camera; all of one length."""
    if len({len(camera) for camera in cameras.values()}) != 1:
        raise ValueError(f"cameras of one file need one length; got {[len(camera) for camera in cameras.values()]}")
    texts = {name: [_text(T) for T in T_world_camera] for name, T_world_camera in cameras.items()}
    count = len(next(iter(texts.values())))
    return {f"frame{frame}": {name: rows[frame] for name, rows in texts.items()} for frame in range(count)}


def _text(T_world_camera: Float[np.ndarray, "4 4"]) -> str:
    R = WORLD_FROM_UNREAL.T @ T_world_camera[:3, :3] @ UNREAL_FROM_CAMERA.T
    position = WORLD_FROM_UNREAL.T @ T_world_camera[:3, 3] * CENTIMETRES_PER_METRE
    rows = [*[(*axis, 0.0) for axis in R.T], (*position, 1.0)]
    # Zero is written without its sign.
    return " ".join("[" + " ".join(f"{value + 0.0:.6f}" for value in np.round(row, 6)) + "]" for row in rows) + " "


def write_unreal_cameras(path: Path, cameras: Mapping[str, Float[np.ndarray, "time 4 4"]]) -> None:
    """Write `T_world_camera` (metres) of every camera as MultiCamVideo and the Scene-Decoupled set do."""
    replace_text(path, json.dumps(unreal_text_from_cameras(cameras), indent=4) + "\n")


def read_realestate10k(path: Path, width: int, height: int, frame_rate: Fraction | None = None) -> CameraPath:
    """A RealEstate10K camera for pictures of `width` × `height`; None: the frame rate is that of the timestamps.

    The world keeps the file's place and scale; its axes are those of an OpenCV camera, and are turned so that +Y is up.

    Raises:
        FileFormatError: the file is absent, too large, or a line does not hold 19 numbers and a rigid transform.
    """
    content = read_bytes(path, "camera file", MAX_FILE_BYTES)
    with reading(path, "camera file"):
        Budget(quoted(path), MAX_MEMORY_BYTES, advice="cut it into pieces").take(
            "its numbers", content.count(b" ") + content.count(b"\n"), bytes_each=NUMBER_BYTES
        )
        lines = content.decode("utf-8").splitlines()
        rows = np.array([[float(number) for number in line.split()] for line in lines[1:] if line.strip()])
        if rows.ndim != 2 or rows.shape[1] != 19:
            raise ValueError(f"expected 19 numbers a line after the first, got {rows.shape}")
        if not (np.abs(rows[:, 1:]) <= MAX_TRANSLATION).all():
            raise ValueError(f"it holds numbers that are not finite, or beyond {MAX_TRANSLATION:g}")
        T_camera_world = np.tile(np.eye(4), (len(rows), 1, 1))
        T_camera_world[:, :3] = rows[:, 7:].reshape(-1, 3, 4)
        K = np.tile(np.eye(3), (len(rows), 1, 1))
        K[:, 0, 0], K[:, 1, 1] = rows[:, 1] * width, rows[:, 2] * height
        K[:, 0, 2], K[:, 1, 2] = rows[:, 3] * width, rows[:, 4] * height
        rate = _rate(rows[:, 0]) if frame_rate is None else frame_rate
        return CameraPath(_UP_FROM_DOWN @ invert(T_camera_world), K, width, height, rate)


_UP_FROM_DOWN = np.diag([1.0, -1.0, -1.0, 1.0])
"""Half a turn about X: between a world with +Y down and ours."""


def _rate(timestamps_us: Float[np.ndarray, " time"]) -> Fraction:
    """Frames per second of timestamps in microseconds."""
    step = float(np.median(np.diff(timestamps_us))) if len(timestamps_us) > 1 else 0.0
    if not 0 < step < float("inf"):
        raise ValueError("its timestamps do not advance: give the frame rate")
    return Fraction(MICROSECONDS_PER_SECOND / step).limit_denominator(1001)


def write_realestate10k(path: Path, camera: CameraPath, source: str) -> None:
    """Write a camera as RealEstate10K does; `source` is the first line, a video's address there."""
    T_camera_world = invert(_UP_FROM_DOWN @ camera.T_world_camera)
    size = np.array([camera.width, camera.height, camera.width, camera.height])
    lines = [source]
    for frame in range(len(camera)):
        K = camera.K[frame]
        shares = np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2]]) / size
        time_us = round(frame * MICROSECONDS_PER_SECOND / camera.frame_rate)
        numbers = np.concatenate([shares, [0.0, 0.0], T_camera_world[frame, :3].ravel()])
        lines.append(f"{time_us} " + " ".join(f"{number:.9f}" for number in numbers))
    replace_text(path, "\n".join(lines) + "\n")
