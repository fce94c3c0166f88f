"""Options of every stage: from Python, from a TOML file, on the command line."""

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from understudy.cinematography.fitters import CAMERA_FITTERS
from understudy.cli.main import main
from understudy.cli.verbs.recast import _parsed
from understudy.render.renderers import RENDERERS
from understudy.runtime.errors import FileFormatError, InputError
from understudy.studio.pipeline.config import RecastConfig, chosen_camera_fitter, chosen_renderer
from understudy.studio.pipeline.config_file import read_config
from understudy.studio.pipeline.stages.performing import retarget_settings

GIVEN = ["shot.mp4", "--character", "hero.png", "-o", "film"]


def test_every_stage_can_be_set_in_a_file(tmp_path):
    path = tmp_path / "recast.toml"
    path.write_text(
        'quality = "draft"\nstart = 2\ncutout = "cut.png"\n[body]\nwindow_frames = 90\n[plate.blend]\nfeather_px = 6\n'
        "[opengl]\nshadow_map_px = 512\n"
    )
    config = read_config(path)
    assert (config.quality, config.start, config.cutout) == ("draft", 2.0, Path("cut.png"))
    assert (config.body.window_frames, config.plate.blend.feather_px) == (90, 6)
    assert config.plate.memory_mb == RecastConfig().plate.memory_mb
    assert chosen_renderer(config).shadow_map_px == 512


def test_the_foot_lock_is_set_in_either_place(tmp_path):
    path = tmp_path / "recast.toml"
    path.write_text('[retarget]\nfoot_lock = "ground"\n')
    assert retarget_settings(read_config(path)).foot_lock == "ground"
    assert retarget_settings(_parsed([*GIVEN, "--foot-lock", "always", "--config", str(path)])[1]).foot_lock == "always"
    assert _parsed([*GIVEN, "--foot-lock", "never"])[1].foot_lock == "never"
    for arguments in (["recast", *GIVEN], ["animate", "hero"]):
        with pytest.raises(SystemExit) as stop:
            main([*arguments, "--foot-lock", "glue"])
        assert stop.value.code == 2


def numbers(config: object, prefix: str = "") -> Iterator[tuple[str, object, str]]:
    """Every number of a set of options and of those in it: its full name, the options that hold it, its field."""
    for one in fields(config):
        value = getattr(config, one.name)
        if is_dataclass(value):
            yield from numbers(value, f"{prefix}{one.name}.")
        elif type(value) in (int, float):
            yield f"{prefix}{one.name}", config, one.name


NUMBERS = [one for one in numbers(RecastConfig()) if "." in one[0]]


@pytest.mark.parametrize(("name", "config", "field"), NUMBERS, ids=[name for name, *_ in NUMBERS])
def test_every_number_has_bounds(name, config, field):
    values = (-1e12, 1e12, math.nan) if isinstance(getattr(config, field), float) else (-(10**12), 10**12)
    for value in values:
        with pytest.raises(InputError, match=f"--{field.replace('_', '-')} is"):
            replace(config, **{field: value})


def test_every_renderer_and_camera_fitter_can_be_chosen():
    assert get_args(get_type_hints(RecastConfig)["renderer"]) == tuple(RENDERERS)
    assert get_args(get_type_hints(RecastConfig)["camera_fitter"]) == tuple(CAMERA_FITTERS)
    for name, kind in RENDERERS.items():
        assert isinstance(chosen_renderer(RecastConfig(renderer=name)), kind)
    for name, kind in CAMERA_FITTERS.items():
        assert isinstance(chosen_camera_fitter(RecastConfig(camera_fitter=name)), kind)


