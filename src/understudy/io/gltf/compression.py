"""Compressed rigs: which pieces of a document are packed, and where they go when they are unpacked.

Sources: KHR_draco_mesh_compression, EXT_meshopt_compression, KHR_meshopt_compression.
"""

from understudy.io.gltf.animation import NodeTree
from understudy.io.gltf.document import COMPONENTS, UNPACKABLE, GltfDocument
from understudy.io.gltf.records import DracoPrimitive, MeshoptView, Primitive
from understudy.io.gltf.unpack import PackedPiece, can_unpack, unpack
from understudy.runtime.errors import CharacterError

__all__ = ["unpack_surfaces"]

COPIES = 2
"""How often compressed bytes lie in memory on their way to the decoder."""


def unpack_surfaces(document: GltfDocument, tree: NodeTree) -> None:
    """Unpack what is compressed of the surfaces that a scene shows, and of all buffer views.

    Raises:
        CharacterError: the decoder is not installed, or cannot read what is packed.
    """
    packed = {
        n: view.extensions.meshopt for n, view in enumerate(document.json.buffer_views) if view.extensions.meshopt
    }
    meshes = sorted({mesh for index in tree.order if (mesh := document.json.nodes[index].mesh) is not None})
    primitives = [p for mesh in meshes for p in document.entry("meshes", mesh).primitives if is_draco(document, p)]
    for name, kind, count in (("meshopt", "meshopt", len(packed)), ("Draco", "draco", len(primitives))):
        if count and not can_unpack(kind):
            raise CharacterError(
                f"{document.path.name} is compressed by {name}: export it again without {name} compression, or"
                f" install {UNPACKABLE}"
            )
    if not packed and not primitives:
        return
    claimed = sum(
        document.budget.take("a compressed buffer view", view.count, view.byte_stride) for view in packed.values()
    )
    claimed += sum(
        document.budget.take("a compressed surface", accessor.count, COMPONENTS[accessor.type], bytes_each=8)
        for primitive in primitives
        for accessor in (document.entry("accessors", index) for index in draco_accessors(primitive).values())
    )
    pieces = [meshopt_piece(document, view) for view in packed.values()]
    pieces += [
        draco_piece(document, primitive, draco) for primitive in primitives if (draco := primitive.extensions.draco)
    ]
    arrays = unpack(document.path, pieces, claimed)
    for number, (content,) in zip(packed, arrays[: len(packed)], strict=True):
        document.unpacked_views[number] = content.tobytes()
    for primitive, (faces, *attributes) in zip(primitives, arrays[len(packed) :], strict=True):
        if primitive.indices is not None:
            document.unpacked[primitive.indices] = faces[:, None]
        document.unpacked.update(zip(draco_accessors(primitive).values(), attributes, strict=True))


def is_draco(document: GltfDocument, primitive: Primitive) -> bool:
    """Whether a surface is packed by Draco, and not also there as it is."""
    if primitive.extensions.draco is None or "POSITION" not in primitive.attributes:
        return False
    return document.entry("accessors", primitive.attributes["POSITION"]).buffer_view is None


def draco_accessors(primitive: Primitive) -> dict[int, int]:
    """The accessors that Draco's attributes fill, by Draco's own numbers."""
    draco = primitive.extensions.draco
    packed = {} if draco is None else draco.attributes
    return {number: primitive.attributes[name] for name, number in packed.items() if name in primitive.attributes}


def draco_piece(document: GltfDocument, primitive: Primitive, draco: DracoPrimitive) -> PackedPiece:
    """A surface's compressed bytes, and what they hold."""
    vertices = document.entry("accessors", primitive.attributes["POSITION"]).count
    corners = vertices if primitive.indices is None else document.entry("accessors", primitive.indices).count
    data = document.buffer_view(draco.buffer_view)
    document.budget.take("compressed surfaces", len(data), bytes_each=COPIES)  # Many may name one stretch of bytes.
    return PackedPiece(
        "draco", bytes(data), {"vertices": vertices, "corners": corners, "attributes": list(draco_accessors(primitive))}
    )


def meshopt_piece(document: GltfDocument, view: MeshoptView) -> PackedPiece:
    """A buffer view's compressed bytes, and how they are packed."""
    data = document.stretch(view.buffer, view.byte_offset, view.byte_length, "compressed buffer view")
    document.budget.take("compressed buffer views", len(data), bytes_each=COPIES)
    how = {"count": view.count, "stride": view.byte_stride, "mode": view.mode, "filter": view.filter}
    return PackedPiece("meshopt", bytes(data), how)
