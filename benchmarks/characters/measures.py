"""How far a character is from the truth: outline, colour, joints, proportions, what follows which limb."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from benchmarks.characters.figures import LOOSE
from benchmarks.characters.views import View, Views
from understudy.core.character import Character
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.kinematics import rest_pose
from understudy.metrics.image import mask_iou, psnr_db

__all__ = [
    "AZIMUTHS_DEG", "Seen", "aligned", "colour_figures", "joint_figures", "joints_m", "loose_parts", "moved",
    "outline_figures", "proportions", "see",
]  # fmt: skip

AZIMUTHS_DEG = np.arange(0.0, 360.0, 22.5)
"""Outlines are compared in the first eight: opposite views only mirror each other. Colours in all."""
_OUTLINES = 8
_PIXELS_PER_HEIGHT = 400
_MAX_SHIFT = 0.16
"""How far a figure may be shifted in depth, in heights."""
_STEPS_PX = (2.0, 1.0, 0.5)
_MAX_REGISTER_PX = 8.0
"""How far a figure may be shifted up or to the side after its bounds have been aligned."""
JOINTS = (
    "Hips", "Neck", "Head",
    *(f"{side}{part}" for side in ("Left", "Right") for part in ("Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot")),
)  # fmt: skip
"""Where joints are compared; rigs put the others along spine, collar and toes wherever they like."""
LIMB_PARTS = ("Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot", "ToeBase")


def moved(character: Character, scale: float, shift_m: Float[np.ndarray, "3"]) -> Character:
    """The character scaled about the origin, then shifted."""
    local, bind = character.skeleton.T_parent_joint.copy(), character.T_joint_mesh.copy()
    local[:, :3, 3] *= scale
    local[np.array(character.skeleton.parents) < 0, :3, 3] += shift_m
    bind[:, :3, 3] = scale * bind[:, :3, 3] - bind[:, :3, :3] @ shift_m
    return replace(
        character,
        mesh=replace(character.mesh, vertices=scale * character.mesh.vertices + shift_m),
        skeleton=replace(character.skeleton, T_parent_joint=local),
        T_joint_mesh=bind,
    )


@dataclass(frozen=True)
class Seen:
    """Truth and guess from all azimuths, after alignment."""

    truth: Character
    guess: Character
    truth_views: list[View]
    guess_views: list[View]
    shift: float
    """How far the guess was moved in depth after the middles of both were put together, in heights."""


def see(truth: Character, guess: Character) -> Seen:
    """Align the guess with the truth by the bounds of both, its outline in front and one shift in depth; draw both from
    all azimuths."""
    height = truth.height_m
    guess = aligned(truth, guess)
    reach = max(float(np.linalg.norm(c.mesh.vertices[:, [0, 2]], axis=1).max()) for c in (truth, guess))
    azimuths = np.radians(AZIMUTHS_DEG)
    bottom = float(truth.mesh.vertices[:, 1].min())
    with Views(
        reach + (_MAX_SHIFT + 0.02) * height, bottom - 0.02 * height, bottom + 1.02 * height,
        _PIXELS_PER_HEIGHT / height,
    ) as views:  # fmt: skip
        truth_views = views(truth, azimuths)
        guess = in_register(views, truth_views[0].mask, guess)
        first = views(guess, azimuths[:_OUTLINES])
        shift_px = best_shift([v.mask for v in truth_views[:_OUTLINES]], [v.mask for v in first])
        guess = moved(guess, 1.0, np.array([0.0, 0.0, shift_px / views.pixels_per_m]))
        guess_views = views(guess, azimuths)
    return Seen(truth, guess, truth_views, guess_views, shift_px / _PIXELS_PER_HEIGHT)


def aligned(truth: Character, guess: Character) -> Character:
    """The guess as tall as the truth, on the same ground, its bounds about the same middle in x and z."""
    scale = truth.height_m / guess.height_m
    low, high = truth.mesh.vertices.min(0), truth.mesh.vertices.max(0)
    own_low, own_high = scale * guess.mesh.vertices.min(0), scale * guess.mesh.vertices.max(0)
    shift = 0.5 * (low + high) - 0.5 * (own_low + own_high)
    shift[1] = low[1] - own_low[1]
    return moved(guess, scale, shift)


def in_register(views: Views, front: Bool[np.ndarray, "h w"], guess: Character) -> Character:
    """The guess moved by a few pixels, up or to the side, to where its outline in front agrees best with the truth's.

    Bounds end at fingertips, of which a pixel or two may be missing; one pixel is 2 % of the IoU of a thin figure.
    """
    at, best = np.zeros(2), -1.0

    def agreement(shift: Float[np.ndarray, "2"]) -> float:
        (view,) = views(moved(guess, 1.0, np.append(shift, 0.0) / views.pixels_per_m), np.zeros(1))
        return mask_iou(view.mask, front)

    for step in _STEPS_PX:
        around = step * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
        while True:
            found = [agreement(at + offset) for offset in around]
            chosen = int(np.argmax(found))
            if found[chosen] <= best or np.abs(at + around[chosen]).max() > _MAX_REGISTER_PX:
                break
            at, best = at + around[chosen], found[chosen]
    return moved(guess, 1.0, np.append(at, 0.0) / views.pixels_per_m)


def best_shift(truth: list[Bool[np.ndarray, "h w"]], guess: list[Bool[np.ndarray, "h w"]]) -> int:
    """The shift along +Z, in pixels, at which the outlines of all views agree best (mean IoU)."""
    azimuths = np.radians(AZIMUTHS_DEG[: len(truth)])
    reach = round(_MAX_SHIFT * _PIXELS_PER_HEIGHT)

    def agreement(shift: int) -> float:
        moves = [round(-shift * float(np.sin(azimuth))) for azimuth in azimuths]
        return float(np.mean([mask_iou(np.roll(g, m, 1), t) for t, g, m in zip(truth, guess, moves, strict=True)]))

    coarse = max(range(-reach, reach + 1, 8), key=agreement)
    return max(range(max(coarse - 7, -reach), min(coarse + 7, reach) + 1), key=agreement)


def outline_figures(seen: Seen) -> dict[str, float]:
    """Intersection over union of the outlines: in front, mean of the other seven views, at the side, and each."""
    ious = [
        mask_iou(guess.mask, truth.mask)
        for truth, guess in zip(seen.truth_views[:_OUTLINES], seen.guess_views[:_OUTLINES], strict=True)
    ]
    side = int(np.flatnonzero(AZIMUTHS_DEG == 90.0)[0])
    named = {f"iou_{azimuth:g}": round(iou, 4) for azimuth, iou in zip(AZIMUTHS_DEG, ious, strict=False)}
    return {
        "front_iou": round(ious[0], 4),
        "unseen_iou": round(float(np.mean(ious[1:])), 4),
        "side_iou": round(ious[side], 4),
    } | named


def colour_figures(seen: Seen) -> dict[str, float]:
    """PSNR of the albedo inside both outlines, in dB: of the seven other views, from behind, and of all round."""
    values = []
    for truth, guess in zip(seen.truth_views, seen.guess_views, strict=True):
        both = truth.mask & guess.mask
        values.append(min(psnr_db(guess.rgb, truth.rgb, both), 60.0))
    back = int(np.flatnonzero(AZIMUTHS_DEG == 180.0)[0])
    return {
        "front_albedo_db": round(values[0], 2),
        "unseen_albedo_db": round(float(np.mean(values[1:_OUTLINES])), 2),
        "back_albedo_db": round(values[back], 2),
        "round_albedo_db": round(float(np.mean(values[1:])), 2),
    }


def joints_m(character: Character) -> dict[str, Float[np.ndarray, "3"]]:
    """Where the joints of each role are at rest."""
    at = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)[:, :3, 3]
    return {role: at[joint] for role, joint in character.roles.items()}


def joint_figures(truth: Character, guess: Character) -> dict[str, float | dict[str, float]]:
    """Distances of the joints, in percent of the truth's height, of those of JOINTS that both have."""
    theirs, ours = joints_m(truth), joints_m(guess)
    each = {
        role: round(float(100 * np.linalg.norm(ours[role] - theirs[role]) / truth.height_m), 2)
        for role in JOINTS
        if role in ours and role in theirs
    }
    flat = [
        float(100 * np.linalg.norm((ours[role] - theirs[role])[:2]) / truth.height_m) for role in each
    ]  # as the picture shows them, without depth
    return {
        "joints_percent": round(float(np.mean(list(each.values()))), 2),
        "joints_in_picture_percent": round(float(np.mean(flat)), 2),
        "joints_worst_percent": max(each.values()),
        "joints": each,
    }


