"""A stage's work for tests of the film's folder."""

from collections.abc import Callable
from pathlib import Path

__all__ = ["write"]


def write(names: list[str], text: str) -> Callable[[Path], None]:
    """Work that writes a text to files of a stage."""

    def work(scratch: Path) -> None:
        for name in names:
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_text(text)

    return work
