"""The figures of a rigged file, and which of its parts belong to the one that is wanted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from understudy.characters.rig.hanging import hung_by_position
from understudy.characters.rig.names import is_below, shared_line
from understudy.characters.rig.roles import find_limbs, find_roles, has_limbs, missing_roles
from understudy.geometry.kinematics import rest_pose
from understudy.io.gltf.merge import GltfRig
from understudy.io.gltf.primitives import RigPart
from understudy.runtime.errors import CharacterError, quoted

__all__ = ["RigFigure", "choose_figure"]

LIMB_ENDS = (("ForeArm", "Hand"), ("Leg", "Foot"), ("Foot", "ToeBase"))
MAX_GROUPS = 50
SHOWN_NAMES = 6


@dataclass(frozen=True)
class RigFigure:
    """One body of a rigged file."""

    rig: GltfRig
    """With the parts of this figure alone."""
    skins: frozenset[int]
    """Those of its parts."""
    parents: tuple[int, ...]
    """Of the rig's joints, as they hang on a body."""
    roles: dict[str, int]
    """As in Character; limbs are absent where it is no body on two legs."""
    ours: bool
    """Whether the roles stand in the file, because we wrote it."""

    @property
    def is_body(self) -> bool:
        """Whether it can be given an actor's motion."""
        return not missing_roles(self.roles)


def choose_figure(rig: GltfRig, number: int | None, say: Callable[[str], None]) -> RigFigure:
    """The figure of a rig that is wanted, counted from 1 in the file's order; the one with most vertices for None.

    What hangs on no joint of its skeleton (helper meshes, floors, other figures) is left out, and said to be.

    Raises:
        CharacterError: there is no such figure, or none that stands on two legs.
    """
    file = rig.document.path.name
    bodies = find_bodies(rig)
    missing = missing_roles(bodies[0].roles)
    if missing:
        raise CharacterError(
            f"{file}: its joints are not those of a body on two legs ({', '.join(missing[:4])} not found): "
            "name them as Mixamo does (LeftUpLeg, LeftArm …)"
        )
    if number is not None and number > len(bodies):
        have = "one figure" if len(bodies) == 1 else f"{len(bodies)} figures"
        raise CharacterError(f"--figure is {number}, but {file} holds {have}: give a smaller number")
    sizes = [sum(len(part.vertices) for part in body.rig.parts) for body in bodies]
    chosen = int(np.argmax(sizes)) if number is None else number - 1
    if len(bodies) > 1 and number is None:
        say(f"{file} holds {len(bodies)} figures; the {'first' if chosen == 0 else f'{chosen + 1}.'} is taken: choose"
            " another with --figure")  # fmt: skip
    kept = {id(part) for part in bodies[chosen].rig.parts}
    left_out = list(dict.fromkeys(part.name for part in rig.parts if id(part) not in kept))
    if left_out:
        names = ", ".join(left_out[:SHOWN_NAMES]) + (" …" if len(left_out) > SHOWN_NAMES else "")
        say(f"{file}: left out what is no part of the figure ({quoted(names)[1:-1]})")
    return bodies[chosen]


def find_bodies(rig: GltfRig) -> list[RigFigure]:
    """The bodies of a rig in the file's order; one that is none where there is none."""
    groups = skin_groups(rig)
    if len(groups) > MAX_GROUPS:
        raise CharacterError(f"{rig.document.path.name} holds {len(groups)} skeletons; up to {MAX_GROUPS} are read")
    figures = [figure_of(rig, group) for group in groups]
    bodies = [figure for figure in figures if figure.is_body]
    if not bodies:
        # Limbs may be skinned apart from each other.
        return [figure_of(rig, frozenset(rig.skins)) if len(groups) > 1 else figures[0]]
    for figure in figures:
        # What is skinned to joints beside the body's, on the same armature, is worn by it.
        own = armature_of(rig, figure.skins)[1]
        worn_by = next((n for n, body in enumerate(bodies) if own in armature_of(rig, body.skins)), None)
        if not figure.is_body and worn_by is not None:
            bodies[worn_by] = figure_of(rig, bodies[worn_by].skins | figure.skins)
    return bodies


def skin_groups(rig: GltfRig) -> list[frozenset[int]]:
    """Skins that move one figure together, in the file's order: they share joints, or hang on each other's."""
    joined = {skin: skin for skin in rig.skins}

    def first(skin: int) -> int:
        while joined[skin] != skin:
            skin = joined[skin]
        return skin

    owner: dict[int, int] = {}
    for skin, joints in rig.skins.items():
        for joint in joints:
            joined[first(skin)] = first(owner.setdefault(joint, skin))
    for joint, above in enumerate(nearest_member(rig, set(owner))):
        if joint in owner and above is not None:
            joined[first(owner[joint])] = first(owner[above])
    groups: dict[int, set[int]] = {}
    for skin in rig.skins:
        groups.setdefault(first(skin), set()).add(skin)
    return [frozenset(group) for group in groups.values()]


