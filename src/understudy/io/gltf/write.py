"""Characters and whole scenes as GLB files: metres, +Y up, as Blender, Maya, Unreal and the web read them.

Source: Khronos glTF 2.0 specification, sections 3 and 4. What we write passes the Khronos validator without errors
and without warnings.
"""

import io
import itertools
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from understudy.core.camera import CameraPath
from understudy.core.character import Character, Material, Morph
from understudy.core.film import Performance
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.meshes import unit_normals
from understudy.geometry.rotations import continuous, quaternion_from_matrix
from understudy.geometry.vectors import Triple
from understudy.io.gltf.primitives import UPWARDS
from understudy.io.gltf.skins import ROLES_KEY
from understudy.io.gltf.springs import SPRINGS, springs_json
from understudy.io.temporary import whole_file

__all__ = ["write_character", "write_scene"]

FLOAT, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5123, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
SPECULAR = "KHR_materials_specular"
NO_POINTS = np.zeros((0, 3))


def write_character(path: Path, character: Character) -> None:
    """Write a rigged character in its rest pose as .glb, with its springs."""
    builder = GlbBuilder()
    _, joint_nodes = builder.add_character(character)
    builder.add_springs(character, joint_nodes)
    builder.write(path)


def write_scene(
    path: Path,
    performances: Sequence[Performance],
    camera: CameraPath | None = None,
    name: str = "take",
    present: Bool[np.ndarray, " time"] | None = None,
) -> None:
    """Write performances and the camera that films them as one animated .glb.

    Where `present` is false, nobody is there: all joints have no size, which is how glTF animates what is seen (section
    3.5.3).

    Each frame is one key, frame i at i / frame_rate seconds. glTF's camera cannot change its lens over time or look
    off-centre: it gets the first frame's vertical field of view, and its `extras` hold the focal length and the
    optical centre of every frame.

    Viewers that leave out what they take to be out of sight (three.js) bound a skinned mesh once, by all its vertices:
    eight that no face uses reach around the whole motion.

    Raises:
        ValueError: a motion is not on its character's skeleton.
    """
    builder = GlbBuilder()
    channels: list[Channel] = []
    for performance in performances:
        armature, joint_nodes = builder.add_character(performance.character, around(performance))
        channels += motion_channels(performance, joint_nodes)
        if present is not None and not present.all():
            size = np.repeat(present[:, None].astype(float), 3, 1)
            channels.append((armature, "scale", size, float(performance.motion.frame_rate)))
    if camera is not None:
        channels += builder.add_camera(camera)
    if channels:
        builder.add_animation(name, channels)
    builder.write(path)


Channel = tuple[int, str, Float[np.ndarray, "_ _"], float]
"""A node, its animated property, the values, and the frame rate."""


def motion_channels(performance: Performance, joint_nodes: list[int]) -> list[Channel]:
    """What moves the joints' nodes; joints that rest throughout need no channel."""
    motion, skeleton = performance.motion, performance.character.skeleton
    if motion.skeleton.names != skeleton.names:
        raise ValueError(f"the motion of {performance.character.name} is on another skeleton: retarget it first")
    rate = float(motion.frame_rate)
    q = continuous(motion.q_parent_joint)
    rest = quaternion_from_matrix(skeleton.T_parent_joint[:, :3, :3])
    channels: list[Channel] = [(joint_nodes[0], "translation", motion.root_position_m, rate)]
    for joint, node in enumerate(joint_nodes):
        moves = 1 - np.abs(q[:, joint] @ rest[joint]) > 1e-12
        if moves.any():
            channels.append((node, "rotation", q[:, joint][:, [1, 2, 3, 0]], rate))
    return channels


