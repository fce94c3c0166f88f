"""How long work tells where it is."""

from typing import Protocol, runtime_checkable

__all__ = ["Progress", "silent"]


@runtime_checkable
class Progress(Protocol):
    """Called after each step of a stage."""

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` steps (frames, mostly) are finished."""


def silent(done: int, total: int) -> None:
    """Say nothing."""
