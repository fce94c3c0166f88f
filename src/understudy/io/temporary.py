"""What is under way: temporary names and folders that tell whose they are, so that what a kill left can be removed."""

import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["remove_abandoned", "temporary_folder", "temporary_name", "whole_file"]

_MACHINE, _RUN = f"{zlib.crc32(os.fsencode(platform.node())):08x}", secrets.token_hex(2)
_OWNER = r"([0-9a-f]{8})-(\d{1,10})-([0-9a-f]{4})"
_OURS = re.compile(rf"\..*\.understudy-{_OWNER}(?:\.\w+)?|understudy-[a-z]+-{_OWNER}-\w+")
"""The names that the functions below give, with the machine, the number of the process, and its run: machines share
folders, and a number is given again."""


def _owner() -> str:
    """What names whose they are say of this process."""
    return f"{_MACHINE}-{os.getpid()}-{_RUN}"


def temporary_name(path: Path) -> Path:
    """A name beside `path` to write to, before the file is renamed; nothing is there, and no link, that would be
    followed."""
    temporary = path.with_name(f".{path.stem}.understudy-{_owner()}{path.suffix}")
    temporary.unlink(missing_ok=True)
    return temporary


@contextmanager
def whole_file(path: Path) -> Generator[Path, None, None]:
    """A `temporary_name` to write to: renamed when the block ends well, removed when it does not."""
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(what: str, within: Path | None = None) -> Generator[Path, None, None]:
    """A folder until the block ends, in the system's temporary folder if no other is named.

    `what` it is for, in lower case letters, stands in its name.
    """
    place = Path(tempfile.gettempdir()) if within is None else within
    remove_abandoned(place)
    prefix = f"understudy-{what}-{_owner()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as name:
        yield Path(name)


def remove_abandoned(folder: Path) -> None:
    """Remove temporary files and folders directly in `folder` whose process, on this machine, has ended.

    Links are not followed.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _OURS.fullmatch(entry.name)
            if found is None or not _is_abandoned(*(part for part in found.groups() if part)):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(entry.path)


def _is_abandoned(machine: str, process: str, run: str) -> bool:
    if machine != _MACHINE:
        return False
    if int(process) == os.getpid():
        return run != _RUN
    if sys.platform == "win32":
        return False  # there, asking would end it
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False
