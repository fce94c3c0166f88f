"""Nodes of a glTF document and how its clips move them.

Source: Khronos glTF 2.0 specification, sections 3.5 (scenes, nodes) and 3.11 and appendix C (animation).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from understudy.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix, slerp
from understudy.io.gltf.document import FARTHEST, GltfDocument
from understudy.io.gltf.records import AnimatedGltf, Clip, Node
from understudy.runtime.errors import CharacterError, quoted

__all__ = ["NodeTree", "clip_duration_s", "clip_names", "find_clip", "node_tree", "node_world_matrices"]

MAX_DEPTH = 500
SHOWN_NAMES = 20


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
    nodes = document.json.nodes
    if document.json.scenes:
        roots = document.entry("scenes", document.json.scene).nodes
    else:
        children = {child for node in nodes for child in node.children}
        roots = [index for index in range(len(nodes)) if index not in children]
    parents: dict[int, int] = {}
    stack = [(root, -1, 1) for root in reversed(roots)]
    while stack:
        index, parent, depth = stack.pop()
        if index in parents:
            raise CharacterError(f"{document.path.name}: node {index} has more than one parent, which glTF forbids")
        if depth > MAX_DEPTH:
            raise CharacterError(f"{document.path.name}: its nodes hang on each other more than {MAX_DEPTH} deep")
        parents[index] = parent
        stack += [(child, index, depth + 1) for child in reversed(document.entry("nodes", index).children)]
    return NodeTree(tuple(parents), parents)


def local_parts(node: Node) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Translation, rotation (quaternion wxyz) and scale of a node."""
    if node.matrix is not None:
        M = np.array(node.matrix).reshape(4, 4).T
        scale = np.linalg.norm(M[:3, :3], axis=0)
        scale[0] *= -1.0 if np.linalg.det(M[:3, :3]) < 0 else 1.0
        return M[:3, 3], quaternion_from_matrix(M[:3, :3] / np.where(scale == 0, 1.0, scale)), scale
    translation, scale = np.array(node.translation), np.array(node.scale)
    rotation = np.array(node.rotation)[[3, 0, 1, 2]]
    length = np.linalg.norm(rotation)
    if not 0 < length < np.inf:
        rotation, length = np.array([1.0, 0.0, 0.0, 0.0]), 1.0
    return translation, rotation / length, scale


def node_world_matrices(
    document: GltfDocument,
    tree: NodeTree,
    clip: Clip | None = None,
    times_s: Float[np.ndarray, " time"] | None = None,
) -> dict[int, Float[np.ndarray, "time 4 4"]]:
    """`T_world_node` of each node, which may hold scale; without a clip, of the default pose (time = 1)."""
    times_s = np.zeros(1) if clip is None or times_s is None else times_s
    # Each matrix is built from a turn and a product.
    document.budget.take("its nodes over time", len(tree.order), len(times_s), bytes_each=3 * 128)
    moved = {} if clip is None else clip_channels(document, clip, times_s)
    world: dict[int, np.ndarray] = {}
    for index in tree.order:
        node = document.entry("nodes", index)
        animated = moved.get(index, {})
        if node.matrix is not None and not animated:
            local = np.array(node.matrix).reshape(1, 4, 4).swapaxes(1, 2).copy()
            local[:, 3] = (0.0, 0.0, 0.0, 1.0)
        else:
            translation, rotation, scale = local_parts(node)
            local = np.zeros((len(times_s), 4, 4))
            R = matrix_from_quaternion(np.broadcast_to(animated.get("rotation", rotation), (len(times_s), 4)))
            local[:, :3, :3] = R * np.broadcast_to(animated.get("scale", scale), (len(times_s), 3))[:, None, :]
            local[:, :3, 3] = animated.get("translation", translation)
            local[:, 3, 3] = 1.0
        parent = tree.parents[index]
        world[index] = local if parent < 0 else world[parent] @ local
        if not (np.abs(world[index]) < FARTHEST).all():
            raise CharacterError(f"{document.path.name}: node {index} is moved or scaled beyond measure")
    return {index: np.broadcast_to(T, (len(times_s), 4, 4)) for index, T in world.items()}


def clip_names(document: GltfDocument) -> list[str]:
    """The names of the clips of a document that was opened with them."""
    return [clip.name or f"clip {index}" for index, clip in enumerate(_clips(document))]


def _clips(document: GltfDocument) -> tuple[Clip, ...]:
    return document.json.animations if isinstance(document.json, AnimatedGltf) else ()


def find_clip(document: GltfDocument, name: str | None) -> Clip:
    """The clip of that name; the first one for None.

    Raises:
        CharacterError: there is no such clip.
    """
    names = clip_names(document)
    if name is None and names:
        return _clips(document)[0]
    if name not in names:
        have = quoted(", ".join(names[:SHOWN_NAMES]))[1:-1] or "none"
        raise CharacterError(f"{document.path.name} has no clip {quoted(name)}; it has: {have}")
    return _clips(document)[names.index(name)]


def clip_duration_s(document: GltfDocument, clip: Clip) -> float:
    """When the clip's last key stands, in seconds.

    Raises:
        CharacterError: at no finite time.
    """
    inputs = {sampler.input for sampler in clip.samplers}
    end = max((float(np.max(document.accessor(index), initial=0.0)) for index in inputs), default=0.0)
    if not np.isfinite(end):
        raise CharacterError(f"{document.path.name}: a clip has keys at no finite time")
    return end


def clip_channels(
    document: GltfDocument, clip: Clip, times_s: Float[np.ndarray, " time"]
) -> dict[int, dict[str, np.ndarray]]:
    """The sampled translation, rotation (wxyz) and scale of each node that the clip moves."""
    moved: dict[int, dict[str, np.ndarray]] = {}
    for channel in clip.channels:
        target = channel.target
        if target.path not in ("translation", "rotation", "scale") or target.node is None:
            continue
        sampler = clip.samplers[channel.sampler]
        keys, rows = (document.entry("accessors", index).count for index in (sampler.input, sampler.output))
        document.budget.take("a clip", keys + rows + len(times_s), bytes_each=3 * 32)
        keys_s = document.accessor(sampler.input)[:, 0].astype(np.float64)
        values = document.accessor(sampler.output).astype(np.float64)
        is_rotation = target.path == "rotation"
        if is_rotation:
            values = values[:, [3, 0, 1, 2]]
        sampled = sample_keys(keys_s, values, times_s, sampler.interpolation, is_rotation)
        moved.setdefault(target.node, {})[target.path] = sampled
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
