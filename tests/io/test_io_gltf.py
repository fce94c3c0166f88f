"""Writing and reading glTF: round trips, all kinds of accessors, and one sentence for each way to be broken."""

import base64
import io
import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from box_person import box_person
from gltf_files import add_accessor, parts_of, write_glb
from PIL import Image
from scipy.spatial.transform import Rotation

from understudy.core.camera import CameraPath
from understudy.core.film import Performance
from understudy.core.motion import Motion
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import look_at, matrix_from_quaternion, quaternion_from_vector
from understudy.geometry.skinning import skin_vertices
from understudy.io.gltf.animation import find_clip, node_tree, node_world_matrices, sample_keys
from understudy.io.gltf.document import open_gltf
from understudy.io.gltf.read import read_gltf, read_gltf_motion
from understudy.io.gltf.write import write_character, write_scene
from understudy.runtime.errors import CharacterError


@pytest.fixture
def person():
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (8, 4, 4)).astype(np.uint8)
    return box_person(rest_rotations=Rotation.random(22, rng=rng).as_matrix(), texture=texture)


@pytest.fixture
def glb(tmp_path, person):
    write_character(tmp_path / "person.glb", person)
    return tmp_path / "person.glb"


def moves(character, frames=20, rate=Fraction(30000, 1001)):
    rng = np.random.default_rng(1)
    q = quaternion_from_vector(rng.normal(size=(frames, len(character.skeleton), 3)).cumsum(0) * 0.3)
    return Motion(character.skeleton, q, rng.normal(size=(frames, 3)).cumsum(0) * 0.1, rate)


def skinned(character, motion, frame):
    s = motion.skeleton
    T = forward_kinematics(
        s.parents, s.T_parent_joint[:, :3, 3], motion.q_parent_joint[frame], motion.root_position_m[frame]
    )
    T = T @ character.T_joint_mesh
    return skin_vertices(character.mesh.vertices, T, character.skin_joints, character.skin_weights)


def test_round_trip_of_a_character(glb, person):
    back = read_gltf(glb)
    assert back.skeleton.names == person.skeleton.names
    assert back.skeleton.parents == person.skeleton.parents
    assert np.abs(back.skeleton.T_parent_joint - person.skeleton.T_parent_joint).max() < 1e-6
    corners = person.mesh.vertices[person.mesh.faces].reshape(-1, 9)
    again = back.mesh.vertices[back.mesh.faces].reshape(-1, 9)
    assert np.abs(np.sort(corners, 0) - np.sort(again, 0)).max() < 1e-6
    by_name = {material.name: material for material in back.mesh.materials}
    assert (by_name["skin"].texture == person.mesh.materials[0].texture).all()
    assert by_name["cloth"].base_colour == pytest.approx((0.2, 0.4, 0.6, 1.0))
    assert by_name["cloth"].texture is None


def test_reflection_survives_a_round_trip(tmp_path, person):
    looks = tuple(
        replace(material, specular=specular, specular_colour=colour)
        for material, specular, colour in zip(
            person.mesh.materials, (0.0, 0.25), ((1.0, 1.0, 1.0), (2.0, 1.0, 0.5)), strict=True
        )
    )
    write_character(tmp_path / "matt.glb", replace(person, mesh=replace(person.mesh, materials=looks)))
    back = {material.name: material for material in read_gltf(tmp_path / "matt.glb").mesh.materials}
    for material in looks:
        assert back[material.name].specular == pytest.approx(material.specular)
        assert back[material.name].specular_colour == pytest.approx(material.specular_colour)
    document, _ = parts_of(tmp_path / "matt.glb")
    assert document["extensionsUsed"] == ["KHR_materials_specular"]
    skin = next(entry for entry in document["materials"] if entry["name"] == "skin")
    assert skin["extensions"] == {"KHR_materials_specular": {"specularFactor": 0.0}}


def test_plain_reflection_is_not_written(glb):
    document, _ = parts_of(glb)
    assert "extensionsUsed" not in document and not any("extensions" in entry for entry in document["materials"])


