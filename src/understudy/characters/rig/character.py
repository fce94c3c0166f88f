"""A rigged file (GLB, glTF, VRM) as a character that can be given an actor's motion."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from understudy.characters.rig.facing import nearest_axis, upright_rotation
from understudy.characters.rig.figures import choose_figure
from understudy.characters.rig.names import is_below
from understudy.core.character import Character, Mesh
from understudy.core.motion import Skeleton
from understudy.core.springs import Collider, SpringChain
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert
from understudy.geometry.vectors import triple
from understudy.io.gltf.document import reading_rig
from understudy.io.gltf.merge import GltfRig, character_from_parts
from understudy.io.gltf.read import read_gltf_rig
from understudy.runtime.errors import CharacterError

__all__ = ["USUAL_HEIGHT_M", "character_from_rig"]


PLAUSIBLE_HEIGHT_M = (0.3, 3.0)
"""A file of such a height is taken to be in metres; others are in centimetres or a unit of their own."""
USUAL_HEIGHT_M = 1.75
"""Of a model whose file says no plausible size, hat included. Figures in pictures and actors whose height nobody gives
stand 1.7 m (PictureConfig, BodyFitConfig): those are estimates of their own."""
SAME_SCALE, SAME_FACING_RAD = 1e-3, np.radians(1.0)
"""Changes of size and of facing that are too small to be worth a word."""
CHAINS = (
    ("UpLeg", "Leg"), ("Leg", "Foot"), ("Foot", "ToeBase"), ("Shoulder", "Arm"), ("Arm", "ForeArm"),
    ("ForeArm", "Hand"),
)  # fmt: skip


def not_said(text: str) -> None:
    """Where nobody listens."""


def character_from_rig(
    path: Path,
    height_m: float | None = None,
    figure: int | None = None,
    say: Callable[[str], None] = not_said,
) -> Character:
    """Read a rig, find which joint plays which part, and stand it up in our world.

    The character stands with +Y up, facing +Z, soles at y = 0, hips above the origin. It is scaled to `height_m`
    (of the whole mesh, hat included); without, the file's own size stays if it is 0.3 to 3 m, and 1.75 m otherwise.

    The skeleton is put in order: the hips become its root; joints that move no vertex are left out; a joint of limbs,
    spine or head that hangs elsewhere (feet on the world, in rigs made for inverse kinematics; deform bones side by
    side on the armature) is hung on its neighbour in the body. Names stay.

    Of several figures in the file, `figure` is the number of the wanted one, from 1; without, it is the largest.
    Parts that hang on no joint of it are left out. A character that we wrote ourselves stays as it is, but for the
    height. `say` is told, in one line each, what was left out, chosen or repaired.

    Things held in the hands are left out, because game packs put all alternatives there at once. What the
    character wears stays.

    Raises:
        CharacterError: the file cannot be read, has no skin, or its joints are not those of a body on two legs.
    """
    rig = read_gltf_rig(path)
    for note in rig.notes:
        say(f"{path.name}: {note}")
    with reading_rig(path):
        body = choose_figure(rig, figure, say)
        if body.ours and len(body.skins) == len(rig.skins):
            return scaled(character_from_parts(rig, body.rig.parts), height_m)
        held = held_names(body.rig, body.roles, body.parents)
        parts = [part for part in body.rig.parts if part.rigid_joint is None or part.name not in held]
        character = replace(character_from_parts(rig, parts), roles=body.roles)
        return stood_up(in_order(character, body.parents), height_m, say)


def held_names(rig: GltfRig, roles: dict[str, int], parents: Sequence[int]) -> list[str]:
    """Names of rigid parts on the hands; none of a hand that has no skin of its own, for they are the hand then."""
    names: list[str] = []
    for side in ("Left", "Right"):
        hand = roles.get(f"{side}Hand")
        if hand is None:
            continue
        below = {joint for joint in range(len(parents)) if joint == hand or is_below(joint, hand, parents)}
        skinned = any(
            part.skin is not None and below & set(part.skin_joints[part.skin_weights > 0].tolist())
            for part in rig.parts
        )
        if skinned:
            names += [part.name for part in rig.parts if part.rigid_joint in below and part.name not in names]
    return names


def in_order(character: Character, parents: Sequence[int]) -> Character:
    """The character with the hips as its root, limbs in chains, and no joints that move nothing.

    Its joints hang as `parents` say, which may differ from its skeleton.

    Raises:
        CharacterError: a limb hangs on its own end.
    """
    skeleton, roles = character.skeleton, character.roles
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)
    parents = list(parents)
    for side in ("Left", "Right"):
        for upper, lower in CHAINS:
            above, joint = roles.get(side + upper), roles.get(side + lower)
            if above is not None and joint is not None and not is_below(joint, above, parents):
                if joint == above or is_below(above, joint, parents):
                    names = skeleton.names
                    raise CharacterError(
                        f"{character.name}: its {side}{upper} ({names[above]}) hangs on its {side}{lower} "
                        f"({names[joint]}): hang limbs the other way round, from the body outwards"
                    )
                parents[joint] = above
                if lower == "Foot":
                    rest[joint, :3, 3] = ankle_position(character, rest, above, joint)
        gather_hand(roles.get(f"{side}ForeArm"), roles.get(f"{side}Hand"), parents, rest)
    hips = roles["Hips"]
    moving = np.zeros(len(skeleton), bool)
    moving[np.unique(character.skin_joints[character.skin_weights > 0])] = True
    moving[list(roles.values())] = True
    line = [hips]
    while parents[line[-1]] >= 0:
        line.append(parents[line[-1]])
    for joint in range(len(skeleton)):
        # What hangs above the hips, or beside them, follows the hips.
        if joint != hips and (joint in line or parents[joint] in line[1:] or parents[joint] < 0):
            parents[joint] = hips
    parents[hips] = -1
    return rebuilt(character, rest, parents, moving)


def gather_hand(
    forearm: int | None, hand: int | None, parents: list[int], rest: Float[np.ndarray, "joint 4 4"]
) -> None:
    """Hang fingers that sit on the forearm, beside the hand's joint, on the hand; changes `parents`."""
    if forearm is None or hand is None or parents[hand] != forearm:
        return
    along = rest[hand, :3, 3] - rest[forearm, :3, 3]
    for joint, parent in enumerate(parents):
        if parent == forearm and joint != hand:
            reach = (rest[joint, :3, 3] - rest[forearm, :3, 3]) @ along / max(along @ along, 1e-12)
            if reach > 0.7:
                parents[joint] = hand


