"""Characters in motion: how their surface stretches and cuts into itself, and how well our body is skinned."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from benchmarks.characters.intersections import intersecting
from understudy.body.model import SEGMENTS, BodyModel
from understudy.characters.picture.parts import PARTS
from understudy.characters.picture.weights import skin
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS, Motion
from understudy.geometry.skinning import skin_vertices
from understudy.render.posing import Poser
from understudy.retarget.retarget import retarget_motion
from understudy.studio.mocap import captured_motion

__all__ = ["MOTIONS", "POSES", "performed", "posed_figures", "skinning_figures"]

MOTIONS = (
    "bandai1_walk_normal_001", "bandai1_run_normal_001", "bandai1_dance-short_normal_001", "bandai1_punch_normal_001",
    "bandai1_slash_normal_001", "cmu_jumping_jacks", "fair_wave_hello", "fair_jumping", "rokoko_dance",
    "xia_old_13_000",
)  # fmt: skip
"""The ten motions, of data/motions."""
POSES = (
    ("bandai1_walk_normal_001", 0.35), ("cmu_jumping_jacks", 0.31), ("bandai1_punch_normal_001", 0.55),
    ("bandai1_dance-short_normal_001", 0.6), ("bandai1_run_normal_001", 0.5),
)  # fmt: skip
"""What the sheets show: a motion, and which share of it has gone by."""
_RATE, _MAX_FRAMES = Fraction(12), 120
_STRETCH_SHARES = np.linspace(0.05, 0.95, 10)
"""When in a motion edges are measured, as shares of it."""
_CUT_SHARES = (0.35, 0.65)
"""When in a motion faces are looked for that cut through others."""


@cache
def _actor() -> Character:
    model = BodyModel.load()
    return model.character(model.shape_for_height(1.75))


@cache
def _captured(path: Path) -> Motion:
    return captured_motion(path, _actor(), _RATE, _MAX_FRAMES)


def performed(character: Character, name: str, data: Path) -> Motion:
    """A motion of data/motions on a character."""
    return retarget_motion(_captured(data / "motions" / f"{name}.bvh"), _actor(), character)


def posed_figures(character: Character, data: Path) -> dict[str, float]:
    """Over the ten motions: by how much edges grow (99th percentile), and how many faces cut through others."""
    mesh, poser = character.mesh, Poser(character)
    edges = np.unique(np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), axis=0)
    at_rest_m = _lengths(mesh.vertices, edges)
    edges, at_rest_m = (values[at_rest_m > 1e-4 * character.height_m] for values in (edges, at_rest_m))
    corners = welded(mesh.vertices, mesh.faces)
    stretch, cut = [], []
    for name in MOTIONS:
        performance = Performance(character, performed(character, name, data))
        last = len(performance.motion) - 1
        for share in _STRETCH_SHARES:
            stretch.append(_lengths(poser(performance, round(share * last)).vertices, edges) / at_rest_m)
        for share in _CUT_SHARES:
            posed = poser(performance, round(share * last)).vertices
            cut.append(intersecting(posed[mesh.faces], corners).mean())
    rest = float(intersecting(mesh.vertices[mesh.faces], corners).mean())
    return {
        "stretch_99": round(float(np.percentile(np.concatenate(stretch), 99)), 3),
        "cut_faces_rest_percent": round(100 * rest, 2),
        "cut_faces_more_percent": round(100 * (float(np.mean(cut)) - rest), 2),
    }


def _lengths(vertices: Float[np.ndarray, "vertex 3"], edges: Int[np.ndarray, "edge 2"]) -> Float[np.ndarray, " edge"]:
    return np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)


def welded(vertices: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"]) -> Int[np.ndarray, "face 3"]:
    """The faces with vertices in one place, as seams of a texture have them, under one number."""
    grain = 1e-6 * np.ptp(vertices[:, 1])
    _, same = np.unique(np.round(vertices / grain).astype(np.int64), axis=0, return_inverse=True)
    return same.reshape(-1)[faces]


def skinning_figures(data: Path) -> dict[str, float]:
    """Our body model bound anew to its own joints as pictures' characters are, against its true skin weights.

    Distances of the vertices over the ten motions, in mm.
    """
    model, body = BodyModel.load(), _actor()
    segments = [SEGMENTS[segment] for segment in model.vertex_segment]
    outside = ~np.isin(segments, ["eyes", "tongue"])
    faces = body.mesh.faces[outside[body.mesh.faces].all(1)]
    used, renumbered = np.unique(faces, return_inverse=True)
    vertices, faces = body.mesh.vertices[used], renumbered.reshape(-1, 3)
    part_at = np.array([PARTS.index(_part_of(segments[vertex])) for vertex in used])
    joints = -body.T_joint_mesh[:, :3, 3]
    indices, weights = skin(vertices, faces, part_at, joints, _tips(vertices, joints, body.skin_joints[used, 0]))
    errors = []
    for name in MOTIONS:
        motion = _captured(data / "motions" / f"{name}.bvh")
        last = len(motion) - 1
        for T in motion.T_world_joint()[[round(share * last) for share in _STRETCH_SHARES]]:
            T_world_mesh = T @ body.T_joint_mesh
            truth = skin_vertices(vertices, T_world_mesh, body.skin_joints[used], body.skin_weights[used])
            errors.append(np.linalg.norm(skin_vertices(vertices, T_world_mesh, indices, weights) - truth, axis=1))
    return {
        "skinning_mean_mm": round(1000 * float(np.mean(errors)), 2),
        "skinning_max_mm": round(1000 * float(np.max(errors)), 1),
    }


def _part_of(segment: str) -> str:
    side, _, part = segment.partition("_")
    if part:
        return f"{side}_{'leg' if part in ('thigh', 'shin', 'foot') else 'arm'}"
    return "head" if segment in ("head", "scalp") else "torso"


def _tips(
    vertices: Float[np.ndarray, "vertex 3"], joints: Float[np.ndarray, "22 3"], strongest: Int[np.ndarray, " vertex"]
) -> Float[np.ndarray, "22 3"]:
    """Where each joint's bone ends: at its first child, or at the outermost of what it moves."""
    tips = np.empty_like(joints)
    for joint, at in enumerate(joints):
        children = [child for child, parent in enumerate(BODY_PARENTS) if parent == joint]
        own = vertices[strongest == joint]
        axis = {"Head": [0.0, 1.0, 0.0], "LeftHand": [1.0, 0.0, 0.0], "RightHand": [-1.0, 0.0, 0.0]}
        outwards = np.array(axis.get(BODY_JOINTS[joint], [0.0, 0.0, 1.0]))
        tips[joint] = joints[children[0]] if children else at + outwards * ((own - at) @ outwards).max()
    return tips
