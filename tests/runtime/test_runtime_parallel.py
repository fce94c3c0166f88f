"""Threads that keep the order, pass on errors, and do not run away."""

import os
import threading
import time
from pathlib import Path

import cv2
import pytest
from threadpoolctl import threadpool_info

from understudy.runtime import parallel
from understudy.runtime.parallel import (
    available_cores,
    in_order,
    limit_workers,
    prefetch,
    worker_count,
    write_behind,
)


@pytest.fixture(autouse=True)
def _two_workers():
    with limit_workers(2):
        yield


def numbers(count: int, made: list[int]):
    for number in range(count):
        made.append(number)
        yield number


def test_prefetch_keeps_order_and_stays_near():
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


@pytest.mark.parametrize(("picture_px", "most"), [(1280 * 720, 5), (3840 * 2160, 3)], ids=["720p", "4K"])
def test_fewer_large_pictures_are_in_work_at_once(picture_px, most):
    made, taken, ahead = 0, 0, []

    def pictures():
        nonlocal made
        for number in range(20):
            made += 1
            yield number

    with limit_workers(4, picture_px):
        for _ in in_order(lambda number: number, pictures()):
            taken += 1
            ahead.append(made - taken + 1)
            time.sleep(0.001)
    assert max(ahead) == most


def test_write_behind_does_everything_in_order():
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


def test_one_worker_needs_no_threads():
    threads = set()

    def work(number: int) -> int:
        threads.add(threading.get_ident())
        return number

    def items():
        for number in range(5):
            threads.add(threading.get_ident())
            yield number

    with limit_workers(1):
        assert list(prefetch(items())) == list(in_order(work, items())) == list(range(5))
        assert sum(1 for _ in write_behind(work, items())) == 5
    assert threads == {threading.get_ident()}


def test_the_limit_holds_for_libraries_and_ends_with_its_block(monkeypatch):
    monkeypatch.delenv("LP_NUM_THREADS", raising=False)
    cv2.setNumThreads(2)
    with limit_workers(3):
        assert worker_count() == 3
        with limit_workers():
            assert worker_count() == 3
        assert os.environ["LP_NUM_THREADS"] == "3"
        assert cv2.getNumThreads() == 1
        assert {library["num_threads"] for library in threadpool_info()} <= {1}
    assert worker_count() == 2
    assert "LP_NUM_THREADS" not in os.environ
    assert cv2.getNumThreads() == 2
    monkeypatch.setenv("LP_NUM_THREADS", "1")  # the user's own word
    with limit_workers(3):
        assert os.environ["LP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/a/b\n", {"a/cpu.max": "250000 100000", "a/b/cpu.max": "max 100000", "cpu.max": "max 100000"}, 2),
        ("4:memory:/x\n2:cpu,cpuacct:/x\n", {"cpu,cpuacct/x/cpu.cfs_quota_us": "150000"}, 1),
        ("2:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1"}, 16),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("nonsense\n", {}, 16),
    ],
)
def test_available_cores_are_those_of_the_control_group(membership, files, cores, tmp_path: Path, monkeypatch):
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if "cfs" in name:
            (path.parent / "cpu.cfs_period_us").write_text("100000")
    (tmp_path / "membership").write_text(membership)
    monkeypatch.setattr(parallel, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(parallel, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    assert available_cores() == cores


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (4, 4), (5, 4), (16, 15)])
def test_large_machines_keep_a_core_for_their_user(cores, workers, monkeypatch):
    monkeypatch.setattr(parallel, "available_cores", lambda: cores)
    monkeypatch.setattr(parallel, "_limit", None)
    assert worker_count() == workers
