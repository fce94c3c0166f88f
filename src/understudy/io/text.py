"""Small text files: JSON of bounded size in; text out, whole or not at all."""

import json
from pathlib import Path
from typing import Any

from understudy.io.files import claim_values, read_bytes, reading
from understudy.io.temporary import whole_file

__all__ = ["read_json", "replace_text"]


def read_json(path: Path, what: str, max_bytes: int) -> Any:
    """What a JSON file holds; its size is checked before it is read.

    Raises:
        FileFormatError: the file is absent, larger than `max_bytes`, or no JSON; the text calls it a `what`.
    """
    with reading(path, f"{what} in JSON"):
        content = read_bytes(path, what, max_bytes)
        claim_values(path, content)
        return json.loads(content)


def replace_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
