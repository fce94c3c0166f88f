"""The skeletons of all programs that people rig with are understood without help, whatever stands beside the body."""

from dataclasses import replace

import numpy as np
import pytest
from gltf_files import parts_of, write_glb
from rig_conventions import CONVENTIONS, VRM_BONES, rig_of
from scipy.spatial.transform import Rotation

from understudy.characters.rig.character import character_from_rig
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert
from understudy.io.gltf.write import write_character


def found_roles(character):
    return {role: character.skeleton.names[joint] for role, joint in character.roles.items()}


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_parts_of_each_convention(tmp_path, convention):
    rig, expected = rig_of(CONVENTIONS[convention])
    write_character(tmp_path / "rig.glb", rig)
    character = character_from_rig(tmp_path / "rig.glb")
    assert found_roles(character) == expected
    # Twist bones, fingers and faces that move vertices stay.
    moving = {rig.skeleton.names[joint] for joint in np.unique(rig.skin_joints)}
    assert moving <= set(character.skeleton.names)


@pytest.mark.parametrize("version", [0, 1])
def test_vrm_bones_count_more_than_names(tmp_path, version):
    """Names that say something else: each joint has the name of another one."""
    rig, expected = rig_of(CONVENTIONS["Unity"])
    names = rig.skeleton.names
    misnamed = dict(zip(names, (*names[7:], *names[:7]), strict=True))
    write_character(
        tmp_path / "plain.glb", replace(rig, skeleton=replace(rig.skeleton, names=tuple(misnamed.values())))
    )
    document, binary = parts_of(tmp_path / "plain.glb")
    node = {entry.get("name"): index for index, entry in enumerate(document["nodes"])}
    bones = {bone: node[misnamed[expected[role]]] for bone, role in VRM_BONES.items() if role in expected}
    bones |= {
        side.lower() + bone: node[misnamed[expected[side + role]]]
        for side in ("Left", "Right") for bone, role in VRM_BONES.items() if side + role in expected
    }  # fmt: skip
    if version:
        bones_1 = {bone: {"node": index} for bone, index in bones.items()}
        document["extensions"] = {"VRMC_vrm": {"specVersion": "1.0", "humanoid": {"humanBones": bones_1}}}
    else:
        bones_0 = [{"bone": bone, "node": index} for bone, index in bones.items()]
        document["extensions"] = {"VRM": {"humanoid": {"humanBones": bones_0}}}
    character = character_from_rig(write_glb(tmp_path / "rig.vrm", document, binary))
    assert found_roles(character) == {role: misnamed[name] for role, name in expected.items()}


def turned(rig, R):
    """The rig turned about the origin; its joints' own axes turn along."""
    rest = rest_pose(rig.skeleton.parents, rig.skeleton.T_parent_joint)
    T = np.eye(4)
    T[:3, :3] = R
    parents = rig.skeleton.parents
    local = np.array([T @ M if p < 0 else invert(rest[p]) @ M for M, p in zip(rest, parents, strict=True)])
    return replace(
        rig,
        mesh=replace(rig.mesh, vertices=rig.mesh.vertices @ R.T, normals=rig.mesh.normals @ R.T),
        skeleton=replace(rig.skeleton, T_parent_joint=local),
        T_joint_mesh=invert(T @ rest),
    )


@pytest.mark.parametrize("turn", [("X", 90), ("X", -90), ("Y", 180), ("Y", 90), ("Z", 90)])
def test_nameless_rigs_lying_or_looking_elsewhere(tmp_path, turn):
    rig, expected = rig_of(CONVENTIONS["nameless Mixamo"])
    write_character(tmp_path / "rig.glb", turned(rig, Rotation.from_euler(*turn, degrees=True).as_matrix()))
    character = character_from_rig(tmp_path / "rig.glb")
    assert found_roles(character) == expected


@pytest.mark.parametrize("without", ["toes", "toes and face"])
def test_the_front_is_found_without_toes(tmp_path, without):
    """Sides are named from the viewer's seat, and boots have no toes: eyes say where the front is, or bent knees."""
    rig, _ = rig_of(CONVENTIONS["Mixamo"])
    at = rest_pose(rig.skeleton.parents, rig.skeleton.T_parent_joint)
    boxes = rig.mesh.vertices - at[rig.skin_joints[:, 0], :3, 3]
    names = rig.skeleton.names
    for joint, name in enumerate(names):
        if "Toe" in name or ("Eye" in name and "face" in without):
            at[joint, :3, 3] = at[rig.skeleton.parents[joint], :3, 3]
        if "RightLeg" in name or "LeftLeg" in name:
            at[joint, 2, 3] += 0.03
    moved = boxes + at[rig.skin_joints[:, 0], :3, 3]
    local = np.array([M if p < 0 else invert(at[p]) @ M for M, p in zip(at, rig.skeleton.parents, strict=True)])
    swapped = tuple(name.replace("Left", "R?").replace("Right", "Left").replace("R?", "Right") for name in names)
    skeleton = replace(rig.skeleton, T_parent_joint=local, names=swapped)
    write_character(
        tmp_path / "rig.glb",
        replace(rig, skeleton=skeleton, T_joint_mesh=invert(at), mesh=replace(rig.mesh, vertices=moved)),
    )
    character = character_from_rig(tmp_path / "rig.glb")
    ends = {role: name for role, name in found_roles(character).items() if "Hand" in role}
    assert ends == {"LeftHand": "mixamorig:RightHand", "RightHand": "mixamorig:LeftHand"}
