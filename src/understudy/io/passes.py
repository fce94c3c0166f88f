"""Render passes on disk: lossless video always, EXR or PNG sequences beside it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float, UInt8

from understudy.core.camera import CameraPath
from understudy.core.passes import Layer, Passes, PassKind, covered_box
from understudy.imaging.colour import linear_from_srgb_bytes, srgb_bytes_from_linear
from understudy.io.exr.write import EXR_LAYERS, write_exr
from understudy.io.pictures.files import write_png
from understudy.io.text import replace_text
from understudy.io.video.encoding import VideoKind
from understudy.io.video.streams import VideoWriter, read_video
from understudy.runtime.parallel import in_order, prefetch, write_behind

__all__ = ["PASS_FILES", "PASS_KINDS", "PassWriter", "read_layers", "read_passes"]

Coverage = Mapping[str, Float[np.ndarray, "height width"]]
"""How much of each pixel somebody covers, 0 … 1, by name."""

PASS_FILES = {
    "colour.mkv": "colour with straight alpha, sRGB",
    "depth.mkv": "depth along the camera's axis, in metres",
    "normals.mkv": "world normals, 0 … 255 for −1 … 1",
    "ids.mkv": "which performance a pixel shows, 0 for none",
    "id_share.mkv": "how much of the pixel that performance covers",
    "shadow.mkv": "share of the key light that is taken from the ground",
}
"""The videos of the passes, and what each holds."""
PASS_KINDS: dict[str, VideoKind] = {
    "colour.mkv": "lossless_alpha", "depth.mkv": "depth", "normals.mkv": "lossless", "ids.mkv": "mask",
    "id_share.mkv": "mask", "shadow.mkv": "mask",
}  # fmt: skip
SEQUENCES: dict[PassKind, str] = {"exr": "exr/passes.{number:04d}.exr", "png": "png/colour.{number:04d}.png"}
README = {
    "exr": f"""
exr/passes.####.exr: one file per frame, for Nuke, Fusion, Resolve, Blender and After Effects. Channels:
{chr(10).join(f"  {layer}: {what}" for layer, what in EXR_LAYERS.items())}
In the header: frame rate, time code, imageCounter (the frame's number), chromaticities, pinholeFocalLength (mm, on a
film back 36 mm wide), worldToCamera and worldToNDC as OpenEXR defines them (row vectors; camera: right, up, ahead;
NDC: 0 … 1 from the upper left corner). The world is in metres, +Y up, the ground at y = 0. The set behind the character
has no motion vectors and no depth.
""",
    "png": """
png/colour.####.png: colour with straight alpha, sRGB, one file per frame.
""",
    "video": "",
}
"""What is said in the passes' folder of each kind's sequence."""
VIDEOS = f"""
*.mkv: without loss, for the film itself, as FFV1 (colour with alpha, depth, masks) and H.264 RGB (normals).
FFmpeg, Blender and players based on FFmpeg read them; they are what the film is made of, and what to edit.
{chr(10).join(f"  {name}: {what}" for name, what in PASS_FILES.items())}
depth.mkv is grey with 16 bits: code 65535 is nothing; else metres = 0.01 * 1000000 ** (code / 65534).
"ffmpeg -i depth.mkv depth.%04d.png" writes the codes as 16-bit PNG.
"""


class PassWriter:
    """Writes the passes of a take frame by frame into a folder; use it as a context manager.

    EXR is the default, though it costs: for a 1280×720 frame with a person in it 0.04 s of one core and 2 MB, the
    videos 0.05 s and 0.3 MB. But of the compositors only Blender opens lossless video with alpha or 16 bits, and 8-bit
    normals are too coarse to light by. The data window is the whole picture: Blender 5 takes a smaller one for the
    picture itself.
    """

    def __init__(
        self,
        folder: Path,
        camera: CameraPath,
        kind: PassKind = "exr",
        first_frame: int = 1,
        names: Sequence[str] = ("character",),
    ) -> None:
        """`first_frame` numbers the files; `names` are the performances', for Cryptomatte."""
        self.folder, self.camera, self.kind, self.count = folder, camera, kind, 0
        self._first_frame = first_frame
        self._names = [name if name not in names[:i] else f"{name} {i + 1}" for i, name in enumerate(names)]
        self._stack = ExitStack()

    def __enter__(self) -> "PassWriter":
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.kind in SEQUENCES:
            (self.folder / SEQUENCES[self.kind]).parent.mkdir(exist_ok=True)
        text = "The passes of the rendered character.\n" + README[self.kind] + VIDEOS
        replace_text(self.folder / "README.txt", text)

        size = (self.camera.width, self.camera.height, self.camera.frame_rate)
        self._videos = [
            self._stack.enter_context(VideoWriter(self.folder / name, *size, PASS_KINDS[name])) for name in PASS_FILES
        ]
        return self

    def write(self, passes: Passes, people: Coverage | None = None) -> None:
        """Append one frame; `people`: coverage, 0 … 1, by name, of who was filmed (for EXR)."""
        self._append(self._prepared((self.count, (passes, people or {}))))

    def write_all(self, frames: Iterable[tuple[Passes, Coverage]]) -> Iterator[None]:
        """Append frames as `write` does, several of them in work at once; yields after each."""
        yield from write_behind(self._append, in_order(self._prepared, enumerate(frames, self.count)))

    def _prepared(self, job: tuple[int, tuple[Passes, Coverage]]) -> list[VideoFrame]:
        """Write a frame's EXR or PNG; its pictures for the videos."""
        frame, (passes, people) = job
        box, shape = covered_box(passes.alpha), passes.alpha.shape
        colour, normals = np.zeros((*shape, 4), np.uint8), np.full((*shape, 3), 128, np.uint8)
        colour[box] = _straight_srgb(passes.colour[box], passes.alpha[box][..., None])
        normals[box] = _bytes(0.5 + 0.5 * passes.normals[box])
        if self.kind in SEQUENCES:
            number = self._first_frame + frame
            path = self.folder / SEQUENCES[self.kind].format(number=number)
            if self.kind == "png":
                write_png(path, colour)
            else:
                objects = {name: passes.matte(i) for i, name in enumerate(self._names, 1)}
                write_exr(path, passes, self.camera, frame, number, objects, people)
        shares = _share_bytes(passes.id_share), _share_bytes(passes.shadow)
        pictures = (colour, passes.depth_m, normals, passes.ids, *shares)
        return [video.picture(picture) for video, picture in zip(self._videos, pictures, strict=True)]

    def _append(self, pictures: list[VideoFrame]) -> None:
        for video, picture in zip(self._videos, pictures, strict=True):
            video.append(picture)
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def read_passes(folder: Path, frames: Sequence[int] | None = None) -> Iterator[Passes]:
    """What a PassWriter wrote, all frames or those numbered (rising), as exactly as the passes' bytes hold them."""
    yield from in_order(_passes, _decoded(folder, PASS_FILES, frames))


