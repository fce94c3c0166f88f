"""A glTF 2.0 file taken apart: its JSON, its buffers, its accessors. What the arrays mean is for gltf_read to say.

Source: Khronos glTF 2.0 specification, sections 3.6 (buffers and accessors) and 4 (GLB). Files may come from anywhere:
every index, offset and size is checked before memory is taken, and nothing outside the file's own folder is opened.
"""

import base64
import struct
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import numpy as np

from understudy.io.files import check_file, file_named, read_bytes, reading
from understudy.io.gltf.records import Accessor, AnimatedGltf, Gltf, SparsePart
from understudy.io.records import parse_record
from understudy.runtime.budget import Budget
from understudy.runtime.errors import CharacterError, quoted

__all__ = [
    "COMPONENTS",
    "EVERY_ROW",
    "FARTHEST",
    "UNPACKABLE",
    "GltfDocument",
    "files_beside",
    "open_gltf",
    "reading_rig",
]

KIND = "rig"
ADVICE = "export it again as .glb"
MAX_FILE_BYTES = 1 << 30
MAX_JSON_BYTES = 32 << 20
MAX_JSON_VALUES = 1_500_000
MAX_CLAIMED_BYTES, MAX_PIXEL_BYTES = 1 << 30, 1 << 30
FREE_BYTES, PAID_BYTES = 48 << 20, 48
"""What any file may claim, and what it may for each byte that it has: compressed surfaces grow about so much."""
FARTHEST = 1e12
"""Coordinates beyond this are no figure's."""
EVERY_ROW = slice(None)
UNPAID = 64
"""An array of zeros for which nothing stands in the file counts this many times."""

GLB_MAGIC, CHUNK_JSON, CHUNK_BINARY = b"glTF", 0x4E4F534A, 0x004E4942
COMPONENT_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
SUPPORTED_EXTENSIONS = {
    "KHR_mesh_quantization", "KHR_texture_transform", "EXT_texture_webp", "KHR_lights_punctual", "VRM",
}  # fmt: skip
PACKED = {"KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression"}
"""What gltf_compression unpacks, or refuses where the decoder is not installed."""
UNPACKABLE = "understudy[compressed]"
SUPPORTED_PREFIXES = ("KHR_materials_", "VRMC_")
"""Looks that we simplify and VRM's parts, none of which changes where the surface is."""


@contextmanager
def reading_rig(path: Path) -> Generator[None, None, None]:
    """Around everything that parses a rig or computes with its numbers: a malformed one becomes one CharacterError.

    What overflows is found by its result, not told on the way.
    """
    with reading(path, KIND, CharacterError, ADVICE), np.errstate(all="ignore"):
        yield


