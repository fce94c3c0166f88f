"""What the terminal shows while a film is made."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from understudy.runtime.errors import printable
from understudy.runtime.progress import Progress

__all__ = ["ConsoleNarrator"]

_PLAIN_INTERVAL_S = 15.0


class ConsoleNarrator:
    """A bar per stage with frames and time left; plain lines where there is no terminal."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)

    def say(self, text: str) -> None:
        """Print one line; what it quotes of files is made printable."""
        self.console.print(printable(text), markup=False, soft_wrap=True)

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """Show a stage until it ends, then leave one line with its time."""
        started = time.perf_counter()
        if self.console.is_terminal:
            columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Bars(*columns, console=self.console, transient=True) as bars:
                task = bars.add_task(title, total=None)
                yield lambda done, total: bars.update(task, completed=done, total=total)
        else:
            yield self._plain(title)
        self.say(f"{title:<20} {time.perf_counter() - started:6.1f} s")

    def _plain(self, title: str) -> Progress:
        said = time.perf_counter()

        def progress(done: int, total: int) -> None:
            nonlocal said
            now = time.perf_counter()
            if now - said > _PLAIN_INTERVAL_S:
                said = now
                self.say(f"{title:<20} {done} of {total}")

        return progress
