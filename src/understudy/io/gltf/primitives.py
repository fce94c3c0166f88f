"""Meshes of a glTF document as parts in the bind pose, skinned or rigid.

Source: Khronos glTF 2.0 specification, sections 3.7.2 (meshes) and 3.7.3 (skins).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from understudy.core.character import Morph
from understudy.geometry.meshes import unit_normals, vertex_normals
from understudy.geometry.rigid import transform
from understudy.io.gltf.animation import NodeTree
from understudy.io.gltf.document import COMPONENTS, EVERY_ROW, FARTHEST, GltfDocument
from understudy.io.gltf.materials import texture_slot, transform_uv
from understudy.io.gltf.morphs import claim_morphs, read_morphs
from understudy.io.gltf.records import MeshEntry, Node, Primitive
from understudy.io.gltf.skins import BoundJoints
from understudy.runtime.errors import CharacterError

__all__ = ["UPWARDS", "RigPart", "claim_surfaces", "read_parts"]

UPWARDS = (0.0, 1.0, 0.0)
"""Where a vertex without a normal and without faces looks."""

TRIANGLES, STRIP, FAN = 4, 5, 6
MAX_INFLUENCES = 8
MAX_SURFACES = 5000
LISTED_BYTES, VERTEX_BYTES, CORNER_BYTES = 16, 512, 32
"""What a vertex in the list, one that a face uses, and a corner of a face take while they are read."""

Rows = np.ndarray | slice
"""Which rows of an accessor to read."""


@dataclass(frozen=True)
class RigPart:
    """One surface of a rigged file, in the skeleton's rest pose; the fields are those of Mesh and Character."""

    name: str
    """Of the node that shows it."""
    skin: int | None
    """The skin that moves it; None for rigid parts."""
    rigid_joint: int | None
    """The joint that a part without a skin (weapon, helmet) is fixed to; None where it hangs on no joint of a skin."""
    vertices: Float[np.ndarray, "vertex 3"]
    normals: Float[np.ndarray, "vertex 3"]
    uv: Float[np.ndarray, "vertex 2"]
    colours: Float[np.ndarray, "vertex 3"] | None
    """Linear, 0 … 1; they multiply the material's."""
    faces: Int[np.ndarray, "face 3"]
    material: int | None
    """In the file; None is glTF's default material."""
    skin_joints: Int[np.ndarray, "vertex influence"]
    skin_weights: Float[np.ndarray, "vertex influence"]
    morphs: tuple[Morph, ...] = ()


def read_parts(
    document: GltfDocument, tree: NodeTree, world: dict[int, Float[np.ndarray, "4 4"]], bound: BoundJoints
) -> tuple[RigPart, ...]:
    """All triangles of the scene, one part per primitive."""
    parts: list[RigPart] = []
    members = {
        node for node, joint in bound.joint_of_node.items() if any(joint in own for own in bound.joints.values())
    }
    shown = [node.mesh for node in (document.json.nodes[index] for index in tree.order) if node.mesh is not None]
    keeps_morphs = claim_morphs(document, [document.entry("meshes", mesh) for mesh in shown])
    for index in tree.order:
        node = document.json.nodes[index]
        if node.mesh is None:
            continue
        mesh = document.entry("meshes", node.mesh)
        above = None if node.skin is not None else joint_above(index, tree, bound, members)
        shape = default_shape(node, mesh)
        for primitive in mesh.primitives:
            faces = read_faces(document, primitive)
            if not len(faces):
                continue
            # VRM files share one vertex list among many primitives: only what a face uses is read.
            rows, faces = used_rows(faces, document.entry("accessors", primitive.attributes["POSITION"]).count)
            part = read_surface(document, primitive, faces, rows, shape)
            if keeps_morphs:
                part = replace(part, morphs=read_morphs(document, mesh, primitive, rows, shape))
            part = replace(part, name=node.name or f"node {index}", skin=node.skin, rigid_joint=above)
            if node.skin is None:
                part = place_rigid(part, index, world, bound)
            else:
                part = place_skinned(document, part, primitive, rows, bound, node.skin)
            parts.append(part)
    return tuple(parts)


