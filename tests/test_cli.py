"""The command line: verbs, help, and bad input as one sentence with exit code 2."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import understudy
from understudy.cli.console import ConsoleNarrator
from understudy.cli.main import VERBS, main
from understudy.io.video.streams import VideoWriter
from understudy.io.weights import BUNDLED, PACKAGE, read_manifest, verify_bundled
from understudy.studio import doctor

SAMPLE = PACKAGE / "synthetic/films"


def noise_shot(path: Path, frames: int = 12, size: tuple[int, int] = (160, 96)) -> Path:
    """A shot with nobody in it."""
    rng = np.random.default_rng(0)
    with VideoWriter(path, *size, Fraction(24), "film") as writer:
        for _ in range(frames):
            writer.write(rng.integers(60, 200, (size[1], size[0], 3), dtype=np.uint8))
    return path


@pytest.fixture(scope="session")
def sample() -> dict[str, Path]:
    return {"shot": SAMPLE / "sample_shot.mp4", "character": SAMPLE / "sample_character.png"}


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


def test_the_demo_recasts_the_sample_of_the_package(monkeypatch):
    given = []
    monkeypatch.setattr("understudy.cli.verbs.recast.main", given.append)
    assert main(["demo", "--end", "0.5"]) == 0
    (shot, _, character, *rest) = given[0]
    assert rest == ["--out", "film", "--end", "0.5"]
    for file in (shot, character):
        assert Path(file).is_file() and PACKAGE in Path(file).parents


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


class Suite(Exception):
    """A library's own."""


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "film/a.mkv"), 1, "the disk is full.*film/a.mkv"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 1, "the disk is full.*quota"),
        (OSError(errno.EFBIG, "File too large"), 1, "the disk is full"),
        (Suite("I/O error: No space left on device (os error 28)"), 1, "the disk is full"),
        (OSError(errno.EMFILE, "Too many open files"), 1, "Too many open files"),
        (OSError(errno.EIO, "Input/output error", b"a\xff"), 1, r"a\\udcff"),
        (PermissionError(errno.EACCES, "Permission denied", "film"), 2, "'film'.*Permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "film"), 2, "Read-only"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 5000), 2, "too long"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), 2, "temporary directory"),
        (MemoryError(), 1, "memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 1, "memory ran out"),
        (RuntimeError("can't start new thread"), 1, "memory ran out"),
        (ImportError("cv2.so: failed to map segment from shared object"), 1, "memory ran out"),
        (
            ModuleNotFoundError("No module named 'diffusers.models'", name="diffusers.models"),
            3,
            "pip install diffusers",
        ),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "^$"),
    ],
)
def test_the_machines_own_trouble_is_one_sentence(error, code, words, monkeypatch, capsys):
    monkeypatch.setattr("understudy.cli.main.import_module", raising(error))
    assert main(["recast"]) == code
    said = capsys.readouterr().err.strip()
    assert "Traceback" not in said and said.count("\n") == 0 and len(said) < 1000
    assert re.search(words, said), said


def raising(error: BaseException) -> Callable[[str], None]:
    def raise_it(name: str) -> None:
        raise error

    return raise_it


def test_a_fault_of_ours_keeps_its_traceback_and_asks_for_a_report(monkeypatch, capsys):
    for error in (KeyError("no"), ModuleNotFoundError("no", name="understudy.cli.no"), OSError("no number")):
        monkeypatch.setattr("understudy.cli.main.import_module", raising(error))
        assert main(["recast"]) == 1
        said = capsys.readouterr().err
        assert "Traceback" in said and "report it" in said


def in_a_process(code: str, *arguments: str, before: str = "", **options: object) -> subprocess.CompletedProcess:
    """`main` with a verb "recast" of the given code, after a line that runs before it."""
    script = (
        f"import sys, types, os, time, signal, understudy.cli.main as cli\n{before}\n"
        f"def verb(arguments):\n    {code}\n"
        "cli.import_module = lambda name: types.SimpleNamespace(main=verb)\n"
        "sys.exit(cli.main(['recast', *sys.argv[1:]]))"
    )
    return subprocess.run([sys.executable, "-c", script, *arguments], check=False, **({"text": True} | options))


