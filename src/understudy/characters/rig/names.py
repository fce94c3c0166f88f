"""Which joint plays which part, by the names that rigs give their joints.

Limbs are found by name, scheme by scheme; the spine between them by who hangs on whom (rig.roles), because that is
where schemes disagree most. Sources: Mixamo and Ready Player Me, the VRM specification, Unreal's mannequins, Unity's
human bones, Blender's Rigify, MakeHuman's rigs, Character Creator's base, DAZ's Genesis figures, MikuMikuDance's
standard bones, 3ds Max Biped, HumanIK, Advanced Skeleton, Roblox, the CMU and SMPL skeletons, VRChat's naming, and
KayKit's and Quaternius' packs.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

__all__ = [
    "depth_of", "is_below", "is_trunk_name", "limbs_from_names", "limbs_from_vrm", "line_of", "plain_words",
    "shared_line",
]  # fmt: skip

PREFIXES = re.compile(
    r"^(mixamorig\d*|cc_base|valvebiped|bip\d*|bone|def|org|mch|rig|armature|character\d*|ctrl|jnt|j_bip|j_sec)"
    r"[:_\-. |]+",
    re.IGNORECASE,
)
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
SIDES = {"l": "Left", "left": "Left", "r": "Right", "right": "Right"}
FILLERS = {"bip", "c", "j", "jnt", "joint", "bone", "def", "bend", "m"}
HELPERS = {
    "end", "nub", "ik", "pole", "target", "twist", "roll", "control", "ctrl", "helper", "slot", "socket", "tip",
    "cancel", "dummy", "share", "corrective",
}  # fmt: skip
TWISTS = ("twist", "roll")
"""Endings of words that make a joint a helper, where no capital parts them: "l_thightwist1"."""

JAPANESE = {
    "左": "Left", "右": "Right", "足首": "Ankle", "足先": "Toe", "つま先": "Toe", "爪先": "Toe", "ひざ": "Knee",
    "膝": "Knee", "足": "Leg", "脚": "Leg", "肩": "Shoulder", "腕": "Arm", "ひじ": "Elbow", "肘": "Elbow",
    "手首": "Wrist", "上半身": "Spine", "下半身": "Pelvis", "腰": "Waist", "首": "Neck", "頭": "Head", "捩り": "Twist",
    "捩": "Twist", "キャンセル": "Cancel", "ダミー": "Dummy", "親指": "Thumb", "人指": "Index", "人差指": "Index",
    "中指": "Middle", "薬指": "Ring", "小指": "Little", "目": "Eye", "先": "End",
}  # fmt: skip
"""MikuMikuDance's words; longer ones first, where one holds another."""
JAPANESE_WORDS = re.compile("|".join(sorted(JAPANESE, key=len, reverse=True)))

LEG_SCHEMES: tuple[tuple[frozenset[str], ...], ...] = tuple(
    tuple(frozenset(names.split()) for names in scheme)
    for scheme in (
        (
            "upleg upperleg thigh legupper",
            "leg lowerleg shin calf lowleg leglower",
            "foot ankle",
            "toebase toes toe ball",
        ),
        ("hip upleg", "knee", "ankle", "toe toes ball foot toebase"),
        ("leg legd", "knee kneed", "ankle ankled foot", "toe toes ball toebase toeex"),
    )
)
"""Names of the upper leg, the lower leg, the foot and the toes that go together; the first scheme that fits wins.

MikuMikuDance's models may deform by copies of the legs' bones, whose names end in D.
"""

ARM_SCHEMES: tuple[tuple[frozenset[str], ...], ...] = tuple(
    tuple(frozenset(names.split()) for names in scheme)
    for scheme in (
        (
            "shoulder clavicle collar scapula",
            "arm upperarm uparm armupper shldr",
            "forearm lowerarm armlower",
            "wrist hand palm",
        ),
        ("shoulder clavicle", "arm upperarm", "elbow", "wrist hand palm"),
        ("collar clavicle scapula", "shoulder", "elbow", "wrist hand palm"),
    )
)
"""Names of the shoulder, the upper arm, the forearm and the hand that go together."""

MIN_SHARE_OF_PREFIX = 0.6
"""A word with which so many of a rig's names begin is the figure's name ("EthanLeftArm"), which says no part."""

TRUNK = {"hips", "hip", "pelvis", "spine", "waist", "abdomen", "belly", "chest", "torso", "ribs", "neck", "head"}
LEVELS = {"upper", "lower", "up", "low", "mid", "middle", "base"}

LEG_PARTS = ("UpLeg", "Leg", "Foot", "ToeBase")
ARM_PARTS = ("Shoulder", "Arm", "ForeArm", "Hand")
VRM_PARTS = {
    "hips": "Hips", "neck": "Neck", "head": "Head",
    "UpperLeg": "UpLeg", "LowerLeg": "Leg", "Foot": "Foot", "Toes": "ToeBase",
    "Shoulder": "Shoulder", "UpperArm": "Arm", "LowerArm": "ForeArm", "Hand": "Hand",
}  # fmt: skip


