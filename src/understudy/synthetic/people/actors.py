"""Actors as data: bodies of many builds, found in the body model by their measurements."""

import colorsys
from dataclasses import astuple, dataclass, fields, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.body.model import SEGMENTS, BodyModel
from understudy.core.motion import BODY_JOINTS
from understudy.synthetic.people.people import Colour, Outfit, random_outfit

__all__ = ["ACTORS", "ActorName", "Build", "actor_outfit", "build_of", "shape_for_build"]

ActorName = Literal[
    "child", "girl", "teenager", "small_woman", "woman", "heavy_woman", "old_man", "man", "heavy_man", "athlete",
    "thin_tall_man",
]  # fmt: skip
_BAND_M, _BREASTBONE_M = 0.02, 0.012
_EXTREME_VERTICES = 10
_MEASURED_TO_M = np.array([0.0005, 0.012, 0.012, 0.005, 0.012, 0.012, 0.012])
"""How closely a body keeps to each of Build's fields."""


@dataclass(frozen=True)
class Build:
    """What a tailor measures."""

    height_m: float
    """From sole to crown."""
    shoulders_m: float
    """Breadth, from one shoulder joint to the other."""
    chest_m: float
    """Depth of the rib cage, from back to breastbone at the height of the breasts."""
    bust_m: float
    """How far the breasts stand out before the breastbone."""
    waist_m: float
    """Breadth."""
    belly_m: float
    """Depth at the height of the navel."""
    hips_m: float
    """Breadth."""


ACTORS: dict[ActorName, Build] = {
    "child": Build(1.10, 0.220, 0.146, 0.003, 0.192, 0.150, 0.236),
    "girl": Build(1.32, 0.262, 0.165, 0.006, 0.220, 0.166, 0.282),
    "teenager": Build(1.58, 0.333, 0.188, 0.005, 0.250, 0.177, 0.318),
    "small_woman": Build(1.52, 0.300, 0.190, 0.022, 0.255, 0.196, 0.340),
    "woman": Build(1.66, 0.325, 0.200, 0.026, 0.273, 0.208, 0.370),
    "heavy_woman": Build(1.64, 0.340, 0.262, 0.042, 0.352, 0.342, 0.447),
    "old_man": Build(1.62, 0.342, 0.226, 0.006, 0.296, 0.252, 0.354),
    "man": Build(1.78, 0.386, 0.220, 0.003, 0.292, 0.212, 0.360),
    "heavy_man": Build(1.77, 0.402, 0.280, 0.010, 0.372, 0.342, 0.428),
    "athlete": Build(1.86, 0.420, 0.240, 0.004, 0.308, 0.220, 0.373),
    "thin_tall_man": Build(2.00, 0.406, 0.208, 0.004, 0.288, 0.190, 0.374),
}
"""From a child of 1.1 m to a man of 2 m, slight to heavy."""
_GREY: Colour = (0.66, 0.64, 0.61)


def shape_for_build(model: BodyModel, build: Build) -> Float[np.ndarray, " component"]:
    """The likeliest body of exactly this height whose other measurements are about these.

    Each measurement is a difference between places on the body, so it is linear in the shape; the most probable shape
    balances the misfit (_MEASURED_TO_M) against how rare a body it is (one unit is one standard deviation).
    """
    mean, slopes = _measurements(model)
    rows = np.concatenate([slopes / _MEASURED_TO_M[:, None], np.eye(model.components)])
    target = np.array(astuple(build))
    for _ in range(3):  # which vertices are the highest and the lowest changes a little with the shape
        wanted = np.append((target - mean) / _MEASURED_TO_M, np.zeros(model.components))
        shape = np.linalg.lstsq(rows, wanted, rcond=None)[0]
        target[0] += build.height_m - model.shaped(shape).height_m
    return np.asarray(shape)


