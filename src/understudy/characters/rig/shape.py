"""Arms, legs and head of a rig whose names say nothing, by where its joints stand and which hang on which.

What a body on two legs has in common: it is alike on both sides, its legs end lowest, its arms branch off between
the legs and the head and reach out, and hands branch into fingers.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise, product

import numpy as np
from jaxtyping import Float

from understudy.characters.rig.names import is_below, line_of, shared_line

__all__ = ["limbs_from_shape"]

MAX_FOOT_HEIGHT = 0.3
"""How high a leg ends at most, as a share of the joints' height."""
MIN_HEAD_HEIGHT = 0.7
CENTRAL = 0.1
"""How far off the middle the head ends at most, as a share of the height."""
ASIDE = 0.01
"""How far off the middle a limb ends at least, in the same."""
MAX_REACH_OF_PALM = 0.65
"""Bones of a hand are shorter than this share of the arm's longest bone."""
COLLAR = 0.5
"""A first joint nearer to the middle than this share of the second one's distance is a collar bone's."""
MAX_RATIO_OF_BONES = 3.0
"""How much longer one of a limb's two bones is than the other, at most, on figures of all styles."""
MAX_DIFFERENCE = 0.25
"""How much a bone's length differs from the other side's at most, as a share."""
MIN_UPRIGHT = 0.6
"""How much of a leg's length goes down at least."""
UPS = ((1, 1.0), (2, 1.0), (2, -1.0), (1, -1.0), (0, 1.0), (0, -1.0))
"""Axes and signs that may point up, likeliest first: glTF's +Y, Blender's and Unreal's +Z."""


def limbs_from_shape(parents: Sequence[int], positions: Float[np.ndarray, "joint 3"]) -> dict[str, int]:
    """Limbs by their roles, which those of BODY_JOINTS are; empty where no body on two legs is found.

    `positions` are of the rest pose: arms away from the body. Up and across may be any axes: +Y up and the axis about
    which the joints are alike are tried first. Which of the two sides is the left one follows for a body that
    faces along the axis that is right-handed with them: who knows the front (toes, eyes) puts it right.
    """
    if len(parents) < 10:
        return {}
    across = min(range(3), key=lambda axis: asymmetry(positions, axis))
    trees = (list(parents), hung_by_nearness(parents, positions, across))
    ups = [(axis, sign) for axis, sign in UPS if axis != across]
    for (up, sign), tree in product(ups, trees):
        ahead = 3 - up - across
        # Right-handed: across × up = ahead.
        turn = np.linalg.det(np.eye(3)[[across, up, ahead]])
        standing = positions[:, [across, up, ahead]] * np.array([turn * sign, sign, 1.0])
        limbs = limbs_of_standing(tree, standing)
        if are_a_body(limbs, standing):
            return limbs
    return {}


def asymmetry(positions: Float[np.ndarray, "joint 3"], axis: int) -> float:
    """How far joints are, in the mean, from joints mirrored about the middle across an axis, in half widths."""
    across = positions[:, axis] - np.median(positions[:, axis])
    mirrored = positions.copy()
    mirrored[:, axis] -= 2 * across
    away = np.linalg.norm(positions[:, None] - mirrored[None], axis=-1).min(1).mean()
    return float(away / max(np.abs(across).max(), 1e-12))


def hung_by_nearness(parents: Sequence[int], positions: Float[np.ndarray, "joint 3"], across: int) -> list[int]:
    """Parents of joints where those that hang far off, as targets of inverse kinematics do, hang on the nearest end.

    A hand that hangs on the chest or on the armature and stands at the end of a forearm that nothing hangs on.
    """
    hung = list(parents)
    children = children_of(parents)
    ends = [joint for joint in range(len(parents)) if not children[joint] and parents[joint] >= 0]
    aside = positions[:, across] - np.median(positions[:, across])
    side = np.where(np.abs(aside) > ASIDE * np.ptp(positions), np.sign(aside), 0)
    for joint, parent in enumerate(parents):
        if parent < 0 or side[joint] == 0 or side[parent] == side[joint]:
            continue
        others = [end for end in ends if end != joint and side[end] == side[joint] and parents[end] != joint]
        others = [end for end in others if not is_below(end, joint, hung)]
        if not others:
            continue
        nearest = min(others, key=lambda end: float(np.linalg.norm(positions[end] - positions[joint])))
        reach = np.linalg.norm(positions[[nearest, parent]] - positions[joint], axis=1)
        if 0 < reach[0] < reach[1]:
            hung[joint] = nearest
    return hung


