"""What every renderer is."""

from types import TracebackType
from typing import Protocol, runtime_checkable

from understudy.core.film import Take
from understudy.core.passes import Passes

__all__ = ["Renderer"]


@runtime_checkable
class Renderer(Protocol):
    """Turns frames of a take into passes; holds a device until it is closed."""

    def __call__(self, take: Take, frame: int) -> Passes:
        """The passes of one frame, at the size of the take's camera.

        Raises:
            IndexError: the take has no such frame.
        """
        ...

    def close(self) -> None:
        """Give the device back; the renderer cannot be called any more."""

    def __enter__(self) -> "Renderer": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
