"""A mesh that hangs on no joints is rigged by what is seen of it from the front."""

import numpy as np
import pytest
import trimesh
from gltf_files import parts_of, write_glb

import understudy
from understudy.body.model import BodyModel
from understudy.characters.picture.figure import FigureInPicture
from understudy.characters.picture.joints import POINTS, FigureJoints
from understudy.characters.rig.character import character_from_rig
from understudy.core.motion import BODY_JOINTS
from understudy.io.gltf.write import write_character
from understudy.io.pictures.files import read_picture
from understudy.studio.pipeline.stages import casting
from understudy.studio.pipeline.stages.casting import kind_of, model_files
from understudy.studio.pipeline.stages.unrigged import character_of_unrigged, has_skin

PART = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot",
        "toe": "ToeBase"}  # fmt: skip


def known_points(body):
    """Where POINTS are on the body, in metres."""
    at = dict(zip(BODY_JOINTS, -body.T_joint_mesh[:, :3, 3], strict=True))
    points = {"neck": at["Neck"], "hips": at["Hips"], "head": at["Head"]}
    points["head_top"] = body.mesh.vertices[body.mesh.vertices[:, 1].argmax()]
    for side in ("Left", "Right"):
        points |= {f"{side.lower()}_{name}": at[side + part] for name, part in PART.items()}
        points[f"{side.lower()}_hand"] = at[f"{side}Hand"] + [0.12 if side == "Left" else -0.12, 0, 0]
    return np.array([points[name] for name in POINTS])


@pytest.fixture(scope="module")
def body():
    model = BodyModel.load()
    return model.character(np.zeros(model.components))


def finder(body):
    """Finds the figure of a picture of the body from the front, whose joints are known."""

    def find(picture):
        rgba = read_picture(picture)
        mask = rgba[..., 3] > 127
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        per_px = np.ptp(body.mesh.vertices[:, 1]) / (rows[-1] + 1 - rows[0])
        points = known_points(body)
        x = 0.5 * (columns[0] + columns[-1] + 1) + points[:, 0] / per_px
        y = rows[-1] + 1 - (points[:, 1] - body.mesh.vertices[:, 1].min()) / per_px
        joints = FigureJoints(np.stack([x, y], 1))
        return FigureInPicture(rgba[..., :3].copy(), mask, joints, True, 1.0, mask.shape)

    return find


def nobody(picture):
    """A landmark model that sees nobody."""


def check_joints(character, body):
    joints = -character.T_joint_mesh[:, :3, 3]
    for part in ("Arm", "ForeArm", "Hand", "UpLeg", "Leg"):
        for side in ("Left", "Right"):
            place = joints[character.roles[side + part]]
            truth = -body.T_joint_mesh[BODY_JOINTS.index(side + part), :3, 3] + body.T_joint_mesh[0, :3, 3] * [1, 0, 1]
            assert np.linalg.norm(place - truth) < 0.05


def test_a_mesh_without_skin_is_rigged_from_the_front(body, tmp_path):
    write_character(tmp_path / "body.glb", body)
    assert has_skin(tmp_path / "body.glb")
    document, binary = parts_of(tmp_path / "body.glb")
    for node in document["nodes"]:
        node.pop("skin", None)
    del document["skins"]
    path = write_glb(tmp_path / "statue.glb", document, binary)
    assert not has_skin(path)
    character, said = character_of_unrigged(path, body.height_m, finder(body), nobody)
    assert "no skeleton" in said[0]
    check_joints(character, body)


def test_one_that_lies_and_looks_back_stands_up(body, tmp_path):
    """An OBJ in centimetres, +Z up, facing +X, whose material names a texture that is not there."""
    R = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    vertices = 100 * body.mesh.vertices @ R.T
    lines = ["mtllib body.mtl", *(f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in vertices), "usemtl skin"]
    lines += [f"f {a} {b} {c}" for a, b, c in body.mesh.faces + 1]
    (tmp_path / "body.obj").write_text("\n".join(lines))
    (tmp_path / "body.mtl").write_text("newmtl skin\nKd 0.8 0.2 0.1\nmap_Kd skin.png\n")
    assert not has_skin(tmp_path / "body.obj") and kind_of(tmp_path / "body.obj") == "mesh"
    assert set(model_files(tmp_path / "body.obj")) == {"character", "character/body.mtl"}
    character, said = character_of_unrigged(tmp_path / "body.obj", body.height_m, finder(body), nobody)
    assert any("+Z is up and +X ahead" in line for line in said)
    assert any("skin.png, which it names" in line for line in said)
    assert character.height_m == pytest.approx(body.height_m, abs=1e-3)
    check_joints(character, body)


def test_a_mesh_is_animated_without_being_cast_first(body, tmp_path, monkeypatch):
    trimesh.Trimesh(body.mesh.vertices, body.mesh.faces).export(tmp_path / "statue.stl")
    monkeypatch.setattr(casting, "FigureLandmarks", lambda: nobody)
    monkeypatch.setattr(casting, "find_figure", lambda picture, *given: finder(body)(picture))
    film = understudy.animate(tmp_path / "statue.stl", tmp_path / "walk.glb", seconds=0.25, height_m=body.height_m)
    check_joints(character_from_rig(film), body)
    (tmp_path / "film/character").mkdir(parents=True)
    write_character(tmp_path / "film/character/character.glb", body)
    understudy.animate(tmp_path / "film", tmp_path / "film.glb", seconds=0.25)
    assert character_from_rig(tmp_path / "film.glb").height_m == pytest.approx(body.height_m, abs=1e-3)
