"""A character by itself: its folder, its report, its turntable, and what happens to edits."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_person import box_person
from productions import Listener

import understudy
from understudy.characters.rig.character import character_from_rig
from understudy.characters.rig.facts import rig_facts
from understudy.core.film import Performance, Take
from understudy.geometry.projection import project
from understudy.geometry.rigid import transform
from understudy.io.gltf.write import write_character
from understudy.io.pictures.files import read_picture, write_png
from understudy.io.video.streams import open_shot, read_video
from understudy.io.weights import PACKAGE, ensure_weights
from understudy.render.posing import Poser
from understudy.render.renderers import RENDERERS
from understudy.runtime.errors import BackendUnavailable, CharacterError, InputError
from understudy.studio.character import page, showing
from understudy.studio.character.cast import cast_with, given_view
from understudy.studio.character.config import CastConfig
from understudy.studio.character.filming import NEUTRAL_LIGHT, View, film, framing_camera
from understudy.studio.character.moving import POSES
from understudy.studio.character.showing import following_camera, static_camera, turntable
from understudy.studio.project import MANIFEST

PICTURE = PACKAGE / "synthetic/films/sample_character.png"
SMALL = View(width=64, height=64)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short turntables and small pictures."""
    for name, value in {"TURN_S": 0.25, "WALK_S": 0.25, "SQUARE": SMALL, "STILL": SMALL}.items():
        monkeypatch.setattr(showing, name, value)
    for module in (showing, page):
        monkeypatch.setattr(module, "POSES", {"a squat": POSES["a squat"]})


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    """A rig whose roles our writer left in the file."""
    write_character(tmp_path / "hero.glb", box_person())
    return tmp_path / "hero.glb"


def test_a_rig_is_shown_and_made_again_only_where_it_changed(rig, tmp_path):
    first = understudy.cast(rig, tmp_path / "hero")
    assert first.executed == ("character", "turntable", "report")
    assert len(open_shot(first.turntable)) == 12
    text = first.report.read_text()
    for word in ("hero.glb", "LeftForeArm", "cloth", "a squat", "three-quarter", "data:video/mp4"):
        assert word in text
    assert understudy.cast(rig, tmp_path / "hero").executed == ()
    write_character(first.character, box_person(arm=1.3))  # an edit
    again = understudy.cast(rig, tmp_path / "hero")
    assert again.executed == ("turntable", "report")
    assert np.ptp(character_from_rig(again.character).mesh.vertices[:, 0]) > 1.9
    assert understudy.cast(rig, tmp_path / "hero", height_m=1.2).executed == ("character", "report")
    assert np.ptp(character_from_rig(again.character).mesh.vertices[:, 0]) > 1.9  # the edit stays
    first.character.unlink()
    understudy.cast(rig, tmp_path / "hero", height_m=1.2)
    assert character_from_rig(first.character).height_m == pytest.approx(1.2, abs=1e-3)


def test_joints_and_cutout_of_a_picture_can_be_corrected_in_the_folder(tmp_path):
    try:
        ensure_weights("blazepose")
    except BackendUnavailable as error:
        pytest.skip(str(error))
    options = {"picture": replace(CastConfig().picture, vertices=1500, texture_px=128)}
    hero = understudy.cast(PICTURE, tmp_path / "hero", **options)
    joints, cutout = tmp_path / "hero/figure/joints.json", tmp_path / "hero/figure/cutout.png"
    assert read_picture(cutout).shape == read_picture(PICTURE).shape
    assert "its back and its sides" in hero.report.read_text().lower()
    found, before = json.loads(joints.read_text()), character_from_rig(hero.character)
    moved = found | {"left_wrist": [found["left_wrist"][0], found["left_wrist"][1] - 20]}
    joints.write_text(json.dumps(moved))
    assert "character" in understudy.cast(PICTURE, tmp_path / "hero", **options).executed
    assert json.loads(joints.read_text()) == moved
    after = character_from_rig(hero.character)
    rise = (after.T_joint_mesh - before.T_joint_mesh)[after.roles["LeftHand"], 1, 3]
    assert rise < -0.01  # the joint stands higher
    assert understudy.cast(PICTURE, tmp_path / "hero", **options).executed == ()
    mask = read_picture(cutout)[..., 0].copy()
    mask[: np.flatnonzero(mask.any(1))[0] + 6] = 0
    write_png(cutout, mask)
    joints.unlink()
    assert "character" in understudy.cast(PICTURE, tmp_path / "hero", **options).executed
    assert json.loads(joints.read_text()) != moved


