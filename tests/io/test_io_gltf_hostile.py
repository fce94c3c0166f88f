"""Rig files that ask for more than they hold, or hold what is no number: refused before memory or time is spent."""

import io
import json
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from box_person import box_person
from gltf_files import add_accessor, add_view, parts_of, write_glb
from PIL import Image

from understudy.io.gltf.document import file_beside, files_beside
from understudy.io.gltf.read import read_gltf, read_gltf_motion, read_gltf_rig
from understudy.io.gltf.write import write_character
from understudy.runtime.errors import CharacterError

MAX_BYTES, MAX_S = 100 << 20, 5.0


@pytest.fixture
def parts(tmp_path):
    write_character(tmp_path / "person.glb", box_person(texture=np.full((4, 4, 4), 200, np.uint8)))
    return parts_of(tmp_path / "person.glb")


def primitive_of(document):
    return document["meshes"][0]["primitives"][0]


def zeros_without_data(document, binary):
    """A million of each: nothing in the file stands for them."""
    for index in primitive_of(document)["attributes"].values():
        del document["accessors"][index]["bufferView"]
        document["accessors"][index]["count"] = 10**6
    return document, binary


def indices_without_data(document, binary):
    accessor = document["accessors"][primitive_of(document)["indices"]]
    del accessor["bufferView"]
    accessor["count"] = 2**40
    return document, binary


def vertices_beyond_measure(document, binary):
    """Few of which a face uses."""
    for index in primitive_of(document)["attributes"].values():
        document["accessors"][index]["count"] = 2**29
    return document, binary


def one_surface_many_times(document, binary):
    indices, binary = add_accessor(document, binary, np.zeros((30_000, 1), "<u2"))
    document["meshes"][0]["primitives"] = [primitive_of(document) | {"indices": indices}] * 4000
    return document, binary


def one_mesh_at_many_nodes(document, binary):
    first = len(document["nodes"])
    document["nodes"] += [{"mesh": 0, "skin": 0}] * 6000
    document["scenes"][0]["nodes"] += range(first, first + 6000)
    return document, binary


def a_long_chain_of_nodes(document, binary):
    first = len(document["nodes"])
    document["nodes"] += [{"children": [first + n + 1]} for n in range(9999)] + [{}]
    document["scenes"][0]["nodes"].append(first)
    return document, binary


def a_hundred_thousand_nodes(document, binary):
    document["nodes"] += [{}] * 100_000
    return document, binary


def one_joint_many_times(document, binary):
    document["skins"][0]["joints"] *= 5000
    del document["skins"][0]["inverseBindMatrices"]
    return document, binary


def many_morph_targets(document, binary):
    index = primitive_of(document)["attributes"]["POSITION"]
    document["accessors"].append(
        {"componentType": 5126, "type": "VEC3", "count": document["accessors"][index]["count"]}
    )
    primitive_of(document)["targets"] = [{"POSITION": len(document["accessors"]) - 1}] * 50_000
    document["meshes"][0]["weights"] = [1.0] * 50_000
    return document, binary


def picture(side):
    """A PNG that claims to be a white square of so many pixels a side."""
    stream = io.BytesIO()
    Image.new("1", (8, 8), 1).save(stream, "PNG")
    content = bytearray(stream.getvalue())
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def a_picture_too_large(document, binary):
    document["images"][0]["bufferView"], binary = add_view(document, binary, picture(30_000))
    return document, binary


def many_large_pictures(document, binary):
    view, binary = add_view(document, binary, picture(4096))
    document["images"] = [{"bufferView": view, "mimeType": "image/png"}] * 100
    document["textures"] = [{"source": n} for n in range(100)]
    document["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": n}}} for n in range(100)]
    first = primitive_of(document)
    document["meshes"][0]["primitives"] = [first | {"material": n} for n in range(100)]
    return document, binary


