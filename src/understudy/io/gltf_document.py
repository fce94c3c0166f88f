"""A glTF 2.0 file taken apart: its JSON, its buffers, its accessors. What the arrays mean is for gltf_read to say.

Source: Khronos glTF 2.0 specification, sections 3.6 (buffers and accessors) and 4 (GLB). Files may come from anywhere:
every index, offset and size is checked before memory is taken, and nothing outside the file's own folder is opened.
"""

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from understudy.core.errors import CharacterError

__all__ = ["GltfDocument", "files_beside", "open_gltf", "well_formed"]

MAX_FILE_BYTES = 1 << 30
MAX_JSON_BYTES = 256 << 20
MAX_ELEMENTS = 30_000_000

GLB_MAGIC, CHUNK_JSON, CHUNK_BINARY = b"glTF", 0x4E4F534A, 0x004E4942
COMPONENT_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
SUPPORTED_EXTENSIONS = {
    "KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp", "KHR_lights_punctual", "VRM",
}  # fmt: skip
SUPPORTED_PREFIXES = ("KHR_materials_", "VRMC_")
"""Looks that we simplify and VRM's parts, none of which changes where the surface is."""


@contextmanager
def well_formed(path: Path) -> Iterator[None]:
    """Turn what a malformed document makes Python raise into one sentence for the user."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
        raise CharacterError(
            f"{path.name} is not well-formed glTF ({type(error).__name__}: {error}): export it again"
        ) from error


@dataclass(frozen=True)
class GltfDocument:
    """The JSON of a glTF file and the bytes that it names."""

    path: Path
    json: dict[str, Any]
    buffers: tuple[bytes, ...]

    def entries(self, key: str) -> list[dict[str, Any]]:
        """A top-level array; empty when absent."""
        return self.json.get(key, [])

    def entry(self, key: str, index: int) -> dict[str, Any]:
        """One entry of a top-level array.

        Raises:
            CharacterError: there is no such entry.
        """
        entries = self.entries(key)
        if not isinstance(index, int) or not 0 <= index < len(entries):
            raise CharacterError(f"{self.path.name} points at {key}[{index}], but has {len(entries)} of them")
        return entries[index]

    def buffer_view(self, index: int) -> memoryview:
        """The bytes of a buffer view.

        Raises:
            CharacterError: it reaches beyond its buffer.
        """
        view = self.entry("bufferViews", index)
        if "EXT_meshopt_compression" in view.get("extensions", {}):
            raise CharacterError(f"{self.path.name} is compressed by meshopt: export it without compression")
        number = view["buffer"]
        self.entry("buffers", number)
        start, length = view.get("byteOffset", 0), view["byteLength"]
        if start < 0 or length < 0 or start + length > len(self.buffers[number]):
            raise CharacterError(
                f"{self.path.name}: buffer view {index} ends at byte {start + length} "
                f"of a buffer with {len(self.buffers[number])}: the file is truncated"
            )
        return memoryview(self.buffers[number])[start : start + length]

    def accessor(self, index: int) -> np.ndarray:
        """The values of an accessor, `count × components`; normalised integers become float64 in −1 … 1.

        Raises:
            CharacterError: it reaches beyond its buffer view, or is absurdly large.
        """
        accessor = self.entry("accessors", index)
        dtype = np.dtype(COMPONENT_TYPES[accessor["componentType"]])
        width, count = COMPONENTS[accessor["type"]], accessor["count"]
        if not 0 <= count * width <= MAX_ELEMENTS:
            raise CharacterError(f"{self.path.name}: accessor {index} wants {count} × {width} numbers: refused")
        if "bufferView" in accessor:
            values = self._strided(accessor["bufferView"], accessor.get("byteOffset", 0), dtype, width, count, index)
        else:
            values = np.zeros((count, width), dtype)
        if "sparse" in accessor:
            values = self._sparse(values, accessor["sparse"], dtype, width, index)
        if accessor.get("normalized", False) and dtype.kind in "iu":
            return np.maximum(values / np.iinfo(dtype).max, -1.0)
        return values

    def _strided(self, view: int, offset: int, dtype: np.dtype, width: int, count: int, index: int) -> np.ndarray:
        data = self.buffer_view(view)
        # Columns of small-integer matrices start at multiples of four bytes (section 3.6.2.4); none that we read do.
        element = dtype.itemsize * width
        stride = self.entry("bufferViews", view).get("byteStride", element)
        needed = offset + (count - 1) * stride + element if count else 0
        if offset < 0 or stride < element or needed > len(data):
            raise CharacterError(
                f"{self.path.name}: accessor {index} needs {needed} bytes of a buffer view with {len(data)}: "
                "the file is truncated or damaged"
            )
        if not count:
            return np.zeros((0, width), dtype)
        return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize))

    def _sparse(
        self, values: np.ndarray, sparse: dict[str, Any], dtype: np.dtype, width: int, index: int
    ) -> np.ndarray:
        where, what, count = sparse["indices"], sparse["values"], sparse["count"]
        places = self._strided(
            where["bufferView"], where.get("byteOffset", 0), np.dtype(COMPONENT_TYPES[where["componentType"]]), 1,
            count, index,
        )[:, 0]  # fmt: skip
        if count and places.max() >= len(values):
            raise CharacterError(f"{self.path.name}: sparse accessor {index} writes beyond its end")
        values = values.copy()
        values[places] = self._strided(what["bufferView"], what.get("byteOffset", 0), dtype, width, count, index)
        return values

    def resource(self, uri: str) -> bytes:
        """The bytes of a data URI or of a file beside the document.

        Raises:
            CharacterError: it is a network address, lies outside the document's folder, or cannot be read.
        """
        return read_resource(self.path, uri)


def read_resource(path: Path, uri: str) -> bytes:
    """What `uri` names, seen from the glTF file at `path`; see GltfDocument.resource."""
    if uri.startswith("data:"):
        head, _, body = uri.partition(",")
        if not head.endswith(";base64"):
            raise CharacterError(f"{path.name} holds a data URI that is not base64: export it as .glb")
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise CharacterError(f"{path.name} holds a broken data URI ({error}): export it as .glb") from error
    target = file_beside(path, uri)
    if target is None:
        raise CharacterError(
            f"{path.name} points at {uri!r}, which is not a file in its own folder: export it as .glb with all inside"
        )
    try:
        if target.stat().st_size > MAX_FILE_BYTES:
            raise CharacterError(f"{path.name} points at {uri!r}, which is larger than 1 GiB")
        return target.read_bytes()
    except OSError as error:
        raise CharacterError(f"{path.name} needs {uri!r} beside it, which cannot be read: {error.strerror}") from error


def file_beside(path: Path, uri: str) -> Path | None:
    """The file that `uri` names, seen from the glTF file at `path`; None where that is not within its folder."""
    folder = path.resolve().parent
    target = (folder / unquote(uri)).resolve()
    return target if ":" not in uri.split("/")[0] and target.is_relative_to(folder) else None


def files_beside(path: Path) -> dict[str, Path]:
    """The files that a glTF file's buffers and images lie in, by URI; those that are not there are left out.

    Raises:
        CharacterError: it is absent, truncated, or its JSON cannot be read.
    """
    document, _ = read_document(path)
    with well_formed(path):
        uris = [entry["uri"] for key in ("buffers", "images") for entry in document.get(key, []) if "uri" in entry]
        # What is missing or lies elsewhere may not be needed: reading the file tells.
        found = {uri: file_beside(path, uri) for uri in uris if not uri.startswith("data:")}
        return {uri: file for uri, file in found.items() if file is not None and file.is_file()}


def open_gltf(path: Path) -> GltfDocument:
    """Read a .glb, .vrm or .gltf file with its buffers.

    Raises:
        CharacterError: it is absent, truncated, not glTF 2.0, or needs an extension that we do not have.
    """
    document, binary = read_document(path)
    with well_formed(path):
        if not str(document["asset"]["version"]).startswith("2."):
            raise CharacterError(f"{path.name} is glTF {document['asset']['version']}; glTF 2.0 is read")
        check_extensions(path, document.get("extensionsRequired", []))
        buffers = []
        for number, buffer in enumerate(document.get("buffers", [])):
            if "uri" in buffer:
                content = read_resource(path, buffer["uri"])
            elif number == 0 and binary is not None:
                content = binary
            else:
                raise CharacterError(f"{path.name}: buffer {number} has no data: the file is truncated")
            if len(content) < buffer["byteLength"]:
                raise CharacterError(
                    f"{path.name}: buffer {number} has {len(content)} of {buffer['byteLength']} bytes: it is truncated"
                )
            buffers.append(content)
    return GltfDocument(path, document, tuple(buffers))


def read_document(path: Path) -> tuple[dict[str, Any], bytes | None]:
    """The JSON of a glTF file, and the binary chunk of a GLB."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise CharacterError(f"{path.name} has {size >> 20} MiB; rigs of up to 1024 MiB are read")
        data = path.read_bytes()
    except OSError as error:
        raise CharacterError(f"the rig {path} cannot be read: {error.strerror}") from error
    text, binary = split_glb(path, data) if data[:4] == GLB_MAGIC else (data, None)
    return parse_json(path, text), binary


