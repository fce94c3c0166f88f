"""Files from anywhere: what is a file at all, how large it is, and the one catch for what malformed content raises."""

import posixpath
import re
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from understudy.runtime.budget import Budget
from understudy.runtime.errors import FileFormatError, InputError, quoted

__all__ = ["check_file", "claim_values", "file_named", "is_link", "name_within", "natural_key", "read_bytes", "reading"]

MAX_JSON_MEMORY = 288 << 20
LIST_BYTES, VALUE_BYTES = 320, 32
"""What parsers of JSON take for a list or an object, however small, and for any other value."""
_JUNCTION = 0xA0000003
"""IO_REPARSE_TAG_MOUNT_POINT of Windows; Path.is_junction comes with Python 3.12."""
MALFORMED = (
    OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError, RuntimeError, MemoryError,
    struct.error, tokenize.TokenError, zlib.error, zipfile.BadZipFile, SyntaxError, NotImplementedError, SystemError,
)  # fmt: skip
"""What parsers of malformed content raise, our own and libraries'."""


def check_file(path: Path, what: str, max_bytes: int, error: type[InputError] = FileFormatError) -> int:
    """See that `path` is a regular file of no more than so many bytes, without opening it; returns its size.

    Pipes, sockets and devices are no files: to open one could wait for ever.

    Raises:
        InputError: of the kind `error`: absent, a folder, no regular file, or larger; the text calls it a `what`.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"the {what} {quoted(path)} cannot be read ({reason}); check the name") from problem
    if stat.S_ISDIR(status.st_mode):
        raise error(f"{quoted(path)} is a folder; expected a {what}: give the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise error(f"{quoted(path)} is a pipe or a device; expected a {what}: save it as a file first")
    if status.st_size > max_bytes:
        raise error(f"{quoted(path)} has {status.st_size >> 20} MiB; a {what} has up to {max_bytes >> 20}")
    return status.st_size


def is_link(path: Path) -> bool:
    """Whether a name leads elsewhere: a symbolic link, or a junction of Windows, which is none to `Path.is_symlink`."""
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _JUNCTION


@contextmanager
def reading(
    path: Path, what: str, error: type[InputError] = FileFormatError, advice: str = "export it again"
) -> Generator[None, None, None]:
    """Around everything that parses a file: whatever its content makes Python raise becomes one sentence.

    Raises:
        InputError: of the kind `error`; the text calls the file a `what`. Our own errors pass as they are.
    """
    try:
        yield
    except MALFORMED as problem:
        if isinstance(problem, OSError) and problem.strerror:
            reason = problem.strerror
        elif isinstance(problem, KeyError):
            reason = f"it lacks {problem}"
        elif isinstance(problem, (RecursionError, MemoryError)):
            reason = "it is nested too deeply or too large"
        else:
            reason = str(problem) or type(problem).__name__
        raise error(f"{quoted(path)} is no readable {what} ({quoted(reason)[1:-1]}); {advice}") from problem


def read_bytes(path: Path, what: str, max_bytes: int, error: type[InputError] = FileFormatError) -> bytes:
    """A whole file, its kind and size checked before it is opened.

    Raises:
        InputError: of the kind `error`, as `check_file`; or it cannot be read.
    """
    check_file(path, what, max_bytes, error)
    with reading(path, what, error, "check the file"), path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise error(f"{quoted(path)} grew while it was read: wait until it is written, and try again")
    return content


def claim_values(path: Path, content: bytes, error: type[InputError] = FileFormatError) -> None:
    """See what the values of a JSON file take before they are parsed: a small text becomes a hundred times as large.

    Raises:
        InputError: of the kind `error`: more than MAX_JSON_MEMORY.
    """
    budget = Budget(quoted(path), MAX_JSON_MEMORY, error, "make it shorter")
    budget.take("the lists in it", content.count(b"[") + content.count(b"{"), bytes_each=LIST_BYTES)
    budget.take("the values in it", content.count(b","), bytes_each=VALUE_BYTES)


def name_within(name: str) -> str:
    """A file's name relative to the folder that names it, as written in a file; returned as it is.

    Every name that is read from a file passes here, once, where it is read: a file from elsewhere must not reach out
    of its folder.

    Raises:
        ValueError: it is empty, absolute, has "..", a drive, a backslash or a control character.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or any(c in name for c in "\\:") or not name.isprintable():
        raise ValueError(f"{quoted(name)} is no name of a file within the folder")
    if posixpath.normpath(name) != name.rstrip("/"):
        raise ValueError(f"{quoted(name)} is no plain name of a file within the folder")
    return name


def file_named(path: Path, name: str) -> Path | None:
    """The file that another, at `path`, names; None where that is not within its folder, also by a link."""
    folder = path.resolve().parent
    # To ask Windows where "\\\\host\\..." lies, already calls on that host.
    if ":" in name.split("/")[0] or PureWindowsPath(name).anchor or not name.isprintable():
        return None
    target = (folder / name).resolve()
    return target if target.is_relative_to(folder) else None


def natural_key(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """To sort names as people count: "view 9" before "view 10"; case does not matter."""
    parts = re.split(r"([0-9]+)", name.lower())
    return tuple((int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts)), name
