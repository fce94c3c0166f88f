"""The page about video models: whole, escaped, drawn to its box."""

import re

import numpy as np
import pytest
from jinja2 import UndefinedError

from understudy.evaluation.page import Clips, Plot, Table, render_evaluation
from understudy.studio.report.templates import render_template

NAME = '<b onclick="x">&'
ESCAPED = "&lt;b onclick=&#34;x&#34;&gt;&amp;"


def test_tables_clips_and_plots_are_there_and_every_text_is_escaped():
    films = np.zeros((2, 3, 8, 8, 3), np.uint8)
    text = render_evaluation(
        NAME,
        NAME,
        [Table(NAME, NAME, [{NAME: NAME}])],
        [Plot(NAME, NAME, NAME, {NAME: np.eye(2)})],
        [Clips(NAME, {NAME: films}, [NAME])],
    )
    assert "<b onclick" not in text and "{{" not in text and "{%" not in text
    # Title twice and facts; of the table title, note, head and cell; of the plot title twice, both axes and one line;
    # of the clips title, row and words.
    assert text.count(ESCAPED) == 3 + 4 + 5 + 3
    assert text.count("data:image/webp;base64,") == 1


def test_a_plot_fills_its_box_and_leaves_out_what_is_not_a_number():
    line = np.array([[2.0, 10.0], [3.0, np.nan], [6.0, 30.0]])
    text = render_evaluation("a", "b", [], [Plot("loss", "step", "dB", {"ours": line})], [])
    assert re.search(r'<polyline[^>]* points="44.0,216.0 390.0,10.0"', text)
    assert ">step 2</text>" in text and ">6</text>" in text and ">10</text>" in text and ">30</text>" in text


def test_a_plot_without_points_is_drawn_empty():
    assert "<polyline" in render_evaluation("a", "b", [], [Plot("loss", "step", "dB", {"ours": np.zeros((0, 2))})], [])


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError):
        render_template("understudy.evaluation", "page.html", title="a")
