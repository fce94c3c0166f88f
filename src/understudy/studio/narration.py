"""How a film's making is told to whoever waits for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from understudy.runtime.progress import Progress, silent

__all__ = ["Narrator", "SilentNarrator"]


@runtime_checkable
class Narrator(Protocol):
    """Told what happens; the command line draws bars, a test listens."""

    def say(self, text: str) -> None:
        """One line for the user."""

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """A stage begins; what is yielded is called after each of its steps."""
        ...


class SilentNarrator:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """Show nothing."""
        yield silent
