"""BVH: motion as text that Blender, Maya, MotionBuilder and Unreal's importers read.

What we write: +Y up, right-handed, centimetres, degrees; channels Xposition Yposition Zposition on the root only. With
all rotations zero the figure stands in the skeleton's rest pose: joint frames are the world's axes there, whatever
frames the skeleton itself has. So the file of a canonical body shows its T-pose, and its angles are those of the
Motion. `Frame Time` has so many digits that the frame rate comes back exactly.

Reading follows Blender: position channels *replace* the OFFSET of their joint; rotations apply in the order of the
channels, each about the axis as turned by those before it.
Source: Meredith and Maddock 2001, Motion capture file formats explained, section 3.
"""

from pathlib import Path
from typing import Literal, cast

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from understudy.core.motion import Motion, Skeleton
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import similarity
from understudy.geometry.rotations import continuous, quaternion_from_matrix
from understudy.io.files import reading
from understudy.io.motions.bvh_text import BvhClip, parse_bvh
from understudy.io.text import replace_text
from understudy.runtime.errors import FileFormatError

__all__ = ["BvhClip", "parse_bvh", "read_bvh", "write_bvh"]

EulerOrder = Literal["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"]

CENTIMETRE_M = 0.01
UNITS_M = (1.0, CENTIMETRE_M, 0.001)
FRAMES_AT_A_TIME = 500
PLAUSIBLE_SIZE_M = (0.5, 4.0)
STRAY_SHARE = 0.03
"""How far a joint may move within its parent, as a share of the figure's size, before we refuse to drop it."""


def read_bvh(path: Path, skeleton: Skeleton | None = None, unit_m: float | None = None) -> Motion:
    """A BVH file as a motion in metres, +Y up.

    With `skeleton` (that of the motion which was written to the file and then edited elsewhere) the joints are found
    by name, in any order and among others, and the axes and the unit of the file are found by laying its rest pose
    over the skeleton's: what Blender turned to +Z up comes back right. Without, the motion gets the file's own
    skeleton with identity rest rotations; `unit_m` None means metres, centimetres or millimetres, whichever makes the
    figure 0.5 to 4 m long; and a figure whose head is above its root along Z is turned to +Y up. A root that never
    moves within the file above the joint that does (a "reference" joint) is left out.

    Raises:
        FileFormatError: no BVH, joints are missing, the unit is unclear, or a joint moves within its parent.
    """
    clip = parse_bvh(path)
    with reading(path, "motion"):
        if skeleton is not None:
            return motion_on_skeleton(path, clip, skeleton, unit_m)
        return motion_on_own_skeleton(path, clip, unit_m)


def motion_on_own_skeleton(path: Path, clip: BvhClip, unit_m: float | None) -> Motion:
    """The clip on the skeleton that the file describes."""
    first = travelling_joint(clip)
    rest = clip_rest_positions(path, clip, first)
    size = float(np.ptp(rest[first:], axis=0).max())
    scale = unit_m if unit_m is not None else guess_unit(path, size)
    C = up_from_z() if is_z_up(clip, rest) else np.eye(3)
    kept = list(range(first, len(clip.names)))
    parents = tuple(max(clip.parents[joint] - first, -1) for joint in kept)
    local = np.tile(np.eye(4), (len(kept), 1, 1))
    for place, parent in enumerate(parents):
        step = rest[kept[place]] - (rest[kept[parent]] if parent >= 0 else 0.0)
        local[place, :3, 3] = scale * (C @ step)
    own = Skeleton(unique_names([clip.names[joint] for joint in kept]), parents, local)
    q, root = motion_of_joints(clip, kept, parents, C, np.tile(np.eye(3), (len(kept), 1, 1)))
    return Motion(own, q, scale * root, clip.frame_rate)


def motion_on_skeleton(path: Path, clip: BvhClip, skeleton: Skeleton, unit_m: float | None) -> Motion:
    """The clip on a skeleton whose joints the file has by name."""
    place = {plain_name(name): joint for joint, name in reversed(list(enumerate(clip.names)))}
    missing = [name for name in skeleton.names if plain_name(name) not in place]
    if missing:
        raise FileFormatError(
            f"{path.name} lacks {len(missing)} joints of the skeleton ({', '.join(missing[:4])}): keep their names"
        )
    joints = [place[plain_name(name)] for name in skeleton.names]
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)
    positions = clip_rest_positions(path, clip, joints[0])[joints]
    scale, fitted, _ = similarity(positions, rest[:, :3, 3])
    snapped = np.round(fitted)
    C = snapped if np.abs(fitted - snapped).max() < 0.03 and np.linalg.det(snapped) > 0.5 else fitted
    off = np.abs(scale * (positions - positions.mean(0)) @ C.T - (rest[:, :3, 3] - rest[:, :3, 3].mean(0))).max()
    if not off <= STRAY_SHARE * np.ptp(rest[:, :3, 3], axis=0).max():
        raise FileFormatError(
            f"the rest pose in {path.name} is not that of the skeleton ({off * 100:.1f} cm off): "
            "save it with the rest pose that it was opened with"
        )
    q, root = motion_of_joints(clip, joints, skeleton.parents, C, rest[:, :3, :3])
    return Motion(skeleton, q, (unit_m or scale) * root, clip.frame_rate)


