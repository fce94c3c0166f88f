"""Rigged characters and clips from glTF 2.0, VRM and VRMA files.

A file's meshes, skins and parts become one Character: joints rigid and in metres, vertices in the pose in which the
skin was bound. Source: Khronos glTF 2.0 specification, section 3.7; VRM 0.x, VRMC_vrm 1.0 and
VRMC_vrm_animation 1.0.
"""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float

from understudy.core.character import Character
from understudy.core.motion import BODY_JOINTS, Motion
from understudy.geometry.rotations import continuous, quaternion_from_matrix
from understudy.io.gltf.animation import (
    NodeTree,
    clip_duration_s,
    clip_names,
    find_clip,
    node_tree,
    node_world_matrices,
)
from understudy.io.gltf.compression import unpack_surfaces
from understudy.io.gltf.document import GltfDocument, open_gltf, reading_rig
from understudy.io.gltf.merge import GltfRig, character_from_parts
from understudy.io.gltf.primitives import claim_surfaces, read_parts
from understudy.io.gltf.records import Clip
from understudy.io.gltf.skins import ROLES_KEY, BoundJoints, bind_joints, joints_of_nodes, rigid_part
from understudy.io.gltf.springs import read_springs
from understudy.runtime.errors import CharacterError

__all__ = ["read_gltf", "read_gltf_clip_names", "read_gltf_motion", "read_gltf_rig"]

HALF_TURN = np.diag([-1.0, 1.0, -1.0, 1.0])
"""Turns what faces −Z (VRM 0.x) to face +Z."""

MAX_FRAMES = 200_000


def read_gltf(path: Path) -> Character:
    """All that a .glb, .vrm or .gltf file shows, as one character: metres, +Y up; `roles` only in files of our own.

    Rigid parts (helmets, weapons, floors) follow the joint above them, or the root. VRM 0.x files are turned to face
    +Z; for other files the facing is the file's own (`characters.rig.character_from_rig` also settles facing, size
    and roles).

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
    with reading_rig(path):
        tree = node_tree(document)
        claim_surfaces(document, tree)
        unpack_surfaces(document, tree)
        world = {index: T[0] for index, T in node_world_matrices(document, tree).items()}
        bound = bind_joints(document, tree, world)
        parts = read_parts(document, tree, world, bound)
        if not parts:
            raise CharacterError(f"{path.name} holds no surface: export the mesh together with its armature")
        rig = GltfRig(
            path.stem,
            bound.skeleton,
            parts,
            {skin: tuple(joints) for skin, joints in bound.joints.items()},
            read_humanoid(document, bound),
            read_roles(document, bound),
            read_springs(document, tree, world, bound),
            document,
        )
        return turned(rig) if faces_backwards(document) else rig


def faces_backwards(document: GltfDocument) -> bool:
    """Whether the file is of VRM 0.x, whose characters look along −Z."""
    return document.json.extensions.old_vrm is not None


def read_humanoid(document: GltfDocument, bound: BoundJoints) -> dict[str, int]:
    """VRM's map of human bones to our joints; bones that are no joints are left out."""
    nodes: dict[str, int] = {}
    if document.json.extensions.old_vrm is not None:
        nodes |= {bone.bone: bone.node for bone in document.json.extensions.old_vrm.humanoid.human_bones}
    if document.json.extensions.vrm is not None:
        nodes |= {name: bone.node for name, bone in document.json.extensions.vrm.humanoid.human_bones.items()}
    return {name: bound.joint_of_node[node] for name, node in nodes.items() if node in bound.joint_of_node}


def read_roles(document: GltfDocument, bound: BoundJoints) -> dict[int, dict[str, int]]:
    """The roles that our writer left in the file's skins; none where a skin was changed since."""
    found: dict[int, dict[str, int]] = {}
    for skin, joints in bound.joints.items():
        extras: Any = document.entry("skins", skin).extras
        places = cast(dict[str, Any], extras).get(ROLES_KEY) if isinstance(extras, dict) else None
        written = cast(dict[str, Any], places) if isinstance(places, dict) else {}
        found[skin] = {
            role: joints[place]
            for role, place in written.items()
            if role in BODY_JOINTS and isinstance(place, int) and 0 <= place < len(joints)
        }
    return found


