"""Rigs compressed by Draco and meshopt read as those that are not."""

import numpy as np
import pytest
from box_person import box_person
from gltf_files import add_view, parts_of, write_glb

from understudy.io.gltf import compression as gltf_compression
from understudy.io.gltf.document import COMPONENT_TYPES, COMPONENTS
from understudy.io.gltf.read import read_gltf
from understudy.io.gltf.unpack import PackedPiece, limit_memory, unpack
from understudy.io.gltf.write import write_character
from understudy.runtime.errors import CharacterError

DracoPy = pytest.importorskip("DracoPy")
meshopt = pytest.importorskip("meshopt")
QUANTUM_M = 2e-3


@pytest.fixture
def plain(tmp_path):
    write_character(tmp_path / "plain.glb", box_person(texture=np.full((4, 4, 4), 200, np.uint8)))
    return tmp_path / "plain.glb"


def values_of(document, binary, index):
    """An accessor's values, `count × components`."""
    accessor = document["accessors"][index]
    start = document["bufferViews"][accessor["bufferView"]]["byteOffset"]
    dtype, width = np.dtype(COMPONENT_TYPES[accessor["componentType"]]), COMPONENTS[accessor["type"]]
    return np.frombuffer(binary, dtype, accessor["count"] * width, start).reshape(-1, width)


def draco(document, binary):
    """Every surface packed as exporters do it: the accessors keep their sizes alone."""
    for primitive in document["meshes"][0]["primitives"]:
        values = {name: values_of(document, binary, index) for name, index in primitive["attributes"].items()}
        names = [name for name in values if name != "POSITION"]
        content = DracoPy.encode(
            values["POSITION"],
            values_of(document, binary, primitive["indices"]).reshape(-1, 3).astype("u4"),
            preserve_order=True,
            generic_attributes={number: np.ascontiguousarray(values[name]) for number, name in enumerate(names)},
        )
        point = next(a for a in DracoPy.decode(content).attributes if a["attribute_type"] == 0)["unique_id"]
        view, binary = add_view(document, binary, content)
        numbers = {"POSITION": point} | {name: number for number, name in enumerate(names)}
        primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": view, "attributes": numbers}}
        for index in (primitive["indices"], *primitive["attributes"].values()):
            document["accessors"][index].pop("bufferView")
    document["extensionsRequired"] = document["extensionsUsed"] = ["KHR_draco_mesh_compression"]
    return document, binary


def meshopt_packed(name):
    """All arrays packed, their plain bytes gone."""

    def pack(document, binary):
        packed = bytearray()
        for accessor in document["accessors"]:
            view = document["bufferViews"][accessor["bufferView"]]
            stride = np.dtype(COMPONENT_TYPES[accessor["componentType"]]).itemsize * COMPONENTS[accessor["type"]]
            mode = "TRIANGLES" if accessor["type"] == "SCALAR" else "ATTRIBUTES"
            content = np.frombuffer(binary, "u1", view["byteLength"], view["byteOffset"]).reshape(-1, stride)
            if mode == "TRIANGLES":
                content = content.reshape(-1).view(f"<u{stride}").astype("u4")
            packed_bytes = bytes(meshopt.encode_gltf_buffer(content, mode))
            view["extensions"] = {
                name: {"buffer": 1, "byteOffset": len(packed), "byteLength": len(packed_bytes), "byteStride": stride,
                       "count": accessor["count"], "mode": mode}
            }  # fmt: skip
            view["buffer"] = 2
            packed += packed_bytes
        document["extensionsRequired"] = document["extensionsUsed"] = [name]
        document["buffers"] += [
            {"byteLength": len(packed), "uri": "packed.bin"},
            {"byteLength": len(binary), "extensions": {name: {"fallback": True}}},
        ]
        pack.beside = bytes(packed)
        return document, binary

    return pack


def faces_of(character):
    """Middles and crossed edges of faces, sorted by column: packing may begin a face at another corner."""
    a, b, c = (character.mesh.vertices[character.mesh.faces[:, corner]] for corner in range(3))
    return np.sort(np.concatenate([(a + b + c) / 3, np.cross(b - a, c - a)], 1), axis=0)