def many_large_pictures_that_are_averaged(document, binary):
    stream = io.BytesIO()
    Image.new("1", (8192, 8192)).save(stream, "PNG")
    view, binary = add_view(document, binary, stream.getvalue())
    document["images"] = [{"bufferView": view, "mimeType": "image/png"}] * 40
    document["textures"] = [{"source": n} for n in range(40)]
    looks = [{"pbrMetallicRoughness": {"metallicRoughnessTexture": {"index": n}}} for n in range(40)]
    document["materials"] = looks
    first = primitive_of(document)
    document["accessors"].append(document["accessors"][first["indices"]] | {"count": 3})
    first["indices"] = len(document["accessors"]) - 1
    document["meshes"][0]["primitives"] = [first | {"material": n} for n in range(40)]
    return document, binary


def a_buffer_beyond_measure(document, binary):
    document["buffers"][0]["byteLength"] = 10**15
    return document, binary


def numbers_beyond_measure(document, binary):
    document["nodes"][0]["translation"] = [10**400, 0, 0]
    return document, binary


def text(content):
    def change(document, binary):
        return content(json.dumps(document)), binary

    return change


REFUSED = {
    change.__name__: change
    for change in (
        zeros_without_data, indices_without_data, vertices_beyond_measure, one_surface_many_times,
        one_mesh_at_many_nodes,
        a_long_chain_of_nodes, a_hundred_thousand_nodes, one_joint_many_times, many_morph_targets,
        a_picture_too_large, many_large_pictures, many_large_pictures_that_are_averaged, a_buffer_beyond_measure,
        numbers_beyond_measure,
    )
} | {
    "nested": text(lambda good: b'{"asset":' + b"[" * 100_000),
    "not_a_number": text(lambda good: good.replace('"metallicFactor": 0.0', '"metallicFactor": NaN').encode()),
    "infinite": text(lambda good: good.replace('"metallicFactor": 0.0', '"metallicFactor": -1e999').encode()),
    "millions_of_values": text(lambda good: b'{"asset":{"version":"2.0"},"extras":[' + b"{}," * 4_000_000 + b"{}]}"),
    "no_utf8": text(lambda good: b'{"asset":{"version":"2.0\xff"}}'),
    "half_a_character": text(lambda good: b'{"asset":{"version":"\\ud800"}}'),
}  # fmt: skip


@pytest.mark.parametrize("change", REFUSED)
def test_little_is_spent_on_what_is_refused(parts, tmp_path, change):
    path = write_glb(tmp_path / "hero.glb", *REFUSED[change](*parts))
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(CharacterError) as caught:
            read_gltf(path)
        spent = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert spent < MAX_BYTES
    assert time.process_time() - begun < MAX_S
    assert len(str(caught.value)) < 900 and "rror" not in str(caught.value)


def a_picture_cut_short(kind):
    """Two thousand pixels a side, all but the last rows there, checksums right."""
    stream = io.BytesIO()
    rows = np.random.default_rng(0).integers(0, 255, (2000, 1, 3), np.uint8)
    Image.fromarray(np.tile(rows, (1, 2000, 1))).save(stream, kind)
    content = stream.getvalue()
    if kind == "JPEG":
        return content[: int(0.9 * len(content))]
    body = zlib.compress(b"\0" * 6001 * 1990)
    pieces = [content[8:33][4:21], b"IDAT" + body, b"IEND"]
    return content[:8] + b"".join(struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in pieces)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_cut_short_is_found_before_it_is_decoded(parts, tmp_path, monkeypatch, kind):
    document, binary = parts
    document["images"][0]["bufferView"], binary = add_view(document, binary, a_picture_cut_short(kind))
    monkeypatch.setattr(Image.Image, "convert", lambda *given: pytest.fail("decoded"))
    with pytest.raises(CharacterError, match=r"truncated|too early"):
        read_gltf(write_glb(tmp_path / "hero.glb", document, binary))


def test_one_texture_of_many_materials_is_decoded_once(parts, tmp_path, monkeypatch):
    document, binary = parts
    document["materials"] = [document["materials"][0] | {"name": f"m{n}"} for n in range(40)]
    first = primitive_of(document)
    document["meshes"][0]["primitives"] = [first | {"material": n} for n in range(40)]
    path = write_glb(tmp_path / "hero.glb", document, binary)
    decoded = []
    convert = Image.Image.convert
    monkeypatch.setattr(Image.Image, "convert", lambda self, *given: decoded.append(1) or convert(self, *given))
    hero = read_gltf(path)
    assert len(decoded) == 1
    assert len(hero.mesh.materials) == 40
    assert len({id(material.texture) for material in hero.mesh.materials}) == 1
    write_character(tmp_path / "again.glb", hero)
    assert len(parts_of(tmp_path / "again.glb")[0]["images"]) == 1
    assert len(read_gltf(tmp_path / "again.glb").mesh.materials) == 40