def turned(rig: GltfRig) -> GltfRig:
    """The rig turned by half a turn about +Y."""
    T = rig.skeleton.T_parent_joint.copy()
    roots = [joint for joint, parent in enumerate(rig.skeleton.parents) if parent < 0]
    T[roots] = HALF_TURN @ T[roots]
    R = HALF_TURN[:3, :3]
    parts = tuple(
        replace(part, vertices=part.vertices @ R, normals=part.normals @ R,
                morphs=tuple(morph.turned(R.T) for morph in part.morphs))
        for part in rig.parts
    )  # fmt: skip
    springs = tuple(chain.resized(1.0, R) for chain in rig.springs)
    return replace(rig, skeleton=replace(rig.skeleton, T_parent_joint=T), parts=parts, springs=springs)


def read_gltf_clip_names(path: Path) -> list[str]:
    """The names of the animation clips in a glTF file.

    Raises:
        CharacterError: it is no glTF file.
    """
    document = open_gltf(path, clips=True)
    with reading_rig(path):
        return clip_names(document)


def read_gltf_motion(path: Path, clip: str | None = None, frame_rate: Fraction = Fraction(30)) -> Motion:
    """A clip as a motion of the skeleton that `read_gltf` gives; the first clip for None.

    Of a file without a skin (a VRM animation, .vrma; an armature exported alone) the skeleton is made of the nodes that
    it names as bones, which then have VRM's names of them, or else of those that the clip turns.

    Our motions turn joints and move the root: where a clip also moves or stretches other joints, their world
    rotations are kept and their offsets stay those of the rest pose.

    Raises:
        CharacterError: the file is damaged, moves no joints, or has no such clip.
    """
    document = open_gltf(path, clips=True)
    with reading_rig(path):
        tree = node_tree(document)
        unpack_surfaces(document, tree)
        world = {index: T[0] for index, T in node_world_matrices(document, tree).items()}
        chosen = find_clip(document, clip)
        bound = moved_joints(document, tree, world, chosen)
        frames = round(clip_duration_s(document, chosen) * frame_rate) + 1
        document.budget.check_count("frames in a clip", frames, MAX_FRAMES)
        times_s = np.arange(frames) / float(frame_rate)
        document.budget.take("the motion of its joints", frames, len(bound.skeleton), bytes_each=4 * 128)
        over_time = node_world_matrices(document, tree, chosen, times_s)
        return motion_from_world(document, bound, over_time, frame_rate)


def moved_joints(
    document: GltfDocument, tree: NodeTree, world: dict[int, Float[np.ndarray, "4 4"]], clip: Clip
) -> BoundJoints:
    """The joints whose motion a clip tells."""
    nodes = document.json.nodes
    if any(nodes[node].skin is not None and nodes[node].mesh is not None for node in tree.order):
        return bind_joints(document, tree, world)
    animation = document.json.extensions.vrm_animation
    bones = {} if animation is None or animation.humanoid is None else animation.humanoid.human_bones
    turned = {channel.target.node for channel in clip.channels if channel.target.path == "rotation"}
    members = {bone.node for bone in bones.values()} or {node for node in turned if node is not None}
    bound = joints_of_nodes(document, tree, world, members)
    names = list(bound.skeleton.names)
    for name, bone in bones.items():
        if bone.node in bound.joint_of_node:
            names[bound.joint_of_node[bone.node]] = name
    if len(set(names)) == len(names):
        bound = replace(bound, skeleton=replace(bound.skeleton, names=tuple(names)))
    return bound


def motion_from_world(
    document: GltfDocument,
    bound: BoundJoints,
    over_time: dict[int, Float[np.ndarray, "time 4 4"]],
    frame_rate: Fraction,
) -> Motion:
    """World matrices of nodes over time, as a motion of the bound skeleton."""
    frames = len(next(iter(over_time.values())))
    T_model = np.tile(np.eye(4), (frames, len(bound.skeleton), 1, 1))
    for node, joint in bound.joint_of_node.items():
        T_model[:, joint] = rigid_part(over_time[node])
    skeleton = bound.skeleton
    if faces_backwards(document):
        T_model = HALF_TURN @ T_model
        local = skeleton.T_parent_joint.copy()
        local[0] = HALF_TURN @ local[0]
        skeleton = replace(skeleton, T_parent_joint=local)
    q = np.empty((frames, len(skeleton), 4))
    for joint, parent in enumerate(skeleton.parents):
        R = T_model[:, joint, :3, :3]
        R_local = R if parent < 0 else T_model[:, parent, :3, :3].swapaxes(1, 2) @ R
        q[:, joint] = continuous(quaternion_from_matrix(R_local))
    return Motion(skeleton, q, T_model[:, 0, :3, 3].copy(), frame_rate)
