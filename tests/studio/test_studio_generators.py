"""Generators of meshes, run by command: what stands in their file, how they end, what is made of their meshes."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import understudy
from understudy.characters.rig.character import character_from_rig
from understudy.io.gltf.write import write_character
from understudy.io.pictures.files import read_picture
from understudy.io.weights import PACKAGE, ensure_weights
from understudy.runtime.errors import BackendUnavailable, FileFormatError, InputError
from understudy.runtime.progress import silent
from understudy.studio.character import page, showing
from understudy.studio.character.config import CastConfig
from understudy.studio.character.filming import View
from understudy.studio.character.generators import Generator, generator_named, run_generator
from understudy.studio.character.moving import POSES

PICTURE = PACKAGE / "synthetic/films/sample_character.png"
COPY = "import shutil, sys; print('made'); shutil.copy(sys.argv[2], sys.argv[3])"


def written(path: Path, **entries: dict) -> Path:
    """A file of generators."""
    lines = [
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in one.items()) for name, one in entries.items()
    ]
    path.write_text("\n".join(lines))
    return path


def command(code: str, *more: str) -> str:
    return json.dumps([sys.executable, "-c", code, "{picture}", *more, "{mesh}"])


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"command": "[]"}, "command"),
        ({"command": '"a {picture} {mesh}"'}, "command"),
        ({"command": '["a", "{mesh}"]'}, r"no \{picture\}"),
        ({"command": '["a", "{mesh}", "{picture}"]', "mesh": '"stl"'}, "mesh"),
        ({"command": '["a", "{mesh}", "{picture}"]', "time_limit_s": "-1"}, "time_limit_s"),
        ({"command": '["a", "{mesh}", "{picture}"]', "shell": "true"}, "shell"),
        ({"command": '["a", "{mesh}", "{picture}"]', "environment": "{ A = 1 }"}, "environment.A"),
    ],
)
def test_a_wrong_entry_is_one_sentence(entry, words, tmp_path):
    with pytest.raises(FileFormatError, match=words):
        generator_named("mine", written(tmp_path / "generators.toml", mine=entry))


def test_files_and_names_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_config_dir", lambda *names, **options: str(tmp_path / "config"))
    with pytest.raises(InputError, match=r"config/generators.toml.*--generators"):
        generator_named("mine", None)
    file = written(tmp_path / "generators.toml", other={"command": command("")})
    with pytest.raises(InputError, match="no generator 'mine'; it has other"):
        generator_named("mine", file)
    file.write_text("[mine")
    with pytest.raises(FileFormatError, match="no TOML"):
        generator_named("mine", file)


def run(tmp_path: Path, code: str, **options: object) -> Path:
    generator = Generator(command=json.loads(command(code)), **options)
    mesh = tmp_path / "mesh.glb"
    run_generator(generator, "mine", tmp_path / "picture.png", mesh, silent)
    return mesh


def test_arguments_arrive_as_they_are_and_our_environment_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.chdir(tmp_path)
    folder = Path("a folder; echo $HOME 'x'")
    folder.mkdir()
    code = (
        "import json, os, sys; open(sys.argv[2], 'w').write(json.dumps([sys.argv[1:],"
        " os.environ.get('PYTHONPATH'), os.environ['MINE'], sys.stdin.read()]))"
    )
    content = json.loads(run(folder, code, environment={"MINE": "$HOME"}).read_text())
    arguments = [str(tmp_path / folder / name) for name in ("picture.png", "mesh.glb")]
    assert content == [arguments, None, "$HOME", ""]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('no weights'); sys.exit(3)", "ended with code 3: 'no weights'"),
        ("pass", "wrote no 'mesh.glb': it said nothing"),
    ],
)
def test_a_generator_that_fails_is_one_sentence(code, words, tmp_path):
    with pytest.raises(InputError, match=words):
        run(tmp_path, code)


@pytest.mark.posix
def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    code = (
        "import subprocess, sys, time; p = subprocess.Popen(['sleep', '60']);"
        " open('child', 'w').write(str(p.pid)); time.sleep(60)"
    )
    begun = time.monotonic()
    with pytest.raises(InputError, match="longer than 4 s"):
        run(tmp_path, code, time_limit_s=4)
    child = Path("/proc", (tmp_path / "child").read_text(), "stat")
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() - begun < 30
        time.sleep(0.05)


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(BackendUnavailable, match="'no_such_program' cannot be started"):
        run_generator(
            Generator(command=["no_such_program", "{picture}", "{mesh}"]), "mine", tmp_path / "a.png",
            tmp_path / "mesh.glb", silent,
        )  # fmt: skip


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TURN_S": 0.1,
        "WALK_S": 0.1,
        "SQUARE": View(width=48, height=48),
        "STILL": View(width=48, height=48),
    }.items():
        monkeypatch.setattr(showing, name, value)
    for module in (showing, page):
        monkeypatch.setattr(module, "POSES", {"a squat": POSES["a squat"]})


def test_a_generators_mesh_becomes_the_character(quick, tmp_path):
    try:
        ensure_weights("blazepose")
    except BackendUnavailable as error:
        pytest.skip(str(error))
    options = {"picture": replace(CastConfig().picture, vertices=1500, texture_px=128)}
    plain = understudy.cast(PICTURE, tmp_path / "plain", **options)
    body = character_from_rig(plain.character)
    R = np.diag([-1.0, 1.0, -1.0])  # it looks the other way, and is large
    mesh = replace(body.mesh, vertices=40 * body.mesh.vertices @ R, normals=body.mesh.normals @ R)
    write_character(tmp_path / "made.glb", replace(body, mesh=mesh, roles={}))
    file = written(tmp_path / "g.toml", mine={"command": command(COPY, str(tmp_path / "made.glb"))})
    options |= {"generator": "mine", "generators": file, "height_m": 1.5}
    hero = understudy.cast(PICTURE, tmp_path / "hero", **options)
    assert hero.executed == ("generator", "character", "turntable", "report")
    made = character_from_rig(hero.character)
    assert made.height_m == pytest.approx(1.5, abs=1e-3)
    for role in ("LeftHand", "RightFoot", "Head"):
        ours, theirs = (np.linalg.inv(one.T_joint_mesh)[one.roles[role], :3, 3] / one.height_m for one in (body, made))
        assert np.linalg.norm(ours[:2] - theirs[:2]) < 0.05, role
    assert read_picture(tmp_path / "hero/generated/picture.png").shape == read_picture(PICTURE).shape
    assert "by generator mine" in hero.report.read_text()
    assert understudy.cast(PICTURE, tmp_path / "hero", **options).executed == ()
    with pytest.raises(InputError, match="is a model"):
        understudy.cast(plain.character, tmp_path / "rig", generator="mine", generators=file)
    assert not (tmp_path / "rig").exists()
