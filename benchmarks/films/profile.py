"""Where the CPU seconds of a recast go, by stage and by function, and how much memory each stage takes.

    python -m benchmarks.films.profile --data ../shared/data --out build/profile [--shot pullout_boy_path] [--end 1.0]
    python -m benchmarks.films.profile --data ../shared/data --out build/profile_3840 --width 3840

Recasts one shot with the knight in this process; with `--width` the shot is enlarged first, and encoded as films are.
A sampler looks at every Python thread a few hundred times a second, and counts the CPU time that the thread has taken
since for the function in which it is, with what that calls in libraries. What threads of libraries take (x264,
FFmpeg, OpenGL in software) is counted together. Writes `results/profile.json` (`results/profile_WIDTH.json`), unless
a part of a shot is profiled.
"""

import argparse
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import cv2

from benchmarks.films.recast import peak_mb
from benchmarks.record import save, table
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import open_shot, read_frames
from understudy.runtime.parallel import worker_count
from understudy.runtime.progress import Progress, silent
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.recast import recast_with

INTERVAL_S = 0.004
MAX_FUNCTIONS = 40
STATUS, CLEAR_REFS, FORGET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs"), "5"
"""Where Linux tells a process's peak memory, and what makes it start again. Source: Linux man-pages, proc(5)."""
OWN = "understudy"


class Sampler:
    """Counts CPU seconds by function, over all Python threads, until the block ends."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._clocks: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        own = threading.get_ident()
        while not self._ended.wait(INTERVAL_S):
            for thread, frame in sys._current_frames().items():
                try:
                    used = time.clock_gettime(time.pthread_getcpuclockid(thread))
                except OSError:  # it has ended meanwhile
                    continue
                name = "the sampler itself" if thread == own else _function(frame)
                # A new thread may have the number of one that has ended: its clock starts again.
                self.seconds[name] += max(used - self._clocks.get(thread, 0.0), 0.0)
                self._clocks[thread] = used


def _function(frame: FrameType | None) -> str:
    """The innermost of our own functions, by module and name."""
    while frame is not None:
        parts = Path(frame.f_code.co_filename).with_suffix("").parts
        if OWN in parts:
            module = ".".join(parts[len(parts) - parts[::-1].index(OWN) :])
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return "libraries alone"


class StageClock:
    """A narrator who notes the time, the CPU seconds and the peak memory of each stage."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str | float]] = []

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """Measure a stage."""
        started, cpu = time.perf_counter(), time.process_time()
        CLEAR_REFS.write_text(FORGET_PEAK)
        yield silent
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        row = {"stage": title, "cpu_s": round(cpu_seconds, 2), "s": round(seconds, 2), "peak_mb": peak_mb(STATUS)}
        self.rows.append(row)
        print(table([row]), flush=True)


def main() -> None:
    """Profile one recast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shot", default="pullout_boy_path")
    parser.add_argument("--end", type=float)
    parser.add_argument("--width", type=int)
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    shot, character = options.data / f"shots/{options.shot}.mp4", options.data / "rigs/knight.glb"
    if options.width:
        shot = enlarged(shot, options.out.with_suffix(".mp4"), options.width)
    frames = len(open_shot(shot, None, options.end))
    clock, started, cpu = StageClock(), time.perf_counter(), time.process_time()
    with Sampler() as sampler:
        recast_with(shot, character, options.out, RecastConfig(end=options.end), clock)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    counted = dict(sampler.seconds.most_common(MAX_FUNCTIONS))
    counted["threads of libraries"] = max(cpu_seconds - sum(sampler.seconds.values()), 0.0)
    functions = [
        {"function": name, "cpu_s": round(value, 2)}
        for name, value in sorted(counted.items(), key=lambda item: -item[1])
    ]
    stages = sorted(clock.rows, key=lambda row: -float(row["cpu_s"]))
    print(table(stages))
    print(table(functions))
    figures = {
        "shot": options.shot,
        "frames": frames,
        "width": open_shot(shot).width,
        "cpu_s_per_frame": round(cpu_seconds / frames, 3),
        "peak_mb": max(row["peak_mb"] for row in clock.rows),
        "workers": worker_count(),
        "cpu_s": round(cpu_seconds, 1),
        "s": round(seconds, 1),
        "stages": stages,
        "functions": functions,
    }
    if options.end is None:
        print(save(f"profile_{options.width}" if options.width else "profile", figures))


def enlarged(path: Path, target: Path, width: int) -> Path:
    """A shot with larger pictures."""
    shot = open_shot(path)
    size = (width, round(width * shot.height / shot.width / 2) * 2)
    target.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(target, *size, shot.frame_rate, "film") as writer:
        for frame in read_frames(shot):
            writer.write(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC))
    return target


if __name__ == "__main__":
    main()