def test_reflection_is_read_as_the_khronos_extensions_say(glb, tmp_path):
    document, binary = parts_of(glb)
    stream = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 255, 51)).save(stream, "PNG")
    view = document["bufferViews"][-1] | {"byteOffset": len(binary), "byteLength": len(stream.getvalue())}
    document["bufferViews"].append(view)
    document["images"].append({"bufferView": len(document["bufferViews"]) - 1, "mimeType": "image/png"})
    document["textures"].append({"source": len(document["images"]) - 1})
    picture = {"index": len(document["textures"]) - 1}
    specular = {
        "specularFactor": 0.5,
        "specularTexture": picture,
        "specularColorFactor": [3.0, 1.0, 0.5],
        "specularColorTexture": picture,
    }

    def read(**extensions):
        for entry in document["materials"]:
            entry["extensions"] = extensions
        return read_gltf(write_glb(tmp_path / "look.glb", document, binary + stream.getvalue())).mesh.materials[0]

    textured = read(KHR_materials_specular=specular)
    assert textured.specular == pytest.approx(0.5 * 51 / 255)
    assert textured.specular_colour == pytest.approx((3.0, 0.0, 0.5))
    # Water reflects 0.02 of light from straight ahead; an index of 0 stands for all of it.
    water = read(KHR_materials_ior={"ior": 1.333})
    assert 0.04 * np.array(water.specular_colour) == pytest.approx([0.02037] * 3, rel=1e-3) and water.specular == 1.0
    mirror = read(KHR_materials_ior={"ior": 0}, KHR_materials_specular={"specularColorFactor": [1.0, 0.5, 0.1]})
    assert 0.04 * np.array(mirror.specular_colour) == pytest.approx([1.0, 0.5, 0.1])
    assert read(KHR_materials_unlit={}).specular == 0.0


def test_a_scene_moves_as_the_motion_says(tmp_path, person):
    motion = moves(person)
    angle = np.linspace(0, 7, len(motion))
    eye = np.stack([4 * np.sin(angle), 1 + 0 * angle, 4 * np.cos(angle)], -1)
    K = np.tile(intrinsics(900.0, 1280, 720), (len(motion), 1, 1))
    camera = CameraPath(look_at(eye, np.tile([0.0, 1.0, 0.0], (len(eye), 1)), 0.2), K, 1280, 720, motion.frame_rate)
    write_scene(tmp_path / "take.glb", [Performance(person, motion)], camera)
    character = read_gltf(tmp_path / "take.glb")
    back = read_gltf_motion(tmp_path / "take.glb", "take", motion.frame_rate)
    assert len(back) == len(motion)
    faces, number = person.mesh.faces, person.mesh.face_material
    order = np.concatenate([np.unique(faces[number == material]) for material in range(2)])
    for frame in (0, 7, 19):
        assert np.abs(skinned(person, motion, frame)[order] - skinned(character, back, frame)).max() < 1e-5

    document = open_gltf(tmp_path / "take.glb", clips=True)
    node = next(index for index, node in enumerate(document.json.nodes) if node.camera is not None)
    clip = find_clip(document, "take")
    times = np.arange(len(motion)) / float(motion.frame_rate)
    T = node_world_matrices(document, node_tree(document), clip, times)[node]
    expected = camera.T_world_camera @ np.diag([1.0, -1.0, -1.0, 1.0])
    assert np.abs(T - expected).max() < 1e-5
    assert parts_of(tmp_path / "take.glb")[0]["cameras"][0]["perspective"]["yfov"] == pytest.approx(
        2 * np.arctan(360 / 900)
    )
    q = document.accessor(next(s.output for s, c in zip(clip.samplers, clip.channels, strict=True)
                               if c.target.node == node and c.target.path == "rotation"))  # fmt: skip
    assert (np.einsum("ti,ti->t", q[1:], q[:-1]) > 0).all()


def test_several_performances_share_a_file(tmp_path, person):
    motion = moves(person)
    write_scene(tmp_path / "two.glb", [Performance(person, motion), Performance(person, motion)])
    skeleton = read_gltf(tmp_path / "two.glb").skeleton
    assert len(skeleton) == 2 * 22 + 3
    assert [skeleton.names[0], skeleton.names[1], skeleton.parents[1], skeleton.parents[24]] == [
        "root", person.name, 0, 0
    ]  # fmt: skip


