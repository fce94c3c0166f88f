"""How many workers may run at once, and work on frames spread over them.

Threads suffice: decoding, encoding, OpenCV and NumPy's larger operations let other threads run meanwhile. Results come
in the order of the items and do not depend on the number of workers.
"""

# threadpoolctl has no types.
# pyright: reportMissingTypeStubs=false

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

from threadpoolctl import threadpool_limits

__all__ = ["available_cores", "in_order", "limit_workers", "prefetch", "worker_count", "write_behind"]

Item = TypeVar("Item")
Result = TypeVar("Result")

ALL_CORES_UP_TO = 4
"""Machines with more cores keep one for their user."""
GROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
"""Linux's control groups, and in which of them this process is."""

LARGE_PICTURE_PX = 6_000_000
"""Of pictures with more pixels, fewer are made ahead: their arrays fill memory."""

MAX_WRITES_WAITING = 2
"""Items that `write_behind` holds, handed over and not yet written."""

_limit: int | None = None
_large_pictures = False


def available_cores() -> int:
    """The cores that this process may keep busy: by its affinity, and by the quota of its control group, as containers
    have one.

    Source: Linux kernel documentation, Control Group v2 (cpu.max) and CFS Bandwidth Control (cpu.cfs_quota_us).
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, int(min([cores, *_quotas()])))


def _quotas() -> Iterator[float]:
    """The CPU quotas, in cores, of this process's control groups and those around them, as far as they can be seen."""
    with suppress(OSError, ValueError):
        for line in MEMBERSHIP.read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            top = GROUPS / controllers
            group = top / name.lstrip("/")
            for folder in (group, *group.parents):
                yield from _quota_of(folder)
                if folder == top:
                    break


def _quota_of(folder: Path) -> Iterator[float]:
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        if quota != "max":
            yield int(quota) / int(period)
    with suppress(OSError, ValueError):
        quota_us, period_us = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        if quota_us > 0:
            yield quota_us / period_us


def worker_count() -> int:
    """How many workers may run at once: as `limit_workers` says; else all available cores, or all but one where there
    are more than `ALL_CORES_UP_TO`."""
    if _limit is not None:
        return _limit
    cores = available_cores()
    return cores if cores <= ALL_CORES_UP_TO else cores - 1


@contextmanager
def limit_workers(count: int | None = None, picture_px: int = 0) -> Generator[None, None, None]:
    """Let `count` workers run at once within the block (None: the default), and keep libraries from adding to them.

    Of pictures with more than `LARGE_PICTURE_PX` pixels, fewer are in work at once.

    OpenCV, BLAS and OpenMP get one thread each: frames are spread over the workers already, and the linear algebra is
    so small that threads would wait for each other. OpenGL in software, which draws one picture at a time, gets as many
    as there are workers, if its context is opened within the block.
    """
    global _limit, _large_pictures
    import cv2  # here: importing it takes long

    before, cv_threads = (_limit, _large_pictures), cv2.getNumThreads()
    _limit, _large_pictures = worker_count() if count is None else count, picture_px > LARGE_PICTURE_PX
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1), _llvmpipe_threads(_limit):
            yield
    finally:
        _limit, _large_pictures = before
        cv2.setNumThreads(cv_threads)


@contextmanager
def _llvmpipe_threads(count: int) -> Generator[None, None, None]:
    """Tell Mesa's software renderer, unless its user has told it."""
    if "LP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["LP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        del os.environ["LP_NUM_THREADS"]


def prefetch(items: Iterable[Item], count: int = 3) -> Iterator[Item]:
    """The items, up to `count` of them made in a thread before they are asked for; with one worker, each when it is."""
    iterator = iter(items)
    if worker_count() == 1:
        yield from iterator
        return
    count = 1 if _large_pictures else count

    def take() -> list[Item]:
        """The next item, or none."""
        return list(islice(iterator, 1))

    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(take) for _ in range(count))
        try:
            while taken := waiting.popleft().result():
                waiting.append(pool.submit(take))
                yield taken[0]
        finally:
            for future in waiting:
                future.cancel()


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None) -> Iterator[Result]:
    """`work` of each item, several at a time; the results come in the items' order.

    At most `workers` + 1 items (None: `worker_count`) are under way or waiting to be taken. Of large pictures half as
    many workers take one each.
    """
    workers = worker_count() if workers is None else workers
    workers = max(workers // 2, 1) if _large_pictures else workers
    if workers == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def write_behind(work: Callable[[Item], None], items: Iterable[Item]) -> Iterator[None]:
    """Do `work` with each item in one thread while the next items are made; yields after each item is handed over.

    With one worker, the next item is made when the work is done.
    """
    if worker_count() == 1:
        for item in items:
            work(item)
            yield
        return
    count = 1 if _large_pictures else MAX_WRITES_WAITING
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[None]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            while len(waiting) > count or (waiting and waiting[0].done()):
                waiting.popleft().result()
            yield
        while waiting:
            waiting.popleft().result()
