"""The command line: verbs, help, and bad input as one sentence with exit code 2."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import understudy
from understudy.cli.main import VERBS, main
from understudy.io.video import VideoWriter

ROOT = Path(__file__).resolve().parents[1]


def noise_shot(path: Path, frames: int = 12, size: tuple[int, int] = (160, 96)) -> Path:
    """A shot with nobody in it."""
    rng = np.random.default_rng(0)
    with VideoWriter(path, *size, Fraction(24), "film") as writer:
        for _ in range(frames):
            writer.write(rng.integers(60, 200, (size[1], size[0], 3), dtype=np.uint8))
    return path


@pytest.fixture(scope="session")
def sample() -> dict[str, Path]:
    return {"shot": ROOT / "examples/sample_shot.mp4", "character": ROOT / "examples/sample_character.png"}


def expect_one_sentence(capsys: pytest.CaptureFixture, arguments: list[object], *words: str) -> None:
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0, said
    assert said.startswith("understudy: ")
    assert "Traceback" not in said
    for word in words:
        assert word in said, said


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert f"understudy {verb}" in capsys.readouterr().out


def test_help_does_not_load_the_stages():
    code = (
        "import sys; from understudy.cli.main import main\n"
        "try: main(['recast', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'cv2', 'scipy', 'moderngl', 'pycolmap', 'ai_edge_litert'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_unknown_verb_and_version(capsys):
    expect_one_sentence(capsys, ["reshoot"], "reshoot", "recast")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == understudy.__version__
    assert main([]) == 0


def test_an_interrupted_verb_promises_nothing(monkeypatch, capsys):
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("understudy.cli.main.import_module", interrupted)
    assert main(["shoot"]) == 130
    assert "what is finished" in capsys.readouterr().err


def test_bad_shots(tmp_path, sample, capsys):
    text = tmp_path / "text.mp4"
    text.write_text("this is no film")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    one = noise_shot(tmp_path / "one.mp4", frames=1)
    cut_off = tmp_path / "cut_off.mp4"
    cut_off.write_bytes(noise_shot(tmp_path / "whole.mp4").read_bytes()[:700])
    for shot in (tmp_path / "absent.mp4", text, empty, one, cut_off, tmp_path):
        arguments = ["recast", shot, "--character", sample["character"], "-o", tmp_path / "film"]
        expect_one_sentence(capsys, arguments, shot.name)
    assert not (tmp_path / "film").exists()


def test_bad_options(tmp_path, sample, capsys):
    base = ["recast", sample["shot"], "--character", sample["character"], "-o", tmp_path / "film"]
    expect_one_sentence(capsys, [*base, "--height-m", "180"], "--height-m", "180", "metres")
    expect_one_sentence(capsys, [*base, "--actor", "0"], "--actor")
    expect_one_sentence(capsys, [*base, "--start", "3", "--end", "2"], "--end")
    expect_one_sentence(capsys, [*base, "--start", "600"], "600")
    for option in ("--joints", "--cutout"):
        expect_one_sentence(capsys, [*base, option, tmp_path / "absent.file"], option, "absent.file")
    expect_one_sentence(capsys, ["evaluate", "transfer", "-o", tmp_path / "tables", "--moves"], "--moves", "arc")
    motions = ["--motions", tmp_path / "absent.bvh"]
    expect_one_sentence(capsys, ["evaluate", "transfer", "-o", tmp_path / "tables", *motions], "absent.bvh")
    assert not (tmp_path / "tables").exists()
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("words")
    expect_one_sentence(capsys, [*base[:-1], foreign], "chapter.txt")
    assert [path.name for path in foreign.iterdir()] == ["chapter.txt"]


def test_bad_characters(tmp_path, sample, capsys):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    dot = tmp_path / "dot.png"
    Image.new("RGB", (1, 1)).save(dot)
    broken = tmp_path / "broken.glb"
    broken.write_bytes(b"glTF\x02\x00\x00\x00\xff\xff\x00\x00")
    other = tmp_path / "character.txt"
    other.write_text("a hero")
    for character in (tmp_path / "absent.png", text, dot, broken, other):
        arguments = ["recast", sample["shot"], "--character", character, "-o", tmp_path / "film"]
        expect_one_sentence(capsys, arguments, character.name)
    assert not (tmp_path / "film/film.mp4").exists()


def test_weights_verb(capsys):
    assert main(["weights", "list"]) == 0
    assert "blazepose" in capsys.readouterr().out
    expect_one_sentence(capsys, ["weights", "fetch", "nothing"], "nothing", "blazepose")


def test_a_film_is_not_made_from_what_lies_in_its_own_folder(tmp_path, sample, capsys):
    film = tmp_path / "film"
    film.mkdir()
    shot, character = film / "film.mp4", film / "hero.png"
    shot.write_bytes(sample["shot"].read_bytes())
    character.write_bytes(sample["character"].read_bytes())
    (tmp_path / "link.mp4").symlink_to(shot)
    (tmp_path / "other").symlink_to(film)
    for given in (
        ["recast", shot, "--character", sample["character"], "-o", film],
        ["recast", tmp_path / "link.mp4", "--character", sample["character"], "-o", film],
        ["recast", shot, "--character", sample["character"], "-o", tmp_path / "other"],
        ["recast", sample["shot"], "--character", character, "-o", film],
        ["recast", sample["shot"], "--character", sample["character"], "-o", film, "--cutout", character],
    ):
        expect_one_sentence(capsys, given, "lies in", "copy it elsewhere")
    assert sorted(path.name for path in film.iterdir()) == ["film.mp4", "hero.png"]
