"""Nodes of a glTF document and how its clips move them.

Source: Khronos glTF 2.0 specification, sections 3.5 (scenes, nodes) and 3.11 and appendix C (animation).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from understudy.core.errors import CharacterError
from understudy.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix, slerp
from understudy.io.gltf_document import GltfDocument

__all__ = ["NodeTree", "clip_duration_s", "clip_names", "find_clip", "node_tree", "node_world_matrices"]


@dataclass(frozen=True)
class NodeTree:
    """The nodes of a scene."""

    order: tuple[int, ...]
    """Indices of the scene's nodes, parents before children."""
    parents: dict[int, int]
    """Parent of each node in `order`; −1 for the scene's roots."""


def node_tree(document: GltfDocument) -> NodeTree:
    """The nodes of the default scene; of all nodes when the document names no scene.

    Raises:
        CharacterError: a node has two parents, or stands below itself.
    """
    nodes = document.entries("nodes")
    if document.entries("scenes"):
        roots = document.entry("scenes", document.json.get("scene", 0)).get("nodes", [])
    else:
        children = {child for node in nodes for child in node.get("children", [])}
        roots = [index for index in range(len(nodes)) if index not in children]
    order: list[int] = []
    parents: dict[int, int] = {}
    stack = [(root, -1) for root in reversed(roots)]
    while stack:
        index, parent = stack.pop()
        if index in parents:
            raise CharacterError(f"{document.path.name}: node {index} has more than one parent, which glTF forbids")
        parents[index] = parent
        order.append(index)
        stack += [(child, index) for child in reversed(document.entry("nodes", index).get("children", []))]
    return NodeTree(tuple(order), parents)


