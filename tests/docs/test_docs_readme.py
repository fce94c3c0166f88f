"""The README's commands: all are understood by the program that they call, and those which take seconds are run."""

import importlib
import re
import shlex
import shutil
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from page_makers import ROOT, written

from understudy.cli.main import VERBS, main

README = written("README.md")
COMMANDS = [shlex.split(line, comments=True) for line in re.findall(r"^ {4}(\S.*)$", README, re.MULTILINE)]
IN_TEXT = [shlex.split(words) for words in re.findall(r"`((?:make|pip|understudy) [^`]*)`", README)]
OURS = [command for command in COMMANDS + IN_TEXT if command[0] == "understudy"]
OTHERS = [command for command in COMMANDS + IN_TEXT if command[0] != "understudy"]


class Understood(Exception):
    """The options were parsed; the work does not begin."""


@pytest.fixture
def parse_only(monkeypatch):
    """Verbs stop when their own parser has understood the options."""

    def stop(module):
        parse = module.parse

        def parsed(*arguments):
            raise Understood(parse(*arguments))

        monkeypatch.setattr(module, "parse", parsed)

    for verb in VERBS:
        stop(importlib.import_module(f"understudy.cli.verbs.{verb}"))


def run_verb(command: list[str]) -> None:
    """Like `understudy …`, but errors come through."""
    if command[1] in ("shoot", "scene") and find_spec("torch") is None:
        pytest.skip("needs the scene extra: PyTorch")
    importlib.import_module(f"understudy.cli.verbs.{command[1]}").main(command[2:])


def test_there_are_commands_of_every_verb():
    assert {command[1] for command in OURS} == set(VERBS)


@pytest.mark.parametrize("command", OURS, ids=" ".join)
def test_a_command_is_understood(command, parse_only):
    with pytest.raises(Understood):
        run_verb(command)


def test_a_misspelt_option_is_not_understood(parse_only):
    with pytest.raises(SystemExit) as stop:
        run_verb(["understudy", "recast", "shot.mp4", "--charcter", "hero.png", "-o", "film/"])
    assert stop.value.code == 2


@pytest.mark.parametrize("command", OTHERS, ids=" ".join)
def test_what_is_installed_and_made_exists(command):
    if command[0] == "make":
        assert re.search(rf"^{command[1]}:", written("Makefile"), re.MULTILINE)
    else:
        assert command[:2] == ["pip", "install"]
        place, _, extra = command[-1].partition("[")
        assert place == "." and (ROOT / place / "pyproject.toml").is_file()
        extras = tomllib.loads(written("pyproject.toml"))["project"]["optional-dependencies"]
        assert not extra or extra.rstrip("]") in extras


def test_the_first_recast_and_the_lines_of_python_make_the_same_film(studio, tmp_path, capsys, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(shutil.copytree(studio, tmp_path / "studio"))
    names: dict = {}
    exec(code, names)
    assert names["film"].executed == ()
    assert capsys.readouterr().out.split() == ["film/film.mp4", "film/report.html"]


def test_what_the_table_of_the_folder_names_is_in_the_folder(film):
    table = README[README.index("| In the film's folder") :].partition("\n\n")[0]
    names = [name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]*)`", row.split("|")[1])]
    assert len(names) > 6 and [name for name in names if not (film / name).exists()] == []


@pytest.mark.parametrize("command", [["doctor"], ["weights", "list"]], ids=" ".join)
def test_what_only_looks_is_run(command, film, capsys):
    assert ["understudy", *command] in OURS
    assert main(command) == 0
    assert "blazepose" in capsys.readouterr().out.lower()


def test_links_lead_somewhere():
    """Of all pages: to files that are there, and to headings that they have."""
    anchor = importlib.import_module("scripts.markdown").anchor
    wrong = []
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            name, _, heading = target.partition("#")
            if target.startswith(("http:", "https:")):
                continue
            file = (page.parent / name).resolve() if name else page
            heads = [] if file.suffix != ".md" or not file.is_file() else headings(file)
            if not file.exists() or (heading and heading not in map(anchor, heads)):
                wrong.append(f"{page.name}: {target}")
    assert wrong == []


def headings(file: Path) -> list[str]:
    return re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
