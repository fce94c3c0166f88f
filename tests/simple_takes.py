"""Balls and squares before a camera, for tests of renderers."""

from fractions import Fraction

import numpy as np

from understudy.core.camera import CameraPath
from understudy.core.character import Character, Material, Mesh
from understudy.core.environment import Light
from understudy.core.film import Performance
from understudy.core.motion import Motion, Skeleton
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import look_at, quaternion_from_vector

RATE = Fraction(24)
KEY = np.array([0.4, 0.8, 0.45]) / np.linalg.norm([0.4, 0.8, 0.45])
LIGHT = Light(KEY, np.array([0.9, 0.8, 0.7]), np.array([0.2, 0.25, 0.3]), np.array([0.1, 0.08, 0.06]), np.radians(1))


def rigid(vertices, faces, normals, uv=None, materials=None, face_material=None):
    """A mesh on one joint at the origin."""
    mesh = Mesh(
        np.asarray(vertices, float),
        np.asarray(faces),
        np.asarray(normals, float),
        np.zeros((len(vertices), 2)) if uv is None else np.asarray(uv, float),
        np.zeros(len(faces), int) if face_material is None else face_material,
        tuple(materials or (Material(),)),
    )
    skeleton = Skeleton(("root",), (-1,), np.eye(4)[None])
    joints = np.zeros((len(vertices), 1), int)
    return Character("test", mesh, skeleton, np.eye(4)[None], joints, np.ones((len(vertices), 1)))


def sphere(radius_m=0.5, rings=16, material=None):
    """A ball round the origin with smooth normals."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, 2 * rings + 1), indexing="ij")
    n = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi)], -1).reshape(-1, 3)
    i = (np.arange(rings)[:, None] * (2 * rings + 1) + np.arange(2 * rings)).ravel()
    below = i + 2 * rings + 1
    faces = np.concatenate([np.stack([i, below, below + 1], 1), np.stack([i, below + 1, i + 1], 1)])
    uv = np.stack([phi / (2 * np.pi), theta / np.pi], -1).reshape(-1, 2)
    return rigid(radius_m * n, faces, n, uv, (material or Material(base_colour=(0.6, 0.3, 0.2, 1.0), roughness=0.5),))


def quad(half_m, material=None, facing=1.0):
    """A square in the plane z = 0 that faces +Z, or −Z."""
    corners = half_m * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]]) if facing > 0 else np.array([[0, 2, 1], [0, 3, 2]])
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
    return rigid(corners, faces, np.tile([0, 0, facing], (4, 1)), uv, (material or Material(),))


def still(character, position=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)):
    q = quaternion_from_vector(np.array([[turn]], float))
    return Performance(character, Motion(character.skeleton, q, np.array([position], float), RATE))


def camera(position, target, focal_px=90.0, width=97, height=75, K=None):
    T = look_at(np.array(position, float), np.array(target, float))[None]
    return CameraPath(T, (intrinsics(focal_px, width, height) if K is None else K)[None], width, height, RATE)
