"""Joints from a silhouette alone: a figure of round cones is fitted to it."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage
from skimage.morphology import convex_hull_image

from understudy.characters.picture.joints import POINTS, FigureJoints, silhouette_score

__all__ = ["fit_stick_figure"]

TALL = 40
"""The silhouette is fitted at this many pixels of height."""
SOFTNESS = 0.018
"""Width of the figure's soft edge, in heights."""

# Lengths in heights, angles in radians from straight down, outwards positive.
_START = {
    "hips_x": 0.0, "hips_y": 0.55, "lean": 0.0, "torso": 0.30, "neck": 0.03, "head": 0.09, "shoulders": 0.11,
    "pelvis": 0.06, "chest": 0.07, "upper_arm": 0.15, "forearm": 0.17, "arm_radius": 0.03, "thigh": 0.21, "shin": 0.19,
    "leg_radius": 0.045, "left_arm": 0.6, "left_fore": 0.6, "right_arm": 0.6, "right_fore": 0.6, "left_thigh": 0.1,
    "left_shin": 0.1, "right_thigh": 0.1, "right_shin": 0.1, "left_toe": 0.05, "right_toe": 0.05,
}  # fmt: skip
_NAMES = tuple(_START)
_LENGTHS = np.array([
    name in ("torso", "neck", "head", "shoulders", "pelvis", "chest", "upper_arm", "forearm", "arm_radius", "thigh",
             "shin", "leg_radius")
    for name in _NAMES
])  # fmt: skip
_LOOSE = np.where(_LENGTHS, 0.35, 0.8)
"""How far each parameter may go from its start at the cost of one wrong pixel (lengths: as logarithms)."""
_LOOSE[[_NAMES.index(name) for name in ("hips_x", "hips_y")]] = 0.2
_LOOSE[[_NAMES.index(name) for name in ("left_thigh", "left_shin", "right_thigh", "right_shin")]] = 0.4
_LOOSE[[_NAMES.index(name) for name in ("lean", "left_toe", "right_toe")]] = 0.15


WORST_COST = 0.13
"""Fits that miss more of the silhouette are no figure that this model knows."""
UNSEEN_SCORE = 0.1
"""Stands for the landmark model's visibility in the score."""
MAX_SOLID = 0.9
"""A silhouette that fills more of its convex hull shows no limbs."""


def fit_stick_figure(figure: Bool[np.ndarray, "height width"]) -> FigureJoints | None:
    """The joints of a figure whose limbs stand out from its trunk, from several starting poses; None if none fits.

    Arms that lie against the trunk leave no trace in a silhouette: such figures need joints placed by hand.
    The residuals are those of a soft intersection over union; source of the shape: Tagliasacchi et al. 2016,
    Sphere-Meshes.
    """
    rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
    if figure.sum() > MAX_SOLID * convex_hull_image(figure).sum():
        return None
    tall = float(rows[-1] + 1 - rows[0])
    centre = 0.5 * (columns[0] + columns[-1] + 1)
    step = tall / TALL
    width = int(np.ceil((columns[-1] + 1 - columns[0]) / step)) + 8
    to_picture = np.array([[step, 0, centre - 0.5 * width * step], [0, step, rows[0] - 4 * step]])
    soft = cv2.GaussianBlur(figure.astype(np.float32), (0, 0), max(0.5 * step, 0.3))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    target = cv2.warpAffine(soft, to_picture, (width, TALL + 8), flags=flags).astype(np.float64)
    y, x = np.mgrid[: target.shape[0], :width] + 0.5
    cells = np.stack([(x - 0.5 * width) / TALL, (y - 4) / TALL], -1).reshape(-1, 2)
    starts = _starts(target)
    tried = [_fit(start, start, cells, target.ravel(), 4) for start in starts]
    promising = sorted(range(len(starts)), key=lambda index: tried[index][1])[:4]
    fits = [_fit(starts[index], tried[index][0], cells, target.ravel(), 16) for index in promising]
    best = min(fits, key=lambda fit: fit[1])
    if best[1] > WORST_COST:
        return None
    points = _figure(best[0][None])[0][0] * tall + np.array([centre, rows[0]])
    score = silhouette_score(points, figure) + UNSEEN_SCORE
    return FigureJoints(points, None, score, sure=False, guessed=True)


