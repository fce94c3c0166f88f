"""Rigs of many naming schemes become characters that stand in our world with their parts found."""

from dataclasses import replace

import numpy as np
import pytest
from box_person import box_person
from gltf_files import parts_of, write_glb
from scipy.spatial.transform import Rotation

from understudy.characters.rig.character import character_from_rig
from understudy.characters.rig.names import limbs_from_names, plain_words
from understudy.characters.rig.roles import find_roles, missing_roles
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS, Skeleton
from understudy.geometry.kinematics import forward_kinematics, rest_pose
from understudy.geometry.rotations import quaternion_from_matrix
from understudy.geometry.skinning import skin_vertices
from understudy.io.gltf.read import read_gltf, read_gltf_rig
from understudy.io.gltf.write import write_character
from understudy.runtime.errors import CharacterError

MIRRORED = {"Left": "Right", "Right": "Left"}
SCHEMES = {
    "unreal": """
        pelvis, spine_01, spine_02, spine_03, neck_01, head, clavicle_l, upperarm_l, lowerarm_l, hand_l, clavicle_r,
        upperarm_r, lowerarm_r, hand_r, thigh_l, calf_l, foot_l, ball_l, thigh_r, calf_r, foot_r, ball_r""",
    "rigify": """
        DEF-spine, DEF-spine.001, DEF-spine.002, DEF-spine.003, DEF-spine.004, DEF-head, DEF-shoulder.L, DEF-
        upper_arm.L, DEF-forearm.L, DEF-hand.L, DEF-shoulder.R, DEF-upper_arm.R, DEF-forearm.R, DEF-hand.R, DEF-
        thigh.L, DEF-shin.L, DEF-foot.L, DEF-toe.L, DEF-thigh.R, DEF-shin.R, DEF-foot.R, DEF-toe.R""",
    "biped": """
        Bip01 Pelvis, Bip01 Spine, Bip01 Spine1, Bip01 Spine2, Bip01 Neck, Bip01 Head, Bip01 L Clavicle, Bip01 L
        UpperArm, Bip01 L Forearm, Bip01 L Hand, Bip01 R Clavicle, Bip01 R UpperArm, Bip01 R Forearm, Bip01 R Hand,
        Bip01 L Thigh, Bip01 L Calf, Bip01 L Foot, Bip01 L Toe0, Bip01 R Thigh, Bip01 R Calf, Bip01 R Foot, Bip01 R
        Toe0""",
    "cmu": """
        Hips, Chest, Chest2, Chest3, Neck, Head, LeftCollar, LeftShoulder, LeftElbow, LeftWrist, RightCollar,
        RightShoulder, RightElbow, RightWrist, LeftHip, LeftKnee, LeftAnkle, LeftToe, RightHip, RightKnee,
        RightAnkle, RightToe""",
    "smpl": """
        pelvis, spine1, spine2, spine3, neck, head, left_collar, left_shoulder, left_elbow, left_wrist,
        right_collar, right_shoulder, right_elbow, right_wrist, left_hip, left_knee, left_ankle, left_foot,
        right_hip, right_knee, right_ankle, right_foot""",
    "vrchat": """
        Hips, Spine, Chest, Upper Chest, Neck, Head, Left shoulder, Left arm, Left elbow, Left wrist, Right
        shoulder, Right arm, Right elbow, Right wrist, Left leg, Left knee, Left ankle, Left toe, Right leg, Right
        knee, Right ankle, Right toe""",
    "vroid": """
        J_Bip_C_Hips, J_Bip_C_Spine, J_Bip_C_Chest, J_Bip_C_UpperChest, J_Bip_C_Neck, J_Bip_C_Head,
        J_Bip_L_Shoulder, J_Bip_L_UpperArm, J_Bip_L_LowerArm, J_Bip_L_Hand, J_Bip_R_Shoulder, J_Bip_R_UpperArm,
        J_Bip_R_LowerArm, J_Bip_R_Hand, J_Bip_L_UpperLeg, J_Bip_L_LowerLeg, J_Bip_L_Foot, J_Bip_L_ToeBase,
        J_Bip_R_UpperLeg, J_Bip_R_LowerLeg, J_Bip_R_Foot, J_Bip_R_ToeBase""",
    "source": """
        Pelvis, Spine, Spine1, Spine2, Neck1, Head1, L_Clavicle, L_UpperArm, L_Forearm, L_Hand, R_Clavicle,
        R_UpperArm, R_Forearm, R_Hand, L_Thigh, L_Calf, L_Foot, L_Toe0, R_Thigh, R_Calf, R_Foot, R_Toe0""",
    "daz": """
        hip, abdomenLower, abdomenUpper, chestLower, neckLower, head, lCollar, lShldr, lForeArm, lHand, rCollar,
        rShldr, rForeArm, rHand, lThigh, lShin, lFoot, lToe, rThigh, rShin, rFoot, rToe""",
}
"""The names of BODY_JOINTS, in its order."""
NAMES = {scheme: [name.strip() for name in names.split(",")] for scheme, names in SCHEMES.items()} | {
    "mixamo": [f"mixamorig:{name}" for name in BODY_JOINTS],
    "nameless": [f"bone_{number}" for number in range(22)],
}


