"""A mesh of a figure and the picture that it was made from become a character."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import cKDTree

from understudy.characters.mesh.cleaning import cleaned, welded
from understudy.characters.mesh.registering import Registration, SurfacePoints, register, sample_surface
from understudy.characters.picture.character import canonical_character, place_joints
from understudy.characters.picture.figure import FigureInPicture
from understudy.characters.picture.joints import POINTS
from understudy.characters.picture.parts import PARTS
from understudy.characters.picture.posture import doubts_about
from understudy.characters.picture.weights import MOVED_BY, bone_distance, skin, smoothed
from understudy.characters.twist_joints import with_twist_joints
from understudy.core.character import Character, Doubt, Mesh
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.meshes import cluster_means, clustered
from understudy.geometry.skinning import strongest_influences

__all__ = ["MeshCharacter", "character_from_mesh"]

MIN_OVERLAP = 0.75
"""Silhouettes of a picture and of a mesh made from it that overlap less are of different figures, or of different
poses (known figures: 0.84 and more)."""
CELLS = 110
"""Weights are found and smoothed on a coarser mesh, of so many cells over the height: smoothing from neighbour to
neighbour then reaches equally far on a generator's mesh of any fineness."""
FINE_SMOOTHING_ROUNDS = 10
"""On the mesh itself, whose vertices take the weights of the whole cell that they lie in: cells would show as steps."""
DEPTH_CELLS = 60
"""Over the height: how finely it is looked up how deep the mesh is at a joint."""


@dataclass(frozen=True)
class MeshCharacter:
    """The character, and what was done to its mesh."""

    character: Character
    remarks: tuple[str, ...]
    """For the user."""


def character_from_mesh(
    mesh: Mesh, figure: FigureInPicture, height_m: float, name: str, stands: Registration | None = None
) -> MeshCharacter:
    """A rigged character from a mesh of the figure in a picture; the mesh may have any size and facing.

    It is cleaned, turned so that it looks as the picture does (as `stands` says, where that is known), scaled to
    `height_m`, and rigged by the picture's joints; each lies half way between the mesh's front and back.

    Raises:
        CharacterError: the mesh has no size.
    """
    clean = cleaned(mesh)
    surface = sample_surface(clean.mesh)
    found = stands or register(surface, figure.rgb, figure.mask)
    places = clean.mesh.vertices @ found.R.T
    scale = height_m / np.ptp(places[:, 1])
    middle = np.array([0.5 * (places[:, 0].min() + places[:, 0].max()), places[:, 1].min(), places[:, 2].mean()])
    vertices, points = scale * (places - middle), scale * (surface.places @ found.R.T - middle)
    joints_m, tips_m = place_joints(_joints_in_space(figure, points, height_m, found.shift))
    origin = np.array([joints_m[0, 0], 0.0, joints_m[0, 2]])
    vertices, joints_m, tips_m = vertices - origin, joints_m - origin, tips_m - origin
    posed = replace(clean.mesh, vertices=vertices, normals=clean.mesh.normals @ found.R.T)
    character = canonical_character(name, posed, joints_m, *_weights(posed, joints_m, tips_m))
    doubts = doubts_about(figure.mask, figure.joints, False, figure.by_hand) + _doubts(found.overlap, surface)
    return MeshCharacter(replace(with_twist_joints(character), doubts=doubts), clean.remarks)


def _doubts(overlap: float, surface: SurfacePoints) -> tuple[Doubt, ...]:
    doubts = []
    if overlap < MIN_OVERLAP:
        text = f"From no side the mesh looks as the picture does (overlap {overlap:.2f}): see whether its joints fit."
        doubts.append(Doubt(text, "poor"))
    if surface.colours is None:
        doubts.append(
            Doubt("The mesh has no colours: have its program write a texture, or colours of vertices.", "poor")
        )
    return tuple(doubts)