def test_a_picture_from_behind_paints_the_back(tmp_path):
    try:
        ensure_weights("blazepose")
    except BackendUnavailable as error:
        pytest.skip(str(error))
    pixels = read_picture(PICTURE)[:, ::-1].copy()
    pixels[..., :3] = (10, 20, 250)
    write_png(tmp_path / "back.png", pixels)
    options = {"picture": replace(CastConfig().picture, vertices=1500, texture_px=128), "back": tmp_path / "back.png"}
    hero = understudy.cast(PICTURE, tmp_path / "hero", **options)
    assert "Its sides and its depth: no picture shows them." in hero.report.read_text()
    mesh = character_from_rig(hero.character).mesh
    (texture,) = [material.texture for material in mesh.materials]
    x, y = (mesh.uv * (texture.shape[1] - 1, texture.shape[0] - 1)).astype(int).T
    blue = np.abs(texture[y, x, :3].astype(int) - (10, 20, 250)).max(1) < 8
    assert blue[mesh.normals[:, 2] < -0.6].mean() > 0.7 and blue[mesh.normals[:, 2] > 0.3].mean() < 0.05
    with pytest.raises(InputError, match="--back completes a character that we make"):
        understudy.cast(hero.character, tmp_path / "rig", back=tmp_path / "back.png")
    with pytest.raises(InputError, match="--view completes a character that we make"):
        understudy.cast(hero.character, tmp_path / "rig", view=(str(tmp_path / "back.png"),))
    with pytest.raises(InputError, match="picture for --view"):
        understudy.cast(PICTURE, tmp_path / "other", view=("absent.png:90",))
    with pytest.raises(InputError, match="picture for --side"):
        understudy.cast(PICTURE, tmp_path / "other", side=tmp_path / "absent.png")


def test_a_view_may_tell_from_where_it_is_seen(tmp_path):
    (tmp_path / "a:90").write_bytes(b"")
    assert given_view("side.png:-90.5") == (Path("side.png"), np.radians(-90.5))
    for plain in ("side.png", "C:\\side.png", str(tmp_path / "a:90")):
        assert given_view(plain) == (Path(plain), None)


def test_a_folder_holds_a_character_or_a_film(rig, tmp_path):
    (tmp_path / "film").mkdir()
    manifest = {"understudy": "0", "format": 2, "film": {}, "stages": {}, "written": {}, "arriving": {}}
    (tmp_path / "film" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="holds a film; give another folder for the character"):
        understudy.cast(rig, tmp_path / "film")
    with pytest.raises(InputError, match="lies in"):
        understudy.cast(rig, tmp_path)
    with pytest.raises(CharacterError, match="there is no file"):
        understudy.cast(tmp_path / "absent.png", tmp_path / "hero")
    assert not (tmp_path / "hero").exists()


