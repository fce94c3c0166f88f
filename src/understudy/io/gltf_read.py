"""Rigged characters and clips from glTF 2.0 and VRM files.

A file's meshes, skins and parts become one Character: joints rigid and in metres, vertices in the pose in which the
skin was bound. Source: Khronos glTF 2.0 specification, section 3.7; VRM 0.x and VRMC_vrm 1.0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Float

from understudy.core.character import Character, Material, Mesh
from understudy.core.errors import CharacterError
from understudy.core.motion import BODY_JOINTS, Motion, Skeleton
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert
from understudy.geometry.rotations import continuous, quaternion_from_matrix
from understudy.io.gltf_animation import (
    clip_duration_s,
    clip_names,
    find_clip,
    node_tree,
    node_world_matrices,
)
from understudy.io.gltf_document import GltfDocument, open_gltf, well_formed
from understudy.io.gltf_primitives import RigPart, read_parts
from understudy.io.gltf_skins import ROLES_KEY, BoundJoints, bind_joints, rigid_part

__all__ = ["GltfRig", "character_from_parts", "read_gltf", "read_gltf_clip_names", "read_gltf_motion", "read_gltf_rig"]

HALF_TURN = np.diag([-1.0, 1.0, -1.0, 1.0])
"""Turns what faces −Z (VRM 0.x) to face +Z."""

MAX_FRAMES = 200_000


@dataclass(frozen=True)
class GltfRig:
    """What a rigged glTF file holds, before it is merged into one mesh."""

    name: str
    skeleton: Skeleton
    parts: tuple[RigPart, ...]
    materials: tuple[Material, ...]
    humanoid: dict[str, int]
    """VRM's own naming of bones ("leftUpperArm") to joints; empty for other files."""
    roles: dict[str, int]
    """As in Character, in files that we wrote; empty for other files."""


def read_gltf(path: Path) -> Character:
    """All that a .glb, .vrm or .gltf file shows, as one character: metres, +Y up; `roles` only in files of our own.

    Rigid parts (helmets, weapons) follow the joint above them, or the root. VRM 0.x files are turned to face +Z; for
    other files the facing is the file's own (`characters.rig.character_from_rig` also settles facing, size and roles).

    Raises:
        CharacterError: the file is damaged, holds no skin, or needs what we do not support.
    """
    rig = read_gltf_rig(path)
    return character_from_parts(rig, rig.parts)


def read_gltf_rig(path: Path) -> GltfRig:
    """The skeleton and the parts of a rigged file, for choosing among the parts.

    Raises:
        CharacterError: as `read_gltf`.
    """
    document = open_gltf(path)
    with well_formed(path):
        tree = node_tree(document)
        world = {index: T[0] for index, T in node_world_matrices(document, tree).items()}
        bound = bind_joints(document, tree, world)
        parts, materials = read_parts(document, tree, world, bound)
        if not any(len(part.faces) for part in parts):
            raise CharacterError(f"{path.name} holds no surface: export the mesh together with its armature")
        rig = GltfRig(
            path.stem, bound.skeleton, parts, materials, read_humanoid(document, bound), read_roles(document, bound)
        )
        return turned(rig) if faces_backwards(document) else rig


def faces_backwards(document: GltfDocument) -> bool:
    """Whether the file is of VRM 0.x, whose characters look along −Z."""
    return "VRM" in document.json.get("extensions", {})


def read_humanoid(document: GltfDocument, bound: BoundJoints) -> dict[str, int]:
    """VRM's map of human bones to our joints; bones that are no joints are left out."""
    extensions = document.json.get("extensions", {})
    old = extensions.get("VRM", {}).get("humanoid", {}).get("humanBones", [])
    new = extensions.get("VRMC_vrm", {}).get("humanoid", {}).get("humanBones", {})
    nodes = {bone["bone"]: bone["node"] for bone in old} | {name: bone["node"] for name, bone in new.items()}
    return {name: bound.joint_of_node[node] for name, node in nodes.items() if node in bound.joint_of_node}


def read_roles(document: GltfDocument, bound: BoundJoints) -> dict[str, int]:
    """The roles that our writer left in the file; none when a skin was changed since."""
    roles: dict[str, int] = {}
    for skin, joints in bound.joints.items():
        for role, place in document.entry("skins", skin).get("extras", {}).get(ROLES_KEY, {}).items():
            if role in BODY_JOINTS and isinstance(place, int) and 0 <= place < len(joints):
                roles[role] = joints[place]
    return roles


