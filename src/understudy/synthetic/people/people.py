"""People with clothes, hair and a painted face over the body model."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float

from understudy.body.model import LANDMARK_JOINTS, SEGMENTS, BodyModel, ShapedBody
from understudy.core.character import Character, Material, Mesh
from understudy.core.footage import LANDMARKS
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.meshes import vertex_normals
from understudy.synthetic.people.faces import eye_texture, face_paint
from understudy.synthetic.people.wardrobe import ClothingPart, garment, joined, shoe, skin_piece, smoothed
from understudy.synthetic.textures import Texture, noise, to_texture

__all__ = ["Colour", "Outfit", "dressed", "random_outfit"]

Colour = tuple[float, float, float]
"""sRGB, 0 … 1."""

TEXTURE_DENSITY = {"head": 2600.0, "hair": 1400.0, "left eye": 6000.0, "right eye": 6000.0, "top": 900.0}
"""Texels per metre of the finer pieces."""


@dataclass(frozen=True)
class Outfit:
    """How a person looks."""

    skin: Colour = (0.86, 0.65, 0.53)
    hair: Colour = (0.22, 0.14, 0.09)
    eyes: Colour = (0.30, 0.42, 0.52)
    top: Colour = (0.20, 0.36, 0.62)
    second: Colour = (0.92, 0.90, 0.85)
    """Of stripes, or of the shirt under a jacket."""
    trousers: Colour = (0.24, 0.25, 0.30)
    shoes: Colour = (0.16, 0.12, 0.10)
    style: Literal["plain", "stripes", "jacket"] = "plain"
    long_sleeves: bool = False
    boots: bool = False
    belt: Colour | None = (0.30, 0.19, 0.11)
    hair_m: float = 0.018
    """How thick the hair lies."""
    quiff_m: float = 0.0
    """How much more it rises above the forehead."""
    gloves: Colour | None = None
    scarf: Colour | None = None
    head_scale: float = 1.0
    """Above 1: a cartoon's large head."""
    smile_m: float = 0.004
    """How far the corners of the mouth are drawn up."""
    wide_eyes_m: float = 0.0
    """How far the lids are opened more than the body model has them."""


def random_outfit(rng: np.random.Generator) -> Outfit:
    """Everyday clothes at random; shirt and trousers always differ clearly."""
    skins = ((0.93, 0.76, 0.66), (0.86, 0.65, 0.53), (0.72, 0.51, 0.38), (0.52, 0.35, 0.25), (0.38, 0.25, 0.18))
    hairs = ((0.10, 0.08, 0.07), (0.22, 0.14, 0.09), (0.42, 0.27, 0.15), (0.72, 0.56, 0.33), (0.55, 0.24, 0.12))
    tops = ((0.72, 0.20, 0.17), (0.20, 0.36, 0.62), (0.85, 0.62, 0.18), (0.22, 0.47, 0.33), (0.88, 0.86, 0.80))
    legs = ((0.22, 0.28, 0.42), (0.20, 0.20, 0.22), (0.55, 0.46, 0.33), (0.30, 0.33, 0.25))
    skin = skins[int(rng.integers(len(skins)))]
    return Outfit(
        skin=skin,
        hair=hairs[int(rng.integers(2 if sum(skin) < 1.5 else len(hairs)))],
        top=tops[int(rng.integers(len(tops)))],
        trousers=legs[int(rng.integers(len(legs)))],
        shoes=((0.16, 0.12, 0.10), (0.85, 0.84, 0.82), (0.35, 0.20, 0.12))[int(rng.integers(3))],
        style=("plain", "stripes", "jacket")[int(rng.integers(3))],
        long_sleeves=bool(rng.random() < 0.5),
        hair_m=float(rng.uniform(0.012, 0.028)),
    )


def dressed(model: BodyModel, shape: Float[np.ndarray, " component"], outfit: Outfit, seed: int = 0) -> Character:
    """A person of a shape in an outfit, rigged as the bare body is: all 22 roles, the same skeleton."""
    rng = np.random.default_rng(seed)
    body, bare = _with_face(model, model.shaped(shape), outfit), model.character(shape, "person")
    pieces = _pieces(model, body, outfit)
    painters = _painters(body, outfit, rng)
    merged, number, uv = joined([piece for _, piece in pieces])
    # Both copies of a vertex, seen from the front and from behind, share one normal.
    normals = np.empty_like(merged.vertices)
    start = 0
    for _, piece in pieces:
        count = len(piece.vertices)
        normals[start : start + 2 * count] = np.tile(vertex_normals(piece.vertices, piece.faces), (2, 1))
        start += 2 * count
    materials = []
    for name, piece in pieces:
        density = TEXTURE_DENSITY.get(name, 560.0)
        texture = _painted(piece, painters[name], density)
        materials.append(replace(piece.material, name=name, texture=texture))
    mesh = Mesh(merged.vertices, merged.faces, normals, uv, number, tuple(materials))
    a, b = merged.carriers.T
    share = merged.share[:, None]
    return replace(
        bare,
        mesh=mesh,
        skin_joints=np.concatenate([model.skin_joints[a], model.skin_joints[b]], 1),
        skin_weights=np.concatenate([(1 - share) * model.skin_weights[a], share * model.skin_weights[b]], 1),
    )


