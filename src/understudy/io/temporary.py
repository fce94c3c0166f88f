"""What is under way: temporary names and folders that tell whose they are, so that what a kill left can be removed."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["remove_abandoned", "temporary_folder", "temporary_name", "whole_file"]

_OURS = re.compile(r"\..*\.understudy-(\d{1,10})(?:\.\w+)?|understudy-[a-z]+-(\d{1,10})-\w+")
"""The names that the functions below give, with the number of the process that gave them."""


def temporary_name(path: Path) -> Path:
    """A name beside `path` to write to, before the file is renamed; nothing is there, and no link, that would be
    followed."""
    temporary = path.with_name(f".{path.stem}.understudy-{os.getpid()}{path.suffix}")
    temporary.unlink(missing_ok=True)
    return temporary


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A `temporary_name` to write to: renamed when the block ends well, removed when it does not."""
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(what: str, within: Path | None = None) -> Iterator[Path]:
    """A folder until the block ends, in the system's temporary folder if no other is named.

    `what` it is for, in lower case letters, stands in its name.
    """
    place = Path(tempfile.gettempdir()) if within is None else within
    remove_abandoned(place)
    prefix = f"understudy-{what}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as name:
        yield Path(name)


def remove_abandoned(folder: Path) -> None:
    """Remove temporary files and folders directly in `folder` whose process has ended; links are not followed."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _OURS.fullmatch(entry.name)
            if found is None or _is_running(int(found[1] or found[2])):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(entry.path)


def _is_running(process: int) -> bool:
    if sys.platform == "win32":
        return process != os.getpid()  # there, asking would end it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return process != os.getpid()
