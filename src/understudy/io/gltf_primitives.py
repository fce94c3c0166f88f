"""Meshes of a glTF document as parts in the bind pose, skinned or rigid.

Source: Khronos glTF 2.0 specification, sections 3.7.2 (meshes) and 3.7.3 (skins).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from understudy.core.character import Material
from understudy.core.errors import CharacterError
from understudy.geometry.rigid import transform
from understudy.geometry.skinning import skin_vertices
from understudy.io.gltf_animation import NodeTree
from understudy.io.gltf_document import GltfDocument
from understudy.io.gltf_materials import colour_atlas, read_material, texture_slot, transform_uv
from understudy.io.gltf_skins import BoundJoints

__all__ = ["RigPart", "read_parts", "vertex_normals"]

TRIANGLES, STRIP, FAN = 4, 5, 6
MAX_INFLUENCES = 8


@dataclass(frozen=True)
class RigPart:
    """One surface of a rigged file, in the skeleton's rest pose; the fields are those of Mesh and Character."""

    name: str
    """Of the node that shows it."""
    rigid_joint: int | None
    """The joint that it is fixed to, for parts without a skin (weapons, helmets)."""
    vertices: Float[np.ndarray, "vertex 3"]
    normals: Float[np.ndarray, "vertex 3"]
    uv: Float[np.ndarray, "vertex 2"]
    faces: Int[np.ndarray, "face 3"]
    material: int
    skin_joints: Int[np.ndarray, "vertex influence"]
    skin_weights: Float[np.ndarray, "vertex influence"]


def read_parts(
    document: GltfDocument, tree: NodeTree, world: dict[int, Float[np.ndarray, "4 4"]], bound: BoundJoints
) -> tuple[tuple[RigPart, ...], tuple[Material, ...]]:
    """All triangles of the scene, one part per primitive, and the materials that they use."""
    parts: list[RigPart] = []
    materials: list[Material] = []
    known: dict[int | None, int] = {}
    for node_index in tree.order:
        node = document.entry("nodes", node_index)
        if "mesh" not in node:
            continue
        mesh = document.entry("meshes", node["mesh"])
        skin = node.get("skin")
        above = None if skin is not None else joint_above(node_index, tree, bound)
        for primitive in mesh["primitives"]:
            faces = read_faces(document, primitive)
            if not len(faces):
                continue
            number = primitive.get("material")
            if number not in known:
                known[number] = len(materials)
                materials.append(read_material(document, number))
            shape = np.array(node.get("weights", mesh.get("weights", ())), np.float64)
            part = read_surface(document, primitive, faces, shape, node.get("name", f"node {node_index}"))
            part = replace(part, material=known[number], rigid_joint=above)
            if skin is None:
                part = place_rigid(part, above, node_index, tree, world, bound)
            else:
                part = place_skinned(document, part, primitive, skin, bound)
            part, material = bake_colours(document, part, primitive, materials[known[number]])
            if material is not materials[known[number]]:
                part = replace(part, material=len(materials))
                materials.append(material)
            parts.append(compact(part))
    return tuple(parts), tuple(materials)


def read_faces(document: GltfDocument, primitive: dict[str, Any]) -> Int[np.ndarray, "face 3"]:
    """Corner indices of a primitive's triangles; none for points and lines."""
    mode = primitive.get("mode", TRIANGLES)
    if mode not in (TRIANGLES, STRIP, FAN) or "POSITION" not in primitive["attributes"]:
        return np.zeros((0, 3), np.int64)
    source = document.entry("accessors", primitive["attributes"]["POSITION"])
    if "KHR_draco_mesh_compression" in primitive.get("extensions", {}) and "bufferView" not in source:
        raise CharacterError(f"{document.path.name} is compressed by Draco: export it again without Draco compression")
    count = source["count"]
    if "indices" in primitive:
        corners = document.accessor(primitive["indices"])[:, 0].astype(np.int64)
    else:
        corners = np.arange(count)
    if len(corners) and corners.max() >= count:
        raise CharacterError(f"{document.path.name}: a face points at vertex {corners.max()} of {count}")
    if mode == TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    n = max(len(corners) - 2, 0)
    if mode == FAN:
        return np.stack([np.full(n, corners[0] if n else 0), corners[1 : n + 1], corners[2 : n + 2]], -1)
    faces = np.stack([corners[:n], corners[1 : n + 1], corners[2 : n + 2]], -1)
    faces[1::2, :2] = faces[1::2, 1::-1]
    return faces


