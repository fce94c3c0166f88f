"""Morph targets (blend shapes) of glTF files: faces, visemes, fitted clothes.

Source: Khronos glTF 2.0 specification, section 3.7.2.2; names stand in `extras.targetNames`, as all exporters write.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
from jaxtyping import Float, Int

from understudy.core.character import Morph
from understudy.io.gltf.document import FARTHEST, GltfDocument
from understudy.io.gltf.records import MeshEntry, Primitive

__all__ = ["claim_morphs", "merged_morphs", "read_morphs"]

MAX_TARGETS = 5000
"""Of all meshes together; faces for motion capture have some 50, large sets for games a few hundred."""
ROW_BYTES = 128
"""What a vertex that a morph target moves takes while it is read."""
SHARE_OF_BUDGET = 0.5
"""Of the memory that a file may still take: surfaces need the rest."""
MOVED = ("POSITION", "NORMAL")
STILL = 1e-9
"""Vertices that move less than this share of a target's longest way do not move."""
STILL_NORMAL = 1e-5
"""Normals, of length 1, that change less than this do not change."""


def claim_morphs(document: GltfDocument, meshes: Sequence[MeshEntry]) -> bool:
    """Whether there is memory for the morph targets of all meshes that are shown; claims it. Says if there is not."""
    primitives = [primitive for mesh in meshes for primitive in mesh.primitives if primitive.targets]
    targets = [target for one in primitives for target in one.targets if "POSITION" in target]
    if not targets:
        return False
    rows = 0
    for index in [target[key] for target in targets[:MAX_TARGETS] for key in MOVED if key in target]:
        accessor = document.entry("accessors", index)
        sparse = 0 if accessor.sparse is None else accessor.sparse.count
        rows += sparse + (0 if accessor.buffer_view is None else accessor.count)
    if len(targets) > MAX_TARGETS or rows * ROW_BYTES > SHARE_OF_BUDGET * document.budget.left:
        document.note(f"its {len(targets)} morph targets are too many to be kept: the face keeps its resting look")
        return False
    document.budget.take("its morph targets", rows, bytes_each=ROW_BYTES)
    return True


def read_morphs(
    document: GltfDocument,
    mesh: MeshEntry,
    primitive: Primitive,
    rows: np.ndarray | slice,
    shape: Float[np.ndarray, " target"],
) -> tuple[Morph, ...]:
    """The morph targets of some vertices of a primitive, in its mesh's own frame."""
    names = target_names(mesh, primitive)
    count = document.entry("accessors", primitive.attributes["POSITION"]).count
    morphs: list[Morph] = []
    for number, target in enumerate(primitive.targets):
        if "POSITION" not in target or document.entry("accessors", target["POSITION"]).count != count:
            continue
        vertices, offsets = document.changed_rows(target["POSITION"])
        offsets = offsets[:, :3].astype(np.float64)
        if not (np.abs(offsets) < FARTHEST).all():
            document.note("a morph target moves vertices to no finite place: it is left out")
            continue
        length = np.abs(offsets).max(axis=1, initial=0.0)
        moving = length > STILL * length.max(initial=0.0)
        name = names[number] if number < len(names) else f"target {number}"
        weight = float(shape[number]) if number < len(shape) else 0.0
        morph = Morph(name, vertices[moving], offsets[moving], weight)
        if "NORMAL" in target and document.entry("accessors", target["NORMAL"]).count == count:
            morph = with_normals(morph, *document.changed_rows(target["NORMAL"]))
        morphs.append(morph if isinstance(rows, slice) else morph.of_rows(rows, count))
    return tuple(morphs)


def with_normals(morph: Morph, vertices: Int[np.ndarray, " changed"], changes: np.ndarray) -> Morph:
    """The morph target with the changes `changed × 3` of some vertices' normals, which need not move."""
    changes = changes[:, :3].astype(np.float64)
    changes = np.where(np.isfinite(changes), changes, 0.0)
    turning = np.abs(changes).max(axis=1, initial=0.0) > STILL_NORMAL
    rows = np.union1d(morph.vertices, vertices[turning])
    offsets, normals = np.zeros((2, len(rows), 3))
    offsets[np.searchsorted(rows, morph.vertices)] = morph.offsets
    normals[np.searchsorted(rows, vertices[turning])] = changes[turning]
    return Morph(morph.name, rows, offsets, morph.weight, normals)


def target_names(mesh: MeshEntry, primitive: Primitive) -> list[str]:
    """The names of a mesh's morph targets; UniVRM writes them at the primitive."""
    for extras in (mesh.extras, primitive.extras):
        names: Any = cast(dict[str, Any], extras).get("targetNames") if isinstance(extras, dict) else None
        if isinstance(names, list):
            return [str(name) for name in cast(list[Any], names)]
    return []


def merged_morphs(parts: Sequence[Sequence[Morph]], firsts: Sequence[int]) -> tuple[Morph, ...]:
    """The morph targets of parts whose vertices are put one after another, from `firsts` on; equal names are one.

    A name that stands for two resting weights is two targets.
    """
    found: dict[tuple[str, float], list[Morph]] = {}
    for morphs, first in zip(parts, firsts, strict=True):
        for morph in morphs:
            shifted = replace(morph, vertices=morph.vertices + first)
            found.setdefault((morph.name, morph.weight), []).append(shifted)
    merged: dict[str, Morph] = {}
    for (name, weight), pieces in found.items():
        unique = name if name not in merged else f"{name} {len(merged)}"
        merged[unique] = Morph(
            unique,
            np.concatenate([piece.vertices for piece in pieces]),
            np.concatenate([piece.offsets for piece in pieces]),
            weight,
            merged_normals(pieces),
        )
    return tuple(merged.values())


def merged_normals(pieces: Sequence[Morph]) -> Float[np.ndarray, "moved 3"] | None:
    """The changes of normals of pieces one after another; None where no piece has any."""
    if all(piece.normals is None for piece in pieces):
        return None
    return np.concatenate([np.zeros_like(one.offsets) if one.normals is None else one.normals for one in pieces])
