"""Motion capture for a body: a BVH file from anywhere, as a motion on the body's own skeleton.

Files differ in what their zero pose is: a T-pose, arms down, or every bone along its own x axis. So rest poses are not
trusted. Each joint is read by what it carries: which way its bone points is fixed in its own frame, and which way it
faces shows over the clip, in knees and elbows that bend one way only and in hips and shoulders that have two sides.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.characters.rig.roles import find_roles, missing_roles
from understudy.core.character import Character
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS, Motion, Skeleton
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rotations import continuous, matrix_from_vector, quaternion_from_matrix, quaternion_multiply
from understudy.geometry.vectors import unit
from understudy.io.motions.bvh import local_quaternions, read_bvh
from understudy.retarget.contacts import find_contacts
from understudy.retarget.rest import measure
from understudy.retarget.retarget import RetargetConfig, retarget_motion
from understudy.runtime.errors import FileFormatError, InputError
from understudy.synthetic.films.lens import motion_at

__all__ = ["Capture", "captured", "captured_motion", "performed"]

LOWEST_PERCENT = 5.0
"""The ground is where the soles are in this share of the frames or below."""
STRAIGHT = 0.02
"""How much the sides of hips or shoulders count against the bend (a sine) of knees and elbows."""
X, Y, _ = np.eye(3)


@dataclass(frozen=True)
class Capture:
    """What a performer did, done by another body."""

    motion: Motion
    ground_contact: Bool[np.ndarray, "time 2"]
    """When the performer's left and right foot stood. Feet of `motion` stand then, and seldom else: looked for once
    more, contacts would be a little longer."""


def captured_motion(path: Path, body: Character, frame_rate: Fraction, max_frames: int) -> Motion:
    """A BVH file done by a body of BODY_JOINTS in T-pose: from its first frame on, over the origin, facing +Z.

    Raises:
        FileFormatError: no BVH, or its arms, legs and hips cannot be told.
        InputError: it is shorter than two frames.
    """
    return captured(path, body, frame_rate, max_frames).motion


def captured(path: Path, body: Character, frame_rate: Fraction, max_frames: int) -> Capture:
    """`captured_motion` with the contacts of the performer's feet. Raises as that does."""
    # The unit is all one: what the performer does is scaled to the body.
    return performed(_resampled(read_bvh(path, unit_m=1.0), frame_rate, max_frames, path), body, path.name)


def performed(motion: Motion, body: Character, name: str) -> Capture:
    """A performer's motion, on any skeleton and in any unit, done by a body of BODY_JOINTS in T-pose.

    It begins over the origin, facing +Z; `name` is the motion's, for messages.

    Raises:
        FileFormatError: its arms, legs and hips cannot be told.
    """
    skeleton = motion.skeleton
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)[:, :3, 3]
    roles = find_roles(skeleton.names, skeleton.parents, rest, {})
    if missing := missing_roles(roles):
        raise FileFormatError(f"{name} has no joints for {', '.join(missing)}: name them as usual (LeftArm …)")
    seen = _Seen.of(motion, roles)
    R = np.stack([seen.R(role) @ _fixed_turn(seen, role) for role in BODY_JOINTS], 1)
    root = seen.p("Hips") * (_leg_length(body.skeleton) / seen.leg_length)
    done = _on_the_ground(Motion(body.skeleton, local_quaternions(BODY_PARENTS, R), root, motion.frame_rate))
    contact = find_contacts(done.T_world_joint(), measure(body), float(motion.frame_rate)).standing
    # The body's legs are not the performer's: feet that stand are put where they stood.
    planted = retarget_motion(done, body, body, RetargetConfig(clear_arms=False), contact)
    return Capture(_begun_at_the_origin(planted), contact)


def _resampled(motion: Motion, frame_rate: Fraction, max_frames: int, path: Path) -> Motion:
    frames = min(int((len(motion) - 1) * frame_rate / motion.frame_rate) + 1, max_frames)
    if frames < 2:
        raise InputError(f"{path.name} has {len(motion)} frames: a motion needs two or more at {frame_rate} a second")
    return replace(motion_at(motion, np.arange(frames) * float(motion.frame_rate / frame_rate)), frame_rate=frame_rate)


@dataclass(frozen=True)
class _Seen:
    """The performer's joints over time, by the part that they play."""

    T: Float[np.ndarray, "time joint 4 4"]
    joint: dict[str, int]
    """Of every part; a missing one is the nearest above that is there."""

    @staticmethod
    def of(motion: Motion, roles: dict[str, int]) -> "_Seen":
        joint: dict[str, int] = {}
        for role, parent in zip(BODY_JOINTS, BODY_PARENTS, strict=True):
            joint[role] = roles[role] if role in roles else joint[BODY_JOINTS[parent]]
        return _Seen(motion.T_world_joint(), joint)

    def R(self, role: str) -> Float[np.ndarray, "time 3 3"]:
        return self.T[:, self.joint[role], :3, :3]

    def p(self, role: str) -> Float[np.ndarray, "time 3"]:
        return self.T[:, self.joint[role], :3, 3]

    def across(self, part: str) -> Float[np.ndarray, "time 3"]:
        """Unit vectors from the right one of a pair to the left one."""
        return unit(self.p(f"Left{part}") - self.p(f"Right{part}"))

    def bone(self, start: str, end: str) -> Float[np.ndarray, "time 3"]:
        """Unit vectors along a bone; zero where one end is missing."""
        return unit(self.p(end) - self.p(start))

    def fixed(self, role: str, directions: Float[np.ndarray, "time 3"]) -> Float[np.ndarray, "3"]:
        """The mean of directions as a joint sees them."""
        return np.einsum("tji,tj->i", self.R(role), directions) / len(directions)

    @property
    def leg_length(self) -> float:
        thigh, shin = (self.p(f"Left{a}") - self.p(f"Left{b}") for a, b in (("Leg", "UpLeg"), ("Foot", "Leg")))
        return float(np.linalg.norm(thigh[0]) + np.linalg.norm(shin[0]))


