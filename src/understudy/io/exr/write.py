"""Render passes as multi-layer EXR, one file per frame, with the camera and Cryptomatte in the header."""

# OpenEXR has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from jaxtyping import Float

from understudy.core.camera import CameraPath
from understudy.core.passes import Passes, covered_box
from understudy.io.cameras.files import SENSOR_WIDTH_MM
from understudy.io.exr.cryptomatte import cryptomatte_channels, cryptomatte_header
from understudy.io.exr.scan_lines import Box, Channel, half_planes, write_channels

__all__ = ["EXR_LAYERS", "picture_header", "write_exr"]

EXR_LAYERS = {
    "R, G, B, A": "the character in linear light (Rec. 709 primaries), premultiplied",
    "Z": "depth along the camera's axis, in metres; 1e10 where there is nothing",
    "N.x, N.y, N.z": "normals in the world (+Y up)",
    "forward.u, forward.v": "where the same point of the character is in the next frame: pixels to the right and up",
    "backward.u, backward.v": "the same for the previous frame; zero where there is none",
    "shadow.Y": "share of the key light that the character takes from the ground",
    "CryptoObject": "Cryptomatte of the character",
    "CryptoPerson": "Cryptomatte of the people in the shot as it was filmed, seen by the shot's own camera",
}
"""The channels of a frame, and what each holds."""
NOTHING_M = 1e10
"""Depth of the background: finite, so that filters make no NaN of it; as in Blender."""
MAX_LIGHT = np.float32(65504)
"""The largest half float."""
REC_709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
MAX_FRAMES_OF_TIME_CODE = 30
"""Per second: SMPTE 12M counts no more in one time code."""


def write_exr(
    path: Path,
    passes: Passes,
    camera: CameraPath,
    frame: int,
    number: int,
    objects: Mapping[str, Float[np.ndarray, "height width"]],
    people: Mapping[str, Float[np.ndarray, "height width"]],
) -> None:
    """Write one frame, whole or not at all.

    Args:
        frame: of the camera, from 0.
        number: of the frame in the sequence, for the header.
        objects, people: coverage, 0 … 1, by name: of what was rendered, and of who was filmed.
    """
    box = covered_box(passes.alpha)
    channels = _channels("RGB", np.minimum(passes.colour[box], MAX_LIGHT), box) | _channels("A", passes.alpha[box], box)
    channels |= _channels(("N.x", "N.y", "N.z"), passes.normals[box], box)
    if passes.motion_px is not None:
        # Compositors count rows from below.
        motion = passes.motion_px[box] * np.array([1, -1, 1, -1], np.float32)
        channels |= _channels(("forward.u", "forward.v", "backward.u", "backward.v"), motion, box)
    box = covered_box(passes.shadow)
    channels |= _channels(("shadow.Y",), passes.shadow[box], box)
    box = covered_box(np.isfinite(passes.depth_m))
    depth_m = np.where(np.isfinite(passes.depth_m[box]), passes.depth_m[box], np.float32(NOTHING_M))
    channels["Z"] = Channel(depth_m, box, outside=NOTHING_M)
    header = camera_header(camera, frame, number)
    for layer, mattes in (("CryptoObject", objects), ("CryptoPerson", people)):
        if mattes:
            header |= cryptomatte_header(layer, list(mattes))
            channels |= cryptomatte_channels(layer, mattes)
    write_channels(path, header, camera.height, camera.width, channels)


def _channels(names: Iterable[str], values: Float[np.ndarray, "rows columns *n"], box: Box) -> dict[str, Channel]:
    """Half floats within a box, zero around it."""
    return {name: Channel(plane, box) for name, plane in zip(names, half_planes(values), strict=True)}


def camera_header(camera: CameraPath, frame: int, number: int) -> dict[str, Any]:
    """Colour, time and camera as OpenEXR's standard attributes; the world is ours, in metres.

    Matrices multiply row vectors. The camera's space is left-handed (right, up, ahead); worldToNDC brings the picture's
    upper left corner to (0, 0) and its lower right one to (1, 1), with 1 / depth as its third coordinate. The film back
    is thought to be 36 mm wide.

    Source: OpenEXR documentation, Standard Attributes; SMPTE ST 12-1.
    """
    T_camera_world, K = camera.T_camera_world[frame], camera.K[frame]
    lens = np.zeros((4, 4))
    lens[:2, :3] = K[:2] / np.array([[camera.width], [camera.height]])
    lens[2, 3] = lens[3, 2] = 1.0
    height_mm = SENSOR_WIDTH_MM * camera.height / camera.width * K[0, 0] / K[1, 1]
    return picture_header(camera.frame_rate, number) | {
        "worldToCamera": rows_first(np.diag([1.0, -1.0, 1.0, 1.0]) @ T_camera_world),
        "worldToNDC": rows_first(lens @ T_camera_world),
        "pinholeFocalLength": float(K[0, 0] * SENSOR_WIDTH_MM / camera.width),
        "sensorOverallDimensions": np.array([SENSOR_WIDTH_MM, height_mm], np.float32),
        "comments": "; ".join(f"{layer}: {what}" for layer, what in EXR_LAYERS.items()),
    }


def picture_header(frame_rate: Fraction, number: int) -> dict[str, Any]:
    """Colour and time of one picture of a sequence, by its number, as OpenEXR's standard attributes.

    Source: OpenEXR documentation, Standard Attributes; SMPTE ST 12-1.
    """
    header: dict[str, Any] = {"chromaticities": REC_709, "framesPerSecond": frame_rate, "imageCounter": number}
    base = round(frame_rate)
    if 1 <= base <= MAX_FRAMES_OF_TIME_CODE:
        seconds, frames = divmod(number, base)
        clock = (seconds // 3600 % 24, seconds // 60 % 60, seconds % 60, frames)
        header["timeCode"] = OpenEXR.TimeCode(*clock, *[False] * 6, *[0] * 8)
    return header


def rows_first(T: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """A matrix for row vectors, in the order in which OpenEXR stores it."""
    return np.ascontiguousarray(T.T, np.float32)
