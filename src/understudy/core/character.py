"""A mesh, its materials, and the rig that moves it."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, UInt8

from understudy.core.motion import BODY_JOINTS, Skeleton
from understudy.core.springs import SpringChain
from understudy.runtime.checks import check_finite, check_shape

__all__ = ["Character", "Doubt", "Material", "Mesh", "Morph"]


@dataclass(frozen=True)
class Material:
    """A glTF-like surface."""

    name: str = "surface"
    base_colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """Linear RGBA, multiplied with the texture."""
    texture: UInt8[np.ndarray, "height width 4"] | None = None
    """sRGB colour and straight alpha; uv (0, 0) is the top-left corner."""
    metallic: float = 0.0
    roughness: float = 0.9
    specular: float = 1.0
    """How much of a dielectric's reflection there is, 0 … 1, at grazing angles too; 0: matt."""
    specular_colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Times 0.04 what a dielectric reflects of light from straight ahead, linear; may exceed one."""
    emissive: tuple[float, float, float] = (0.0, 0.0, 0.0)
    alpha_cutoff: float | None = None
    """Texels with less alpha are holes; None: opaque."""
    double_sided: bool = False


@dataclass(frozen=True)
class Morph:
    """A morph target (blend shape): where some vertices go when a face smiles. No motion of ours moves it."""

    name: str
    vertices: Int[np.ndarray, " moved"]
    """Those that it moves, each once."""
    offsets: Float[np.ndarray, "moved 3"]
    """How far at weight 1, in the rest pose, in metres."""
    weight: float = 0.0
    """How much of it the mesh's vertices hold already."""
    normals: Float[np.ndarray, "moved 3"] | None = None
    """How much the vertices' normals change at weight 1; None: its file does not say."""

    def of_rows(self, rows: Int[np.ndarray, " vertex"], count: int) -> "Morph":
        """The same for a mesh whose vertex v was vertex `rows[v]` of `count`; some may be left out or stand twice."""
        place = np.full(count, -1)
        place[self.vertices] = np.arange(len(self.vertices))
        here = place[rows]
        kept = here[here >= 0]
        normals = None if self.normals is None else self.normals[kept]
        return Morph(self.name, np.flatnonzero(here >= 0), self.offsets[kept], self.weight, normals)

    def turned(self, M: Float[np.ndarray, "3 3"]) -> "Morph":
        """The same for vertices that are turned and, alike along all axes, scaled."""
        turn = M / np.cbrt(np.linalg.det(M))
        normals = None if self.normals is None else self.normals @ turn.T
        return Morph(self.name, self.vertices, self.offsets @ M.T, self.weight, normals)


@dataclass(frozen=True)
class Mesh:
    """Triangles in the rest pose, in metres, +Y up, facing +Z, counter-clockwise seen from outside."""

    vertices: Float[np.ndarray, "vertex 3"]
    faces: Int[np.ndarray, "face 3"]
    normals: Float[np.ndarray, "vertex 3"]
    uv: Float[np.ndarray, "vertex 2"]
    face_material: Int[np.ndarray, " face"]
    """Which of `materials` each face has."""
    materials: tuple[Material, ...]
    morphs: tuple[Morph, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.vertices)
        check_shape("vertices", self.vertices, None, 3)
        check_shape("faces", self.faces, None, 3)
        check_shape("normals", self.normals, count, 3)
        check_shape("uv", self.uv, count, 2)
        check_shape("face_material", self.face_material, len(self.faces))
        check_finite("vertices", self.vertices)
        if len(self.faces) and (self.faces.min() < 0 or self.faces.max() >= count):
            raise ValueError(f"a face points at vertex {int(self.faces.max())} of {count}")
        if len(self.faces) and self.face_material.max() >= len(self.materials):
            raise ValueError(f"a face has material {int(self.face_material.max())} of {len(self.materials)}")
        for morph in self.morphs:
            check_shape("offsets", morph.offsets, len(morph.vertices), 3)
            check_finite("offsets", morph.offsets)
            if morph.normals is not None:
                check_shape("normals of a morph target", morph.normals, len(morph.vertices), 3)
                check_finite("normals of a morph target", morph.normals)
            if len(morph.vertices) and not 0 <= morph.vertices.min() <= morph.vertices.max() < count:
                raise ValueError(f"morph target {morph.name!r} moves vertex {int(morph.vertices.max())} of {count}")


@dataclass(frozen=True)
class Doubt:
    """Something about a character that may be wrong, for a person to look at."""

    sentence: str
    """What, and what would help."""
    level: Literal["fair", "poor"] = "fair"
    """Poor: it is likely to show in the film."""


@dataclass(frozen=True)
class Character:
    """A rigged mesh. Vertex v in pose: Σ weight · T_model_joint · T_joint_mesh · vertex."""

    name: str
    mesh: Mesh
    skeleton: Skeleton
    T_joint_mesh: Float[np.ndarray, "joint 4 4"]
    """Inverse bind matrices: mesh points into each joint's frame (may hold a scale)."""
    skin_joints: Int[np.ndarray, "vertex influence"]
    skin_weights: Float[np.ndarray, "vertex influence"]
    """Each row sums to one."""
    roles: dict[str, int] = field(default_factory=dict[str, int])
    """Which joint plays which part: a name of BODY_JOINTS to a joint's index. Parts may be absent."""
    springs: tuple[SpringChain, ...] = ()
    """Loose parts that swing after the motion."""
    doubts: tuple[Doubt, ...] = ()
    """What its maker was not sure of; files do not hold it."""

    def __post_init__(self) -> None:
        count = len(self.mesh.vertices)
        check_shape("T_joint_mesh", self.T_joint_mesh, len(self.skeleton), 4, 4)
        check_finite("T_joint_mesh", self.T_joint_mesh)
        check_shape("skin_weights", self.skin_weights, count, None)
        check_shape("skin_joints", self.skin_joints, *self.skin_weights.shape)
        if count and np.abs(self.skin_weights.sum(1) - 1.0).max() > 1e-3:
            raise ValueError("skin weights must sum to one for each vertex")
        if count and (self.skin_joints.min() < 0 or self.skin_joints.max() >= len(self.skeleton)):
            raise ValueError(f"a skin weight names joint {int(self.skin_joints.max())} of {len(self.skeleton)}")
        for part, joint in self.roles.items():
            if part not in BODY_JOINTS or not 0 <= joint < len(self.skeleton):
                raise ValueError(f"role {part!r} → joint {joint} is not a body part of this skeleton")
        for chain in self.springs:
            if not all(0 <= joint < len(self.skeleton) for joint in chain.joints):
                raise ValueError(f"spring {chain.name!r} names joint {max(chain.joints)} of {len(self.skeleton)}")

    @property
    def height_m(self) -> float:
        """How tall the rest-pose mesh stands, in metres."""
        return float(np.ptp(self.mesh.vertices[:, 1]))
