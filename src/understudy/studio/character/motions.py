"""Any motion on a character: BVH, a clip of a glTF file, our own tables, or what an actor does in a film of ours."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from understudy.characters.rig.character import character_from_rig
from understudy.core.character import Character
from understudy.core.motion import BODY_JOINTS, Motion
from understudy.io.files import check_file
from understudy.io.gltf.read import read_gltf_motion
from understudy.io.motions.arrays import read_motion_npz
from understudy.io.motions.bvh import read_bvh
from understudy.retarget.retarget import RetargetConfig, retarget_motion
from understudy.runtime.errors import FileFormatError, InputError, quoted
from understudy.studio.character.moving import stand_in
from understudy.studio.film_files import load_fit
from understudy.studio.mocap import performed
from understudy.synthetic.films.lens import motion_at

__all__ = ["MOTION_SUFFIXES", "Stretch", "motion_of_file"]

MOTION_SUFFIXES = (".bvh", ".glb", ".gltf", ".vrm", ".vrma", ".npz")
MAX_MOTION_BYTES = 1 << 30


@dataclass(frozen=True)
class Stretch:
    """Which part of a motion is wanted, and at which rate."""

    start_s: float
    seconds: float
    """At most so long."""
    frame_rate: Fraction


def motion_of_file(
    path: Path, clip: str | None, character: Character, wanted: Stretch, config: RetargetConfig
) -> Motion:
    """A motion from a file, or from the folder of a film of ours, on a character's own skeleton.

    Args:
        clip: the name of one of a glTF file's animations; None: the first.

    Raises:
        InputError: there is no such file, it holds no motion of a body, or the motion ends before the start.
    """
    if path.is_dir():
        return _filmed(path, character, wanted, config)
    check_file(path, "motion", MAX_MOTION_BYTES)
    suffix = path.suffix.lower()
    if suffix not in MOTION_SUFFIXES:
        raise InputError(
            f"{quoted(path)} is no motion that can be read; give a BVH, a glTF with an animation (GLB, glTF, VRM,"
            " VRMA), a motion.npz, or the folder of a film"
        )
    body = stand_in(character)
    if suffix == ".bvh":
        motion = read_bvh(path, unit_m=1.0)  # the unit is all one: what the performer does is scaled to the body
    elif suffix == ".npz":
        motion = read_motion_npz(path)
    else:
        motion = read_gltf_motion(path, clip, wanted.frame_rate)
    done = performed(_part(motion, path, wanted), body, path.name)
    return retarget_motion(done.motion, body, character, config, done.ground_contact)


def _filmed(folder: Path, character: Character, wanted: Stretch, config: RetargetConfig) -> Motion:
    """What the main actor of a film does, over the spot where they begin."""
    actor = folder / "actors/1"
    for name in ("motion.npz", "body.glb", "fit.npz"):
        if not (actor / name).is_file():
            raise InputError(
                f"{quoted(folder)} has no {f'actors/1/{name}'}; give the folder of a finished film without cuts, or"
                " of one of its cuts"
            )
    motion, contact = read_motion_npz(actor / "motion.npz"), load_fit(actor / "fit.npz").ground_contact
    if motion.skeleton.names != BODY_JOINTS or len(motion) != len(contact):
        raise FileFormatError(f"{quoted(actor)}: motion.npz and fit.npz are not of one actor; make the film anew")
    body = character_from_rig(actor / "body.glb")
    on_character = retarget_motion(motion, body, character, config, contact)
    return _part(on_character, folder, wanted)


def _part(motion: Motion, path: Path, wanted: Stretch) -> Motion:
    """The wanted part of a motion, at the wanted rate."""
    first = wanted.start_s * float(motion.frame_rate)
    step = float(motion.frame_rate / wanted.frame_rate)
    there = (len(motion) - 1 - first) / step
    frames = min(int(np.floor(there + 1e-6)) + 1, round(wanted.seconds * wanted.frame_rate))
    if there < 1 or frames < 2:
        raise InputError(
            f"{quoted(path)} holds {len(motion) / float(motion.frame_rate):.2f} s of motion; two frames or more are"
            f" needed from --start {wanted.start_s:g} s on"
        )
    return replace(motion_at(motion, first + step * np.arange(frames)), frame_rate=wanted.frame_rate)
