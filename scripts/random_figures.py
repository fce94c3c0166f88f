"""Endless random figures with known joints: people of our body model out of proportion, and figures drawn of shapes.

What scripts/train_joint_network.py learns from. Everything is made here: no photograph, no picture of anybody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from understudy.body.model import BodyModel
from understudy.characters.picture.joints import POINTS
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS
from understudy.geometry.meshes import vertex_normals

CANVAS = 192
"""Side of the square picture in pixels."""
TALL = 104.0
"""About how many pixels tall a figure is before it is cropped."""
INDEX = {name: index for index, name in enumerate(BODY_JOINTS)}
SIDES = (("left", 1.0), ("right", -1.0))
Points = dict[str, np.ndarray]


class Canvas:
    """A picture and the figure's outline, painted together."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rgb, self.mask = np.zeros((CANVAS, CANVAS, 3), np.uint8), np.zeros((CANVAS, CANVAS), np.uint8)
        self.rng = rng
        self.palette = rng.integers(10, 246, (int(rng.integers(1, 7)), 3))

    def colour(self) -> tuple[int, ...]:
        """One of the figure's few colours, or of its own."""
        if self.rng.random() < 0.15:
            return tuple(int(c) for c in self.rng.integers(10, 246, 3))
        return tuple(int(c) for c in self.palette[self.rng.integers(len(self.palette))])

    def polygon(self, points: np.ndarray, colour: tuple[int, ...], where: np.ndarray | None = None) -> None:
        """A filled polygon, n × 2 in pixels; only `where` not zero if given."""
        outline = [np.round(np.asarray(points) * 16).astype(np.int32)]
        if where is None:
            cv2.fillPoly(self.rgb, outline, colour, cv2.LINE_8, 4)
            cv2.fillPoly(self.mask, outline, 1, cv2.LINE_8, 4)
            return
        own = np.zeros_like(self.mask)
        cv2.fillPoly(own, outline, 1, cv2.LINE_8, 4)
        own &= where
        self.rgb[own > 0] = colour
        self.mask |= own

    def blob(
        self, centre: np.ndarray, half: np.ndarray, power: float, turn: float, colour: tuple[int, ...],
        where: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """A superellipse: 2 is an ellipse, 8 a box, 1 a rhombus."""
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        c, s = np.cos(angle), np.sin(angle)
        outline = np.stack([np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)], 1) * half
        self.polygon(centre + outline @ rotation(turn).T, colour, where)

    def cone(self, a: np.ndarray, b: np.ndarray, ra: float, rb: float, colour: tuple[int, ...], flat: bool) -> None:
        """A limb from a to b with its widths at both ends; flat: with straight ends."""
        along = b - a
        unit = along / max(float(np.linalg.norm(along)), 1e-6)
        across = np.array([-unit[1], unit[0]])
        self.polygon(np.stack([a + ra * across, b + rb * across, b - rb * across, a - ra * across]), colour)
        if not flat:
            for centre, radius in ((a, ra), (b, rb)):
                self.blob(centre, np.array([radius, radius]), 2.0, 0.0, colour)


def rotation(angle: float) -> np.ndarray:
    """Of the picture's plane, clockwise as seen."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s], [s, c]])


def down(angle: float, side: float) -> np.ndarray:
    """A direction, 0 straight down, a quarter turn outwards to that side."""
    return np.array([side * np.sin(angle), np.cos(angle)])


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Between two numbers, even in ratio."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def arm_angles(rng: np.random.Generator) -> tuple[float, float]:
    """Of upper arm and forearm from straight down, outwards: hanging, A-pose, T-pose, raised, bent."""
    if (kind := rng.random()) < 0.32:
        upper = rng.normal(1.5, 0.12)
        return upper, upper + rng.normal(0.0, 0.12)
    if kind < 0.62:
        upper = rng.uniform(0.35, 1.3)
        return upper, upper + rng.normal(-0.1, 0.25)
    if kind < 0.82:
        upper = rng.uniform(0.02, 0.4)
        return upper, upper + rng.normal(-0.1, 0.3)
    if kind < 0.9:
        return rng.uniform(1.4, 2.7), rng.uniform(1.3, 3.0)
    return rng.uniform(0.2, 1.5), rng.uniform(-1.6, 2.8)


def both_arms(rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Mostly alike."""
    first = arm_angles(rng)
    second = (first[0] + rng.normal(0, 0.05), first[1] + rng.normal(0, 0.08)) if rng.random() < 0.7 else arm_angles(rng)
    return {"left": first, "right": second}


