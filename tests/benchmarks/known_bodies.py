"""Bodies whose measures are known, and the benchmark's modules."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from understudy.core.character import Character, Material, Mesh
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS, Skeleton

ROOT = Path(__file__).resolve().parents[2]


def benchmark(name: str) -> ModuleType:
    """A module of benchmarks/characters."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    return importlib.import_module(f"benchmarks.characters.{name}")


def ellipsoid(
    half_m: tuple[float, float, float],
    middle_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
    colour: float = 0.5,
    specular: float = 0.0,
) -> Character:
    """An ellipsoid whose joints all stand in its middle, but for the left hand, at its outermost +X."""
    u, v = np.linspace(0, np.pi, 65)[:, None], np.linspace(0, 2 * np.pi, 129)[None]
    unit = np.stack([np.sin(u) * np.sin(v), np.broadcast_to(np.cos(u), (65, 129)), np.sin(u) * np.cos(v)], -1)
    vertices = unit.reshape(-1, 3) * half_m + middle_m
    normals = unit.reshape(-1, 3) / half_m
    index = np.arange(65 * 129).reshape(65, 129)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    at = np.tile(middle_m, (22, 1)).astype(float)
    at[BODY_JOINTS.index("LeftHand"), 0] += half_m[0]
    T, bind = np.tile(np.eye(4), (22, 1, 1)), np.tile(np.eye(4), (22, 1, 1))
    parents = np.array(BODY_PARENTS)
    T[:, :3, 3] = np.where(parents[:, None] >= 0, at - at[parents], at)
    bind[:, :3, 3] = -at
    mesh = Mesh(
        vertices, faces, normals / np.linalg.norm(normals, axis=1, keepdims=True), np.zeros((len(vertices), 2)),
        np.zeros(len(faces), int),
        (Material("hair", base_colour=(colour, colour, colour, 1.0), specular=specular, roughness=1.0),),
    )  # fmt: skip
    head = np.full((len(vertices), 1), BODY_JOINTS.index("Head"))
    roles = {name: number for number, name in enumerate(BODY_JOINTS)}
    return Character("ball", mesh, Skeleton(BODY_JOINTS, BODY_PARENTS, T), bind, head, np.ones(head.shape), roles)