def test_joints_hang_on_a_node_of_their_own(tmp_path, person):
    """Blender takes the node above the joints for the armature, with all that hangs on it: not the camera."""
    motion = moves(person)
    camera = CameraPath(
        np.tile(np.eye(4), (20, 1, 1)), np.tile(intrinsics(900.0, 1280, 720), (20, 1, 1)), 1280, 720, motion.frame_rate
    )
    write_scene(tmp_path / "take.glb", [Performance(person, motion)] * 2, camera)
    document, _ = parts_of(tmp_path / "take.glb")
    top = [document["nodes"][index] for index in document["scenes"][0]["nodes"]]
    assert sum("camera" in node for node in top) == 1
    for skin in document["skins"]:
        above = [node for node in top if skin["joints"][0] in node.get("children", [])]
        assert len(above) == 1 and above[0]["children"] == skin["joints"][:1]
    # A skinned mesh that is no root of the scene would be a warning of the validator.
    assert sum("skin" in node for node in top) == 2


def test_who_is_not_there_has_no_size(tmp_path, person):
    motion = moves(person, frames=6)
    for present in (np.array([0, 1, 1, 0, 0, 1], bool), np.ones(6, bool)):
        write_scene(tmp_path / "take.glb", [Performance(person, motion)], present=present)
        document, binary = parts_of(tmp_path / "take.glb")
        (clip,) = document["animations"]
        scales = [channel for channel in clip["channels"] if channel["target"]["path"] == "scale"]
        if present.all():
            assert scales == []
            continue
        (scale,) = scales
        assert document["nodes"][scale["target"]["node"]]["children"] == document["skins"][0]["joints"][:1]
        sampler = clip["samplers"][scale["sampler"]]
        assert sampler["interpolation"] == "STEP"
        view = document["bufferViews"][document["accessors"][sampler["output"]]["bufferView"]]
        sizes = np.frombuffer(binary[view["byteOffset"] :][: view["byteLength"]], "<f4").reshape(6, 3)
        assert np.array_equal(sizes, np.repeat(present[:, None], 3, 1))


def test_a_name_that_is_no_text_is_no_obstacle(tmp_path, person):
    write_character(tmp_path / "hero.glb", replace(person, name="Größe \udcff"))
    assert open_gltf(tmp_path / "hero.glb").json.skins[0].name == "Größe ?"


def test_vertices_reach_around_the_motion(tmp_path, person):
    """As three.js bounds a skinned mesh: all vertices of a surface once, in the rest pose or in any frame."""
    motion = moves(person)
    motion = replace(motion, root_position_m=motion.root_position_m + np.linspace((4, 0, 0), (4, 0, 12), len(motion)))
    write_scene(tmp_path / "take.glb", [Performance(person, motion)])
    document = open_gltf(tmp_path / "take.glb")
    over_time = np.concatenate([skinned(person, motion, frame) for frame in range(len(motion))])
    rest = np.linalg.inv(person.T_joint_mesh[0])
    for primitive in document.json.meshes[0].primitives:
        positions = document.accessor(primitive.attributes["POSITION"]).astype(np.float64)
        used = np.unique(document.accessor(primitive.indices))
        corners = np.delete(positions, used, axis=0)
        assert len(corners) == 8 and (np.delete(np.arange(len(positions)), used) == len(used) + np.arange(8)).all()
        assert (document.accessor(primitive.attributes["JOINTS_0"])[-8:] == 0).all()
        assert (document.accessor(primitive.attributes["WEIGHTS_0"])[-8:] == [1, 0, 0, 0]).all()
        for frame in (None, 0, 10, 19):
            T = rest.copy()
            if frame is not None:
                T[:3, :3] = matrix_from_quaternion(motion.q_parent_joint[frame, 0])
                T[:3, 3] = motion.root_position_m[frame]
            inside = np.linalg.inv(T @ person.T_joint_mesh[0])
            seen = over_time @ inside[:3, :3].T + inside[:3, 3]
            assert (seen > corners.min(0)).all() and (seen < corners.max(0)).all()
        # No farther than needed: twice the path and a body.
        assert np.ptp(corners, axis=0).max() < 2 * (20 + 2)


