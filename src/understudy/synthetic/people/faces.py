"""Painted faces and eyes."""

import numpy as np
from jaxtyping import Float

from understudy.body.model import ShapedBody
from understudy.core.footage import LANDMARKS
from understudy.synthetic.textures import noise

__all__ = ["eye_texture", "face_paint"]

IRIS_M, PUPIL_M = 0.0062, 0.0027


def face_paint(
    X: np.ndarray,
    Y: np.ndarray,
    front: bool,
    body: ShapedBody,
    skin: tuple[float, float, float],
    hair: tuple[float, float, float],
    rng: np.random.Generator,
) -> Float[np.ndarray, "height width 3"]:
    """Skin with brows, lashes, lips and colour in the cheeks, placed by the body's landmarks in the T-pose."""

    def at(name: str) -> Float[np.ndarray, "3"]:
        return body.landmarks[LANDMARKS.index(name)]

    paint = np.asarray(skin) * (1 + 0.03 * noise(rng, X.shape[0], X.shape[1], 12, 5, 0.65)[..., None])
    if not front:
        return paint
    eye, nose = at("left_eye"), at("nose")
    scale = abs(eye[0]) / 0.032
    # The landmarks lie a little below the line between the lips.
    mouth = (at("mouth_left") + at("mouth_right")) / 2 + np.array([0.0, 0.0045 * scale, 0.0])
    x = np.abs(X)

    def blend(amount: np.ndarray, colour: np.ndarray) -> None:
        nonlocal paint
        amount = np.clip(amount, 0, 1)[..., None]
        paint = paint * (1 - amount) + amount * np.clip(colour, 0, 1)

    def soft(distance_m: np.ndarray, edge_m: float) -> np.ndarray:
        return np.clip(0.5 - distance_m / edge_m, 0, 1)

    blush = np.exp(-(((x - 0.042 * scale) / (0.018 * scale)) ** 2 + ((Y - nose[1]) / (0.016 * scale)) ** 2))
    blend(0.22 * blush, np.asarray(skin) * [1.0, 0.62, 0.58])
    blend(
        0.15 * np.exp(-(((X - nose[0]) / 0.012) ** 2 + ((Y - nose[1]) / 0.012) ** 2)), np.asarray(skin) * [1, 0.65, 0.6]
    )
    socket = np.exp(-(((x - abs(eye[0])) / (0.019 * scale)) ** 2 + ((Y - eye[1] - 0.002) / (0.011 * scale)) ** 2))
    blend(0.28 * socket, np.asarray(skin) * [0.66, 0.52, 0.50])
    # The upper lashes: a thin arc just above the eye's opening.
    along = (x - abs(eye[0])) / (0.016 * scale)
    lash = np.abs(Y - (eye[1] + scale * (0.0052 - 0.0042 * along**2))) - 0.0011 * scale
    blend(soft(np.where(np.abs(along) < 1.05, lash, 1.0), 0.0012) * 0.9, np.asarray(hair) * 0.35)
    # Brows: arcs that thin out towards the temples.
    along = (x - 0.90 * abs(eye[0])) / (0.023 * scale)
    arc = eye[1] + scale * (0.0185 + 0.0055 * (1 - (along - 0.1) ** 2) + 0.0015 * (1 - along))
    half = scale * (0.0036 - 0.0016 * np.clip(along, -1, 1))
    brow = np.where(np.abs(along) < 1.0, np.abs(Y - arc) - half, 1.0)
    blend(soft(brow, 0.0022) * 0.88, np.asarray(hair) * 0.75)
    # Lips: the upper one with a bow, the lower one fuller.
    width = max(abs(at("mouth_left")[0] - mouth[0]), 0.02) * 1.06
    along = np.clip(np.abs(X - mouth[0]) / width, 0, 1)
    bow = 0.0075 * scale * (1 - along**1.6) * (1 - 0.18 * np.exp(-((along / 0.12) ** 2)))
    lower = 0.0095 * scale * (1 - along**2.2)
    above = Y - mouth[1] - 0.0012 * scale * along**2
    lips = np.where(above > 0, above - bow, -above - lower)
    lips = np.where(np.abs(X - mouth[0]) < width, lips, 1.0)
    blend(soft(lips, 0.002) * 0.75, np.asarray(skin) * [0.86, 0.52, 0.50])
    slit = np.where(np.abs(X - mouth[0]) < width, np.abs(above) - 0.0006, 1.0)
    blend(soft(slit, 0.0016) * 0.6, np.asarray(skin) * [0.40, 0.20, 0.20])
    return paint


def eye_texture(
    X: np.ndarray, Y: np.ndarray, colour: tuple[float, float, float]
) -> Float[np.ndarray, "height width 3"]:
    """An eyeball that looks straight ahead."""
    dx, dy = X - (X.min() + X.max()) / 2, Y - (Y.min() + Y.max()) / 2
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    white = np.array([0.90, 0.88, 0.86]) - 0.25 * np.clip((radius - 0.008) / 0.006, 0, 1)[..., None] * [0.4, 1, 1]
    fibres = 0.85 + 0.25 * np.sin(23 * angle) * np.sin(9 * angle + 1)
    iris = np.asarray(colour) * fibres[..., None] * (1.1 - 0.5 * (radius / IRIS_M)[..., None] ** 4)
    eye = np.where((radius < IRIS_M)[..., None], iris, white)
    eye = np.where((radius < PUPIL_M)[..., None], 0.02, eye)
    glint = np.hypot(dx + 0.0022, dy - 0.0024) < 0.0012
    return np.where(glint[..., None], 1.0, eye)
