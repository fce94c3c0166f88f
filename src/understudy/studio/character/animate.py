"""Animating: a character does a motion, and is filmed by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.characters.picture.character import PictureConfig
from understudy.core.camera import CameraPath
from understudy.core.film import Performance
from understudy.io.gltf.write import write_scene
from understudy.io.video.frame_rates import frame_rate_from_decimal
from understudy.io.video.streams import VideoWriter
from understudy.runtime.errors import CharacterError, InputError, quoted
from understudy.runtime.progress import silent
from understudy.studio.character.config import AnimateConfig, renderer_named
from understudy.studio.character.filming import View, film
from understudy.studio.character.motions import Stretch, motion_of_file
from understudy.studio.character.moving import walking
from understudy.studio.character.showing import following_camera, static_camera
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.outputs import writable_folder
from understudy.studio.pipeline.stage import Run
from understudy.studio.pipeline.stages.casting import (
    MODEL_SUFFIXES,
    CharacterFiles,
    CharacterSettings,
    character_file,
    is_model,
    make_character,
    readable,
)

__all__ = ["animate", "animate_with"]

WALK_S, MAX_S = 6.0, 60.0
"""How long a film is where nobody says."""


def animate(character: str | Path, out: str | Path, motion: str | Path | None = None, **options: Any) -> Path:
    """Film a character that does a motion; gives what was written.

    Args:
        character: the folder of a cast character or of a film, or a GLB, glTF, VRM, OBJ, PLY or STL, with a rig or
            without.
        out: the film (.mp4), or the animated character with its camera as .glb.
        motion: a BVH, a glTF, VRM or VRMA file with an animation, a motion.npz of ours, or the folder of a film, whose
            main actor is followed; None: a walk of our own.
        options: fields of `AnimateConfig`.

    Raises:
        InputError: something that was given cannot be used; its text is one sentence.
        BackendUnavailable: a library is missing; its text says how to get it.
    """
    given = None if motion is None else Path(motion)
    return animate_with(Path(character), Path(out), given, AnimateConfig(**options), SilentNarrator())


def animate_with(source: Path, out: Path, motion: Path | None, config: AnimateConfig, narrator: Narrator) -> Path:
    """`animate`, with a narrator who is told of the progress."""
    if out.suffix.lower() not in (".mp4", ".glb") or out.is_dir():
        raise InputError(f"-o is {quoted(out)}; name an .mp4 file for a film, or a .glb for the animated character")
    if motion is not None and not motion.exists():
        raise InputError(f"there is no file {quoted(motion)}; give a motion (BVH, GLB, npz) or the folder of a film")
    performance = _performance(_file_of(source), motion, config, narrator)
    camera = _camera(performance, config, motion is not None)
    writable_folder(out.parent)
    with narrator.stage("animate") as progress:
        if out.suffix.lower() == ".glb":
            write_scene(out, (performance,), camera, performance.character.name)
            return out
        with VideoWriter(out, camera.width, camera.height, camera.frame_rate, "film") as writer:
            for frame in film(performance, camera, renderer_named(config.renderer)):
                writer.write(frame)
                progress(writer.count, len(camera))
    return out


def _file_of(source: Path) -> Path:
    """The rigged file that is meant.

    Raises:
        CharacterError: there is none.
    """
    path = character_file(source)
    if not path.is_file():
        raise CharacterError(
            f"there is no file {quoted(path)}; give the folder of `understudy cast` or of a film, or a model (GLB, VRM,"
            " OBJ)"
        )
    if not is_model(path):
        raise CharacterError(
            f"{quoted(path)} is no model ({', '.join(MODEL_SUFFIXES)}); make one of a picture by `understudy cast`"
        )
    return path


def _performance(path: Path, motion: Path | None, config: AnimateConfig, narrator: Narrator) -> Performance:
    with readable(CharacterFiles(path, None, None)) as files:
        settings = CharacterSettings(config.height_m, None, PictureConfig())
        character = make_character(files, settings, Run(silent, narrator.say))
    rate = frame_rate_from_decimal(config.frame_rate)
    if motion is not None:
        wanted = Stretch(config.start, config.seconds or MAX_S, rate)
        return Performance(character, motion_of_file(motion, config.clip, character, wanted, config.retarget))
    frames = max(2, round((config.seconds or WALK_S) * rate))
    return Performance(character, walking(character, frames, rate, config=config.retarget))


def _camera(performance: Performance, config: AnimateConfig, has_motion: bool) -> CameraPath:
    kind = config.camera or ("follow" if has_motion else "turntable")
    azimuth = np.radians(config.azimuth_deg)
    view = View(azimuth, width=config.width, height=config.height)
    if kind == "static":
        return static_camera(performance, view)
    if kind == "turntable":
        turn = np.linspace(0, 2 * np.pi, len(performance.motion), endpoint=False)
        view = replace(view, azimuth_rad=azimuth + turn)
    return following_camera(performance, view)
