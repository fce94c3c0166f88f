"""The text of a BVH file: its joints and its table of numbers, as they are. What they mean is for bvh to say.

Files may come from anywhere: sizes are claims, checked against the file's own length before memory is taken; the table
is read in pieces, so that text and numbers never lie in memory together.
Source: Meredith and Maddock 2001, Motion capture file formats explained, section 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TextIO

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from understudy.io.files import check_file, reading
from understudy.io.video.frame_rates import frame_rate_from_period
from understudy.runtime.budget import Budget
from understudy.runtime.errors import quoted

__all__ = ["BvhClip", "parse_bvh"]

MAX_FILE_BYTES = 512 << 20
MAX_MEMORY_BYTES = 160 << 20
"""For the numbers and the rotations made of them: ten minutes of sixty joints at thirty frames a second, and more."""
MAX_HIERARCHY_CHARACTERS = 4 << 20
MAX_JOINTS = 2000
MAX_DEPTH = 500
MAX_VALUE = 1e7
"""Millimetres of ten kilometres; angles of 27,000 turns."""
PIECE = 1 << 20
ROTATION_BYTES = 64
"""Of one joint in one frame: a quaternion, and a copy while it is made continuous."""


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

    def columns(self, joint: int) -> Iterator[tuple[str, Float[np.ndarray, " time"]]]:
        """A joint's channels, each with its values."""
        first = sum(len(names) for names in self.channels[:joint])
        for column, name in enumerate(self.channels[joint], first):
            yield name, self.values[:, column]

    def local_position(self, joint: int) -> Float[np.ndarray, "time 3"]:
        """Where a joint is in its parent: its OFFSET, or what its position channels put in place of it."""
        position = np.tile(self.offsets[joint], (len(self.values), 1))
        for name, values in self.columns(joint):
            if name.endswith("position"):
                position[:, "XYZ".index(name[0])] = values
        return position

    def world(self, frames: slice = slice(None)) -> Float[np.ndarray, "time joint 4 4"]:
        """`T_world_joint` of some frames, in the file's axes and units."""
        clip = BvhClip(self.names, self.parents, self.offsets, self.channels, self.values[frames], self.frame_rate)
        T = np.tile(np.eye(4), (len(clip.values), len(self.names), 1, 1))
        for joint, parent in enumerate(self.parents):
            local = np.tile(np.eye(4), (len(clip.values), 1, 1))
            local[:, :3, 3] = clip.local_position(joint)
            turns = [(name[0], values) for name, values in clip.columns(joint) if name.endswith("rotation")]
            if turns and len(local):
                order = "".join(axis for axis, _ in turns)
                angles = np.stack([degrees for _, degrees in turns], -1)
                local[:, :3, :3] = Rotation.from_euler(order, angles, degrees=True).as_matrix()
            T[:, joint] = local if parent < 0 else T[:, parent] @ local
        return T


def parse_bvh(path: Path) -> BvhClip:
    """Read a BVH file as it is; decimals may be written with points or commas.

    Raises:
        FileFormatError: the file is absent, no regular file, truncated or no BVH, or asks for too much memory.
    """
    size = check_file(path, "BVH file", MAX_FILE_BYTES)
    advice = "export it again, or cut the clip into pieces"
    with reading(path, "BVH file", advice=advice), path.open(encoding="utf-8-sig", errors="replace") as file:
        tokens = _tokens(file)
        if next(tokens, "").upper() != "HIERARCHY":
            raise ValueError("it has no HIERARCHY and MOTION sections")
        names, parents, offsets, channels = _parse_hierarchy(tokens)
        budget = Budget(quoted(path), MAX_MEMORY_BYTES, advice="cut the clip into pieces")
        width = sum(len(names) for names in channels)
        frames, frame_rate = _frames_line(file), frame_rate_from_period(_headed_line(file, "Frame Time"))
        if not 0 < frames * max(width, 1) <= size:
            raise ValueError(
                f"it is truncated: {size} bytes cannot hold {quoted(frames)[1:-1]} frames of {width} numbers"
            )
        budget.take("its rotations", frames, len(names), bytes_each=ROTATION_BYTES)
        budget.take("its numbers", frames, width, bytes_each=8)
        values = _read_table(file, frames, width)
    return BvhClip(tuple(names), tuple(parents), np.array(offsets), tuple(channels), values, frame_rate)


def _tokens(file: TextIO) -> Iterator[str]:
    """The words of the hierarchy, up to and without MOTION, where the file stands then."""
    read = 0
    while line := file.readline(PIECE):
        read += len(line)
        if read > MAX_HIERARCHY_CHARACTERS:
            raise ValueError(f"its hierarchy is longer than {MAX_HIERARCHY_CHARACTERS >> 20} million characters")
        words = line.split()
        if len(words) == 1 and words[0].upper() == "MOTION":
            return
        yield from words