@pytest.mark.parametrize("scheme", NAMES)
def test_parts_are_found_in_each_naming(scheme):
    positions = np.linalg.inv(box_person().T_joint_mesh)[:, :3, 3]
    roles = find_roles(NAMES[scheme], BODY_PARENTS, positions, {})
    assert roles == {name: joint for joint, name in enumerate(BODY_JOINTS)}


def test_names_fall_into_side_and_words():
    assert plain_words("mixamorig:LeftUpLeg") == ("Left", ("up", "leg"))
    assert plain_words("DEF-thigh.L.001") == ("Left", ("thigh",))
    assert plain_words("Bip01 R Forearm") == ("Right", ("forearm",))
    assert plain_words("lowerarm_l") == ("Left", ("lowerarm",))
    assert plain_words("rShldr") == ("Right", ("shldr",))
    assert plain_words("Head") == ("", ("head",))
    assert plain_words("leftToes") == ("Left", ("toes",))


def test_helpers_are_not_taken_for_the_body():
    names = ["Hips", "LeftUpLeg", "LeftUpLeg_twist", "LeftLeg", "LeftFoot_IK", "LeftFoot", "RightUpLeg", "RightLeg",
             "RightFoot"]  # fmt: skip
    roles = limbs_from_names(names, [-1, 0, 1, 1, 0, 3, 0, 6, 7])
    assert roles["LeftUpLeg"] == 1 and roles["LeftFoot"] == 5


def rest_positions(character):
    return rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)[:, :3, 3]


def check_anatomy(character):
    """The main parts are where a body that stands and faces +Z has them."""
    at = rest_positions(character)
    role = {name: at[joint] for name, joint in character.roles.items()}
    assert not missing_roles(character.roles)
    for side, sign in (("Left", 1), ("Right", -1)):
        hip, knee, foot = (role[side + part] for part in ("UpLeg", "Leg", "Foot"))
        shoulder, elbow, hand = (role[side + part] for part in ("Arm", "ForeArm", "Hand"))
        assert hip[1] > knee[1] > foot[1] > -0.01
        assert sign * hip[0] > 0 and sign * foot[0] > 0
        assert sign * hand[0] > sign * elbow[0] > sign * shoulder[0] > 0
        assert shoulder[1] > hip[1]
    assert role["Head"][1] > role["Spine2"][1] > role["Hips"][1]
    assert character.skeleton.parents[character.roles["Hips"]] == -1
    vertices = character.mesh.vertices
    assert abs(vertices[:, 1].min()) < 1e-9
    # Toes stick out to the front more than heels do to the back.
    joint, toes = character.roles["LeftFoot"], character.roles.get("LeftToeBase", -1)
    of_foot = (character.skin_joints == joint) | (character.skin_joints == toes)
    feet = vertices[(of_foot * character.skin_weights).sum(1) > 0.5]
    assert feet[:, 2].max() - at[joint, 2] > at[joint, 2] - feet[:, 2].min()


@pytest.mark.parametrize(
    "name, height_m",
    [
        ("knight.glb", 2.4666),
        ("mage.glb", 2.7157),
        ("robot_expressive.glb", 1.75),
        ("cryptovoxels.vrm", 1.4902),
        ("godotman.glb", 1.9709),
    ],
)
def test_real_rigs(shared_data, name, height_m):
    character = character_from_rig(shared_data / "rigs" / name)
    check_anatomy(character)
    assert character.height_m == pytest.approx(height_m, abs=2e-3)
    assert character_from_rig(shared_data / "rigs" / name, 1.6).height_m == pytest.approx(1.6)


