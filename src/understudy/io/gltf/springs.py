"""Springs of hair and clothes in glTF files: VRMC_springBone 1.0, which we write too, and VRM 0.x's secondaryAnimation.

Source: the VRM Consortium's specification of both. Of VRM 0.x, UniVRM says what that leaves out: bones that end a lock
go on for 7 cm, and z of colliders points the other way.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
from jaxtyping import Float

from understudy.core.character import Character
from understudy.core.motion import Skeleton
from understudy.core.springs import Collider, SpringBone, SpringChain
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert
from understudy.geometry.vectors import Triple, triple
from understudy.io.gltf.animation import NodeTree
from understudy.io.gltf.document import FARTHEST, GltfDocument
from understudy.io.gltf.records import OldBoneGroup, SpringEntry
from understudy.io.gltf.skins import BoundJoints, rigid_part

__all__ = ["SPRINGS", "read_springs", "springs_json"]

SPRINGS = "VRMC_springBone"
BALANCED_KEY = "understudy_balanced"
"""In a spring's `extras`, in files that we wrote: SpringChain.balanced."""
OLD_END_M = 0.07
MAX_COLLIDERS = 1000
STRONGEST = 1e4
"""Stiffness and gravity beyond are cut off: the bone is at its place after one step anyway."""
SAME_PLACE_M = 1e-5


def read_springs(
    document: GltfDocument, tree: NodeTree, world: dict[int, Float[np.ndarray, "4 4"]], bound: BoundJoints
) -> tuple[SpringChain, ...]:
    """The springs of a file's joints; those of nodes that move no surface are left out."""
    places = _Places(document, tree, world, bound)
    new, old = document.json.extensions.springs, document.json.extensions.old_vrm
    if new is not None:
        shapes = [(shape.node, shape.shape.capsule or shape.shape.sphere) for shape in new.colliders]
        document.budget.check_count("colliders of springs", len(shapes), MAX_COLLIDERS)
        colliders = [
            None if shape is None else places.collider(node, shape.offset, shape.end, shape.radius)
            for node, shape in shapes
        ]
        groups = [_those(colliders, group.colliders) for group in new.collider_groups]
        chains = [_chain(places, spring, groups) for spring in new.springs]
    elif old is not None:
        moving = old.secondary_animation
        count = sum(len(group.colliders) for group in moving.collider_groups)
        document.budget.check_count("colliders of springs", count, MAX_COLLIDERS)
        spheres = [
            [(group.node, (one.offset.x, one.offset.y, -one.offset.z), one.radius) for one in group.colliders]
            for group in moving.collider_groups
        ]
        groups = [[places.collider(node, at, at, radius) for node, at, radius in group] for group in spheres]
        chains = [_old_chain(places, group, groups) for group in moving.bone_groups]
    else:
        return ()
    return tuple(chain for chain in chains if chain.bones)


