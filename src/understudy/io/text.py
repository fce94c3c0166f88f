"""Small text files: JSON of bounded size in; text out, whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

from understudy.core.errors import FileFormatError

__all__ = ["read_json", "replace_text"]


def read_json(path: Path, what: str, most_bytes: int) -> Any:
    """What a JSON file holds; its size is checked before it is read.

    Raises:
        FileFormatError: the file is absent, larger than `most_bytes`, or no JSON; the text calls it a `what`.
    """
    try:
        if path.stat().st_size > most_bytes:
            raise FileFormatError(f"{path.name} is larger than {most_bytes >> 20} MiB: it is no {what}")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileFormatError(f"the {what} {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{path.name} is no readable JSON: {error}") from error


def replace_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
