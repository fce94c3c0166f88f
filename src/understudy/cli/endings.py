"""How a verb can end that is not done: what is said then, and with which exit code.

    1    the machine's own trouble: disk or memory full, output closed; also a bug in understudy, with its traceback
    2    what the user gave cannot be used, or not where it lies
    3    a package or weights are missing
    129, 130, 143    hung up, interrupted, asked to end (SIGHUP, SIGINT, SIGTERM)

What is finished stays, and the same command, given again, goes on from there.
"""

import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from understudy.runtime.errors import BackendUnavailable, InputError, UnderstudyError, quoted

__all__ = ["Ended", "discard_output", "ending_by_signals", "ready_output", "sentence_and_code"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_WRONG_PLACE = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM,
    errno.EROFS, errno.EILSEQ,
}  # fmt: skip
_AGAIN = "the same command, given again, uses what is finished"
_FULL_TEXTS = (os.strerror(errno.ENOSPC).lower(), "os error 28", "disk is full")
"""Of safetensors, OpenEXR, SQLite."""
_MEMORY_TEXTS = (
    *("allocate memory", "failed to allocate", "bad alloc", "bad_alloc", "out of memory", "insufficient memory"),
    *("can't start new thread", "failed to map segment"),
)
"""Of OpenCV, PyTorch, C++, the loader of libraries: their kinds of error say less than their texts."""


class Ended(BaseException):
    """The system asked for the end."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Ended` in the block, so that it cleans up; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]
    before = {number: signal.getsignal(number) for number in numbers}

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Ended(number)

    say_lost = sys.unraisablehook

    def ask_again(lost: Any) -> None:
        """While objects are cleared away nothing can be raised, and the end was lost: it comes again in a moment."""
        if not isinstance(lost.exc_value, Ended):
            say_lost(lost)
            return
        number = lost.exc_value.exit_code - 128
        signal.signal(number, end)
        # To the main thread where that can be said: it may be waiting.
        to_main = getattr(signal, "pthread_kill", lambda thread, number: signal.raise_signal(number))
        threading.Timer(0.05, to_main, [threading.main_thread().ident, number]).start()

    for number in numbers:
        if before[number] is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, end)
    sys.unraisablehook = ask_again
    try:
        yield
    finally:
        sys.unraisablehook = say_lost
        for number in numbers:
            signal.signal(number, before[number])


def ready_output() -> None:
    """See that something stands behind standard input, output and error, and that any text can be written there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the number: else the next file would, and be written into
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (until the process ends)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(ValueError):
                stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """What is still to be written to a closed or full output goes nowhere, or Python would complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def sentence_and_code(error: BaseException) -> tuple[str, int] | None:
    """What to tell the user of an ending, and the exit code; None of a bug."""
    if isinstance(error, UnderstudyError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted; {_AGAIN}", 130
    if isinstance(error, Ended):
        return f"asked to end; {_AGAIN}", error.exit_code
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in _MEMORY_TEXTS):
        return f"memory ran out; close other programs, or give a shorter shot or smaller pictures: {_AGAIN}", 1
    if isinstance(error, OSError) and error.errno is not None:
        return _of_system(error)
    if any(sign in text for sign in _FULL_TEXTS):
        return f"the disk is full ({quoted(error)[1:-1]}); free some space: {_AGAIN}", 1
    if isinstance(error, ModuleNotFoundError) and not (error.name or "understudy").startswith("understudy"):
        package = (error.name or "").partition(".")[0]
        return f"this needs the package {package}: pip install {package}", BackendUnavailable.exit_code
    return None


def _of_system(error: OSError) -> tuple[str, int]:
    where = "" if error.filename is None else f"{quoted(os.fsdecode(error.filename))}: "
    reason = f"{where}{error.strerror}"
    if error.errno in _FULL:
        return f"the disk is full ({reason}); free some space: {_AGAIN}", 1
    if error.errno in _WRONG_PLACE:
        return f"a file cannot be used ({reason}); check its name, its place and its permissions", InputError.exit_code
    return f"the system refused ({reason}); {_AGAIN}", 1