@pytest.mark.parametrize(
    "pack", [draco, meshopt_packed("EXT_meshopt_compression"), meshopt_packed("KHR_meshopt_compression")],
    ids=["draco", "meshopt", "meshopt by Khronos"],
)  # fmt: skip
def test_a_compressed_rig_reads_as_the_plain_one(plain, tmp_path, pack):
    expected = read_gltf(plain)
    path = write_glb(tmp_path / "hero.glb", *pack(*parts_of(plain)))
    (tmp_path / "packed.bin").write_bytes(getattr(pack, "beside", b""))
    hero = read_gltf(path)
    assert np.abs(faces_of(hero) - faces_of(expected)).max() < QUANTUM_M
    assert np.abs(np.sort(hero.mesh.vertices, 0) - np.sort(expected.mesh.vertices, 0)).max() < QUANTUM_M
    strongest, expected_strongest = (
        np.bincount(who.skin_joints[:, 0], minlength=22) for who in (hero, expected)
    )  # fmt: skip
    assert (strongest == expected_strongest).all()


@pytest.mark.parametrize("kind, pack", [("Draco", draco), ("meshopt", meshopt_packed("EXT_meshopt_compression"))])
def test_without_the_decoder_it_is_said_what_to_do(plain, tmp_path, monkeypatch, kind, pack):
    path = write_glb(tmp_path / "hero.glb", *pack(*parts_of(plain)))
    monkeypatch.setattr(gltf_compression, "can_unpack", lambda kind: False)
    with pytest.raises(CharacterError, match=rf"without {kind} compression, or install understudy\[compressed\]"):
        read_gltf(path)


def test_what_lies_in_the_users_folder_is_not_run(plain, tmp_path, monkeypatch):
    path = write_glb(tmp_path / "hero.glb", *draco(*parts_of(plain)))
    (tmp_path / "json.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    assert len(read_gltf(path).mesh.faces)


def test_a_system_without_limits_of_memory_unpacks_too(monkeypatch):
    import resource

    asked = []

    def refuse(kind, limits):
        asked.append(kind)
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    limit_memory(1 << 30)
    assert asked == [resource.RLIMIT_AS, resource.RLIMIT_CORE], "one that is refused leaves the other to be set"


def test_a_damaged_surface_is_refused(plain, tmp_path):
    document, binary = draco(*parts_of(plain))
    view = document["bufferViews"][-1]
    damaged = bytearray(binary)
    damaged[view["byteOffset"] + 20 : view["byteOffset"] + view["byteLength"]] = b"\x7f" * (view["byteLength"] - 20)
    with pytest.raises(CharacterError, match=r"hero.glb is compressed, and cannot be unpacked \(.+\): export"):
        read_gltf(write_glb(tmp_path / "hero.glb", document, bytes(damaged)))


def test_a_surface_that_holds_other_than_it_says_is_refused(plain, tmp_path):
    document, binary = draco(*parts_of(plain))
    for index in document["meshes"][0]["primitives"][0]["attributes"].values():
        document["accessors"][index]["count"] += 1
    with pytest.raises(CharacterError, match="not as many as it says"):
        read_gltf(write_glb(tmp_path / "hero.glb", document, binary))


def test_what_a_packed_view_claims_is_counted_first(plain, tmp_path):
    pack = meshopt_packed("EXT_meshopt_compression")
    document, binary = pack(*parts_of(plain))
    (tmp_path / "packed.bin").write_bytes(pack.beside)
    document["bufferViews"][0]["extensions"]["EXT_meshopt_compression"]["count"] = 2**40
    with pytest.raises(CharacterError, match="compressed buffer view"):
        read_gltf(write_glb(tmp_path / "hero.glb", document, binary))


def test_one_stretch_of_bytes_in_many_packed_views_is_counted_each_time(plain, tmp_path):
    document, binary = meshopt_packed("EXT_meshopt_compression")(*parts_of(plain))
    (tmp_path / "packed.bin").write_bytes(bytes(1 << 20))
    first = document["bufferViews"][0]
    first["extensions"]["EXT_meshopt_compression"] |= {"byteOffset": 0, "byteLength": 1 << 20, "count": 1}
    document["buffers"][1]["byteLength"] = 1 << 20
    document["bufferViews"] += [first] * 10_000
    with pytest.raises(CharacterError, match="compressed buffer views; up to"):
        read_gltf(write_glb(tmp_path / "hero.glb", document, binary))


def test_a_decoder_that_takes_too_much_ends_alone(tmp_path):
    """A hundred million rows where little was claimed: the process has a limit of its own."""
    packed = bytes(meshopt.encode_gltf_buffer(np.zeros((256, 4), "u1"), "ATTRIBUTES"))
    piece = PackedPiece("meshopt", packed, {"count": 10**9, "stride": 4, "mode": "ATTRIBUTES", "filter": "NONE"})
    with pytest.raises(CharacterError, match="cannot be unpacked"):
        unpack(tmp_path / "hero.glb", [piece], 0)