def read_surface(
    document: GltfDocument, primitive: dict[str, Any], faces: np.ndarray, shape: Float[np.ndarray, " target"], name: str
) -> RigPart:
    """A primitive in its mesh's own frame, with its morph targets at their default weights; not bound yet."""
    attributes = primitive["attributes"]
    vertices = attribute(document, attributes, "POSITION", 3)
    for weight, target in zip(shape, primitive.get("targets", ()), strict=False):
        if weight and "POSITION" in target:
            vertices = vertices + weight * document.accessor(target["POSITION"])
    if not np.isfinite(vertices).all():
        raise CharacterError(f"{document.path.name}: {name} has vertices that are not finite")
    if "NORMAL" in attributes:
        normals = attribute(document, attributes, "NORMAL", 3, len(vertices))
    else:
        normals = vertex_normals(vertices, faces)
    slot = None
    if "material" in primitive:
        slot = texture_slot(document.entry("materials", primitive["material"]))
    uv = np.zeros((len(vertices), 2))
    if slot is not None:
        set_of_uv = slot.get("extensions", {}).get("KHR_texture_transform", {}).get("texCoord", slot.get("texCoord", 0))
        if f"TEXCOORD_{set_of_uv}" in attributes:
            uv = transform_uv(attribute(document, attributes, f"TEXCOORD_{set_of_uv}", 2, len(vertices)), slot)
    empty = np.zeros((len(vertices), 0))
    return RigPart(name, None, vertices, normals, uv, faces, 0, empty.astype(np.int64), empty)


def attribute(
    document: GltfDocument, attributes: dict[str, int], name: str, width: int, count: int | None = None
) -> np.ndarray:
    """A vertex attribute as float64 `count × width`."""
    values = document.accessor(attributes[name]).astype(np.float64)
    if values.shape[1] < width or (count is not None and len(values) != count):
        raise CharacterError(f"{document.path.name}: {name} has shape {values.shape} for {count} vertices")
    return values[:, :width]


