"""Films a new subject in a given set: pictures of the set, a camera move and a few words become a clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from understudy.core.camera import CameraPath
from understudy.io.cameras.files import write_camera_json
from understudy.io.pictures.files import write_png
from understudy.io.video.encoding import VideoWriter
from understudy.runtime.errors import InputError
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.outputs import writable_folder
from understudy.studio.scene.config import ShootConfig, camera_of_words
from understudy.studio.scene.set_pictures import read_set

__all__ = ["Shooting", "shoot_clip"]

SHOWN_PX = 384
"""Small models' frames are enlarged by a whole factor to about this height."""


@dataclass(frozen=True)
class Shooting:
    """What was written."""

    clip: Path
    camera: Path
    preview: Path


def shoot_clip(
    set_path: Path,
    camera: str,
    prompt: str,
    out: Path,
    config: ShootConfig | None = None,
    narrator: Narrator | None = None,
) -> Shooting:
    """Film `prompt` in a set along a camera path.

    Beside the clip are written its camera (.camera.json) and a preview (.preview.png).

    Args:
        set_path: a folder of pictures taken from one place (the start view first), a panorama, or one picture.
        camera: a move with its amount, such as "arc:+60", or a camera .json, of which the first lens is used: a zoom is
            not filmed.

    Raises:
        InputError: the set, the camera or a setting cannot be used, or nothing can be written to `out`.
        BackendUnavailable: the model has no checkpoint here.
    """
    config, narrator = config or ShootConfig(), narrator or SilentNarrator()
    if out.suffix.lower() != ".mp4" or out.is_dir():
        raise InputError(f"-o is {out}; name an .mp4 file")
    asked, found = camera_of_words(camera), read_set(set_path)
    if found.left_out:
        narrator.say(f"{found.left_out} pictures of {set_path} are left out: {len(found.pictures)} are enough")
    writable_folder(out.parent)
    # Takes seconds and memory: only once everything that was given is known to be right.
    from understudy.studio.scene.shoot_models import as_filmed, model_of, path_of

    model = model_of(config)
    path = asked if isinstance(asked, CameraPath) else path_of(asked, config.distance_m)
    pictures = found.views(model.pictures)
    with narrator.stage("shoot") as progress:
        frames = model.film(pictures, path, prompt, progress=progress)
    result = Shooting(out, out.with_suffix(".camera.json"), out.with_suffix(".preview.png"))
    shown = _enlarged(frames)
    taken = as_filmed(path, len(frames), shown.shape[2], shown.shape[1], model.field_rad)
    with VideoWriter(out, shown.shape[2], shown.shape[1], taken.frame_rate, "film") as writer:
        for frame in shown:
            writer.write(frame)
    write_camera_json(result.camera, taken)
    write_png(result.preview, preview(pictures, taken, shown))
    height, width = frames.shape[1:3]
    narrator.say(f"{len(frames)} frames of {width} × {height} pixels, shown {len(shown[0]) // height} times as large")
    return result


def preview(
    pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], taken: CameraPath, shown: UInt8[np.ndarray, "frame _ _ 3"]
) -> UInt8[np.ndarray, "height width 3"]:
    """The set's pictures, the path from above with what the camera sees, and five moments of the clip."""
    moments = np.linspace(0, len(shown) - 1, 5).round().astype(int)
    side = shown.shape[1]
    bottom = np.concatenate([shown[moment] for moment in moments], 1)
    across = bottom.shape[1]
    small = min(side, across // max(len(pictures), 1))
    strip = np.full((small, across, 3), 255, np.uint8)
    for index, picture in enumerate(pictures[: across // small]):
        cut = min(picture.shape[:2])
        top, left = (picture.shape[0] - cut) // 2, (picture.shape[1] - cut) // 2
        square = np.ascontiguousarray(picture[top : top + cut, left : left + cut])
        strip[:, index * small : (index + 1) * small] = cv2.resize(square, (small, small), interpolation=cv2.INTER_AREA)
    return np.concatenate([strip, _from_above(taken, moments, across, side), bottom])


def _from_above(taken: CameraPath, moments: np.ndarray, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """The path on the ground, one metre of view at each of some moments."""
    canvas = np.full((height, width, 3), 255, np.uint8)
    position, forward = taken.position[:, [0, 2]], taken.T_world_camera[:, [0, 2], 2]
    right = taken.T_world_camera[:, [0, 2], 0]
    slope = 0.5 * taken.width / taken.K[0, 0, 0]
    wings = np.concatenate([position + forward + slope * right, position + forward - slope * right])
    everything = np.concatenate([position, wings])
    low, high = everything.min(0), everything.max(0)
    scale = 0.85 * min(width / max(high[0] - low[0], 0.5), height / max(high[1] - low[1], 0.5))

    def pixel(point: np.ndarray) -> tuple[int, int]:
        x, y = (point - 0.5 * (low + high)) * scale + [0.5 * width, 0.5 * height]
        return round(float(x)), round(float(y))

    for share, moment in enumerate(moments):
        shade = (40 + 40 * share, 110, 220 - 40 * share)
        corners = [position[moment] + forward[moment] + sign * slope * right[moment] for sign in (1, -1)]
        outline = np.array([pixel(position[moment]), pixel(corners[0]), pixel(corners[1])], np.int32)
        cv2.polylines(canvas, [outline], True, shade, 2, cv2.LINE_AA)
    line = np.array([pixel(point) for point in position], np.int32)
    cv2.polylines(canvas, [line], False, (30, 30, 30), 2, cv2.LINE_AA)
    cv2.circle(canvas, pixel(position[0]), 5, (30, 30, 30), -1, cv2.LINE_AA)
    return canvas


def _enlarged(frames: UInt8[np.ndarray, "frame height width 3"]) -> UInt8[np.ndarray, "frame _ _ 3"]:
    height, width = frames.shape[1:3]
    factor = max(1, round(SHOWN_PX / height))
    size = (factor * width, factor * height)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in frames])
