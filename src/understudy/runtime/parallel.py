"""Frames prepared ahead of time, in threads: decoding, encoding and NumPy let other threads run meanwhile."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_order", "prefetch", "write_behind"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(items: Iterable[Item], count: int = 3) -> Iterator[Item]:
    """The items, up to `count` of them made in a thread before they are asked for."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, iterator, end) for _ in range(count))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, iterator, end))
                yield item
        finally:
            for future in waiting:
                future.cancel()


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int = 2) -> Iterator[Result]:
    """`work` of each item, several at a time; the results come in the items' order."""
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


def write_behind(work: Callable[[Item], None], items: Iterable[Item], count: int = 2) -> Iterator[None]:
    """Do `work` with each item in one thread while the next items are made; yields after each item is handed over."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[None]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            while len(waiting) > count or (waiting and waiting[0].done()):
                waiting.popleft().result()
            yield
        while waiting:
            waiting.popleft().result()