def claim_surfaces(document: GltfDocument, tree: NodeTree) -> None:
    """See what all surfaces take together, as often as they are shown, before any of them is read.

    Raises:
        CharacterError: too much.
    """
    nodes = [document.json.nodes[index] for index in tree.order]
    shown = [(node, document.entry("meshes", node.mesh)) for node in nodes if node.mesh is not None]
    document.budget.check_count("surfaces", sum(len(mesh.primitives) for _, mesh in shown), MAX_SURFACES)
    surfaces: list[tuple[Primitive, int]] = []
    for node, mesh in shown:
        weighted = int(np.count_nonzero(default_shape(node, mesh)))
        surfaces += [(primitive, min(weighted, len(primitive.targets))) for primitive in mesh.primitives]
    document.budget.check_count("morph targets in use", sum(morphs for _, morphs in surfaces), MAX_SURFACES)
    for primitive, morphs in surfaces:
        if "POSITION" not in primitive.attributes:
            continue
        count = corners = document.entry("accessors", primitive.attributes["POSITION"]).count
        if primitive.indices is not None:
            corners = document.entry("accessors", primitive.indices).count
        colours = 4 if "COLOR_0" in primitive.attributes else 1
        document.budget.take("its vertices", count, bytes_each=LISTED_BYTES)
        document.budget.take("its vertices", min(count, corners), colours + morphs, bytes_each=VERTEX_BYTES)
        document.budget.take("its faces", corners, colours, bytes_each=CORNER_BYTES)


def default_shape(node: Node, mesh: MeshEntry) -> Float[np.ndarray, " target"]:
    """How much of each of its morph targets a mesh shows at a node."""
    return np.array(mesh.weights or () if node.weights is None else node.weights, np.float64)


def read_faces(document: GltfDocument, primitive: Primitive) -> Int[np.ndarray, "face 3"]:
    """Corner indices of a primitive's triangles; none for points and lines."""
    if primitive.mode not in (TRIANGLES, STRIP, FAN) or "POSITION" not in primitive.attributes:
        return np.zeros((0, 3), np.int64)
    source = document.entry("accessors", primitive.attributes["POSITION"])
    if primitive.indices is not None:
        corners = np.asarray(document.accessor(primitive.indices)[:, 0], np.int64)
    else:
        corners = np.arange(int(source.count))
    if len(corners) and not 0 <= corners.min() <= corners.max() < source.count:
        raise CharacterError(f"{document.path.name}: a face points at vertex {corners.max()} of {source.count}")
    if primitive.mode == TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    n = max(len(corners) - 2, 0)
    if primitive.mode == FAN:
        return np.stack([np.full(n, corners[0] if n else 0), corners[1 : n + 1], corners[2 : n + 2]], -1)
    faces = np.stack([corners[:n], corners[1 : n + 1], corners[2 : n + 2]], -1)
    faces[1::2, :2] = faces[1::2, 1::-1]
    return faces