def vertex_normals(
    vertices: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"]
) -> Float[np.ndarray, "vertex 3"]:
    """Unit normals, each the mean of its faces' weighted by area; +Y where a vertex has no face."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    return unit_normals(normals)


def unit_normals(normals: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "vertex 3"]:
    """Normals brought to length one; +Y where there is none."""
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    bad = ~(length > 1e-20)
    return np.where(bad, np.array([0.0, 1.0, 0.0]), normals / np.where(bad, 1.0, length))


def joint_above(node: int, tree: NodeTree, bound: BoundJoints) -> int:
    """The joint that a node hangs on; the root for nodes beside the skeleton."""
    while node >= 0:
        if node in bound.joint_of_node:
            return bound.joint_of_node[node]
        node = tree.parents[node]
    return 0


def place_rigid(
    part: RigPart,
    joint: int | None,
    node: int,
    tree: NodeTree,
    world: dict[int, Float[np.ndarray, "4 4"]],
    bound: BoundJoints,
) -> RigPart:
    """The part where its joint carries it in the bind pose."""
    T = world[node]
    node_of_joint = {number: key for key, number in bound.joint_of_node.items()}
    if joint in node_of_joint:
        T = bound.T_model_bound[joint] @ np.linalg.pinv(world[node_of_joint[joint]]) @ T
    count = len(part.vertices)
    return moved(
        replace(
            part,
            vertices=transform(T, part.vertices),
            skin_joints=np.full((count, 1), joint),
            skin_weights=np.ones((count, 1)),
        ),
        np.broadcast_to(T[:3, :3], (count, 3, 3)),
    )


def place_skinned(
    document: GltfDocument, part: RigPart, primitive: dict[str, Any], skin: int, bound: BoundJoints
) -> RigPart:
    """The part as its skin shows it in the bind pose."""
    attributes, count = primitive["attributes"], len(part.vertices)
    sets = [n for n in range(4) if f"JOINTS_{n}" in attributes and f"WEIGHTS_{n}" in attributes]
    if not sets:
        raise CharacterError(f"{document.path.name}: {part.name} has a skin but no skin weights: export it again")
    local = np.concatenate([document.accessor(attributes[f"JOINTS_{n}"]) for n in sets], 1).astype(np.int64)
    weights = np.concatenate([attribute(document, attributes, f"WEIGHTS_{n}", 4, count) for n in sets], 1)
    members = np.array(bound.joints[skin])
    weights = np.where(np.isfinite(weights), np.maximum(weights, 0.0), 0.0)
    if local.shape != weights.shape or np.where(weights > 0, local, 0).max(initial=0) >= len(members):
        raise CharacterError(f"{document.path.name}: {part.name} has weights for joints that its skin does not have")
    local = np.where(weights > 0, local, 0)
    if weights.shape[1] > MAX_INFLUENCES:
        strongest = np.argsort(-weights, 1, kind="stable")[:, :MAX_INFLUENCES]
        local, weights = np.take_along_axis(local, strongest, 1), np.take_along_axis(weights, strongest, 1)
    total = weights.sum(1, keepdims=True)
    weights[total[:, 0] == 0, 0] = 1.0
    weights /= np.where(total == 0, 1.0, total)
    T = bound.T_model_bound[members] @ bound.T_bound_mesh[skin]
    blended = np.einsum("vi,vijk->vjk", weights, T[local][:, :, :3, :3])
    return moved(
        replace(
            part,
            vertices=skin_vertices(part.vertices, T, local, weights),
            skin_joints=members[local],
            skin_weights=weights,
        ),
        blended,
    )


def moved(part: RigPart, M: Float[np.ndarray, "vertex 3 3"]) -> RigPart:
    """The part with normals turned along with its vertices, and faces turned round where M mirrors."""
    # The cofactor matrix carries normals, also where M is singular (a joint scaled to nothing).
    rows = np.stack([np.cross(M[:, 1], M[:, 2]), np.cross(M[:, 2], M[:, 0]), np.cross(M[:, 0], M[:, 1])], 1)
    mirrored = len(M) > 0 and np.median(np.linalg.det(M)) < 0
    normals = np.einsum("vij,vj->vi", rows, part.normals) * (-1.0 if mirrored else 1.0)
    return replace(part, normals=unit_normals(normals), faces=part.faces[:, ::-1] if mirrored else part.faces)


def bake_colours(
    document: GltfDocument, part: RigPart, primitive: dict[str, Any], material: Material
) -> tuple[RigPart, Material]:
    """Vertex colours, which our meshes have not, moved into the material.

    Without a texture they become one (exactly); with one, their mean tints it.
    """
    if "COLOR_0" not in primitive["attributes"]:
        return part, material
    colours = np.clip(attribute(document, primitive["attributes"], "COLOR_0", 3, len(part.vertices)), 0, 1)
    used = colours[np.unique(part.faces)]
    if np.ptp(used, axis=0).max(initial=0.0) > 1 / 255 and material.texture is None:
        texture, uv = colour_atlas(colours, part.faces)
        corners = part.faces.reshape(-1)
        split = replace(
            part,
            vertices=part.vertices[corners],
            normals=part.normals[corners],
            uv=uv,
            faces=np.arange(len(corners)).reshape(-1, 3),
            skin_joints=part.skin_joints[corners],
            skin_weights=part.skin_weights[corners],
        )
        return split, replace(material, texture=texture)
    tint = used.mean(0)
    if np.abs(tint - 1).max() < 1 / 255:
        return part, material
    r, g, b = (float(value) for value in tint * material.base_colour[:3])
    return part, replace(material, base_colour=(r, g, b, material.base_colour[3]))


def compact(part: RigPart) -> RigPart:
    """The part without vertices that no face uses (VRM files share one vertex list among many primitives)."""
    used = np.unique(part.faces)
    if len(used) == len(part.vertices):
        return part
    place = np.zeros(len(part.vertices), np.int64)
    place[used] = np.arange(len(used))
    return replace(
        part,
        vertices=part.vertices[used],
        normals=part.normals[used],
        uv=part.uv[used],
        faces=place[part.faces],
        skin_joints=part.skin_joints[used],
        skin_weights=part.skin_weights[used],
    )