class _Places:
    """Where nodes are in the frames of a file's joints."""

    def __init__(
        self, document: GltfDocument, tree: NodeTree, world: dict[int, Float[np.ndarray, "4 4"]], bound: BoundJoints
    ) -> None:
        self.nodes, self.tree, self.world = document.json.nodes, tree, world
        self.joint_of_node, self.skeleton = bound.joint_of_node, bound.skeleton
        self.rest = rest_pose(bound.skeleton.parents, bound.skeleton.T_parent_joint)

    def joint_above(self, node: int | None) -> int | None:
        """The joint that a node is, or hangs on."""
        while node is not None and node in self.tree.parents and node not in self.joint_of_node:
            node = self.tree.parents[node]
        return None if node is None else self.joint_of_node.get(node)

    def collider(self, node: int, start: Sequence[float], end: Sequence[float], radius: float) -> Collider | None:
        """A collider whose ends stand in a node's frame; None where that hangs on no joint."""
        joint = self.joint_above(node)
        ends = np.array([start, end], float)
        if joint is None or not np.isfinite(ends).all() or not 0 <= radius < FARTHEST:
            return None
        above = next(n for n in self._line(node) if self.joint_of_node.get(n) == joint)
        T = invert(rigid_part(self.world[above])) @ self.world[node]
        a, b = ends @ T[:3, :3].T + T[:3, 3]
        size = float(np.cbrt(np.abs(np.linalg.det(T[:3, :3]))))
        return Collider(joint, triple(a), triple(b), size * radius) if np.isfinite([*a, *b, size]).all() else None

    def _line(self, node: int) -> Iterable[int]:
        while node >= 0:
            yield node
            node = self.tree.parents[node]

    def tail(self, node: int, child: int) -> Triple:
        """Where another node stands at rest, in the frame of a node that is a joint."""
        joint = self.joint_of_node[node]
        if child in self.joint_of_node:
            away = self.rest[self.joint_of_node[child], :3, 3] - self.rest[joint, :3, 3]
            return triple(away @ self.rest[joint, :3, :3])
        return triple((invert(rigid_part(self.world[node])) @ self.world[child])[:3, 3])

    def end(self, node: int) -> Triple:
        """Where VRM 0.x has a bone end on which nothing hangs: straight on from the node above it."""
        joint = self.joint_of_node[node]
        above = self.skeleton.parents[joint]
        away = self.rest[joint, :3, 3] - self.rest[max(above, 0), :3, 3]
        length = float(np.linalg.norm(away))
        return triple((OLD_END_M / max(length, 1e-12) * away) @ self.rest[joint, :3, :3])


def _those(colliders: Sequence[Collider | None], wanted: Sequence[int]) -> list[Collider | None]:
    return [colliders[number] for number in wanted if number < len(colliders)]


def _met(groups: Sequence[Sequence[Collider | None]], wanted: Sequence[int]) -> tuple[Collider, ...]:
    """The colliders of the groups that are wanted, each once."""
    found = [one for number in wanted if 0 <= number < len(groups) for one in groups[number] if one is not None]
    return tuple(dict.fromkeys(found))


def _bone(
    joint: int,
    tail: Triple,
    stiffness: float,
    drag: float,
    gravity: float,
    way: Sequence[float],
    radius: float,
) -> SpringBone:
    """A bone with values as a file may have them, which are anything."""
    length = float(np.linalg.norm(way))
    usable = np.isfinite(length) and length > 0
    x, y, z = (float(value) / length for value in way) if usable else (0.0, -1.0, 0.0)
    strong, heavy, slow, wide = (
        float(np.clip(np.nan_to_num(value), 0.0, most))
        for value, most in (
            (stiffness, STRONGEST),
            (gravity if usable else 0.0, STRONGEST),
            (drag, 1.0),
            (radius, FARTHEST),
        )
    )
    return SpringBone(joint, tail, strong, slow, heavy, (x, y, z), wide)


def _chain(places: _Places, spring: SpringEntry, groups: Sequence[Sequence[Collider | None]]) -> SpringChain:
    bones = [
        _bone(
            places.joint_of_node[one.node], places.tail(one.node, end.node), one.stiffness, one.drag_force,
            one.gravity_power, one.gravity_dir, one.hit_radius,
        )
        for one, end in zip(spring.joints, spring.joints[1:], strict=False)
        if one.node in places.joint_of_node and end.node in places.tree.parents
    ]  # fmt: skip
    bones = sorted({bone.joint: bone for bone in bones}.values(), key=lambda bone: bone.joint)
    extras: Any = spring.extras
    balanced = isinstance(extras, dict) and cast(dict[str, Any], extras).get(BALANCED_KEY) is True
    centre = places.joint_above(spring.center)
    return SpringChain(spring.name or "spring", tuple(bones), _met(groups, spring.collider_groups), centre, balanced)