def vertex_roles(character: Character) -> list[str]:
    """The role that moves each vertex most."""
    return [BODY_JOINTS[role] for role in role_weights(character).argmax(1)]


def role_weights(character: Character) -> Float[np.ndarray, "vertex 22"]:
    """How much each role moves each vertex; joints without one count to the nearest above that has one."""
    role_of = {joint: role for role, joint in character.roles.items()}
    named: list[str] = []
    for joint, parent in enumerate(character.skeleton.parents):
        named.append(role_of.get(joint, named[parent] if parent >= 0 else "Hips"))
    role = np.array([BODY_JOINTS.index(name) for name in named])
    total = np.zeros((len(character.mesh.vertices), len(BODY_JOINTS)))
    rows = np.repeat(np.arange(len(total)), character.skin_joints.shape[1])
    np.add.at(total, (rows, role[character.skin_joints].ravel()), character.skin_weights.ravel())
    return total


def proportions(character: Character) -> dict[str, float]:
    """Depth over width of head, chest, thigh and foot.

    Head, chest and thigh are cut level half way up the head, a third of the way from neck to hips, and half way down
    the thigh; only surface that these joints move counts. The foot's are those of its box.
    """
    at, roles = joints_m(character), np.array(vertex_roles(character))
    v = character.mesh.vertices
    found: dict[str, float] = {}
    head = np.isin(roles, ["Head"])
    if head.any():
        found["head"] = _cut_ratio(character, head, 0.5 * (v[head, 1].min() + v[head, 1].max()))
    neck = at["Neck"] if "Neck" in at else at["Head"]
    trunk = np.isin(roles, ["Hips", "Spine", "Spine1", "Spine2", "Neck", "LeftShoulder", "RightShoulder"])
    if trunk.any():
        found["chest"] = _cut_ratio(character, trunk, neck[1] + (at["Hips"][1] - neck[1]) / 3)
    thigh, foot = [], []
    for side in ("Left", "Right"):
        own = roles == f"{side}UpLeg"
        if own.any():
            thigh.append(_cut_ratio(character, own, 0.5 * (at[f"{side}UpLeg"][1] + at[f"{side}Leg"][1])))
        own = np.isin(roles, [f"{side}Foot", f"{side}ToeBase"])
        if own.any():
            size = np.ptp(v[own], axis=0)
            foot.append(float(size[2] / max(size[0], 1e-9)))
    found |= {"thigh": float(np.mean(thigh))} if thigh else {}
    found |= {"foot": float(np.mean(foot))} if foot else {}
    return {part: round(ratio, 3) for part, ratio in found.items() if np.isfinite(ratio)}


