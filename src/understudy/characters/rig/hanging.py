"""Which joint hangs on which, where a rig's own hierarchy does not say: deform bones and flattened exports.

Such rigs hang limbs, spine, head or fingers beside each other on the armature's root. Names say what belongs to the
trunk and which parts limbs play; where they stand says the rest.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from understudy.characters.rig.names import depth_of, is_below, is_trunk_name, plain_words, shared_line

__all__ = ["hung_by_position"]

LIMB_CHAINS = (
    ("UpLeg", "Leg"), ("Leg", "Foot"), ("Foot", "ToeBase"), ("Shoulder", "Arm"), ("Arm", "ForeArm"),
    ("ForeArm", "Hand"),
)  # fmt: skip
CENTRAL = 0.15
"""How far off the body's middle a joint of the trunk stands at most, in heights from hips to shoulders."""
PELVIS = 0.4
"""How far above the legs the lowest joint of the trunk stands at most, in the same."""


def hung_by_position(
    names: Sequence[str],
    parents: Sequence[int],
    positions: Float[np.ndarray, "joint 3"],
    limbs: Mapping[str, int],
    owns: Sequence[bool],
) -> list[int]:
    """Parents of joints, with those put right that hang beside the body on the armature's root.

    Positions are of the rest pose; `limbs` are arms and legs by their roles; `owns` says which joints move vertices
    themselves. Rigs whose legs and arms hang on one trunk come back as they are.
    """
    parents = list(parents)
    hips, shoulders = (
        [limbs[f"{side}{part}"] for side in ("Left", "Right")] for part in ("UpLeg", "Arm")
    )  # fmt: skip
    above = shared_line([*hips, *shoulders], parents)
    if above and owns[above[-1]] and shared_line([parents[joint] for joint in shoulders], parents) != above:
        return parents
    trunk = trunk_joints(names, parents, positions, limbs)
    neutral = {joint for joint in above if not owns[joint]} - set(trunk)
    up = positions[shoulders].mean(0) - positions[hips].mean(0)
    # Without a joint near the legs, there is no pelvis on which to hang them.
    if not neutral or not trunk or (positions[trunk[0]] - positions[hips].mean(0)) @ up > PELVIS * (up @ up):
        return parents
    body = Fragments(parents, neutral)
    for low, high in pairwise(trunk):
        body.hang(high, low)
    for side in ("Left", "Right"):
        limb = {part: limbs[side + part] for part in ("UpLeg", "Shoulder", "Arm") if side + part in limbs}
        body.hang(limb["UpLeg"], trunk[0])
        top = limb.get("Shoulder", limb["Arm"])
        body.hang(top, chest_below(top, trunk, names, positions @ up))
        for upper, lower in LIMB_CHAINS:
            if side + upper in limbs and side + lower in limbs:
                body.hang(limbs[side + lower], limbs[side + upper])
    hang_others(body, names, positions, trunk)
    return body.parents


class Fragments:
    """A forest of joints whose pieces hang side by side on joints that are no part of the body (`neutral`)."""

    def __init__(self, parents: list[int], neutral: set[int]) -> None:
        self.parents, self.neutral = parents, neutral

    def top(self, joint: int) -> int:
        """The joint of a piece that hangs on a neutral one, or on nothing."""
        while self.parents[joint] >= 0 and self.parents[joint] not in self.neutral:
            joint = self.parents[joint]
        return joint

    def hang(self, joint: int, on: int) -> None:
        """Hang the piece that holds a joint on another joint, unless they are of one piece."""
        top = self.top(joint)
        if top != self.top(on):
            self.parents[top] = on


def trunk_joints(
    names: Sequence[str], parents: Sequence[int], positions: Float[np.ndarray, "joint 3"], limbs: Mapping[str, int]
) -> list[int]:
    """The joints from the pelvis to the head by their names, from below."""
    hips, shoulders = (
        positions[[limbs[f"{side}{part}"] for side in ("Left", "Right")]] for part in ("UpLeg", "Arm")
    )  # fmt: skip
    up, across = shoulders.mean(0) - hips.mean(0), shoulders[0] - shoulders[1] + hips[0] - hips[1]
    across = across / max(np.linalg.norm(across), 1e-12)
    aside = np.abs((positions - hips.mean(0)) @ across)
    named = [
        joint
        for joint, name in enumerate(names)
        if is_trunk_name(name) and joint not in limbs.values() and aside[joint] < CENTRAL * np.linalg.norm(up)
    ]
    named += [limbs[part] for part in ("Neck", "Head") if part in limbs]
    ends = {joint for role, joint in limbs.items() if role not in ("Neck", "Head")}
    named = [joint for joint in named if not any(is_below(joint, end, parents) for end in ends)]
    return sorted(set(named), key=lambda joint: float(positions[joint] @ up))


def chest_below(joint: int, trunk: Sequence[int], names: Sequence[str], height: Float[np.ndarray, " joint"]) -> int:
    """The highest joint of the trunk that stands below a shoulder and is neither neck nor head."""
    chest = trunk[0]
    for candidate in trunk[1:]:
        if height[candidate] > height[joint] or {"neck", "head"} & set(plain_words(names[candidate])[1]):
            break
        chest = candidate
    return chest


def hang_others(
    body: Fragments, names: Sequence[str], positions: Float[np.ndarray, "joint 3"], trunk: Sequence[int]
) -> None:
    """Hang the remaining pieces (fingers, twist bones, eyes) on the bone that is nearest, pieces of one name in a row.

    A finger in three pieces has one name with three numbers.
    """
    pelvis = body.top(trunk[0])
    tops = [body.top(joint) for joint in range(len(names))]
    placed = [joint for joint, top in enumerate(tops) if top == pelvis]
    loose = sorted({top for joint, top in enumerate(tops) if top != pelvis and joint not in body.neutral})
    # Bones, each from a joint to one that hangs on it; where nothing does, a point.
    bones = [(body.parents[joint], joint) for joint in placed if joint != pelvis]
    bones += [(joint, joint) for joint in placed]
    depth = {joint: depth_of(joint, body.parents) for joint in placed}
    bones.sort(key=lambda bone: depth[bone[0]])
    start, end = (positions[[bone[place] for bone in bones]] for place in (0, 1))
    along = end - start
    rows: dict[tuple[str, tuple[str, ...]], list[tuple[float, int, int]]] = {}
    for top in loose:
        share = np.einsum("bi,bi->b", positions[top] - start, along) / np.maximum((along**2).sum(1), 1e-12)
        distances = np.linalg.norm(positions[top] - start - np.clip(share, 0, 1)[:, None] * along, axis=1)
        # Of bones that are equally near, the one further out: a knuckle is the hand's, not the forearm's.
        nearest = int(np.flatnonzero(distances <= 1.001 * distances.min() + 1e-9)[-1])
        row = rows.setdefault(plain_words(names[top]), [])
        row.append((float(distances[nearest]), top, bones[nearest][0]))
    for row in rows.values():
        previous = -1
        for _, top, anchor in sorted(row):
            body.parents[top] = anchor if previous < 0 else previous
            previous = top