@dataclass(frozen=True)
class GltfDocument:
    """The JSON of a glTF file, and the bytes that it names, read when they are first asked for."""

    path: Path
    json: Gltf
    binary: tuple[int, int] | None
    """Where the binary chunk of a GLB starts in its file, and its size."""
    budget: Budget
    """For everything but pixels."""
    pixels: Budget
    """For decoded pictures."""
    notes: list[str] = field(default_factory=list[str])
    """What had to be repaired, for the user."""
    buffers: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Those that have been read."""
    unpacked: dict[int, np.ndarray] = field(default_factory=dict[int, np.ndarray])
    """Of compressed surfaces: the values of accessors."""
    unpacked_views: dict[int, bytes] = field(default_factory=dict[int, bytes])
    """Of compressed buffer views: their bytes."""

    def entry(self, key: str, index: int) -> Any:
        """One entry of a top-level array, such as "nodes".

        Raises:
            CharacterError: there is no such entry.
        """
        entries = getattr(self.json, key)
        if not 0 <= index < len(entries):
            raise CharacterError(f"{self.path.name} points at {key}[{index}], but has {len(entries)} of them")
        return entries[index]

    def note(self, text: str) -> None:
        """Keep a remark for the user, once."""
        if text not in self.notes:
            self.notes.append(text)

    def buffer(self, index: int) -> bytes:
        """The bytes of a buffer.

        Raises:
            CharacterError: they are not there, or not within the document's folder.
        """
        if index not in self.buffers:
            entry = self.entry("buffers", index)
            if entry.uri is not None:
                content = self.resource(entry.uri)
            elif index == 0 and self.binary is not None:
                start, size = self.binary
                self.budget.take("its binary chunk", size)
                with self.path.open("rb") as file:
                    file.seek(start)
                    content = file.read(size)
            else:
                raise CharacterError(f"{self.path.name}: buffer {index} has no data: the file is truncated")
            if len(content) < entry.byte_length:
                raise CharacterError(
                    f"{self.path.name}: buffer {index} has {len(content)} of {entry.byte_length} bytes: it is truncated"
                )
            self.buffers[index] = content
        return self.buffers[index]

    def buffer_view(self, index: int) -> memoryview:
        """The bytes of a buffer view.

        Raises:
            CharacterError: it reaches beyond its buffer.
        """
        if index in self.unpacked_views:
            return memoryview(self.unpacked_views[index])
        view = self.entry("buffer_views", index)
        return self.stretch(view.buffer, view.byte_offset, view.byte_length, f"buffer view {index}")

    def stretch(self, buffer: int, start: int, length: int, name: str) -> memoryview:
        """Bytes of a buffer.

        Raises:
            CharacterError: it ends before; the text calls them by their name.
        """
        content = self.buffer(buffer)
        if start + length > len(content):
            raise CharacterError(
                f"{self.path.name}: {name} ends at byte {start + length} of a buffer with {len(content)}:"
                " the file is truncated"
            )
        return memoryview(content)[start : start + length]

    def accessor(self, index: int, rows: np.ndarray | slice = EVERY_ROW) -> np.ndarray:
        """The values of an accessor, `count × components`, or some of its rows.

        Normalised integers become float64 in −1 … 1.

        Raises:
            CharacterError: it reaches beyond its buffer view, or is absurdly large.
        """
        accessor: Accessor = self.entry("accessors", index)
        dtype = np.dtype(COMPONENT_TYPES[accessor.component_type])
        width, count = COMPONENTS[accessor.type], accessor.count
        if index in self.unpacked:
            values = self.unpacked[index]
            if values.shape != (count, width):
                raise CharacterError(f"{self.path.name}: accessor {index} is packed as {values.shape}; {ADVICE}")
            values = values.astype(dtype)
        elif accessor.buffer_view is not None:
            values = self._strided(accessor.buffer_view, accessor.byte_offset, dtype, width, count, index)
        else:
            self.budget.take(f"accessor {index}, which has no data", count, width, bytes_each=UNPAID * dtype.itemsize)
            values = np.zeros((count, width), dtype)
        if accessor.sparse is not None:
            self.budget.take(f"accessor {index}", count, width, bytes_each=dtype.itemsize)
            sparse, values = accessor.sparse, values.copy()
            places = self._sparse_part(sparse.indices, np.dtype(COMPONENT_TYPES[sparse.indices.component_type]), 1,
                                       sparse.count, index)[:, 0]  # fmt: skip
            if sparse.count and places.max() >= count:
                raise CharacterError(f"{self.path.name}: sparse accessor {index} writes beyond its end")
            values[places] = self._sparse_part(sparse.values, dtype, width, sparse.count, index)
        values = values[rows]
        if accessor.normalized and dtype.kind in "iu":
            self.budget.take(f"accessor {index}", *values.shape, bytes_each=8)
            return np.maximum(values / np.iinfo(dtype).max, -1.0)
        return values

    def changed_rows(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The rows of an accessor that may not be zero, and their values `rows × components`; in a sparse one, few.

        Raises:
            CharacterError: as `accessor`.
        """
        accessor: Accessor = self.entry("accessors", index)
        if accessor.buffer_view is not None or index in self.unpacked:
            values = self.accessor(index)
            return np.arange(len(values)), values
        dtype, width = np.dtype(COMPONENT_TYPES[accessor.component_type]), COMPONENTS[accessor.type]
        if accessor.sparse is None:
            return np.zeros(0, np.int64), np.zeros((0, width), dtype)
        sparse, places_type = accessor.sparse, np.dtype(COMPONENT_TYPES[accessor.sparse.indices.component_type])
        places = self._sparse_part(sparse.indices, places_type, 1, sparse.count, index)[:, 0].astype(np.int64)
        if sparse.count and (places.max() >= accessor.count or (np.diff(places) <= 0).any()):
            raise CharacterError(f"{self.path.name}: sparse accessor {index} writes beyond its end, or twice")
        return places, self._sparse_part(sparse.values, dtype, width, sparse.count, index)

    def _sparse_part(self, part: SparsePart, dtype: np.dtype, width: int, count: int, index: int) -> np.ndarray:
        return self._strided(part.buffer_view, part.byte_offset, dtype, width, count, index)

    def _strided(self, view: int, offset: int, dtype: np.dtype, width: int, count: int, index: int) -> np.ndarray:
        data = self.buffer_view(view)
        # Columns of small-integer matrices start at multiples of four bytes (section 3.6.2.4); none that we read do.
        element = dtype.itemsize * width
        stride = self.entry("buffer_views", view).byte_stride or element
        needed = offset + (count - 1) * stride + element if count else 0
        if stride < element or needed > len(data):
            raise CharacterError(
                f"{self.path.name}: accessor {index} needs {needed} bytes of a buffer view with {len(data)}: "
                "the file is truncated or damaged"
            )
        if not count:
            return np.zeros((0, width), dtype)
        return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize))

    def resource(self, uri: str) -> bytes:
        """The bytes of a data URI or of a file beside the document.

        Raises:
            CharacterError: it is a network address, lies outside the document's folder, or cannot be read.
        """
        if uri.startswith("data:"):
            head, _, body = uri.partition(",")
            if not head.endswith(";base64"):
                raise CharacterError(f"{self.path.name} holds a data URI that is not base64: export it as .glb")
            self.budget.take("a data URI", len(body))
            return base64.b64decode(body, validate=True)
        target = file_beside(self.path, uri)
        if target is None:
            raise CharacterError(
                f"{self.path.name} points at {quoted(uri)}, which is not a file in its own folder: export it as .glb"
                " with all inside"
            )
        what = f"file that {quoted(self.path.name)} needs beside it"
        self.budget.take(quoted(uri), check_file(target, what, MAX_FILE_BYTES, CharacterError))
        return read_bytes(target, what, MAX_FILE_BYTES, CharacterError)


