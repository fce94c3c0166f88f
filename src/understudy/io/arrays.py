"""Our own .npz tables: named arrays with units in their names, never pickled, checked before memory is taken.

Source: NumPy enhancement proposal 1 (the .npy format inside a ZIP file).
"""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from understudy.io.files import check_file, reading
from understudy.io.temporary import whole_file
from understudy.runtime.budget import Budget
from understudy.runtime.errors import FileFormatError, quoted

__all__ = ["read_arrays", "write_arrays"]

MAX_FILE_BYTES = 256 << 20
MAX_MEMORY_BYTES = 256 << 20
MAX_ARRAYS = 1000
MAX_INDEX_BYTES = 1 << 20
_END_BYTES, _MAX_COMMENT_BYTES = 22, 65535


def write_arrays(path: Path, kind: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and, as "format", what they are."""
    members: dict[str, Any] = {"format": np.array(kind), **arrays}
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **members)


def read_arrays(path: Path, kind: str, names: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
    """The arrays of a file written as `kind`, or those of `names`; floats as float64.

    Raises:
        FileFormatError: the file is absent, damaged, of another kind, too large, or lacks an array.
    """
    check_file(path, "table of arrays (.npz)", MAX_FILE_BYTES)
    advice = "delete it to have it made again"
    with reading(path, "table of arrays (.npz)", advice=advice):
        _check_index(path)
        with zipfile.ZipFile(path) as archive:
            budget = Budget(quoted(path), MAX_MEMORY_BYTES, advice="cut the shot into pieces")
            for member in budget.counted("arrays", archive.infolist(), MAX_ARRAYS):
                _claim(budget, archive, member)
        with np.load(path, allow_pickle=False) as file:
            found = str(file["format"]) if "format" in file else "another kind of table"
            if found != kind:
                raise FileFormatError(f"{path.name} holds {quoted(found)[1:-1]}; expected {kind}: {advice}")
            names = tuple(name for name in file if name != "format") if names is None else names
            missing = [name for name in names if name not in file]
            if missing:
                raise FileFormatError(f"{path.name} lacks {', '.join(missing)}: {advice}")
            arrays = {name: file[name] for name in names}
        return {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in arrays.items()}


def _check_index(path: Path) -> None:
    """See that the index of a ZIP file is no longer than ours: it becomes a hundred times as large in memory.

    Source: PKWARE, APPNOTE 4.3.15 and 4.3.16.

    Raises:
        ValueError: it is longer, or in the form for archives of over 4 GB.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END_BYTES - _MAX_COMMENT_BYTES))
        tail = file.read()
    at = len(tail) - _END_BYTES
    if tail[at : at + 4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END_BYTES:
        return  # no ZIP file at all, as reading it will tell
    (index_bytes,) = struct.unpack_from("<L", tail, at + 12)
    if index_bytes > MAX_INDEX_BYTES or (at >= 20 and tail[at - 20 : at - 16] == b"PK\6\7"):
        raise ValueError(f"its list of arrays is longer than {MAX_INDEX_BYTES} bytes")


def _claim(budget: Budget, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Claim what a member will take; NumPy takes the memory that its header asks for before it reads.

    Raises:
        ValueError: it is no array of numbers or texts, or its header promises more than it holds.
    """
    with archive.open(member) as file:
        # Later versions have headers of any length; we write none.
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{quoted(member.filename)} is an array of an unknown version")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "biufU":
        raise ValueError(f"{quoted(member.filename)} holds no numbers or texts")
    if budget.take(quoted(member.filename), *shape, bytes_each=dtype.itemsize) > member.file_size:
        raise ValueError(f"{quoted(member.filename)} is smaller than its shape")
    if dtype.kind == "f" and dtype.itemsize != 8:
        budget.take(quoted(member.filename), *shape, bytes_each=8)
