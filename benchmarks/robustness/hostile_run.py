"""One command line of `hostile.py`, run in a folder of its own and watched from outside."""

import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from understudy.io.weights import cache_folder

__all__ = ["Case", "Outcome", "run_case"]

LONGEST_S = 20.0
"""A command that is not refused is asked to end then."""
QUIET_CODES = {0, 2, 3, 130, 143}
"""Done, bad input, a backend is missing, interrupted, asked to end; 1 (the machine's own trouble) with its sentence."""

_WATCHED = """
import sys, time
from pathlib import Path
report = Path(sys.argv.pop(1))
started = time.process_time()
from understudy.cli.main import main
try:
    code = main()
except SystemExit as stop:
    code = stop.code if isinstance(stop.code, int) else 2 if stop.code else 0
finally:
    report.write_text(Path("/proc/self/status").read_text() + f"Seconds: {time.process_time() - started}\\n")
sys.exit(code)
"""


@dataclass(frozen=True)
class Case:
    """One command line."""

    group: str
    name: str
    prepare: Callable[[Path], list[str]]
    """Lays out files in a folder, into which the command is started; returns its arguments."""
    outputs: tuple[str, ...] = ("film", "clip.mp4", "clip.camera.json", "clip.preview.png", "run", "data")
    """Names in that folder that the command may make or change."""
    environment: dict[str, str] = field(default_factory=dict)
    must_be_refused: bool = False
    """Whether what is given is no input at all: to work on it, or to wait for it, is a fault."""


@dataclass(frozen=True)
class Outcome:
    """What became of a command line."""

    arguments: tuple[str, ...]
    exit_code: int
    said: str
    program: bool
    """Whether it ran as a program from its start: its memory is its whole peak then, else what it grew by."""
    ended: bool
    """Whether it was asked to end, after it was not refused for so long."""
    memory_mb: float
    seconds: float
    """Of the processor: the machine may be busy."""
    outside: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether its input was; where nobody is in the shot, every file was read."""
        return self.exit_code in (1, 2, 3) and not self.ended and "nobody was found" not in self.said

    @property
    def traceback(self) -> bool:
        crashed = self.exit_code < 0 and not (self.ended and self.exit_code == -signal.SIGTERM)
        sentence = self.exit_code != 1 or "understudy: " in self.said
        return crashed or self.exit_code not in QUIET_CODES | {1, -15} or not sentence or "Traceback" in self.said


def run_case(case: Case, folder: Path, program: bool) -> Outcome:
    """Run a command line in a folder of its own, and compare everything else before and after."""
    work = folder / "work"
    for name in ("work", "tmp", "home", "beside"):
        (folder / name).mkdir(parents=True)
    (folder / "beside" / "keep.txt").write_text("somebody else's")
    (folder / "home" / "keep.txt").write_text("somebody's")
    arguments = case.prepare(work)
    allowed = [work / name for name in case.outputs] + [folder / name for name in ("tmp", "said.txt", "status.txt")]
    before = _listing(folder, allowed)
    environment = os.environ | {
        "TMPDIR": str(folder / "tmp"),
        "HOME": str(folder / "home"),
        "UNDERSTUDY_CACHE": str(cache_folder()),
        "OMP_NUM_THREADS": "1",
        **case.environment,
    }
    run = _program if program or case.environment else _forked
    code, ended, memory_mb, seconds = run(arguments, folder, work, environment)
    said = (folder / "said.txt").read_text(errors="replace")[-4000:]
    after = _listing(folder, allowed)
    changed = tuple(sorted(str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path)))
    shutil.rmtree(folder, ignore_errors=True)
    is_program = run is _program
    return Outcome(tuple(arguments), code, said, is_program, ended, memory_mb, seconds, changed)


def _listing(folder: Path, allowed: list[Path]) -> dict[Path, tuple]:
    """Everything in a folder but what may change: kind, size, time of change, where a link leads."""
    found = {}
    for path in folder.rglob("*"):
        if not any(path == other or other in path.parents for other in allowed):
            status = path.lstat()
            moment = 0 if path.is_dir() and not path.is_symlink() else status.st_mtime_ns
            link = os.readlink(path) if path.is_symlink() else ""
            found[path] = (status.st_mode, 0 if path.is_dir() else status.st_size, moment, link)
    return found


def _program(arguments: list[str], folder: Path, work: Path, environment: dict) -> tuple[int, bool, float, float]:
    """Run as a program from its start."""
    report = folder / "status.txt"
    with (folder / "said.txt").open("wb") as said:
        command = [sys.executable, "-c", _WATCHED, str(report), *arguments]
        process = subprocess.Popen(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        ended = _wait(process.poll, process.pid)
        code = process.wait()
    text = report.read_text() if report.exists() else "VmHWM: 0\nSeconds: 0\n"
    return code, ended, _field(text, "VmHWM:") / 1024, _field(text, "Seconds:")


def _forked(arguments: list[str], folder: Path, work: Path, environment: dict) -> tuple[int, bool, float, float]:
    """Run main in a copy of this process, which has loaded the modules."""
    load_modules()
    started = time.process_time()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            said = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT)
            for stream in (1, 2):
                os.dup2(said, stream)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdout, sys.stderr = (
                os.fdopen(1, "w", errors="backslashreplace"),
                os.fdopen(2, "w", errors="backslashreplace"),
            )
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.chdir(work)
            os.environ.clear()
            os.environ.update(environment)
            Path("/proc/self/clear_refs").write_text("5")
            before = _field(Path("/proc/self/status").read_text(), "VmRSS:")
            started = time.process_time()
            from understudy.cli.main import main

            try:
                code = main(arguments)
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 2 if stop.code else 0
            peak = _field(Path("/proc/self/status").read_text(), "VmHWM:")
            seconds = time.process_time() - started
            (folder / "status.txt").write_text(f"Grown: {peak - before}\nSeconds: {seconds}\n")
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    status = None
    ended = False
    deadline = time.monotonic() + LONGEST_S
    while status is None:
        pid, found = os.waitpid(child, os.WNOHANG)
        if pid:
            status = found
        elif time.monotonic() > deadline + 40:
            os.kill(child, signal.SIGKILL)
        elif time.monotonic() > deadline and not ended:
            os.kill(child, signal.SIGTERM)
            ended = True
        else:
            time.sleep(0.01)
    code = os.waitstatus_to_exitcode(status)
    report = folder / "status.txt"
    text = report.read_text() if report.exists() else f"Grown: 0\nSeconds: {time.process_time() - started}\n"
    return code, ended, _field(text, "Grown:") / 1024, _field(text, "Seconds:")


def _wait(poll: Callable[[], int | None], pid: int) -> bool:
    """Wait until a process ends; whether it had to be asked to."""
    deadline, ended = time.monotonic() + LONGEST_S, False
    while poll() is None:
        if time.monotonic() > deadline + 40:
            os.kill(pid, signal.SIGKILL)
        elif time.monotonic() > deadline and not ended:
            os.kill(pid, signal.SIGTERM)
            ended = True
        time.sleep(0.02)
    return ended


def _field(text: str, name: str) -> float:
    return float(text.split(name)[1].split()[0])


def load_modules() -> None:
    """What the verbs import when they are called."""
    import understudy.evaluation.scene
    import understudy.evaluation.transfer
    import understudy.studio.recast
    import understudy.studio.scene.render_dataset
    import understudy.studio.scene.shoot
    import understudy.studio.scene.train  # noqa: F401
