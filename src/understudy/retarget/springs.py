"""Loose parts that swing after a motion: hair, skirts, capes and tails on damped springs.

Source: VRMC_springBone 1.0 (VRM Consortium), whose step is a Verlet integration in which every bone keeps its length
(Jakobsen 2001, Advanced Character Physics). Three things differ. The step is always 1/60 s, on the body's motion
interpolated between frames (Catmull and Rom 1974), so that the result does not depend on the frame rate. Most of the
air travels with the character: in VRM's still air, hair stands out straight behind whoever runs. And a bone turns away
from its place at rest by `MAX_SWING_RAD` at most, so that it never has two ways to turn back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from understudy.core.character import Character
from understudy.core.motion import Motion, Skeleton
from understudy.core.springs import Collider, SpringBone, SpringChain
from understudy.geometry.kinematics import forward_kinematics, rest_pose
from understudy.geometry.rigid import invert
from understudy.geometry.rotations import (
    continuous,
    quaternion_from_matrix,
    rotation_between,
    slerp,
)

__all__ = ["swung"]

STEPS_PER_S = 60
"""The rate at which VRM's stiffness, drag and gravity are meant."""
STILL_AIR = 0.25
"""Of a character's velocity, what it feels as wind."""
MAX_SWING_RAD = 2.4
SETTLING_STEPS, SETTLING_DRAG = 240, 0.2
"""For how long the first pose is held before a motion begins, and the drag meanwhile at least."""
COLLISION_ROUNDS = 4
"""A bone that is pushed out of one collider and keeps its length may lie in another."""
MAX_SPEED_M_S = 25.0
"""Between frames that are further apart than this allows lies a cut: bones begin settled after it."""
BLOCK = 512
"""Steps whose poses are in memory at once."""


def swung(motion: Motion, character: Character) -> Motion:
    """The character's motion with its loose parts swinging; all other joints stay as they are.

    The loose parts hang settled in the first frame, and wherever the character is elsewhere from one frame to the next.
    The same motion gives the same result to the bit.
    """
    if not character.springs or not len(motion):
        return motion
    system = _system(character.skeleton, character.springs)
    if not len(system.joints):
        return motion
    q = motion.q_parent_joint.copy()
    speed = np.linalg.norm(np.diff(motion.root_position_m, axis=0), axis=1) * float(motion.frame_rate)
    starts = [0, *(np.flatnonzero(speed > MAX_SPEED_M_S) + 1).tolist(), len(motion)]
    for start, end in pairwise(starts):
        here = slice(start, end)
        shot = replace(motion, q_parent_joint=q[here], root_position_m=motion.root_position_m[here])
        q[here, system.joints] = _swing(system, shot)
    return replace(motion, q_parent_joint=q)


@dataclass(frozen=True)
class _Level:
    """Bones that hang on no bone of this level or of later ones, as places in the system."""

    own: Int[np.ndarray, " bone"]
    on_body: Int[np.ndarray, " bone"]
    """The body's joint that each hangs on, or −1 where it hangs on a bone."""
    on_bone: Int[np.ndarray, " bone"]
    """The bone that each hangs on; 0 where on none."""
    T_above_joint: Float[np.ndarray, "bone 4 4"]
    """Their joints' rest pose in the frame of what they hang on."""


@dataclass(frozen=True)
class _System:
    """All bones of a character as arrays."""

    skeleton: Skeleton
    joints: Int[np.ndarray, " bone"]
    R_parent_rest: Float[np.ndarray, "bone 3 3"]
    """Each joint's rotation in its parent's frame, at rest."""
    axis: Float[np.ndarray, "bone 3"]
    """The direction of each bone in its joint's frame, of unit length."""
    length_m: Float[np.ndarray, " bone"]
    pull: Float[np.ndarray, "bone 3"]
    """The acceleration towards its place at rest, in the frame of its joint at rest, m/s²."""
    gravity: Float[np.ndarray, "bone 3"]
    """In the world, m/s²."""
    keep: Float[np.ndarray, " bone"]
    """The share of its velocity that stays after a step."""
    anchor: Int[np.ndarray, " bone"]
    """The topmost bone that each hangs on."""
    centre: Int[np.ndarray, " bone"]
    """The joint relative to which it moves; −1: the world."""
    levels: tuple[_Level, ...]
    colliders: tuple[Collider, ...]
    reach_m: Float[np.ndarray, "bone collider"]
    """How far tails stay from each collider's line; −1 where they are not kept from it."""