def read_layers(folder: Path, frames: Sequence[int] | None = None) -> Iterator[Layer]:
    """Of what a PassWriter wrote, what goes over the set; the other passes are not decoded. See `read_passes`."""
    yield from in_order(_layer, _decoded(folder, ("colour.mkv", "shadow.mkv"), frames))


def _decoded(folder: Path, names: Iterable[str], frames: Sequence[int] | None) -> Iterator[tuple[np.ndarray, ...]]:
    return zip(*(prefetch(read_video(folder / name, frames), 2) for name in names), strict=True)


def _layer(decoded: tuple[np.ndarray, ...]) -> Layer:
    colour, shadow = decoded
    light, alpha = _linear(colour)
    return Layer(colour=light, alpha=alpha, shadow=_share(shadow))


def _passes(decoded: tuple[np.ndarray, ...]) -> Passes:
    colour, depth_m, normals, ids, id_share, shadow = decoded
    light, alpha = _linear(colour)
    directions, box = np.zeros(light.shape, np.float32), covered_box(alpha)
    inside = normals[box] * np.float32(1 / 127.5) - 1
    lengths = np.sqrt((inside**2).sum(-1, keepdims=True))
    # No normal is stored as zero, which bytes cannot hold: its length tells.
    directions[box] = np.where(lengths > 0.5, inside / np.maximum(lengths, 1e-6), 0.0)
    return Passes(
        colour=light, alpha=alpha, shadow=_share(shadow), depth_m=depth_m, normals=directions, ids=ids,
        id_share=_share(id_share),
    )  # fmt: skip


def _linear(
    colour: UInt8[np.ndarray, "height width 4"],
) -> tuple[Float[np.ndarray, "height width 3"], Float[np.ndarray, "height width"]]:
    """Premultiplied linear light, and alpha."""
    light, alpha = np.zeros((*colour.shape[:2], 3), np.float32), np.zeros(colour.shape[:2], np.float32)
    box = covered_box(colour[..., 3])
    alpha[box] = colour[box][..., 3] * np.float32(1 / 255)
    light[box] = linear_from_srgb_bytes(colour[box][..., :3]) * alpha[box][..., None]
    return light, alpha


def _share(values: UInt8[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    share, box = np.zeros(values.shape, np.float32), covered_box(values)
    share[box] = values[box] * np.float32(1 / 255)
    return share


def _share_bytes(share: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    values, box = np.zeros(share.shape, np.uint8), covered_box(share)
    values[box] = _bytes(share[box])
    return values


def _bytes(share: np.ndarray) -> UInt8[np.ndarray, "*shape"]:
    return np.round(255 * np.clip(share, 0.0, 1.0)).astype(np.uint8)


def _straight_srgb(
    colour: Float[np.ndarray, "height width 3"], alpha: Float[np.ndarray, "height width 1"]
) -> UInt8[np.ndarray, "height width 4"]:
    straight = colour / np.maximum(alpha, 1e-6)
    return np.concatenate([srgb_bytes_from_linear(np.where(alpha > 0, straight, 0.0)), _bytes(alpha)], -1)
