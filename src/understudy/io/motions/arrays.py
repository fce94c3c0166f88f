"""Motions and landmark tracks as .npz tables that any NumPy can open."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from understudy.core.footage import LandmarkTrack
from understudy.core.motion import Motion, Skeleton
from understudy.io.arrays import read_arrays, write_arrays
from understudy.io.files import reading

__all__ = [
    "LANDMARK_ARRAYS",
    "LANDMARK_TRACK",
    "MOTION",
    "MOTION_ARRAYS",
    "read_landmarks_npz",
    "read_motion_npz",
    "write_landmarks_npz",
    "write_motion_npz",
]

MOTION, LANDMARK_TRACK = "understudy motion 1", "understudy landmarks 1"
MOTION_ARRAYS = {
    "joint_names": "joint: text",
    "joint_parents": "joint: index of the parent, before its children; −1 for a root",
    "rest_T_parent_joint_m": "joint 4 4: the rest pose, joint frame to parent frame, metres, +Y up, facing +Z",
    "q_parent_joint_wxyz": "time joint 4: the full rotation of each joint in its parent's frame, unit quaternions",
    "root_position_m": "time 3: the first joint in the world, metres",
    "frame_rate": "2: numerator and denominator, frames per second",
}
"""The arrays of a motion, with their axes."""
LANDMARK_ARRAYS = {
    "landmarks_px": "time 33 2: BlazePose's landmarks in the full picture, pixels, right and down; the first pixel's"
    " centre is (0.5, 0.5)",
    "visibility": "time 33: how surely a landmark is there and in sight, 0 … 1",
    "landmarks_m": "time 33 3: the model's own guess, metres, hips at the origin, camera axes",
    "seen": "time: whether the person was found, true or false; elsewhere the values are interpolated",
}
"""The arrays of a landmark track, with their axes."""
MAX_FRAME_RATE, MAX_DISTANCE_M, MAX_LANDMARK = 100_000, 1e7, 1e7


def write_motion_npz(path: Path, motion: Motion) -> None:
    """Write a motion with its skeleton."""
    values = (
        np.array(motion.skeleton.names, dtype=str),
        np.array(motion.skeleton.parents, np.int64),
        motion.skeleton.T_parent_joint,
        motion.q_parent_joint,
        motion.root_position_m,
        np.array([motion.frame_rate.numerator, motion.frame_rate.denominator], np.int64),
    )
    write_arrays(path, MOTION, dict(zip(MOTION_ARRAYS, values, strict=True)))


def read_motion_npz(path: Path) -> Motion:
    """Read what `write_motion_npz` wrote.

    Raises:
        FileFormatError: no such table, or its arrays do not fit together.
    """
    arrays = read_arrays(path, MOTION, tuple(MOTION_ARRAYS))
    names, parents, rest, q, root_position_m, rate = (arrays[name] for name in MOTION_ARRAYS)
    with reading(path, "motion", advice="delete it to have it made again"):
        frame_rate = Fraction(int(rate[0]), int(rate[1]))
        if not 0 < frame_rate <= MAX_FRAME_RATE:
            raise ValueError(f"its frame rate is {float(frame_rate):g}")
        if not (np.abs(root_position_m) <= MAX_DISTANCE_M).all():
            raise ValueError(f"its root is further than {MAX_DISTANCE_M:g} m away")
        names = tuple(str(name) for name in names)
        if any("\ud800" <= letter <= "\udfff" for name in names for letter in name):
            raise ValueError("the name of a joint is no text")
        skeleton = Skeleton(names, tuple(int(parent) for parent in parents), rest)
        return Motion(skeleton, q, root_position_m, frame_rate)


def write_landmarks_npz(path: Path, track: LandmarkTrack) -> None:
    """Write one person's landmarks."""
    write_arrays(path, LANDMARK_TRACK, {name: getattr(track, name) for name in LANDMARK_ARRAYS})


def read_landmarks_npz(path: Path) -> LandmarkTrack:
    """Read what `write_landmarks_npz` wrote.

    Raises:
        FileFormatError: no such table, or its arrays do not fit together.
    """
    arrays = read_arrays(path, LANDMARK_TRACK, tuple(LANDMARK_ARRAYS))
    with reading(path, "track of landmarks", advice="delete it to have it made again"):
        arrays["seen"] = arrays["seen"].astype(bool)
        for name in ("landmarks_px", "visibility", "landmarks_m"):
            if not (np.abs(arrays[name]) <= MAX_LANDMARK).all():
                raise ValueError(f"{name} holds values that are not finite, or beyond {MAX_LANDMARK:g}")
        return LandmarkTrack(**arrays)
