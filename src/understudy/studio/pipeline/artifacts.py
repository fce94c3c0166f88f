"""Everything that lies in the film's folder: each file's name, what it is, and how it is read, written and checked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from understudy.characters.rig.character import character_from_rig
from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.environment import Light
from understudy.core.footage import CameraSolution, Shot
from understudy.core.motion import Motion
from understudy.io.cameras.files import read_camera_json, write_camera_json
from understudy.io.gltf.write import write_character
from understudy.io.motions.arrays import read_landmarks_npz, read_motion_npz, write_landmarks_npz, write_motion_npz
from understudy.io.motions.bvh import read_bvh, write_bvh
from understudy.io.passes import PASS_FILES, PASS_KINDS
from understudy.io.video.streams import open_shot, read_video
from understudy.runtime.errors import FileFormatError, quoted
from understudy.studio.film_files import (
    CutList,
    Presence,
    load_cuts,
    load_fit,
    load_light,
    load_presence,
    load_solution,
    save_cuts,
    save_fit,
    save_light,
    save_presence,
    save_solution,
)
from understudy.studio.pipeline.artifact import Artifact, OtherFormat

__all__ = [
    "ACTOR_BODY",
    "ACTOR_MOTION",
    "BODY_FIT",
    "CAMERA",
    "CAMERA_COLMAP",
    "CAMERA_NERFSTUDIO",
    "CAMERA_USD",
    "CHARACTER",
    "CLEAN_PLATE",
    "CUTS",
    "FILM",
    "LANDMARKS",
    "LIGHT",
    "MATTE",
    "OTHERS",
    "PASSES",
    "PERFORMANCE",
    "PLATE_FRAMES",
    "PRESENCE",
    "REMOVED",
    "REPORT",
    "ROUGH_MATTE",
    "SCENE",
    "SET_POINTS",
    "SOLUTION",
]

Noun = TypeVar("Noun")


def _of_length(read: Callable[[Path], Noun], length: Callable[[Noun], int]) -> Callable[[Path, Shot], Noun]:
    """Reads what has a row for each frame of the shot."""

    def checked(path: Path, shot: Shot) -> Noun:
        noun = read(path)
        if length(noun) != len(shot):
            raise FileFormatError(
                f"{quoted(path)} has {length(noun)} frames, the shot {len(shot)}; make them agree, or delete it to have"
                " ours back"
            )
        return noun

    return checked


def _fits(path: Path, shot: Shot, frames: int, width: int, height: int) -> None:
    """Raise FileFormatError unless something has the shot's frames and size; our own H.264 has even sides."""
    even = shot.width <= width <= shot.width + shot.width % 2 and shot.height <= height <= shot.height + shot.height % 2
    if frames != len(shot) or not even:
        raise FileFormatError(
            f"{quoted(path)} has {frames} frames of {width}×{height}, the shot {len(shot)} of"
            f" {shot.width}×{shot.height}; make them agree, or delete it to have ours back"
        )


def _camera(path: Path, shot: Shot) -> CameraPath:
    camera = read_camera_json(path)
    _fits(path, shot, len(camera), camera.width, camera.height)
    return camera


def _solution(path: Path, shot: Shot) -> CameraSolution:
    solution = load_solution(path)
    _fits(path, shot, len(solution.camera), solution.camera.width, solution.camera.height)
    return solution


def _film(path: Path, shot: Shot) -> None:
    """See that a film has the shot's frames and size."""
    film = open_shot(path)
    _fits(path, shot, len(film), film.width, film.height)


def _matte(path: Path, shot: Shot) -> None:
    """See that a film has the shot's frames and size, and is grey."""
    _film(path, shot)
    if next(read_video(path)).ndim != 2:
        raise FileFormatError(f"{quoted(path)} has colours, but a matte is grey; export it with one channel (gray)")


def _pass(path: Path, shot: Shot) -> None:
    """See that one of the passes has the shot's frames and size, and the channels of ours of its name."""
    _film(path, shot)
    kind, frame = PASS_KINDS[path.name], next(read_video(path))
    channels, pixels = {"lossless_alpha": (4, "bgra"), "lossless": (3, "rgb24"), "mask": (1, "gray")}.get(
        kind, (1, "gray16le, with the bounds of its depth")
    )
    if frame.shape[2:] != (() if channels == 1 else (channels,)) or (frame.dtype == np.uint8) == (kind == "depth"):
        raise FileFormatError(
            f"{quoted(path)} has other channels than this pass; export it without loss, as FFV1 in {pixels}, or"
            " delete it to have ours back"
        )


def _cuts(path: Path, shot: Shot) -> CutList:
    return load_cuts(path, len(shot))


def _presence(path: Path, shot: Shot) -> Presence:
    return load_presence(path, len(shot))


def _light(path: Path, shot: Shot) -> Light:
    return load_light(path)