def _parse_hierarchy(
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
            label: list[str] = []
            for part in tokens:
                if part == "{":
                    break
                label.append(part)
            parents.append(open_joints[-1] if open_joints else -1)
            open_joints.append(len(names))
            names.append(" ".join(label))
            offsets.append([0.0, 0.0, 0.0])
            channels.append(())
            if len(names) > MAX_JOINTS or len(open_joints) > MAX_DEPTH:
                raise ValueError(f"it has more than {MAX_JOINTS} joints, or {MAX_DEPTH} one below another")
        elif word == "END":
            for part in tokens:
                if part == "}":
                    break
        elif word in ("OFFSET", "CHANNELS") and not open_joints:
            raise ValueError(f"{word} stands outside of any joint")
        elif word == "OFFSET":
            offsets[open_joints[-1]] = [_number(word) for word in _take(tokens, 3)]
        elif word == "CHANNELS":
            count = int(next(tokens, "0"))
            if not 0 <= count <= 6:
                raise ValueError(f"a joint has {count} channels; up to 6 are expected")
            channels[open_joints[-1]] = _channel_names(_take(tokens, count))
        elif word == "}":
            if not open_joints:
                raise ValueError("a bracket closes that was never opened")
            open_joints.pop()
        else:
            raise ValueError(f"{quoted(token[:40])} is no word of its hierarchy")
    if open_joints or not names:
        raise ValueError("its hierarchy is cut off")
    if not (np.abs(offsets) <= MAX_VALUE).all():
        raise ValueError(f"its hierarchy holds offsets that are not finite, or beyond {MAX_VALUE:g}")
    return names, parents, offsets, channels


def _take(tokens: Iterator[str], count: int) -> list[str]:
    """The next `count` words."""
    words = list(islice(tokens, count))
    if len(words) < count:
        raise ValueError("its hierarchy is cut off")
    return words


def _number(word: str) -> float:
    """A decimal with a point or a comma: some programs write what the system's language asks for."""
    return float(word.replace(",", "."))


def _channel_names(words: list[str]) -> tuple[str, ...]:
    """A joint's channels in their usual spelling; rotations are at most three, no two in a row about one axis."""
    names = tuple(_channel_name(word) for word in words)
    axes = [name[0] for name in names if name.endswith("rotation")]
    if len(axes) > 3 or any(a == b for a, b in pairwise(axes)):
        raise ValueError(f"a joint turns about {', '.join(axes)}; three different axes are expected")
    return names


def _channel_name(word: str) -> str:
    """A channel's name in its usual spelling."""
    name = word[:1].upper() + word[1:].lower()
    if name[:1] not in ("X", "Y", "Z") or name[1:] not in ("position", "rotation"):
        raise ValueError(f"{quoted(word[:40])} is no channel")
    return name


def _headed_line(file: TextIO, head: str) -> str:
    """What stands after "HEAD:" on the next line that is not empty."""
    line = "\n"
    while line and not line.strip():
        line = file.readline(PIECE)
    name, found, rest = line.partition(":")
    if not found or name.strip().lower() != head.lower():
        raise ValueError(f"MOTION needs the lines 'Frames:' and 'Frame Time:'; got {quoted(line.strip()[:40])}")
    return rest.strip()


def _frames_line(file: TextIO) -> int:
    """How many frames the file says that it has."""
    text = _headed_line(file, "Frames")
    if not text.isdecimal() or len(text) > 18:
        raise ValueError(f"{quoted(text[:40])} is no number of frames")
    return int(text)


def _read_table(file: TextIO, frames: int, width: int) -> Float[np.ndarray, "time channel"]:
    """The rows of the MOTION section; what stands after them is left unread."""
    values = np.empty(frames * width)
    filled, cut_word = 0, ""
    while filled < len(values) and (piece := file.read(PIECE)):
        words = (cut_word + piece).replace(",", ".").split()
        cut_word = "" if piece[-1].isspace() or not words else words.pop()
        if len(cut_word) > 1000:
            raise ValueError(f"{quoted(cut_word[:40])} is no number")
        numbers = np.array(words[: len(values) - filled], np.float64)
        values[filled : filled + len(numbers)] = numbers
        filled += len(numbers)
    if cut_word and filled < len(values):
        values[filled] = float(cut_word)
        filled += 1
    if filled < len(values):
        raise ValueError(f"it has {filled} numbers for {frames} frames of {width}: it is truncated")
    if not (np.abs(values) <= MAX_VALUE).all():
        raise ValueError(f"its motion holds values that are not finite, or beyond {MAX_VALUE:g}")
    return values.reshape(frames, width)