def test_choices_are_what_they_may_be():
    """In a process of its own: here, types are checked already."""
    code = (
        "import understudy.studio.options as o, understudy.runtime.errors as e\n"
        "for name in ('quality', 'renderer', 'camera_fitter', 'passes', 'film_codec'):\n"
        "    try: o.RecastOptions(**{name: 'best'})\n"
        "    except e.InputError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert (
        said.splitlines()[2] == "--camera-fitter is 'best'; give one of plate, points, dnerf" and said.count("\n") == 5
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "no TOML"),
        ("a = " + "[" * 100_000, "no TOML"),
        ("\udc80", "no TOML"),
        ("[bodies]\nx = 1", "'bodies'; give one of start,"),
        ("[plate.blend]\nfeather = 6", "'plate.blend.feather'; give one of mask_threshold"),
        ("plate = 7", r"write a table \[plate\]"),
        ('[plate]\nmemory_mb = "much"', "plate.memory_mb is 'much'"),
        ("[plate]\nmemory_mb = 400.5", "plate.memory_mb is '400.5'"),
        ('quality = "best"', "quality is 'best'"),
        ("strict = 1", "strict is '1'"),
        ("[light]\nsamples = 0", r"in \[light\]: --samples is 0; give 1 to 1000"),
        ("actor = 0", "--actor is 0"),
        ("start = nan", "start is 'nan'"),
        ("start = 1979-05-27", "start is '1979-05-27'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_key(tmp_path, text, words):
    path = tmp_path / "recast.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(FileFormatError, match=words) as error:
        read_config(path)
    assert "recast.toml" in str(error.value) and len(str(error.value)) < 1000
    assert str(error.value).isprintable()


def test_the_command_line_counts_more_than_the_file(tmp_path):
    (tmp_path / "recast.toml").write_text('quality = "draft"\n[plate.blend]\nfeather_px = 6\ngrowth = 0.02\n')
    words = [
        *GIVEN,
        "--config",
        str(tmp_path / "recast.toml"),
        "--plate.blend.feather-px",
        "3",
        "--camera-fitter",
        "dnerf",
    ]
    given, config = _parsed(words)
    assert (given.shot, given.until) == (Path("shot.mp4"), None)
    assert (config.quality, config.camera_fitter) == ("draft", "dnerf")
    assert (config.plate.blend.feather_px, config.plate.blend.growth) == (3, 0.02)


def test_the_usual_options_are_the_same_with_and_without_those_of_stages():
    words = [*GIVEN, "--quality", "draft", "--no-refine", "--until", "plate", "--renderer", "reference"]
    usual, everything = _parsed(words), _parsed([*words, "--light.samples", "8"])
    assert usual[1] == everything[1] and usual[0].until == everything[0].until == "plate"
    with pytest.raises(InputError, match="--actor is 0"):
        _parsed([*GIVEN, "--actor", "0"])


def test_help_shows_the_usual_options_and_all_of_them_on_request(capsys):
    pages = []
    for word in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as stop:
            main(["recast", word])
        assert stop.value.code == 0
        pages.append(capsys.readouterr().out)
    usual, everything = (set(re.findall(r"--[a-z][a-z0-9.-]+", page)) for page in pages)
    assert "--quality" in usual and len([line for line in pages[0].splitlines() if line]) < 110
    for name in (
        "--body.terms.pixel-sigma",
        "--plate.parallax.sweep.walls",
        "--look.grain",
        "--dnerf.config.key-frames",
    ):
        assert name in everything and name not in usual
    assert "As a share" not in pages[0] and "Standard deviation" in pages[1]


@pytest.mark.parametrize("words", [["--config"], ["--config", "nowhere.toml"], ["--until", "paint"]])
def test_what_cannot_be_used_is_said_in_one_sentence(tmp_path, monkeypatch, words, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["recast", *GIVEN, *words]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("understudy: ") and said.count("\n") == 0
    assert not (tmp_path / "film").exists()


def test_stages_are_listed(capsys):
    assert main(["stages"]) == 0
    said = capsys.readouterr().out
    assert said.index("people") < said.index("camera fit") < said.index("report.html")
    assert main(["stages", "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("| Stage |")