def _fixed_turn(seen: _Seen, role: str) -> Float[np.ndarray, "3 3"]:
    """What turns the T-pose of a part into its joint's own frame: a main direction, and another as near as can be."""
    side = "Left" if role.startswith("Left") else "Right"
    sign = 1.0 if side == "Left" else -1.0
    part = role.removeprefix(side)
    up, hips, shoulders = seen.bone("Hips", "Neck"), seen.across("UpLeg"), seen.across("Arm")
    if part in ("UpLeg", "Leg", "Foot", "ToeBase"):
        knee = _bend(seen, (f"{side}UpLeg", f"{side}Leg", f"{side}Foot"), hips)
        if part in ("UpLeg", "Leg"):
            return _turn(seen, role, (-Y, seen.bone(role, f"{side}{'Leg' if part == 'UpLeg' else 'Foot'}")), (X, knee))
        # A foot that stands is level, and above it, on the whole, the shin upright.
        return _turn(seen, role, (X, knee), (-Y, seen.bone(f"{side}Leg", f"{side}Foot")), _level(seen, side))
    if part in ("Arm", "ForeArm", "Hand"):
        elbow = -sign * _bend(seen, (f"{side}Arm", f"{side}ForeArm", f"{side}Hand"), -sign * up)
        along = seen.bone(f"{side}{'Arm' if part == 'Arm' else 'ForeArm'}",
                          f"{side}{'ForeArm' if part == 'Arm' else 'Hand'}")  # fmt: skip
        return _turn(seen, role, (sign * X, along), (Y, elbow))
    if part == "Shoulder":
        return _turn(seen, role, (sign * X, seen.bone(role, f"{side}Arm")), (Y, up))
    if role == "Hips":
        return _turn(seen, role, (X, hips), (Y, up))
    return _turn(seen, role, (Y, up), (X, shoulders if role in ("Spine2", "Neck", "Head") else hips + shoulders))


def _turn(
    seen: _Seen,
    role: str,
    first: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "time 3"]],
    second: tuple[Float[np.ndarray, "3"], Float[np.ndarray, "time 3"]],
    weight: Float[np.ndarray, " time"] | None = None,
) -> Float[np.ndarray, "3 3"]:
    """The rotation that brings the T-pose's directions (first of each pair) to those that are seen."""
    weight = np.ones(len(seen.T)) if weight is None else weight
    frames = []
    for a, b in (
        (first[0], second[0]), (seen.fixed(role, first[1]), seen.fixed(role, weight[:, None] * second[1]))
    ):  # fmt: skip
        a = unit(a)
        b = unit(b - (a @ b) * a)
        frames.append(np.stack([a, b, np.cross(a, b)], -1))
    return frames[1] @ frames[0].T


def _bend(
    seen: _Seen, joints: tuple[str, str, str], straight: Float[np.ndarray, "time 3"]
) -> Float[np.ndarray, "time 3"]:
    """The axis about which the middle one of three joints bends, as large as it is bent; `straight` helps out."""
    upper, lower = seen.bone(joints[0], joints[1]), seen.bone(joints[1], joints[2])
    return np.cross(upper, lower) + STRAIGHT * straight


def _level(seen: _Seen, side: str) -> Float[np.ndarray, " time"]:
    """1 in the frames in which a foot is low and slow, 0 else; 1 in all if it never is."""
    foot = seen.p(f"{side}Foot")
    speed = np.linalg.norm(np.gradient(foot, axis=0), axis=1)
    low = (foot[:, 1] <= np.percentile(foot[:, 1], 40)) & (speed <= np.percentile(speed, 40))
    return low.astype(float) if low.any() else np.ones(len(foot))


def _leg_length(skeleton: Skeleton) -> float:
    offsets = skeleton.T_parent_joint[:, :3, 3]
    return float(sum(np.linalg.norm(offsets[BODY_JOINTS.index(name)]) for name in ("LeftLeg", "LeftFoot")))


def _on_the_ground(motion: Motion) -> Motion:
    """The motion so high that ankles and toes come as low as they stand at rest."""
    skeleton = motion.skeleton
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)[:, 1, 3]
    feet = [BODY_JOINTS.index(f"{side}{part}") for side in ("Left", "Right") for part in ("Foot", "ToeBase")]
    above = (motion.T_world_joint()[:, feet, 1, 3] - rest[feet]).min(1)
    return replace(motion, root_position_m=motion.root_position_m - [0.0, np.percentile(above, LOWEST_PERCENT), 0.0])


def _begun_at_the_origin(motion: Motion) -> Motion:
    ahead = motion.T_world_joint()[0, 0, :3, 2]
    R = matrix_from_vector(np.array([0.0, -np.arctan2(ahead[0], ahead[2]), 0.0]))
    root = (motion.root_position_m - motion.root_position_m[0] * [1.0, 0.0, 1.0]) @ R.T
    q = motion.q_parent_joint.copy()
    q[:, 0] = continuous(quaternion_multiply(np.broadcast_to(quaternion_from_matrix(R), q[:, 0].shape), q[:, 0]))
    return replace(motion, q_parent_joint=q, root_position_m=root)
