"""BVH files: equal to other readers, exact round trips, one sentence for broken files."""

import json
from fractions import Fraction

import numpy as np
import pytest

from understudy.core.motion import BODY_JOINTS, BODY_PARENTS, Motion, Skeleton
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rotations import quaternion_from_matrix, quaternion_from_vector
from understudy.io.motions.bvh import parse_bvh, read_bvh, write_bvh
from understudy.io.video.frame_rates import frame_rate_from_period
from understudy.runtime.errors import FileFormatError


def body_skeleton(seed: int = 0, turned: bool = False) -> Skeleton:
    """A figure of about 1.7 m on the canonical joints; `turned`: with arbitrary rest rotations."""
    rng = np.random.default_rng(seed)
    T = np.tile(np.eye(4), (len(BODY_JOINTS), 1, 1))
    T[:, :3, 3] = rng.uniform(-0.2, 0.2, (len(BODY_JOINTS), 3)) + [0, 0.1, 0]
    T[0, :3, 3] = (0, 0.95, 0)
    if turned:
        T[:, :3, :3] = [matrix for matrix in random_rotations(rng, len(T))]
    return Skeleton(BODY_JOINTS, BODY_PARENTS, T)


def random_rotations(rng, count):
    from scipy.spatial.transform import Rotation

    return Rotation.random(count, rng=rng).as_matrix()


def wild_motion(skeleton: Skeleton, frames: int = 40, rate: Fraction = Fraction(30)) -> Motion:
    rng = np.random.default_rng(3)
    steps = rng.normal(size=(frames, len(skeleton), 3)).cumsum(0) * 0.2
    q = quaternion_from_vector(steps)
    return Motion(skeleton, q, rng.normal(size=(frames, 3)).cumsum(0) * 0.05, rate)


def positions(motion: Motion) -> np.ndarray:
    s = motion.skeleton
    T = forward_kinematics(s.parents, s.T_parent_joint[:, :3, 3], motion.q_parent_joint, motion.root_position_m)
    return T[..., :3, 3]


@pytest.mark.parametrize("name", ["cmu_jumping_jacks", "fair_wave_hello", "bandai1_walk_normal_001", "rokoko_dance"])
def test_joint_positions_equal_those_of_other_readers(shared_data, name):
    folder = shared_data / "conformance" / "bvh"
    facts = json.loads((folder / "joints.json").read_text())
    expected = np.load(folder / "joints.npz")[f"{name}.joint_position"]
    clip = parse_bvh(shared_data / "motions" / f"{name}.bvh")
    assert json.dumps(list(clip.names)) in json.dumps(facts)
    scale = np.abs(expected).max()
    assert np.abs(clip.world()[[0, 10, 50], :, :3, 3] - expected).max() < 1e-4 * max(1.0, scale / 1000)


@pytest.mark.parametrize("name, unit_m", [("bandai1_walk_normal_001", None), ("rokoko_dance", None)])
def test_other_peoples_files_become_motions(shared_data, name, unit_m):
    path = shared_data / "motions" / f"{name}.bvh"
    motion, clip = read_bvh(path, unit_m=unit_m), parse_bvh(path)
    joints = [clip.names.index(joint) for joint in motion.skeleton.names]
    there = clip.world()[:, joints][..., :3, 3] * 0.01
    assert np.abs(positions(motion) - there).max() < 1e-3
    assert motion.skeleton.names[0] == "Hips"


def test_z_up_files_are_turned(shared_data):
    motion = read_bvh(shared_data / "motions" / "fair_wave_hello.bvh", unit_m=0.1)
    at = positions(motion)
    head, hips = motion.skeleton.names.index("Head"), 0
    assert (at[:, head, 1] - at[:, hips, 1]).min() > 0.3


@pytest.mark.parametrize("order", ["ZXY", "XYZ", "YXZ", "ZYX"])
def test_round_trip_on_the_same_skeleton(tmp_path, order):
    for turned in (False, True):
        motion = wild_motion(body_skeleton(turned=turned))
        write_bvh(tmp_path / "a.bvh", motion, rotation_order=order)
        back = read_bvh(tmp_path / "a.bvh", motion.skeleton)
        assert np.abs(positions(back) - positions(motion)).max() < 1e-6
        assert np.abs(np.abs((back.q_parent_joint * motion.q_parent_joint).sum(-1)) - 1).max() < 1e-9
        assert back.frame_rate == motion.frame_rate


def test_round_trip_without_a_skeleton_keeps_the_canonical_rotations(tmp_path):
    motion = wild_motion(body_skeleton())
    write_bvh(tmp_path / "a.bvh", motion)
    back = read_bvh(tmp_path / "a.bvh")
    assert back.skeleton.names == motion.skeleton.names
    assert np.abs(positions(back) - positions(motion)).max() < 1e-6
    assert np.abs(np.abs((back.q_parent_joint * motion.q_parent_joint).sum(-1)) - 1).max() < 1e-9