# Figures drawn of shapes


def drawn_figure(rng: np.random.Generator) -> tuple[Canvas, Points]:
    """A figure of cones, ellipses and boxes: chibis, robots, knights, bears, stick people."""
    canvas, point = Canvas(rng), {}
    head_share = log_uniform(rng, 0.11, 0.52)
    body = 1 - head_share
    neck_gap = rng.choice([0.0, rng.uniform(0, 0.05), rng.uniform(0, 0.09)]) * body
    torso = rng.uniform(0.3, 0.55) * body
    legs = body - torso - neck_gap
    head_half = 0.5 * head_share * np.array([log_uniform(rng, 0.65, 1.5), 1.0])
    shoulders = rng.uniform(0.16, 0.42) * (0.45 + 0.8 * torso)
    waist, pelvis = shoulders * rng.uniform(0.55, 1.25), shoulders * rng.uniform(0.6, 1.3)
    top = np.array([0.0, head_share + neck_gap])
    point["hips"] = top + [0.0, torso * rng.uniform(0.9, 1.0)]
    point["head_top"], middle = np.zeros(2), np.array([0.0, 0.5 * head_share])
    overlap = rng.choice([0.0, rng.uniform(0, 0.25)]) * head_share
    middle, point["head_top"] = middle + [0, overlap], point["head_top"] + [0, overlap]
    point["head"] = middle + [0, head_half[1] * rng.uniform(0.72, 1.0)]
    point["neck"] = np.array([0.0, max(top[1] + 0.01, point["head"][1] + 0.02 * body)])
    arm = log_uniform(rng, 0.16, 0.62) * (0.3 + 0.7 * body)
    arm_width = log_uniform(rng, 0.09, 0.34) * arm
    leg_width = min(log_uniform(rng, 0.07, 0.36) * (0.1 + legs), 0.62 * pelvis)
    angles = both_arms(rng)
    spread = abs(rng.normal(0.06, 0.08))
    flat, foot_out = rng.random() < 0.3, rng.uniform(0, 1)
    elbow_share, knee_share, hand = rng.uniform(0.38, 0.52), rng.uniform(0.42, 0.56), log_uniform(rng, 0.7, 2.4)
    drop = rng.uniform(0.02, 0.22) * torso + 0.3 * arm_width
    foot_half = leg_width * np.array([rng.uniform(0.9, 1.7), rng.uniform(0.5, 1.1)])
    for side, sign in SIDES:
        upper, fore = angles[side]
        shoulder = top + [sign * shoulders * rng.uniform(0.82, 1.05), drop]
        elbow = shoulder + elbow_share * arm * down(upper, sign)
        wrist = elbow + (0.82 - elbow_share) * arm * down(fore, sign)
        tip = wrist + (0.18 * arm + 0.5 * hand * arm_width) * down(fore + rng.normal(0, 0.15), sign)
        hip = point["hips"] + [sign * max(0.62 * leg_width, pelvis - leg_width) * rng.uniform(0.85, 1), 0.01]
        tilt = spread + rng.normal(0, 0.05)
        foot_height = min(0.9 * foot_half[1], 0.4 * legs)
        length = (1 - point["hips"][1] - 0.01 - foot_height) / max(np.cos(tilt), 0.5)
        knee = hip + knee_share * length * down(tilt + rng.normal(0, 0.06), sign)
        ankle = knee + (1 - knee_share) * length * down(tilt + rng.normal(0, 0.08), sign)
        toe = ankle + [sign * foot_out * foot_half[0] * 0.9, 0.7 * foot_half[1]]
        for name, place in (
            ("shoulder", shoulder), ("elbow", elbow), ("wrist", wrist), ("hand", tip), ("hip", hip), ("knee", knee),
            ("ankle", ankle), ("toe", toe),
        ):  # fmt: skip
            point[f"{side}_{name}"] = place
    lean = rotation(rng.normal(0, 0.04))
    point = {name: CANVAS / 2 + (place - [0, 0.5]) @ lean.T * TALL for name, place in point.items()}
    sizes = {
        "head": head_half * TALL, "shoulders": shoulders * TALL, "waist": waist * TALL, "pelvis": pelvis * TALL,
        "arm": arm_width * TALL, "leg": leg_width * TALL, "foot": foot_half * TALL, "hand": hand * arm_width * TALL,
        "top": CANVAS / 2 + (top - [0, 0.5]) @ lean.T * TALL, "foot_out": foot_out,
        "middle": CANVAS / 2 + (middle - [0, 0.5]) @ lean.T * TALL,
    }  # fmt: skip
    paint_drawn(canvas, point, sizes, flat)
    return canvas, point


