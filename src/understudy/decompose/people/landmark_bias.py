"""How BlazePose sees people, against the truth on rendered people in random poses.

All constants are what scripts/calibrate_landmarks.py printed for the full network and 96 people, none of whom is in a
test or benchmark. They serve the heavy network too: it puts landmarks 20 % nearer to where these say (0.92 % of the
body's height away instead of 1.15 %, median of 21 of these people), and constants of its own, from those people, bring
fitted bodies no nearer to the truth.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from understudy.core.footage import LANDMARKS

__all__ = ["BONES", "BONE_MATRIX", "Bone", "landmark_shift"]

_SHIFT: dict[str, tuple[float, float, float]] = {
    "nose": (0, 9, -11), "eye_inner": (-1, 4, -2), "eye": (-3, 3, -10), "eye_outer": (-6, 3, -10), "ear": (-13, 7, 13),
    "mouth": (-8, 8, -3), "shoulder": (-7, 11, 4), "elbow": (-2, 4, 6), "wrist": (2, -1, 2), "pinky": (-8, -2, 19),
    "index": (-16, -5, -10), "thumb": (2, 7, -17), "hip": (-7, -8, 11), "knee": (0, -10, 3), "ankle": (2, 15, 2),
    "heel": (-3, 6, 11), "foot_index": (13, 13, -20),
}  # fmt: skip
"""Thousandths of the body's height, of the left side."""


def landmark_shift(name: str) -> Float[np.ndarray, "3"]:
    """Where BlazePose puts a landmark off the body's own, in body heights, in axes of the joint that carries it."""
    kind = "_".join(part for part in name.split("_") if part not in ("left", "right"))
    return np.array(_SHIFT[kind]) * 1e-3 * ([-1.0, 1.0, 1.0] if "right" in name else [1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Bone:
    """A direction whose depth the landmark model guesses.

    Its guess is the sine of the bone's angle away from the camera; the truth is nearest to `gain` · guess + `offset`,
    with `spread` as standard deviation.
    """

    name: str
    start: tuple[str, ...]
    end: tuple[str, ...]
    """Means of landmarks."""
    spread: float
    gain: float
    offset: float


BONES: tuple[Bone, ...] = (
    Bone("torso", ("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"), 0.14, 0.84, -0.06),
    Bone("hips", ("right_hip",), ("left_hip",), 0.16, 0.99, -0.01),
    Bone("shoulders", ("right_shoulder",), ("left_shoulder",), 0.14, 1.0, -0.01),
    Bone("face", ("left_ear", "right_ear"), ("nose",), 0.15, 0.87, 0.0),
    Bone("ears", ("right_ear",), ("left_ear",), 0.15, 0.97, -0.01),
    *(
        Bone(f"{side}_{name}", (f"{side}_{start}",), (f"{side}_{end}",), spread, gain, offset)
        for side in ("left", "right")
        for name, start, end, spread, gain, offset in (
            ("upper_arm", "shoulder", "elbow", 0.42, 0.92, 0.01),
            ("forearm", "elbow", "wrist", 0.38, 0.9, 0.03),
            ("hand", "wrist", "index", 0.48, 0.98, 0.21),
            ("thigh", "hip", "knee", 0.26, 1.0, 0.06),
            ("shin", "knee", "ankle", 0.24, 1.03, -0.1),
            ("foot", "heel", "foot_index", 0.43, 1.33, 0.45),
        )
    ),
)


def _bone_matrix() -> Float[np.ndarray, "bone 33"]:
    C = np.zeros((len(BONES), len(LANDMARKS)))
    for row, bone in enumerate(BONES):
        for names, sign in ((bone.start, -1.0), (bone.end, 1.0)):
            for name in names:
                C[row, LANDMARKS.index(name)] += sign / len(names)
    return C


BONE_MATRIX = _bone_matrix()
"""Bones as differences of landmarks."""
