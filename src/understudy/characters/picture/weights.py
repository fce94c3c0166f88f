"""Which joints move each vertex, and how much."""

import numpy as np
import robust_laplacian
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.sparse.linalg import splu

from understudy.characters.picture.parts import PARTS
from understudy.characters.picture.volume import adjacency
from understudy.core.motion import BODY_JOINTS

__all__ = ["MOVED_BY", "bone_distance", "skin"]

MOVED_BY: dict[str, tuple[str, ...]] = {
    "torso": (
        "Hips", "Spine", "Spine1", "Spine2", "Neck", "LeftShoulder", "RightShoulder",
    ),
    "head": ("Neck", "Head"),
    "left_arm": ("LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"),
    "right_arm": ("RightShoulder", "RightArm", "RightForeArm", "RightHand"),
    "left_leg": ("LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase"),
    "right_leg": ("RightUpLeg", "RightLeg", "RightFoot", "RightToeBase"),
    "cape": ("Hips", "Spine", "Spine1", "Spine2"),
}  # fmt: skip
"""A part follows these joints only: an arm at the side does not drag the thigh beside it."""

SMOOTHING_ROUNDS = 40
INFLUENCES = 4


def skin(
    vertices: Float[np.ndarray, "vertex 3"],
    faces: Int[np.ndarray, "face 3"],
    part_at: Int[np.ndarray, " vertex"],
    joints: Float[np.ndarray, "22 3"],
    tips: Float[np.ndarray, "22 3"],
) -> tuple[Int[np.ndarray, "vertex 4"], Float[np.ndarray, "vertex 4"]]:
    """Joint indices and weights by bone heat within each part's limits, smoothed over the surface.

    `joints` are the starts and `tips` the ends of the bones of BODY_JOINTS. Heat without the limits leaks between
    parts that touch; the limits alone tear; together with smoothing neither shows.

    Source: Baran and Popović 2007, Automatic Rigging (heat equilibrium); Sharp and Crane 2020 (robust Laplacian).
    """
    allowed = np.zeros((len(PARTS), len(BODY_JOINTS)), bool)
    for part, names in MOVED_BY.items():
        allowed[PARTS.index(part), [BODY_JOINTS.index(name) for name in names]] = True
    may = allowed[part_at]
    distance = np.stack([bone_distance(vertices, a, b) for a, b in zip(joints, tips, strict=True)], -1)
    distance = np.where(may, distance, np.inf)
    nearest = distance.argmin(1)
    shortest = distance[np.arange(len(vertices)), nearest]
    laplacian, mass = robust_laplacian.mesh_laplacian(vertices, faces)
    heat = 1.0 / np.maximum(shortest, 0.02 * np.ptp(vertices[:, 1])) ** 2
    source = mass @ sparse.diags(heat)
    solver = splu((laplacian + source).tocsc())
    one_hot = np.zeros((len(vertices), len(BODY_JOINTS)))
    one_hot[np.arange(len(vertices)), nearest] = 1.0
    weights = np.clip(solver.solve(source @ one_hot), 0, 1)
    weights = _limit(weights, may, nearest)
    mean = adjacency(faces, len(vertices))
    for _ in range(SMOOTHING_ROUNDS):
        weights = 0.5 * weights + 0.5 * (mean @ weights)
    return _strongest(weights)


def bone_distance(
    points: Float[np.ndarray, "point 3"], a: Float[np.ndarray, "3"], b: Float[np.ndarray, "3"]
) -> Float[np.ndarray, " point"]:
    """How far points are from a bone."""
    along = b - a
    share = np.clip(((points - a) @ along) / max(along @ along, 1e-12), 0, 1)
    return np.linalg.norm(points - a - share[:, None] * along, axis=1)


def _limit(
    weights: Float[np.ndarray, "vertex joint"],
    may: Bool[np.ndarray, "vertex joint"],
    nearest: Int[np.ndarray, " vertex"],
) -> Float[np.ndarray, "vertex joint"]:
    weights = np.where(may, weights, 0)
    total = weights.sum(1)
    lost = total < 1e-6
    weights[lost, nearest[lost]] = 1.0
    return weights / weights.sum(1, keepdims=True)


def _strongest(
    weights: Float[np.ndarray, "vertex joint"],
) -> tuple[Int[np.ndarray, "vertex 4"], Float[np.ndarray, "vertex 4"]]:
    order = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    strongest = np.take_along_axis(weights, order, 1)
    return order.astype(np.int64), strongest / strongest.sum(1, keepdims=True)