def test_what_was_done_to_a_rig_is_said(rig, tmp_path):
    turned = character_from_rig(rig)
    R = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # +Z up
    T = turned.skeleton.T_parent_joint.copy()
    T[0, :3] = R @ T[0, :3]
    T[:, :3, 3] *= 100
    bind = turned.T_joint_mesh.copy()
    bind[:, :3, :3] = bind[:, :3, :3] @ R.T
    bind[:, :3, 3] *= 100
    mesh = replace(turned.mesh, vertices=100 * turned.mesh.vertices @ R.T, normals=turned.mesh.normals @ R.T)
    other = replace(turned, mesh=mesh, T_joint_mesh=bind, skeleton=replace(turned.skeleton, T_parent_joint=T), roles={})
    write_character(tmp_path / "large.glb", other)
    listener = Listener()
    cast_with(tmp_path / "large.glb", tmp_path / "hero", CastConfig(), listener)
    text = (tmp_path / "hero/report.html").read_text()
    for said in ("units tall in its file, 1.75 m here", "in its file +Z is up and −Y ahead"):
        assert any(said in line for line in listener.said) and said in text


def test_it_is_said_how_joints_were_found(tmp_path):
    person = box_person()
    names = [
        f"bone_{joint}" if name in ("Hips", "Spine2") else name for joint, name in enumerate(person.skeleton.names)
    ]
    write_character(
        tmp_path / "a.glb", replace(person, roles={}, skeleton=replace(person.skeleton, names=tuple(names)))
    )
    write_character(tmp_path / "b.glb", person)
    found = {part.part: part for part in rig_facts(tmp_path / "a.glb", character_from_rig(tmp_path / "a.glb")).parts}
    assert found["LeftLeg"].found_by == found["Spine"].found_by == "its name"
    assert (found["Hips"].joint, found["Hips"].found_by) == ("bone_0", "its place")
    ours = rig_facts(tmp_path / "b.glb", character_from_rig(tmp_path / "b.glb"))
    assert {part.found_by for part in ours.parts} == {"the file's own map"} and ours.other_joints == ()


def seen_in(take: Take) -> np.ndarray:
    """Every vertex in the picture of every frame, as shares of its width and height."""
    (performance,), camera = take.performances, take.camera
    poser, shares = Poser(performance.character), []
    for frame in range(len(take)):
        points = transform(camera.T_camera_world[frame], poser(performance, frame).vertices)
        assert points[:, 2].min() > 0
        shares.append(project(camera.K[frame], points) / (camera.width, camera.height))
    return np.array(shares)


@pytest.mark.parametrize("kind", ["turntable", "static", "follow"])
def test_the_figure_is_in_the_picture_and_fills_it(kind):
    performance, camera = turntable(box_person(), View(width=90, height=160))
    if kind != "turntable":
        camera = {"static": static_camera, "follow": following_camera}[kind](performance, SMALL)
    seen = seen_in(Take((performance,), camera, NEUTRAL_LIGHT))
    assert seen.min() > 0.02 and seen.max() < 0.98
    spread = np.ptp(seen, axis=1)
    assert spread.max() > 0.7


def test_colours_are_shown_as_they_are():
    grey = np.full((8, 8, 4), (140, 90, 60, 255), np.uint8)
    person = box_person(texture=grey)
    ahead, one = np.tile([[0.0, 0.0, 1.0]], (len(person.mesh.vertices), 1)), np.zeros_like(person.mesh.face_material)
    person = replace(person, mesh=replace(person.mesh, normals=ahead, face_material=one))
    performance = Performance(person, showing.turning(person, np.zeros(1), showing.FRAME_RATE))
    centre = np.array([[0.0, 1.17, 0.0]])
    camera = framing_camera(centre[:, None] + [[0.02, 0.02, 0.0]], centre, View(0.0, 0.02, 32, 32))
    (picture,) = film(performance, camera, RENDERERS["opengl"]())
    assert np.abs(picture[8:24, 8:24].astype(float) - grey[0, 0, :3]).max() < 16


def test_the_turntable_is_a_film_of_the_character(rig, tmp_path):
    hero = understudy.cast(rig, tmp_path / "hero")
    frames = list(read_video(hero.turntable))
    assert np.abs(frames[0].astype(int) - frames[2]).mean() > 1  # it turns
    assert frames[0].shape == (64, 64, 3)