def _starts(target: Float[np.ndarray, "row column"]) -> list[Float[np.ndarray, " parameter"]]:
    """Arms down, out, up and bent, with a small and a large head; the trunk where the silhouette is thickest."""
    depth = ndimage.distance_transform_edt(target > 0.5)
    middle = (np.average(np.arange(target.shape[1]), weights=depth.sum(0) ** 2) + 0.5 - 0.5 * target.shape[1]) / TALL
    starts = []
    for upper, fore in ((0.35, 0.25), (0.9, 0.8), (1.4, 1.5), (1.2, 2.6), (2.5, 2.7)):
        # By the size of the head: a human, a cartoon, a chibi.
        for head, hips, torso, arm, leg in (
            (0.08, 0.55, 0.32, 0.15, 0.2),
            (0.14, 0.66, 0.26, 0.13, 0.14),
            (0.24, 0.74, 0.17, 0.09, 0.1),
        ):
            values = _START | {
                "hips_x": middle, "head": head, "left_arm": upper, "right_arm": upper, "left_fore": fore,
                "right_fore": fore, "hips_y": hips, "torso": torso, "thigh": leg, "shin": leg, "upper_arm": arm,
                "forearm": 1.1 * arm, "neck": 0.15 * head,
            }  # fmt: skip
            vector = np.array([values[name] for name in _NAMES])
            starts.append(np.where(_LENGTHS, np.log(np.where(_LENGTHS, vector, 1.0)), vector))
    return starts


def _fit(
    start: Float[np.ndarray, " parameter"],
    parameters: Float[np.ndarray, " parameter"],
    cells: Float[np.ndarray, "cell 2"],
    target: Float[np.ndarray, " cell"],
    rounds: int,
) -> tuple[Float[np.ndarray, " parameter"], float]:
    """The fit reached from `parameters`, and its cost: the wrong area plus what leaving the `start` pose costs.

    Only the cone that covers a cell most has a gradient there, so the Jacobian looks at no other.
    Source: Levenberg–Marquardt as in Nocedal and Wright, section 10.3.
    """
    count = len(start)
    prior = np.diag(0.7 / _LOOSE)
    for side in ("left", "right"):
        for upper, lower in _HINGES:
            bend = np.zeros((1, count))
            bend[0, [_NAMES.index(f"{side}_{upper}"), _NAMES.index(f"{side}_{lower}")]] = -0.5, 0.5
            prior = np.concatenate([prior, bend])
    rest = np.where(np.arange(len(prior)) < count, prior @ start, 0.0)

    moves = np.concatenate([np.zeros((1, count)), 1e-4 * np.eye(count)])
    cost, best = np.inf, parameters
    damping = 0.1
    gradient, hessian = np.zeros(count), np.eye(count)
    for _ in range(rounds):
        points_cones = _figure(parameters + moves)[1:]
        depth, cone = _deepest(cells, *(value[0] for value in points_cones))
        inside = 1 / (1 + np.exp(-np.clip(depth / SOFTNESS, -30, 30)))
        wrong, strain = inside - target, prior @ parameters - rest
        tried = float(wrong @ wrong + strain @ strain)
        if tried < cost:
            cost, best, damping = tried, parameters, 0.3 * damping
            # Cells far from the outline have no slope and are left out.
            near = np.flatnonzero(inside * (1 - inside) > 1e-3)
            moved = _depth(cells[near], *(value[1:, cone[near]] for value in points_cones))
            slope = (inside * (1 - inside))[near] / SOFTNESS
            J = ((moved - depth[near]) / 1e-4 * slope).T
            gradient, hessian = J.T @ wrong[near] + prior.T @ strain, J.T @ J + prior.T @ prior
        else:
            damping *= 5.0
        parameters = best - np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
    return best, cost / max(float(target.sum()), 1.0)


_HINGES = (("arm", "fore"), ("thigh", "shin"))


