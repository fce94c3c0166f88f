"""Silhouettes from any sides say how deep the body is, level by level: it is carved or extended until they agree."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d

from understudy.characters.sheet.side import of_arms, with_places
from understudy.core.character import Character
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.meshes import vertex_normals

__all__ = ["Outline", "deepened", "smoothed"]

LEVELS, COLUMNS = 96, 240
"""How finely silhouettes are compared: levels over the height, and columns over REACH."""
REACH = 1.2
"""How wide what is compared is, in heights of the figure."""
STRETCHES = np.exp(np.linspace(np.log(0.4), np.log(3.0), 15))
"""How much a level may become flatter or deeper."""
SHIFTS = np.linspace(-0.15, 0.15, 13)
"""How far a level may move ahead or back, in heights."""
SMOOTHING = 2.0
"""Over how many levels neighbours agree."""
KEEP_STRETCH, KEEP_SHIFT = 0.01, 0.4
"""What a change costs, against the share of columns that disagree: where silhouettes do not tell, nothing changes."""
ROLLS = np.arange(-10, 11)
"""How far an outline may stand beside where it was put, in columns: a shift of its own, found before its depth."""


@dataclass(frozen=True)
class Outline:
    """The silhouette from one side, without perspective."""

    right: Float[np.ndarray, "3"]
    """Which way of the character's is right in the picture; up is up."""
    mask: Bool[np.ndarray, "level column"]
    """From the soles up; the middle column is above the world's origin."""


