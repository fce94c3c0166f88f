"""Fingers, eyes, jaws and morph targets of a user's rig survive: into the character, and into the scene's file."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from box_person import box_person
from gltf_files import add_accessor, parts_of, write_glb
from rig_conventions import CONVENTIONS, rig_of
from scipy.spatial.transform import Rotation

from understudy.characters.rig.character import character_from_rig
from understudy.core.character import Morph
from understudy.core.film import Performance
from understudy.core.motion import BODY_JOINTS, Motion
from understudy.geometry.rotations import quaternion_from_matrix
from understudy.io.gltf.read import read_gltf
from understudy.io.gltf.write import write_character, write_scene
from understudy.retarget.retarget import retarget_motion


def with_face(person, weight=0.0):
    """A person whose head smiles and whose hand swells; the mesh shows `weight` of the smile."""
    head, hand = (np.flatnonzero(person.skin_joints[:, 0] == BODY_JOINTS.index(name)) for name in ("Head", "RightHand"))
    before = person.mesh.normals[head[:4]]
    after = before + [0.1, 0.2, -0.3]
    turn = after / np.linalg.norm(after, axis=1, keepdims=True) - before
    smile = Morph("smile", head[:4], np.array([[0.01, 0.02, 0.03]] * 4), weight, turn)
    morphs = (smile, Morph("swell", hand, np.full((len(hand), 3), 0.005)))
    vertices = person.mesh.vertices.copy()
    vertices[head[:4]] += weight * smile.offsets
    normals = person.mesh.normals.copy()
    normals[head[:4]] += weight * turn
    return replace(person, mesh=replace(person.mesh, vertices=vertices, normals=normals, morphs=morphs))


def by_place(mesh, morph):
    """Where vertices rest that a morph target moves, how far it moves them and turns their normals, in an order of
    their own."""
    turns = np.zeros_like(morph.offsets) if morph.normals is None else morph.normals
    rows = np.concatenate([mesh.vertices[morph.vertices], morph.offsets, turns], 1)
    return np.unique(np.round(rows, 5), axis=0)


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_morph_targets_are_written_and_read(tmp_path, weight):
    person = with_face(box_person(), weight)
    write_character(tmp_path / "face.glb", person)
    back = read_gltf(tmp_path / "face.glb")
    assert [(morph.name, morph.weight) for morph in back.mesh.morphs] == [("smile", weight), ("swell", 0.0)]
    for mine, theirs in zip(person.mesh.morphs, back.mesh.morphs, strict=True):
        assert np.abs(by_place(person.mesh, mine) - by_place(back.mesh, theirs)).max() < 1e-5
    # In the file the mesh stands without the smile, which its weight adds.
    document, binary = parts_of(tmp_path / "face.glb")
    assert document["meshes"][0].pop("weights") == [weight, 0.0]
    straight = read_gltf(write_glb(tmp_path / "straight.glb", document, binary)).mesh.vertices
    assert (
        np.abs(np.unique(straight.round(5), axis=0) - np.unique(box_person().mesh.vertices.round(5), axis=0)).max()
        < 1e-5
    )


def test_morph_targets_stand_up_with_the_figure(tmp_path):
    """A figure that lies on its back, half as large, with targets as most exporters write them: dense, with names."""
    person = with_face(box_person())
    R = Rotation.from_euler("X", -90, degrees=True).as_matrix()
    T = person.skeleton.T_parent_joint.copy()
    T[0, :3, :3], T[0, :3, 3] = R @ T[0, :3, :3], R @ T[0, :3, 3]
    mesh = replace(person.mesh, vertices=person.mesh.vertices @ R.T, normals=person.mesh.normals @ R.T, morphs=())
    bind = person.T_joint_mesh.copy()
    bind[:, :3, :3] = bind[:, :3, :3] @ R.T
    lying = replace(person, mesh=mesh, skeleton=replace(person.skeleton, T_parent_joint=T), T_joint_mesh=bind, roles={})
    write_character(tmp_path / "plain.glb", lying)
    document, binary = parts_of(tmp_path / "plain.glb")
    for number, primitive in enumerate(document["meshes"][0]["primitives"]):
        used = np.unique(person.mesh.faces[person.mesh.face_material == number])
        primitive["targets"] = []
        for morph in person.mesh.morphs:
            dense = np.zeros((len(person.mesh.vertices), 3), np.float32)
            dense[morph.vertices] = morph.offsets @ R.T
            index, binary = add_accessor(document, binary, dense[used])
            target = {"POSITION": index}
            if morph.normals is not None:
                dense[morph.vertices] = morph.normals @ R.T
                target["NORMAL"], binary = add_accessor(document, binary, dense[used])
            primitive["targets"].append(target)
        primitive["extras"] = {"targetNames": ["smile", "swell"]}
    path = write_glb(tmp_path / "rig.glb", document, binary)
    character = character_from_rig(path, 0.5 * person.height_m)
    assert [morph.name for morph in character.mesh.morphs] == ["smile", "swell"]
    standing = character.mesh.vertices - character.mesh.vertices.min(0)
    truth = 0.5 * (person.mesh.vertices - person.mesh.vertices.min(0))
    for mine, theirs in zip(person.mesh.morphs, character.mesh.morphs, strict=True):
        turns = [np.zeros_like(one.offsets) if one.normals is None else one.normals for one in (mine, theirs)]
        expected = np.concatenate([truth[mine.vertices], 0.5 * mine.offsets, turns[0]], 1)
        found = np.concatenate([standing[theirs.vertices], theirs.offsets, turns[1]], 1)
        distance = np.abs(expected[:, None] - found[None]).max(-1)
        assert distance.min(0).max() < 1e-5 and distance.min(1).max() < 1e-5


def test_too_many_morph_targets_are_left_out_and_said(tmp_path):
    write_character(tmp_path / "plain.glb", with_face(box_person()))
    document, binary = parts_of(tmp_path / "plain.glb")
    primitive = document["meshes"][0]["primitives"][0]
    primitive["targets"] = primitive["targets"] * 3000
    said = []
    character = character_from_rig(write_glb(tmp_path / "rig.glb", document, binary), say=said.append)
    assert not character.mesh.morphs
    assert len(said) == 1 and "morph targets" in said[0]


@pytest.mark.parametrize("convention", ["Unreal", "Character Creator", "MikuMikuDance"])
def test_fingers_faces_and_twist_bones_go_along(tmp_path, convention):
    """They rest where the motion says nothing, and stand in the scene's file."""
    rig, _ = rig_of(CONVENTIONS[convention])
    write_character(tmp_path / "rig.glb", rig)
    character = character_from_rig(tmp_path / "rig.glb")
    person = box_person()
    q = np.tile([1.0, 0, 0, 0], (8, 22, 1))
    angle = np.linspace(0, 1.2, 8)
    for joint in ("LeftForeArm", "RightArm", "Head"):
        q[:, BODY_JOINTS.index(joint)] = np.stack(
            [np.cos(angle / 2), *(np.sin(angle / 2)[:, None] * [0, 0.6, 0.8]).T], 1
        )
    motion = Motion(person.skeleton, q, np.tile([0, 0.95, 0], (8, 1)), Fraction(25))
    done = retarget_motion(motion, person, character)
    rest = quaternion_from_matrix(character.skeleton.T_parent_joint[:, :3, :3])
    # Twist bones turn by their share of what the arm is twisted.
    others = [
        joint
        for joint, name in enumerate(character.skeleton.names)
        if joint not in character.roles.values() and "twist" not in name.lower()
    ]
    assert (np.abs(np.einsum("tjq,jq->tj", done.q_parent_joint, rest))[:, others] > 1 - 1e-9).all()
    write_scene(tmp_path / "scene.glb", [Performance(character, done)])
    moving = {rig.skeleton.names[joint] for joint in np.unique(rig.skin_joints)}
    assert moving <= set(read_gltf(tmp_path / "scene.glb").skeleton.names)