def test_armature_scale_and_turn_become_metres(glb, tmp_path, person):
    """As exporters do it: an armature node in centimetres, +Z up, with the bind matrices to match."""
    document, binary = parts_of(glb)
    M = np.eye(4)
    M[:3, :3] = 0.01 * Rotation.from_euler("X", -90, degrees=True).as_matrix()
    joints = document["skins"][0]["joints"]
    document["nodes"].append({"name": "Armature", "matrix": M.T.reshape(-1).tolist(), "children": [joints[0]]})
    document["scenes"][0]["nodes"] = [len(document["nodes"]) - 1, len(document["nodes"]) - 2]
    # The joints' own offsets grow by 100, and their bind matrices shrink what they map.
    inner = np.linalg.inv(M)
    for node in joints:
        document["nodes"][node]["translation"] = (100 * np.array(document["nodes"][node]["translation"])).tolist()
    root = document["nodes"][joints[0]]
    T = np.eye(4)
    T[:3, 3] = np.array(root["translation"]) / 100
    T[:3, :3] = Rotation.from_quat(root["rotation"]).as_matrix()
    local = inner @ T
    root["translation"] = local[:3, 3].tolist()
    root["rotation"] = Rotation.from_matrix(local[:3, :3] * 0.01).as_quat().tolist()
    view = document["bufferViews"][document["accessors"][document["skins"][0]["inverseBindMatrices"]]["bufferView"]]
    start, stop = view["byteOffset"], view["byteOffset"] + view["byteLength"]
    bind = np.frombuffer(binary[start:stop], "<f4").reshape(-1, 4, 4).swapaxes(1, 2)
    bind = np.diag([100.0, 100.0, 100.0, 1.0]) @ bind
    binary = binary[:start] + bind.swapaxes(1, 2).astype("<f4").tobytes() + binary[stop:]
    back = read_gltf(write_glb(tmp_path / "scaled.glb", document, binary))
    assert np.abs(np.sort(back.mesh.vertices, 0) - np.sort(read_gltf(glb).mesh.vertices, 0)).max() < 1e-5
    places = [back.skeleton.names.index(name) for name in person.skeleton.names]
    rest = np.linalg.inv(back.T_joint_mesh)[places]
    assert np.abs(rest - np.linalg.inv(person.T_joint_mesh)).max() < 1e-5


def test_the_bind_pose_is_the_rest_pose(glb, tmp_path, person):
    """A file saved in the middle of a movement reads as its author modelled it."""
    document, binary = parts_of(glb)
    node = document["skins"][0]["joints"][person.skeleton.names.index("LeftArm")]
    document["nodes"][node]["rotation"] = [0.5, 0.5, 0.5, 0.5]
    back = read_gltf(write_glb(tmp_path / "posed.glb", document, binary))
    assert np.abs(np.sort(back.mesh.vertices, 0) - np.sort(read_gltf(glb).mesh.vertices, 0)).max() < 1e-5
    assert np.abs(back.skeleton.T_parent_joint - person.skeleton.T_parent_joint).max() < 1e-5


def test_a_bone_scaled_for_looks_keeps_its_size(glb, tmp_path, person):
    document, binary = parts_of(glb)
    head = person.skeleton.names.index("Head")
    document["nodes"][document["skins"][0]["joints"][head]]["scale"] = [2.0, 2.0, 2.0]
    back = read_gltf(write_glb(tmp_path / "big.glb", document, binary))
    mine = person.mesh.vertices[person.skin_joints[:, 0] == head]
    theirs = back.mesh.vertices[back.skin_joints[:, 0] == head]
    assert np.ptp(theirs, axis=0) == pytest.approx(2 * np.ptp(mine, axis=0), rel=1e-5)


def test_rigid_parts_follow_their_joint(glb, tmp_path, person):
    document, binary = parts_of(glb)
    hat = {"name": "hat", "mesh": len(document["meshes"]), "translation": [0.0, 0.3, 0.0]}
    primitive = dict(document["meshes"][0]["primitives"][1])
    primitive["attributes"] = {k: v for k, v in primitive["attributes"].items() if k in ("POSITION", "NORMAL")}
    document["meshes"].append({"primitives": [primitive]})
    document["nodes"].append(hat)
    head = document["skins"][0]["joints"][person.skeleton.names.index("Head")]
    document["nodes"][head].setdefault("children", []).append(len(document["nodes"]) - 1)
    back = read_gltf(write_glb(tmp_path / "hat.glb", document, binary))
    added = back.mesh.vertices[-(len(back.mesh.vertices) - len(read_gltf(glb).mesh.vertices)) :]
    rest = np.linalg.inv(person.T_joint_mesh)[person.skeleton.names.index("Head")]
    plain = open_gltf(glb).accessor(primitive["attributes"]["POSITION"])
    # Parts come in the order of the scene's tree, so the hat may stand before the body.
    expected = (rest @ np.concatenate([plain + [0, 0.3, 0], np.ones((len(plain), 1))], 1).T).T[:, :3]
    distance = np.linalg.norm(back.mesh.vertices[:, None] - expected[None, :5], axis=-1).min(0)
    assert distance.max() < 1e-5 and len(added) == len(plain)