def _depth(
    cells: Float[np.ndarray, "cell 2"],
    starts: Float[np.ndarray, "batch #cell 2"],
    ends: Float[np.ndarray, "batch #cell 2"],
    radii: Float[np.ndarray, "batch #cell 2"],
) -> Float[np.ndarray, "batch cell"]:
    """How deep cells lie inside cones: each in its own, or all in one."""
    along, offset = ends - starts, cells - starts
    share = np.clip((offset * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-9), 0, 1)
    distance = np.sqrt(((offset - share[..., None] * along) ** 2).sum(-1))
    return radii[..., 0] + share * (radii[..., 1] - radii[..., 0]) - distance


def _deepest(
    cells: Float[np.ndarray, "cell 2"],
    starts: Float[np.ndarray, "cone 2"],
    ends: Float[np.ndarray, "cone 2"],
    radii: Float[np.ndarray, "cone 2"],
) -> tuple[Float[np.ndarray, " cell"], Int[np.ndarray, " cell"]]:
    """How deep each cell lies inside the figure, and in which cone."""
    depth = _depth(cells, starts[:, None], ends[:, None], radii[:, None])
    cone = depth.argmax(0)
    return depth[cone, np.arange(len(cells))], cone


def _figure(
    parameters: Float[np.ndarray, "batch parameter"],
) -> tuple[
    Float[np.ndarray, "batch 20 2"],
    Float[np.ndarray, "batch cone 2"],
    Float[np.ndarray, "batch cone 2"],
    Float[np.ndarray, "batch cone 2"],
]:
    """The points of joints.POINTS, and each cone's ends and two radii, in heights from the silhouette's top middle."""
    values = np.where(_LENGTHS, np.exp(np.clip(parameters, -8, 2)), parameters)
    p = dict(zip(_NAMES, values.T[..., None], strict=True))

    def direction(angle: np.ndarray, sign: float = 1.0) -> np.ndarray:
        return np.concatenate([sign * np.sin(angle), np.cos(angle)], -1)

    up = -direction(-p["lean"])
    right = np.stack([-up[:, 1], up[:, 0]], -1)
    point = {"hips": np.concatenate([p["hips_x"], p["hips_y"]], -1)}
    point["neck"] = point["hips"] + p["torso"] * up
    point["head"] = point["neck"] + (p["neck"] + 0.35 * p["head"]) * up
    skull = point["neck"] + (p["neck"] + p["head"]) * up
    point["head_top"] = skull + p["head"] * up
    chest = point["neck"] - 0.12 * p["torso"] * up
    cones = [
        (skull, skull, p["head"], p["head"]),
        (point["neck"], skull, 0.4 * p["head"], 0.4 * p["head"]),
        (chest, point["hips"], p["chest"], p["chest"]),
    ]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shoulder = chest + sign * p["shoulders"] * right
        elbow = shoulder + p["upper_arm"] * direction(p[f"{side}_arm"], sign)
        hand = elbow + p["forearm"] * direction(p[f"{side}_fore"], sign)
        hip = point["hips"] + sign * p["pelvis"] * right
        knee = hip + p["thigh"] * direction(p[f"{side}_thigh"], sign)
        ankle = knee + p["shin"] * direction(p[f"{side}_shin"], sign)
        toe = ankle + np.concatenate([sign * p[f"{side}_toe"], 0.8 * p["leg_radius"]], -1)
        names = ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "toe")
        places = (shoulder, elbow, elbow + 0.75 * (hand - elbow), hand, hip, knee, ankle, toe)
        point |= {f"{side}_{name}": place for name, place in zip(names, places, strict=True)}
        arm, leg, flank = p["arm_radius"], p["leg_radius"], 0.7 * p["chest"]
        cones += [
            (shoulder, elbow, 1.15 * arm, arm), (elbow, hand, arm, arm), (shoulder, hip, flank, flank),
            (hip, knee, 1.15 * leg, leg), (knee, ankle, leg, 0.9 * leg), (ankle, toe, 0.9 * leg, 0.9 * leg),
        ]  # fmt: skip
    points = np.stack([point[name] for name in POINTS], 1)
    starts, ends = np.stack([cone[0] for cone in cones], 1), np.stack([cone[1] for cone in cones], 1)
    return points, starts, ends, np.stack([np.concatenate(cone[2:], -1) for cone in cones], 1)