def actor_outfit(name: ActorName, rng: np.random.Generator) -> Outfit:
    """Clothes and hair at random, in more colours than `random_outfit` has; the old have grey hair."""
    outfit = random_outfit(rng)
    top, trousers = _any_colour(rng, 0.55, 0.85), _any_colour(rng, 0.30, 0.45)
    return replace(
        outfit,
        top=top,
        second=_any_colour(rng, 0.85, 0.95),
        trousers=trousers,
        hair=_GREY if name == "old_man" else outfit.hair,
        quiff_m=float(rng.choice([0.0, 0.0, 0.012])),
    )


def _any_colour(rng: np.random.Generator, min_value: float, max_value: float) -> Colour:
    """Of any hue, not garish, of a value (HSV, 0 … 1) between two."""
    value, saturation = rng.uniform(min_value, max_value), rng.uniform(0.1, 0.7)
    red, green, blue = colorsys.hsv_to_rgb(float(rng.random()), float(saturation), float(value))
    return red, green, blue


def build_of(model: BodyModel, shape: Float[np.ndarray, " component"]) -> Build:
    """The measurements of a body."""
    mean, slopes = _measurements(model)
    measured = mean + slopes @ shape
    return replace(Build(*(float(value) for value in measured)), height_m=model.shaped(shape).height_m)


def _measurements(model: BodyModel) -> tuple[Float[np.ndarray, " field"], Float[np.ndarray, "field component"]]:
    """Of the mean body, in the order of Build's fields, and how they grow with the shape."""
    places = np.concatenate([model.vertices, model.joints])
    basis = np.concatenate([model.vertex_basis, model.joint_basis])
    height = {name: model.joints[BODY_JOINTS.index(name), 1] for name in BODY_JOINTS}
    trunk = _vertices_of(model, "torso", "hips")
    middle = trunk & (np.abs(model.vertices[:, 0]) < _BREASTBONE_M) & (model.vertices[:, 2] > 0)

    def mean_of(vertices: Int[np.ndarray, " n"]) -> Float[np.ndarray, " place"]:
        """Weights of all places that give the middle of some."""
        weights = np.zeros(len(places))
        weights[vertices] = 1 / len(vertices)
        return weights

    def ends(part: Bool[np.ndarray, " vertex"], height_m: float, axis: int) -> list[Float[np.ndarray, " place"]]:
        """Weights that give how far a slice of the body reaches, down and up an axis."""
        within = np.flatnonzero(part & (np.abs(model.vertices[:, 1] - height_m) < _BAND_M))
        order = within[np.argsort(model.vertices[within, axis])]
        return [mean_of(order[:_EXTREME_VERTICES]), mean_of(order[-_EXTREME_VERTICES:])]

    joint = {name: mean_of(np.array([len(model.vertices) + number])) for number, name in enumerate(BODY_JOINTS)}
    soles, crown = (mean_of(np.array([pick(model.vertices[:, 1])])) for pick in (np.argmin, np.argmax))
    breasts_m, groin_m = 0.5 * (height["Spine1"] + height["Spine2"]), height["LeftUpLeg"] - 0.03
    back, breasts = ends(trunk, breasts_m, 2)
    breastbone = mean_of(np.flatnonzero(middle & (np.abs(model.vertices[:, 1] - breasts_m) < _BAND_M)))
    thighs = _vertices_of(model, "left_thigh", "right_thigh")
    measures = {
        "height_m": (soles, crown, 1),
        "shoulders_m": (joint["RightArm"], joint["LeftArm"], 0),
        "chest_m": (back, breastbone, 2),
        "bust_m": (breastbone, breasts, 2),
        "waist_m": (*ends(trunk, height["Spine1"], 0), 0),
        "belly_m": (*ends(trunk, height["Spine"], 2), 2),
        "hips_m": (*ends(trunk | thighs, groin_m, 0), 0),
    }
    ordered = [measures[field.name] for field in fields(Build)]
    mean = np.array([(high - low) @ places[:, axis] for low, high, axis in ordered])
    return mean, np.stack([(high - low) @ basis[:, axis] for low, high, axis in ordered])


def _vertices_of(model: BodyModel, *segments: str) -> Bool[np.ndarray, " vertex"]:
    return np.isin(model.vertex_segment, [SEGMENTS.index(name) for name in segments])
