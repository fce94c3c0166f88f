"""Our own .npz tables: named arrays with units in their names, never pickled, checked before memory is taken.

Source: NumPy enhancement proposal 1 (the .npy format inside a ZIP file).
"""

import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from understudy.core.errors import FileFormatError

__all__ = ["read_arrays", "write_arrays"]

MAX_BYTES = 4 << 30


def write_arrays(path: Path, kind: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and, as "format", what they are."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, format=np.array(kind), **arrays)
    os.replace(partial, path)


def read_arrays(path: Path, kind: str, names: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
    """The arrays of a file written as `kind`, or those of `names`; floats as float64.

    Raises:
        FileFormatError: the file is absent, damaged, of another kind, absurdly large, or lacks an array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(_bytes_of(archive, member) for member in archive.infolist())
        if total > MAX_BYTES:
            raise FileFormatError(f"{path.name} unpacks to {total >> 30} GiB; up to {MAX_BYTES >> 30} GiB are read")
        with np.load(path, allow_pickle=False) as file:
            found = str(file["format"]) if "format" in file else "another kind of table"
            if found != kind:
                raise FileFormatError(f"{path.name} holds {found}; expected {kind}")
            names = tuple(name for name in file if name != "format") if names is None else names
            missing = [name for name in names if name not in file]
            if missing:
                raise FileFormatError(f"{path.name} lacks {', '.join(missing)}: write it again")
            arrays = {name: file[name] for name in names}
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise FileFormatError(f"{path.name} is no readable .npz table ({error})") from error
    return {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in arrays.items()}


def _bytes_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """How large a member is; raises ValueError unless it is an array of no more than that."""
    with archive.open(member) as file:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(np.lib.format.read_magic(file))
        if read_header is None:
            raise ValueError(f"{member.filename} is of an unknown version")
        shape, _, dtype = read_header(file)
    # NumPy takes the memory that the header asks for before it reads.
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"{member.filename} is smaller than its shape {shape}")
    return member.file_size
