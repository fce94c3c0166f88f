"""BVH: motion as text that Blender, Maya, MotionBuilder and Unreal's importers read.

What we write: +Y up, right-handed, centimetres, degrees; channels Xposition Yposition Zposition on the root only. With
all rotations zero the figure stands in the skeleton's rest pose: joint frames are the world's axes there, whatever
frames the skeleton itself has. So the file of a canonical body shows its T-pose, and its angles are those of the
Motion. `Frame Time` has so many digits that the frame rate comes back exactly.

Reading follows Blender: position channels *replace* the OFFSET of their joint; rotations apply in the order of the
channels, each about the axis as turned by those before it.
Source: Meredith and Maddock 2001, Motion capture file formats explained, section 3.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from understudy.core.errors import FileFormatError
from understudy.core.motion import Motion, Skeleton
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import similarity
from understudy.geometry.rotations import continuous, quaternion_from_matrix
from understudy.io.frame_rates import frame_rate_from_period

__all__ = ["BvhClip", "parse_bvh", "read_bvh", "write_bvh"]

CENTIMETRE_M = 0.01
UNITS_M = (1.0, CENTIMETRE_M, 0.001)
MAX_FILE_BYTES = 512 << 20
MAX_JOINTS = 2000
PLAUSIBLE_SIZE_M = (0.5, 4.0)
STRAY_SHARE = 0.03
"""How far a joint may move within its parent, as a share of the figure's size, before we refuse to drop it."""


@dataclass(frozen=True)
class BvhClip:
    """A BVH file as it is: its own axes and units."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Float[np.ndarray, "joint 3"]
    channels: tuple[tuple[str, ...], ...]
    """Of each joint, in the order of the file."""
    values: Float[np.ndarray, "time channel"]
    frame_rate: Fraction

    def world(self) -> Float[np.ndarray, "time joint 4 4"]:
        """`T_world_joint`, in the file's axes and units."""
        time = len(self.values)
        T = np.tile(np.eye(4), (time, len(self.names), 1, 1))
        first = 0
        for joint, (parent, names) in enumerate(zip(self.parents, self.channels, strict=True)):
            local = np.tile(np.eye(4), (time, 1, 1))
            local[:, :3, 3] = self.offsets[joint]
            turns = []
            for column, name in enumerate(names, first):
                if name.endswith("position"):
                    local[:, "XYZ".index(name[0]), 3] = self.values[:, column]
                else:
                    turns.append((name[0], self.values[:, column]))
            if turns and time:
                order = "".join(axis for axis, _ in turns)
                angles = np.stack([degrees for _, degrees in turns], -1)
                local[:, :3, :3] = Rotation.from_euler(order, angles, degrees=True).as_matrix()
            T[:, joint] = local if parent < 0 else T[:, parent] @ local
            first += len(names)
        return T


def parse_bvh(path: Path) -> BvhClip:
    """Read a BVH file as it is.

    Raises:
        FileFormatError: the file is absent, truncated or no BVH.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FileFormatError(f"{path.name} is larger than {MAX_FILE_BYTES >> 20} MiB: cut the clip into pieces")
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FileFormatError(f"the motion {path} cannot be read: {error.strerror}") from error
    head, found, tail = text.partition("MOTION")
    if not head.lstrip("\ufeff \r\n\t").upper().startswith("HIERARCHY") or not found:
        raise FileFormatError(f"{path.name} is no BVH file: it has no HIERARCHY and MOTION sections")
    try:
        names, parents, offsets, channels = parse_hierarchy(iter(head.lstrip("\ufeff \r\n\t").split()[1:]))
        values, frame_rate = parse_frames(tail, sum(len(names) for names in channels))
    except StopIteration as error:
        raise FileFormatError(f"{path.name} is truncated: its hierarchy ends too early") from error
    except ValueError as error:
        raise FileFormatError(f"{path.name} is no usable BVH file: {error}") from error
    return BvhClip(tuple(names), tuple(parents), np.array(offsets), tuple(channels), values, frame_rate)


def parse_hierarchy(
    tokens: Iterator[str],
) -> tuple[list[str], list[int], list[list[float]], list[tuple[str, ...]]]:
    """Names, parents, offsets and channels of the joints, in the order of the file."""
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[tuple[str, ...]] = []
    open_joints: list[int] = []
    for token in tokens:
        word = token.upper()
        if word in ("ROOT", "JOINT"):
            if word == "ROOT" and names:
                raise ValueError("it has several figures (ROOT); save them one by one")
            label = []
            for part in tokens:
                if part == "{":
                    break
                label.append(part)
            parents.append(open_joints[-1] if open_joints else -1)
            open_joints.append(len(names))
            names.append(" ".join(label))
            offsets.append([0.0, 0.0, 0.0])
            channels.append(())
            if len(names) > MAX_JOINTS:
                raise ValueError(f"it has more than {MAX_JOINTS} joints")
        elif word == "END":
            for part in tokens:
                if part == "}":
                    break
        elif word in ("OFFSET", "CHANNELS") and not open_joints:
            raise ValueError(f"{word} stands outside of any joint")
        elif word == "OFFSET":
            offsets[open_joints[-1]] = [float(number) for number in take(tokens, 3)]
        elif word == "CHANNELS":
            channels[open_joints[-1]] = channel_names(take(tokens, int(next(tokens))))
        elif word == "}":
            if not open_joints:
                raise ValueError("a bracket closes that was never opened")
            open_joints.pop()
        else:
            raise ValueError(f"{token[:40]!r} is no word of its hierarchy")
    if open_joints or not names:
        raise ValueError("its hierarchy is cut off")
    if not np.isfinite(offsets).all():
        raise ValueError("its hierarchy holds offsets that are not finite")
    return names, parents, offsets, channels


def take(tokens: Iterator[str], count: int) -> list[str]:
    """The next `count` words."""
    words = list(islice(tokens, count))
    if len(words) < count:
        raise ValueError("its hierarchy is cut off")
    return words


def channel_names(words: list[str]) -> tuple[str, ...]:
    """A joint's channels in their usual spelling; rotations are at most three, no two in a row about one axis."""
    names = tuple(channel_name(word) for word in words)
    axes = [name[0] for name in names if name.endswith("rotation")]
    if len(axes) > 3 or any(a == b for a, b in pairwise(axes)):
        raise ValueError(f"a joint turns about {', '.join(axes)}; three different axes are expected")
    return names