def test_rest_pose_shows_the_mesh(shared_data):
    for name in ("knight.glb", "robot_expressive.glb"):
        character = character_from_rig(shared_data / "rigs" / name, 1.8)
        s = character.skeleton
        q = quaternion_from_matrix(s.T_parent_joint[:, :3, :3])
        T = forward_kinematics(s.parents, s.T_parent_joint[:, :3, 3], q, s.T_parent_joint[0, :3, 3])
        vertices = skin_vertices(
            character.mesh.vertices, T @ character.T_joint_mesh, character.skin_joints, character.skin_weights
        )
        assert np.abs(vertices - character.mesh.vertices).max() < 1e-9


def test_hands_are_empty(shared_data):
    path = shared_data / "rigs" / "knight.glb"
    held = {
        "1H_Sword_Offhand", "Badge_Shield", "Rectangle_Shield", "Round_Shield", "Spike_Shield", "1H_Sword", "2H_Sword"
    }  # fmt: skip
    empty, whole = character_from_rig(path), read_gltf(path)
    in_hands = sum(len(part.vertices) for part in read_gltf_rig(path).parts if part.name in held)
    assert 0 < in_hands == len(whole.mesh.vertices) - len(empty.mesh.vertices)
    # Helmet and cape are worn, not held.
    assert empty.mesh.vertices[:, 1].max() == pytest.approx(whole.mesh.vertices[:, 1].max(), abs=0.01)


def test_feet_of_ik_rigs_hang_on_their_shins(shared_data):
    character = character_from_rig(shared_data / "rigs" / "robot_expressive.glb")
    for side in ("Left", "Right"):
        assert character.skeleton.parents[character.roles[f"{side}Foot"]] == character.roles[f"{side}Leg"]


@pytest.mark.parametrize("turn", [("X", -90), ("Y", 180), ("Y", 90), ("Z", 90), ("X", 180)])
def test_rigs_lying_or_looking_elsewhere_are_stood_up(tmp_path, turn):
    person = box_person()
    R = Rotation.from_euler(*turn, degrees=True).as_matrix()
    lying = turned(person, R)
    write_character(tmp_path / "rig.glb", replace(lying, roles={}))
    character = character_from_rig(tmp_path / "rig.glb")
    check_anatomy(character)
    at = rest_positions(character)[[character.roles[name] for name in BODY_JOINTS]]
    assert np.abs(at - at[0] - (rest_positions(person) - rest_positions(person)[0])).max() < 1e-5


def turned(person, R):
    T = person.skeleton.T_parent_joint.copy()
    T[0, :3, :3], T[0, :3, 3] = R @ T[0, :3, :3], R @ T[0, :3, 3]
    skeleton = replace(person.skeleton, T_parent_joint=T)
    mesh = replace(person.mesh, vertices=person.mesh.vertices @ R.T, normals=person.mesh.normals @ R.T)
    rest = rest_pose(skeleton.parents, T)
    return replace(person, mesh=mesh, skeleton=skeleton, T_joint_mesh=np.linalg.inv(rest))


def test_sides_named_from_the_viewers_seat_change_places(tmp_path):
    person = box_person()
    swapped = tuple(
        MIRRORED[name[:4]] + name[4:] if name[:4] in MIRRORED else
        MIRRORED[name[:5]] + name[5:] if name[:5] in MIRRORED else name for name in BODY_JOINTS
    )  # fmt: skip
    write_character(tmp_path / "rig.glb", replace(person, skeleton=replace(person.skeleton, names=swapped), roles={}))
    check_anatomy(character_from_rig(tmp_path / "rig.glb"))


def test_a_rig_that_is_no_body(tmp_path):
    person = box_person()
    local = person.skeleton.T_parent_joint.copy()
    local[1:, :3, 3] = [(x, 0.3, z) for z in range(7) for x in (-1, 0, 1)]
    skeleton = Skeleton(tuple(f"wheel_{n}" for n in range(22)), tuple([-1] + [0] * 21), local)
    write_character(tmp_path / "car.glb", replace(person, skeleton=skeleton, roles={}))
    with pytest.raises(CharacterError, match="two legs"):
        character_from_rig(tmp_path / "car.glb")


