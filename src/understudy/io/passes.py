"""Render passes on disk: lossless video always, PNG or EXR sequences on request."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
import OpenEXR
from jaxtyping import Float, UInt8

from understudy.core.passes import Passes
from understudy.geometry.colour import linear_from_srgb_bytes, srgb_bytes_from_linear
from understudy.io.images import write_png
from understudy.io.temporary import temporary_name
from understudy.io.video import VideoWriter, read_video

__all__ = ["PASS_FILES", "PassWriter", "read_passes"]

PASS_FILES = {
    "colour.mkv": "colour with straight alpha, sRGB",
    "depth.mkv": "depth along the camera's axis, in metres",
    "normals.mkv": "world normals, 0 … 255 for −1 … 1",
    "ids.mkv": "which performance a pixel shows, 0 for none",
    "id_share.mkv": "how much of the pixel that performance covers",
    "shadow.mkv": "share of the key light that is taken from the ground",
}
"""The videos of the passes, and what each holds."""


class PassWriter:
    """Writes the passes of a take frame by frame into a folder; use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        width: int,
        height: int,
        frame_rate: Fraction,
        kind: Literal["video", "png", "exr"] = "video",
    ) -> None:
        self.folder, self.kind, self.count = folder, kind, 0
        self._size = (width, height)
        self._rate = frame_rate
        self._stack = ExitStack()

    def __enter__(self) -> "PassWriter":
        self.folder.mkdir(parents=True, exist_ok=True)

        def writer(name: str, kind: Literal["lossless", "lossless_alpha", "mask", "depth"]) -> VideoWriter:
            return self._stack.enter_context(VideoWriter(self.folder / name, *self._size, self._rate, kind))

        self._colour = writer("colour.mkv", "lossless_alpha")
        self._depth = writer("depth.mkv", "depth")
        self._normals = writer("normals.mkv", "lossless")
        self._ids = writer("ids.mkv", "mask")
        self._id_share = writer("id_share.mkv", "mask")
        self._shadow = writer("shadow.mkv", "mask")
        return self

    def write(self, passes: Passes) -> None:
        """Append one frame."""
        box = _box(passes.alpha)
        colour = np.zeros((*passes.alpha.shape, 4), np.uint8)
        colour[box] = _straight_srgb(passes.colour[box], passes.alpha[box][..., None])
        normals = np.full((*passes.alpha.shape, 3), 128, np.uint8)
        normals[box] = _bytes(0.5 + 0.5 * passes.normals[box])
        self._colour.write(colour)
        self._depth.write(passes.depth_m)
        self._normals.write(normals)
        self._ids.write(passes.ids)
        self._id_share.write(_bytes(passes.id_share))
        self._shadow.write(_bytes(passes.shadow))
        if self.kind == "png":
            write_png(self.folder / f"png/colour.{self.count:05d}.png", colour)
        elif self.kind == "exr":
            _write_exr(self.folder / f"exr/passes.{self.count:05d}.exr", passes)
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def read_passes(folder: Path, frames: Sequence[int] | None = None) -> Iterator[Passes]:
    """What a PassWriter wrote, all frames or those numbered (rising), as exactly as the passes' bytes hold them."""
    videos = [read_video(folder / name, frames) for name in PASS_FILES]
    for colour, depth_m, normals, ids, id_share, shadow in zip(*videos, strict=True):
        height, width = ids.shape
        box = _box(colour[..., 3])
        alpha = np.zeros((height, width), np.float32)
        light, directions = np.zeros((2, height, width, 3), np.float32)
        alpha[box] = colour[box][..., 3] * np.float32(1 / 255)
        light[box] = linear_from_srgb_bytes(colour[box][..., :3]) * alpha[box][..., None]
        inside = normals[box] * np.float32(1 / 127.5) - 1
        lengths = np.sqrt((inside**2).sum(-1, keepdims=True))
        # No normal is stored as zero, which bytes cannot hold: its length tells.
        directions[box] = np.where(lengths > 0.5, inside / np.maximum(lengths, 1e-6), 0.0)
        share, dark = (values * np.float32(1 / 255) for values in (id_share, shadow))
        yield Passes(light, alpha, depth_m, directions, ids, share, dark)


def _box(alpha: np.ndarray) -> tuple[slice, slice]:
    """Where a picture is not empty: passes are mostly empty, and their conversion is most of the work."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _bytes(share: np.ndarray) -> UInt8[np.ndarray, "*shape"]:
    return np.round(255 * np.clip(share, 0.0, 1.0)).astype(np.uint8)


def _straight_srgb(
    colour: Float[np.ndarray, "height width 3"], alpha: Float[np.ndarray, "height width 1"]
) -> UInt8[np.ndarray, "height width 4"]:
    straight = colour / np.maximum(alpha, 1e-6)
    return np.concatenate([srgb_bytes_from_linear(np.where(alpha > 0, straight, 0.0)), _bytes(alpha)], -1)


def _write_exr(path: Path, passes: Passes) -> None:
    """One multi-channel EXR: premultiplied scene-linear RGBA, N, shadow and id_share in halves, Z and id in floats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {
        **{name: passes.colour[..., i] for i, name in enumerate("RGB")},
        "A": passes.alpha,
        **{f"N.{name}": passes.normals[..., i] for i, name in enumerate("XYZ")},
        "id_share": passes.id_share,
        "shadow": passes.shadow,
    }
    channels = {name: np.ascontiguousarray(values, np.float16) for name, values in half.items()}
    channels["Z"] = np.ascontiguousarray(passes.depth_m, np.float32)
    channels["id"] = passes.ids.astype(np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    temporary = temporary_name(path)
    OpenEXR.File(header, channels).write(str(temporary))
    os.replace(temporary, path)