def are_a_body(limbs: Mapping[str, int], positions: Float[np.ndarray, "joint 3"]) -> bool:
    """Whether there are two arms and two legs that stand, of two bones each, as long on both sides."""
    for parts in (("UpLeg", "Leg", "Foot"), ("Arm", "ForeArm", "Hand")):
        bones = []
        for side in ("Left", "Right"):
            at = positions[[limbs[side + part] for part in parts if side + part in limbs]]
            bones.append(np.linalg.norm(np.diff(at, axis=0), axis=1))
            if "Leg" in parts and len(at) and at[0, 1] - at[-1, 1] < MIN_UPRIGHT * bones[-1].sum():
                return False
        left, right = bones
        if not len(left) or len(left) != len(right):
            return False
        if np.abs(left - right).max() > MAX_DIFFERENCE * max(left.max(), right.max()):
            return False
        if len(left) == 2 and max(left.max(), right.max()) > MAX_RATIO_OF_BONES * min(left.min(), right.min()):
            return False
    return True


def children_of(parents: Sequence[int]) -> list[list[int]]:
    """The joints that hang on each joint."""
    children: list[list[int]] = [[] for _ in parents]
    for joint, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(joint)
    return children


def limbs_of_standing(parents: Sequence[int], positions: Float[np.ndarray, "joint 3"]) -> dict[str, int]:
    """Limbs of joints that stand with +Y up and the sides along X; empty where there is no body on two legs.

    The feet are the two lowest ends, the hands the outermost ends that branch off between legs and head, the head
    the highest end between.
    """
    children = children_of(parents)
    ends = [joint for joint in range(len(parents)) if not children[joint]]
    height = np.ptp(positions[:, 1])
    x, y = positions[:, 0] - np.median(positions[:, 0]), positions[:, 1] - positions[:, 1].min()
    feet, hands = [], []
    for sign in (1.0, -1.0):
        mine = [joint for joint in ends if sign * x[joint] > ASIDE * height]
        if not mine or height <= 0:
            return {}
        feet.append(min(mine, key=lambda joint: float(y[joint])))
        if y[feet[-1]] > MAX_FOOT_HEIGHT * height:
            return {}
    legs_line = shared_line(feet, parents)
    between = [joint for joint in ends if abs(x[joint]) < CENTRAL * height and y[joint] > MIN_HEAD_HEIGHT * height]
    top = max(between, key=lambda joint: float(y[joint]), default=None)
    for sign, foot in zip((1.0, -1.0), feet, strict=True):
        mine = [joint for joint in ends if sign * x[joint] > ASIDE * height and joint != foot]
        # Hair hangs on the head; only where nothing hangs lower do arms hang as high (on the neck, in 3ds Max's Biped).
        arms = next(
            (arms for above in (2, 1) if (arms := [e for e in mine if is_arm(e, foot, top, above, parents)])), None
        )
        if not arms:
            return {}
        # What branches into fingers is an arm, even where wings reach further.
        branching = [
            end for end in arms if has_fingers(limb_of(end, foot if top is None else top, parents)[2:], children)
        ]
        hands.append(max(branching or arms, key=lambda joint: sign * float(x[joint])))
    arms_line = shared_line(hands, parents)
    roles: dict[str, int] = {}
    for side, foot, hand in zip(("Left", "Right"), feet, hands, strict=True):
        leg, arm = line_of(foot, parents)[len(legs_line) :], line_of(hand, parents)[len(arms_line) :]
        roles |= {side + part: joint for part, joint in leg_parts(leg, positions).items()}
        roles |= {side + part: joint for part, joint in arm_parts(arm, children, positions).items()}
    if top is not None:
        roles["Head"] = head_below(top, arms_line, parents, children)
    return roles


def is_arm(end: int, foot: int, top: int | None, above: int, parents: Sequence[int]) -> bool:
    """Whether a limb of two bones or more branches off the trunk higher than the legs, `above` joints below the top."""
    if len(limb_of(end, foot, parents)) < 3 or not limb_of(foot, end, parents):
        return False
    return top is None or end == top or len(shared_line([end, top], parents)) <= len(line_of(top, parents)) - above


