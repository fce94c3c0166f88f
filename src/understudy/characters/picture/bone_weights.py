"""Which joints move a point of a body, from where it lies beside its bones: learned of our own body model.

Down the skeleton each joint takes over from its parent: the share that its whole limb has in a point's motion, out of
the parent's, falls from one to nothing across the joint. That share is a logistic function of the point's place in a
frame of the joint, in radii of the limb, so that it fits figures of other sizes and proportions. Its coefficients are
fitted to the body model's own weights, with arms stretched out, hanging, and between.

Source: Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 4.4.1 (logistic regression by Newton's
method). Heat equilibrium (Baran and Popović 2007), which needs no example, is further from the body's weights.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement

import numpy as np
from jaxtyping import Float, Int

from understudy.body.model import SEGMENTS, BodyModel
from understudy.characters.picture.parts import PARTS
from understudy.core.character import Character
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rotations import quaternion_from_vector
from understudy.geometry.skinning import skin_vertices
from understudy.geometry.vectors import unit

__all__ = ["BoundFigure", "bone_distance", "bone_weights"]

JOINT = {name: joint for joint, name in enumerate(BODY_JOINTS)}
TRUNK = ("Hips", "Spine", "Spine1", "Spine2")
ARM, LEG = ("Shoulder", "Arm", "ForeArm", "Hand"), ("UpLeg", "Leg", "Foot", "ToeBase")
TAKERS: dict[str, tuple[str, ...]] = {
    "torso": (*TRUNK[1:], "Neck", "LeftShoulder", "RightShoulder", "LeftArm", "RightArm", "LeftUpLeg", "RightUpLeg"),
    "head": ("Neck", "Head"),
    "cape": TRUNK[1:],
    **{f"{side.lower()}_arm": tuple(side + name for name in ARM) for side in ("Left", "Right")},
    **{f"{side.lower()}_leg": tuple(side + name for name in LEG) for side in ("Left", "Right")},
}
"""The joints that take over from their parents within each part; the others there take nothing or all."""
TAKE_ALL: dict[str, tuple[str, ...]] = dict.fromkeys(("head", "left_arm", "right_arm"), TRUNK[1:])
BONES: dict[str, tuple[str, ...]] = {
    "torso": TRUNK,
    "head": ("Head",),
    **{f"{side.lower()}_arm": tuple(side + name for name in ARM[1:]) for side in ("Left", "Right")},
    **{f"{side.lower()}_leg": tuple(side + name for name in LEG) for side in ("Left", "Right")},
}
"""The bones that lie within each part."""

FAR = 4.0
"""In radii: places beyond count as little further."""
CLEFT = 0.03
"""Over what share of the distance between the hip joints one leg's flesh gives way to the other's."""
LEVEL_SHARE = 1 / 3
"""Trunk joints take over along the spine, in such shares of the way from hips to neck."""
USUAL_RADIUS = 0.3
"""Of a limb without vertices, in the same ways."""
LOWERED_RAD = (0.0, 0.5, 0.9, 1.4)
"""How far the arms of the examples hang below the T-pose's."""
ROUNDS, RIDGE = 25, 1e-5


@dataclass(frozen=True)
class BoundFigure:
    """A surface with the joints of BODY_JOINTS inside it, at rest."""

    vertices: Float[np.ndarray, "vertex 3"]
    part_at: Int[np.ndarray, " vertex"]
    """Which of PARTS each vertex belongs to."""
    joints: Float[np.ndarray, "22 3"]
    tips: Float[np.ndarray, "22 3"]
    """Where the joints' bones end."""


def bone_weights(figure: BoundFigure) -> Float[np.ndarray, "vertex 22"]:
    """How much each joint moves each vertex; rows sum to one."""
    frames, taken = joint_frames(figure), take_overs()
    weights = np.zeros((len(figure.vertices), len(BODY_JOINTS)))
    for number, part in enumerate(PARTS):
        here = figure.part_at == number
        share = np.zeros((int(here.sum()), len(BODY_JOINTS)))
        share[:, [0, *(JOINT[name] for name in TAKE_ALL.get(part, ()))]] = 1.0
        for name in TAKERS[part]:
            places = features(figure.vertices[here], figure, frames, JOINT[name], part.startswith("right"))
            share[:, JOINT[name]] = logistic(places @ taken[left_key(part, name)])
        weights[here] = weights_of_shares(share)
    return weights / weights.sum(1, keepdims=True)


def weights_of_shares(share: Float[np.ndarray, "vertex 22"]) -> Float[np.ndarray, "vertex 22"]:
    """Weights from what each joint's whole limb takes of its parent's; joints that take too much together share it."""
    share = share.copy()
    for joint in range(len(BODY_JOINTS)):
        below = [child for child, parent in enumerate(BODY_PARENTS) if parent == joint]
        if len(below) > 1:
            share[:, below] /= np.maximum(share[:, below].sum(1), 1.0)[:, None]
    for joint, parent in enumerate(BODY_PARENTS):
        share[:, joint] *= share[:, parent] if parent >= 0 else 1.0
    weights = share.copy()
    for joint, parent in enumerate(BODY_PARENTS):
        if parent >= 0:
            weights[:, parent] -= share[:, joint]
    return np.clip(weights, 0.0, 1.0)


