"""docs/architecture.md: its packages, arrows and stages are those of the code."""

import re
import sys
from pathlib import Path

from page_makers import ROOT, maker, written

import understudy
from understudy.studio.pipeline.order import STAGES

architecture_page = maker("scripts.architecture_page")


def test_the_page_is_in_step_with_the_code():
    assert architecture_page.page() == written("docs/architecture.md"), "run: make docs"


def test_an_arrow_that_a_longer_way_implies_is_left_out():
    edges = {"cli": {"studio", "io"}, "studio": {"io"}, "io": set()}
    assert architecture_page.reduced(edges) == {"cli": {"studio"}, "studio": {"io"}, "io": set()}


def test_a_stage_is_three_clicks_from_the_readme():
    """The README leads to the page, and the page to the file of every stage, and of what does its work."""
    assert "(docs/architecture.md)" in written("README.md")
    linked = {(ROOT / "docs" / link).resolve() for link in re.findall(r"\]\(([^)#]+)", written("docs/architecture.md"))}
    works = [stage.work for stage in STAGES]
    public = ["find_people", "solve_camera", "make_clean_plate", "refine_matte", "fit_actor", "retarget_motion"]
    for function in [*works, *(getattr(understudy, name) for name in public)]:
        assert Path(sys.modules[function.__module__].__file__).resolve() in linked, function
