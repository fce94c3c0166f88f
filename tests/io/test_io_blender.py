"""Characters in files that only Blender reads come in by a process of its own, or end in one sentence."""

import os
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_person import box_person

from understudy.characters.rig.character import character_from_rig
from understudy.core.character import Morph
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.kinematics import rest_pose
from understudy.io.blender import convert
from understudy.io.blender.convert import BLENDER_SUFFIXES, blender_command, converted_to_glb
from understudy.io.gltf.write import write_character
from understudy.runtime.errors import BackendUnavailable, CharacterError
from understudy.studio.pipeline.stages.casting import CharacterFiles, check_character, is_model, readable

SAVE = """
import sys, bpy
source, target, evil = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
if source != "nothing":
    bpy.ops.import_scene.gltf(filepath=source)
if evil:
    text = bpy.data.texts.new("evil.py")
    text.write(f"open({evil!r}, 'w').write('was here')")
    text.use_module = True
if target.endswith(".fbx"):
    bpy.ops.export_scene.fbx(filepath=target, add_leaf_bones=False)
elif target.endswith(".blend"):
    bpy.ops.wm.save_as_mainfile(filepath=target)
else:
    bpy.ops.wm.usd_export(filepath=target, export_armatures=True)
"""


@pytest.fixture(scope="module")
def blender() -> list[str]:
    command = blender_command()
    if command is None:
        pytest.skip("no Blender: install it, or set UNDERSTUDY_BLENDER to it or to a Python that has bpy")
    return command


def saved(blender, folder: Path, name: str, source: Path | str, evil: Path | str = "") -> Path:
    """A file as Blender saves it."""
    script = folder / "save.py"
    script.write_text(SAVE)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    words = [*blender, script, "--", source, folder / name, evil]
    subprocess.run(list(map(str, words)), check=True, capture_output=True, env=environment)
    return folder / name


def smiling():
    person = box_person()
    head = np.flatnonzero(person.skin_joints[:, 0] == BODY_JOINTS.index("Head"))
    smile = Morph("smile", head, np.full((len(head), 3), 0.01))
    return replace(person, roles={}, mesh=replace(person.mesh, morphs=(smile,)))


@pytest.mark.parametrize("name", ["model.fbx", "model.blend", "model.usdc"])
def test_a_rig_comes_through_blender(blender, tmp_path, name):
    person = smiling()
    write_character(tmp_path / "person.glb", person)
    path, evil = saved(blender, tmp_path, name, tmp_path / "person.glb", tmp_path / "evil"), tmp_path / "evil"
    with converted_to_glb(path) as glb:
        assert glb.stem == "model"
        character = character_from_rig(glb)
    assert not evil.exists() and not glb.exists()
    rest, truth = (rest_pose(c.skeleton.parents, c.skeleton.T_parent_joint)[:, :3, 3] for c in (character, person))
    at = rest[[character.roles[role] for role in BODY_JOINTS]]
    assert np.abs(at - truth).max() < 1e-4
    assert abs(character.height_m - person.height_m) < 1e-4
    assert [morph.name for morph in character.mesh.morphs] == ["smile"]


def test_a_file_without_a_figure(blender, tmp_path):
    path = saved(blender, tmp_path, "empty.blend", "nothing")
    with pytest.raises(CharacterError, match=r"holds no mesh"), converted_to_glb(path):
        pass
    (tmp_path / "broken.fbx").write_bytes(b"Kaydara FBX Binary  \x00\x1a\x00nothing")
    with pytest.raises(CharacterError, match=r"cannot be read by Blender"), converted_to_glb(tmp_path / "broken.fbx"):
        pass


def program(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "blender"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_without_blender_one_sentence_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "model.fbx").write_bytes(b"FBX")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UNDERSTUDY_BLENDER", raising=False)
    monkeypatch.setattr(convert.importlib.util, "find_spec", lambda name: None)
    with (
        pytest.raises(BackendUnavailable, match=r"install it from blender\.org"),
        converted_to_glb(tmp_path / "model.fbx"),
    ):
        pass
    monkeypatch.setenv("UNDERSTUDY_BLENDER", "nowhere/blender")
    with pytest.raises(BackendUnavailable, match="no program"), converted_to_glb(tmp_path / "model.fbx"):
        pass


@pytest.mark.posix
def test_blender_runs_without_the_files_scripts_and_for_casting(tmp_path, monkeypatch):
    """A stand-in for Blender: it notes what it is called with, and writes the GLB that it is asked for."""
    write_character(tmp_path / "person.glb", replace(box_person(), roles={}))
    stand_in = program(tmp_path, f'echo "$@" > {tmp_path}/words\nwhile [ "$1" != -- ]; do shift; done\n'
                       f"/bin/cp {tmp_path}/person.glb \"$3\"")  # fmt: skip
    monkeypatch.setenv("UNDERSTUDY_BLENDER", str(stand_in))
    source = tmp_path / "hero model.FBX"
    source.write_bytes(b"FBX")
    check_character(source, None, None)
    assert is_model(source) and all(is_model(Path(f"x{suffix}")) for suffix in BLENDER_SUFFIXES)
    with readable(CharacterFiles(source, None, None)) as files:
        assert character_from_rig(files.path).name == "hero model"
    words = (tmp_path / "words").read_text().split()
    assert {"--background", "--factory-startup", "--disable-autoexec"} <= set(words)


@pytest.mark.posix
def test_a_blender_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "MAX_S", 0.5)
    monkeypatch.setenv("UNDERSTUDY_BLENDER", str(program(tmp_path, f"/bin/sleep 60 & echo $! > {tmp_path}/pid; wait")))
    (tmp_path / "model.dae").write_bytes(b"<dae/>")
    began = time.monotonic()
    with pytest.raises(CharacterError, match="did not come to an end"), converted_to_glb(tmp_path / "model.dae"):
        pass
    assert time.monotonic() - began < 20
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("what it had started goes on")


@pytest.mark.posix
def test_what_blender_says_last_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_BLENDER", str(program(tmp_path, "echo loading; echo 'no display \x1b[31m'; exit 7")))
    (tmp_path / "model.usdz").write_bytes(b"PK")
    with pytest.raises(CharacterError, match=r"no display \\x1b") as told, converted_to_glb(tmp_path / "model.usdz"):
        pass
    assert "\x1b" not in str(told.value)