def plain_words(name: str) -> tuple[str, tuple[str, ...]]:
    """A joint's side ("Left", "Right" or "") and the other words of its name, in lower case.

    Numbers are dropped, and words that say nothing: "mixamorig:LeftUpLeg" → ("Left", ("up", "leg")),
    "DEF-thigh.L" → ("Left", ("thigh",)), "Bip01 R Forearm" → ("Right", ("forearm",)), "左ひざ" → ("Left", ("knee",)).
    """
    last = unicodedata.normalize("NFKC", name).split("|")[-1]
    last = JAPANESE_WORDS.sub(lambda match: f" {JAPANESE[match[0]]} ", last).strip()
    while PREFIXES.match(last):
        last = PREFIXES.sub("", last, count=1)
    side, words = "", []
    for word in WORDS.findall(last):
        low = word.lower()
        if low in SIDES and not side:
            side = SIDES[low]
        elif not low.isdigit() and low not in FILLERS:
            words.append(low)
    if not side and words:
        # "lThigh", "leftarm": the side is written together with the part.
        match = re.match(r"(left|right)(.+)", words[0])
        if match:
            side, words[0] = SIDES[match[1]], match[2]
    return side, tuple(words)


def words_of(names: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """`plain_words` of all joints of a rig, without the figure's own name where it stands before most of them."""
    split = [plain_words(name) for name in names]
    firsts = Counter(words[0] for _, words in split if len(words) > 1)
    named = {word for word, count in firsts.items() if count > MIN_SHARE_OF_PREFIX * len(names)}
    return [(side, words[1:] if len(words) > 1 and words[0] in named else words) for side, words in split]


def is_trunk_name(name: str) -> bool:
    """Whether a joint is of the body's middle by its name: pelvis, spine, neck or head."""
    side, words = plain_words(name)
    return not side and bool(TRUNK & set(words)) and set(words) <= TRUNK | LEVELS


def limbs_from_names(names: Sequence[str], parents: Sequence[int]) -> dict[str, int]:
    """The joints of arms, legs, neck and head, as far as names tell; empty when no whole limb is found."""
    by_word: dict[tuple[str, str], list[int]] = {}
    for joint, (side, words) in enumerate(words_of(names)):
        if not any(word in HELPERS or word.endswith(TWISTS) for word in words):
            by_word.setdefault((side, "".join(words)), []).append(joint)
    for same in by_word.values():
        # The CMU skeleton's "LHipJoint" is where the leg leaves the pelvis; "LeftHip", which hangs on it, is the hip.
        fillers = {joint: len(FILLERS & {word.lower() for word in WORDS.findall(names[joint])}) for joint in same}
        same[:] = [joint for joint in same if fillers[joint] == min(fillers.values())]
    roles: dict[str, int] = {}
    for parts, schemes, needed in ((LEG_PARTS, LEG_SCHEMES, (0, 1)), (ARM_PARTS, ARM_SCHEMES, (1, 2))):
        for scheme in schemes:
            found = [match_scheme(by_word, side, scheme, parents) for side in ("Left", "Right")]
            if all(place in limb for limb in found for place in needed):
                for side, limb in zip(("Left", "Right"), found, strict=True):
                    roles |= {side + parts[place]: joint for place, joint in limb.items()}
                break
    for part in ("Neck", "Head"):
        candidates = by_word.get(("", part.lower()), [])
        if candidates:
            roles[part] = candidates[0]
    return roles


def match_scheme(
    by_word: Mapping[tuple[str, str], list[int]], side: str, scheme: Sequence[frozenset[str]], parents: Sequence[int]
) -> dict[int, int]:
    """Which joint is which place of a limb's scheme, each below the one before where the rig allows it."""
    limb: dict[int, int] = {}
    above = -1
    for place, words in enumerate(scheme):
        candidates = sorted(joint for word in words for joint in by_word.get((side, word), []))
        candidates = [joint for joint in candidates if joint not in limb.values()]
        below = [joint for joint in candidates if above >= 0 and is_below(joint, above, parents)]
        chosen = below or candidates
        if chosen:
            limb[place] = above = min(chosen, key=lambda joint: depth_of(joint, parents))
    return limb


def depth_of(joint: int, parents: Sequence[int]) -> int:
    """How many joints stand above."""
    depth = 0
    while parents[joint] >= 0:
        joint, depth = parents[joint], depth + 1
    return depth


def is_below(joint: int, above: int, parents: Sequence[int]) -> bool:
    """Whether a joint hangs, over any number of joints, on another."""
    while parents[joint] >= 0:
        joint = parents[joint]
        if joint == above:
            return True
    return False


def limbs_from_vrm(humanoid: Mapping[str, int]) -> dict[str, int]:
    """The same from a VRM file's own map of human bones."""
    roles = {}
    for bone, joint in humanoid.items():
        side = next((side for side in ("left", "right") if bone.startswith(side)), "")
        part = VRM_PARTS.get(bone[len(side) :])
        if part is not None and part not in ("Hips",):
            roles[side.capitalize() + part] = joint
    return roles


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