def local_parts(node: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Translation, rotation (quaternion wxyz) and scale of a node."""
    if "matrix" in node:
        M = np.array(node["matrix"], np.float64).reshape(4, 4).T
        scale = np.linalg.norm(M[:3, :3], axis=0)
        scale[0] *= -1.0 if np.linalg.det(M[:3, :3]) < 0 else 1.0
        return M[:3, 3], quaternion_from_matrix(M[:3, :3] / np.where(scale == 0, 1.0, scale)), scale
    translation = np.array(node.get("translation", (0, 0, 0)), np.float64).reshape(3)
    rotation = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64).reshape(4)[[3, 0, 1, 2]]
    scale = np.array(node.get("scale", (1, 1, 1)), np.float64).reshape(3)
    if not np.linalg.norm(rotation) > 0:
        rotation = np.array([1.0, 0.0, 0.0, 0.0])
    return translation, rotation / np.linalg.norm(rotation), scale


def node_world_matrices(
    document: GltfDocument,
    tree: NodeTree,
    clip: dict[str, Any] | None = None,
    times_s: Float[np.ndarray, " time"] | None = None,
) -> dict[int, Float[np.ndarray, "time 4 4"]]:
    """`T_world_node` of each node, which may hold scale; without a clip, of the default pose (time = 1)."""
    times_s = np.zeros(1) if clip is None or times_s is None else times_s
    moved = {} if clip is None else clip_channels(document, clip, times_s)
    world: dict[int, np.ndarray] = {}
    for index in tree.order:
        node = document.entry("nodes", index)
        animated = moved.get(index, {})
        if "matrix" in node and not animated:
            local = np.array(node["matrix"], np.float64).reshape(1, 4, 4).swapaxes(1, 2)
        else:
            translation, rotation, scale = local_parts(node)
            local = np.zeros((len(times_s), 4, 4))
            R = matrix_from_quaternion(np.broadcast_to(animated.get("rotation", rotation), (len(times_s), 4)))
            local[:, :3, :3] = R * np.broadcast_to(animated.get("scale", scale), (len(times_s), 3))[:, None, :]
            local[:, :3, 3] = animated.get("translation", translation)
            local[:, 3, 3] = 1.0
        parent = tree.parents[index]
        world[index] = local if parent < 0 else world[parent] @ local
        if not np.isfinite(world[index]).all():
            raise CharacterError(f"{document.path.name}: node {index} has a transform that is not finite")
    return {index: np.broadcast_to(T, (len(times_s), 4, 4)) for index, T in world.items()}


def clip_names(document: GltfDocument) -> list[str]:
    """The names of the document's animation clips."""
    return [clip.get("name", f"clip {index}") for index, clip in enumerate(document.entries("animations"))]


def find_clip(document: GltfDocument, name: str | None) -> dict[str, Any]:
    """The clip of that name; the first one for None.

    Raises:
        CharacterError: there is no such clip.
    """
    names = clip_names(document)
    if name is None and names:
        return document.entry("animations", 0)
    if name not in names:
        have = ", ".join(names[:20]) or "none"
        raise CharacterError(f"{document.path.name} has no clip {name!r}; it has: {have}")
    return document.entry("animations", names.index(name))


def clip_duration_s(document: GltfDocument, clip: dict[str, Any]) -> float:
    """When the clip's last key stands, in seconds."""
    ends = [float(np.max(document.accessor(sampler["input"]), initial=0.0)) for sampler in clip["samplers"]]
    return max(ends, default=0.0)


def clip_channels(
    document: GltfDocument, clip: dict[str, Any], times_s: Float[np.ndarray, " time"]
) -> dict[int, dict[str, np.ndarray]]:
    """The sampled translation, rotation (wxyz) and scale of each node that the clip moves."""
    moved: dict[int, dict[str, np.ndarray]] = {}
    for channel in clip["channels"]:
        target = channel["target"]
        if target["path"] not in ("translation", "rotation", "scale") or "node" not in target:
            continue
        sampler = clip["samplers"][channel["sampler"]]
        keys_s = document.accessor(sampler["input"])[:, 0].astype(np.float64)
        values = document.accessor(sampler["output"]).astype(np.float64)
        is_rotation = target["path"] == "rotation"
        if is_rotation:
            values = values[:, [3, 0, 1, 2]]
        sampled = sample_keys(keys_s, values, times_s, sampler.get("interpolation", "LINEAR"), is_rotation)
        moved.setdefault(target["node"], {})[target["path"]] = sampled
    return moved


def sample_keys(
    keys_s: Float[np.ndarray, " key"],
    values: Float[np.ndarray, "rows width"],
    times_s: Float[np.ndarray, " time"],
    interpolation: str,
    is_rotation: bool,
) -> Float[np.ndarray, "time width"]:
    """Keyframes at any time; the ends hold. CUBICSPLINE has three rows per key: in-tangent, value, out-tangent."""
    cubic = interpolation == "CUBICSPLINE"
    if not len(keys_s) or len(values) != len(keys_s) * (3 if cubic else 1) or (np.diff(keys_s) < 0).any():
        raise ValueError(f"an animation has {len(keys_s)} times for {len(values)} values")
    times_s = np.clip(times_s, keys_s[0], keys_s[-1])
    before = np.clip(np.searchsorted(keys_s, times_s, "right") - 1, 0, max(len(keys_s) - 2, 0))
    after = np.minimum(before + 1, len(keys_s) - 1)
    step_s = keys_s[after] - keys_s[before]
    share = np.where(step_s > 0, (times_s - keys_s[before]) / np.where(step_s > 0, step_s, 1.0), 0.0)
    if interpolation == "STEP":
        result = values[np.where(share >= 1.0, after, before)]
    elif cubic:
        rows = values.reshape(len(keys_s), 3, -1)
        s, d = share[:, None], step_s[:, None]
        result = (
            (2 * s**3 - 3 * s**2 + 1) * rows[before, 1] + d * (s**3 - 2 * s**2 + s) * rows[before, 2]
            + (3 * s**2 - 2 * s**3) * rows[after, 1] + d * (s**3 - s**2) * rows[after, 0]
        )  # fmt: skip
    elif is_rotation:
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        result = slerp(unit[before], unit[after], share)
    else:
        result = values[before] * (1 - share[:, None]) + values[after] * share[:, None]
    return result / np.linalg.norm(result, axis=1, keepdims=True) if is_rotation else result
