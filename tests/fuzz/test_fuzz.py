"""Damaged files of every kind become a result or one printable sentence, whatever is damaged.

The seeds are fixed: the same files each time. `benchmarks/robustness/hostile.py` reads a hundred thousand of them, and
measures memory and time.
"""

import random

import pytest
from file_kinds import FILE_KINDS, valid_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated

from understudy.runtime.errors import UnderstudyError

EXAMPLES = {"film": 25, "matte": 25, "rig": 60, "edited bvh": 60, "bvh": 60, "manifest": 60}
"""How many damaged files of a kind, where that is not 120: some readers are slower."""


@pytest.mark.parametrize("name", FILE_KINDS)
def test_the_valid_file_is_read_and_an_empty_one_refused(name, tmp_path):
    kind = FILE_KINDS[name]
    path = tmp_path / kind.file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(valid_bytes(kind, tmp_path))
    kind.read(path)
    path.write_bytes(b"")
    with pytest.raises(UnderstudyError):
        kind.read(path)


@pytest.mark.parametrize("name", FILE_KINDS)
def test_a_damaged_file_is_read_or_refused_in_one_sentence(name, tmp_path):
    kind = FILE_KINDS[name]
    valid = valid_bytes(kind, tmp_path)
    path = tmp_path / kind.file

    @settings(
        max_examples=EXAMPLES.get(name, 120), derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(seed=st.integers(0, 2**32 - 1))
    def check(seed: int) -> None:
        path.write_bytes(mutated(valid, random.Random(seed)))
        try:
            kind.read(path)
        except UnderstudyError as error:
            text = str(error)
            assert text.isprintable() and 10 < len(text) <= 1000

    check()


def test_damage_is_the_same_each_time(tmp_path):
    valid = valid_bytes(FILE_KINDS["rig"], tmp_path)
    assert mutated(valid, random.Random(7)) == mutated(valid, random.Random(7)) != valid
