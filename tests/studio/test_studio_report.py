"""The report page: escaped, whole, and honest about missing values."""

import html as html_text
import json
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from understudy.io.video.streams import VideoWriter
from understudy.studio.pipeline.artifact import Role
from understudy.studio.pipeline.stages.reporting import FilmFacts, listing
from understudy.studio.report.page import Curve, Section, Strip, Verdict, render_page
from understudy.studio.report.quality import Quality
from understudy.studio.report.verdicts import Choices, verdicts
from understudy.studio.stage_reports import (
    CameraFitReport,
    CameraReport,
    CharacterReport,
    FramingReport,
    LightReport,
    PeopleReport,
    PlateReport,
    PresenceReport,
    StageReports,
)


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
    assert "{{" not in html and "{%" not in html


def test_no_text_from_outside_becomes_markup():
    name = '<img src=x onerror="alert(1)">&\'.mp4'
    section = Section(
        name,
        [Verdict(name, "poor", name, {name: name})],
        [Strip(name, [np.zeros((8, 12, 3), np.uint8)])],
        [Curve(name, name, np.ones(10))],
    )
    text = render_page(name, name, b"", 24.0, [section], [f"{name}: {name}"])
    inert = "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;&amp;&#39;.mp4"
    assert "<img src=x" not in text and 'onerror="' not in text
    assert text.count(inert) == 14


def test_curves_leave_gaps_where_there_is_no_value():
    values = np.ones(10)
    assert page(values).count('class="curve"') == 1
    values[4] = np.nan
    assert page(values).count('class="curve"') == 2
    assert "NaN" not in page(np.full(10, np.nan)) and "nan" not in page(np.full(10, np.nan)).split("<svg")[1]


def test_a_limit_does_not_strike_its_unit_out():
    text = page(np.ones(10))
    limit = float(re.search(r'class="limit"[^>]* y1="([\d.]+)"', text)[1])
    baseline = float(re.search(r'y="(\d+)" text-anchor="end">px<', text)[1])
    assert baseline <= limit - 3 or baseline - 11 > limit  # Above or below it; letters are 11 px high.


def test_what_is_written_for_compositors_is_listed():
    facts = FilmFacts("a", 1.0, {"cut_01/": 1}, 2, (Role(1), Role(3, 2)))
    for passes, folder in (("exr", "passes/exr"), ("png", "passes/png")):
        lines = list(listing(facts, passes))
        assert any(line.startswith(f"cut_01/{folder}: ") for line in lines)
        for name in ("actors/3/motion.bvh", "performance_2/motion.bvh", "performance/motion.npz", "camera/fitted.json"):
            assert any(line.startswith(f"cut_01/{name}: ") for line in lines), name


def test_frames_are_numbered_as_in_the_film_s_files():
    section = Section("The shot", [], [], [Curve("jitter", "", np.ones(10))])
    text = render_page("a", "b", b"", 12.0, [section], [], first_frame=1001, frame_step=2)
    assert ">frame 1001</text>" in text and ">1010</text>" in text
    assert "firstFrame = 1001, frameStep = 2" in text


REPORTS = StageReports(
    CharacterReport("hero.glb", 1.7, 9, 22, 22, "rig", []),
    PeopleReport(1, [1.0], [(0.0, 0.0)]),
    CameraReport("static", 0.1, 0, []),
    PlateReport("static", 0.1, 1.0, 0.0, 1.0),
    PresenceReport(1.0, 1.0),
    CameraFitReport(*(FramingReport(error, 0.0, 0.0, 0.0) for error in (0.1, 0.05, 0.01))),
    LightReport("shadow", 1.0),
)


def levels(first_frame: int = 1, **figures: np.ndarray) -> dict[str, Verdict]:
    """Verdicts of a film that is good in everything but the figures given."""
    good = {
        "reprojection_percent": 0.5,
        "mask_iou": 0.95,
        "foot_slide_mm": 1.0,
        "jitter": 10.0,
        "camera_residual_px": 0.2,
    }
    quality = Quality(**{name: np.full(50, value) for name, value in good.items()} | figures)
    found = verdicts(REPORTS, quality, Choices(first_frame=first_frame))
    return {verdict.stage: verdict for verdict in found}


def peak(usual: float, worst: float, frame: int = 20) -> np.ndarray:
    values = np.full(50, float(usual))
    values[frame] = worst
    return values


def test_a_film_without_faults_is_green():
    assert {verdict.level for verdict in levels().values()} == {"good"}