def _old_chain(places: _Places, group: OldBoneGroup, groups: Sequence[Sequence[Collider | None]]) -> SpringChain:
    way = (group.gravity_dir.x, group.gravity_dir.y, group.gravity_dir.z)
    bones: dict[int, SpringBone] = {}
    stack = [node for node in group.bones if node in places.tree.parents]
    while stack:
        node = stack.pop()
        joint, children = places.joint_of_node.get(node), places.nodes[node].children
        stack += children
        if joint is not None and joint not in bones:
            tail = places.tail(node, children[0]) if children else places.end(node)
            bones[joint] = _bone(
                joint, tail, group.stiffiness, group.drag_force, group.gravity_power, way, group.hit_radius
            )
    centre = places.joint_above(group.center if group.center >= 0 else None)
    in_order = tuple(bones[joint] for joint in sorted(bones))
    return SpringChain(group.comment or "spring", in_order, _met(groups, group.collider_groups), centre)


def springs_json(
    character: Character, joint_nodes: Sequence[int], add_end: Callable[[int, Triple], int]
) -> dict[str, Any]:
    """A character's springs as VRMC_springBone; `add_end` adds a node at a place in a joint's frame.

    VRM's springs do not branch: chains that do become several.
    """
    colliders = list(dict.fromkeys(one for chain in character.springs for one in chain.colliders))
    number = {one: place for place, one in enumerate(colliders)}
    groups: list[dict[str, Any]] = []
    springs: list[dict[str, Any]] = []
    for chain in character.springs:
        shared: dict[str, Any] = {"name": chain.name}
        if chain.colliders:
            members = [number[one] for one in chain.colliders]
            known = next((place for place, group in enumerate(groups) if group["colliders"] == members), len(groups))
            groups += [{"name": chain.name, "colliders": members}] if known == len(groups) else []
            shared["colliderGroups"] = [known]
        if chain.centre is not None:
            shared["center"] = joint_nodes[chain.centre]
        if chain.balanced:
            shared["extras"] = {BALANCED_KEY: True}
        for run in _runs(chain.bones, character.skeleton):
            joints = [_joint_json(bone, joint_nodes) for bone in run]
            end = _joint_at(run[-1], character.skeleton)
            node = add_end(run[-1].joint, run[-1].tail) if end is None else joint_nodes[end]
            springs.append({**shared, "joints": [*joints, {"node": node}]})
    written: dict[str, Any] = {"specVersion": "1.0", "springs": springs}
    if colliders:
        written["colliders"] = [{"node": joint_nodes[one.joint], "shape": _shape_json(one)} for one in colliders]
        written["colliderGroups"] = groups
    return written


def _joint_json(bone: SpringBone, joint_nodes: Sequence[int]) -> dict[str, Any]:
    return {
        "node": joint_nodes[bone.joint], "hitRadius": bone.radius_m, "stiffness": bone.stiffness,
        "gravityPower": bone.gravity, "gravityDir": list(bone.gravity_direction), "dragForce": bone.drag,
    }  # fmt: skip


def _shape_json(one: Collider) -> dict[str, Any]:
    shape: dict[str, Any] = {"offset": list(one.start), "radius": one.radius_m}
    if np.linalg.norm(np.subtract(one.end, one.start)) < SAME_PLACE_M:
        return {"sphere": shape}
    return {"capsule": shape | {"tail": list(one.end)}}


def _joint_at(bone: SpringBone, skeleton: Skeleton) -> int | None:
    """The joint on a bone that stands at its end."""
    for joint in range(bone.joint + 1, len(skeleton)):
        away = skeleton.T_parent_joint[joint, :3, 3] - bone.tail
        if skeleton.parents[joint] == bone.joint and np.linalg.norm(away) < SAME_PLACE_M:
            return joint
    return None


def _runs(bones: Sequence[SpringBone], skeleton: Skeleton) -> list[list[SpringBone]]:
    """Bones in rows, each of which goes on where the one before it ends."""
    left = {bone.joint: bone for bone in bones}
    runs: list[list[SpringBone]] = []
    for bone in bones:
        if bone.joint not in left:
            continue
        run = [left.pop(bone.joint)]
        while (following := _joint_at(run[-1], skeleton)) is not None and following in left:
            run.append(left.pop(following))
        runs.append(run)
    return runs
