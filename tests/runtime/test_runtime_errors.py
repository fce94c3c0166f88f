"""Messages are printable and short, whatever was put into them; budgets count all parts of a file together."""

import pytest

from understudy.runtime.budget import Budget
from understudy.runtime.checks import check_option
from understudy.runtime.errors import CharacterError, FileFormatError, InputError, quoted


@pytest.mark.parametrize("given", ["\x1b[2J\x07", "a\nb\rc", "\u202egnp.exe", "\ud800", "\u2028", "\x00", "a\u2000b"])
def test_what_a_terminal_would_act_on_is_escaped(given):
    assert quoted(given).isprintable()
    assert str(InputError(f"got {given}: give another")).isprintable()


def test_what_is_given_takes_300_characters_and_keeps_its_ends():
    text = quoted("begin" + "x" * 100_000 + "end")
    assert len(text) <= 302 and text.startswith("'begin") and text.endswith("end'")
    assert len(str(InputError("y" * 100_000))) <= 900


def test_letters_of_all_writing_systems_stay():
    assert quoted("Größe 影 ñ.mp4") == "'Größe 影 ñ.mp4'"


def test_a_budget_counts_what_is_named_many_times():
    budget = Budget("rig.glb", 1000, CharacterError)
    budget.take("texture 1", 10, 10, bytes_each=4)
    budget.take("texture 2", 10, 10, bytes_each=4)
    with pytest.raises(CharacterError, match="texture 3"):
        budget.take("texture 3", 10, 10, bytes_each=4)


@pytest.mark.parametrize("size", [-1, 2.5, True, "7", None])
def test_a_size_that_is_no_whole_number_is_refused(size):
    with pytest.raises(FileFormatError, match="whole number"):
        Budget("a.bvh", 1000).take("frames", size)


def test_a_size_of_hundreds_of_digits_is_said_in_few():
    with pytest.raises(FileFormatError) as caught:
        Budget("a.bvh", 1000).take("frames", 10**400)
    assert len(str(caught.value)) < 200


def test_steps_are_counted_while_they_come():
    budget = Budget("a.glb", 1000)
    assert list(budget.counted("nodes", range(5), 5)) == [0, 1, 2, 3, 4]
    with pytest.raises(FileFormatError, match="more than 4 nodes"):
        list(budget.counted("nodes", iter(int, 1), 4))


@pytest.mark.parametrize("value", [0, 11, -1, 10**400, float("nan"), float("inf")])
def test_a_number_that_a_user_gives_has_both_bounds(value):
    with pytest.raises(InputError, match=r"--max-clips is .*; give 1 to 10") as caught:
        check_option("max_clips", value, 1, 10)
    assert len(str(caught.value)) < 400
    check_option("max_clips", 10, 1, 10)
