"""What hangs stiffly on a person in the T-pose: skirts, long hair, and other sheets of cloth."""

import numpy as np
from jaxtyping import Float, Int

from understudy.body.model import ShapedBody
from understudy.core.character import Character, Material, Mesh
from understudy.core.footage import LANDMARKS
from understudy.core.motion import BODY_JOINTS, Skeleton
from understudy.geometry.meshes import vertex_normals
from understudy.synthetic.people.people import Colour

__all__ = ["Surface", "long_hair_surface", "sheet", "skirt_surface", "worn"]

Surface = tuple[Float[np.ndarray, "vertex 3"], Int[np.ndarray, "face 3"]]
"""Vertices in metres and triangles."""


def worn(
    surface: Surface, body: ShapedBody, joint: str, skeleton: Skeleton, colour: Colour, name: str = "cloth"
) -> Character:
    """Something stiff that hangs on one joint."""
    vertices, faces = surface
    count = len(vertices)
    linear = tuple(float(c) ** 2.2 for c in colour)
    mesh = Mesh(
        vertices, faces, vertex_normals(vertices, faces), np.zeros((count, 2)), np.zeros(len(faces), np.int64),
        (Material(name, base_colour=(*linear, 1.0), roughness=0.9, double_sided=True),),
    )  # fmt: skip
    T_joint_mesh = np.tile(np.eye(4), (len(BODY_JOINTS), 1, 1))
    T_joint_mesh[:, :3, 3] = -body.joints
    index = np.full((count, 1), BODY_JOINTS.index(joint))
    return Character(joint, mesh, skeleton, T_joint_mesh, index, np.ones((count, 1)))


def sheet(points: Float[np.ndarray, "row column 3"]) -> Surface:
    """A grid of points as a surface."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return points.reshape(-1, 3), faces


def skirt_surface(body: ShapedBody, length_m: float) -> Surface:
    """A flared skirt from the waist down, with folds."""
    hips = body.joints[BODY_JOINTS.index("Hips")]
    near = np.abs(body.vertices[:, 1] - hips[1]) < 0.03
    near &= np.abs(body.vertices[:, 0]) < 0.3
    half, deep = np.abs(body.vertices[near, 0]).max(), 0.5 * np.ptp(body.vertices[near, 2])
    down, angle = np.linspace(0, 1, 24)[:, None], np.linspace(0, 2 * np.pi, 97)[None]
    flare = 1.0 + 0.12 * np.minimum(down / 0.2, 1) + (0.35 + 0.06 * np.sin(9 * angle)) * down * length_m
    x, z = half * flare * np.cos(angle), deep * (flare + 0.15) * np.sin(angle) + hips[2]
    y = np.broadcast_to(hips[1] + 0.13 - down * length_m, x.shape)
    return sheet(np.stack([x, y, z], -1)[:, ::-1])


def long_hair_surface(body: ShapedBody, below_mouth_m: float) -> Surface:
    """A curtain of hair about the sides and the back of the head, down to the shoulders or below."""
    ear, mouth = body.landmarks[LANDMARKS.index("left_ear")], body.landmarks[LANDMARKS.index("mouth_left")]
    crown = body.vertices[:, 1].max()
    down, angle = np.linspace(0, 1, 30)[:, None], np.linspace(-0.25, np.pi + 0.25, 60)[None]
    top, bottom = crown - 0.03, mouth[1] - below_mouth_m
    y = top + (bottom - top) * down
    round_ = np.sqrt(np.clip(1 - np.clip((y - ear[1]) / (crown + 0.02 - ear[1]), 0, 1) ** 2, 0.02, 1))
    wide = (abs(ear[0]) + 0.028) * round_ * (1 + 0.35 * down**2 + 0.03 * np.sin(11 * angle))
    x, z = wide * np.cos(angle), ear[2] - 0.01 - 1.25 * wide * np.sin(angle)
    return sheet(np.stack([x, np.broadcast_to(y, x.shape), z], -1))