def read_surface(
    document: GltfDocument, primitive: Primitive, faces: np.ndarray, rows: Rows, shape: Float[np.ndarray, " target"]
) -> RigPart:
    """Some vertices of a primitive in its mesh's own frame, with its morph targets at their default weights.

    It is neither named nor bound yet.
    """
    attributes = primitive.attributes
    count = document.entry("accessors", attributes["POSITION"]).count
    vertices = attribute(document, attributes, "POSITION", 3, count, rows)
    for weight, target in zip(shape, primitive.targets, strict=False):
        if weight and "POSITION" in target:
            vertices = vertices + weight * attribute(document, target, "POSITION", 3, count, rows)
    if not (np.abs(vertices) < FARTHEST).all():
        raise CharacterError(f"{document.path.name} has vertices at no finite place; export it again")
    if "NORMAL" in attributes:
        normals = attribute(document, attributes, "NORMAL", 3, count, rows)
        for weight, target in zip(shape, primitive.targets, strict=False):
            if weight and "NORMAL" in target:
                normals = normals + weight * attribute(document, target, "NORMAL", 3, count, rows)
    else:
        normals = vertex_normals(vertices, faces, UPWARDS)
    slot = None
    if primitive.material is not None:
        slot = texture_slot(document.entry("materials", primitive.material))
    uv = np.zeros((len(vertices), 2))
    if slot is not None:
        change = slot.extensions.transform
        set_of_uv = slot.tex_coord if change is None or change.tex_coord is None else change.tex_coord
        if f"TEXCOORD_{set_of_uv}" in attributes:
            uv = transform_uv(attribute(document, attributes, f"TEXCOORD_{set_of_uv}", 2, count, rows), slot)
            uv = np.where(np.isfinite(uv), uv, 0.0)
    colours = None
    if "COLOR_0" in attributes:
        colours = attribute(document, attributes, "COLOR_0", 3, count, rows)
        colours = np.clip(np.where(np.isfinite(colours), colours, 1.0), 0, 1)
    empty = np.zeros((len(vertices), 0))
    return RigPart(
        "", None, None, vertices, normals, uv, colours, faces, primitive.material, empty.astype(np.int64), empty
    )


def used_rows(faces: Int[np.ndarray, "face 3"], count: int) -> tuple[Rows, Int[np.ndarray, "face 3"]]:
    """Which of `count` vertices some faces use, and the faces on those alone."""
    used = np.zeros(count, bool)
    used[faces] = True
    if used.all():
        return EVERY_ROW, faces
    return np.flatnonzero(used), (np.cumsum(used) - 1)[faces]


def attribute(
    document: GltfDocument,
    attributes: dict[str, int],
    name: str,
    width: int,
    count: int,
    rows: Rows,
) -> np.ndarray:
    """A vertex attribute, of which there are to be `count`, as float64 `rows × width`."""
    accessor = document.entry("accessors", attributes[name])
    if COMPONENTS[accessor.type] < width or accessor.count != count:
        raise CharacterError(
            f"{document.path.name}: {name} has {accessor.count} × {accessor.type} for {count} vertices; export it again"
        )
    return document.accessor(attributes[name], rows)[:, :width].astype(np.float64)


def joint_above(node: int, tree: NodeTree, bound: BoundJoints, members: set[int]) -> int | None:
    """The joint that a node hangs on; None for nodes that have no joint of a skin (`members`) above them."""
    nearest = None
    while node >= 0:
        if nearest is None:
            nearest = bound.joint_of_node.get(node)
        if node in members:
            return nearest
        node = tree.parents[node]
    return None


def place_rigid(part: RigPart, node: int, world: dict[int, Float[np.ndarray, "4 4"]], bound: BoundJoints) -> RigPart:
    """The part where its joint carries it in the bind pose; loose ones stay where they are, and follow the root."""
    T = _placed_by_joint(part.rigid_joint, node, world, bound)
    count = len(part.vertices)
    return moved(
        replace(
            part,
            vertices=transform(T, part.vertices),
            skin_joints=np.full((count, 1), part.rigid_joint or 0),
            skin_weights=np.ones((count, 1)),
        ),
        np.broadcast_to(T[:3, :3], (count, 3, 3)),
    )


def _placed_by_joint(
    joint: int | None, node: int, world: dict[int, Float[np.ndarray, "4 4"]], bound: BoundJoints
) -> Float[np.ndarray, "4 4"]:
    if joint is None:
        return world[node]
    node_of_joint = {number: key for key, number in bound.joint_of_node.items()}
    return bound.T_model_bound[joint] @ np.linalg.pinv(world[node_of_joint[joint]]) @ world[node]


