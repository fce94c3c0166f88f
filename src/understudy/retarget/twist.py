"""Twist spread along arms and legs, so that wrists and shoulders do not collapse.

Linear skinning draws flesh between two joints that are twisted against each other in to the bone (at 180° to a point).
Rigs have twist joints for that, which no motion names: each turns about its bone by the share at which it stands.
Game engines skin linearly too; what turns joints here is the same there.

Source: Kavan et al. 2007, Skinning with dual quaternions, section 2, for the collapse of linear skinning.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from understudy.geometry.rotations import matrix_from_vector, quaternion_from_matrix

__all__ = ["TwistJoint", "find_twists", "spread_twist"]

TWIST_NAME = re.compile("twist|roll|捩", re.IGNORECASE)
FROM_ABOVE = {"Arm": "ForeArm", "UpLeg": "Leg"}
"""Bones whose own twist runs out towards the trunk, and the parts at their ends."""
TO_THE_END = {"ForeArm": "Hand", "Leg": "Foot"}
"""Bones whose twist grows from nothing at the elbow or knee to all of the hand's or foot's at the end."""
UPPER = {"ForeArm": "Arm", "Leg": "UpLeg"}
MAX_ASIDE = 0.2
"""How far off its bone a twist joint stands at most, in lengths of the bone."""


@dataclass(frozen=True)
class TwistJoint:
    """A joint that turns about a bone."""

    joint: int
    side: str
    bone: str
    """The part at the bone's start: Arm, ForeArm, UpLeg or Leg."""
    share: float
    """Where along the bone it stands, 0 … 1."""


def find_twists(
    names: Sequence[str],
    parents: Sequence[int],
    positions: Float[np.ndarray, "joint 3"],
    roles: Mapping[str, int],
) -> tuple[TwistJoint, ...]:
    """The joints without a part of their own that stand on a limb's bone: by their names, or between its two ends."""
    role_of = {joint: role for role, joint in roles.items()}
    found: list[TwistJoint] = []
    for side in ("Left", "Right"):
        for bone, end in (FROM_ABOVE | TO_THE_END).items():
            start, last = roles.get(side + bone), roles.get(side + end)
            if start is None or last is None:
                continue
            along = positions[last] - positions[start]
            length = float(np.linalg.norm(along))
            inline = set(line_between(last, start, parents))
            for joint in range(len(parents)):
                if joint in role_of or nearest_role(joint, parents, role_of) != side + bone or length < 1e-9:
                    continue
                share = float((positions[joint] - positions[start]) @ along) / length**2
                aside = float(np.linalg.norm(positions[joint] - positions[start] - share * along)) / length
                on_it = -MAX_ASIDE < share < 1 + MAX_ASIDE and aside < MAX_ASIDE
                if on_it and (joint in inline or TWIST_NAME.search(names[joint])):
                    found.append(TwistJoint(joint, side, bone, float(np.clip(share, 0.0, 1.0))))
    return tuple(found)


def line_between(joint: int, above: int, parents: Sequence[int]) -> list[int]:
    """The joints that stand between two, if one hangs on the other."""
    line: list[int] = []
    while parents[joint] >= 0 and parents[joint] != above:
        joint = parents[joint]
        line.append(joint)
    return line if parents[joint] == above else []


def nearest_role(joint: int, parents: Sequence[int], role_of: Mapping[int, str]) -> str | None:
    """The part of the nearest joint above that has one."""
    while parents[joint] >= 0:
        joint = parents[joint]
        if joint in role_of:
            return role_of[joint]
    return None


def spread_twist(
    D: Float[np.ndarray, "time joint 3 3"],
    twists: Sequence[TwistJoint],
    parents: Sequence[int],
    positions: Float[np.ndarray, "joint 3"],
    roles: Mapping[str, int],
) -> Float[np.ndarray, "time joint 3 3"]:
    """Turns since the rest pose with those of twist joints, and of what hangs on them alone, put right.

    `positions` are of the rest pose.
    """
    if not twists:
        return D
    D, by_joint, role_joints = D.copy(), {twist.joint: twist for twist in twists}, set(roles.values())
    turned: set[int] = set()
    for joint, parent in enumerate(parents):
        twist = by_joint.get(joint)
        if twist is not None:
            start = roles[twist.side + twist.bone]
            end = roles[twist.side + (FROM_ABOVE | TO_THE_END)[twist.bone]]
            axis = positions[end] - positions[start]
            axis = axis / np.linalg.norm(axis)
            if twist.bone in FROM_ABOVE:
                above = D[:, parents[start]] if parents[start] >= 0 else np.broadcast_to(np.eye(3), D[:, start].shape)
                angle = -(1 - twist.share) * twist_angle(above, D[:, start], axis)
            else:
                own = twist_angle(D[:, roles[twist.side + UPPER[twist.bone]]], D[:, start], axis)
                angle = -own + twist.share * (own + twist_angle(D[:, start], D[:, end], axis))
            D[:, joint] = D[:, start] @ matrix_from_vector(angle[:, None] * axis)
            turned.add(joint)
        elif joint not in role_joints and parent in turned:
            D[:, joint] = D[:, parent]
            turned.add(joint)
    return D


def twist_angle(
    above: Float[np.ndarray, "time 3 3"], below: Float[np.ndarray, "time 3 3"], axis: Float[np.ndarray, "3"]
) -> Float[np.ndarray, " time"]:
    """By how much a turn is twisted about an axis of the rest pose against another turn, in radians, without jumps."""
    q = quaternion_from_matrix(above.swapaxes(1, 2) @ below)
    angle = np.unwrap(2 * np.arctan2(q[:, 1:] @ axis, q[:, 0]))
    return angle - 2 * np.pi * np.round(np.median(angle) / (2 * np.pi))
