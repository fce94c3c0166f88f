"""A mesh that hangs on no joints is rigged by what is seen of it from the front."""

import numpy as np
from gltf_files import parts_of, write_glb

from understudy.body.model import BodyModel
from understudy.characters.picture.figure import FigureInPicture
from understudy.characters.picture.joints import POINTS, FigureJoints
from understudy.core.motion import BODY_JOINTS
from understudy.io.gltf.write import write_character
from understudy.io.pictures.files import read_picture
from understudy.studio.pipeline.unrigged import character_of_unrigged, has_skin

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


def test_a_mesh_without_skin_is_rigged_from_the_front(tmp_path):
    model = BodyModel.load()
    body = model.character(np.zeros(model.components))
    write_character(tmp_path / "body.glb", body)
    assert has_skin(tmp_path / "body.glb")
    document, binary = parts_of(tmp_path / "body.glb")
    for node in document["nodes"]:
        node.pop("skin", None)
    del document["skins"]
    path = write_glb(tmp_path / "statue.glb", document, binary)
    assert not has_skin(path)

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

    character, said = character_of_unrigged(path, body.height_m, find)
    assert "no skeleton" in said[0]
    joints = -character.T_joint_mesh[:, :3, 3]
    for part in ("Arm", "ForeArm", "Hand", "UpLeg", "Leg"):
        for side in ("Left", "Right"):
            place = joints[character.roles[side + part]]
            truth = -body.T_joint_mesh[BODY_JOINTS.index(side + part), :3, 3] + body.T_joint_mesh[0, :3, 3] * [1, 0, 1]
            assert np.linalg.norm(place - truth) < 0.05