def ankle_position(
    character: Character, rest: Float[np.ndarray, "joint 4 4"], shin: int, foot: int
) -> Float[np.ndarray, "3"]:
    """Where a foot that did not hang on its shin should turn: at the shin's lower end, above the foot's own joint."""
    strongest = character.skin_joints[np.arange(len(character.skin_joints)), character.skin_weights.argmax(1)]
    vertices = character.mesh.vertices
    shins, feet = vertices[strongest == shin], vertices[strongest == foot]
    here = rest[foot, :3, 3]
    if not len(shins) or not len(feet):
        return here
    low = shins[shins[:, 1] <= shins[:, 1].min() + 0.1 * np.ptp(shins[:, 1])].mean(0)
    return low if here[1] < low[1] < rest[shin, 1, 3] else here


def rebuilt(
    character: Character, rest: Float[np.ndarray, "joint 4 4"], parents: Sequence[int], moving: np.ndarray
) -> Character:
    """The character on the joints that move something or stand above such, in an order that has parents first."""
    keep = moving.copy()
    for joint in range(len(parents)):
        above = joint
        while moving[joint] and parents[above] >= 0:
            above = parents[above]
            keep[above] = True
    order: list[int] = []
    stack = [joint for joint in reversed(range(len(parents))) if keep[joint] and parents[joint] < 0]
    while stack:
        joint = stack.pop()
        order.append(joint)
        stack += [child for child in reversed(range(len(parents))) if keep[child] and parents[child] == joint]
    place = np.full(len(parents), 0)
    place[order] = np.arange(len(order))
    local = np.array([rest[j] if parents[j] < 0 else invert(rest[parents[j]]) @ rest[j] for j in order])
    skeleton = Skeleton(
        tuple(character.skeleton.names[joint] for joint in order),
        tuple(int(place[parents[joint]]) if parents[joint] >= 0 else -1 for joint in order),
        local,
    )
    return replace(
        character,
        skeleton=skeleton,
        T_joint_mesh=invert(rest[order]),
        skin_joints=np.where(character.skin_weights > 0, place[character.skin_joints], 0),
        roles={role: int(place[joint]) for role, joint in character.roles.items()},
        springs=tuple(kept_spring(chain, keep, place, parents, rest) for chain in character.springs),
    )