def motion_of_joints(
    clip: BvhClip,
    joints: list[int],
    parents: tuple[int, ...],
    C: Float[np.ndarray, "3 3"],
    R_rest: Float[np.ndarray, "joint 3 3"],
) -> tuple[Float[np.ndarray, "time joint 4"], Float[np.ndarray, "time 3"]]:
    """Some joints' rotations within their parents, and where the first one is, in the file's unit; `C` turns its axes.

    Piece by piece: matrices take ten times the memory of the quaternions that stay.
    """
    q = np.empty((len(clip.values), len(joints), 4))
    root = np.empty((len(clip.values), 3))
    for start in range(0, len(q), FRAMES_AT_A_TIME):
        frames = slice(start, start + FRAMES_AT_A_TIME)
        T = clip.world(frames)[:, joints]
        q[frames] = local_quaternions(parents, C @ T[..., :3, :3] @ C.T @ R_rest)
        root[frames] = T[:, 0, :3, 3] @ C.T
    return continuous(q), root


def local_quaternions(
    parents: tuple[int, ...], R: Float[np.ndarray, "time joint 3 3"]
) -> Float[np.ndarray, "time joint 4"]:
    """World rotations as rotations within the parent, continuous in time."""
    local = R.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            local[:, joint] = R[:, parent].swapaxes(1, 2) @ R[:, joint]
    return continuous(quaternion_from_matrix(local))


def clip_rest_positions(path: Path, clip: BvhClip, first: int) -> Float[np.ndarray, "joint 3"]:
    """Joint positions with all rotations zero: by offsets, or where the file gives positions, by their median."""
    local = clip.offsets.copy()
    stray = np.zeros(len(local))
    for joint, parent in enumerate(clip.parents):
        if parent < 0 or joint == first or not any(name.endswith("position") for name in clip.channels[joint]):
            continue
        steps = clip.local_position(joint)
        local[joint] = np.median(steps, 0)
        stray[joint] = np.abs(steps - local[joint]).max()
    positions = np.zeros_like(local)
    for joint, parent in enumerate(clip.parents):
        positions[joint] = local[joint] if parent < 0 or joint == first else positions[parent] + local[joint]
    size = np.ptp(positions[first:], axis=0).max()
    worst = int(stray.argmax())
    if stray[worst] > STRAY_SHARE * size:
        raise FileFormatError(
            f"in {path.name} the joint {clip.names[worst]!r} moves within its parent, which a motion of ours cannot "
            "hold: bake it into rotations"
        )
    return positions


def travelling_joint(clip: BvhClip) -> int:
    """The joint that carries the figure: the first one from the root down whose position changes."""
    joint = 0
    columns = np.cumsum([0] + [len(names) for names in clip.channels])
    while True:
        children = [child for child, parent in enumerate(clip.parents) if parent == joint]
        below = children[0] if len(children) == 1 else None
        if below is None or not any(name.endswith("position") for name in clip.channels[below]):
            return joint
        moves = np.ptp(clip.values[:, columns[below] : columns[below + 1]], axis=0)
        if not any(move > 1e-6 for move, name in zip(moves, clip.channels[below], strict=True) if "pos" in name):
            return joint
        joint = below


def guess_unit(path: Path, size: float) -> float:
    """Metres per unit, from the figure's largest extent in the rest pose."""
    low, high = PLAUSIBLE_SIZE_M
    for unit_m in UNITS_M:
        if low <= size * unit_m <= high:
            return unit_m
    raise FileFormatError(
        f"the figure in {path.name} is {size:.3g} units large, which is no person in metres, centimetres or "
        "millimetres: say how many metres one unit has (unit_m)"
    )


