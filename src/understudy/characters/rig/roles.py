"""The parts that joints play, completed by who hangs on whom; by shape alone where names say nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from understudy.characters.rig.names import (
    is_below,
    is_trunk_name,
    limbs_from_names,
    limbs_from_vrm,
    line_of,
    plain_words,
    shared_line,
)
from understudy.characters.rig.shape import limbs_from_shape

__all__ = ["NEEDED_ROLES", "find_limbs", "find_roles", "has_limbs", "missing_roles"]

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
    """Parts (names of BODY_JOINTS) to joints; `positions` stand in the rest pose.

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
    if is_neck(chest_line[-1], limbs, parents, positions) and len(chest_line) > len(hips_line) + 1:
        # 3ds Max's Biped hangs the collar bones on the neck.
        roles["Neck"] = chest_line.pop()
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
    if "Neck" not in roles:
        roles |= roles_above(chest_line, limbs, names, parents)
    for side, arm in zip(("Left", "Right"), arms, strict=True):
        between = line_of(arm, parents)[len(chest_line) : -1]
        if between:
            named = limbs.get(f"{side}Shoulder", between[0])
            roles[f"{side}Shoulder"] = named if named in between else between[0]
    return roles


def roles_above(
    chest_line: Sequence[int], limbs: Mapping[str, int], names: Sequence[str], parents: Sequence[int]
) -> dict[str, int]:
    """The neck between chest and head; the head too where it is the end of a spine counted on."""
    chest, head = chest_line[-1], limbs.get("Head")
    if head is not None and is_below(head, chest, parents):
        neck = line_of(head, parents)[len(chest_line) : -1]
        return {"Neck": neck[0]} if neck else {}
    if "Neck" in limbs:
        return {"Neck": limbs["Neck"]}
    line = spine_above(chest, names, parents) if head is None else []
    # Rigify counts the spine on through the neck to the head.
    return ({"Head": line[-1]} if line else {}) | ({"Neck": line[0]} if len(line) > 1 else {})


def is_neck(
    joint: int, limbs: Mapping[str, int], parents: Sequence[int], positions: Float[np.ndarray, "joint 3"]
) -> bool:
    """Whether the joint on which the arms hang is the neck: by its name, or since the head hangs on it as well.

    Without a neck between, the chest stands below the shoulders and the neck above.
    """
    if "Neck" in limbs:
        return joint == limbs["Neck"]
    if "Head" not in limbs or parents[limbs["Head"]] != joint:
        return False
    shoulders, hips = (
        positions[[limbs[f"{side}{part}"] for side in ("Left", "Right")]].mean(0) for part in ("Arm", "UpLeg")
    )
    return float((positions[joint] - shoulders) @ (shoulders - hips)) > 0


def spine_above(chest: int, names: Sequence[str], parents: Sequence[int]) -> list[int]:
    """The joints of the spine that hang on the chest one above the other, by the name that they share with it."""
    line, words = [chest], plain_words(names[chest])
    while is_trunk_name(names[chest]):
        following = [j for j, parent in enumerate(parents) if parent == line[-1] and plain_words(names[j]) == words]
        if not following:
            break
        line.append(following[0])
    return line[1:]
