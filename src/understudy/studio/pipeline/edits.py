"""Do the user's edits fit the shot? Asked before any stage reads them."""

from collections.abc import Callable, Sized
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from understudy.io.cameras import read_camera_json
from understudy.io.motions import read_landmarks_npz, read_motion_npz
from understudy.io.passes import PASS_KINDS
from understudy.io.video.streams import open_shot, read_video
from understudy.runtime.errors import FileFormatError, quoted
from understudy.studio.pipeline.artifacts import load_fit, load_light, load_presence, load_solution
from understudy.studio.pipeline.cut import Cut
from understudy.studio.project import Project

__all__ = ["check_edited_films", "check_edits"]

CAMERAS = ("camera/source.json", "camera/fitted.json")
MATTES = ("people/*.mkv", "actors/*.mkv", "plate/removed.mkv")
LENGTHS: dict[str, Callable[[Path], Sized]] = {
    "people/landmarks_*.npz": read_landmarks_npz,
    "actors/*/fit.npz": lambda path: load_fit(path)[0],
    "*/motion.npz": read_motion_npz,
}
"""How the tables are read that have a row for each frame."""


def check_edits(cut: Cut) -> None:
    """See that everything in a cut that was edited can be read, and has the shot's frames and size.

    Raises:
        InputError: one has not; its text names it and says what to do.
    """
    for name in cut.edits():
        path = cut.path(name)
        if name in CAMERAS or name == "camera/solution.npz":
            camera = load_solution(path).camera if path.suffix == ".npz" else read_camera_json(path)
            _check(cut, path, len(camera), camera.width, camera.height)
        elif name == "light.json":
            load_light(path)
        elif fnmatch(name, "actors/*/presence.json"):
            load_presence(path, len(cut.shot))
        elif path.suffix in (".mkv", ".mp4") and "/" in name:
            film = open_shot(path)
            _check(cut, path, len(film), film.width, film.height)
            _check_channels(path, name)
        else:
            for pattern, load in LENGTHS.items():
                if fnmatch(name, pattern):
                    _check_length(cut, path, len(load(path)))


def check_edited_films(project: Project) -> None:
    """See that a finished film that was edited can be read: the report shows it, after all other work.

    Raises:
        InputError: it cannot; its text says why.
    """
    for name in project.edits:
        if name in ("film.mp4", "film.mov"):
            open_shot(project.path(name))


def _check_channels(path: Path, name: str) -> None:
    """See that a film holds what ours of that name holds, by its first frame."""
    frame = next(read_video(path))
    if any(fnmatch(name, pattern) for pattern in MATTES) and frame.ndim != 2:
        raise FileFormatError(f"{quoted(path)} has colours, but a matte is grey; export it with one channel (gray)")
    kind = PASS_KINDS.get(name.removeprefix("passes/")) if name.startswith("passes/") else None
    if kind is not None:
        channels, pixels = {"lossless_alpha": (4, "bgra"), "lossless": (3, "rgb24"), "mask": (1, "gray")}.get(
            kind, (1, "gray16le, with the bounds of its depth")
        )
        if frame.shape[2:] != (() if channels == 1 else (channels,)) or (frame.dtype == np.uint8) == (kind == "depth"):
            raise FileFormatError(
                f"{quoted(path)} has other channels than this pass; export it without loss, as FFV1 in {pixels}, or"
                " delete it to have ours back"
            )


def _check_length(cut: Cut, path: Path, frames: int) -> None:
    if frames != len(cut.shot):
        raise FileFormatError(
            f"{quoted(path)} has {frames} frames, the shot {len(cut.shot)}; make them agree, or delete it to have ours"
            " back"
        )


def _check(cut: Cut, path: Path, frames: int, width: int, height: int) -> None:
    shot = cut.shot
    # Our own H.264 has even sizes.
    fits = shot.width <= width <= shot.width + shot.width % 2 and shot.height <= height <= shot.height + shot.height % 2
    if frames != len(shot) or not fits:
        raise FileFormatError(
            f"{quoted(path)} has {frames} frames of {width}×{height}, the shot {len(shot)} of"
            f" {shot.width}×{shot.height}; make them agree, or delete it to have ours back"
        )