def test_vertex_colours_become_a_texture(glb, tmp_path):
    document, binary = parts_of(glb)
    primitive = document["meshes"][0]["primitives"][1]
    count = document["accessors"][primitive["attributes"]["POSITION"]]["count"]
    colours = np.random.default_rng(0).integers(0, 65535, (count, 4)).astype("<u2")
    primitive["attributes"]["COLOR_0"], binary = add_accessor(document, binary, colours)
    document["accessors"][-1]["normalized"] = True
    before = read_gltf(glb)
    back = read_gltf(write_glb(tmp_path / "coloured.glb", document, binary))
    number = next(n for n, material in enumerate(back.mesh.materials) if material.name == "cloth")
    texture = back.mesh.materials[number].texture
    face = np.flatnonzero(back.mesh.face_material == number)[3]
    place = back.mesh.uv[back.mesh.faces[face]] * texture.shape[1::-1] - 0.5
    seen = texture[np.round(place[:, 1]).astype(int), np.round(place[:, 0]).astype(int), :3] / 255.0
    corner = open_gltf(tmp_path / "coloured.glb").accessor(primitive["indices"])[9:12, 0]
    linear = colours[corner, :3] / 65535.0
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(place - np.round(place)).max() < 1e-9
    assert np.abs(seen - srgb).max() < 0.005
    assert len(back.mesh.faces) == len(before.mesh.faces)


@pytest.mark.parametrize("interpolation", ["STEP", "LINEAR", "CUBICSPLINE"])
def test_interpolation_between_keys(interpolation):
    keys = np.array([0.0, 1.0, 3.0])
    values = np.array([[0.0], [1.0], [9.0]])
    if interpolation == "CUBICSPLINE":
        slopes = np.array([[0.0], [2.0], [6.0]])
        values = np.stack([slopes, values, slopes], 1).reshape(-1, 1)
    at = sample_keys(keys, values, np.array([-1.0, 0.5, 1.0, 2.0, 5.0]), interpolation, False)[:, 0]
    expected = {"STEP": [0, 0, 1, 1, 9], "LINEAR": [0, 0.5, 1, 5, 9], "CUBICSPLINE": [0, 0.25, 1, 4, 9]}
    assert at == pytest.approx(expected[interpolation])


def test_sparse_and_normalised_accessors(glb, tmp_path):
    document, binary = parts_of(glb)
    index, binary = add_accessor(document, binary, np.array([1, 2], "<u2"))
    _, binary = add_accessor(document, binary, np.array([[-128, 127, 0], [64, -64, 1]], "i1"))
    views = len(document["bufferViews"])
    document["accessors"][index] = {
        "componentType": 5120, "count": 4, "type": "VEC3", "normalized": True,
        "sparse": {"count": 2, "indices": {"bufferView": views - 2, "componentType": 5123},
                   "values": {"bufferView": views - 1}},
    }  # fmt: skip
    values = open_gltf(write_glb(tmp_path / "sparse.glb", document, binary)).accessor(index)
    assert values[[0, 3]].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert values[1] == pytest.approx([-1.0, 1.0, 0.0]) and values[2] == pytest.approx([64 / 127, -64 / 127, 1 / 127])


def broken(change):
    """A test case that edits the document of a good file."""
    return pytest.param(change, id=change.__name__)


def no_skin(document):
    for node in document["nodes"]:
        node.pop("skin", None)


def basis(document):
    document["extensionsRequired"] = document["extensionsUsed"] = ["KHR_texture_basisu"]


def accessor_beyond_its_buffer(document):
    document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]["count"] = 10**6


def accessor_absurdly_large(document):
    accessor = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    accessor["count"] = 10**12
    del accessor["bufferView"]


def view_beyond_its_buffer(document):
    document["bufferViews"][3]["byteOffset"] = 10**9


def negative_offset(document):
    document["bufferViews"][3]["byteOffset"] = -4


def two_parents(document):
    document["nodes"][3].setdefault("children", []).append(8)


def a_ring_of_nodes(document):
    document["nodes"][5].setdefault("children", []).append(0)


def image_on_the_network(document):
    document["images"][0] = {"uri": "https://example.com/a.png"}


