"""GLB files taken apart and put together, for tests that change one thing in a good file."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

COMPONENT_TYPES = {"f4": 5126, "u1": 5121, "u2": 5123, "u4": 5125, "i1": 5120, "i2": 5122}
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


def parts_of(path: Path) -> tuple[dict[str, Any], bytes]:
    """JSON and binary chunk of a GLB file."""
    data = path.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def write_glb(path: Path, document: dict[str, Any] | bytes, binary: bytes) -> Path:
    """Write a GLB file of JSON, or of text in its place, and a binary chunk."""
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body)
    return path


def add_view(document: dict[str, Any], binary: bytes, content: bytes) -> tuple[int, bytes]:
    """Add bytes as a buffer view; its index, and the longer binary chunk."""
    binary += b"\0" * (-len(binary) % 4)
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(content)})
    binary += content
    document["buffers"][0]["byteLength"] = len(binary)
    return len(document["bufferViews"]) - 1, binary


def add_accessor(document: dict[str, Any], binary: bytes, values: np.ndarray) -> tuple[int, bytes]:
    """Add an array `count × components` as an accessor; its index, and the longer binary chunk."""
    view, binary = add_view(document, binary, np.ascontiguousarray(values).tobytes())
    document["accessors"].append(
        {
            "bufferView": view,
            "componentType": COMPONENT_TYPES[values.dtype.str[1:]],
            "count": len(values),
            "type": TYPES[values.reshape(len(values), -1).shape[1]],
        }
    )
    return len(document["accessors"]) - 1, binary
