"""The report page: escaped, whole, and honest about missing values."""

import numpy as np

from understudy.studio.report_page import Curve, Section, Strip, Verdict, render_page


def page(values: np.ndarray) -> str:
    section = Section(
        "The shot",
        [Verdict("camera <1>", "poor", "Bad & worse.", {"residual": "3 px"})],
        [Strip("original", [np.zeros((8, 12, 3), np.uint8)])],
        [Curve("residual", "px", values, limit=2.0)],
    )
    return render_page("a <b> shot", "12 frames", b"\x00\x01", 24.0, [section], ["film.mp4: the film"])


def test_text_is_escaped_and_everything_is_inside():
    html = page(np.ones(10))
    assert "a &lt;b&gt; shot" in html and "camera &lt;1&gt;" in html and "Bad &amp; worse." in html
    assert 'class="poor"' in html
    assert html.count("data:image/jpeg;base64,") == 1 and "data:video/mp4;base64,AAE=" in html
    assert "$" not in html.split("<script>")[0].split("</style>")[1]  # every placeholder was filled


def test_curves_leave_gaps_where_there_is_no_value():
    values = np.ones(10)
    assert page(values).count('class="curve"') == 1
    values[4] = np.nan
    assert page(values).count('class="curve"') == 2
    assert "NaN" not in page(np.full(10, np.nan)) and "nan" not in page(np.full(10, np.nan)).split("<svg")[1]