def image_outside_the_folder(document):
    document["images"][0] = {"uri": "../../etc/passwd"}


def image_with_an_absolute_path(document):
    document["images"][0] = {"uri": "/etc/passwd"}


def image_hidden_by_escapes(document):
    document["images"][0] = {"uri": "%2e%2e/%2e%2e/etc/passwd"}


def image_that_is_no_picture(document):
    document["images"][0] = {"uri": "data:image/png;base64," + base64.b64encode(b"no picture").decode()}


def face_beyond_the_vertices(document):
    primitive = document["meshes"][0]["primitives"][0]
    primitive["attributes"] = dict(primitive["attributes"])
    primitive["indices"] = document["meshes"][0]["primitives"][1]["attributes"]["JOINTS_0"]
    document["accessors"][primitive["indices"]] |= {"type": "SCALAR", "count": 8}
    for name in primitive["attributes"].values():
        document["accessors"][name]["count"] = 3


def version_one(document):
    document["asset"]["version"] = "1.0"


def no_meshes(document):
    document["meshes"][0]["primitives"] = []


def nodes_of_text(document):
    document["nodes"][2]["translation"] = "here"


def skin_joint_that_is_not_there(document):
    document["skins"][0]["joints"][4] = 999


@pytest.mark.parametrize(
    "change",
    [broken(case) for case in (
        no_skin, basis, accessor_beyond_its_buffer, accessor_absurdly_large, view_beyond_its_buffer, negative_offset,
        two_parents, a_ring_of_nodes, image_on_the_network, image_outside_the_folder, image_with_an_absolute_path,
        image_hidden_by_escapes, image_that_is_no_picture, face_beyond_the_vertices, version_one, no_meshes,
        nodes_of_text, skin_joint_that_is_not_there,
    )],
)  # fmt: skip
def test_broken_files_say_why(glb, tmp_path, change):
    document, binary = parts_of(glb)
    change(document)
    with pytest.raises(CharacterError) as caught:
        read_gltf(write_glb(tmp_path / "broken.glb", document, binary))
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 20


def test_extensions_are_named(glb, tmp_path):
    document, binary = parts_of(glb)
    basis(document)
    with pytest.raises(CharacterError, match=r"KHR_texture_basisu.*with PNG or JPEG"):
        read_gltf(write_glb(tmp_path / "basis.glb", document, binary))


@pytest.mark.parametrize("keep", [3, 11, 15, 500, 0.5, 0.999])
def test_truncated_files(glb, tmp_path, keep):
    data = glb.read_bytes()
    (tmp_path / "cut.glb").write_bytes(data[: keep if keep >= 1 else int(keep * len(data))])
    with pytest.raises(CharacterError):
        read_gltf(tmp_path / "cut.glb")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x00" * 100, b'{"asset": 3}', b"[" * 100_000])
def test_files_that_are_no_gltf(tmp_path, content):
    (tmp_path / "a.gltf").write_bytes(content)
    with pytest.raises(CharacterError):
        read_gltf(tmp_path / "a.gltf")


def test_a_missing_file(tmp_path):
    with pytest.raises(CharacterError, match="cannot be read"):
        read_gltf(tmp_path / "none.glb")


def test_gltf_with_files_beside_it(glb, tmp_path):
    document, binary = parts_of(glb)
    (tmp_path / "my data.bin").write_bytes(binary)
    picture = io.BytesIO()
    Image.new("RGB", (3, 2), (200, 10, 30)).save(picture, "JPEG")
    (tmp_path / "skin.jpg").write_bytes(picture.getvalue())
    document["buffers"][0]["uri"] = "my%20data.bin"
    document["images"][0] = {"uri": "skin.jpg"}
    (tmp_path / "a.gltf").write_text(json.dumps(document))
    back = read_gltf(tmp_path / "a.gltf")
    texture = next(material.texture for material in back.mesh.materials if material.texture is not None)
    assert texture.shape == (2, 3, 4) and abs(int(texture[0, 0, 0]) - 200) < 12


def test_vrm_files_of_the_old_kind_are_turned(shared_data):
    character = read_gltf(shared_data / "rigs" / "cryptovoxels.vrm")
    rest = np.linalg.inv(character.T_joint_mesh)[:, :3, 3]
    names = character.skeleton.names
    assert rest[names.index("Left toe"), 2] > rest[names.index("Left ankle"), 2] + 0.03
    assert rest[names.index("Left arm"), 0] > 0.05
