"""Characters in motion: how their surface stretches and cuts into itself."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from benchmarks.characters.intersections import intersecting
from understudy.body.model import BodyModel
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.core.motion import Motion
from understudy.render.posing import Poser
from understudy.retarget.retarget import retarget_motion
from understudy.studio import mocap

__all__ = ["MOMENTS", "MOTIONS", "POSES", "actor", "captured", "performed", "posed_figures"]

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
MOMENTS = np.linspace(0.05, 0.95, 10)
"""When in a motion something is measured, as shares of it."""
_CUT_SHARES = (0.35, 0.65)
"""When in a motion faces are looked for that cut through others."""


@cache
def actor() -> Character:
    """Our body model at 1.75 m, who does the motions."""
    model = BodyModel.load()
    return model.character(model.shape_for_height(1.75))


@cache
def captured(path: Path) -> mocap.Capture:
    """A motion file's motion on the actor."""
    return mocap.captured(path, actor(), _RATE, _MAX_FRAMES)


def performed(character: Character, name: str, data: Path) -> Motion:
    """A motion of data/motions on a character."""
    done = captured(data / "motions" / f"{name}.bvh")
    return retarget_motion(done.motion, actor(), character, ground_contact=done.ground_contact)


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
        for share in MOMENTS:
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
