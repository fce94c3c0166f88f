"""The parts that joints play, completed by who hangs on whom; by shape alone where names say nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from understudy.characters.rig.names import is_below, is_trunk_name, limbs_from_names, limbs_from_vrm, plain_words

__all__ = ["NEEDED_ROLES", "find_limbs", "find_roles", "has_limbs", "missing_roles", "shared_line"]

NEEDED_ROLES = (
    "Hips", "LeftUpLeg", "LeftLeg", "RightUpLeg", "RightLeg", "LeftArm", "LeftForeArm", "RightArm", "RightForeArm",
)  # fmt: skip


def missing_roles(roles: Mapping[str, int]) -> list[str]:
    """The parts without which a body cannot be moved."""
    return [role for role in NEEDED_ROLES if role not in roles]


def find_roles(
    names: Sequence[str],
    parents: Sequence[int],
    positions: Float[np.ndarray, "joint 3"],
    humanoid: Mapping[str, int],
) -> dict[str, int]:
    """Parts (names of BODY_JOINTS) to joints; `positions` stand in the rest pose with +Y up.

    First a VRM file's own map, then names, then shape. Legs may hang beside the body (rigs made for inverse
    kinematics do that): the caller puts them right. Parts that are not found are absent.
    """
    limbs = find_limbs(names, parents, humanoid)
    if not has_limbs(limbs):
        limbs = limbs_from_shape(parents, positions)
    return limbs | trunk_roles(limbs, names, parents, positions) if has_limbs(limbs) else limbs


def find_limbs(names: Sequence[str], parents: Sequence[int], humanoid: Mapping[str, int]) -> dict[str, int]:
    """Arms, legs, neck and head by a VRM file's own map, or by names."""
    limbs = limbs_from_vrm(humanoid)
    return limbs if has_limbs(limbs) else limbs_from_names(names, parents)


def has_limbs(roles: Mapping[str, int]) -> bool:
    """Whether both arms and both legs are there."""
    return not [role for role in missing_roles(roles) if role != "Hips"]


def line_of(joint: int, parents: Sequence[int]) -> list[int]:
    """The joints from the root down to a joint, both included."""
    line = [joint]
    while parents[line[-1]] >= 0:
        line.append(parents[line[-1]])
    return line[::-1]


def shared_line(joints: Sequence[int], parents: Sequence[int]) -> list[int]:
    """The joints that stand above or are all of `joints`, from the root down."""
    lines = [line_of(joint, parents) for joint in joints]
    shared = []
    for step in zip(*lines, strict=False):
        if len(set(step)) > 1:
            break
        shared.append(step[0])
    return shared


