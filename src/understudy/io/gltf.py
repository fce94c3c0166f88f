"""glTF 2.0 and VRM: the functions for other packages; the work is in the gltf_* modules beside this one."""

from understudy.io.gltf_merge import GltfRig, character_from_parts
from understudy.io.gltf_read import (
    read_gltf,
    read_gltf_clip_names,
    read_gltf_motion,
    read_gltf_rig,
)
from understudy.io.gltf_write import write_character, write_scene

__all__ = [
    "GltfRig",
    "character_from_parts",
    "read_gltf",
    "read_gltf_clip_names",
    "read_gltf_motion",
    "read_gltf_rig",
    "write_character",
    "write_scene",
]
