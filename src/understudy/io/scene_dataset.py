"""Scene-decoupled clips on disk, in the layout of the public Scene-Decoupled-Video dataset.

    camera/{whuman,wohuman}/SCENE/SCENE_cam.json      cameras of all takes, Unreal axes (see io.camera_sets)
    panorama/SCENE/SCENE_pano.jpeg                    the empty set from the start view's place
    video/{whuman,wohuman}/SCENE/SCENE_01_24mm.mp4    one film per take, with and without the subject
    text/whuman/SCENE/action.json                     {"caption": …, "caption_action_only": …}
    mask/whuman/SCENE/SCENE_01_24mm.mkv               ours: coverage of the subject, lossless
    depth/wohuman/SCENE/SCENE_01_24mm.mkv             ours: depth of the empty set, 16 bits

The sentence is written last: a scene without it is unfinished, and is neither listed nor read.
"""

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from understudy.core.camera import CameraPath
from understudy.core.clip import SceneClip
from understudy.geometry.projection import intrinsics
from understudy.io.cameras.sets import read_unreal_cameras, write_unreal_cameras
from understudy.io.pictures.files import read_picture
from understudy.io.records import Record, read_record
from understudy.io.temporary import whole_file
from understudy.io.text import replace_text
from understudy.io.video.encoding import VideoKind, VideoWriter
from understudy.io.video.streams import read_video
from understudy.runtime.errors import FileFormatError, quoted

__all__ = [
    "LENS_MM",
    "SENSOR_MM",
    "finished_scenes",
    "frame_count",
    "read_scene_clip",
    "takes_of",
    "write_scene_clip",
]

LENS_MM = 24.0
SENSOR_MM = 36.0
"""Width of the sensor: the public dataset does not say, 36 mm fits its pictures (73.7° with its 24 mm lens)."""
FRAME_RATE = Fraction(15)
WITH, WITHOUT = "whuman", "wohuman"
MAX_TEXT_BYTES, MAX_CLIP_BYTES = 1 << 20, 4 << 30
_TAKE = re.compile(r"^(?P<take>\w+)_(?P<lens>\d+(?:\.\d+)?)mm$")


def finished_scenes(root: Path) -> list[str]:
    """Names of the scenes that are complete, sorted."""
    return sorted(path.parent.name for path in (root / "text" / WITH).glob("*/action.json"))


def takes_of(root: Path, scene: str) -> list[str]:
    """The takes of a scene: 01, 02, …"""
    return [_split(name)[0] for name in sorted(read_unreal_cameras(_camera(root, WITH, scene)))]


def frame_count(root: Path, scene: str) -> int:
    """How many frames the first take of a scene has. Raises FileFormatError when its cameras cannot be read."""
    cameras = read_unreal_cameras(_camera(root, WITH, scene))
    return len(cameras[min(cameras, key=_split)])