def trunk_roles(
    limbs: Mapping[str, int], names: Sequence[str], parents: Sequence[int], positions: Float[np.ndarray, "joint 3"]
) -> dict[str, int]:
    """Hips, spine, neck and shoulders from where the limbs and the head hang on."""
    roles: dict[str, int] = {}
    legs, arms = (limbs["LeftUpLeg"], limbs["RightUpLeg"]), (limbs["LeftArm"], limbs["RightArm"])
    # The joints themselves may not be their own trunk: start from their parents.
    above_legs = [parents[joint] for joint in legs]
    above_arms = [parents[joint] for joint in arms]
    if min(above_legs) < 0 or min(above_arms) < 0:
        return roles
    hips_line = shared_line([*above_legs, *above_arms], parents)
    chest_line = shared_line(above_arms, parents)
    if not hips_line or not chest_line:
        return roles
    roles["Hips"] = hips_line[-1]
    # A joint of the trunk that does not stand between hips and chest is a second pelvis: it follows the hips.
    first, up = positions[hips_line[-1]], positions[chest_line[-1]] - positions[hips_line[-1]]
    spine = [joint for joint in chest_line[len(hips_line) :] if (positions[joint] - first) @ up > 0]
    if spine:
        roles["Spine2"] = spine[-1]
    if len(spine) >= 2:
        roles["Spine"] = spine[0]
    if len(spine) >= 3:
        roles["Spine1"] = spine[len(spine) // 2]
    chest = chest_line[-1]
    head = limbs.get("Head")
    if head is not None and is_below(head, chest, parents):
        neck = line_of(head, parents)[len(chest_line) : -1]
        if neck:
            roles["Neck"] = neck[0]
    elif "Neck" in limbs:
        roles["Neck"] = limbs["Neck"]
    elif head is None and (line := spine_above(chest, names, parents)):
        # Rigify counts the spine on through the neck to the head.
        roles["Head"] = line[-1]
        roles |= {"Neck": line[0]} if len(line) > 1 else {}
    for side, arm in zip(("Left", "Right"), arms, strict=True):
        between = line_of(arm, parents)[len(chest_line) : -1]
        if between:
            roles[f"{side}Shoulder"] = between[0]
    return roles


def spine_above(chest: int, names: Sequence[str], parents: Sequence[int]) -> list[int]:
    """The joints of the spine that hang on the chest one above the other, by the name that they share with it."""
    line, words = [chest], plain_words(names[chest])
    while is_trunk_name(names[chest]):
        following = [j for j, parent in enumerate(parents) if parent == line[-1] and plain_words(names[j]) == words]
        if not following:
            break
        line.append(following[0])
    return line[1:]


def limbs_from_shape(parents: Sequence[int], positions: Float[np.ndarray, "joint 3"]) -> dict[str, int]:
    """Limbs of a rig whose names say nothing, standing with +Y up and facing +Z, arms away from the body.

    The feet are the two lowest ends on either side, the hands the two outermost, the head the highest end between.
    """
    children = [[child for child, parent in enumerate(parents) if parent == joint] for joint in range(len(parents))]
    ends = [joint for joint in range(len(parents)) if not children[joint]]
    if len(ends) < 4:
        return {}
    height = np.ptp(positions[:, 1])
    middle = np.median(positions[:, 0])
    x, y = positions[:, 0] - middle, positions[:, 1] - positions[:, 1].min()
    roles: dict[str, int] = {}
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        mine = [joint for joint in ends if sign * x[joint] > 0.01 * height]
        if not mine:
            return {}
        foot_end = min(mine, key=lambda joint: y[joint])
        hand_end = max(mine, key=lambda joint: sign * x[joint])
        if foot_end == hand_end or y[foot_end] > 0.3 * height:
            return {}
        roles[f"{side}Foot"], roles[f"{side}Hand"] = foot_end, hand_end
    if roles["LeftFoot"] == roles["RightFoot"] or roles["LeftHand"] == roles["RightHand"]:
        return {}
    legs_line = shared_line([roles["LeftFoot"], roles["RightFoot"]], parents)
    arms_line = shared_line([roles["LeftHand"], roles["RightHand"]], parents)
    for side in ("Left", "Right"):
        leg = line_of(roles.pop(f"{side}Foot"), parents)[len(legs_line) :]
        arm = line_of(roles.pop(f"{side}Hand"), parents)[len(arms_line) :]
        roles |= {side + part: joint for part, joint in leg_parts(leg, positions).items()}
        roles |= {side + part: joint for part, joint in arm_parts(arm, children).items()}
    between = [joint for joint in ends if abs(x[joint]) < 0.1 * height and y[joint] > 0.7 * height]
    if between:
        roles["Head"] = head_below(max(between, key=lambda joint: y[joint]), arms_line, parents)
    return roles


def leg_parts(chain: Sequence[int], positions: Float[np.ndarray, "joint 3"]) -> dict[str, int]:
    """Hip, knee, ankle and toes of a chain from the pelvis (exclusive) to the end of a leg."""
    if len(chain) < 3:
        return dict(zip(("UpLeg", "Leg"), chain, strict=False))
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


def arm_parts(chain: Sequence[int], children: Sequence[Sequence[int]]) -> dict[str, int]:
    """Shoulder, arm, forearm and hand of a chain from the chest (exclusive) to the end of an arm."""
    fingers = [place for place, joint in enumerate(chain) if len(children[joint]) > 1 and place >= 2]
    to_hand = list(chain[: fingers[0] + 1]) if fingers else list(chain[:4])
    if len(to_hand) >= 4:
        return dict(zip(("Shoulder", "Arm", "ForeArm", "Hand"), [to_hand[0], *to_hand[-3:]], strict=True))
    return dict(zip(("Arm", "ForeArm", "Hand"), to_hand, strict=False))


def head_below(end: int, chest_line: Sequence[int], parents: Sequence[int]) -> int:
    """The head among the joints between the chest and the top end: the second from the chest (after the neck)."""
    chain = line_of(end, parents)[len(chest_line) :]
    return chain[min(1, len(chain) - 1)] if chain else end