def _finished_film(path: Path, shot: Shot) -> None:
    """See that a finished film that was edited can be read: the report shows it, after all other work."""
    if path.is_file():
        open_shot(path)


def _where(path: Path, shot: Shot) -> Path:
    """Frames are streamed by whoever needs them."""
    return path


def _stream(name: str, what: str, check: Callable[[Path, Shot], None], parts: tuple[str, ...] = ()) -> Artifact[Path]:
    return Artifact[Path](name, what, _where, check=check, parts=parts)


def _table(
    name: str,
    what: str,
    read: Callable[[Path, Shot], Noun],
    write: Callable[[Path, Noun], None],
    other_format: OtherFormat[Noun] | None = None,
) -> Artifact[Noun]:
    """A file that is read as a whole, which sees that it is sound."""

    def check(path: Path, shot: Shot) -> None:
        read(path, shot)

    return Artifact(name, what, read, write, check=check, other_format=other_format)


def _bvh(name: str) -> OtherFormat[Motion]:
    def read(path: Path, before: Motion) -> Motion:
        # Programs write their scene's frame rate: what counts is that frame follows frame.
        return replace(read_bvh(path, before.skeleton), frame_rate=before.frame_rate)

    return OtherFormat(name, read, write_bvh)


def _character(path: Path, shot: Shot) -> Character:
    return character_from_rig(path)


def _motion(folder: str, what: str) -> Artifact[Motion]:
    read = _of_length(read_motion_npz, len)
    return _table(f"{folder}/motion.npz", what, read, write_motion_npz, _bvh(f"{folder}/motion.bvh"))


CUTS = _table("cuts.json", "the first frame of each cut; edit it and run again", _cuts, save_cuts)
CHARACTER = Artifact[Character]("{character}/character.glb", "the character, rigged", _character, write_character)
FILM = _stream("{film}", "the recast shot, with its sound", _finished_film)
REPORT = Artifact[Path]("report.html", "how well each stage did")

LANDMARKS = _table(
    "{cut}people/landmarks_{person}.npz", "a person's landmarks", _of_length(read_landmarks_npz, len),
    write_landmarks_npz,
)  # fmt: skip
ROUGH_MATTE = _stream("{cut}people/person_{person}.mkv", "roughly which pixels a person covers", _matte)
OTHERS = _stream("{cut}people/others.mkv", "roughly which pixels everybody else covers", _matte)
SOLUTION = _table(
    "{cut}camera/solution.npz", "the camera as the picture tells it, of unknown scale", _solution, save_solution
)
CLEAN_PLATE = _stream("{cut}plate/clean_plate.mp4", "the set without the actor", _film)
REMOVED = _stream(
    "{cut}plate/removed.mkv", "how much of each pixel of the plate is not the shot's own, lossless", _matte
)
MATTE = _stream("{cut}actors/{actor}/mask.mkv", "the actor's matte, lossless; edit it and run again", _matte)
PRESENCE = _table(
    "{cut}actors/{actor}/presence.json",
    "when the actor is there: first and last frames; edit it and run again", _presence, save_presence,
)  # fmt: skip
ACTOR_MOTION = _motion("{cut}actors/{actor}", "the actor's motion; edit it and run again")
ACTOR_BODY = Artifact[Character]("{cut}actors/{actor}/body.glb", "the actor's fitted body", _character, write_character)
BODY_FIT = _table(
    "{cut}actors/{actor}/fit.npz", "how near the body came to its landmarks, and when its feet stand",
    _of_length(load_fit, len), save_fit,
)  # fmt: skip
PERFORMANCE = _motion("{cut}{performance}", "the character's motion")
CAMERA = _table("{cut}camera/{camera}.json", "a camera in metres; edit it and run again", _camera, write_camera_json)
CAMERA_USD, CAMERA_COLMAP, CAMERA_NERFSTUDIO = (
    Artifact[CameraPath](f"{{cut}}camera/{{camera}}{ending}", what, advice="edit the camera's JSON instead")
    for ending, what in (
        (".usda", "the same as USD"), ("_colmap", "the same for COLMAP"),
        ("_transforms.json", "the same for nerfstudio"),
    )
)  # fmt: skip
SET_POINTS = Artifact[Path](
    "{cut}camera/points.ply", "the set's solved points in metres", advice="edit the camera's JSON instead"
)
PLATE_FRAMES = Artifact[Path]("{cut}camera/frames", "the clean plate's frames, for COLMAP and nerfstudio")
LIGHT = _table("{cut}light.json", "the set's light; edit it and run again", _light, save_light)
PASSES = _stream("{cut}passes", "the character alone, pass by pass", _pass, parts=tuple(PASS_FILES))
SCENE = Artifact[Path]("{cut}scene.glb", "the animated character and the animated camera")