def turned(rig: GltfRig) -> GltfRig:
    """The rig turned by half a turn about +Y."""
    T = rig.skeleton.T_parent_joint.copy()
    roots = [joint for joint, parent in enumerate(rig.skeleton.parents) if parent < 0]
    T[roots] = HALF_TURN @ T[roots]
    R = HALF_TURN[:3, :3]
    parts = tuple(replace(part, vertices=part.vertices @ R, normals=part.normals @ R) for part in rig.parts)
    return replace(rig, skeleton=replace(rig.skeleton, T_parent_joint=T), parts=parts)


def character_from_parts(rig: GltfRig, parts: Sequence[RigPart]) -> Character:
    """Some parts of a rig, merged into one mesh."""
    influences = max(part.skin_joints.shape[1] for part in parts)
    firsts = np.cumsum([0] + [len(part.vertices) for part in parts])
    used = sorted({part.material for part in parts})
    mesh = Mesh(
        vertices=np.concatenate([part.vertices for part in parts]),
        faces=np.concatenate([part.faces + first for part, first in zip(parts, firsts, strict=False)]),
        normals=np.concatenate([part.normals for part in parts]),
        uv=np.concatenate([part.uv for part in parts]),
        face_material=np.concatenate([np.full(len(part.faces), used.index(part.material)) for part in parts]),
        materials=tuple(rig.materials[material] for material in used),
    )
    return Character(
        name=rig.name,
        mesh=mesh,
        skeleton=rig.skeleton,
        T_joint_mesh=invert(rest_pose(rig.skeleton.parents, rig.skeleton.T_parent_joint)),
        skin_joints=np.concatenate([padded(part.skin_joints, influences) for part in parts]),
        skin_weights=np.concatenate([padded(part.skin_weights, influences) for part in parts]),
        roles=rig.roles,
    )


def padded(values: np.ndarray, width: int) -> np.ndarray:
    """Rows filled up with zeros to `width` columns."""
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))


def read_gltf_clip_names(path: Path) -> list[str]:
    """The names of the animation clips in a glTF file.

    Raises:
        CharacterError: it is no glTF file.
    """
    document = open_gltf(path)
    with well_formed(path):
        return clip_names(document)


def read_gltf_motion(path: Path, clip: str | None = None, frame_rate: Fraction = Fraction(30)) -> Motion:
    """A clip as a motion of the skeleton that `read_gltf` gives; the first clip for None.

    Our motions turn joints and move the root: where a clip also moves or stretches other joints, their world
    rotations are kept and their offsets stay those of the rest pose.

    Raises:
        CharacterError: as `read_gltf`, or there is no such clip.
    """
    document = open_gltf(path)
    with well_formed(path):
        tree = node_tree(document)
        world = {index: T[0] for index, T in node_world_matrices(document, tree).items()}
        bound = bind_joints(document, tree, world)
        chosen = find_clip(document, clip)
        frames = round(clip_duration_s(document, chosen) * frame_rate) + 1
        if frames > MAX_FRAMES:
            raise CharacterError(f"{path.name}: clip {clip!r} has {frames} frames; up to {MAX_FRAMES} are read")
        times_s = np.arange(frames) / float(frame_rate)
        over_time = node_world_matrices(document, tree, chosen, times_s)
    return motion_from_world(document, bound, over_time, frame_rate)


def motion_from_world(
    document: GltfDocument,
    bound: BoundJoints,
    over_time: dict[int, Float[np.ndarray, "time 4 4"]],
    frame_rate: Fraction,
) -> Motion:
    """World matrices of nodes over time, as a motion of the bound skeleton."""
    frames = len(next(iter(over_time.values())))
    T = np.tile(np.eye(4), (frames, len(bound.skeleton), 1, 1))
    for node, joint in bound.joint_of_node.items():
        T[:, joint] = rigid_part(over_time[node])
    skeleton = bound.skeleton
    if faces_backwards(document):
        T = HALF_TURN @ T
        local = skeleton.T_parent_joint.copy()
        local[0] = HALF_TURN @ local[0]
        skeleton = replace(skeleton, T_parent_joint=local)
    q = np.empty((frames, len(skeleton), 4))
    for joint, parent in enumerate(skeleton.parents):
        R = T[:, joint, :3, :3]
        R_local = R if parent < 0 else T[:, parent, :3, :3].swapaxes(1, 2) @ R
        q[:, joint] = continuous(quaternion_from_matrix(R_local))
    return Motion(skeleton, q, T[:, 0, :3, 3].copy(), frame_rate)