def around(performance: Performance) -> Float[np.ndarray, "8 3"]:
    """Corners of a cube, in the rest pose, that holds the whole motion wherever the root carries it.

    A viewer may measure it in the rest pose or in any frame: it holds a ball that reaches along the whole path and on
    to the tips of stretched limbs.
    """
    character = performance.character
    rest = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)[:, :3, 3]
    path = np.concatenate([performance.motion.root_position_m, rest[:1]])
    stretched = np.zeros(len(rest))
    for joint, parent in enumerate(character.skeleton.parents):
        if parent >= 0:
            stretched[joint] = stretched[parent] + np.linalg.norm(rest[joint] - rest[parent])
    to_vertex = np.linalg.norm(character.mesh.vertices[:, None] - rest[character.skin_joints], axis=-1)
    limb = np.where(character.skin_weights > 0, stretched[character.skin_joints] + to_vertex, 0.0).max()
    reach = limb + np.linalg.norm(np.ptp(path, axis=0))
    return rest[0] + reach * np.array(list(itertools.product((-1.0, 1.0), repeat=3)))


class GlbBuilder:
    """Collects nodes, accessors and bytes, then writes them as one file."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "Understudy"},
            "scene": 0,
            "scenes": [{"name": "Scene", "nodes": []}],
        }
        self.binary = bytearray()
        self.times: dict[tuple[int, float], int] = {}
        self.textures: dict[int, int] = {}
        """Those already added, by the identity of their pixels, which materials may share."""

    def append(self, key: str, entry: dict[str, Any]) -> int:
        """Add an entry to a top-level array; its index."""
        entries = self.json.setdefault(key, [])
        entries.append(entry)
        return len(entries) - 1

    def add_view(self, data: bytes, target: int | None = None) -> int:
        """Add bytes as a buffer view, at a multiple of four."""
        self.binary += b"\0" * (-len(self.binary) % 4)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.binary += data
        return self.append("bufferViews", view)

    def add_accessor(self, values: np.ndarray, kind: str, target: int | None = None, bounds: bool = False) -> int:
        """Add an array as an accessor: floats as float32, whole numbers as the narrowest type that fits."""
        if values.dtype.kind == "f":
            values, component = values.astype("<f4"), FLOAT
        elif values.max(initial=0) < 65535:
            values, component = values.astype("<u2"), UNSIGNED_SHORT
        else:
            values, component = values.astype("<u4"), UNSIGNED_INT
        accessor: dict[str, Any] = {
            "bufferView": self.add_view(np.ascontiguousarray(values).tobytes(), target),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        if bounds:
            rows = values.reshape(len(values), -1)
            accessor["min"], accessor["max"] = rows.min(0).tolist(), rows.max(0).tolist()
        return self.append("accessors", accessor)

    def add_character(
        self, character: Character, corners: Float[np.ndarray, "corner 3"] = NO_POINTS
    ) -> tuple[int, list[int]]:
        """Add mesh, skin and joints; the node above the joints, and that of each joint.

        Every surface gets `corners` that no face uses.
        """
        skeleton = character.skeleton
        q = quaternion_from_matrix(skeleton.T_parent_joint[:, :3, :3])[:, [1, 2, 3, 0]]
        joint_nodes = [
            self.append(
                "nodes",
                {
                    "name": name,
                    "translation": skeleton.T_parent_joint[joint, :3, 3].tolist(),
                    "rotation": q[joint].tolist(),
                },
            )
            for joint, name in enumerate(skeleton.names)
        ]
        for joint, parent in enumerate(skeleton.parents):
            if parent >= 0:
                self.json["nodes"][joint_nodes[parent]].setdefault("children", []).append(joint_nodes[joint])
        # Blender makes an armature of the node above the joints, and hangs on it whatever else stands there.
        roots = [node for node, parent in zip(joint_nodes, skeleton.parents, strict=True) if parent < 0]
        armature = self.append("nodes", {"name": character.name, "children": roots})
        self.json["scenes"][0]["nodes"].append(armature)
        bind = character.T_joint_mesh.swapaxes(1, 2).reshape(-1, 16).copy()
        bind[:, [3, 7, 11, 15]] = (0.0, 0.0, 0.0, 1.0)
        entry: dict[str, Any] = {
            "name": character.name,
            "joints": joint_nodes,
            "inverseBindMatrices": self.add_accessor(bind, "MAT4"),
        }
        if character.roles:
            entry["extras"] = {ROLES_KEY: dict(character.roles)}
        skin = self.append("skins", entry)
        surfaces: dict[str, Any] = {
            "name": character.name,
            "primitives": self.add_primitives(character, corners),
        }
        morphs = character.mesh.morphs
        if morphs:
            surfaces["weights"] = [morph.weight for morph in morphs]
            surfaces["extras"] = {"targetNames": [morph.name for morph in morphs]}
        mesh = self.append("meshes", surfaces)
        # A skinned mesh stands at the scene's root: the transform of its node does not count (section 3.7.3.3).
        node = self.append("nodes", {"name": f"{character.name} mesh", "mesh": mesh, "skin": skin})
        self.json["scenes"][0]["nodes"].append(node)
        return armature, joint_nodes

    def add_springs(self, character: Character, joint_nodes: Sequence[int]) -> None:
        """Add the springs of a character that was added, where it has some."""

        def add_end(joint: int, place: Triple) -> int:
            name = f"{character.skeleton.names[joint]} end"
            node = self.append("nodes", {"name": name, "translation": list(place)})
            self.json["nodes"][joint_nodes[joint]].setdefault("children", []).append(node)
            return node

        if character.springs:
            self.json["extensions"] = {SPRINGS: springs_json(character, joint_nodes, add_end)}
            self.use_extension(SPRINGS)

    def use_extension(self, name: str) -> None:
        """Say that the file holds an extension."""
        used = self.json.setdefault("extensionsUsed", [])
        if name not in used:
            used.append(name)

    def add_primitives(self, character: Character, corners: Float[np.ndarray, "corner 3"]) -> list[dict[str, Any]]:
        """One primitive per material that has faces, each with the vertices that it uses, and `corners` on the root."""
        mesh, extra = character.mesh, len(corners)
        joints, weights = four_influences(character.skin_joints, character.skin_weights)
        vertices, normals = mesh.vertices.copy(), mesh.normals.copy()
        for morph in mesh.morphs:
            vertices[morph.vertices] -= morph.weight * morph.offsets
            if morph.normals is not None:
                normals[morph.vertices] -= morph.weight * morph.normals
        normals = unit_normals(normals, UPWARDS)
        primitives: list[dict[str, Any]] = []
        for number, material in enumerate(mesh.materials):
            faces = mesh.faces[mesh.face_material == number]
            if not len(faces):
                continue
            used, indices = np.unique(faces, return_inverse=True)
            attributes = {
                "POSITION": self.add_accessor(
                    np.concatenate([vertices[used], corners]), "VEC3", ARRAY_BUFFER, bounds=True
                ),
                "NORMAL": self.add_accessor(with_rows(normals[used], extra, (0, 1, 0)), "VEC3", ARRAY_BUFFER),
                "JOINTS_0": self.add_accessor(with_rows(joints[used], extra, (0, 0, 0, 0)), "VEC4", ARRAY_BUFFER),
                "WEIGHTS_0": self.add_accessor(with_rows(weights[used], extra, (1, 0, 0, 0)), "VEC4", ARRAY_BUFFER),
            }
            if material.texture is not None:
                attributes["TEXCOORD_0"] = self.add_accessor(
                    with_rows(mesh.uv[used], extra, (0, 0)), "VEC2", ARRAY_BUFFER
                )
            primitive: dict[str, Any] = {
                "attributes": attributes,
                "indices": self.add_accessor(indices.reshape(-1), "SCALAR", ELEMENT_ARRAY_BUFFER),
                "material": self.add_material(material),
            }
            if mesh.morphs:
                own = [morph.of_rows(used, len(vertices)) for morph in mesh.morphs]
                primitive["targets"] = [self.add_target(morph, len(used) + extra) for morph in own]
            primitives.append(primitive)
        return primitives

    def add_target(self, morph: Morph, count: int) -> dict[str, int]:
        """Add a morph target of `count` vertices; its attributes."""
        target = {"POSITION": self.add_offsets(morph.vertices, morph.offsets, count)}
        if morph.normals is not None:
            target["NORMAL"] = self.add_offsets(morph.vertices, morph.normals, count)
        return target

    def add_offsets(self, vertices: Int[np.ndarray, " moved"], values: Float[np.ndarray, "moved 3"], count: int) -> int:
        """Add offsets as a sparse accessor of `count` rows: zero but for some vertices."""
        offsets = values.astype("<f4")
        rows = np.concatenate([offsets, np.zeros((1, 3), "<f4")]) if len(offsets) < count else offsets
        accessor: dict[str, Any] = {
            "componentType": FLOAT,
            "count": count,
            "type": "VEC3",
            "min": rows.min(0).tolist(),
            "max": rows.max(0).tolist(),
        }
        if len(offsets):
            accessor["sparse"] = {
                "count": len(offsets),
                "indices": {
                    "bufferView": self.add_view(vertices.astype("<u4").tobytes()),
                    "componentType": UNSIGNED_INT,
                },
                "values": {"bufferView": self.add_view(offsets.tobytes())},
            }
        return self.append("accessors", accessor)

    def add_material(self, material: Material) -> int:
        """Add a surface with its texture."""
        surface: dict[str, Any] = {
            "baseColorFactor": [float(np.clip(value, 0, 1)) for value in material.base_colour],
            "metallicFactor": float(np.clip(material.metallic, 0, 1)),
            "roughnessFactor": float(np.clip(material.roughness, 0, 1)),
        }
        if material.texture is not None:
            pixels = id(material.texture)
            if pixels not in self.textures:
                self.textures[pixels] = self.add_texture(material.name, material.texture)
            surface["baseColorTexture"] = {"index": self.textures[pixels]}
        entry: dict[str, Any] = {"name": material.name, "pbrMetallicRoughness": surface}
        reflection: dict[str, Any] = {}
        if material.specular != 1.0:
            reflection["specularFactor"] = float(np.clip(material.specular, 0, 1))
        if material.specular_colour != (1.0, 1.0, 1.0):
            reflection["specularColorFactor"] = [float(max(value, 0)) for value in material.specular_colour]
        if reflection:
            entry["extensions"] = {SPECULAR: reflection}
            self.use_extension(SPECULAR)
        if any(material.emissive):
            entry["emissiveFactor"] = [float(np.clip(value, 0, 1)) for value in material.emissive]
        if material.alpha_cutoff is not None:
            entry |= {"alphaMode": "MASK", "alphaCutoff": float(material.alpha_cutoff)}
        if material.double_sided:
            entry["doubleSided"] = True
        return self.append("materials", entry)

    def add_texture(self, name: str, texture: UInt8[np.ndarray, "height width 4"]) -> int:
        """Add a picture as PNG, without its alpha where that is opaque throughout."""
        opaque = bool((texture[..., 3] == 255).all())
        stream = io.BytesIO()
        Image.fromarray(texture[..., :3] if opaque else texture).save(stream, "PNG")
        view = self.add_view(stream.getvalue())
        image = self.append("images", {"name": name, "mimeType": "image/png", "bufferView": view})
        if "samplers" not in self.json:
            self.append("samplers", {"magFilter": 9729, "minFilter": 9987})
        return self.append("textures", {"source": image, "sampler": 0})

    def add_camera(self, camera: CameraPath) -> list[Channel]:
        """Add the camera's lens and node; its channels."""
        focal_px = camera.K[:, 1, 1]
        lens = self.append(
            "cameras",
            {
                "name": "Camera",
                "type": "perspective",
                "perspective": {
                    "yfov": float(2 * np.arctan(0.5 * camera.height / focal_px[0])),
                    "aspectRatio": float(camera.width / camera.height * camera.K[0, 1, 1] / camera.K[0, 0, 0]),
                    "znear": 0.05,
                    "zfar": 1000.0,
                },
                "extras": {
                    "width_px": camera.width,
                    "height_px": camera.height,
                    "frame_rate": [camera.frame_rate.numerator, camera.frame_rate.denominator],
                    "focal_px": np.round(focal_px, 6).tolist(),
                    "centre_px": np.round(camera.K[:, :2, 2], 6).tolist(),
                },
            },
        )
        # glTF's camera looks along −Z with +Y up; ours looks along +Z with +Y down.
        R = camera.T_world_camera[:, :3, :3] * np.array([1.0, -1.0, -1.0])
        q = continuous(quaternion_from_matrix(R))[:, [1, 2, 3, 0]]
        entry = {
            "name": "Camera",
            "camera": lens,
            "translation": camera.position[0].tolist(),
            "rotation": q[0].tolist(),
        }
        node = self.append("nodes", entry)
        self.json["scenes"][0]["nodes"].append(node)
        rate = float(camera.frame_rate)
        return [(node, "translation", camera.position, rate), (node, "rotation", q, rate)]

    def add_animation(self, name: str, channels: Sequence[Channel]) -> None:
        """Add one clip; channels of one length and rate share their times."""
        samplers: list[dict[str, Any]] = []
        targets: list[dict[str, Any]] = []
        for node, path, values, rate in channels:
            clock = (len(values), rate)
            if clock not in self.times:
                self.times[clock] = self.add_accessor(np.arange(len(values)) / rate, "SCALAR", bounds=True)
            kind = "VEC4" if path == "rotation" else "VEC3"
            step = {"interpolation": "STEP"} if path == "scale" else {}
            samplers.append({"input": self.times[clock], "output": self.add_accessor(values, kind)} | step)
            targets.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})
        self.append("animations", {"name": name, "samplers": samplers, "channels": targets})

    def write(self, path: Path) -> None:
        """Write the file under a temporary name, then rename it."""
        self.binary += b"\0" * (-len(self.binary) % 4)
        self.json["buffers"] = [{"byteLength": len(self.binary)}]
        # A name may come from a file's that is no text: JSON has no place for it.
        text = json.dumps(self.json, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode(
            errors="replace"
        )
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(self.binary)
        with whole_file(path) as partial, partial.open("wb") as file:
            file.write(struct.pack("<4sII", b"glTF", 2, total))
            file.write(struct.pack("<I4s", len(text), b"JSON") + text)
            file.write(struct.pack("<I4s", len(self.binary), b"BIN\0") + bytes(self.binary))


def with_rows(values: np.ndarray, count: int, row: Sequence[int]) -> np.ndarray:
    """Values with the same row so many times at their end."""
    return np.concatenate([values, np.tile(np.array([row], values.dtype), (count, 1))])


def four_influences(
    joints: Int[np.ndarray, "vertex influence"], weights: Float[np.ndarray, "vertex influence"]
) -> tuple[Int[np.ndarray, "vertex 4"], Float[np.ndarray, "vertex 4"]]:
    """The four strongest influences of each vertex, which sum to one in float32 too."""
    if weights.shape[1] < 4:
        missing = ((0, 0), (0, 4 - weights.shape[1]))
        joints, weights = np.pad(joints, missing), np.pad(weights, missing)
    strongest = np.argsort(-weights, 1, kind="stable")[:, :4]
    joints, weights = np.take_along_axis(joints, strongest, 1), np.take_along_axis(weights, strongest, 1)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32).astype(np.float64)
    weights[weights < 1e-6] = 0.0
    weights[:, 0] = 1.0 - weights[:, 1:].sum(1)
    return np.where(weights > 0, joints, 0), weights