def nearest_member(rig: GltfRig, members: set[int]) -> list[int | None]:
    """Of each joint, the nearest one above it that is a member."""
    nearest: list[int | None] = []
    for parent in rig.skeleton.parents:
        nearest.append(None if parent < 0 else parent if parent in members else nearest[parent])
    return nearest


def armature_of(rig: GltfRig, skins: frozenset[int]) -> tuple[int, int]:
    """The lowest joint above or among all joints of some skins, and the one on which that hangs (−1: none)."""
    joints = sorted({joint for skin in skins for joint in rig.skins[skin]})
    top = shared_line(joints, rig.skeleton.parents)[-1]
    return top, rig.skeleton.parents[top]


def figure_of(rig: GltfRig, skins: frozenset[int]) -> RigFigure:
    """The figure that some skins move, with the rigid parts on its joints."""
    members = {joint for skin in skins for joint in rig.skins[skin]}
    others = {joint for skin, joints in rig.skins.items() if skin not in skins for joint in joints} - members
    above = nearest_member(rig, members | others)
    parts = tuple(
        part
        for part in rig.parts
        if part.skin in skins
        or (part.rigid_joint is not None and ({part.rigid_joint, above[part.rigid_joint]} & members))
    )
    written: dict[str, int] = {}
    for skin in sorted(skins):
        written |= rig.roles.get(skin, {})
    mine = replace(rig, parts=parts)
    if not missing_roles(written):
        return RigFigure(mine, skins, rig.skeleton.parents, written, True)
    moves, owns = joints_that_move(parts, rig.skeleton.parents)
    parents = hung(rig, moves, owns)
    return RigFigure(mine, skins, tuple(parents), roles_of(rig, parents, joints_that_move(parts, parents)[0]), False)


def hung(rig: GltfRig, moves: Sequence[bool], owns: Sequence[bool]) -> list[int]:
    """The parents of a rig's joints, those that move something hung by position where they hang beside the body."""
    kept = [joint for joint, moving in enumerate(moves) if moving]
    place = {joint: new for new, joint in enumerate(kept)}
    names = [rig.skeleton.names[joint] for joint in kept]
    parents = [place.get(rig.skeleton.parents[joint], -1) for joint in kept]
    limbs = find_limbs(names, parents, {bone: place[joint] for bone, joint in rig.humanoid.items() if joint in place})
    result = list(rig.skeleton.parents)
    if has_limbs(limbs):
        positions = rest_pose(rig.skeleton.parents, rig.skeleton.T_parent_joint)[kept, :3, 3]
        new = hung_by_position(names, parents, positions, limbs, [owns[joint] for joint in kept])
        for joint, old, parent in zip(kept, parents, new, strict=True):
            result[joint] = result[joint] if parent == old else kept[parent]
    return result


def roles_of(rig: GltfRig, parents: Sequence[int], moves: Sequence[bool]) -> dict[str, int]:
    """The roles of a rig's joints, as far as they are found."""
    roles = roles_among(rig, parents, moves)
    # Ends of limbs may move no vertex, and still say where hand, foot and toes are.
    resting = roles_among(rig, parents, [True] * len(parents))
    for side in ("Left", "Right"):
        for upper, lower in LIMB_ENDS:
            above, joint = roles.get(side + upper), resting.get(side + lower)
            if above is not None and joint is not None and is_below(joint, above, parents):
                roles.setdefault(side + lower, joint)
    return roles


def roles_among(rig: GltfRig, parents: Sequence[int], allowed: Sequence[bool]) -> dict[str, int]:
    """The roles that can be told from some of a rig's joints alone."""
    skeleton = rig.skeleton
    positions = rest_pose(skeleton.parents, skeleton.T_parent_joint)[:, :3, 3]
    kept = [joint for joint in range(len(skeleton)) if allowed[joint]]
    place = {joint: new for new, joint in enumerate(kept)}
    found = find_roles(
        [skeleton.names[joint] for joint in kept],
        [place.get(parents[joint], -1) for joint in kept],
        positions[kept],
        {bone: place[joint] for bone, joint in rig.humanoid.items() if joint in place},
    )
    return {role: kept[joint] for role, joint in found.items()}


def joints_that_move(parts: Sequence[RigPart], parents: Sequence[int]) -> tuple[list[bool], list[bool]]:
    """Whether each joint moves a vertex, itself or through joints below it; and whether it does so itself."""
    owns = [False] * len(parents)
    for part in parts:
        for joint in np.unique(part.skin_joints[part.skin_weights > 0]):
            owns[joint] = True
    moves = list(owns)
    for joint in np.flatnonzero(owns).tolist():
        above = parents[joint]
        while above >= 0 and not moves[above]:
            moves[above] = True
            above = parents[above]
    return moves, owns