def _with_face(model: BodyModel, body: ShapedBody, outfit: Outfit) -> ShapedBody:
    """The body with a smile, and its head, with what of the neck hangs on it, scaled about the head's joint."""
    head, pivot = BODY_JOINTS.index("Head"), _joint(body, "Head")
    corner, eye = _landmark(body, "mouth_left"), _landmark(body, "left_eye")

    def changed(points: Float[np.ndarray, "n 3"], weight: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
        away = ((np.abs(points[:, 0]) - abs(corner[0])) / 0.014) ** 2 + (
            (points[:, 1] - corner[1] - 0.004) / 0.016
        ) ** 2
        front = points[:, 2] > corner[2] - 0.03
        points = points + (outfit.smile_m * np.exp(-away) * front)[:, None] * [0.0, 1.0, -0.3]
        above = points[:, 1] - eye[1]
        lid = np.exp(-(((np.abs(points[:, 0]) - eye[0]) / 0.014) ** 2) - (above / 0.014) ** 2) * front
        points = points + (outfit.wide_eyes_m * lid * np.tanh(above / 0.003))[:, None] * [0.0, 1.0, 0.0]
        return points + (weight * (outfit.head_scale - 1))[:, None] * (points - pivot)

    weight = (model.skin_weights * (model.skin_joints == head)).sum(1)
    on_head = np.array([joint == head for joint in LANDMARK_JOINTS], float)
    return ShapedBody(changed(body.vertices, weight), body.joints, changed(body.landmarks, on_head))


def _neckline_m(model: BodyModel, body: ShapedBody) -> float:
    """The radius of a shirt's opening: wider only on a heavy neck."""
    neck = _joint(body, "Neck")
    level = _in_segments(model, "neck", "torso", "head") & (np.abs(body.vertices[:, 1] - neck[1]) < 0.015)
    x, z = body.vertices[level, 0], body.vertices[level, 2]
    return max(0.072, float(np.percentile(np.hypot(x, 0.8 * (z - neck[2] + 0.01)), 90)) - 0.014)


def _landmark(body: ShapedBody, name: str) -> Float[np.ndarray, "3"]:
    return body.landmarks[LANDMARKS.index(name)]


def _joint(body: ShapedBody, name: str) -> Float[np.ndarray, "3"]:
    return body.joints[BODY_JOINTS.index(name)]


def _in_segments(model: BodyModel, *names: str) -> np.ndarray:
    return np.isin(model.vertex_segment, [SEGMENTS.index(name) for name in names])


def _pieces(model: BodyModel, body: ShapedBody, outfit: Outfit) -> list[tuple[str, ClothingPart]]:
    """Everything that a person wears and shows, by name."""
    v = body.vertices
    x, y, z = np.abs(v[:, 0]), v[:, 1], v[:, 2]
    neck, hips = _joint(body, "Neck"), _joint(body, "Hips")
    elbow, wrist = _joint(body, "LeftForeArm"), _joint(body, "LeftHand")
    limb = _in_segments(model, *(n for n in SEGMENTS if n.endswith(("arm", "hand", "forearm"))))
    jacket = outfit.style == "jacket"
    waist_m = hips[1] + 0.045
    ankle_m = 0.27 if outfit.boots else 0.085

    long = outfit.long_sleeves or jacket
    sleeve_end_m = wrist[0] - 0.03 if long else 0.72 * elbow[0] + 0.28 * neck[0]
    collar = np.maximum(
        np.hypot(x, 0.8 * (z - neck[2] + 0.01)) - _neckline_m(model, body),
        neck[1] - 0.015 - np.clip(z - neck[2], 0, 0.05) * 0.5 - y,
    )
    top = np.minimum.reduce([y - (waist_m - (0.07 if jacket else 0.02)), sleeve_end_m - x, collar, neck[1] + 0.06 - y])
    top = np.where(_in_segments(model, "head", "scalp", "eyes", "tongue"), -0.1, top)
    cuff_m = ankle_m - 0.03 if outfit.boots else 0.075
    trousers = np.where(limb, -0.1, np.minimum(waist_m + 0.02 - y, y - cuff_m))
    belt = np.where(limb, -0.1, np.minimum(waist_m + 0.022 - y, y - (waist_m - 0.022)))
    covered = np.maximum(np.maximum(top, trousers), np.where(_in_segments(model, "left_foot", "right_foot"), 0.1, -0.1))

    eyes = [_eye(model, body, side) for side in ("left", "right")]
    head = _in_segments(model, "head", "scalp", "neck")
    hands = _in_segments(model, *(n for n in SEGMENTS if n.endswith(("arm", "hand", "forearm", "torso"))))
    cloth = Material("cloth", roughness=0.9, double_sided=True)
    leather = Material("leather", roughness=0.55, double_sided=True)
    loose_leg = 0.010 + 0.010 * np.clip((hips[1] - 0.1 - y) / 0.5, 0, 1) * (0 if outfit.boots else 1)
    loose_top = np.where(limb, 0.012 if long else 0.02, 0.014) + (0.008 if jacket else 0.0)
    if not jacket:  # tucked in
        loose_top = np.where(limb, loose_top, loose_top * np.clip((y - waist_m) / 0.07, 0.3, 1))
    drape = smoothed(model, body, 8)
    hair_field, hair_m = _hair(model, body, outfit)
    pieces = [
        ("head", skin_piece(model, body, head, covered, Material("skin", roughness=0.6))),
        ("hands", skin_piece(model, body, hands, covered, Material("skin", roughness=0.6))),
        ("top", garment(model, body, top, loose_top, cloth, drape)),
        ("trousers", garment(model, body, trousers, loose_leg, cloth, drape)),
        ("hair", garment(model, body, hair_field, hair_m, Material("hair", roughness=0.7, double_sided=True))),
        ("left shoe", shoe(model, body, "left", ankle_m, leather)),
        ("right shoe", shoe(model, body, "right", ankle_m, leather)),
        ("left eye", eyes[0]),
        ("right eye", eyes[1]),
    ]
    if outfit.belt is not None and not jacket:
        pieces.append(("belt", garment(model, body, belt, 0.018, leather, drape)))
    if outfit.gloves is not None:
        field = np.where(limb, x - (wrist[0] - 0.045), -0.1)
        flare = 0.004 + 0.030 * np.clip(1 - (x - wrist[0] + 0.045) / 0.05, 0, 1) ** 2
        pieces.append(("gloves", garment(model, body, field, flare, leather)))
    if outfit.scarf is not None:
        # A ring about the neck, which leans forward.
        level = y - (neck[1] - 0.005) + 0.35 * (z - neck[2])
        field = np.minimum(0.036 - np.abs(level), 0.125 - np.hypot(x, z - neck[2]))
        field = np.where(limb, -0.1, field)
        swell = (0.026 if jacket else 0.012) + 0.020 * np.sqrt(np.clip(1 - (level / 0.036) ** 2, 0, 1))
        pieces.append(("scarf", garment(model, body, field, swell, cloth, drape)))
    return pieces


def _eye(model: BodyModel, body: ShapedBody, side: str) -> ClothingPart:
    left = body.vertices[:, 0] > 0
    wanted = _in_segments(model, "eyes") & (left if side == "left" else ~left)
    nowhere = np.full(len(left), -1.0)
    return skin_piece(model, body, wanted, nowhere, Material("eye", roughness=0.15))


def _hair(
    model: BodyModel, body: ShapedBody, outfit: Outfit
) -> tuple[Float[np.ndarray, " vertex"], Float[np.ndarray, " vertex"]]:
    """How far inside the hairline each vertex is, and how thick the hair lies there."""
    v = body.vertices
    ear, eye = _landmark(body, "left_ear"), _landmark(body, "left_eye")
    crown = v[:, 1].max()
    ahead = np.clip((v[:, 2] - ear[2]) / (eye[2] - ear[2]), -1, 1.4)
    # From the nape, behind the ear, up over the temple to the forehead.
    forehead_m = eye[1] + 0.52 * (crown - eye[1])
    line = np.interp(ahead, [-1.0, -0.35, 0.0, 0.30, 0.62, 1.0], [-0.055, -0.045, 0.005, 0.02, 0.05, 0.0])
    # A parting on one side, and a fringe that rises towards the middle.
    forehead_m = forehead_m + 0.010 * (1 - (v[:, 0] / 0.06) ** 2) + 0.10 * v[:, 0]
    line = np.where(
        ahead > 0.62, ear[1] + 0.05 + np.clip((ahead - 0.62) / 0.33, 0, 1) * (forehead_m - ear[1] - 0.05), ear[1] + line
    )
    head = _in_segments(model, "head", "scalp", "neck")
    pinna = np.hypot(v[:, 1] - ear[1], v[:, 2] - ear[2] + 0.012) - 0.038
    side = np.abs(v[:, 0]) > 0.80 * abs(ear[0])
    field = np.where(head, 0.8 * (v[:, 1] - line), -0.1)
    field = np.where(side, np.minimum(field, pinna), field)
    height = np.clip((v[:, 1] - eye[1] - 0.04) / (crown - eye[1] - 0.04), 0, 1)
    front = np.clip(ahead, 0, 1)
    waves = 0.003 * np.sin(70 * v[:, 0] + 45 * v[:, 2] + 9 * np.sin(25 * v[:, 1]))
    thickness = outfit.hair_m * (0.55 + 0.45 * height) + outfit.quiff_m * front**2 * np.sqrt(height) + waves
    return field, thickness


Painter = Callable[[np.ndarray, np.ndarray, bool], Float[np.ndarray, "height width 3"]]
"""sRGB colours of places (x, y in metres) on the front or the back."""


def _painted(piece: ClothingPart, painter: Painter, pixels_per_m: float) -> Texture:
    """A piece's texture, as `wardrobe.joined` lays it out."""
    low, size = piece.vertices[:, :2].min(0), np.ptp(piece.vertices[:, :2], axis=0)
    width, height = (int(np.clip(pixels_per_m * length, 16, 1536)) for length in size)
    u, v = (np.arange(width) + 0.5) / width / 2, (np.arange(height) + 0.5) / height
    x = low[0] + (u - 0.01) / 0.48 * size[0]
    y = low[1] + (1 - (v - 0.01) / 0.98) * size[1]
    X, Y = np.meshgrid(x, y)
    # A little blur softens the stairs of sharply drawn lines.
    halves = [cv2.GaussianBlur(painter(X, Y, front), (0, 0), 0.7) for front in (True, False)]
    return to_texture(np.concatenate(halves, axis=1))


def _painters(body: ShapedBody, outfit: Outfit, rng: np.random.Generator) -> dict[str, Painter]:
    """What each piece is painted with."""

    def cloth(colour: Colour, weave: float = 0.03) -> Painter:
        def paint(X: np.ndarray, Y: np.ndarray, front: bool) -> Float[np.ndarray, "height width 3"]:
            rows, columns = X.shape
            folds = noise(rng, rows, columns, max(3, columns // 90), 3)
            grain = noise(rng, rows, columns, max(8, columns // 4), 1)
            return np.asarray(colour) * (1 + 0.045 * folds[..., None]) + weave * grain[..., None]

        return paint

    def top(X: np.ndarray, Y: np.ndarray, front: bool) -> Float[np.ndarray, "height width 3"]:
        plain = cloth(outfit.top)(X, Y, front)
        if outfit.style == "stripes":
            band = (np.where(np.abs(X) < 0.2, Y, np.abs(X)) / 0.045) % 1 < 0.4
            return np.where(band[..., None], cloth(outfit.second)(X, Y, front), plain)
        if outfit.style == "jacket":
            return _jacket(X, Y, front, plain, cloth(outfit.second)(X, Y, front), body)
        return plain

    def trousers(X: np.ndarray, Y: np.ndarray, front: bool) -> Float[np.ndarray, "height width 3"]:
        base = cloth(outfit.trousers)(X, Y, front)
        hips, leg = _joint(body, "Hips"), _joint(body, "LeftUpLeg")
        seam = np.abs(X) < 0.003 if front else np.abs(np.abs(X) - leg[0]) < 0
        pocket = np.abs((hips[1] - Y) - 0.9 * (0.17 - np.abs(X)) - 0.02) < 0.003
        pocket &= (np.abs(X) > 0.09) & (hips[1] - 0.12 < Y)
        patch = (np.abs(np.abs(X) - 0.085) < 0.055) & (np.abs(Y - hips[1] + 0.06) < 0.065)
        inner = (np.abs(np.abs(X) - 0.085) < 0.051) & (np.abs(Y - hips[1] + 0.06) < 0.061)
        line = (seam & (hips[1] - 0.1 < Y)) | pocket if front else patch & ~inner
        return np.where(line[..., None], base * 0.6, base)

    def shoes(X: np.ndarray, Y: np.ndarray, front: bool) -> Float[np.ndarray, "height width 3"]:
        base = cloth(outfit.shoes, 0.02)(X, Y, front)
        sole = (
            np.array([0.85, 0.83, 0.80])
            if sum(outfit.shoes) < 1.0 and not outfit.boots
            else np.array([0.1, 0.09, 0.08])
        )
        lace = front & (np.abs(X - np.sign(X) * np.abs(X).mean()) < 0.018) & (Y > 0.06) & ((Y / 0.014) % 1 < 0.35)
        base = np.where(lace[..., None], np.clip(np.asarray(outfit.shoes) * 0.4 + 0.45, 0, 1), base)
        return np.where((Y < 0.018)[..., None], sole, base)

    def hair(X: np.ndarray, Y: np.ndarray, front: bool) -> Float[np.ndarray, "height width 3"]:
        rows, columns = X.shape
        strands = cv2.resize(noise(rng, 64, columns, columns // 2, 2), (columns, rows))
        return np.asarray(outfit.hair) * (1 + (0.10 * strands + 0.06 * noise(rng, rows, columns, 12, 3))[..., None])

    def hands(X: np.ndarray, Y: np.ndarray, front: bool) -> Float[np.ndarray, "height width 3"]:
        return np.asarray(outfit.skin) * (1 + 0.025 * noise(rng, X.shape[0], X.shape[1], 24, 4)[..., None])

    return {
        "head": lambda X, Y, front: face_paint(X, Y, front, body, outfit.skin, outfit.hair, rng),
        "hands": hands,
        "top": top,
        "trousers": trousers,
        "hair": hair,
        "left shoe": shoes,
        "right shoe": shoes,
        "left eye": lambda X, Y, front: eye_texture(X, Y, outfit.eyes),
        "right eye": lambda X, Y, front: eye_texture(X, Y, outfit.eyes),
        "gloves": cloth(outfit.gloves or outfit.shoes, 0.015),
        "scarf": cloth(outfit.scarf or outfit.second),
        "belt": lambda X, Y, front: _belt(X, Y, front, outfit.belt or outfit.shoes),
    }


def _belt(X: np.ndarray, Y: np.ndarray, front: bool, colour: Colour) -> Float[np.ndarray, "height width 3"]:
    base = np.tile(np.asarray(colour), (*X.shape, 1))
    middle = (Y.min() + Y.max()) / 2
    outer = (np.abs(X) < 0.030) & (np.abs(Y - middle) < 0.022)
    inner = (np.abs(X) < 0.020) & (np.abs(Y - middle) < 0.013)
    buckle = front & outer & ~(inner & (np.abs(X + 0.006) > 0.003))
    return np.where(buckle[..., None], np.array([0.86, 0.72, 0.36]), base)


def _jacket(
    X: np.ndarray,
    Y: np.ndarray,
    front: bool,
    outside: Float[np.ndarray, "height width 3"],
    shirt: Float[np.ndarray, "height width 3"],
    body: ShapedBody,
) -> Float[np.ndarray, "height width 3"]:
    """A zipped jacket: shirt in the open neck, lapels, pockets, cuffs and a dark hem."""
    neck, hips, wrist = _joint(body, "Neck"), _joint(body, "Hips"), _joint(body, "LeftHand")
    x = np.abs(X)
    opening = np.clip((Y - (neck[1] - 0.24)) / 0.24, 0, 1) * 0.062
    torso = x < 0.25
    dark = outside * 0.62
    paint = np.where((torso & (hips[1] + 0.035 > Y))[..., None], dark, outside)
    paint = np.where((x > wrist[0] - 0.075)[..., None], dark, paint)
    if front:
        paint = np.where((torso & (x < opening + 0.030) & (neck[1] - 0.27 < Y))[..., None], outside * 1.25, paint)
        paint = np.where(
            (torso & (np.abs(x - opening - 0.030) < 0.0025) & (neck[1] - 0.27 < Y))[..., None], dark, paint
        )
        paint = np.where((torso & (x < opening))[..., None], shirt, paint)
        zip_ = torso & (x < 0.005) & (neck[1] - 0.24 > Y)
        paint = np.where(zip_[..., None], np.array([0.78, 0.74, 0.62]), paint)
        pocket = (np.abs(x - 0.10 - 0.25 * (Y - hips[1] - 0.14)) < 0.004) & (np.abs(Y - hips[1] - 0.14) < 0.055)
        paint = np.where(pocket[..., None], dark, paint)
    shoulder = (np.abs(x - 0.175) < 0.003) & (neck[1] - 0.25 < Y)
    return np.where(shoulder[..., None], dark, paint)
