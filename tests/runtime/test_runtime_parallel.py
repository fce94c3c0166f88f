"""Threads that keep the order, pass on errors, and do not run away."""

import threading
import time

import pytest

from understudy.runtime.parallel import in_order, prefetch, write_behind


def numbers(count: int, made: list[int]):
    for number in range(count):
        made.append(number)
        yield number


def test_ahead_keeps_order_and_stays_near():
    made: list[int] = []
    stream = prefetch(numbers(50, made), count=3)
    assert next(stream) == 0
    time.sleep(0.05)
    assert len(made) <= 5
    assert [0, *stream] == list(range(50))


def test_in_order_uses_two_threads_and_keeps_order():
    threads = set()

    def work(number: int) -> int:
        threads.add(threading.get_ident())
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(in_order(work, range(30))) == [number * number for number in range(30)]
    assert len(threads) == 2
    made: list[int] = []
    stream = in_order(work, numbers(50, made))
    next(stream)
    assert len(made) <= 4
    stream.close()


def test_behind_does_everything_in_order():
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.001)
        done.append(number)

    assert sum(1 for _ in write_behind(work, range(20))) == 20
    assert done == list(range(20))


def test_errors_come_out():
    def failing(number: int) -> int:
        if number == 5:
            raise ValueError("five")
        return number

    def broken():
        yield 1
        raise ValueError("five")

    with pytest.raises(ValueError, match="five"):
        list(in_order(failing, range(10)))
    with pytest.raises(ValueError, match="five"):
        list(prefetch(broken()))
    with pytest.raises(ValueError, match="five"):
        list(write_behind(failing, range(10)))
