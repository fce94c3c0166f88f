"""How long work tells where it is."""

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Called after each step of a stage."""

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` steps (frames, mostly) are finished."""


def silent(done: int, total: int) -> None:
    """Say nothing."""