@pytest.mark.parametrize(
    "stage, name, usual, worst",
    [
        ("smoothness", "jitter", 10.0, 152.0), ("feet", "foot_slide_mm", 1.0, 24.0),
        ("camera track", "camera_residual_px", 0.2, 5.0), ("matte", "mask_iou", 0.95, 0.3),
        ("body track", "reprojection_percent", 0.5, 9.0),
    ],
)  # fmt: skip
def test_one_bad_moment_is_not_green_and_is_named(stage, name, usual, worst):
    """A median does not see what an audience does."""
    verdict = levels(1001, **{name: peak(usual, worst)})[stage]
    assert verdict.level in ("fair", "poor")
    assert any("frame 1021" in text for text in verdict.figures.values())


def test_a_figure_without_values_is_no_fault():
    nothing = np.full(50, np.nan)
    found = levels(foot_slide_mm=nothing, jitter=nothing)
    assert found["feet"].level == "off" and found["smoothness"].level == "good"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def real_page(tmp_path_factory) -> Path:
    """A page with everything that a report has, long words and wide pictures among it."""
    folder = tmp_path_factory.mktemp("page")
    with VideoWriter(folder / "player.mp4", 64, 72, Fraction(24), "film") as writer:
        for _ in range(6):
            # The original is dark, the result bright.
            writer.write(np.repeat([[[10] * 3], [[240] * 3]], [36, 36], 0).repeat(64, 1).astype(np.uint8))
    found = list(levels(jitter=peak(10, 152)).values())
    curves = [Curve("camera track: tracking error", "px", np.random.default_rng(0).uniform(0, 1, 50), 2.5)] * 5
    strips = [Strip("original", [np.zeros((236, 420, 3), np.uint8)] * 5)]
    section = Section("The shot", found, strips, curves)
    listing = ["cut_01/actors/1/" + "a_very_long_name" * 8 + ".bvh: the actor's motion; edit it and run again"]
    text = render_page(
        "shot_" + "x" * 90 + ".mp4 with hero.png",
        "1280 × 720",
        (folder / "player.mp4").read_bytes(),
        24.0,
        [section],
        listing,
    )
    (folder / "report.html").write_text(text)
    return folder / "report.html"


def in_browser(page: Path, width: int, script: str) -> dict:
    """What a script finds out on the page, shown at a width; the script gives a promise of it."""
    outer = page.with_name(f"outer_{width}.html")
    outer.write_text(
        f'<iframe id="inside" style="width:{width}px;height:900px;border:0" '
        f'srcdoc="{html_text.escape(page.read_text())}"></iframe><pre id="found">nothing</pre><script>'
        f"const inside = document.getElementById('inside');"
        f"inside.onload = async () => {{ const page = inside.contentDocument, view = inside.contentWindow;"
        f"document.getElementById('found').textContent = JSON.stringify(await (async () => {{ {script} }})()); }};"
        "</script>"
    )
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=15000", "--dump-dom",
               f"--user-data-dir={page.parent / 'profile'}", f"file://{outer}"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(html_text.unescape(re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)[1]))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [320, 400, 900])
def test_nothing_is_cut_off_at_the_width_of_a_telephone(real_page, width):
    script = """
      const right = (element) => element.getBoundingClientRect().right;
      const wide = [...page.body.querySelectorAll("*")].filter((element) => right(element) > view.innerWidth + 1);
      const gap = parseFloat(view.getComputedStyle(page.querySelector("ul.files")).columnGap);
      return {scroll: page.documentElement.scrollWidth, wide: wide.map((e) => e.tagName), gap: gap};"""
    found = in_browser(real_page, width, script)
    assert found["scroll"] <= width and not found["wide"]
    # The second column's bullets lie in the gap.
    assert found["gap"] >= 30


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
def test_the_wipe_follows_a_finger(real_page):
    script = """
      const canvas = page.querySelector("canvas"), wait = (ms) => new Promise((done) => setTimeout(done, ms));
      page.querySelector('[data-mode=wipe]').click();
      const touch = view.getComputedStyle(canvas).touchAction;
      const shares = [];
      for (const share of [0.25, 0.75]) {
        const box = canvas.getBoundingClientRect();
        canvas.dispatchEvent(new view.PointerEvent("pointermove", {pointerType: "touch", buttons: 1, bubbles: true,
          clientX: box.left + share * box.width, clientY: box.top + 5}));
        await wait(300);
        shares.push(view.eval("wipe"));
      }
      return {touch, shares};"""
    found = in_browser(real_page, 400, script)
    assert found["touch"] == "none"
    assert found["shares"] == pytest.approx([0.25, 0.75], abs=0.01)