def channel_name(word: str) -> str:
    """A channel's name in its usual spelling."""
    name = word[:1].upper() + word[1:].lower()
    if name[:1] not in ("X", "Y", "Z") or name[1:] not in ("position", "rotation"):
        raise ValueError(f"{word[:40]!r} is no channel")
    return name


def parse_frames(text: str, width: int) -> tuple[Float[np.ndarray, "time channel"], Fraction]:
    """The rows of the MOTION section and the frame rate."""
    lines = text.strip().split("\n", 2)
    heads = [line.partition(":") for line in lines[:2]]
    if len(heads) < 2 or heads[0][0].strip().lower() != "frames" or heads[1][0].strip().lower() != "frame time":
        raise ValueError("MOTION needs the lines 'Frames:' and 'Frame Time:'")
    frames, frame_rate = int(heads[0][2]), frame_rate_from_period(heads[1][2])
    numbers = np.array(lines[2].split() if len(lines) > 2 else [], np.float64)
    if frames < 1 or len(numbers) < frames * width:
        raise ValueError(f"it has {len(numbers)} numbers for {frames} frames of {width}: it is truncated")
    values = numbers[: frames * width].reshape(frames, width)
    if not np.isfinite(values).all():
        raise ValueError("its motion holds values that are not finite")
    return values, frame_rate


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
    T = clip.world()
    if skeleton is not None:
        return motion_on_skeleton(path, clip, T, skeleton, unit_m)
    first = travelling_joint(clip)
    rest = clip_rest_positions(path, clip, T, first)
    size = float(np.ptp(rest[first:], axis=0).max())
    scale = unit_m if unit_m is not None else guess_unit(path, size)
    C = up_from_z() if is_z_up(clip, rest, T) else np.eye(3)
    kept = list(range(first, len(clip.names)))
    parents = tuple(max(clip.parents[joint] - first, -1) for joint in kept)
    local = np.tile(np.eye(4), (len(kept), 1, 1))
    for place, parent in enumerate(parents):
        step = rest[kept[place]] - (rest[kept[parent]] if parent >= 0 else 0.0)
        local[place, :3, 3] = scale * (C @ step)
    own = Skeleton(unique_names([clip.names[joint] for joint in kept]), parents, local)
    R = C @ T[:, first:, :3, :3] @ C.T
    return Motion(own, local_quaternions(parents, R), scale * T[:, first, :3, 3] @ C.T, clip.frame_rate)


def motion_on_skeleton(
    path: Path, clip: BvhClip, T: Float[np.ndarray, "time joint 4 4"], skeleton: Skeleton, unit_m: float | None
) -> Motion:
    """The clip on a skeleton whose joints the file has by name."""
    place = {plain_name(name): joint for joint, name in reversed(list(enumerate(clip.names)))}
    missing = [name for name in skeleton.names if plain_name(name) not in place]
    if missing:
        raise FileFormatError(
            f"{path.name} lacks {len(missing)} joints of the skeleton ({', '.join(missing[:4])}): keep their names"
        )
    joints = [place[plain_name(name)] for name in skeleton.names]
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)
    positions = clip_rest_positions(path, clip, T, joints[0])[joints]
    scale, C, _ = similarity(positions, rest[:, :3, 3])
    snapped = np.round(C)
    if np.abs(C - snapped).max() < 0.03 and np.linalg.det(snapped) > 0.5:
        C = snapped
    off = np.abs(scale * (positions - positions.mean(0)) @ C.T - (rest[:, :3, 3] - rest[:, :3, 3].mean(0))).max()
    if off > STRAY_SHARE * np.ptp(rest[:, :3, 3], axis=0).max():
        raise FileFormatError(
            f"the rest pose in {path.name} is not that of the skeleton ({off * 100:.1f} cm off): "
            "save it with the rest pose that it was opened with"
        )
    R = C @ T[:, joints, :3, :3] @ C.T @ rest[:, :3, :3]
    root = (unit_m or scale) * T[:, joints[0], :3, 3] @ C.T
    return Motion(skeleton, local_quaternions(skeleton.parents, R), root, clip.frame_rate)


