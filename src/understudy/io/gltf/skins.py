"""The skins of a glTF document as one rigid skeleton in the pose in which they were bound.

A file's default pose may be anything (a frame of an animation, often); the bind pose is the one in which the mesh is
as its author shaped it, mostly a T- or A-pose. So the bind pose is our rest pose. Scales on joints are kept as far as
they change the figure (a head made larger by its bone), by baking them into the vertices.
Source: Khronos glTF 2.0 specification, section 3.7.3.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float

from understudy.core.motion import Skeleton
from understudy.geometry.rigid import invert, transform_from
from understudy.io.gltf.animation import NodeTree
from understudy.io.gltf.document import FARTHEST, GltfDocument
from understudy.runtime.errors import CharacterError

__all__ = ["ROLES_KEY", "BoundJoints", "bind_joints", "joints_of_nodes", "rigid_part"]

MAX_JOINTS = 2000
ROLES_KEY = "understudy_roles"
"""In a skin's `extras`, in files that we wrote: which place in `joints` plays which part."""


@dataclass(frozen=True)
class BoundJoints:
    """The joints of all skins of a document, and the pose in which their meshes are bound."""

    skeleton: Skeleton
    joint_of_node: dict[int, int]
    T_model_bound: Float[np.ndarray, "joint 4 4"]
    """Each joint in the bind pose, with the scale that it may hold; the skeleton has the rigid part."""
    T_bound_mesh: dict[int, Float[np.ndarray, "_ 4 4"]]
    """Of each skin: its inverse bind matrices."""
    joints: dict[int, list[int]]
    """Of each skin: its joints, as indices of the skeleton."""


def bind_joints(document: GltfDocument, tree: NodeTree, world: dict[int, Float[np.ndarray, "4 4"]]) -> BoundJoints:
    """Gather the skins that meshes of the scene use.

    Raises:
        CharacterError: no mesh has a skin.
    """
    nodes = document.json.nodes
    shown = [(nodes[n].skin, n) for n in tree.order if nodes[n].mesh is not None]
    mesh_nodes = {skin: n for skin, n in shown if skin is not None}
    used = sorted(mesh_nodes)
    if not used:
        raise CharacterError(
            f"{document.path.name} has no skin: its mesh hangs on no skeleton; rig it first (for example with Mixamo)"
        )
    skin_nodes = {skin: list(document.entry("skins", skin).joints) for skin in used}
    for skin, members in skin_nodes.items():
        if not members or any(node not in tree.parents for node in members):
            raise CharacterError(f"{document.path.name}: skin {skin} uses joints that are not in the scene")
    document.budget.check_count("skinned joints", sum(map(len, skin_nodes.values())), 10 * MAX_JOINTS)
    order, parents = joint_subtree(tree, {node for members in skin_nodes.values() for node in members})
    document.budget.check_count("joints", len(order), MAX_JOINTS)
    inverse_bind = {skin: inverse_bind_matrices(document, skin) for skin in used}
    bound, T_model_mesh = bound_nodes(tree, world, skin_nodes, inverse_bind, mesh_nodes)
    T_model_bound = chain_bound(order, parents, world, bound)
    rigid = rigid_part(T_model_bound)
    local = np.array([T if p < 0 else invert(rigid[p]) @ T for T, p in zip(rigid, parents, strict=True)])
    joint_of_node = {node: joint for joint, node in enumerate(order) if node >= 0}
    joints = {skin: [joint_of_node[node] for node in members] for skin, members in skin_nodes.items()}
    for skin, matrices in inverse_bind.items():
        bad = ~usable(matrices)
        if bad.any():
            document.note(
                f"{int(bad.sum())} of the {len(bad)} bind matrices of skin {skin} cannot be used: those joints are"
                " bound where they stand"
            )
            matrices[bad] = np.linalg.pinv(T_model_bound[np.array(joints[skin])[bad]]) @ T_model_mesh[skin]
    return BoundJoints(
        Skeleton(unique_names(document, order), tuple(parents), local),
        joint_of_node,
        T_model_bound,
        inverse_bind,
        joints,
    )


def joints_of_nodes(
    document: GltfDocument, tree: NodeTree, world: dict[int, Float[np.ndarray, "4 4"]], members: set[int]
) -> BoundJoints:
    """Nodes that no mesh hangs on as joints, in the default pose: files of motion alone have no skin.

    Raises:
        CharacterError: there are none.
    """
    members = members & set(tree.parents)
    if not members:
        raise CharacterError(f"{document.path.name} moves no joints: export an animated skeleton")
    document.budget.check_count("joints", len(members), MAX_JOINTS)
    order, parents = joint_subtree(tree, members)
    document.budget.check_count("joints", len(order), MAX_JOINTS)
    T = np.array([np.eye(4) if node < 0 else world[node] for node in order])
    rigid = rigid_part(T)
    local = np.array([own if p < 0 else invert(rigid[p]) @ own for own, p in zip(rigid, parents, strict=True)])
    skeleton = Skeleton(unique_names(document, order), tuple(parents), local)
    return BoundJoints(skeleton, {node: joint for joint, node in enumerate(order) if node >= 0}, T, {}, {})


def usable(matrices: Float[np.ndarray, "*batch 4 4"]) -> np.ndarray:
    """Which matrices are finite and can be inverted."""
    finite = np.asarray((np.abs(matrices) < FARTHEST).all((-2, -1)))
    sound = np.where(finite[..., None, None], matrices, 0.0)[..., :3, :3]
    return finite & (np.abs(np.linalg.det(sound)) > 1e-18)