def file_beside(path: Path, uri: str) -> Path | None:
    """The file that `uri` names, seen from the glTF file at `path`; None where that is not within its folder."""
    return file_named(path, unquote(uri))


def files_beside(path: Path) -> dict[str, Path]:
    """The files that a glTF file's buffers and images lie in, by URI; those that are not there are left out.

    Raises:
        CharacterError: it is absent, truncated, or its JSON cannot be read.
    """
    document = open_gltf(path).json
    with reading_rig(path):
        uris = [entry.uri for entry in (*document.buffers, *document.images) if entry.uri is not None]
        # What is missing or lies elsewhere may not be needed: reading the file tells.
        found = {uri: file_beside(path, uri) for uri in uris if not uri.startswith("data:")}
        return {uri: file for uri, file in found.items() if file is not None and file.is_file()}


def open_gltf(path: Path, clips: bool = False) -> GltfDocument:
    """Read the JSON of a .glb, .vrm or .gltf file; of its clips only if asked.

    Raises:
        CharacterError: it is absent, truncated, not glTF 2.0, or needs an extension that we do not have.
    """
    size = check_file(path, KIND, MAX_FILE_BYTES, CharacterError)
    with reading_rig(path):
        text, binary = read_parts_of_file(path)
        # Each value that the text can hold is begun by one of these.
        values = sum(text.count(mark) for mark in (b"{", b"[", b",", b":"))
        advice = "export the character alone, with fewer details"
        budget = Budget(path.name, 0, CharacterError, advice)
        budget.check_count("values in its JSON", values, MAX_JSON_VALUES)
        document = parse_record(text, path, AnimatedGltf if clips else Gltf, KIND, CharacterError)
        beside = {file_beside(path, buffer.uri) for buffer in document.buffers if buffer.uri is not None}
        size += sum(file.stat().st_size for file in beside if file is not None and file.is_file())
    if not document.asset.version.startswith("2."):
        raise CharacterError(f"{path.name} is glTF {quoted(document.asset.version)}; glTF 2.0 is read")
    check_extensions(path, document.extensions_required)
    # How much a clip becomes, the frame rate says that it is read at.
    most = MAX_CLAIMED_BYTES if clips else min(FREE_BYTES + PAID_BYTES * size, MAX_CLAIMED_BYTES)
    budget = Budget(path.name, most, CharacterError, advice)
    pixels = Budget(path.name, MAX_PIXEL_BYTES, CharacterError, "scale its textures down")
    return GltfDocument(path, document, binary, budget, pixels)