def test_euler_curves_do_not_jump(tmp_path):
    skeleton = body_skeleton()
    turn = np.zeros((200, len(skeleton), 3))
    turn[:, 0, 1] = np.linspace(0, 6 * np.pi, 200)
    motion = Motion(skeleton, quaternion_from_vector(turn), np.zeros((200, 3)), Fraction(25))
    write_bvh(tmp_path / "a.bvh", motion)
    assert np.abs(np.diff(parse_bvh(tmp_path / "a.bvh").values, axis=0)).max() < 10.0


def test_edited_elsewhere(tmp_path):
    """Blender gives back +Z up, other joint order, positions on every joint, and may add joints."""
    motion = wild_motion(body_skeleton(turned=True), frames=20)
    write_bvh(tmp_path / "a.bvh", motion)
    clip = parse_bvh(tmp_path / "a.bvh")
    C = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    T = clip.world()
    turned = Motion(
        Skeleton(clip.names, clip.parents, _with_offsets(clip.offsets @ C.T * 0.01)),
        _local(clip.parents, C @ T[..., :3, :3] @ C.T),
        T[:, 0, :3, 3] @ C.T * 0.01,
        clip.frame_rate,
    )
    order = np.random.default_rng(1).permutation(len(clip.names))
    order = sorted(range(len(order)), key=lambda joint: (_depth(clip.parents, joint), order[joint]))
    place = {joint: new for new, joint in enumerate(order)}
    shuffled = Motion(
        Skeleton(
            tuple(turned.skeleton.names[joint] for joint in order),
            tuple(place.get(clip.parents[joint], -1) for joint in order),
            turned.skeleton.T_parent_joint[order],
        ),
        turned.q_parent_joint[:, order],
        turned.root_position_m,
        turned.frame_rate,
    )
    write_bvh(tmp_path / "b.bvh", shuffled, unit_m=1.0, rotation_order="XYZ")
    back = read_bvh(tmp_path / "b.bvh", motion.skeleton)
    assert np.abs(positions(back) - positions(motion)).max() < 1e-4


def _depth(parents, joint):
    return 0 if parents[joint] < 0 else 1 + _depth(parents, parents[joint])


def _with_offsets(offsets):
    T = np.tile(np.eye(4), (len(offsets), 1, 1))
    T[:, :3, 3] = offsets
    return T


def _local(parents, R):
    local = R.copy()
    for joint, parent in enumerate(parents):
        if parent >= 0:
            local[:, joint] = R[:, parent].swapaxes(1, 2) @ R[:, joint]
    return quaternion_from_matrix(local)


@pytest.mark.parametrize(
    "text, rate",
    [
        ("0.0333333", Fraction(30)), (".03333", Fraction(30)), ("0.008342", Fraction(120000, 1001)),
        ("0.033367", Fraction(30000, 1001)), ("0.041708", Fraction(24000, 1001)), ("0.01", Fraction(100)),
        ("0.04", Fraction(25)), ("0.016683333333333", Fraction(60000, 1001)), ("0.4", Fraction(5, 2)),
    ],
)  # fmt: skip
def test_frame_rates_from_periods(text, rate):
    assert frame_rate_from_period(text) == rate


@pytest.mark.parametrize(
    "rate", [Fraction(30000, 1001), Fraction(24), Fraction(2983, 100), Fraction(12, 7), Fraction(312, 11)]
)
def test_frame_rates_survive(tmp_path, rate):
    motion = wild_motion(body_skeleton(), 3, rate)
    write_bvh(tmp_path / "a.bvh", motion)
    assert read_bvh(tmp_path / "a.bvh").frame_rate == rate


GOOD = """HIERARCHY
ROOT Hips
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT Head
 {
  OFFSET 0 170 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  End Site
  {
   OFFSET 0 10 0
  }
 }
}
MOTION
Frames: 1
Frame Time: 0.04
0 0 0 0 0 0 0 0 0
"""


