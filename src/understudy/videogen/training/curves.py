"""What a training leaves to look at: curves as lines of JSON, and pictures of truth above sample."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Float
from pydantic import ConfigDict
from torch import Tensor

from understudy.io.files import read_bytes
from understudy.io.pictures.files import write_png
from understudy.io.records import Record, parse_record
from understudy.io.text import replace_text
from understudy.runtime.errors import FileFormatError, UnderstudyError
from understudy.runtime.progress import Progress
from understudy.videogen.sample import frames_of

__all__ = ["Curves", "read_curves", "write_contact_sheet"]

MAX_CURVES_BYTES = 64 << 20


class Curves:
    """Appends a line per entry; lines of steps after the one that training goes on from are dropped."""

    def __init__(self, path: Path, first: int, steps: int, samples_per_step: int) -> None:
        self._path, self._first, self._steps, self._samples_per_step = path, first, steps, samples_per_step
        self._kept = [line for line in read_curves(path) if line["step"] <= first]
        self._started, self._waited_s = time.monotonic(), 0.0
        self._begun = False

    @property
    def seconds(self) -> float:
        """Since this was made."""
        return time.monotonic() - self._started

    @property
    def waited_share(self) -> float:
        """Of those seconds, spent `waiting`."""
        return self._waited_s / max(self.seconds, 1e-9)

    def samples_per_s(self, step: int) -> float:
        """Since this was made."""
        return (step - self._first) * self._samples_per_step / max(self.seconds, 1e-9)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count what happens within as time spent waiting for clips."""
        before = time.monotonic()
        yield
        self._waited_s += time.monotonic() - before

    def after_step(
        self, accelerator: Accelerator, step: int, loss: Tensor, log_every: int, time_limit_s: float, progress: Progress
    ) -> bool:
        """Tell and log where training stands; whether this was the last step, for all processes alike.

        Raises:
            UnderstudyError: the loss is no longer finite.
        """
        finished = step == self._steps
        logged = finished or step % log_every == 0
        # All processes must agree on when to stop.
        late = torch.tensor([self.seconds > time_limit_s], device=accelerator.device)
        stopped = logged and bool(torch.as_tensor(accelerator.gather(late)).any())
        if accelerator.is_main_process:
            progress(step, self._steps)
        if logged and not torch.isfinite(loss):
            raise UnderstudyError(f"the loss is no number at step {step}: start again with lower learning rates")
        if logged and accelerator.is_main_process:
            self.write(step, float(loss))
        return finished or stopped

    def write(self, step: int, loss: float) -> None:
        """Append where training stands: loss of this step, seconds of all its runs, rate, and time left."""
        if not self._begun:
            replace_text(self._path, "".join(json.dumps(line) + "\n" for line in self._kept))
            self._begun = True
        before_s = self._kept[-1]["seconds"] if self._kept else 0.0
        line = {
            "step": step,
            "loss": loss,
            "seconds": round(before_s + self.seconds, 2),
            "samples_per_s": round(self.samples_per_s(step), 2),
            "waited_share": round(self.waited_share, 4),
            "seconds_left": round(self.seconds / max(step - self._first, 1) * (self._steps - step)),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class _Line(Record):
    model_config = ConfigDict(extra="allow")

    step: int
    loss: float
    seconds: float = 0.0


def read_curves(path: Path) -> list[dict[str, float | int]]:
    """The lines of a training's curves; a last line that was cut off is left out.

    Raises:
        FileFormatError: the file is too large, or no regular file.
    """
    if not path.exists():
        return []
    lines = []
    for text in read_bytes(path, "file of curves", MAX_CURVES_BYTES).splitlines():
        try:
            lines.append(parse_record(text, path, _Line, "line of curves").model_dump())
        except FileFormatError:
            break
    return lines


def write_contact_sheet(
    path: Path,
    truth: Float[Tensor, "batch frame 3 height width"],
    sampled: Float[Tensor, "batch frame 3 height width"],
) -> None:
    """A picture of clips as rows of frames, each truth above its sample."""
    rows = [row for pair in zip(frames_of(truth), frames_of(sampled), strict=True) for row in pair]
    write_png(path, np.concatenate([np.concatenate(list(row), 1) for row in rows]))
