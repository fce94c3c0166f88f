"""Parts of a rigged file merged into one character; only here are pictures decoded, of the parts that are kept."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, UInt8

from understudy.core.character import Character, Material, Mesh
from understudy.core.motion import Skeleton
from understudy.core.springs import SpringChain
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert
from understudy.imaging.colour import srgb_from_linear
from understudy.io.gltf.document import GltfDocument
from understudy.io.gltf.materials import read_materials
from understudy.io.gltf.morphs import merged_morphs
from understudy.io.gltf.primitives import RigPart

__all__ = ["GltfRig", "bake_colours", "character_from_parts", "merged_mesh"]


@dataclass(frozen=True)
class GltfRig:
    """What a rigged glTF file holds, before it is merged into one mesh."""

    name: str
    skeleton: Skeleton
    """All joints of all skins, and the nodes between them."""
    parts: tuple[RigPart, ...]
    skins: dict[int, tuple[int, ...]]
    """Of each skin: its joints, as indices of the skeleton."""
    humanoid: dict[str, int]
    """VRM's own naming of bones ("leftUpperArm") to joints; empty for other files."""
    roles: dict[int, dict[str, int]]
    """Of each skin: as in Character, in files that we wrote; empty for other files."""
    springs: tuple[SpringChain, ...]
    """On the skeleton's joints."""
    document: GltfDocument

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be repaired, for the user."""
        return tuple(self.document.notes)


def character_from_parts(rig: GltfRig, parts: Sequence[RigPart]) -> Character:
    """Some parts of a rig, merged into one mesh; `roles` are those of their skins, in files that we wrote.

    Raises:
        CharacterError: a texture cannot be read.
    """
    numbers = sorted({part.material for part in parts}, key=lambda number: -1 if number is None else number)
    known = dict(zip(numbers, read_materials(rig.document, numbers), strict=True))
    baked = [bake_colours(part, known[part.material]) for part in parts]
    parts = [part for part, _ in baked]
    influences = max(part.skin_joints.shape[1] for part in parts)
    roles: dict[str, int] = {}
    for skin in sorted({part.skin for part in parts if part.skin is not None}):
        roles |= rig.roles.get(skin, {})
    return Character(
        name=rig.name,
        mesh=merged_mesh(baked),
        skeleton=rig.skeleton,
        T_joint_mesh=invert(rest_pose(rig.skeleton.parents, rig.skeleton.T_parent_joint)),
        skin_joints=np.concatenate([padded(part.skin_joints, influences) for part in parts]),
        skin_weights=np.concatenate([padded(part.skin_weights, influences) for part in parts]),
        roles=roles,
        springs=rig.springs,
    )


def merged_mesh(surfaces: Sequence[tuple[RigPart, Material]]) -> Mesh:
    """Parts and the material of each as one mesh, in which those of one material share it."""
    materials: list[Material] = []
    places: list[int] = []
    for _, material in surfaces:
        place = next((n for n, other in enumerate(materials) if other is material), len(materials))
        materials += [material] if place == len(materials) else []
        places.append(place)
    parts = [part for part, _ in surfaces]
    firsts = np.cumsum([0] + [len(part.vertices) for part in parts])
    return Mesh(
        vertices=np.concatenate([part.vertices for part in parts]),
        faces=np.concatenate([part.faces + first for part, first in zip(parts, firsts, strict=False)]),
        normals=np.concatenate([part.normals for part in parts]),
        uv=np.concatenate([part.uv for part in parts]),
        face_material=np.repeat(places, [len(part.faces) for part in parts]),
        materials=tuple(materials),
        morphs=merged_morphs([part.morphs for part in parts], firsts[:-1].tolist()),
    )


def padded(values: np.ndarray, width: int) -> np.ndarray:
    """Rows filled up with zeros to `width` columns."""
    return np.pad(values, ((0, 0), (0, width - values.shape[1])))


def bake_colours(part: RigPart, material: Material) -> tuple[RigPart, Material]:
    """Vertex colours, which our meshes have not, moved into the material.

    Without a texture they become one (exactly); with one, their mean tints it.
    """
    if part.colours is None:
        return part, material
    if np.ptp(part.colours, axis=0).max(initial=0.0) > 1 / 255 and material.texture is None:
        texture, uv = colour_atlas(part.colours, part.faces)
        corners = part.faces.reshape(-1)
        split = replace(
            part,
            vertices=part.vertices[corners],
            normals=part.normals[corners],
            uv=uv,
            colours=None,
            faces=np.arange(len(corners)).reshape(-1, 3),
            skin_joints=part.skin_joints[corners],
            skin_weights=part.skin_weights[corners],
            morphs=tuple(morph.of_rows(corners, len(part.vertices)) for morph in part.morphs),
        )
        return split, replace(material, texture=texture)
    tint = part.colours.mean(0)
    if np.abs(tint - 1).max() < 1 / 255:
        return part, material
    r, g, b = (float(value) for value in tint * material.base_colour[:3])
    return part, replace(material, base_colour=(r, g, b, material.base_colour[3]))


def colour_atlas(
    colours: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"]
) -> tuple[UInt8[np.ndarray, "height width 4"], Float[np.ndarray, "corner 2"]]:
    """A texture that shows vertex colours, and the uv of each face's three corners (3 × face rows).

    Each face owns 2 × 2 texels: its corners at three texel centres and the plane through them at the fourth, so that
    bilinear sampling gives exactly the linear blend of the corner colours. Colours are linear, 0 … 1.
    """
    columns = max(1, int(np.ceil(np.sqrt(len(faces)))))
    rows = max(1, -(-len(faces) // columns))
    a, b, c = (colours[faces[:, corner]] for corner in range(3))
    texels = np.zeros((rows * columns, 2, 2, 3))
    texels[: len(faces)] = np.stack([np.stack([a, b], 1), np.stack([c, b + c - a], 1)], 1)
    linear = np.clip(texels.reshape(rows, columns, 2, 2, 3).transpose(0, 2, 1, 3, 4), 0, 1)
    linear = linear.reshape(2 * rows, 2 * columns, 3)
    srgb = srgb_from_linear(linear)
    picture = np.full((2 * rows, 2 * columns, 4), 255, np.uint8)
    picture[..., :3] = np.round(255 * srgb)
    face = np.arange(len(faces))
    corner = np.stack([2 * (face % columns), 2 * (face // columns)], -1)[:, None] + np.array([[0, 0], [1, 0], [0, 1]])
    return picture, ((corner + 0.5) / (2 * columns, 2 * rows)).reshape(-1, 2)
