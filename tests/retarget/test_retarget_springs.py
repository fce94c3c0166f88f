"""Laws of loose parts: they rest with the body, lag and settle, keep their lengths, and stay out of the body."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from understudy.core.character import Character, Material, Mesh
from understudy.core.motion import Motion, Skeleton
from understudy.core.springs import Collider, SpringBone, SpringChain
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert
from understudy.geometry.rotations import quaternion_from_matrix, quaternion_from_vector
from understudy.geometry.vectors import triple
from understudy.retarget.springs import swung

LENGTH_M = 0.15
CHAIN = (1, 2, 3)
"""The joints of the lock; joint 4 is its end."""


def lock(colliders: tuple[Collider, ...] = (), aside: float = 0.0, **bone: float) -> Character:
    """A body of one joint with a lock of three bones that hangs, turned aside by some radians, behind it."""
    offset = LENGTH_M * np.array([np.sin(aside), -np.cos(aside), 0.0])
    T = np.tile(np.eye(4), (5, 1, 1))
    T[:, :3, 3] = [[0, 1.5, 0], [0, 0, -0.1], offset, offset, offset]
    skeleton = Skeleton(("Hips", "a", "b", "c", "end"), (-1, 0, 1, 2, 3), T)
    settings = {"stiffness": 0.6, "drag": 0.2, "gravity": 0.3} | bone
    bones = tuple(SpringBone(joint, triple(offset), **settings) for joint in CHAIN)  # type: ignore[arg-type]
    corners = np.eye(3)
    mesh = Mesh(corners, np.array([[0, 1, 2]]), corners, corners[:, :2], np.zeros(1, int), (Material(),))
    bind = invert(rest_pose(skeleton.parents, T))
    chain = SpringChain("lock", bones, colliders, balanced=True)
    return Character(
        "lock", mesh, skeleton, bind, np.zeros((3, 1), int), np.ones((3, 1)), {"Hips": 0}, springs=(chain,)
    )


def moved(
    character: Character, path: np.ndarray, turn: np.ndarray | None = None, rate: Fraction = Fraction(30)
) -> Motion:
    """The character at rest, carried along a path from its place and turned about +Y."""
    skeleton = character.skeleton
    q = np.tile(quaternion_from_matrix(skeleton.T_parent_joint[:, :3, :3]), (len(path), 1, 1))
    if turn is not None:
        q[:, 0] = quaternion_from_vector(turn[:, None] * [0.0, 1.0, 0.0])
    return Motion(skeleton, q, path + skeleton.T_parent_joint[0, :3, 3], rate)


def stop(seconds: float = 3.0, rate: Fraction = Fraction(30), speed: float = 2.0) -> np.ndarray:
    """A path at even speed along +X that stops after a second."""
    t = np.arange(round(seconds * rate) + 1) / float(rate)
    return np.stack([speed * np.minimum(t, 1.0), 0 * t, 0 * t], 1)


def tail(motion: Motion) -> np.ndarray:
    """The end of the lock relative to the body."""
    T = motion.T_world_joint()
    return T[:, 4, :3, 3] - T[:, 0, :3, 3]


@pytest.mark.parametrize("aside", [0.0, 0.7])
def test_on_a_still_body_nothing_moves(aside):
    character = lock(aside=aside)
    still = moved(character, np.zeros((40, 3)))
    assert np.abs(swung(still, character).T_world_joint() - still.T_world_joint()).max() < 1e-9


def test_the_lock_hangs_behind_an_acceleration_and_then_settles():
    character = lock()
    result = tail(swung(moved(character, stop()), character))
    assert np.linalg.norm(result[1] - result[0]) < 0.01  # Already on its way in the first frame: no jump.
    after = result[30:42, 0]
    assert after.max() > 0.05  # The body stops, the lock swings on,
    assert np.linalg.norm(result[-1] - [0, -3 * LENGTH_M, -0.1]) < 1e-3  # and comes to rest.


def test_the_same_motion_gives_the_same_bits():
    character = lock()
    motion = moved(character, stop())
    assert swung(motion, character).q_parent_joint.tobytes() == swung(motion, character).q_parent_joint.tobytes()


def test_joints_without_springs_stay_to_the_bit():
    character = lock()
    motion = moved(character, stop(), np.linspace(0, 3, 91))
    result = swung(motion, character)
    assert (result.q_parent_joint[:, [0, 4]] == motion.q_parent_joint[:, [0, 4]]).all()
    assert (result.root_position_m == motion.root_position_m).all()


@pytest.mark.parametrize("rate", [Fraction(12), Fraction(24000, 1001), Fraction(60), Fraction(120)])
def test_every_frame_rate_gives_the_same_swing(rate):
    character = lock()
    seconds = 2.0
    t = np.arange(int(seconds * rate)) / float(rate)

    def path(t: np.ndarray) -> np.ndarray:
        return np.stack([0.3 * np.sin(3 * t), 0.05 * np.sin(7 * t), 0 * t], 1)

    fine = tail(swung(moved(character, path(np.arange(481) / 240), rate=Fraction(240)), character))
    result = tail(swung(moved(character, path(t), rate=rate), character))
    wanted = np.stack([np.interp(t, np.arange(481) / 240, fine[:, axis]) for axis in range(3)], 1)
    assert np.ptp(fine[:, 0]) > 0.03
    assert np.abs(result - wanted).max() < 0.006


@pytest.mark.parametrize(
    "settings", [{"stiffness": 40.0, "drag": 0.0}, {"stiffness": 0.0, "drag": 0.0, "gravity": 3.0}]
)
def test_extreme_springs_stay_finite_and_keep_the_length(settings):
    character = lock(**settings)
    rng = np.random.default_rng(5)
    motion = moved(character, np.cumsum(rng.normal(0, 0.1, (90, 3)), 0), rng.normal(0, 3, 90))
    T = swung(motion, character).T_world_joint()
    lengths = np.linalg.norm(T[:, 2:, :3, 3] - T[:, 1:-1, :3, 3], axis=-1)
    assert np.abs(lengths - LENGTH_M).max() < 1e-6


def test_bones_stay_out_of_colliders():
    def depths(character: Character, capsule: Collider) -> np.ndarray:
        """How deep the ends of the bones are inside."""
        T = swung(moved(character, stop()[:, [1, 2, 0]] * [1, 1, -1]), character).T_world_joint()
        middle = T[:, 0, :3, 3] + capsule.start
        offset = (T[:, 2:, :3, 3] - middle[:, None])[..., [0, 2]]
        return capsule.radius_m - np.linalg.norm(offset, axis=-1)

    capsule = Collider(0, (0.0, 0.5, 0.0), (0.0, -1.5, 0.0), 0.09)
    free = lock()
    kept = replace(free, springs=(replace(free.springs[0], colliders=(capsule,)),))
    assert depths(free, capsule).max() > 0.02  # Without it, the lock swings through the back.
    assert depths(kept, capsule).max() < 0.002


def test_spinning_flips_nothing():
    character = lock(aside=0.3)
    turn = np.linspace(0, 1, 121) ** 2 * 40
    q = swung(moved(character, np.zeros((121, 3)), turn), character).q_parent_joint[:, CHAIN]
    step = 2 * np.arccos(np.clip(np.abs((q[1:] * q[:-1]).sum(-1)), 0, 1))
    assert step.max() < 0.35


def test_after_a_cut_the_lock_hangs_settled():
    character = lock()
    path = np.zeros((40, 3))
    path[20:] += [30.0, 0, 0]
    result = tail(swung(moved(character, path), character))
    assert np.abs(result - result[0]).max() < 1e-9


def test_a_spring_that_is_not_balanced_sags_to_where_gravity_draws_it():
    character = lock(aside=1.0, stiffness=1.0, gravity=1.0)
    sagging = replace(character, springs=(replace(character.springs[0], balanced=False),))
    result = tail(swung(moved(character, np.zeros((30, 3))), sagging))
    assert result[0, 1] < tail(moved(character, np.zeros((1, 3))))[0, 1] - 0.05
    assert np.abs(result - result[0]).max() < 1e-3


def test_relative_to_its_centre_nothing_moves():
    character = lock()
    centred = replace(character, springs=(replace(character.springs[0], centre=0),))
    result = tail(swung(moved(character, stop()), centred))
    assert np.abs(result - result[0]).max() < 1e-6


def test_a_spring_on_a_joint_that_is_not_there_is_refused():
    character = lock()
    with pytest.raises(ValueError, match="names joint 9 of 5"):
        replace(character, springs=(SpringChain("lost", (SpringBone(9, (0.0, -0.1, 0.0)),)),))