def test_a_leg_that_hangs_from_the_foot_up(tmp_path):
    person = box_person()
    upside_down = {"LeftUpLeg": "LeftFoot", "LeftFoot": "LeftUpLeg"}
    skeleton = replace(person.skeleton, names=tuple(upside_down.get(name, name) for name in BODY_JOINTS))
    write_character(tmp_path / "rig.glb", replace(person, skeleton=skeleton, roles={}))
    with pytest.raises(CharacterError, match=r"LeftUpLeg .* hangs on its LeftLeg"):
        character_from_rig(tmp_path / "rig.glb")


def test_ends_of_limbs_that_move_nothing_are_kept(tmp_path):
    """Mittens: hands and toes are painted on the forearm's and the foot's vertices."""
    person = box_person()
    joints = person.skin_joints.copy()
    for end, above in (("LeftHand", "LeftForeArm"), ("RightToeBase", "RightFoot")):
        joints[joints == BODY_JOINTS.index(end)] = BODY_JOINTS.index(above)
    write_character(tmp_path / "rig.glb", replace(person, skin_joints=joints, roles={}))
    assert character_from_rig(tmp_path / "rig.glb").skeleton.names == BODY_JOINTS


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_our_own_characters_come_back_as_they_were(tmp_path, scale):
    """Whatever their size, names and place: roles are in the file."""
    person = box_person(scale)
    names = tuple(f"part {number}" for number in range(22))
    named = replace(person, skeleton=replace(person.skeleton, names=names))
    write_character(tmp_path / "rig.glb", named)
    character = character_from_rig(tmp_path / "rig.glb")
    assert character.skeleton.names == names and character.roles == person.roles
    assert np.abs(character.skeleton.T_parent_joint - person.skeleton.T_parent_joint).max() < 1e-6
    assert np.abs(character.mesh.vertices.min(0) - person.mesh.vertices.min(0)).max() < 1e-6
    assert np.abs(character.mesh.vertices.max(0) - person.mesh.vertices.max(0)).max() < 1e-6
    half = character_from_rig(tmp_path / "rig.glb", person.height_m / 2)
    assert np.abs(rest_positions(half) - rest_positions(person) / 2).max() < 1e-6
    assert np.abs(np.linalg.inv(half.T_joint_mesh)[:, :3, 3] - rest_positions(half)).max() < 1e-6


def with_mesh_at(tmp_path, character, parent, name, offset):
    """The character's file with a box of it once more, on no skin: at a node of the scene, or below a joint."""
    write_character(tmp_path / "plain.glb", character)
    document, binary = parts_of(tmp_path / "plain.glb")
    primitive = dict(document["meshes"][0]["primitives"][1])
    primitive["attributes"] = {key: primitive["attributes"][key] for key in ("POSITION", "NORMAL")}
    document["meshes"].append({"primitives": [primitive]})
    document["nodes"].append({"name": name, "mesh": 1, "translation": offset})
    siblings = (
        document["scenes"][0]["nodes"] if parent is None else document["nodes"][parent].setdefault("children", [])
    )
    siblings.append(len(document["nodes"]) - 1)
    return write_glb(tmp_path / "rig.glb", document, binary)


def test_what_hangs_on_no_joint_is_left_out_and_said(tmp_path):
    """A helper's sphere, a floor: three metres tall, beside a person of 1.79."""
    person = replace(box_person(), roles={})
    said = []
    character = character_from_rig(with_mesh_at(tmp_path, person, None, "Ico\x1bsphere", [3, 3, 0]), say=said.append)
    assert character.height_m == pytest.approx(person.height_m, abs=1e-6)
    assert len(character.mesh.faces) == len(person.mesh.faces)
    assert len(said) == 1 and "left out" in said[0] and "Ico\\x1bsphere" in said[0] and "\x1b" not in said[0]
    check_anatomy(character)


def test_what_hangs_on_a_joint_stays(tmp_path):
    person = replace(box_person(), roles={})
    said = []
    head = BODY_JOINTS.index("Head")
    character = character_from_rig(with_mesh_at(tmp_path, person, head, "crown", [0, -1, 0]), say=said.append)
    assert character.height_m > person.height_m + 0.5 and not said