def read_parts_of_file(path: Path) -> tuple[bytes, tuple[int, int] | None]:
    """The JSON text of a glTF file, and where the binary chunk of a GLB lies."""
    with path.open("rb") as file:
        head = file.read(20)
        if head[:4] == GLB_MAGIC:
            return read_chunks(path, file, head)
        if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            raise CharacterError(f"{path.name} is no glTF file: it begins neither as GLB nor as JSON does; {ADVICE}")
        file.seek(0)
        text = file.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise CharacterError(f"{path.name} holds over {MAX_JSON_BYTES >> 20} MiB of JSON: {ADVICE}")
    return text.removeprefix(b"\xef\xbb\xbf"), None


def read_chunks(path: Path, file: BinaryIO, head: bytes) -> tuple[bytes, tuple[int, int] | None]:
    """The JSON chunk of a GLB file, and the place and size of its binary chunk."""
    if len(head) < 20:
        raise CharacterError(f"{path.name} is truncated: {len(head)} bytes are no GLB file")
    version, length = struct.unpack_from("<II", head, 4)
    if version != 2:
        raise CharacterError(f"{path.name} is GLB version {version}; version 2 is read")
    there = path.stat().st_size
    if length > there:
        raise CharacterError(f"{path.name} is truncated: {there} of {length} bytes are there")
    size, kind = struct.unpack_from("<II", head, 12)
    if kind != CHUNK_JSON:
        raise CharacterError(f"{path.name} holds no JSON chunk: it is no glTF file")
    if 20 + size > length:
        raise CharacterError(f"{path.name} is truncated: a chunk of {size} bytes does not fit")
    if size > MAX_JSON_BYTES:
        raise CharacterError(f"{path.name} holds {size >> 20} MiB of JSON; up to {MAX_JSON_BYTES >> 20} are read")
    text, at = file.read(size), 20 + size
    if at + 8 > length:
        return text, None
    size, kind = struct.unpack("<II", file.read(8))
    if at + 8 + size > length:
        raise CharacterError(f"{path.name} is truncated: a chunk of {size} bytes does not fit")
    return text, (at + 8, size) if kind == CHUNK_BINARY else None


def check_extensions(path: Path, required: Sequence[str]) -> None:
    """Refuse files that cannot be understood without something that we lack."""
    missing = [
        name
        for name in required
        if name not in SUPPORTED_EXTENSIONS and name not in PACKED and not name.startswith(SUPPORTED_PREFIXES)
    ]
    if not missing:
        return
    advice = {"KHR_texture_basisu": "with PNG or JPEG textures"}
    how = " and ".join(advice[name] for name in missing if name in advice) or "without them"
    names = quoted(", ".join(missing))[1:-1]
    raise CharacterError(f"{path.name} requires {names}, which is not supported: export it again {how}")
