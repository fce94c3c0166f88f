"""Meshes without a skeleton, as generators and sculptors write them: glTF, OBJ, PLY and STL."""

# trimesh has types in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportAttributeAccessIssue=false
# pyright: reportUnknownArgumentType=false

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from understudy.core.character import Material, Mesh
from understudy.core.motion import Skeleton
from understudy.geometry.meshes import cluster_means, clustered, vertex_normals
from understudy.imaging.colour import linear_from_srgb_bytes
from understudy.io.files import file_named, read_bytes, reading
from understudy.io.gltf.animation import node_tree, node_world_matrices
from understudy.io.gltf.compression import unpack_surfaces
from understudy.io.gltf.document import open_gltf, reading_rig
from understudy.io.gltf.merge import GltfRig, bake_colours, character_from_parts, merged_mesh
from understudy.io.gltf.primitives import RigPart, claim_surfaces, read_parts
from understudy.io.gltf.read import read_gltf
from understudy.io.gltf.skins import BoundJoints
from understudy.runtime.errors import CharacterError, quoted

__all__ = ["PLAIN_SUFFIXES", "files_of_mesh", "read_mesh"]

GLTF_SUFFIXES, PLAIN_SUFFIXES = (".glb", ".gltf", ".vrm"), (".obj", ".ply", ".stl")
"""Files that may hold a skeleton, and files that never do."""
MESH_SUFFIXES = (*GLTF_SUFFIXES, *PLAIN_SUFFIXES)
MAX_MESH_BYTES = 512 << 20
MAX_VERTICES = 3_000_000
"""More than scans and generators give; each takes some 130 bytes, with its share of the faces."""
MAX_MATERIAL_BYTES, MAX_TEXTURE_BYTES, MAX_TEXELS = 4 << 20, 128 << 20, 8192**2
NAMES_LIBRARY = re.compile(rb"^[ \t]*mtllib[ \t]+([^\r\n]+)", re.MULTILINE)
NAMES_TEXTURE = re.compile(rb"^[ \t]*map_Kd[ \t]+([^\r\n]+)", re.MULTILINE | re.IGNORECASE)
PLY_TEXTURE = re.compile(rb"^comment TextureFile[ \t]+([^\r\n]+)", re.MULTILINE | re.IGNORECASE)
PLY_HEADER_BYTES = 1 << 16
MAX_COLOURED_FACES, COARSE_CELLS = 150_000, 220
"""Meshes with colours of vertices or faces get texels of their own for each face. If they have more faces, their
vertices are first joined cell by cell, in so many cells along the largest side."""


def read_mesh(path: Path) -> Mesh:
    """All surfaces of a file as one mesh, in the file's own unit and axes; a skeleton in it is left out.

    Raises:
        CharacterError: it is no such file, damaged, empty, or too large.
    """
    suffix = path.suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise CharacterError(f"{quoted(path)} is no mesh that can be read; give {', '.join(MESH_SUFFIXES)}")
    mesh = _read_gltf(path) if suffix in GLTF_SUFFIXES else _read_by_trimesh(path)
    if not len(mesh.faces):
        raise _no_surface(path)
    return mesh


def _read_gltf(path: Path) -> Mesh:
    document = open_gltf(path)
    with reading_rig(path):
        tree = node_tree(document)
        if any(document.json.nodes[node].skin is not None for node in tree.order):
            return read_gltf(path).mesh
        claim_surfaces(document, tree)
        unpack_surfaces(document, tree)
        world = {index: T[0] for index, T in node_world_matrices(document, tree).items()}
        here = np.eye(4)[None]
        bound = BoundJoints(Skeleton(("root",), (-1,), here), {}, here, {}, {})
        parts = read_parts(document, tree, world, bound)
        if not parts:
            raise _no_surface(path)
        return character_from_parts(GltfRig(path.stem, bound.skeleton, parts, {}, {}, {}, (), document), parts).mesh