def two_people(tmp_path, roles):
    """One file with a tall and a short person, on an armature each, the short one first and with more vertices."""
    tall, short = replace(box_person(), roles=roles), replace(box_person(0.5), roles=roles)
    write_character(tmp_path / "tall.glb", tall)
    write_character(tmp_path / "short.glb", short)
    document, binary = parts_of(tmp_path / "short.glb")
    other, more = parts_of(tmp_path / "tall.glb")
    binary += b"\0" * (-len(binary) % 4)
    views, accessors, nodes = (len(document[key]) for key in ("bufferViews", "accessors", "nodes"))
    for view in other["bufferViews"]:
        view["byteOffset"] += len(binary)
    for accessor in other["accessors"]:
        accessor["bufferView"] += views
    for node in other["nodes"]:
        node["children"] = [child + nodes for child in node.get("children", [])]
        node |= {key: 1 for key in ("mesh", "skin") if key in node}
    skin = other["skins"][0]
    skin["joints"] = [joint + nodes for joint in skin["joints"]]
    skin["inverseBindMatrices"] += accessors
    for primitive in other["meshes"][0]["primitives"]:
        primitive["attributes"] = {key: index + accessors for key, index in primitive["attributes"].items()}
        primitive["indices"] += accessors
    for key in ("bufferViews", "accessors", "nodes", "skins", "meshes"):
        document[key] += other[key]
    document["meshes"][0]["primitives"] += document["meshes"][0]["primitives"]
    document["buffers"][0]["byteLength"] = len(binary + more)
    document["nodes"] += [{"name": name, "children": []} for name in ("short armature", "tall armature", "people")]
    last = len(document["nodes"])
    document["nodes"][last - 3]["children"] = document["scenes"][0]["nodes"]
    document["nodes"][last - 2]["children"] = [index + nodes for index in other["scenes"][0]["nodes"]]
    document["nodes"][last - 1]["children"] = [last - 3, last - 2]
    document["scenes"][0]["nodes"] = [last - 1]
    return write_glb(tmp_path / "rig.glb", document, binary + more)


@pytest.mark.parametrize("roles", [{}, {name: joint for joint, name in enumerate(BODY_JOINTS)}], ids=["found", "ours"])
@pytest.mark.parametrize("figure, height_m", [(None, 0.5), (1, 0.5), (2, 1.0)])
def test_one_of_several_figures_is_chosen(tmp_path, roles, figure, height_m):
    said = []
    character = character_from_rig(two_people(tmp_path, roles), figure=figure, say=said.append)
    assert character.height_m == pytest.approx(height_m * box_person().height_m, abs=1e-6)
    assert len(character.skeleton) == 22
    check_anatomy(character)
    assert ("2 figures" in said[0]) == (figure is None)
    assert "left out" in said[-1]


def test_a_figure_that_is_not_there(tmp_path):
    with pytest.raises(CharacterError, match="holds 2 figures"):
        character_from_rig(two_people(tmp_path, {}), figure=3)


RIGIFY_NAMES = (
    "DEF-spine", "DEF-spine.001", "DEF-spine.002", "DEF-spine.003", "DEF-spine.004", "DEF-spine.006",
    *NAMES["rigify"][6:],
)  # fmt: skip
FINGER = ("DEF-f_index.01.L", "DEF-f_index.02.L")


def flattened(names, fragments):
    """A person with a finger, whose joints hang on an armature that moves nothing, but for those of `fragments`.

    `fragments` names joints that stay on their parent.
    """
    person = box_person()
    rest = np.linalg.inv(person.T_joint_mesh)
    at = rest[BODY_JOINTS.index("LeftHand")].copy()
    fingers = np.stack([at, at])
    fingers[:, 0, 3] += (0.09, 0.13)
    rest = np.concatenate([np.eye(4)[None], rest, fingers])
    parents = [-1] + [1 + max(parent, -1) for parent in BODY_PARENTS] + [1 + BODY_JOINTS.index("LeftHand"), 23]
    names = ["armature", *names, *FINGER]
    parents = [p if names[j] in fragments else min(0, j - 1) for j, p in enumerate(parents)]
    local = np.array([T if p < 0 else np.linalg.inv(rest[p]) @ T for T, p in zip(rest, parents, strict=True)])
    skeleton = Skeleton(tuple(names), tuple(parents), local)
    joints = person.skin_joints + 1
    hand = np.flatnonzero(joints[:, 0] == 1 + BODY_JOINTS.index("LeftHand"))
    joints[hand[:4]], joints[hand[4:6]] = 23, 24
    bind = np.linalg.inv(rest)
    return replace(person, skeleton=skeleton, T_joint_mesh=bind, skin_joints=joints, roles={})