def split_glb(path: Path, data: bytes) -> tuple[bytes, bytes | None]:
    """The JSON chunk and the binary chunk of a GLB file."""
    if len(data) < 20:
        raise CharacterError(f"{path.name} is truncated: {len(data)} bytes are no GLB file")
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise CharacterError(f"{path.name} is GLB version {version}; version 2 is read")
    if length > len(data):
        raise CharacterError(f"{path.name} is truncated: {len(data)} of {length} bytes are there")
    chunks: dict[int, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<II", data, at)
        if at + 8 + size > length:
            raise CharacterError(f"{path.name} is truncated: a chunk of {size} bytes does not fit")
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    if CHUNK_JSON not in chunks:
        raise CharacterError(f"{path.name} holds no JSON chunk: it is no glTF file")
    return chunks[CHUNK_JSON], chunks.get(CHUNK_BINARY)


def parse_json(path: Path, text: bytes) -> dict[str, Any]:
    """The document's JSON object."""
    if len(text) > MAX_JSON_BYTES:
        raise CharacterError(f"{path.name} holds {len(text) >> 20} MiB of JSON; up to 256 MiB are read")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CharacterError(f"{path.name} is no glTF file: its JSON cannot be read ({error})") from error
    if not isinstance(document, dict) or "asset" not in document:
        raise CharacterError(f"{path.name} is no glTF file: its JSON has no 'asset'")
    return document


def check_extensions(path: Path, required: list[str]) -> None:
    """Refuse files that cannot be understood without something that we lack."""
    missing = [
        name for name in required if name not in SUPPORTED_EXTENSIONS and not name.startswith(SUPPORTED_PREFIXES)
    ]
    if not missing:
        return
    advice = {
        "KHR_draco_mesh_compression": "without Draco compression",
        "EXT_meshopt_compression": "without meshopt compression",
        "KHR_texture_basisu": "with PNG or JPEG textures",
    }
    how = " and ".join(advice[name] for name in missing if name in advice) or "without them"
    raise CharacterError(f"{path.name} requires {', '.join(missing)}, which is not supported: export it again {how}")