@dataclass(frozen=True)
class JointFrames:
    """A frame at each joint in which places are told: along the limb, ahead, and aside."""

    R: Float[np.ndarray, "22 3 3"]
    """Rows are the axes; those of the right side are the left side's, mirrored."""
    scale: Float[np.ndarray, "22 3"]
    """The unit along each axis, in metres."""


def joint_frames(figure: BoundFigure) -> JointFrames:
    """Frames that halve the bend at each joint, in radii of the limb about it."""
    joints, along = figure.joints, unit(figure.tips - figure.joints)
    trunk = float(np.linalg.norm(joints[JOINT["Neck"]] - joints[0]))
    radius = limb_radii(figure, USUAL_RADIUS * trunk)
    R, scale = np.empty((len(joints), 3, 3)), np.empty((len(joints), 3))
    for joint, name in enumerate(BODY_JOINTS):
        parent, own = BODY_PARENTS[joint], along[joint]
        above = own if parent < 0 or name.endswith("Shoulder") else along[parent]
        if name.endswith("UpLeg"):
            above = unit(joints[0] - joints[1])
        if name.endswith("Foot"):
            above = own = unit(joints[joint] - joints[parent])
        axis = unit(above + own)
        ahead = np.array([0.0, 1.0, 0.0] if abs(axis[2]) > 0.9 else [0.0, 0.0, 1.0])
        ahead = unit(ahead - axis * (axis @ ahead))
        R[joint] = axis, ahead, np.cross(axis, ahead) * (-1.0 if name.startswith("Right") else 1.0)
        thinner = name.endswith(("Leg", "ForeArm", "Hand", "Foot")) and not name.endswith("UpLeg")
        scale[joint] = min(radius[joint], radius[parent]) if thinner else radius[joint]
        if name in TRUNK or name == "Neck":
            scale[joint, 0] = LEVEL_SHARE * trunk
    return JointFrames(R, scale)


def limb_radii(figure: BoundFigure, usual: float) -> Float[np.ndarray, " 22"]:
    """How far the surface usually is from each bone, in metres."""
    radius = np.full(len(BODY_JOINTS), np.nan)
    for part, names in BONES.items():
        points = figure.vertices[figure.part_at == PARTS.index(part)]
        bones = [JOINT[name] for name in names]
        away = np.stack([bone_distance(points, figure.joints[bone], figure.tips[bone]) for bone in bones], -1)
        nearest = away.argmin(1)
        for place, bone in enumerate(bones):
            if (nearest == place).sum() > 5:
                radius[bone] = np.median(away[nearest == place, place])
    for name, like in (("LeftShoulder", "LeftArm"), ("RightShoulder", "RightArm"), ("Neck", "Head")):
        radius[JOINT[name]] = radius[JOINT[like]]
    return np.where(radius > 0, radius, usual)


def bone_distance(
    points: Float[np.ndarray, "point 3"], a: Float[np.ndarray, "3"], b: Float[np.ndarray, "3"]
) -> Float[np.ndarray, " point"]:
    """How far points are from a bone."""
    along = b - a
    share = np.clip(((points - a) @ along) / max(along @ along, 1e-12), 0, 1)
    return np.linalg.norm(points - a - share[:, None] * along, axis=1)


def features(
    points: Float[np.ndarray, "point 3"], figure: BoundFigure, frames: JointFrames, joint: int, of_the_right: bool
) -> Float[np.ndarray, "point feature"]:
    """What a joint's share depends on: a place and its products; `of_the_right` mirrors joints of the middle."""
    place = (points - figure.joints[joint]) @ frames.R[joint].T / frames.scale[joint]
    if of_the_right and not BODY_JOINTS[joint].startswith("Right"):
        place = place * [1.0, 1.0, -1.0]
    place = FAR * np.tanh(place / FAR)
    columns = [np.ones(len(points)), *place.T]
    columns += [place[:, a] * place[:, b] for a, b in combinations_with_replacement(range(3), 2)]
    name = BODY_JOINTS[joint]
    if name.endswith("UpLeg"):
        # Between the legs one gives way to the other all at once.
        other = figure.joints[JOINT[("Right" if name.startswith("Left") else "Left") + "UpLeg"]]
        across = figure.joints[joint] - other
        aside = (points - 0.5 * (figure.joints[joint] + other)) @ across / max(across @ across, 1e-12)
        columns += [np.tanh(aside / CLEFT) * column for column in columns[:4]]
    return np.stack(columns, 1)