def local_quaternions(
    parents: tuple[int, ...], R: Float[np.ndarray, "time joint 3 3"]
) -> Float[np.ndarray, "time joint 4"]:
    """World rotations as rotations within the parent, continuous in time."""
    local = R.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            local[:, joint] = R[:, parent].swapaxes(1, 2) @ R[:, joint]
    return continuous(quaternion_from_matrix(local))


def clip_rest_positions(
    path: Path, clip: BvhClip, T: Float[np.ndarray, "time joint 4 4"], first: int
) -> Float[np.ndarray, "joint 3"]:
    """Joint positions with all rotations zero: by offsets, or where the file gives positions, by their median."""
    local = clip.offsets.copy()
    stray = np.zeros(len(local))
    for joint, parent in enumerate(clip.parents):
        if parent < 0 or joint == first or not any(name.endswith("position") for name in clip.channels[joint]):
            continue
        steps = T[:, joint, :3, 3] - T[:, parent, :3, 3]
        steps = np.einsum("tji,tj->ti", T[:, parent, :3, :3], steps)
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


def is_z_up(clip: BvhClip, rest: Float[np.ndarray, "joint 3"], T: Float[np.ndarray, "time joint 4 4"]) -> bool:
    """Whether the head stands above the root along Z rather than Y: in the rest pose and, on average, in the clip.

    Both, because people lie down, and because some files have a rest pose of another up than their motion.
    """
    heads = [joint for joint, name in enumerate(clip.names) if plain_name(name).startswith("head")]
    if not heads:
        return False
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


def write_bvh(path: Path, motion: Motion, unit_m: float = CENTIMETRE_M, rotation_order: str = "ZXY") -> None:
    """Write a motion; one unit of the file is `unit_m` metres (a centimetre, as Maya and MotionBuilder expect).

    Raises:
        ValueError: `rotation_order` is no order of X, Y and Z, or joint names hold white space or brackets.
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
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(partial, path)


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

    def write_joint(joint: int, depth: int) -> None:
        indent, parent = "\t" * depth, skeleton.parents[joint]
        step = rest[joint] - rest[parent] if parent >= 0 else np.zeros(3)
        name = "".join("_" if letter.isspace() or letter in "{}" else letter for letter in skeleton.names[joint])
        lines.append(f"{indent}{'ROOT' if parent < 0 else 'JOINT'} {name}")
        lines.append(f"{indent}{{")
        lines.append(f"{indent}\tOFFSET {step[0]:.6f} {step[1]:.6f} {step[2]:.6f}")
        places = "Xposition Yposition Zposition "
        lines.append(f"{indent}\tCHANNELS {f'6 {places}' if parent < 0 else '3 '}{turns}")
        children = [child for child, above in enumerate(skeleton.parents) if above == joint]
        for child in children:
            write_joint(child, depth + 1)
        if not children:
            # A last bone goes on as its parent's bone does, at half its length: some tip is needed to show a bone.
            tip = 0.5 * step if np.linalg.norm(step) > 0 else np.array([0.0, 1.0, 0.0])
            lines.append(f"{indent}\tEnd Site")
            lines.append(f"{indent}\t{{")
            lines.append(f"{indent}\t\tOFFSET {tip[0]:.6f} {tip[1]:.6f} {tip[2]:.6f}")
            lines.append(f"{indent}\t}}")
        lines.append(f"{indent}}}")

    write_joint(skeleton.parents.index(-1), 0)
    return lines


def continuous_euler_deg(R: Float[np.ndarray, "time 3 3"], order: str) -> Float[np.ndarray, "time 3"]:
    """Angles about the moving axes in the given order, without jumps between frames: curves that can be edited.

    Each rotation has two sets of angles (a, b, c) and (a + 180°, 180° − b, c + 180°), and full turns more.
    """
    if not len(R):
        return np.zeros((0, 3))
    angles = Rotation.from_matrix(R).as_euler(order, degrees=True)
    for frame in range(1, len(angles)):
        a, b, c = angles[frame]
        both = np.array([[a, b, c], [a + 180.0, 180.0 - b, c + 180.0]])
        both -= 360.0 * np.round((both - angles[frame - 1]) / 360.0)
        angles[frame] = both[np.abs(both - angles[frame - 1]).sum(1).argmin()]
    return angles
