"""Motion and landmark tables: exact round trips; nothing is unpickled."""

import io
import struct
import zipfile
from fractions import Fraction

import numpy as np
import pytest
from box_person import box_person

from understudy.core.footage import LandmarkTrack
from understudy.core.motion import Motion
from understudy.geometry.rotations import quaternion_from_vector
from understudy.io.motions.arrays import read_landmarks_npz, read_motion_npz, write_landmarks_npz, write_motion_npz
from understudy.runtime.errors import FileFormatError


@pytest.fixture
def motion() -> Motion:
    rng = np.random.default_rng(0)
    skeleton = box_person().skeleton
    return Motion(skeleton, quaternion_from_vector(rng.normal(size=(5, 22, 3))), rng.normal(size=(5, 3)),
                  Fraction(24000, 1001))  # fmt: skip


def test_motion_round_trip(tmp_path, motion):
    write_motion_npz(tmp_path / "motion.npz", motion)
    back = read_motion_npz(tmp_path / "motion.npz")
    assert back.skeleton.names == motion.skeleton.names and back.skeleton.parents == motion.skeleton.parents
    assert (back.skeleton.T_parent_joint == motion.skeleton.T_parent_joint).all()
    assert (back.q_parent_joint == motion.q_parent_joint).all()
    assert (back.root_position_m == motion.root_position_m).all()
    assert back.frame_rate == motion.frame_rate


def test_landmarks_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    track = LandmarkTrack(rng.normal(size=(4, 33, 2)), rng.uniform(size=(4, 33)), rng.normal(size=(4, 33, 3)),
                          np.array([True, False, True, True]))  # fmt: skip
    write_landmarks_npz(tmp_path / "landmarks.npz", track)
    back = read_landmarks_npz(tmp_path / "landmarks.npz")
    for name in ("landmarks_px", "visibility", "landmarks_m", "seen"):
        assert (getattr(back, name) == getattr(track, name)).all()


def test_tables_of_another_kind(tmp_path, motion):
    write_motion_npz(tmp_path / "motion.npz", motion)
    with pytest.raises(FileFormatError, match="holds understudy motion 1; expected understudy landmarks 1"):
        read_landmarks_npz(tmp_path / "motion.npz")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"frame_rate": np.array([30, 0])}, "readable motion"), ({"joint_parents": np.zeros(22, int)}, "stands before"),
        ({"root_position_m": np.zeros((4, 3))}, "readable motion"),
        ({"joint_parents": np.array(["a"] * 22)}, "readable"),
        ({"root_position_m": np.full((5, 3), np.nan)}, "away"),
        ({"q_parent_joint_wxyz": None}, "lacks"), ({"joint_names": np.array([{}], object)}, "npz"),
        ({"frame_rate": np.array([np.inf, 1])}, "readable"), ({"root_position_m": np.zeros(5, bool)}, "readable"),
        ({"root_position_m": np.full((5, 3), 1e300)}, "away"),
        ({"format": np.array("x")}, "holds x"), ({"joint_names": np.array(["\ud800"] * 22)}, "no text"),
    ],
)  # fmt: skip
def test_broken_tables_say_why(tmp_path, motion, change, words):
    write_motion_npz(tmp_path / "motion.npz", motion)
    arrays = dict(np.load(tmp_path / "motion.npz")) | change
    np.savez(tmp_path / "motion.npz", **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(FileFormatError, match=words):
        read_motion_npz(tmp_path / "motion.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x80\x04K\x01."])
def test_files_that_are_no_tables(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(FileFormatError):
        read_motion_npz(tmp_path / "a.npz")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_motion_npz(tmp_path / "none.npz")


def test_a_shape_larger_than_its_file_takes_no_memory(tmp_path, motion):
    path = tmp_path / "motion.npz"
    write_motion_npz(path, motion)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50, 3)})
    for content, words in ((header.getvalue() + bytes(24), "memory"), (b"no array", r"\.npz")):
        with zipfile.ZipFile(path, "w") as archive:
            for name, old in members.items():
                archive.writestr(name, content if name == "root_position_m.npy" else old)
        with pytest.raises(FileFormatError, match=words):
            read_motion_npz(path)


@pytest.mark.parametrize("large", [False, True], ids=["zip", "zip64"])
def test_a_list_of_too_many_arrays_is_not_read(tmp_path, large):
    count, entry = 100_000, struct.pack("<4s42sB", b"PK\1\2", b"\0" * 24 + b"\1" + b"\0" * 17, 97)
    size = count * len(entry)
    end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, 0)
    end += struct.pack("<4sLQL", b"PK\6\7", 0, size, 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 0xFFFFFFFF if large else size, 0, 0)
    path = tmp_path / "a.npz"
    path.write_bytes(entry * count + (end if large else b"") + last)
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == count
    with pytest.raises(FileFormatError, match="list of arrays"):
        read_motion_npz(path)


def test_a_damaged_table(tmp_path, motion):
    path = tmp_path / "motion.npz"
    write_motion_npz(path, motion)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("joint_names.npy").header_offset + 80
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"no readable table"):
        read_motion_npz(path)
