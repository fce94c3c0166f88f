"""Where results go: seen to be writable before the work that they cost."""

import tempfile
from pathlib import Path

from understudy.core.errors import InputError

__all__ = ["writable_folder"]


def writable_folder(folder: Path) -> Path:
    """A folder for results, made where it is absent.

    Raises:
        InputError: it cannot be made, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise InputError(f"{folder} cannot be written to ({error.strerror}); give another folder with -o") from error
