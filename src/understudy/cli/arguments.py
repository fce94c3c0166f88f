"""Options from words: tyro's work, but that it passes nothing unprintable on to the terminal."""

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import TypeVar

import tyro

from understudy.runtime.errors import printable

__all__ = ["parse"]

Options = TypeVar("Options")
_MAX_LINES = 60


def parse(kind: type[Options], prog: str, arguments: Sequence[str]) -> Options:
    """The options of a verb; ends with exit code 2 where they cannot be understood, with 0 after --help."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(kind, prog=prog, args=arguments)
    finally:
        for line in said.getvalue().splitlines()[:_MAX_LINES]:
            print(printable(line), file=sys.stderr)
