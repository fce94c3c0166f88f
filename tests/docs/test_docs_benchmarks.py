"""docs/benchmarks.md and the README's figures are those of benchmarks/results, and no others."""

import copy

import pytest
from page_makers import maker, written

page = maker("benchmarks.page")


def test_the_page_is_in_step_with_the_results():
    assert page.page() == written("docs/benchmarks.md"), "run: make docs"


def test_the_readme_is_in_step_with_the_results():
    assert page.readme() == written("README.md"), "run: make docs"


def test_every_result_is_on_the_page():
    text = written("docs/benchmarks.md")
    assert [name for name in page.results() if f"results/{name}.json" not in text] == []


@pytest.mark.parametrize(
    "figure", [("truth", "moves", 0, "mpjpe_mm"), ("cutout", "lowest_iou"), ("recast", "summary", "peak_mb")]
)
def test_another_figure_is_another_page(figure, monkeypatch):
    found = copy.deepcopy(page.results())
    part = found
    for key in figure[:-1]:
        part = part[key]
    part[figure[-1]] *= 1.5
    monkeypatch.setattr(page, "results", lambda: found)
    assert page.page() != written("docs/benchmarks.md")


def test_a_result_that_is_missing_is_said_to_be_not_measured(monkeypatch):
    found = {name: result for name, result in page.results().items() if name != "truth"}
    monkeypatch.setattr(page, "results", lambda: found)
    assert "## Shots with known truth\n\nNot measured yet." in page.page()


def test_a_result_that_no_section_knows_is_shown_as_it_is(monkeypatch):
    found = page.results() | {"unheard_of": {"commit": "abc", "rows": [{"workers": 2, "seconds": 1.25}], "cores": 2}}
    monkeypatch.setattr(page, "results", lambda: found)
    text = page.page()
    assert "### unheard_of\n\n- cores: 2\n" in text and "| workers | seconds |\n| --- | --- |\n| 2 | 1.25 |" in text


def test_the_readme_says_what_is_not_flattering():
    """A point cloud beside the trained model, and how often the check for subjects fires where nobody is."""
    text = written("README.md")
    assert "a point cloud with true depth, which needs no training" in text
    assert "the same check fires on" in text and "of the empty sets rendered from that point cloud" in text
