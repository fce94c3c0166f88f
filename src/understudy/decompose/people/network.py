"""Networks of LiteRT, run by several threads."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from understudy.runtime.parallel import in_order

__all__ = ["Network", "spread"]

MAX_COPIES = 4
"""How many copies of a network run at the same time: the largest needs 60 MB for each."""
MAX_THREADS = 4
"""Of one copy: its layers are small, more threads wait for each other."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Network:
    """A network as a function that threads may call at the same time. The outputs are the same bytes for any number of
    `threads` of one call: each is written by one thread alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: dict[int, list[Interpreter]] = {}

    def __call__(self, x: np.ndarray, threads: int = 1) -> list[np.ndarray]:
        """The outputs for an input without its batch axis."""
        idle = self._idle.setdefault(threads, [])
        try:
            interpreter = idle.pop()
        except IndexError:
            interpreter = Interpreter(str(self._path), num_threads=threads)
            interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x[None])
        interpreter.invoke()
        outputs = [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
        idle.append(interpreter)
        return outputs


def spread(work: Callable[[Item, int], Result], items: Sequence[Item], workers: int) -> list[Result]:
    """`work(item, threads)` for each item, on as many threads as `workers` in all; in the items' order."""
    busy = max(min(len(items), workers, MAX_COPIES), 1)
    run = partial(_run, work, threads=max(min(workers // busy, MAX_THREADS), 1))
    return [run(item) for item in items] if busy == 1 else list(in_order(run, items, busy))


def _run(work: Callable[[Item, int], Result], item: Item, threads: int) -> Result:
    return work(item, threads)