def left_key(part: str, name: str) -> tuple[str, str]:
    """The left side's part and joint, which stand for the right side's; a cape follows the spine as the trunk does."""
    return part.replace("right_", "left_").replace("cape", "torso"), name.replace("Right", "Left")


def logistic(x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """From 0 to 1."""
    return 1.0 / (1.0 + np.exp(-np.clip(x, -30.0, 30.0)))


@cache
def take_overs() -> dict[tuple[str, str], Float[np.ndarray, " feature"]]:
    """The coefficients of each joint's share in each part, by `left_key`."""
    rows: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for figure, weights in examples():
        limb = weights.copy()
        for joint in range(len(BODY_JOINTS) - 1, 0, -1):
            limb[:, BODY_PARENTS[joint]] += limb[:, joint]
        frames = joint_frames(figure)
        for part, names in TAKERS.items():
            here = figure.part_at == PARTS.index(part)
            for name in names:
                joint = JOINT[name]
                whole = limb[here, BODY_PARENTS[joint]]
                counts = whole > 1e-3
                places = features(figure.vertices[here][counts], figure, frames, joint, part.startswith("right"))
                share = np.clip(limb[here, joint][counts] / whole[counts], 0.0, 1.0)
                rows.setdefault(left_key(part, name), []).append((places, share, whole[counts]))
    return {
        key: fitted(*(np.concatenate(column) for column in zip(*found, strict=True))) for key, found in rows.items()
    }


def fitted(
    places: Float[np.ndarray, "row feature"], share: Float[np.ndarray, " row"], counts: Float[np.ndarray, " row"]
) -> Float[np.ndarray, " feature"]:
    """Coefficients of the logistic function nearest to some shares, slightly drawn to zero."""
    ridge = RIDGE * len(places)
    b = np.zeros(places.shape[1])
    for _ in range(ROUNDS):
        now = logistic(places @ b)
        slope = places.T @ (counts * (now - share)) + ridge * b
        bend = (places * (counts * np.maximum(now * (1 - now), 1e-4))[:, None]).T @ places + ridge * np.eye(len(b))
        b = b - np.linalg.solve(bend, slope)
    return b


def examples() -> Iterable[tuple[BoundFigure, Float[np.ndarray, "vertex 22"]]]:
    """The body model without eyes and tongue, with its arms at several heights, and its weights."""
    model = BodyModel.load()
    body = model.character(np.zeros(model.components))
    segments = [SEGMENTS[segment] for segment in model.vertex_segment]
    outside = ~np.isin(segments, ["eyes", "tongue"])
    part_at = np.array([PARTS.index(part_of(segment)) for segment in segments])[outside]
    weights = np.zeros((len(segments), len(BODY_JOINTS)))
    np.add.at(weights, (np.arange(len(segments))[:, None], body.skin_joints), body.skin_weights)
    for lowered in LOWERED_RAD:
        turns = np.zeros((len(BODY_JOINTS), 3))
        turns[JOINT["LeftArm"], 2], turns[JOINT["RightArm"], 2] = -lowered, lowered
        offsets = body.skeleton.T_parent_joint[:, :3, 3]
        T = forward_kinematics(BODY_PARENTS, offsets, quaternion_from_vector(turns), offsets[0])
        vertices = skin_vertices(body.mesh.vertices, T @ body.T_joint_mesh, body.skin_joints, body.skin_weights)
        ends = bone_ends(T, body, weights)
        yield BoundFigure(vertices[outside], part_at, T[:, :3, 3], ends), weights[outside]


def part_of(segment: str) -> str:
    """The part that one of SEGMENTS belongs to."""
    side, _, piece = segment.partition("_")
    if piece:
        return f"{side}_{'leg' if piece in ('thigh', 'shin', 'foot') else 'arm'}"
    return "head" if segment in ("head", "scalp") else "torso"


def bone_ends(
    T: Float[np.ndarray, "22 4 4"], body: Character, weights: Float[np.ndarray, "vertex 22"]
) -> Float[np.ndarray, "22 3"]:
    """Where the body's bones end when its joints stand at T: at the first child, or at the last of what they move."""
    strongest = weights.argmax(1)
    ends = np.empty((len(T), 3))
    outwards = {"Head": [0.0, 1.0, 0.0], "LeftHand": [1.0, 0.0, 0.0], "RightHand": [-1.0, 0.0, 0.0]}
    for joint, name in enumerate(BODY_JOINTS):
        children = [child for child, parent in enumerate(BODY_PARENTS) if parent == joint]
        if children:
            ends[joint] = T[children[0], :3, 3]
            continue
        axis = np.array(outwards.get(name, [0.0, 0.0, 1.0]))
        own = body.mesh.vertices[strongest == joint] + body.T_joint_mesh[joint, :3, 3]
        ends[joint] = T[joint, :3, 3] + (own @ axis).max() * T[joint, :3, :3] @ axis
    return ends
