"""Springs of hair in files: what we write comes back, and VRM's of both versions are read as their authors meant."""

from dataclasses import replace

import numpy as np
import pytest
from box_person import box_person
from gltf_files import parts_of, write_glb

from understudy.characters.rig.character import character_from_rig
from understudy.core.character import Character
from understudy.core.motion import Skeleton
from understudy.core.springs import Collider, SpringBone, SpringChain
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert
from understudy.io.gltf.read import read_gltf
from understudy.io.gltf.write import write_character

LOCK = ("hair 1", "hair 2", "hair 3")
SKULL = Collider(5, (0.0, 0.1, 0.02), (0.0, 0.1, 0.02), 0.11)
BACK = Collider(3, (0.0, 0.0, 0.0), (0.0, 0.2, 0.0), 0.12)


def with_lock() -> Character:
    """A person with a lock of three joints on the back of the head, each of which moves one vertex of the head."""
    person = box_person()
    head = person.roles["Head"]
    T = np.tile(np.eye(4), (3, 1, 1))
    T[:, :3, 3] = [[0, 0.1, -0.12], [0, -0.1, 0], [0, -0.1, 0]]
    old, count = person.skeleton, len(person.skeleton)
    skeleton = Skeleton(
        (*old.names, *LOCK), (*old.parents, head, count, count + 1), np.concatenate([old.T_parent_joint, T])
    )
    skin = person.skin_joints.copy()
    strongest = np.flatnonzero(skin[:, 0] == head)[:3]
    skin[strongest, 0] = count + np.arange(3)
    bones = tuple(
        SpringBone(count + number, (0.0, -0.1, 0.0), 0.5 + 0.25 * number, 0.25, 0.5, radius_m=0.03)
        for number in range(3)
    )
    chain = SpringChain("lock", bones, (SKULL, BACK), centre=0, balanced=True)
    bind = invert(rest_pose(skeleton.parents, skeleton.T_parent_joint))
    return replace(person, skeleton=skeleton, T_joint_mesh=bind, skin_joints=skin, springs=(chain,))


@pytest.fixture
def character() -> Character:
    return with_lock()


@pytest.fixture
def glb(tmp_path, character):
    write_character(tmp_path / "person.glb", character)
    return tmp_path / "person.glb"


def told(character: Character) -> list[list[object]]:
    """All springs in names and rounded numbers: files may hold joints in another order."""

    def plain(part: object) -> object:
        values = dict(vars(part))
        name = character.skeleton.names[values.pop("joint")]
        return name, [np.round(value, 5).tolist() for value in values.values()]

    return [
        [*map(plain, chain.bones), *map(plain, chain.colliders), chain.balanced, chain.centre]
        for chain in character.springs
    ]


def test_springs_survive_a_round_trip(glb, character):
    assert told(read_gltf(glb)) == told(character)
    document, _ = parts_of(glb)
    assert document["extensionsUsed"] == ["VRMC_springBone"]
    written = document["extensions"]["VRMC_springBone"]
    assert written["specVersion"] == "1.0"
    (spring,) = written["springs"]
    names = [document["nodes"][joint["node"]]["name"] for joint in spring["joints"]]
    assert names == [*LOCK, "hair 3 end"]  # The last only says where the spring ends.
    assert set(written["colliders"][0]["shape"]) == {"sphere"} and set(written["colliders"][1]["shape"]) == {"capsule"}


def test_springs_grow_with_the_character(glb, character):
    half = character_from_rig(glb, 0.5 * character.height_m)
    (chain,) = half.springs
    assert np.allclose(chain.bones[0].tail, (0, -0.05, 0)) and chain.bones[0].radius_m == pytest.approx(0.015)
    assert chain.colliders[1].radius_m == pytest.approx(0.06)


def test_a_branching_chain_becomes_several_springs(tmp_path, character):
    old, head = character.skeleton, character.roles["Head"]
    T = np.eye(4)
    T[:3, 3] = [0.1, 0.1, -0.12]
    skeleton = Skeleton((*old.names, "fringe"), (*old.parents, head), np.concatenate([old.T_parent_joint, T[None]]))
    (chain,) = character.springs
    fringe = SpringBone(len(old), (0.0, -0.05, 0.02))
    skin = character.skin_joints.copy()
    skin[np.flatnonzero(skin[:, 0] == head)[0], 0] = len(old)
    branched = replace(
        character, skeleton=skeleton, T_joint_mesh=invert(rest_pose(skeleton.parents, skeleton.T_parent_joint)),
        skin_joints=skin, springs=(replace(chain, bones=(*chain.bones, fringe)),),
    )  # fmt: skip
    write_character(tmp_path / "branched.glb", branched)
    back, wanted = told(read_gltf(tmp_path / "branched.glb")), told(branched)[0]
    assert [len(one) for one in back] == [3 + 4, 1 + 4]
    assert back[0][:3] + back[1] == wanted[:3] + wanted[3:]