def place_skinned(
    document: GltfDocument, part: RigPart, primitive: Primitive, rows: Rows, bound: BoundJoints, skin: int
) -> RigPart:
    """The part as its skin shows it in the bind pose."""
    members = np.array(bound.joints[skin])
    local, weights = read_influences(document, part.name, primitive, rows, len(members))
    T = bound.T_model_bound[members] @ bound.T_bound_mesh[skin]
    # One influence after the other, because their matrices together would be the largest thing in memory.
    blended = np.zeros((len(part.vertices), 3, 4))
    for joint, weight in zip(local.T, weights.T, strict=True):
        blended += weight[:, None, None] * T[joint, :3]
    vertices = np.einsum("vij,vj->vi", blended[..., :3], part.vertices) + blended[..., 3]
    return moved(replace(part, vertices=vertices, skin_joints=members[local], skin_weights=weights), blended[..., :3])


def read_influences(
    document: GltfDocument, name: str, primitive: Primitive, rows: Rows, joints: int
) -> tuple[Int[np.ndarray, "vertex influence"], Float[np.ndarray, "vertex influence"]]:
    """Which of a skin's joints move some vertices of the part `name`, and how much."""
    attributes = primitive.attributes
    count = document.entry("accessors", attributes["POSITION"]).count
    sets = [n for n in range(4) if f"JOINTS_{n}" in attributes and f"WEIGHTS_{n}" in attributes]
    if not sets:
        raise CharacterError(f"{document.path.name}: {name} has a skin but no skin weights: export it again")
    local = np.concatenate([attribute(document, attributes, f"JOINTS_{n}", 4, count, rows) for n in sets], 1)
    weights = np.concatenate([attribute(document, attributes, f"WEIGHTS_{n}", 4, count, rows) for n in sets], 1)
    if not np.isfinite(weights).all():
        document.note(f"{name} has skin weights that are no numbers: they count as zero")
    weights = np.where(np.isfinite(weights), np.maximum(weights, 0.0), 0.0)
    local = np.where(weights > 0, local, 0)
    if not (local.min(initial=0) >= 0 and local.max(initial=0) < joints):
        raise CharacterError(f"{document.path.name}: {name} has weights for joints that its skin does not have")
    local = local.astype(np.int64)
    if weights.shape[1] > MAX_INFLUENCES:
        strongest = np.argsort(-weights, 1, kind="stable")[:, :MAX_INFLUENCES]
        local, weights = np.take_along_axis(local, strongest, 1), np.take_along_axis(weights, strongest, 1)
    total = weights.sum(1, keepdims=True)
    weights[total[:, 0] == 0, 0] = 1.0
    return local, weights / np.where(total == 0, 1.0, total)


def moved(part: RigPart, M: Float[np.ndarray, "vertex 3 3"]) -> RigPart:
    """The part with normals and morphs turned along with its vertices, and faces turned round where M mirrors."""
    # The cofactor matrix carries normals, also where M is singular (a joint scaled to nothing).
    rows = np.stack([np.cross(M[:, 1], M[:, 2]), np.cross(M[:, 2], M[:, 0]), np.cross(M[:, 0], M[:, 1])], 1)
    mirrored = len(M) > 0 and np.median(np.linalg.det(M)) < 0
    normals = np.einsum("vij,vj->vi", rows, part.normals) * (-1.0 if mirrored else 1.0)
    normals = unit_normals(normals, UPWARDS)
    morphs: list[Morph] = []
    for morph in part.morphs:
        own, changes = morph.vertices, morph.normals
        if changes is not None:
            # Normals without the target and with all of it are carried, for the cofactors also change their lengths.
            without = part.normals[own] - morph.weight * changes
            ends = (np.einsum("vij,vj->vi", rows[own], one) for one in (without, without + changes))
            first, last = (unit_normals(end * (-1.0 if mirrored else 1.0), UPWARDS) for end in ends)
            changes = last - first
        morphs.append(replace(morph, offsets=np.einsum("vij,vj->vi", M[own], morph.offsets), normals=changes))
    faces = part.faces[:, ::-1] if mirrored else part.faces
    return replace(part, normals=normals, faces=faces, morphs=tuple(morphs))