def rigid_part(T: Float[np.ndarray, "*batch 4 4"]) -> Float[np.ndarray, "*batch 4 4"]:
    """The nearest rotation and the translation of transforms that may hold scale (polar decomposition)."""
    U, _, Vt = np.linalg.svd(T[..., :3, :3])
    sign = np.ones((*T.shape[:-2], 3))
    sign[..., 2] = np.where(np.linalg.det(U @ Vt) < 0, -1.0, 1.0)
    return transform_from((U * sign[..., None, :]) @ Vt, T[..., :3, 3])


def inverse_bind_matrices(document: GltfDocument, skin: int) -> Float[np.ndarray, "skin_joint 4 4"]:
    """A skin's inverse bind matrices; identities when it has none."""
    source = document.entry("skins", skin)
    count = len(source.joints)
    if source.inverse_bind_matrices is None:
        return np.tile(np.eye(4), (count, 1, 1))
    accessor = document.entry("accessors", source.inverse_bind_matrices)
    if accessor.count < count or accessor.type != "MAT4":
        raise CharacterError(f"{document.path.name}: skin {skin} has {accessor.count} bind matrices for {count} joints")
    matrices = document.accessor(source.inverse_bind_matrices)[:count].astype(np.float64)
    matrices = matrices.reshape(-1, 4, 4).swapaxes(1, 2).copy()
    matrices[:, 3] = (0.0, 0.0, 0.0, 1.0)
    return matrices


def joint_subtree(tree: NodeTree, members: set[int]) -> tuple[list[int], list[int]]:
    """The smallest tree that holds all members: nodes, parents first, and parents as positions in that list.

    Where no node of the scene stands above all members, a root of our own (node −1) does.
    """
    lines: list[list[int]] = []
    for node in members:
        line = [node]
        while tree.parents[line[-1]] >= 0:
            line.append(tree.parents[line[-1]])
        lines.append(line[::-1])
    shared = 0
    while all(len(line) > shared for line in lines) and len({line[shared] for line in lines}) == 1:
        shared += 1
    keep = {node for line in lines for node in line[max(shared - 1, 0) :]}
    order = ([-1] if shared == 0 else []) + [node for node in tree.order if node in keep]
    place = {node: position for position, node in enumerate(order)}
    parents = [-1 if node == order[0] else place.get(tree.parents[node], 0) for node in order]
    return order, parents


def bound_nodes(
    tree: NodeTree,
    world: dict[int, Float[np.ndarray, "4 4"]],
    skin_nodes: dict[int, list[int]],
    inverse_bind: dict[int, Float[np.ndarray, "_ 4 4"]],
    mesh_nodes: dict[int, int],
) -> tuple[dict[int, Float[np.ndarray, "4 4"]], dict[int, Float[np.ndarray, "4 4"]]]:
    """Where each skin joint, and each skin's mesh, stood in the scene when the mesh was bound.

    Inverse bind matrices say so only up to the mesh's own frame. The skin with most joints gets it from its topmost
    joint, which is taken to stand as in the default pose; each further skin from a joint that it shares. A skin
    without any matrix that can be used was bound where its node stands; joints without one are left out.
    """
    depth = {node: position for position, node in enumerate(tree.order)}
    bound: dict[int, np.ndarray] = {}
    T_model_mesh: dict[int, np.ndarray] = {}
    for skin in sorted(skin_nodes, key=lambda skin: -len(skin_nodes[skin])):
        sound = usable(inverse_bind[skin])
        pairs = [pair for pair, good in zip(zip(skin_nodes[skin], inverse_bind[skin], strict=True), sound, strict=True)
                 if good]  # fmt: skip
        if not pairs:
            T_model_mesh[skin] = world[mesh_nodes[skin]]
            continue
        known = [(node, B) for node, B in pairs if node in bound]
        anchor, B_anchor = min(known or pairs, key=lambda pair: depth[pair[0]])
        T_model_mesh[skin] = bound.get(anchor, world[anchor]) @ B_anchor
        for node, B in pairs:
            if node not in bound:
                bound[node] = T_model_mesh[skin] @ np.linalg.inv(B)
    return bound, T_model_mesh


def chain_bound(
    order: list[int],
    parents: list[int],
    world: dict[int, Float[np.ndarray, "4 4"]],
    bound: dict[int, Float[np.ndarray, "4 4"]],
) -> Float[np.ndarray, "joint 4 4"]:
    """The bind pose of all joints: of those in no skin by the default pose, with the default pose's joint scales."""
    world = {-1: np.eye(4)} | world
    plain = np.zeros((len(order), 4, 4))
    scaled = np.zeros((len(order), 4, 4))
    for joint, (node, parent) in enumerate(zip(order, parents, strict=True)):
        if parent < 0:
            below = [other for other in order if other in bound]
            anchor = node if node in bound or not below else below[0]
            T_anchor = bound.get(anchor, world[anchor])
            plain[joint] = scaled[joint] = T_anchor @ np.linalg.pinv(world[anchor]) @ world[node]
            continue
        default = np.linalg.pinv(world[order[parent]]) @ world[node]
        plain[joint] = bound.get(node, plain[parent] @ default)
        local = cast(np.ndarray, np.linalg.pinv(plain[parent]) @ plain[joint])
        ratio = np.linalg.norm(default[:3, :3], axis=0) / np.maximum(np.linalg.norm(local[:3, :3], axis=0), 1e-12)
        if np.abs(ratio - 1).max() > 0.01:
            local[:3, :3] *= ratio
        scaled[joint] = scaled[parent] @ local
    return scaled


def unique_names(document: GltfDocument, order: list[int]) -> tuple[str, ...]:
    """Names of the joints; nameless and repeated ones get their node's number."""
    names: dict[str, None] = {}
    for node in order:
        name = "root" if node < 0 else document.json.nodes[node].name or f"joint {node}"
        names[f"{name} {node}" if name in names else name] = None
    return tuple(names)