def test_the_smallest_file_reads(tmp_path):
    (tmp_path / "a.bvh").write_text(GOOD)
    assert read_bvh(tmp_path / "a.bvh").skeleton.T_parent_joint[1, 1, 3] == pytest.approx(1.7)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("MOTION", "", "no word"), ("HIERARCHY", "", "no HIERARCHY"),
        ("Frames: 1", "Frames: 9", "truncated"), ("0.04", "0", "lasts"),
        ("0.04", "soon", "no number"), ("Xposition", "Wposition", "channel"), ("0 170 0", "0 nan 0", "finite"),
        ("OFFSET 0 10 0\n  }\n }\n}", "OFFSET 0 10 0", "cut off"), ("0 170 0", "0 17 0", "unit_m"),
        ("0 0 0 0 0 0 0 0 0", "0 0 0 0 0 inf 0 0 0", "finite"), (" JOINT Head", " BONE Head", "no word"),
        ("ROOT Hips\n{", "", "outside of any joint"),
        ("3 Zrotation Xrotation Yrotation", "3 Zrotation Zrotation Yrotation", "turns about Z, Z, Y"),
        ("3 Zrotation Xrotation Yrotation", "4 Zrotation Xrotation Yrotation Xrotation", "turns about Z, X, Y, X"),
    ],
)  # fmt: skip
def test_broken_files_say_why(tmp_path, old, new, words):
    (tmp_path / "a.bvh").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=words):
        read_bvh(tmp_path / "a.bvh")


def test_decimal_commas_are_decimals(tmp_path):
    (tmp_path / "a.bvh").write_text(GOOD.replace("0 170 0", "0,0 170,5 0,0").replace("0.04", "0,04"))
    motion = read_bvh(tmp_path / "a.bvh")
    assert motion.skeleton.T_parent_joint[1, 1, 3] == pytest.approx(1.705)
    assert motion.frame_rate == 25


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("Frames: 1", "Frames: 100000000000000", "cannot hold"), ("Frames: 1", "Frames: " + "9" * 5000, "frames"),
        ("Frames: 1", "Frames: -1", "no number of frames"), ("0.04", "1e-999999999", "lasts"),
        ("0.04", "1e999999999", "lasts"), ("0.04", "0." + "0" * 400 + "1", "lasts"), ("0.04", "nan", "lasts"),
        ("CHANNELS 3", "CHANNELS 999999999", "channels"), ("0 170 0", "0 1e300 0", "beyond"),
        ("0 0 0 0 0 0 0 0 0", "0 0 0 0 0 1e300 0 0 0", "beyond"),
    ],
)  # fmt: skip
def test_sizes_and_values_beyond_reason_are_refused(tmp_path, old, new, words):
    (tmp_path / "a.bvh").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=words):
        read_bvh(tmp_path / "a.bvh")


def test_joints_times_frames_are_counted_before_memory_is_taken(tmp_path):
    """Many joints without channels: the file has no numbers for them, a motion would."""
    joints = "".join(f"JOINT J{n} {{ OFFSET 0 1 0 CHANNELS 0 End Site {{ OFFSET 0 1 0 }} }}\n" for n in range(1900))
    frames = 40_000
    text = GOOD.replace(" JOINT Head", joints + " JOINT Head").replace("Frames: 1", f"Frames: {frames}")
    (tmp_path / "a.bvh").write_text(text + "0 0 0 0 0 0 0 0 0\n" * (frames - 1))
    with pytest.raises(FileFormatError, match="rotations"):
        read_bvh(tmp_path / "a.bvh")


def test_a_chain_of_joints_deeper_than_pythons_stack(tmp_path):
    deep = "".join(f"JOINT J{n}\n{{\nOFFSET 0 1 0\nCHANNELS 0\n" for n in range(5000)) + "}\n" * 5000
    (tmp_path / "a.bvh").write_text(GOOD.replace(" JOINT Head", deep + " JOINT Head"))
    with pytest.raises(FileFormatError, match="one below another"):
        read_bvh(tmp_path / "a.bvh")
    count = 1500
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, 1, 3] = 0.001
    chain = Skeleton(tuple(f"J{n}" for n in range(count)), tuple(range(-1, count - 1)), T)
    q = np.tile([1.0, 0, 0, 0], (1, count, 1))
    write_bvh(tmp_path / "b.bvh", Motion(chain, q, np.zeros((1, 3)), Fraction(25)))
    assert (tmp_path / "b.bvh").read_text().count("JOINT") == count - 1


def test_long_clips_are_read_piece_by_piece(tmp_path):
    motion = wild_motion(body_skeleton(), frames=1203)
    write_bvh(tmp_path / "a.bvh", motion)
    back = read_bvh(tmp_path / "a.bvh", motion.skeleton)
    assert np.abs(positions(back) - positions(motion)).max() < 1e-5
    assert (np.einsum("tjk,tjk->tj", back.q_parent_joint[1:], back.q_parent_joint[:-1]) > 0).all()


def test_decimal_commas_of_a_real_file(shared_data):
    motion = read_bvh(shared_data / "faults" / "comma_decimals.bvh")
    assert len(motion) == 24 and motion.frame_rate == 24


def test_missing_file_and_missing_joints(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_bvh(tmp_path / "none.bvh")
    (tmp_path / "a.bvh").write_text(GOOD)
    with pytest.raises(FileFormatError, match="lacks"):
        read_bvh(tmp_path / "a.bvh", body_skeleton())