def foreign(glb, tmp_path, extension, spring):
    """The same figure as a file of another program with its springs in an extension."""
    document, binary = parts_of(glb)
    document["skins"][0].pop("extras")
    document["extensions"] = {extension: spring}
    for node in document["nodes"]:  # The leaf of our own writer.
        node["children"] = [
            child for child in node.get("children", ()) if document["nodes"][child]["name"] != "hair 3 end"
        ]
        node |= {"children": node["children"]} if node["children"] else {}
        if not node["children"]:
            del node["children"]
    return write_glb(tmp_path / "foreign.vrm", document, binary), document


def test_springs_of_vrm_0_are_read(glb, tmp_path, character):
    nodes = {node["name"]: number for number, node in enumerate(parts_of(glb)[0]["nodes"])}
    group = {
        "comment": "hair", "stiffiness": 0.8, "gravityPower": 0.2, "gravityDir": {"x": 0, "y": -2, "z": 0},
        "dragForce": 0.4, "center": -1, "hitRadius": 0.02, "bones": [nodes["hair 1"]], "colliderGroups": [0],
    }  # fmt: skip
    spheres = [{"node": nodes["Head"], "colliders": [{"offset": {"x": 0.01, "y": 0.02, "z": 0.03}, "radius": 0.1}]}]
    path, _ = foreign(glb, tmp_path, "VRM", {"secondaryAnimation": {"boneGroups": [group], "colliderGroups": spheres}})
    (chain,) = read_gltf(path).springs
    names = read_gltf(path).skeleton.names
    assert [names[bone.joint] for bone in chain.bones] == list(LOCK)
    tails = np.array([bone.tail for bone in chain.bones])
    assert np.allclose(tails, [[0, -0.1, 0], [0, -0.1, 0], [0, -0.07, 0]], atol=1e-6)  # The last goes on for 7 cm.
    bone = chain.bones[0]
    assert (bone.stiffness, bone.drag, bone.gravity, bone.radius_m) == pytest.approx((0.8, 0.4, 0.2, 0.02))
    assert bone.gravity_direction == pytest.approx((0, -1, 0))
    assert not chain.balanced and chain.centre is None
    (sphere,) = chain.colliders
    assert names[sphere.joint] == "Head" and sphere.start == sphere.end == pytest.approx((0.01, 0.02, -0.03), abs=1e-6)


def test_springs_of_vrm_1_are_read_on_a_rig_that_is_put_in_order(glb, tmp_path, character):
    nodes = {node["name"]: number for number, node in enumerate(parts_of(glb)[0]["nodes"])}
    joints = [{"node": nodes[name], "stiffness": 2.0} for name in LOCK]
    collider = {
        "node": nodes["Spine2"],
        "shape": {"capsule": {"offset": [0, 0, 0], "radius": 0.1, "tail": [0, 0.2, 0]}},
    }
    path, _ = foreign(glb, tmp_path, "VRMC_springBone", {
        "specVersion": "1.0", "colliders": [collider], "colliderGroups": [{"colliders": [0]}],
        "springs": [{"name": "hair", "joints": joints, "colliderGroups": [0]}],
    })  # fmt: skip
    rig = character_from_rig(path, 2 * character.height_m)
    (chain,) = rig.springs
    names = rig.skeleton.names
    assert [names[bone.joint] for bone in chain.bones] == ["hair 1", "hair 2"]  # The third is where they end.
    assert np.allclose([bone.tail for bone in chain.bones], [[0, -0.2, 0]] * 2, atol=1e-6)
    assert chain.bones[0].drag == 0.5 and chain.bones[0].gravity == 0.0  # As the specification has them.
    assert names[chain.colliders[0].joint] == "Spine2"
    assert chain.colliders[0].end == pytest.approx((0, 0.4, 0), abs=1e-6)


@pytest.mark.parametrize(
    "joint",
    [
        {"stiffness": 1e300, "dragForce": 7.0, "hitRadius": -1.0},
        {"gravityDir": [0, 0, 0], "gravityPower": 3.0},
        {"node": 99999},
    ],
)
def test_odd_springs_are_read_as_well_as_they_can_be(glb, tmp_path, joint):
    nodes = {node["name"]: number for number, node in enumerate(parts_of(glb)[0]["nodes"])}
    joints = [{"node": nodes[name]} for name in LOCK]
    joints[1] |= joint
    spring = {"joints": joints, "colliderGroups": [5], "center": 77777}
    path, _ = foreign(glb, tmp_path, "VRMC_springBone", {"springs": [spring]})
    for chain in read_gltf(path).springs:
        assert all(0 <= bone.drag <= 1 and 0 <= bone.stiffness <= 1e4 and bone.radius_m >= 0 for bone in chain.bones)
        assert chain.centre is None and not chain.colliders
