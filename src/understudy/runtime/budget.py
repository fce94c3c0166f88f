"""What one file may ask of this machine. Every reader takes from one budget before it takes memory or time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from understudy.runtime.errors import FileFormatError, InputError, quoted

__all__ = ["Budget"]

MEBIBYTE = 1 << 20


Item = TypeVar("Item")


@dataclass
class Budget:
    """How much memory a file may still claim, all of its parts together.

    The sizes in a file are claims. A reader calls `take` with each of them before it allocates, decodes or loops, also
    where one part is named many times, so that a small file cannot ask for a large machine.
    """

    name: str
    """Of the file, for messages."""
    left: int
    """Bytes that it may still claim."""
    error: type[InputError] = FileFormatError
    """What is raised when it claims more."""
    advice: str = "export it smaller"
    """What the user can do then."""

    def __post_init__(self) -> None:
        self.total = self.left

    def take(self, what: str, *sizes: object, bytes_each: int = 1) -> int:
        """Claim the product of `sizes` (a shape, say) times `bytes_each` for `what`; returns the bytes claimed.

        Raises:
            InputError: of the kind `error`: a size is negative or no whole number, or less is left.
        """
        claimed = bytes_each
        for size in sizes:
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise self.error(f"{self.name} gives {quoted(size)} as the size of {what}; expected a whole number")
            claimed *= size
        if claimed > self.left:
            raise self.error(
                f"{self.name} asks for {_mebibytes(self.total - self.left + claimed)} of memory, the last of them for"
                f" {what}; up to {_mebibytes(self.total)} are read: {self.advice}"
            )
        self.left -= claimed
        return claimed

    def check_count(self, what: str, items: int, max_items: int) -> None:
        """Refuse more than `max_items` items: steps that cost time, not memory.

        Raises:
            InputError: of the kind `error`: there are more.
        """
        if items > max_items:
            raise self.error(f"{self.name} has {_number(items)} {what}; up to {max_items} are read: {self.advice}")

    def counted(self, what: str, items: Iterable[Item], max_items: int) -> Iterator[Item]:
        """The items one by one, up to `max_items`.

        Raises:
            InputError: of the kind `error`: there are more.
        """
        for number, item in enumerate(items, 1):
            if number > max_items:
                raise self.error(f"{self.name} has more than {max_items} {what}: {self.advice}")
            yield item


def _number(value: int) -> str:
    """A whole number of any length in few characters."""
    return str(value) if abs(value) < 10**15 else "more than 10^15"


def _mebibytes(size: int) -> str:
    return f"{_number(-(-size // MEBIBYTE))} MiB"