def _cut_ratio(character: Character, own: Bool[np.ndarray, " vertex"], height_m: float) -> float:
    """Depth over width of where a level plane cuts part of the surface; not a number where it does not."""
    mesh = character.mesh
    faces = mesh.faces[own[mesh.faces].all(1)]
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    a, b = mesh.vertices[edges[:, 0]], mesh.vertices[edges[:, 1]]
    crosses = (a[:, 1] > height_m) != (b[:, 1] > height_m)
    if not crosses.any():
        return float("nan")
    a, b = a[crosses], b[crosses]
    share = (height_m - a[:, 1]) / (b[:, 1] - a[:, 1])
    points = a + share[:, None] * (b - a)
    wide, deep = np.ptp(points[:, 0]), np.ptp(points[:, 2])
    return float(deep / max(wide, 1e-9))


def loose_parts(seen: Seen) -> dict[str, float | int]:
    """Of the vertices that show hair, skirt, cape or bag (labels of the truth, from the front and from behind), which
    share follows an arm or a leg: a quarter of their weight or more."""
    names = [material.name for material in seen.truth.mesh.materials]
    loose = np.array([name in LOOSE for name in names] + [False])
    mesh = seen.guess.mesh
    weights = role_weights(seen.guess)
    limb = [BODY_JOINTS.index(f"{side}{part}") for side in ("Left", "Right") for part in LIMB_PARTS]
    follows = weights[:, limb].sum(1) >= 0.25
    back = int(np.flatnonzero(AZIMUTHS_DEG == 180.0)[0])
    shown = np.zeros(len(mesh.vertices), bool)
    for index, sign in ((0, 1.0), (back, -1.0)):
        label = label_at(seen.truth, seen.truth_views[index], mesh.vertices * [sign, 1.0, 1.0])
        shown |= loose[label] & (sign * mesh.normals[:, 2] > 0.2) & in_front(mesh.vertices * [sign, 1.0, sign])
    count = int(shown.sum())
    return {
        "loose_vertices": count,
        "loose_follow_limbs_percent": round(100 * float(follows[shown].mean()), 2) if count else 0.0,
    }


def in_front(points: Float[np.ndarray, "vertex 3"], cell: float = 0.015, depth: float = 0.025) -> np.ndarray:
    """Which points nothing hides from a viewer along +Z: within `depth` of the foremost in their `cell`, in heights."""
    height = float(np.ptp(points[:, 1]))
    row, column = (np.floor((points[:, axis] - points[:, axis].min()) / (cell * height)).astype(int) for axis in (1, 0))
    foremost = np.full((row.max() + 1, column.max() + 1), -np.inf)
    np.maximum.at(foremost, (row, column), points[:, 2])
    return points[:, 2] > foremost[row, column] - depth * height


def label_at(truth: Character, view: View, points: Float[np.ndarray, "vertex 3"]) -> Int[np.ndarray, " vertex"]:
    """What the view shows at points (x to its right); −1: nothing, or the border between two things."""
    height, (rows, columns) = truth.height_m, view.label.shape
    scale = _PIXELS_PER_HEIGHT / height
    bottom = float(truth.mesh.vertices[:, 1].min())
    x = np.floor(columns / 2 + points[:, 0] * scale).astype(int)
    y = np.floor((bottom + 1.02 * height - points[:, 1]) * scale).astype(int)
    inside = (x >= 2) & (x < columns - 2) & (y >= 2) & (y < rows - 2)
    x, y = np.clip(x, 2, columns - 3), np.clip(y, 2, rows - 3)
    label = view.label[y, x]
    sure = inside.copy()
    for dy, dx in ((-2, 0), (2, 0), (0, -2), (0, 2)):
        sure &= view.label[y + dy, x + dx] == label
    return np.where(sure, label, -1)