def deepened(character: Character, outlines: list[Outline]) -> Character:
    """The character with the depth under which its silhouettes are most like those seen.

    At each level trunk, head and legs are stretched and moved in depth alike, by what fits all outlines together;
    arms go along with the shoulders as they are. Joints go along with the body.
    """
    mesh, height = character.mesh, character.height_m
    arms = of_arms(character)
    of_arm = np.where(arms[character.skin_joints], character.skin_weights, 0.0).sum(1)
    joints = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)[:, :3, 3]
    cost, centres = np.zeros((len(outlines), len(ROLLS), LEVELS, len(SHIFTS), len(STRETCHES))), np.zeros(LEVELS)
    for level in range(LEVELS):
        ends, is_arm = _section(mesh.vertices, mesh.faces, of_arm, (level + 0.5) / LEVELS * height)
        if not len(ends):
            continue
        body = ends[~is_arm] if (~is_arm).any() else ends
        centres[level] = 0.5 * (body[..., 1].min() + body[..., 1].max())
        for number, outline in enumerate(outlines):
            seen = _shadows(ends, is_arm, centres[level], outline.right, height).astype(np.float32)
            rolled = np.stack([np.roll(outline.mask[level], roll) for roll in ROLLS]).astype(np.float32)
            # Of sets of columns, how many are in one alone: |a| + |b| - 2 |a and b|.
            alone = seen.sum(-1) + rolled.sum(-1)[:, None, None] - 2 * np.einsum("rc,...c->r...", rolled, seen)
            cost[number, :, level] = alone / COLUMNS
    keep = KEEP_SHIFT * SHIFTS[:, None] ** 2 + KEEP_STRETCH * np.log(STRETCHES) ** 2
    cost = gaussian_filter1d(cost, SMOOTHING, axis=2, mode="nearest")
    # Each outline stands where the least change of the body, level by level, explains it.
    stands = (cost + keep).min((-2, -1)).sum(-1).argmin(1)
    best = (cost[np.arange(len(outlines)), stands].sum(0) + keep).reshape(LEVELS, -1).argmin(1)
    shift = gaussian_filter1d(height * SHIFTS[best // len(STRETCHES)], SMOOTHING, mode="nearest")
    stretch = np.exp(gaussian_filter1d(np.log(STRETCHES)[best % len(STRETCHES)], SMOOTHING, mode="nearest"))
    centres = gaussian_filter1d(centres, SMOOTHING, mode="nearest")

    def moved(y: np.ndarray, z: np.ndarray) -> np.ndarray:
        at = np.clip(y / height * LEVELS - 0.5, 0, LEVELS - 1)
        middle, more, far = (np.interp(at, np.arange(LEVELS), values) for values in (centres, stretch, shift))
        return middle + far + more * (z - middle)

    shoulders = joints[[character.roles["LeftArm"], character.roles["RightArm"]]].mean(0)
    along = float(moved(shoulders[1:2], shoulders[2:])[0] - shoulders[2])
    vertices, places = mesh.vertices.copy(), joints.copy()
    y, z = mesh.vertices[:, 1], mesh.vertices[:, 2]
    vertices[:, 2] = (1 - of_arm) * moved(y, z) + of_arm * (z + along)
    places[:, 2] = np.where(arms, joints[:, 2] + along, moved(joints[:, 1], joints[:, 2]))
    return smoothed(with_places(replace(character, mesh=replace(mesh, vertices=vertices)), places))


def _section(
    vertices: Float[np.ndarray, "vertex 3"],
    faces: np.ndarray,
    of_arm: Float[np.ndarray, " vertex"],
    y: float,
) -> tuple[Float[np.ndarray, "segment 2 2"], Bool[np.ndarray, " segment"]]:
    """The lines in which a level plane cuts the surface, as the x and z of their ends, and which are of arms."""
    above = vertices[:, 1] > y
    count = above[faces].sum(1)
    cut = faces[(count == 1) | (count == 2)]
    # The corner that is alone on its side comes first: both of its edges are cut.
    lone = above[cut].sum(1, keepdims=True) == 1
    first = (above[cut] == lone).argmax(1)
    a, b, c = (cut[np.arange(len(cut)), (first + step) % 3] for step in range(3))
    ends = []
    for other in (b, c):
        share = (y - vertices[a, 1]) / (vertices[other, 1] - vertices[a, 1])
        ends.append(vertices[a] + share[:, None] * (vertices[other] - vertices[a]))
    return np.stack(ends, 1)[..., [0, 2]], of_arm[a] > 0.5


def _shadows(
    ends: Float[np.ndarray, "segment 2 2"],
    is_arm: Bool[np.ndarray, " segment"],
    centre: float,
    right: Float[np.ndarray, "3"],
    height: float,
) -> Bool[np.ndarray, "shift stretch column"]:
    """Which columns a section covers from one side, for each way to move and stretch it in depth."""
    z = centre + height * SHIFTS[:, None, None, None] + STRETCHES[:, None, None] * (ends[..., 1] - centre)
    z = np.where(is_arm[:, None], ends[..., 1], z)
    columns = ((ends[..., 0] * right[0] + z * right[2]) / (REACH * height) + 0.5) * COLUMNS
    first = np.clip(np.floor(columns.min(-1) + 0.5), 0, COLUMNS).astype(np.int64)
    last = np.clip(np.floor(columns.max(-1) + 0.5), 0, COLUMNS).astype(np.int64)
    ways = len(SHIFTS) * len(STRETCHES)
    row = np.arange(ways)[:, None] * (COLUMNS + 1)
    size = ways * (COLUMNS + 1)
    starts, stops = (np.bincount((row + at.reshape(ways, -1)).ravel(), minlength=size) for at in (first, last))
    covered = np.cumsum((starts - stops).reshape(ways, -1), 1)[:, :-1] > 0
    return covered.reshape(len(SHIFTS), len(STRETCHES), COLUMNS)


def smoothed(character: Character) -> Character:
    """The character with normals of its changed surface; vertices at one place, at seams, share theirs."""
    mesh = character.mesh
    _, place = np.unique(mesh.vertices.round(6), axis=0, return_inverse=True)
    place = place.reshape(-1)
    spots = np.zeros((place.max() + 1, 3))
    spots[place] = mesh.vertices
    normals = vertex_normals(spots, place[mesh.faces], (0.0, 0.0, 1.0))[place]
    return replace(character, mesh=replace(mesh, normals=normals))