def paint_drawn(canvas: Canvas, point: Points, size: dict, flat: bool) -> None:
    """Behind first: cape, hair, legs, arms, trunk, clothes, head."""
    rng = canvas.rng
    behind(canvas, point, size["head"], size["shoulders"])
    arm_colours, leg_colours = [canvas.colour() for _ in range(3)], [canvas.colour() for _ in range(3)]
    bulge = np.exp(np.clip(rng.normal(0, 0.3, 6), -0.6, 0.6))
    limb_bulge = rng.random() < 0.35

    def legs() -> None:
        for side, sign in SIDES:
            p = [point[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "toe")]
            r = size["leg"] * 0.5 * (1.5 if limb_bulge else 1.0)
            canvas.cone(p[0], p[1], r * bulge[0], r * bulge[1], leg_colours[0], flat)
            canvas.cone(p[1], p[2], r * bulge[1], r * bulge[2], leg_colours[1], flat)
            centre = p[2] + [sign * size["foot_out"] * 0.4 * size["foot"][0], 0.15 * size["foot"][1]]
            canvas.blob(centre, size["foot"], rng.choice([2.0, 4.0]), 0.0, leg_colours[2])

    def arms() -> None:
        for side, _ in SIDES:
            p = [point[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand")]
            r = size["arm"] * 0.5
            canvas.cone(p[0], p[1], r * bulge[3], r * bulge[4], arm_colours[0], flat)
            canvas.cone(p[1], p[2], r * bulge[4], r * bulge[5] * (1.5 if limb_bulge else 1.0), arm_colours[1], flat)
            paint_hand(canvas, p[2], p[3], 0.5 * size["hand"], arm_colours[2])

    def trunk() -> None:
        hips = point["hips"]
        axis = hips - size["top"]
        across = np.array([axis[1], -axis[0]]) / max(float(np.linalg.norm(axis)), 1e-6)
        colour = canvas.colour()
        widths = [(0.0, size["shoulders"]), (0.55, size["waist"]), (1.06, size["pelvis"])]
        rim = np.stack([size["top"] + s * axis + w * across for s, w in widths])
        other = np.stack([size["top"] + s * axis - w * across for s, w in widths[::-1]])
        if rng.random() < 0.35:
            half = np.array([max(size["shoulders"], size["pelvis"]), 0.56 * np.linalg.norm(axis)])
            canvas.blob(size["top"] + 0.5 * axis, half, rng.choice([2.0, 3.0, 6.0]), 0.0, colour)
        else:
            canvas.polygon(np.concatenate([rim, other]), colour)
        canvas.cone(size["top"], point["head"], *(2 * [rng.uniform(0.3, 0.9) * size["arm"]]), canvas.colour(), True)
        garments(canvas, point, size["pelvis"], size["shoulders"])

    orders: list[list[Callable[[], None]]] = [[legs, arms, trunk], [legs, trunk, arms], [arms, trunk, legs]]
    for paint in orders[int(rng.choice(3, p=[0.35, 0.5, 0.15]))]:
        paint()
    power = float(rng.choice([2.0, 2.0, 3.0, 6.0]))
    canvas.blob(size["middle"], size["head"], power, 0.0, canvas.colour())
    before(canvas, point, size["middle"], size["head"])


def paint_hand(canvas: Canvas, wrist: np.ndarray, tip: np.ndarray, radius: float, colour: tuple[int, ...]) -> None:
    """A ball, or a palm with fingers."""
    rng, along = canvas.rng, tip - wrist
    length = max(float(np.linalg.norm(along)), 1e-6)
    if rng.random() < 0.5:
        half = np.array([0.5 * length + 0.2 * radius, radius])
        canvas.blob(wrist + 0.5 * along, half, rng.choice([2.0, 4.0]), np.arctan2(along[1], along[0]), colour)
        return
    canvas.cone(wrist, wrist + 0.5 * along, radius, radius, colour, False)
    for bend in np.linspace(-0.6, 0.6, int(rng.integers(2, 6))) * rng.uniform(0.3, 1.2):
        end = wrist + 0.4 * along + rotation(bend) @ along * 0.6
        canvas.cone(wrist + 0.3 * along, end, 0.35 * radius, 0.25 * radius, colour, False)


# Clothes, hair and what figures carry


def behind(canvas: Canvas, point: Points, head: np.ndarray, shoulders: float) -> None:
    """Cape, wings, tail, long hair, a weapon in the hand."""
    rng = canvas.rng
    neck, hips, crown = point["neck"], point["hips"], point["head_top"]
    legs = 0.5 * (point["left_ankle"] + point["right_ankle"]) - hips
    middle = 0.5 * (point["head"] + crown)
    if rng.random() < 0.14:
        end, wide = hips + rng.uniform(0.1, 1.0) * legs, shoulders * rng.uniform(0.9, 2.4)
        rim = [neck + [-shoulders, 0], neck + [shoulders, 0], end + [wide, 0], end + [-wide, 0]]
        canvas.polygon(np.stack(rim), canvas.colour())
    if rng.random() < 0.07:
        for _, sign in SIDES:
            reach = sign * shoulders * rng.uniform(1.5, 5)
            rim = [neck, neck + [reach, -rng.uniform(-20, 40)], neck + [0.8 * reach, rng.uniform(10, 50)], hips]
            canvas.polygon(np.stack(rim), canvas.colour())
    if rng.random() < 0.08:
        sign = rng.choice([-1, 1])
        end = hips + [sign * rng.uniform(10, 50), rng.uniform(-30, 30)]
        canvas.cone(hips, end, rng.uniform(3, 8), rng.uniform(1, 8), canvas.colour(), False)
    if rng.random() < 0.3:
        end = neck + rng.uniform(-0.3, 1.1) * (hips - neck)
        wide = head[0] * rng.uniform(0.9, 1.4)
        rim = [middle + [-wide, -0.2 * head[1]], middle + [wide, -0.2 * head[1]], end + [wide, 0], end + [-wide, 0]]
        canvas.polygon(np.stack(rim), canvas.colour())
    if rng.random() < 0.08:
        for _, sign in SIDES:
            tip = middle + [sign * head[0] * rng.uniform(1.1, 1.8), head[1] * rng.uniform(-0.5, 3.5)]
            canvas.cone(middle + [sign * head[0], 0], tip, head[0] * 0.3, head[0] * 0.15, canvas.colour(), False)
    if rng.random() < 0.1:
        hand = point[str(rng.choice(["left", "right"])) + "_hand"]
        line = rotation(rng.uniform(-3.2, 3.2)) @ np.array([rng.uniform(15, 60), 0])
        canvas.cone(hand - 0.3 * line, hand + line, rng.uniform(1, 3), rng.uniform(1, 4), canvas.colour(), True)


def garments(canvas: Canvas, point: Points, pelvis: float, shoulders: float, where: np.ndarray | None = None) -> None:
    """A skirt, coat or robe over the legs, a belt, an apron, buttons."""
    rng = canvas.rng
    neck, hips = point["neck"], point["hips"]
    legs = 0.5 * (point["left_ankle"] + point["right_ankle"]) - hips
    if rng.random() < 0.2:
        start, end = neck + rng.uniform(0.5, 0.9) * (hips - neck), hips + rng.uniform(0.1, 1.08) * legs
        wide = pelvis * rng.uniform(1.0, 2.0) + 0.15 * np.linalg.norm(end - hips) * rng.random()
        narrow = 0.5 * (pelvis + shoulders) * rng.uniform(0.6, 1.0)
        rim = [start + [-narrow, 0], start + [narrow, 0], end + [wide, 0], end + [-wide, 0]]
        canvas.polygon(np.stack(rim), canvas.colour(), where)
    if rng.random() < 0.3:
        level = neck + rng.uniform(0.6, 1.0) * (hips - neck)
        canvas.blob(level, np.array([pelvis, rng.uniform(1, 4)]), 6.0, 0.0, canvas.colour(), canvas.mask)
    for _ in range(int(rng.integers(0, 3))):
        place = neck + rng.uniform(0, 1) * (hips - neck) + rng.normal(0, 0.3, 2) * shoulders
        canvas.blob(place, rng.uniform(1, 8, 2), 3.0, 0.0, canvas.colour(), canvas.mask)


def before(canvas: Canvas, point: Points, middle: np.ndarray, head: np.ndarray) -> None:
    """Face, fringe, ears, horns, spikes, a hat, a beard."""
    rng = canvas.rng
    if rng.random() < 0.5:  # hair or a helmet over the upper part
        half = head * rng.uniform(0.95, 1.15, 2)
        low = rng.uniform(-0.5, 0.2) * head[1]
        rows = np.arange(CANVAS)[:, None] < middle[1] + low
        canvas.blob(middle, half, 2.0, 0.0, canvas.colour(), np.broadcast_to(rows, canvas.mask.shape).astype(np.uint8))
    if rng.random() < 0.22:
        kind, out, tall = canvas.colour(), rng.uniform(0.3, 1.0), rng.uniform(0.2, 1.1)
        for _, sign in SIDES:
            place = middle + [sign * out * head[0], -np.sqrt(max(1 - out**2, 0.05)) * head[1]]
            if rng.random() < 0.5:
                canvas.blob(place, head * tall * 0.45, 2.0, sign * rng.uniform(0, 0.6), kind)
            else:
                tip = place + [sign * rng.uniform(0, 0.5) * head[0], -tall * head[1]]
                foot = [place + [-0.25 * head[0], 2], place + [0.25 * head[0], 2]]
                canvas.polygon(np.stack([*foot, tip]), kind)
    if rng.random() < 0.15:
        for _ in range(int(rng.integers(2, 6))):
            turn = rng.uniform(-1.2, 1.2)
            place = middle + rotation(turn) @ np.array([0, -0.7]) * head
            tip = middle + rotation(turn) @ np.array([0, -rng.uniform(1.1, 1.7)]) * head
            canvas.cone(place, tip, 0.25 * head[0], rng.uniform(0, 0.25) * head[0], canvas.colour(), True)
    if rng.random() < 0.12:
        brim = middle + [0, -rng.uniform(0.4, 0.9) * head[1]]
        colour = canvas.colour()
        canvas.blob(brim, head * [rng.uniform(1, 1.9), 0.12], 2.0, 0.0, colour)
        canvas.blob(
            brim - [0, 0.3 * head[1]], head * [0.8, rng.uniform(0.3, 0.8)], rng.choice([1.2, 2.0, 6.0]), 0.0, colour
        )
    if rng.random() < 0.08:
        canvas.blob(point["head"] + [0, 0.3 * head[1]], head * rng.uniform(0.4, 0.9, 2), 2.0, 0.0, canvas.colour())
    if rng.random() < 0.7:
        colour, apart, high = canvas.colour(), rng.uniform(0.2, 0.5), rng.uniform(-0.3, 0.3)
        for _, sign in SIDES:
            place = middle + head * [sign * apart, high]
            canvas.blob(place, head * rng.uniform(0.05, 0.25), 2.0, 0.0, colour, canvas.mask)
        if rng.random() < 0.6:
            half = head * [rng.uniform(0.1, 0.5), rng.uniform(0.03, 0.12)]
            canvas.blob(middle + head * [0, rng.uniform(0.3, 0.7)], half, 2.0, 0.0, canvas.colour(), canvas.mask)


# People of the body model


@dataclass(frozen=True)
class Skin:
    """Points spread evenly over the body model's surface."""

    mean: np.ndarray
    basis: np.ndarray
    normals: np.ndarray
    weights: np.ndarray
    """Point × joint."""
    segment: np.ndarray
    hull: dict[str, np.ndarray]
    """Points by the joint that moves them most."""


@cache
def body(count: int = 14_000) -> tuple[BodyModel, Skin]:
    """The model and points on it."""
    model, rng = BodyModel.load(), np.random.default_rng(0)
    corners = model.vertices[model.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    faces = model.faces[rng.choice(len(area), count, p=area / area.sum())]
    share = rng.dirichlet(np.ones(3), count)

    def spread(values: np.ndarray) -> np.ndarray:
        return np.einsum("pc,pc...->p...", share, values[faces])

    weights = np.zeros((len(model.vertices), len(BODY_JOINTS)))
    np.add.at(weights, (np.arange(len(weights))[:, None], model.skin_joints), model.skin_weights)
    weights = spread(weights)
    hull = {name: np.flatnonzero(weights.argmax(1) == index) for name, index in INDEX.items()}
    normals = spread(vertex_normals(model.vertices, model.faces))
    return model, Skin(
        spread(model.vertices), spread(model.vertex_basis), normals, weights, model.vertex_segment[faces[:, 0]], hull
    )


def body_figure(rng: np.random.Generator) -> tuple[Canvas, Points]:
    """A person with limbs and head of any size, in clothes of any width, in a pose, a little turned."""
    model, skin = body()
    canvas = Canvas(rng)
    shape = rng.normal(0, 1.0, model.components) * rng.uniform(0.4, 1.4)
    rest = model.joints + model.joint_basis @ shape
    scale = body_scales(rng, rng.choice([0.06, 0.25], p=[0.55, 0.45]))
    turns = body_turns(rng)
    joints, world, linear = np.zeros((22, 3)), np.zeros((22, 3, 3)), np.zeros((22, 3, 3))
    for joint, parent in enumerate(BODY_PARENTS):
        offset = rest[joint] - (rest[parent] if parent >= 0 else 0)
        world[joint] = (world[parent] if parent >= 0 else np.eye(3)) @ turns.get(BODY_JOINTS[joint], np.eye(3))
        joints[joint] = joints[parent] + world[parent] @ (scale[parent] * offset) if parent >= 0 else offset
        linear[joint] = world[joint] * scale[joint]
    of_head = skin.hull["Head"]
    thick = np.full(len(skin.mean), rng.choice([0.0, rng.uniform(0, 0.035)]))
    thick[of_head] = rng.uniform(0, 0.03)
    still = skin.mean + skin.basis @ shape + thick[:, None] * skin.normals
    shift = joints - np.einsum("jxy,jy->jx", linear, rest)
    vertices = np.einsum("pxy,py->px", (skin.weights @ linear.reshape(22, 9)).reshape(-1, 3, 3), still)
    vertices += skin.weights @ shift
    low, tall = vertices[:, 1].min(), np.ptp(vertices[:, 1])
    to_px = TALL / tall

    def project(p: np.ndarray) -> np.ndarray:
        return CANVAS / 2 + np.stack([p[..., 0] * to_px, (0.5 * tall - (p[..., 1] - low)) * to_px], -1)

    paint_body(canvas, project(vertices), vertices[:, 2], skin.segment)
    at = {name: project(joints[index]) for name, index in INDEX.items()}
    point = {"hips": at["Hips"], "neck": at["Neck"], "head": at["Head"]}
    own = project(vertices[of_head])
    point["head_top"] = own[own[:, 1].argmin()]
    for side, _ in SIDES:
        prefix = side.capitalize()
        for name, joint in (("shoulder", "Arm"), ("elbow", "ForeArm"), ("wrist", "Hand"), ("hip", "UpLeg"),
                            ("knee", "Leg"), ("ankle", "Foot")):  # fmt: skip
            point[f"{side}_{name}"] = at[prefix + joint]
        fingers = vertices[skin.hull[prefix + "Hand"]]
        reach = np.linalg.norm(fingers - joints[INDEX[prefix + "Hand"]], axis=1)
        point[f"{side}_hand"] = project(fingers[reach.argmax()])
        point[f"{side}_toe"] = at[prefix + "ToeBase"]
    size = 0.5 * np.ptp(own, axis=0)
    middle = 0.5 * (own.max(0) + own.min(0))
    shoulders = abs(at["LeftArm"][0] - at["RightArm"][0]) / 2
    mask = canvas.mask.copy()
    behind_body = Canvas(rng)
    behind(behind_body, point, size, shoulders)
    new = (behind_body.mask > 0) & (mask == 0)
    canvas.rgb[new], canvas.mask[new] = behind_body.rgb[new], 1
    garments(canvas, point, 1.25 * shoulders * rng.uniform(0.7, 1.0), shoulders)
    before(canvas, point, middle, size)
    return canvas, point


def body_scales(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Of each joint's own part along x, y and z of the T-pose."""
    scale = np.ones((22, 3))
    spread = np.exp(rng.normal(0, strength, 9))
    trunk_wide, trunk_long, arm_long, leg_long, arm_wide, leg_wide, foot, hand, head = spread
    head = head * (log_uniform(rng, 1, 2.2) if rng.random() < 0.25 else 1.0)
    for name, index in INDEX.items():
        if name == "Head":
            scale[index] = head
        elif name in ("Hips", "Spine", "Spine1", "Spine2", "Neck"):
            scale[index] = trunk_wide, trunk_long, trunk_wide
        elif name.endswith("Shoulder"):
            scale[index] = trunk_wide
        elif name.endswith(("Arm", "ForeArm")):
            scale[index] = arm_long, arm_wide, arm_wide
        elif name.endswith("Hand"):
            scale[index] = hand
        elif name.endswith(("Foot", "ToeBase")):
            scale[index] = foot
        else:
            scale[index] = leg_wide, leg_long, leg_wide
    return scale


def turn_about(axis: str, angle: float) -> np.ndarray:
    """Rotation about x, y or z."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    R = np.eye(3)
    R[i, i] = R[j, j] = c
    R[i, j], R[j, i] = -s, s
    return R


def body_turns(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Each joint's turn from the T-pose."""
    angles, calm = both_arms(rng), rng.random() < 0.5
    turns = {"Hips": turn_about("y", rng.normal(0, 0.05 if calm else 0.3)) @ turn_about("z", rng.normal(0, 0.03))}
    turns["Head"] = turn_about("y", rng.normal(0, 0.25)) @ turn_about("x", rng.normal(0, 0.15))
    spread = abs(rng.normal(0.0, 0.1))
    for side, sign in SIDES:
        prefix = side.capitalize()
        upper, fore = angles[side]
        turns[f"{prefix}Arm"] = turn_about("z", sign * (upper - np.pi / 2)) @ turn_about("y", rng.normal(0, 0.2))
        turns[f"{prefix}ForeArm"] = turn_about("z", sign * (fore - upper)) @ turn_about(
            "y", -sign * abs(rng.normal(0, 0.2))
        )
        lift = 0.0 if calm else abs(rng.normal(0, 0.25))
        turns[f"{prefix}UpLeg"] = turn_about("z", sign * (spread + rng.normal(0, 0.04))) @ turn_about("x", -lift)
        turns[f"{prefix}Leg"] = turn_about("x", lift * rng.uniform(0.8, 2.0))
    return turns


def paint_body(canvas: Canvas, at: np.ndarray, z: np.ndarray, segment: np.ndarray) -> None:
    """The points, the nearest last; small gaps are closed."""
    colours = np.array([canvas.colour() for _ in range(12)])
    of_segment = np.array([0, 1, 2, 2, 3, 4, 4, 5, 6, 2, 5, 6, 2, 7, 8, 9, 7, 8, 9])
    order = np.argsort(z)
    pixel = np.clip(np.floor(at[order]).astype(int), 0, CANVAS - 1)
    canvas.mask[pixel[:, 1], pixel[:, 0]] = 1
    canvas.rgb[pixel[:, 1], pixel[:, 0]] = colours[of_segment[segment[order]]]
    closed = cv2.morphologyEx(canvas.mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    new = (closed > 0) & (canvas.mask == 0)
    canvas.rgb[new] = cv2.dilate(canvas.rgb, np.ones((3, 3), np.uint8))[new]
    canvas.mask = closed


def random_figure(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A flat picture (height × width × 3), its figure (bool) and the 20 points in pixels."""
    canvas, point = body_figure(rng) if rng.random() < 0.4 else drawn_figure(rng)
    return canvas.rgb, canvas.mask > 0, np.stack([point[name] for name in POINTS])
