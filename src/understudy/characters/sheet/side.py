"""The side picture of a character sheet says how deep the body is, row by row."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d

from understudy.core.character import Character
from understudy.geometry.kinematics import rest_pose

__all__ = ["as_deep_as", "facing_left", "of_arms", "with_places"]

ROWS = 160
"""Levels over the height at which depths are compared."""
SMOOTHING = 2.0
"""Over how many levels they are smoothed."""
RATIO = (0.4, 3.0)
"""How much a level may become flatter or deeper: a hand or a bag in one of the views is not the trunk."""
FEET, SHINS = (0.0, 0.04), (0.07, 0.14)
"""Where they are, as shares of the height: a figure looks to where its feet reach ahead of its shins."""


def facing_left(mask: Bool[np.ndarray, "height width"]) -> bool:
    """Whether a figure seen from the side looks to the left of the picture."""
    rows = np.flatnonzero(mask.any(1))
    top, bottom = rows[0], rows[-1] + 1
    columns = np.arange(mask.shape[1])

    def middle(low: float, high: float) -> float:
        band = mask[round(bottom - high * (bottom - top)) : max(round(bottom - low * (bottom - top)), 1)].sum(0)
        return float(columns @ band / max(band.sum(), 1))

    return middle(*FEET) < middle(*SHINS)


@dataclass(frozen=True)
class Depths:
    """How far back and ahead something reaches at each level, in metres; levels are equally spaced over the height."""

    back: Float[np.ndarray, " level"]
    front: Float[np.ndarray, " level"]


def as_deep_as(character: Character, mask: Bool[np.ndarray, "height width"]) -> Character:
    """The character with the depth that a picture from its side shows; the figure there looks to the right.

    Trunk, head and legs are stretched in depth at each level until they reach as far back and ahead as in the picture;
    arms, which lie before or beside the trunk there, go along with the shoulders as they are.
    """
    mesh, height = character.mesh, character.height_m
    arms = of_arms(character)
    of_arm = np.where(arms[character.skin_joints], character.skin_weights, 0.0).sum(1)
    level = mesh.vertices[:, 1] / height * (ROWS - 1)
    own = _reach(level[of_arm < 0.5], mesh.vertices[of_arm < 0.5, 2])
    wanted = _reach_in_picture(mask, height)
    # The picture does not say where it is in depth: the middle of the body stays where it is.
    wanted = Depths(wanted.back + _offset(own, wanted), wanted.front + _offset(own, wanted))
    own_half, half = 0.5 * (own.front - own.back), 0.5 * (wanted.front - wanted.back)
    ratio = gaussian_filter1d(np.clip(half / np.maximum(own_half, 1e-3 * height), *RATIO), SMOOTHING, mode="nearest")
    centre = gaussian_filter1d(0.5 * (own.front + own.back), SMOOTHING, mode="nearest")
    goal = gaussian_filter1d(0.5 * (wanted.front + wanted.back), SMOOTHING, mode="nearest")

    def stretched(y: np.ndarray, z: np.ndarray) -> np.ndarray:
        at = y / height * (ROWS - 1)
        old, new, more = (np.interp(at, np.arange(ROWS), values) for values in (centre, goal, ratio))
        return new + more * (z - old)

    joints = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)[:, :3, 3]
    shoulders = joints[[character.roles["LeftArm"], character.roles["RightArm"]]].mean(0)
    shift = float(stretched(shoulders[1:2], shoulders[2:])[0] - shoulders[2])
    vertices, places = mesh.vertices.copy(), joints.copy()
    y, z = mesh.vertices[:, 1], mesh.vertices[:, 2]
    vertices[:, 2] = (1 - of_arm) * stretched(y, z) + of_arm * (z + shift)
    places[:, 2] = np.where(arms, joints[:, 2] + shift, stretched(joints[:, 1], joints[:, 2]))
    return with_places(replace(character, mesh=replace(mesh, vertices=vertices)), places)


def of_arms(character: Character) -> Bool[np.ndarray, " joint"]:
    """Which joints are of an arm."""
    arms = np.zeros(len(character.skeleton), bool)
    for joint, parent in enumerate(character.skeleton.parents):
        starts = joint in (character.roles["LeftArm"], character.roles["RightArm"])
        arms[joint] = starts or (parent >= 0 and arms[parent])
    return arms


def _reach(level: Float[np.ndarray, " point"], z: Float[np.ndarray, " point"]) -> Depths:
    """Of points of a surface, with levels between them filled in."""
    row = np.clip(level.round().astype(int), 0, ROWS - 1)
    back, front = np.full(ROWS, np.inf), np.full(ROWS, -np.inf)
    np.minimum.at(back, row, z)
    np.maximum.at(front, row, z)
    known = np.flatnonzero(np.isfinite(back))
    return Depths(*(np.interp(np.arange(ROWS), known, values[known]) for values in (back, front)))


def _reach_in_picture(mask: Bool[np.ndarray, "height width"], height_m: float) -> Depths:
    rows = np.flatnonzero(mask.any(1))
    per_px = height_m / (rows[-1] + 1 - rows[0])
    reach = [np.flatnonzero(mask[row])[[0, -1]] + [0, 1] for row in rows]
    level = (rows[-1] + 0.5 - rows) / (rows[-1] + 1 - rows[0]) * (ROWS - 1)
    back, front = (np.array([one[end] for one in reach]) * per_px for end in (0, 1))
    at = np.arange(ROWS)
    return Depths(np.interp(at, level[::-1], back[::-1]), np.interp(at, level[::-1], front[::-1]))


def _offset(own: Depths, wanted: Depths) -> float:
    return float(np.median(own.front + own.back) - np.median(wanted.front + wanted.back)) / 2


def with_places(character: Character, places: Float[np.ndarray, "joint 3"]) -> Character:
    """The character with its joints elsewhere, turned as they are."""
    skeleton = character.skeleton
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)
    local, bind = skeleton.T_parent_joint.copy(), character.T_joint_mesh.copy()
    for joint, parent in enumerate(skeleton.parents):
        from_parent = places[joint] - (places[parent] if parent >= 0 else 0.0)
        local[joint, :3, 3] = rest[parent, :3, :3].T @ from_parent if parent >= 0 else from_parent
        bind[joint, :3, 3] = -bind[joint, :3, :3] @ places[joint]
    return replace(character, skeleton=replace(skeleton, T_parent_joint=local), T_joint_mesh=bind)
