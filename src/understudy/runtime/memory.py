"""Memory that was let go of goes back to the system, where the C library would keep it."""

import ctypes
import gc
import sys

__all__ = ["give_memory_back", "hold_no_large_arrays"]

LARGE_BYTES = 12 << 20
"""From this size on a block is mapped by itself. Below it are the arrays of a 1280×720 frame, which are asked for again
at once; glibc's own bound grows to 32 MB, and what lies between fills its heaps with gaps at 3840×2160."""
MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of mallopt. Source: glibc, malloc.h."""


def give_memory_back() -> None:
    """Return to the system what a stage has let go of.

    Films lie in cycles with their streams, and glibc keeps what was freed: without this a stage starts from what all
    before it had used, and that grows with the shot.
    """
    gc.collect()
    _glibc("malloc_trim", 0)


def hold_no_large_arrays() -> None:
    """From now on, arrays of `LARGE_BYTES` or more go back to the system as soon as they are let go of."""
    _glibc("mallopt", MMAP_THRESHOLD, LARGE_BYTES)


def _glibc(name: str, *arguments: int) -> None:
    """Call a function of the C library, where that is glibc."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)
