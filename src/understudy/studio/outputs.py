"""Where results go: seen to be writable before the work that they cost, and to lead nowhere else."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from understudy.io.files import is_link
from understudy.io.temporary import remove_abandoned
from understudy.runtime.errors import InputError, quoted

__all__ = ["check_outside", "clear_scratch", "own_folder", "scratch_folder", "writable_folder"]

_SCRATCH = ".unfinished"
"""The folder, within one for results, in which work is under way."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""No fault of the folder's name."""


def writable_folder(folder: Path) -> Path:
    """A folder for results, made where it is absent; what killed processes left under temporary names is removed.

    Raises:
        InputError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise InputError(
            f"{quoted(folder)} cannot be written to ({error.strerror}); give another folder with -o"
        ) from error
    remove_abandoned(folder)
    return folder


def own_folder(folder: Path) -> Path:
    """A `writable_folder` that is ours alone; it may be a link itself, but no folder below it may be one.

    A film's folder from elsewhere could otherwise have us write, and clean up, anywhere. Links to files are no danger:
    they are read, or replaced by files.

    Raises:
        InputError: it cannot be made or written to, or a link in it leads to anything but a file.
    """
    writable_folder(folder)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            if is_link(path) and (name.startswith(".") or not path.is_file()):
                raise _link(path)
    return folder


def check_outside(given: Path, out: Path) -> None:
    """Raise InputError where a folder of ours would be made from a file in it, which it may replace or remove."""
    place = Path(os.path.realpath(given))  # Takes a link that leads to itself, too.
    if out.is_dir() and any(one.exists() and one.samefile(out) for one in (place, *place.parents)):
        raise InputError(
            f"{quoted(given)} lies in {quoted(out)}, the folder of what is made from it; copy it elsewhere, or"
            " give another folder with -o"
        )


def scratch_folder(folder: Path) -> Path:
    """Where within a folder work is under way.

    Raises:
        InputError: a link is there.
    """
    scratch = folder / _SCRATCH
    if is_link(scratch):
        raise _link(scratch)
    return scratch


def clear_scratch(folder: Path) -> Path:
    """The `scratch_folder` with nothing there."""
    scratch = scratch_folder(folder)
    if scratch.is_dir():
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        scratch.unlink(missing_ok=True)
    return scratch


def _link(path: Path) -> InputError:
    return InputError(
        f"{quoted(path)} is a link, which nothing is written through; remove it, or give another folder with -o"
    )