CHAINED = {name for name in RIGIFY_NAMES if "spine" in name and name != "DEF-spine"} | {
    f"DEF-{part}.{side}" for part in ("shin", "foot", "toe", "forearm", "hand") for side in "LR"
}


@pytest.mark.parametrize(
    "names, fragments",
    [
        (RIGIFY_NAMES, CHAINED | set(FINGER)),
        (RIGIFY_NAMES, CHAINED | {"DEF-shoulder.L", "DEF-shoulder.R", FINGER[1]}),
        (RIGIFY_NAMES, set()),
        (NAMES["mixamo"], set()),
        (NAMES["unreal"], set()),
    ],
    ids=["deform bones", "shoulders on the spine", "all flat", "mixamo flat", "unreal flat"],
)
def test_bones_on_the_armature_are_hung_by_position(tmp_path, names, fragments):
    write_character(tmp_path / "rig.glb", flattened(names, fragments))
    character = character_from_rig(tmp_path / "rig.glb")
    skeleton = character.skeleton
    roles = {role: skeleton.names[joint] for role, joint in character.roles.items()}
    assert roles == dict(zip(BODY_JOINTS, names, strict=True))
    parent_names = {name: skeleton.names[p] for name, p in zip(skeleton.names, skeleton.parents, strict=True) if p >= 0}
    for joint, parent in enumerate(BODY_PARENTS):
        assert parent < 0 or parent_names[names[joint]] == names[parent]
    assert parent_names[FINGER[0]] == roles["LeftHand"] and parent_names[FINGER[1]] == FINGER[0]
    check_anatomy(character)
    # Bent at the spine, what stands above it goes along: head, hands and fingers; legs stay.
    q = quaternion_from_matrix(skeleton.T_parent_joint[:, :3, :3])
    q[character.roles["Spine"]] = [np.sqrt(0.5), np.sqrt(0.5), 0, 0]
    rest, bent = (
        forward_kinematics(skeleton.parents, skeleton.T_parent_joint[:, :3, 3], pose, skeleton.T_parent_joint[0, :3, 3])
        for pose in (quaternion_from_matrix(skeleton.T_parent_joint[:, :3, :3]), q)
    )
    moved = np.linalg.norm(bent[:, :3, 3] - rest[:, :3, 3], axis=-1)
    for name in (roles["Head"], roles["RightHand"], FINGER[1]):
        assert moved[skeleton.names.index(name)] > 0.3
    assert moved[[character.roles[role] for role in ("Hips", "LeftFoot", "RightUpLeg")]].max() < 1e-9


@pytest.mark.parametrize(
    "name, joints, height_m", [("icosphere_helper", 19, 1.507), ("two_characters", 19, 1.507),
                               ("rigify_flat_deform_bones", 52, 1.809)]
)  # fmt: skip
@pytest.mark.shared
def test_real_rigs_with_faults(shared_data, name, joints, height_m):
    said = []
    character = character_from_rig(shared_data / "faults" / f"{name}.glb", say=said.append)
    check_anatomy(character)
    assert (len(character.skeleton), round(character.height_m, 3)) == (joints, height_m)
    expected = {"icosphere_helper": ["Icosphere"], "two_characters": ["2 figures", "left out"]}.get(name, [])
    assert len(said) == len(expected) and all(word in line for word, line in zip(expected, said, strict=True))
    if name == "rigify_flat_deform_bones":
        assert character.skeleton.names[0] == "DEF-spine"


def test_a_figure_without_extent(tmp_path):
    write_character(tmp_path / "plain.glb", replace(box_person(), roles={}))
    document, binary = parts_of(tmp_path / "plain.glb")
    document["nodes"][0]["scale"] = [0, 0, 0]
    with pytest.raises(CharacterError, match="flat"):
        character_from_rig(write_glb(tmp_path / "rig.glb", document, binary))