def kept_spring(
    chain: SpringChain,
    keep: np.ndarray,
    place: np.ndarray,
    parents: Sequence[int],
    rest: Float[np.ndarray, "joint 4 4"],
) -> SpringChain:
    """A spring on the joints that are kept, each at its new place; colliders of others follow the joints above them."""

    def above(joint: int) -> int:
        while not keep[joint] and parents[joint] >= 0:
            joint = parents[joint]
        return joint

    def moved(collider: Collider) -> Collider | None:
        joint = above(collider.joint)
        T = invert(rest[joint]) @ rest[collider.joint]
        start, end = (triple(T[:3, :3] @ np.array(place) + T[:3, 3]) for place in (collider.start, collider.end))
        return Collider(int(place[joint]), start, end, collider.radius_m) if keep[joint] else None

    bones = [replace(bone, joint=int(place[bone.joint])) for bone in chain.bones if keep[bone.joint]]
    colliders = [moved(collider) for collider in chain.colliders]
    centre = None if chain.centre is None else above(chain.centre)
    return SpringChain(
        chain.name,
        tuple(sorted(bones, key=lambda bone: bone.joint)),
        tuple(collider for collider in colliders if collider is not None),
        int(place[centre]) if centre is not None and keep[centre] else None,
        chain.balanced,
    )


def scaled(character: Character, height_m: float | None) -> Character:
    """The character at another height, scaled about the origin."""
    if height_m is None:
        return character
    scale = height_m / character.height_m
    local, bind = character.skeleton.T_parent_joint.copy(), character.T_joint_mesh.copy()
    local[:, :3, 3] *= scale
    bind[:, :3, 3] *= scale
    return replace(
        character,
        mesh=with_turned_morphs(replace(character.mesh, vertices=scale * character.mesh.vertices), scale * np.eye(3)),
        skeleton=replace(character.skeleton, T_parent_joint=local),
        T_joint_mesh=bind,
        springs=tuple(chain.resized(scale) for chain in character.springs),
    )


def stood_up(character: Character, height_m: float | None, say: Callable[[str], None] = not_said) -> Character:
    """The character turned to +Y up and +Z ahead, scaled, with its soles on the ground below the origin."""
    rest = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)
    R, character = upright_rotation(character, rest)
    vertices = character.mesh.vertices @ R.T
    size = np.ptp(vertices[:, 1])
    if not 1e-6 < size < 1e9:
        raise CharacterError(
            f"{character.name} stands {size:g} m tall; expected a body: is a node scaled to nothing, or its mesh flat?"
        )
    if height_m is None:
        height_m = float(size) if PLAUSIBLE_HEIGHT_M[0] <= size <= PLAUSIBLE_HEIGHT_M[1] else USUAL_HEIGHT_M
    scale = height_m / size
    if abs(scale - 1) > SAME_SCALE:
        say(f"{character.name}: {size:.4g} units tall in its file, {height_m:.2f} m here")
    if np.trace(R) < 1 + 2 * np.cos(SAME_FACING_RAD):
        say(f"{character.name}: turned to +Y up and +Z ahead; in its file {_axis(R[1])} is up and {_axis(R[2])} ahead")
    hips = scale * R @ rest[character.roles["Hips"], :3, 3]
    shift = np.array([-hips[0], -scale * vertices[:, 1].min(), -hips[2]])
    moved = np.tile(np.eye(4), (len(rest), 1, 1))
    moved[:, :3, :3] = R @ rest[:, :3, :3]
    moved[:, :3, 3] = scale * rest[:, :3, 3] @ R.T + shift
    parents = character.skeleton.parents
    local = np.array([T if p < 0 else invert(moved[p]) @ T for T, p in zip(moved, parents, strict=True)])
    mesh: Mesh = replace(character.mesh, vertices=scale * vertices + shift, normals=character.mesh.normals @ R.T)
    return replace(
        character,
        mesh=with_turned_morphs(mesh, scale * R),
        skeleton=replace(character.skeleton, T_parent_joint=local),
        T_joint_mesh=invert(moved),
        springs=tuple(chain.resized(scale, R) for chain in character.springs),
    )


def with_turned_morphs(mesh: Mesh, M: Float[np.ndarray, "3 3"]) -> Mesh:
    """The mesh with its morph targets turned and scaled, as its vertices were."""
    return replace(mesh, morphs=tuple(morph.turned(M) for morph in mesh.morphs))


def _axis(direction: Float[np.ndarray, "3"]) -> str:
    """A direction in words: an axis with its sign, or three numbers."""
    nearest = nearest_axis(direction)
    if nearest @ direction < np.cos(SAME_FACING_RAD):
        return "(" + ", ".join(f"{value:.2f}" for value in direction) + ")"
    place = int(np.abs(nearest).argmax())
    return ("+" if nearest[place] > 0 else "−") + "XYZ"[place]