def limb_of(end: int, other: int, parents: Sequence[int]) -> list[int]:
    """The joints of a limb from where it leaves another end's line on to its own end."""
    return line_of(end, parents)[len(shared_line([end, other], parents)) :]


def has_fingers(limb: Sequence[int], children: Sequence[Sequence[int]]) -> bool:
    """Whether the end of a limb branches into three or more."""
    return any(len(children[joint]) >= 3 for joint in limb[-4:])


def branches(joint: int, along: int, children: Sequence[Sequence[int]], positions: Float[np.ndarray, "joint 3"]) -> int:
    """How many joints on a joint lead further than its bone, which ends at `along`: twist bones do not."""
    bone = np.linalg.norm(positions[along] - positions[joint])
    return sum(
        bool(np.linalg.norm(positions[below] - positions[joint], axis=1).max() >= (1 - ASIDE) * bone)
        for below in (subtree(child, children) for child in children[joint])
    )


def subtree(joint: int, children: Sequence[Sequence[int]]) -> list[int]:
    """A joint and all that hang on it."""
    found = [joint]
    for one in found:
        found += children[one]
    return found


def leg_parts(chain: Sequence[int], positions: Float[np.ndarray, "joint 3"]) -> dict[str, int]:
    """Hip, knee, ankle and toes of a chain from the pelvis (exclusive) to the end of a leg."""
    if len(chain) < 3:
        return dict(zip(("UpLeg", "Leg"), chain, strict=False))
    # Bones from the pelvis out to the hip joint go aside, not down.
    step = np.diff(positions[chain], axis=0)
    down = -step[:, 1] > np.linalg.norm(step[:, [0, 2]], axis=1)
    first = min(int(np.argmax(down)), len(chain) - 3)
    chain = chain[first:]
    heights = positions[chain, 1]
    # The ankle is the first joint near the ground; the knee the one nearest to half way between hip and ankle.
    low = heights.min() + 0.2 * (heights[0] - heights.min())
    ankle = next(place for place, height in enumerate(heights) if height <= low)
    ankle = max(ankle, 2)
    half = 0.5 * (heights[0] + heights[ankle])
    knee = 1 + int(np.abs(heights[1:ankle] - half).argmin())
    parts = {"UpLeg": chain[0], "Leg": chain[knee], "Foot": chain[ankle]}
    if ankle + 1 < len(chain):
        parts["ToeBase"] = chain[ankle + 1]
    return parts


def arm_parts(
    chain: Sequence[int], children: Sequence[Sequence[int]], positions: Float[np.ndarray, "joint 3"]
) -> dict[str, int]:
    """Shoulder, arm, forearm and hand of a chain from the chest (exclusive) to the end of an arm."""
    fingers = [
        place for place, (joint, along) in enumerate(pairwise(chain))
        if place >= 2 and branches(joint, along, children, positions) > 1
    ]  # fmt: skip
    lengths = np.linalg.norm(np.diff(positions[chain], axis=0), axis=1)
    if fingers:
        hand = fingers[-1]
    else:
        long = np.flatnonzero(lengths > MAX_REACH_OF_PALM * lengths.max(initial=0.0))
        hand = max(int(long[-1]) + 1 if len(long) else 0, min(len(chain) - 1, 2))
    to_hand = list(chain[: hand + 1])
    parts: dict[str, int] = {}
    aside = np.abs(positions[to_hand, 0])
    if len(to_hand) >= 4 and aside[0] < COLLAR * aside[1]:
        parts["Shoulder"] = to_hand.pop(0)
    if len(to_hand) < 3:
        return parts | dict(zip(("Arm", "ForeArm"), to_hand, strict=False))
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(positions[to_hand], axis=0), axis=1))])
    elbow = 1 + int(np.abs(way[1:-1] - 0.5 * way[-1]).argmin())
    return parts | {"Arm": to_hand[0], "ForeArm": to_hand[elbow], "Hand": to_hand[-1]}


def head_below(end: int, chest_line: Sequence[int], parents: Sequence[int], children: Sequence[Sequence[int]]) -> int:
    """The head among the joints between the chest and the top end: where a face branches off, or after the neck."""
    chain = line_of(end, parents)[len(chest_line) :]
    branching = [joint for joint in chain if len(children[joint]) > 1]
    if branching:
        return branching[-1]
    return chain[min(1, len(chain) - 1)] if chain else end
