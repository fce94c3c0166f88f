"""Compressed pieces of glTF files, unpacked in a process of their own.

The decoders of Draco and meshoptimizer are C++ and read files from anywhere: what damages or fills a process there
ends that process alone. It is run as a module, takes `PackedPiece`s on its standard input and gives arrays on its
standard output. Sources: KHR_draco_mesh_compression, EXT_meshopt_compression, KHR_meshopt_compression.
"""

# DracoPy and meshopt have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false

import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from understudy.runtime.errors import CharacterError, quoted

__all__ = ["PackedPiece", "can_unpack", "unpack"]

PACKAGES = {"draco": "DracoPy", "meshopt": "meshopt"}
MEMORY_BYTES = 1 << 30
"""For the process itself: its address space, not what it holds."""
MIN_S, BYTES_PER_S = 4.0, 2 << 20


@dataclass(frozen=True)
class PackedPiece:
    """Something compressed, and what it is to become."""

    kind: str
    """draco: the indices of a surface, then its attributes; meshopt: the bytes of one buffer view."""
    data: bytes
    wanted: dict[str, Any]
    """How it is to be unpacked: numbers and names for `UNPACKERS`."""


def can_unpack(kind: str) -> bool:
    """Whether the decoder of a kind of compression is installed."""
    return find_spec(PACKAGES[kind]) is not None


def unpack(path: Path, pieces: Sequence[PackedPiece], claimed: int) -> list[list[np.ndarray]]:
    """The arrays of each piece of the file `path`; of draco first the indices `3 × face`, then each attribute's rows.

    `claimed` is how many bytes they have together.

    Raises:
        CharacterError: a decoder refuses a piece, or ends or is ended over it.
    """
    heads = [{"kind": piece.kind, "size": len(piece.data), **piece.wanted} for piece in pieces]
    head = json.dumps({"memory": MEMORY_BYTES + 4 * claimed, "pieces": heads}).encode()
    content = b"".join([struct.pack("<I", len(head)), head, *(piece.data for piece in pieces)])
    # -P: what lies in the folder that the user stands in, is not run.
    command = [sys.executable, "-P", "-m", "understudy.io.gltf.unpack"]
    places = os.pathsep.join(os.path.abspath(place) for place in sys.path)
    environment = {**os.environ, "PYTHONPATH": places, "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, env=environment, timeout=MIN_S + len(content) / BYTES_PER_S
        )
    except subprocess.TimeoutExpired as error:
        raise refused(path, "its decoder does not come to an end") from error
    if done.returncode:
        raise refused(path, last_words(done.stderr))
    stream = io.BytesIO(done.stdout)
    return [[np.load(stream, allow_pickle=False) for _ in range(read_count(stream))] for _ in pieces]


def last_words(stderr: bytes) -> str:
    """What an exception said that ended a process."""
    line = stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return line.partition(": ")[2] or line or "its decoder failed"


def refused(path: Path, reason: str) -> CharacterError:
    """What is said where a piece cannot be unpacked."""
    return CharacterError(
        f"{path.name} is compressed, and cannot be unpacked ({quoted(reason)[1:-1]}): export it without compression"
    )


def read_count(stream: io.BytesIO) -> int:
    """How many arrays of a piece follow."""
    return int(struct.unpack("<I", stream.read(4))[0])


def unpack_draco(data: bytes, wanted: dict[str, Any]) -> list[np.ndarray]:
    """Indices of faces, then attributes by Draco's own numbers (`attributes`), for `vertices` and `corners`."""
    import DracoPy

    mesh = DracoPy.decode(data)
    faces = np.asarray(mesh.faces, np.uint32).reshape(-1)
    if len(faces) != wanted["corners"] or len(mesh.points) != wanted["vertices"]:
        raise ValueError(f"it holds {len(mesh.points)} vertices and {len(faces)} corners, not as many as it says")
    found = [mesh.get_attribute_by_unique_id(number)["data"] for number in wanted["attributes"]]
    return [faces, *(np.ascontiguousarray(np.asarray(values).reshape(len(mesh.points), -1)) for values in found)]


def unpack_meshopt(data: bytes, wanted: dict[str, Any]) -> list[np.ndarray]:
    """The bytes of a buffer view."""
    import meshopt

    count, stride = wanted["count"], wanted["stride"]
    values = meshopt.decode_gltf_buffer(data, count, stride, wanted["mode"], wanted["filter"])
    values = np.ascontiguousarray(values)
    if wanted["mode"] != "ATTRIBUTES":
        values = values.reshape(-1).astype(f"<u{stride}")
    content = values.view(np.uint8).reshape(-1)
    if len(content) != count * stride:
        raise ValueError(f"a buffer view holds {len(content)} bytes, not {count * stride}")
    return [content]


UNPACKERS = {"draco": unpack_draco, "meshopt": unpack_meshopt}


def limit_memory(max_bytes: int) -> None:
    """Let this process have no more, where the system can see to that."""
    try:
        import resource
    except ImportError:  # Windows.
        return
    for kind, most in ((resource.RLIMIT_AS, max_bytes), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):  # macOS has the first in name only; the user's own limit may be lower.
            resource.setrlimit(kind, (most, most))


def main() -> None:
    """Unpack what standard input brings."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    head = json.loads(source.read(struct.unpack("<I", source.read(4))[0]))
    limit_memory(head["memory"])
    for piece in head["pieces"]:
        arrays = UNPACKERS[piece["kind"]](source.read(piece["size"]), piece)
        sink.write(struct.pack("<I", len(arrays)))
        for array in arrays:
            # Not straight into the pipe: NumPy may ask a file for its position.
            packed = io.BytesIO()
            np.save(packed, array, allow_pickle=False)
            sink.write(packed.getbuffer())


if __name__ == "__main__":
    main()
