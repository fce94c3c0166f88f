"""Other programs, run to their end or to a limit of time, together with all that they start."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from understudy.runtime.errors import BackendUnavailable, quoted
from understudy.runtime.progress import Progress, silent

__all__ = ["last_line", "run_program"]

POLL_S = 0.1
"""How often it is seen whether a program has ended."""
LAST_BYTES = 4096
"""Of what it has printed, among which its last line is looked for."""


def run_program(
    command: Sequence[str], log: Path, environment: Mapping[str, str], limit_s: float, progress: Progress = silent
) -> int | None:
    """Run a program in the folder of `log`, which gets what it prints; gives its code, or None if it was not in time.

    It gets no input. All that it has started is ended with it, also where the user interrupts us.

    Raises:
        BackendUnavailable: it cannot be started.
    """
    with log.open("wb") as said:
        try:
            process = subprocess.Popen(
                command, cwd=log.parent, env=environment, stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BackendUnavailable(f"{quoted(command[0])} cannot be started ({reason})") from error
        try:
            begun = time.monotonic()
            while process.poll() is None:
                passed = time.monotonic() - begun
                if passed > limit_s:
                    return None
                progress(int(passed), int(limit_s))
                time.sleep(POLL_S)
        finally:
            _end(process)
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_line(log: Path) -> str:
    """The last line that a program has printed; empty if it has printed none."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LAST_BYTES))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""