def write_scene_clip(root: Path, clip: SceneClip, action: str) -> None:
    """Write a scene of one take; `action` is what the subject does, without who and where.

    Every file appears whole or not at all; the scene counts as finished when its sentence is there.
    """
    name = f"{clip.take}_{LENS_MM:.0f}mm"
    width, height, rate = clip.camera.width, clip.camera.height, clip.camera.frame_rate
    for kind in (WITH, WITHOUT):
        path = _camera(root, kind, clip.scene)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_unreal_cameras(path, {name: clip.camera.T_world_camera})
    films: list[tuple[str, str, VideoKind, np.ndarray | None]] = [
        ("video", WITH, "film", clip.video), ("video", WITHOUT, "film", clip.empty),
        ("mask", WITH, "mask", clip.mask), ("depth", WITHOUT, "depth", clip.depth_m),
    ]  # fmt: skip
    for what, subject, kind, frames in films:
        if frames is None:
            continue
        path = _film(root, what, subject, clip.scene, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with VideoWriter(path, width, height, rate, kind) as writer:
            for frame in frames:
                writer.write(frame)
    _write_panorama(_panorama(root, clip.scene), clip.panorama)
    words = _words(root, clip.scene)
    words.parent.mkdir(parents=True, exist_ok=True)
    replace_text(words, json.dumps({"caption": clip.words, "caption_action_only": action}, ensure_ascii=False) + "\n")


def read_scene_clip(
    root: Path, scene: str, take: str | None = None, frames: Sequence[int] | None = None, sensor_mm: float = SENSOR_MM
) -> SceneClip:
    """A clip of a dataset in this layout: all frames, or some, in rising order; the first take if none is named.

    Raises:
        FileFormatError: the scene is unfinished, a file is damaged, or the take or a frame does not exist.
    """
    cameras = {_split(name): (name, T) for name, T in read_unreal_cameras(_camera(root, WITH, scene)).items()}
    chosen = [key for key in sorted(cameras) if take is None or key[0] == take]
    if not chosen:
        raise FileFormatError(f"{scene} in {root} has no take {take}; it has {', '.join(key[0] for key in cameras)}.")
    (take, lens_mm), (name, T_world_camera) = chosen[0], cameras[chosen[0]]
    index = list(range(len(T_world_camera))) if frames is None else list(frames)
    if index != sorted(set(index)) or not index or index[0] < 0 or index[-1] >= len(T_world_camera):
        raise FileFormatError(f"{scene} has frames 0 … {len(T_world_camera) - 1}, to be read in order; got {index}.")
    video = _frames(_film(root, "video", WITH, scene, name), index)
    empty = _frames(_film(root, "video", WITHOUT, scene, name), index)
    mask, depth = (_film(root, what, subject, scene, name) for what, subject in (("mask", WITH), ("depth", WITHOUT)))
    height, width = video.shape[1:3]
    K = intrinsics(lens_mm / sensor_mm * width, width, height)
    camera = CameraPath(T_world_camera[index], np.repeat(K[None], len(index), 0), width, height, FRAME_RATE)
    return SceneClip(
        scene, take, camera, video, empty, _read_panorama(_panorama(root, scene)), _read_words(_words(root, scene)),
        _frames(mask, index) if mask.exists() else None,
        _frames(depth, index).astype(np.float64) if depth.exists() else None,
    )  # fmt: skip


def _camera(root: Path, subject: str, scene: str) -> Path:
    return root / "camera" / subject / scene / f"{scene}_cam.json"


def _film(root: Path, what: str, subject: str, scene: str, name: str) -> Path:
    return root / what / subject / scene / f"{scene}_{name}.{'mp4' if what == 'video' else 'mkv'}"


def _panorama(root: Path, scene: str) -> Path:
    return root / "panorama" / scene / f"{scene}_pano.jpeg"


def _words(root: Path, scene: str) -> Path:
    return root / "text" / WITH / scene / "action.json"


def _split(name: str) -> tuple[str, float]:
    """Take and focal length of a camera's name."""
    found = _TAKE.fullmatch(name)
    if not found:
        raise FileFormatError(f"a camera is named {quoted(name)}; expected take and lens, as in 01_24mm.")
    lens_mm = float(found["lens"])
    if not 1 <= lens_mm <= 10_000:
        raise FileFormatError(f"a camera is named {quoted(name)}; expected a lens of 1 to 10000 mm")
    return found["take"], lens_mm


def _frames(path: Path, index: list[int]) -> np.ndarray:
    """Some frames of a film."""
    if not path.exists():
        raise FileFormatError(f"{path} is missing: the scene is incomplete.")
    kept: list[np.ndarray] = []
    for frame in read_video(path, index):
        kept.append(frame)
        if frame.nbytes * len(index) > MAX_CLIP_BYTES:
            limit = MAX_CLIP_BYTES >> 30
            raise FileFormatError(f"{len(index)} frames of {path.name} are over {limit} GiB: read fewer.")
    return np.stack(kept)


def _write_panorama(path: Path, panorama: UInt8[np.ndarray, "rows columns 3"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        Image.fromarray(panorama).save(partial, format="JPEG", quality=95, subsampling=0)


def _read_panorama(path: Path) -> UInt8[np.ndarray, "rows columns 3"]:
    return np.ascontiguousarray(read_picture(path)[..., :3])


class _Words(Record):
    caption: str


def _read_words(path: Path) -> str:
    return read_record(path, _Words, "sentence", MAX_TEXT_BYTES).caption