def _joints_in_space(
    figure: FigureInPicture, points: Float[np.ndarray, "point 3"], height_m: float, shift: float
) -> Float[np.ndarray, "20 3"]:
    """Each of the picture's POINTS in metres, +Y up; `points` lie on the surface."""
    rows, columns = np.flatnonzero(figure.mask.any(1)), np.flatnonzero(figure.mask.any(0))
    per_px = height_m / (rows[-1] + 1 - rows[0])
    across = (figure.joints.points_px[:, 0] - 0.5 * (columns[0] + columns[-1] + 1)) * per_px - shift * height_m
    flat = np.column_stack([across, (rows[-1] + 1 - figure.joints.points_px[:, 1]) * per_px])
    looked_at = flat.copy()
    for side in ("left", "right"):  # an ankle is as deep as the shin above it, not as the foot that reaches ahead
        ankle, knee = (POINTS.index(f"{side}_{name}") for name in ("ankle", "knee"))
        looked_at[ankle] += 0.25 * (flat[knee] - flat[ankle])
    return np.column_stack([flat, _depths(looked_at, points, height_m)])


def _depths(
    places: Float[np.ndarray, "20 2"], points: Float[np.ndarray, "point 3"], height_m: float
) -> Float[np.ndarray, " 20"]:
    """Half way between front and back of the surface at places seen from the front, or at the nearest that it has."""
    cell = height_m / DEPTH_CELLS
    column = np.floor(points[:, :2] / cell).astype(np.int64)
    cells, of_point = np.unique(column, axis=0, return_inverse=True)
    front, back = np.full(len(cells), -np.inf), np.full(len(cells), np.inf)
    np.maximum.at(front, of_point.reshape(-1), points[:, 2])
    np.minimum.at(back, of_point.reshape(-1), points[:, 2])
    # The outline's own cells show one side alone: the mean of the nearest ones is taken.
    _, nearest = cKDTree((cells + 0.5) * cell).query(places, k=min(5, len(cells)))
    return (0.5 * (front + back))[nearest.reshape(len(places), -1)].mean(1)


def _weights(
    mesh: Mesh, joints_m: Float[np.ndarray, "22 3"], tips_m: Float[np.ndarray, "22 3"]
) -> tuple[Int[np.ndarray, "vertex 4"], Float[np.ndarray, "vertex 4"]]:
    """Joint indices and weights: found on a coarser mesh (`skin`), smoothed over the finer one."""
    height = float(np.ptp(mesh.vertices[:, 1]))
    cluster, _ = clustered(mesh.vertices, height / CELLS)
    middles = cluster_means(cluster, mesh.vertices)
    faces = cluster[mesh.faces]
    faces = np.unique(np.sort(faces[(faces != np.roll(faces, 1, axis=1)).all(1)], axis=1), axis=0)
    used, corners = np.unique(faces, return_inverse=True)
    coarse = cKDTree(middles[used])
    part = _nearest_part(middles[used], joints_m, tips_m)
    skin_joints, skin_weights = skin(middles[used], corners.reshape(-1, 3), part, joints_m, tips_m)
    dense = np.zeros((len(used), len(BODY_JOINTS)))
    np.put_along_axis(dense, skin_joints, skin_weights, 1)
    of_cluster = np.asarray(coarse.query(middles)[1])
    place = welded(mesh)
    weights = np.zeros((int(place.max()) + 1, len(BODY_JOINTS)))
    weights[place] = dense[of_cluster[cluster]]
    joints, strongest = strongest_influences(smoothed(weights, place[mesh.faces], FINE_SMOOTHING_ROUNDS))
    return joints[place], strongest[place]


def _nearest_part(
    vertices: Float[np.ndarray, "vertex 3"], joints_m: Float[np.ndarray, "22 3"], tips_m: Float[np.ndarray, "22 3"]
) -> Int[np.ndarray, " vertex"]:
    """Which of PARTS each vertex belongs to: the part of the bone that is nearest, measured in that part's thickness.

    The surface of a trunk is further from the spine than it is from the bone of an arm beside it.
    """
    parts = [next(part for part, names in MOVED_BY.items() if name in names) for name in BODY_JOINTS]
    number = np.array([PARTS.index(part) for part in parts])
    distance = np.stack([bone_distance(vertices, a, b) for a, b in zip(joints_m, tips_m, strict=True)], -1)
    by_part = np.stack([distance[:, number == part].min(1, initial=np.inf) for part in range(len(PARTS))], -1)
    thickness = np.ones(len(PARTS))
    for _ in range(4):
        nearest = (by_part / thickness).argmin(1)
        for part in range(len(PARTS)):
            own = by_part[nearest == part, part]
            if len(own):
                thickness[part] = max(float(np.median(own)), 1e-6)
    return (by_part / thickness).argmin(1)