@pytest.mark.posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_asked_to_end_it_cleans_up_and_says_so(tmp_path, name):
    number = getattr(signal, name)
    code = (
        "from understudy.studio.project import Project; p = Project(__import__('pathlib').Path(arguments[0]));"
        f" p.run('a', {{}}, {{}}, ['a'], lambda scratch: (os.kill(os.getpid(), {int(number)}), time.sleep(60)))"
    )
    # It may be ignored here: tests outlive their terminal.
    usual = f"signal.signal({int(number)}, signal.SIG_DFL)"
    ended = in_a_process(code, str(tmp_path / "film"), before=usual, capture_output=True)
    assert ended.returncode == 128 + number
    assert ended.stdout == "" and "Traceback" not in ended.stderr and "asked to end" in ended.stderr
    assert [path.name for path in (tmp_path / "film").iterdir()] == [".lock"]


@pytest.mark.posix
def test_asked_to_end_while_an_object_is_cleared_away_it_ends(tmp_path):
    """Python swallows what is raised there."""
    code = (
        "A = type('A', (), {'__del__': lambda self: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.2))});"
        " a = A(); del a; time.sleep(60)"
    )
    ended = in_a_process(code, capture_output=True)
    assert ended.returncode == 143 and "asked to end" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.posix
def test_no_library_takes_the_signal(tmp_path):
    """COLMAP's would print where its threads stand, and end the process with nothing cleaned up."""
    code = "import understudy.decompose.camera.solve; os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"
    ended = in_a_process(code, capture_output=True)
    assert ended.returncode == 143
    assert ended.stderr.startswith("understudy: asked to end") and ended.stderr.count("\n") == 1


@pytest.mark.posix
def test_nohup_holds():
    code = "os.kill(os.getpid(), signal.SIGHUP); print('still here')"
    ignore = partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
    ended = in_a_process(code, capture_output=True, preexec_fn=ignore)
    assert (ended.returncode, ended.stdout) == (0, "still here\n")