def files_of_mesh(path: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """The files with materials and colours that an OBJ or PLY file names, by these names, and the names of those that
    are missing, or not within the file's folder.

    Raises:
        CharacterError: a file is too large, or cannot be read.
    """
    suffix = path.suffix.lower()
    found: dict[str, Path] = {}
    missing: list[str] = []

    def note(name: str) -> Path | None:
        file = file_named(path, name)
        if file is not None and file.is_file():
            found[name] = file
            return file
        missing.append(name)
        return None

    if suffix == ".ply":
        for name in _names(PLY_TEXTURE, read_bytes(path, "mesh", MAX_MESH_BYTES, CharacterError)[:PLY_HEADER_BYTES]):
            note(name)
    elif suffix == ".obj":
        for library in _names(NAMES_LIBRARY, read_bytes(path, "mesh", MAX_MESH_BYTES, CharacterError))[:1]:
            file = note(library)
            if file is not None:
                for name in _names(NAMES_TEXTURE, read_bytes(file, "material", MAX_MATERIAL_BYTES, CharacterError)):
                    note(name)
    return found, tuple(missing)


def _names(pattern: re.Pattern[bytes], content: bytes) -> list[str]:
    """The files that lines of a kind name, each once."""
    return list(dict.fromkeys(_plain_name(found.decode(errors="replace")) for found in pattern.findall(content)))


def _plain_name(name: str) -> str:
    """A file's name as written in an OBJ or MTL file: without options before it, with slashes as they should be."""
    name = name.strip()
    if name.startswith("-"):  # -s 1 1 1 skin.png: an option has words and numbers, then the name follows
        words = name.split()
        while words and (words[0].startswith("-") or re.fullmatch(r"[-+.\deE]+|on|off", words[0])):
            words = words[1:]
        name = " ".join(words)
    return name.strip('"').replace("\\", "/").removeprefix("./")


class _Beside:
    """What a mesh's file names, for trimesh: nothing but files of a sensible size within the file's folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            FileNotFoundError: it is not there; trimesh goes on without it.
        """
        file = file_named(self._path, _plain_name(name))
        if file is None or not file.is_file():
            raise FileNotFoundError(name)
        return read_bytes(file, "texture or material", MAX_TEXTURE_BYTES, CharacterError)

    def __getitem__(self, name: str) -> bytes:
        """The same."""
        return self.get(name)

    def keys(self) -> list[str]:
        """Nobody may look round."""
        return []


def _read_by_trimesh(path: Path) -> Mesh:
    import trimesh  # takes half a second, and only these files need it

    content = read_bytes(path, "mesh", MAX_MESH_BYTES, CharacterError)
    with reading(path, "mesh", CharacterError, "export it again"):
        resolver: Any = _Beside(path)
        scene: Any = trimesh.load_scene(io.BytesIO(content), path.suffix[1:].lower(), resolver, process=False)
        pieces = [_piece(one) for one in scene.dump() if isinstance(one, trimesh.Trimesh) and len(one.faces)]
    return _joined(pieces, path)


def _piece(geometry: Any) -> tuple[RigPart, Material]:
    """One surface, as a rig's parts are, and its material."""
    if geometry.visual.kind is None and np.isfinite(geometry.vertices).all():
        geometry.merge_vertices()  # STL has three of its own for each face
    vertices, faces = np.asarray(geometry.vertices, np.float64), np.asarray(geometry.faces, np.int64)
    colours, material, uv = None, Material("surface", specular=0.0), np.zeros((len(vertices), 2))
    visual = geometry.visual
    if visual.kind == "vertex":
        colours = linear_from_srgb_bytes(np.asarray(visual.vertex_colors, np.uint8)[:, :3]).astype(np.float64)
    elif visual.kind == "face":
        corners = faces.reshape(-1)
        by_face = np.asarray(visual.face_colors, np.uint8)[:, :3].repeat(3, 0)
        vertices, uv = vertices[corners], uv[corners]
        faces, colours = np.arange(len(corners)).reshape(-1, 3), linear_from_srgb_bytes(by_face).astype(np.float64)
    elif visual.kind == "texture":
        material, uv = _material(visual), _uv(visual, uv)
    if colours is not None and len(faces) > MAX_COLOURED_FACES:
        vertices, faces, colours = _simplified(vertices, faces, colours)
        uv = np.zeros((len(vertices), 2))
    count, normals = len(vertices), vertex_normals(vertices, faces)
    zeros, ones = np.zeros((count, 1), np.int64), np.ones((count, 1))
    return RigPart("mesh", None, None, vertices, normals, uv, colours, faces, None, zeros, ones), material


def _simplified(
    vertices: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"], colours: Float[np.ndarray, "vertex 3"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A coloured mesh with fewer faces: the vertices of each cell become one, in their mean colour."""
    cell = float(np.ptp(vertices, axis=0).max()) / COARSE_CELLS
    cluster, _ = clustered(vertices, cell)
    faces = cluster[faces]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    return cluster_means(cluster, vertices), faces, cluster_means(cluster, colours)


def _material(visual: Any) -> Material:
    """The texture of a material, or its colour where it has none."""
    source = visual.material
    image = getattr(source, "image", None) or getattr(source, "baseColorTexture", None)
    if image is not None:
        if image.width * image.height > MAX_TEXELS:
            raise ValueError(f"a texture has {image.width}×{image.height} pixels; up to 8192×8192 are read")
        return Material(str(source.name or "surface"), texture=np.array(image.convert("RGBA")), specular=0.0)
    red, green, blue = linear_from_srgb_bytes(np.asarray(source.main_color, np.uint8)[:3]).tolist()
    return Material(str(source.name or "surface"), (red, green, blue, 1.0), specular=0.0)


def _uv(visual: Any, none: np.ndarray) -> np.ndarray:
    """Texture coordinates from the top-left corner; OBJ and PLY count from the bottom."""
    if visual.uv is None or len(visual.uv) != len(none):
        return none
    return np.asarray(visual.uv, np.float64)[:, :2] * [1.0, -1.0] + [0.0, 1.0]


def _joined(pieces: list[tuple[RigPart, Material]], path: Path) -> Mesh:
    if not pieces:
        raise _no_surface(path)
    if sum(len(part.vertices) for part, _ in pieces) > MAX_VERTICES:
        raise CharacterError(f"{path.name} has more than {MAX_VERTICES:,} vertices; export it with fewer")
    with reading(path, "mesh", CharacterError, "export it again"):
        return merged_mesh([bake_colours(part, material) for part, material in pieces])


def _no_surface(path: Path) -> CharacterError:
    return CharacterError(f"{path.name} holds no surface; export a mesh of triangles")
