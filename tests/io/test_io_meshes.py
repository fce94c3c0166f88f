"""Meshes without a skeleton, from glTF, OBJ, PLY and STL."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from box_person import box_person
from PIL import Image

from understudy.io.gltf.write import write_character
from understudy.io.meshes import files_of_mesh, read_mesh
from understudy.runtime.errors import CharacterError

RED_GREEN = np.array([[[200, 30, 20, 255], [20, 180, 40, 255]]], np.uint8)


def painted_box(path: Path) -> Path:
    """A box of two metres' height: its upper half red by texture or colours of vertices, its lower half green."""
    box = trimesh.creation.box((1.0, 2.0, 0.5))
    box.apply_translation([5, 1, 0])
    high = box.vertices[:, 1] > 1
    if path.suffix == ".ply":
        box.visual.vertex_colors = np.where(high[:, None], RED_GREEN[0, 0], RED_GREEN[0, 1])
    else:
        uv = np.column_stack([np.where(high, 0.25, 0.75), np.full(len(high), 0.5)])
        image = Image.fromarray(np.repeat(RED_GREEN, 4, 1)[..., :3])
        material = trimesh.visual.material.PBRMaterial(baseColorTexture=image)
        if path.suffix == ".obj":
            material = trimesh.visual.material.SimpleMaterial(image=image)
        box.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    scene = trimesh.Scene(box)
    scene.export(str(path)) if path.suffix != ".obj" else box.export(str(path))
    return path


@pytest.mark.parametrize("suffix", ["glb", "obj", "ply"])
def test_shape_and_colours_come_back(suffix, tmp_path):
    mesh = read_mesh(painted_box(tmp_path / f"box.{suffix}"))
    assert len(mesh.faces) == 12
    assert mesh.vertices.min(0) == pytest.approx([4.5, 0, -0.25], abs=1e-5)
    assert mesh.vertices.max(0) == pytest.approx([5.5, 2, 0.25], abs=1e-5)
    outside = ((mesh.vertices - [5, 1, 0]) * mesh.normals).sum(1)
    assert (outside > 0).all()
    texture = mesh.materials[mesh.face_material[0]].texture
    x, y = (mesh.uv * texture.shape[1::-1]).astype(int).T
    seen = texture[np.clip(y, 0, len(texture) - 1), np.clip(x, 0, texture.shape[1] - 1), :3].astype(int)
    high = mesh.vertices[:, 1] > 1
    assert np.abs(seen[high] - RED_GREEN[0, 0, :3]).max() <= 3
    assert np.abs(seen[~high] - RED_GREEN[0, 1, :3]).max() <= 3


def test_the_corners_of_an_stl_become_vertices_again(tmp_path):
    trimesh.creation.box((1.0, 2.0, 0.5)).export(tmp_path / "box.stl")
    mesh = read_mesh(tmp_path / "box.stl")
    assert (len(mesh.vertices), len(mesh.faces)) == (8, 12)


@pytest.mark.parametrize("name", ["skin.png", "./skin.png", "-s 1 1 1 skin.png", "a\\skin.png", "my skin.png"])
def test_textures_are_found_as_programs_name_them(name, tmp_path):
    painted_box(tmp_path / "box.obj")
    place = tmp_path / {"a\\skin.png": "a/skin.png", "my skin.png": "my skin.png"}.get(name, "skin.png")
    place.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((4, 4, 3), 77, np.uint8)).save(place)
    (tmp_path / "material.mtl").write_text(f"newmtl material_0\nmap_Kd {name}\n")
    assert read_mesh(tmp_path / "box.obj").materials[0].texture[0, 0, 0] == 77
    found, missing = files_of_mesh(tmp_path / "box.obj")
    assert {file.name for file in found.values()} == {"material.mtl", place.name} and missing == ()


def test_a_rigs_surface_is_a_mesh_too(tmp_path):
    write_character(tmp_path / "rig.glb", box_person())
    assert np.ptp(read_mesh(tmp_path / "rig.glb").vertices[:, 1]) == pytest.approx(1.79, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mesh.3ds", b"solid"), ("mesh.stl", b"solid"), ("mesh.stl", b"\x00" * 80 + b"\xff\xff\xff\x7f"),
        ("mesh.glb", b"glTF"), ("mesh.obj", b"v 1 2\nf 1 2 3\n"), ("mesh.obj", b""),
        ("mesh.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"), ("mesh.obj", b"v 0 0 0\nv 1 0 0\nv nan 1 0\nf 1 2 3\n"),
        ("mesh.ply", b"ply\nformat ascii 1.0\nelement vertex 99999999999\nend_header\n"), ("mesh.ply", b"\x00" * 50),
    ],
)  # fmt: skip
def test_what_is_no_mesh_is_one_sentence(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CharacterError):
        read_mesh(tmp_path / name)


@pytest.mark.parametrize("way", ["../secret.png", "{outside}", "link.png", "..\\secret.png"])
def test_a_material_reaches_nothing_outside_its_folder(way, tmp_path):
    secret = tmp_path / "secret.png"
    Image.fromarray(np.full((4, 4, 3), 77, np.uint8)).save(secret)
    (tmp_path / "in").mkdir()
    mesh = painted_box(tmp_path / "in/box.obj")
    if way == "link.png":
        (tmp_path / "in/link.png").symlink_to(secret)
    name = way.format(outside=secret)
    (tmp_path / "in/material.mtl").write_text(f"newmtl material_0\nmap_Kd {name}\n")
    found = read_mesh(mesh)
    assert found.materials[0].texture is None
    files, missing = files_of_mesh(mesh)
    assert set(files) == {"material.mtl"} and len(missing) == 1