def test_a_clip_without_end_is_refused(tmp_path, parts):
    document, binary = parts
    times, binary = add_accessor(document, binary, np.array([0.0, 1e30], "<f4"))
    values, binary = add_accessor(document, binary, np.zeros((2, 3), "<f4"))
    document["animations"] = [
        {
            "samplers": [{"input": times, "output": values}],
            "channels": [{"sampler": 0, "target": {"node": 0, "path": "translation"}}],
        }
    ]
    with pytest.raises(CharacterError, match="frames in a clip"):
        read_gltf_motion(write_glb(tmp_path / "hero.glb", document, binary))


@pytest.mark.parametrize("uri", ["%5C%5Chost%5Cshare%5Ca.png", "\\\\host\\a.png", "C%3A/a.png", "//host/share/a.png"])
def test_no_other_machine_is_asked_for_a_file(tmp_path, uri):
    assert file_beside(tmp_path / "hero.gltf", uri) is None
    assert file_beside(tmp_path / "hero.gltf", "textures/a%20b.png") == tmp_path / "textures/a b.png"


def test_a_file_of_zeros_is_not_read_whole(tmp_path):
    with (tmp_path / "hero.gltf").open("wb") as file:
        file.truncate(1 << 29)
    tracemalloc.start()
    try:
        with pytest.raises(CharacterError, match="begins neither"):
            files_beside(tmp_path / "hero.gltf")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def bind_matrices(document, binary):
    """The stored bind matrices, and the file with others in their place."""
    view = document["bufferViews"][document["accessors"][document["skins"][0]["inverseBindMatrices"]]["bufferView"]]
    start, stop = view["byteOffset"], view["byteOffset"] + view["byteLength"]

    def replaced(matrices):
        return binary[:start] + matrices.astype("<f4").tobytes() + binary[stop:]

    return np.frombuffer(binary[start:stop], "<f4").reshape(-1, 16).copy(), replaced


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("which", [[5], range(22)], ids=["one", "all"])
def test_bind_matrices_that_cannot_be_used_are_made_anew_and_said(parts, tmp_path, value, which):
    expected = read_gltf(write_glb(tmp_path / "good.glb", *parts)).mesh.vertices
    matrices, replaced = bind_matrices(*parts)
    matrices[list(which)] = value
    path = write_glb(tmp_path / "hero.glb", parts[0], replaced(matrices))
    rig = read_gltf_rig(path)
    assert "bind matrices" in rig.notes[0]
    assert np.abs(read_gltf(path).mesh.vertices - expected).max() < 1e-5


def test_numbers_that_are_none_are_repaired_and_said(parts, tmp_path):
    """Weights count nothing, normals point up, and coordinates of the texture are zero."""
    document, binary = parts
    attributes = primitive_of(document)["attributes"]
    for name in ("WEIGHTS_0", "NORMAL", "TEXCOORD_0"):
        accessor = document["accessors"][attributes[name]]
        start = document["bufferViews"][accessor["bufferView"]]["byteOffset"]
        binary = binary[:start] + struct.pack("<2f", np.nan, np.inf) + binary[start + 8 :]
    path = write_glb(tmp_path / "hero.glb", document, binary)
    assert "weights" in read_gltf_rig(path).notes[0]
    hero = read_gltf(path)
    for values in (hero.mesh.vertices, hero.mesh.normals, hero.mesh.uv, hero.skin_weights):
        assert np.isfinite(values).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_vertices_that_are_no_numbers_are_refused(parts, tmp_path, value):
    document, binary = parts
    accessor = document["accessors"][primitive_of(document)["attributes"]["POSITION"]]
    start = document["bufferViews"][accessor["bufferView"]]["byteOffset"]
    binary = binary[:start] + struct.pack("<f", value) + binary[start + 4 :]
    with pytest.raises(CharacterError, match="no finite place"):
        read_gltf(write_glb(tmp_path / "hero.glb", document, binary))