def _system(skeleton: Skeleton, chains: Sequence[SpringChain]) -> _System:
    owner: dict[int, tuple[SpringBone, SpringChain]] = {}
    for chain in chains:
        for bone in chain.bones:
            if np.linalg.norm(bone.tail) > 1e-9 and skeleton.parents[bone.joint] >= 0:
                owner.setdefault(bone.joint, (bone, chain))
    joints = sorted(owner)  # Skeletons have parents first.
    place = {joint: number for number, joint in enumerate(joints)}
    bones, of_chain = [owner[joint][0] for joint in joints], [owner[joint][1] for joint in joints]
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)
    length = np.array([np.linalg.norm(bone.tail) for bone in bones])
    axis = np.array([bone.tail for bone in bones]).reshape(-1, 3) / length[:, None]
    stiffness, power = (np.array([getattr(bone, name) for bone in bones]) for name in ("stiffness", "gravity"))
    down = np.array([bone.gravity_direction for bone in bones]).reshape(-1, 3)
    balanced = np.array([chain.balanced for chain in of_chain], bool)
    # At rest, the pull of a bone in balance and gravity add up to a force along the bone.
    down_in_joint = np.einsum("bji,bj->bi", rest[joints, :3, :3], down)
    pull = stiffness[:, None] * axis + (balanced * power)[:, None] * (axis - down_in_joint)
    colliders = list(dict.fromkeys(one for chain in of_chain for one in chain.colliders))
    radius = np.array([bone.radius_m for bone in bones])[:, None] + np.array([one.radius_m for one in colliders])
    kept_out = [set(chain.colliders) for chain in of_chain]
    met = np.array([[one in kept for one in colliders] for kept in kept_out], bool)
    levels, anchor = _levels(skeleton, joints, place)
    return _System(
        skeleton, np.array(joints), skeleton.T_parent_joint[joints, :3, :3], axis, length, STEPS_PER_S * pull,
        STEPS_PER_S * power[:, None] * down, np.array([1 - bone.drag for bone in bones]), anchor,
        np.array([-1 if chain.centre is None else chain.centre for chain in of_chain]),
        levels, tuple(colliders), np.where(met.reshape(radius.shape), radius, -1.0),
    )  # fmt: skip


def _levels(
    skeleton: Skeleton, joints: Sequence[int], place: Mapping[int, int]
) -> tuple[tuple[_Level, ...], Int[np.ndarray, " bone"]]:
    """Bones by how many others they hang on, and of each the topmost of those."""
    depth, anchor = [0] * len(joints), list(range(len(joints)))
    on_body, on_bone, T_above = [-1] * len(joints), [0] * len(joints), np.empty((len(joints), 4, 4))
    for number, joint in enumerate(joints):
        above, T = skeleton.parents[joint], skeleton.T_parent_joint[joint]
        ancestor = above
        while ancestor >= 0 and ancestor not in place:
            ancestor = skeleton.parents[ancestor]
        T_above[number] = T
        if ancestor < 0:
            on_body[number] = above
            continue
        while above != ancestor:  # Joints between two bones rest.
            T_above[number] = skeleton.T_parent_joint[above] @ T_above[number]
            above = skeleton.parents[above]
        on_bone[number] = place[ancestor]
        depth[number], anchor[number] = depth[place[ancestor]] + 1, anchor[place[ancestor]]
    levels = []
    for level in range(max(depth, default=-1) + 1):
        own = np.flatnonzero(np.array(depth) == level)
        levels.append(_Level(own, np.array(on_body)[own], np.array(on_bone)[own], T_above[own]))
    return tuple(levels), np.array(anchor, int)


def _swing(system: _System, motion: Motion) -> Float[np.ndarray, "time bone 4"]:
    """The rotations of the bones' joints in their parents, frame by frame."""
    grid = np.empty((_step_count(motion), len(system.joints), 4))
    state: _Bones | None = None
    step = 0
    for poses in _poses_on_steps(motion, system.skeleton):
        if state is None:
            state = _settled(system, poses)
        for pose in poses:
            state = state if step == 0 else _step(system, state, pose)
            grid[step] = quaternion_from_matrix(state.R_parent_joint)
            step += 1
    grid = continuous(grid)
    at = [frame * STEPS_PER_S / motion.frame_rate for frame in range(len(motion))]
    first = np.array([int(value) for value in at])
    share = np.array([float(value - int(value)) for value in at])
    return slerp(grid[first], grid[np.minimum(first + 1, len(grid) - 1)], share[:, None])