def is_z_up(clip: BvhClip, rest: Float[np.ndarray, "joint 3"]) -> bool:
    """Whether the head stands above the root along Z rather than Y: in the rest pose and, on average, in the clip.

    Both, because people lie down, and because some files have a rest pose of another up than their motion.
    """
    heads = [joint for joint, name in enumerate(clip.names) if plain_name(name).startswith("head")]
    if not heads:
        return False
    T = clip.world(slice(None, None, -(-len(clip.values) // FRAMES_AT_A_TIME)))
    ups = (rest[heads[0]] - rest[0], (T[:, heads[0], :3, 3] - T[:, 0, :3, 3]).mean(0))
    return all(bool(up[2] > abs(up[1])) for up in ups)


def up_from_z() -> Float[np.ndarray, "3 3"]:
    """Turns a world with +Z up (facing −Y) into one with +Y up (facing +Z)."""
    return np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def plain_name(name: str) -> str:
    """A joint's name without what tools add: namespaces ("mixamorig:"), case, separators."""
    return "".join(letter for letter in name.rpartition(":")[2].lower() if letter.isalnum())


def unique_names(names: list[str]) -> tuple[str, ...]:
    """Names of which repeated ones get a number."""
    unique: list[str] = []
    for name in names:
        unique.append(f"{name} {len(unique)}" if name in unique else name)
    return tuple(unique)


def write_bvh(path: Path, motion: Motion, unit_m: float = CENTIMETRE_M, rotation_order: EulerOrder = "ZXY") -> None:
    """Write a motion; one unit of the file is `unit_m` metres (a centimetre, as Maya and MotionBuilder expect).

    Raises:
        ValueError: `rotation_order` is no order of X, Y and Z, or the skeleton has several roots.
    """
    if sorted(rotation_order) != ["X", "Y", "Z"]:
        raise ValueError(f"a rotation order is made of X, Y and Z; got {rotation_order!r}")
    skeleton = motion.skeleton
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)
    T = motion.T_world_joint()
    R = T[..., :3, :3] @ rest[:, :3, :3].swapaxes(1, 2)
    order = depth_first(skeleton.parents)
    columns = [motion.root_position_m / unit_m]
    for joint in order:
        parent = skeleton.parents[joint]
        local = R[:, joint] if parent < 0 else R[:, parent].swapaxes(1, 2) @ R[:, joint]
        columns.append(continuous_euler_deg(local, rotation_order))
    lines = ["HIERARCHY", *hierarchy_lines(skeleton, rest[:, :3, 3] / unit_m, rotation_order)]
    lines += ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {float(1 / motion.frame_rate):.15f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in np.concatenate(columns, 1)]
    replace_text(path, "\n".join(lines) + "\n")


def depth_first(parents: tuple[int, ...]) -> list[int]:
    """Joints in the order in which BVH nests them."""
    order: list[int] = []
    stack = [joint for joint, parent in enumerate(parents) if parent < 0][::-1]
    if len(stack) != 1:
        raise ValueError(f"a BVH figure has one root; this skeleton has {len(stack)}")
    while stack:
        joint = stack.pop()
        order.append(joint)
        stack += [child for child, parent in enumerate(parents) if parent == joint][::-1]
    return order


def hierarchy_lines(skeleton: Skeleton, rest: Float[np.ndarray, "joint 3"], rotation_order: str) -> list[str]:
    """The HIERARCHY section; the root's OFFSET is zero, so that readers that add it and readers that do not agree."""
    turns = " ".join(f"{axis}rotation" for axis in rotation_order)
    lines: list[str] = []

    # By a stack of its own: a chain of joints may be longer than Python's.
    waiting: list[tuple[int, int] | str] = [(skeleton.parents.index(-1), 0)]
    while waiting:
        following = waiting.pop()
        if isinstance(following, str):
            lines.append(following)
            continue
        joint, depth = following
        indent, parent = "\t" * depth, skeleton.parents[joint]
        step = rest[joint] - rest[parent] if parent >= 0 else np.zeros(3)
        name = "".join("_" if letter.isspace() or letter in "{}" else letter for letter in skeleton.names[joint])
        lines.append(f"{indent}{'ROOT' if parent < 0 else 'JOINT'} {name}")
        lines.append(f"{indent}{{")
        lines.append(f"{indent}\tOFFSET {step[0]:.6f} {step[1]:.6f} {step[2]:.6f}")
        places = "Xposition Yposition Zposition "
        lines.append(f"{indent}\tCHANNELS {f'6 {places}' if parent < 0 else '3 '}{turns}")
        children = [child for child, above in enumerate(skeleton.parents) if above == joint]
        if not children:
            # A last bone goes on as its parent's bone does, at half its length: some tip is needed to show a bone.
            tip = 0.5 * step if np.linalg.norm(step) > 0 else np.array([0.0, 1.0, 0.0])
            lines.append(f"{indent}\tEnd Site")
            lines.append(f"{indent}\t{{")
            lines.append(f"{indent}\t\tOFFSET {tip[0]:.6f} {tip[1]:.6f} {tip[2]:.6f}")
            lines.append(f"{indent}\t}}")
        waiting.append(f"{indent}}}")
        waiting += [(child, depth + 1) for child in reversed(children)]
    return lines


def continuous_euler_deg(R: Float[np.ndarray, "time 3 3"], order: EulerOrder) -> Float[np.ndarray, "time 3"]:
    """Angles about the moving axes in the given order, without jumps between frames: curves that can be edited.

    Each rotation has two sets of angles (a, b, c) and (a + 180°, 180° − b, c + 180°), and full turns more.
    """
    if not len(R):
        return np.zeros((0, 3))
    angles = cast(np.ndarray, Rotation.from_matrix(R).as_euler(order, degrees=True))
    for frame in range(1, len(angles)):
        a, b, c = (float(angle) for angle in angles[frame])
        both = np.array([[a, b, c], [a + 180.0, 180.0 - b, c + 180.0]])
        both = cast(np.ndarray, both - 360.0 * np.round((both - angles[frame - 1]) / 360.0))
        angles[frame] = both[np.abs(both - angles[frame - 1]).sum(1).argmin()]
    return angles
