"""What a rig is like, for people: which joint plays which part and how that was found, and its morphs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.characters.rig.names import is_trunk_name, limbs_from_names
from understudy.core.character import Character
from understudy.core.motion import BODY_JOINTS
from understudy.io.gltf.read import read_gltf_rig

__all__ = ["PlayedPart", "RigFacts", "rig_facts"]

FoundBy = Literal["the file's own map", "its name", "its place"]


@dataclass(frozen=True)
class PlayedPart:
    """A part of the body, and the joint that plays it."""

    part: str
    """A name of BODY_JOINTS."""
    joint: str | None
    """The joint's name in the file; None: there is none."""
    found_by: FoundBy | None
    """The file's own map is VRM's, or the roles that we left in a file; its place: who it hangs on, where it stands."""


@dataclass(frozen=True)
class RigFacts:
    """What was found in a rig."""

    parts: tuple[PlayedPart, ...]
    """Of every one of BODY_JOINTS."""
    other_joints: tuple[str, ...]
    """The names of joints that play no part: fingers, hair, helpers; they follow the joint above them."""
    morphs: tuple[str, ...]
    """The names of its morph targets (blend shapes)."""


def rig_facts(path: Path, character: Character) -> RigFacts:
    """What is in the file that a character was read from.

    Raises:
        CharacterError: the file cannot be read.
    """
    rig = read_gltf_rig(path)
    names = rig.skeleton.names
    mapped = {
        names[joint] for joint in (*rig.humanoid.values(), *(j for own in rig.roles.values() for j in own.values()))
    }
    skeleton = character.skeleton
    by_name = limbs_from_names(skeleton.names, skeleton.parents)
    parts = tuple(_played(part, character, mapped, by_name) for part in BODY_JOINTS)
    playing = set(character.roles.values())
    others = tuple(name for joint, name in enumerate(skeleton.names) if joint not in playing)
    return RigFacts(parts, others, tuple(morph.name for morph in character.mesh.morphs))


def _played(part: str, character: Character, mapped: set[str], by_name: Mapping[str, int]) -> PlayedPart:
    joint = character.roles.get(part)
    if joint is None:
        return PlayedPart(part, None, None)
    name = character.skeleton.names[joint]
    if name in mapped:
        return PlayedPart(part, name, "the file's own map")
    return PlayedPart(part, name, "its name" if by_name.get(part) == joint or is_trunk_name(name) else "its place")