@pytest.mark.posix
def test_closed_and_full_outputs(tmp_path):
    many = "[print('x' * 1000) for _ in range(1000)]"
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as gone:
        gone.wait()
        ended = in_a_process(many, stdout=gone.stdin, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (1, "")
    with open("/dev/full", "w") as full:
        ended = in_a_process("print('x')", stdout=full, stderr=subprocess.PIPE)
        assert ended.returncode == 1 and "the disk is full" in ended.stderr and "Traceback" not in ended.stderr
        assert in_a_process("raise KeyError", stdout=full, stderr=full).returncode == 1
    # What is opened first gets the number of a closed output: what is printed must not end up in it.
    opened = "os.open(arguments[0], os.O_WRONLY | os.O_CREAT)"
    code = f"os.write({opened}, b'film'); print('x'); os.system('echo x; echo x >&2')"
    close = partial(os.closerange, 0, 3)
    assert in_a_process(code, str(tmp_path / "film"), preexec_fn=close).returncode == 0
    assert (tmp_path / "film").read_bytes() == b"film"


def test_text_that_the_terminal_cannot_show(tmp_path):
    ended = in_a_process(
        "print('…', arguments[0])", b"a\xff", capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert (ended.returncode, ended.stdout) == (0, "\\u2026 a\\udcff\n")


def test_nothing_unprintable_reaches_the_terminal(tmp_path, sample, capsys):
    evil = "a\x1b[31m\u202e" + "b" * 10_000
    wrong = ["recast", str(sample["shot"]), "--character", "a", "-o", "b"]
    for arguments in (
        [evil], ["scene", evil], ["weights", "fetch", evil], ["weights", evil], [*wrong, f"--{evil}"],
        [*wrong, "--height-m", evil], ["recast", evil, "--character", str(sample["character"]), "-o", "film"],
    ):  # fmt: skip
        with suppress(SystemExit):
            assert main(arguments) == 2
        said = capsys.readouterr().err
        assert said and all(line.isprintable() and len(line) <= 920 for line in said.splitlines()), said
    ConsoleNarrator().say(evil)
    assert capsys.readouterr().out.replace("\n", "").isprintable()
    logged = in_a_process("import logging; logging.warning('%s', arguments[0])", "a\x1b[31m\nb", capture_output=True)
    assert logged.stderr == "understudy: a\\x1b[31m\\nb\n"


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
    with (tmp_path / "huge.bvh").open("wb") as file:
        file.truncate(3 << 30)
    motions = ["--motions", tmp_path / "huge.bvh"]
    expect_one_sentence(capsys, ["evaluate", "transfer", "-o", tmp_path / "tables", *motions], "huge.bvh", "MiB")
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


def test_a_link_to_itself_and_a_file_beyond_reason_are_refused_at_once(tmp_path, sample, capsys):
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "loop.png").symlink_to("loop.png")
    for name in ("huge.png", "huge.glb"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(3 << 30)  # Takes no place on the disk.
    out = tmp_path / "film"
    expect_one_sentence(
        capsys, ["recast", tmp_path / "loop.mp4", "--character", sample["character"], "-o", out], "loop.mp4"
    )
    for name in ("loop.png", "huge.png", "huge.glb"):
        expect_one_sentence(capsys, ["recast", sample["shot"], "--character", tmp_path / name, "-o", out], name)
    assert not out.exists()


def test_the_doctor_reads_every_byte_of_the_weights(tmp_path, monkeypatch, capsys):
    for name in ("bundled.json", "weights.json"):
        assert (PACKAGE / "io" / name).is_file()
    bundled = {entry["name"] for entry in json.loads(BUNDLED.read_text())}
    assert bundled == {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.safetensors")}
    assert verify_bundled() == []
    (tmp_path / "weights/blazepose").mkdir(parents=True)
    for file in read_manifest()["blazepose"].files:  # of the right size, as after a bad disk
        (tmp_path / "weights/blazepose" / file.name).write_bytes(bytes(file.size))
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path))
    entries = [{"name": "io/weights.json", "size": 3, "sha256": "0" * 64}]
    (tmp_path / "bundled.json").write_text(json.dumps(entries))
    monkeypatch.setattr("understudy.io.weights.BUNDLED", tmp_path / "bundled.json")
    assert main(["doctor"]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "needs weights blazepose (damaged)" in said
    assert re.search(r"optional people, on request: .* needs weights blazepose_heavy \(absent\)", said)
    assert "weights.json has" in said and "install understudy again" in said


def test_the_doctor_says_what_to_install(monkeypatch, capsys):
    declared = ["av<20,>=16", "moderngl<6,>=5.12", "torch<3,>=2.7; extra == 'scene'", "scipy; extra == 'heic'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: declared)
    versions = {"moderngl": "4.0", "av": None, "torch": None}
    installed = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda package: versions.get(package, installed(package)))
    monkeypatch.setattr(doctor, "verify_weights", lambda name: [])
    assert main(["doctor"]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert f"understudy {understudy.__version__}" in said
    assert "needs package av: pip install 'av<20,>=16'" in said
    assert "needs package moderngl, here is 4.0: pip install 'moderngl<6,>=5.12'" in said
    assert re.search(r"optional extra scene: [^:]*needs torch: pip install 'understudy\[scene\]'", said)
    assert re.search(r"ready extra heic: [^:]*scipy \d", said)


@pytest.mark.parametrize(("driver", "platform", "option"), [(False, "linux", True), (True, "linux", False)])
def test_what_to_install_for_pytorch(driver, platform, option, monkeypatch, capsys):
    monkeypatch.setattr("understudy.cli.require_torch.find_spec", lambda name: None)
    monkeypatch.setattr("understudy.cli.require_torch._has_cuda", lambda: driver)
    monkeypatch.setattr("understudy.cli.require_torch.sys.platform", platform)
    assert main(["shoot", "--set", "a"]) == 3
    said = capsys.readouterr().err
    assert "pip install 'understudy[scene]'" in said and ("download.pytorch.org/whl/cpu" in said) == option


def test_help_names_every_kind_of_model_that_is_read():
    from understudy.studio.options import MODEL_KINDS
    from understudy.studio.pipeline.stages.casting import MODEL_SUFFIXES

    for suffix in MODEL_SUFFIXES:  # .usda, .usdc and .usdz are kinds of USD
        assert suffix[1:4] in MODEL_KINDS.lower(), suffix