def _step_count(motion: Motion) -> int:
    """How many steps reach from the first frame to the last, both with a step."""
    return int(-(-(len(motion) - 1) * STEPS_PER_S // motion.frame_rate)) + 1


def _poses_on_steps(motion: Motion, skeleton: Skeleton) -> Iterator[Float[np.ndarray, "step joint 4 4"]]:
    """`T_world_joint` at every step, in blocks, by Catmull and Rom's cubic through the frames."""
    q, root = _extended(continuous(motion.q_parent_joint)), _extended(motion.root_position_m)
    count, last = _step_count(motion), len(motion) - 1
    for start in range(0, count, BLOCK):
        at = [
            min(step * motion.frame_rate / STEPS_PER_S, Fraction(last))
            for step in range(start, min(start + BLOCK, count))
        ]
        first = np.array([min(int(value), max(last - 1, 0)) for value in at])
        u = np.array([float(value - int(frame)) for value, frame in zip(at, first, strict=True)])[:, None]
        weights = np.concatenate(
            [-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, -(u**2) + u**3], 1
        ) / 2  # fmt: skip
        frames = np.minimum(first[:, None] + np.arange(4), len(q) - 1)
        mixed = np.einsum("sk,skjc->sjc", weights, q[frames])
        mixed /= np.linalg.norm(mixed, axis=-1, keepdims=True)
        yield forward_kinematics(
            skeleton.parents, skeleton.T_parent_joint[:, :3, 3], mixed, np.einsum("sk,skc->sc", weights, root[frames])
        )


def _extended(values: np.ndarray) -> np.ndarray:
    """Values over time with one more at either end, where they go on as they went."""
    inner = min(1, len(values) - 1)
    return np.concatenate(
        [2 * values[:1] - values[inner : inner + 1], values, 2 * values[-1:] - values[-1 - inner :][:1]]
    )


@dataclass(frozen=True)
class _Bones:
    """Where all bones are after a step."""

    tail: Float[np.ndarray, "bone 3"]
    before: Float[np.ndarray, "bone 3"]
    """Where their tails were a step earlier."""
    head: Float[np.ndarray, "bone 3"]
    R_parent_joint: Float[np.ndarray, "bone 3 3"]
    pose: Float[np.ndarray, "joint 4 4"]
    """The body's, at this step."""


def _settled(system: _System, poses: Float[np.ndarray, "step joint 4 4"]) -> _Bones:
    """Bones that have come to rest in the first pose, in the wind of its motion, and move along with it."""
    pose = poses[0]
    T = _at_rest(system, pose)
    tail = T[:, :3, 3] + system.length_m[:, None] * np.einsum("bij,bj->bi", T[:, :3, :3], system.axis)
    bones = _Bones(tail, tail, T[:, :3, 3], system.R_parent_rest, pose)
    calm = replace(system, keep=np.minimum(system.keep, 1 - SETTLING_DRAG))
    carried = _at_rest(system, poses[min(1, len(poses) - 1)])[system.anchor, :3, 3] - T[system.anchor, :3, 3]
    carried = np.where(system.centre[:, None] < 0, carried, 0.0)
    for _ in range(SETTLING_STEPS):
        bones = _step(calm, bones, pose, -STILL_AIR * carried)
    centred = system.centre[:, None] >= 0
    return replace(bones, before=np.where(centred, bones.tail, bones.tail - carried))


def _at_rest(system: _System, pose: Float[np.ndarray, "joint 4 4"]) -> Float[np.ndarray, "bone 4 4"]:
    """The bones' joints in the world, each at rest on the body's pose."""
    T = np.empty((len(system.joints), 4, 4))
    for level in system.levels:
        above = np.where((level.on_body >= 0)[:, None, None], pose[level.on_body], T[level.on_bone])
        T[level.own] = above @ level.T_above_joint
    return T


def _step(
    system: _System,
    bones: _Bones,
    pose: Float[np.ndarray, "joint 4 4"],
    air: Float[np.ndarray, "bone 3"] | None = None,
) -> _Bones:
    """One step of 1/60 s on to a new pose of the body; `air` is how far the air moves, by default with the anchors."""
    tail, before = bones.tail, bones.before
    centred = np.flatnonzero(system.centre >= 0)
    if len(centred):
        centre = system.centre[centred]
        D = pose[centre] @ invert(bones.pose[centre])
        tail, before = tail.copy(), before.copy()
        for points in (tail, before):
            points[centred] = np.einsum("bij,bj->bi", D[:, :3, :3], points[centred]) + D[:, :3, 3]
    starts, along = _collider_lines(system, pose)
    moved, heads, R_local = np.empty_like(tail), np.empty_like(tail), np.empty((len(tail), 3, 3))
    T_bone = np.tile(np.eye(4), (len(tail), 1, 1))
    for level in system.levels:
        own = level.own
        T = (
            np.where((level.on_body >= 0)[:, None, None], pose[level.on_body], T_bone[level.on_bone])
            @ level.T_above_joint
        )
        R, head = T[:, :3, :3], T[:, :3, 3]
        heads[own] = head
        anchor = system.anchor[own]
        carried = (1 - STILL_AIR) * (heads[anchor] - bones.head[anchor]) if air is None else air[own]
        carried = np.where(system.centre[own][:, None] >= 0, 0.0, carried) if air is None else carried
        velocity = carried + system.keep[own][:, None] * (tail[own] - before[own] - carried)
        force = np.einsum("bij,bj->bi", R, system.pull[own]) + system.gravity[own]
        aim = tail[own] + velocity + force / STEPS_PER_S**2 - head
        rest = np.einsum("bij,bj->bi", R, system.axis[own])
        direction = _within_cone(aim, rest)
        place = _outside(head, direction, system.length_m[own], starts, along, system.reach_m[own])
        moved[own] = place
        turn = rotation_between(rest, place - head)
        T_bone[own, :3, :3], T_bone[own, :3, 3] = turn @ R, head
        # In the parent's frame: R is the parent's rotation times the joint's at rest.
        R_local[own] = system.R_parent_rest[own] @ np.swapaxes(R, 1, 2) @ T_bone[own, :3, :3]
    return _Bones(moved, tail, heads, R_local, pose)


def _within_cone(aim: Float[np.ndarray, "bone 3"], rest: Float[np.ndarray, "bone 3"]) -> Float[np.ndarray, "bone 3"]:
    """Unit directions, brought to within `MAX_SWING_RAD` of the rest direction where they are further."""
    direction = aim / np.maximum(np.linalg.norm(aim, axis=1, keepdims=True), 1e-12)
    cosine = np.einsum("bi,bi->b", direction, rest)
    beyond = cosine < np.cos(MAX_SWING_RAD)
    if not beyond.any():
        return direction
    across = direction - cosine[:, None] * rest
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    edge = np.cos(MAX_SWING_RAD) * rest + np.sin(MAX_SWING_RAD) * across
    return np.where(beyond[:, None], edge, direction)


def _collider_lines(
    system: _System, pose: Float[np.ndarray, "joint 4 4"]
) -> tuple[Float[np.ndarray, "collider 3"], Float[np.ndarray, "collider 3"]]:
    """Where colliders start in the world, and from there to their ends."""
    if not system.colliders:
        return np.zeros((0, 3)), np.zeros((0, 3))
    T = pose[[one.joint for one in system.colliders]]
    starts = np.array([one.start for one in system.colliders])
    along = np.array([one.end for one in system.colliders]) - starts
    R = T[:, :3, :3]
    return np.einsum("cij,cj->ci", R, starts) + T[:, :3, 3], np.einsum("cij,cj->ci", R, along)


def _outside(
    head: Float[np.ndarray, "bone 3"],
    direction: Float[np.ndarray, "bone 3"],
    length: Float[np.ndarray, " bone"],
    starts: Float[np.ndarray, "collider 3"],
    along: Float[np.ndarray, "collider 3"],
    reach: Float[np.ndarray, "bone collider"],
) -> Float[np.ndarray, "bone 3"]:
    """Tails pushed out of colliders, at their bones' length from the heads."""
    tail = head + length[:, None] * direction
    if not len(starts):
        return tail
    square = np.maximum((along**2).sum(1), 1e-12)
    row = np.arange(len(tail))
    for _ in range(COLLISION_ROUNDS):
        away = tail[:, None] - starts
        share = np.clip(np.einsum("bci,ci->bc", away, along) / square, 0.0, 1.0)
        away = away - share[..., None] * along
        distance = np.linalg.norm(away, axis=-1)
        depth = reach - distance
        deepest = depth.argmax(1)
        inside = depth[row, deepest]
        if (inside <= 0).all():
            break
        out = away[row, deepest] / np.maximum(distance[row, deepest], 1e-9)[:, None]
        pushed = tail + np.maximum(inside, 0.0)[:, None] * out - head
        tail = head + length[:, None] * pushed / np.maximum(np.linalg.norm(pushed, axis=1, keepdims=True), 1e-12)
    return tail
