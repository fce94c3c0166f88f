"""Inside Blender: bind a mesh to an armature with automatic weights. Started by skinning.py.

Reads the arrays vertices, faces, joints, tips, parents of an npz file, in metres with +Y up; writes the weights of each
vertex for each joint into another.
"""

import sys

import bpy
import numpy as np


def main() -> None:
    """Make mesh and armature, bind, write."""
    source, target = sys.argv[sys.argv.index("--") + 1 :]
    with np.load(source) as arrays:
        given = dict(arrays)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    mesh = bpy.data.meshes.new("body")
    mesh.from_pydata(z_up(given["vertices"]), [], given["faces"].tolist())
    body, armature = (bpy.data.objects.new("body", mesh), bpy.data.objects.new("rig", bpy.data.armatures.new("rig")))
    for thing in (body, armature):
        bpy.context.collection.objects.link(thing)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = [armature.data.edit_bones.new(str(joint)) for joint in range(len(given["joints"]))]
    for bone, head, tail in zip(bones, z_up(given["joints"]), z_up(given["tips"]), strict=True):
        bone.head, bone.tail = head, tail
    for bone, parent in zip(bones, given["parents"].tolist(), strict=True):
        bone.parent = bones[parent] if parent >= 0 else None
    bpy.ops.object.mode_set(mode="OBJECT")
    for thing in (body, armature):
        thing.select_set(True)
    bpy.ops.object.parent_set(type="ARMATURE_AUTO")
    weights = np.zeros((len(mesh.vertices), len(bones)))
    for vertex in mesh.vertices:
        for group in vertex.groups:
            weights[vertex.index, int(body.vertex_groups[group.group].name)] = group.weight
    np.savez(target, weights=weights, version=bpy.app.version_string)


def z_up(points: np.ndarray) -> list[tuple[float, float, float]]:
    """Our +Y is up, Blender's is +Z."""
    return [(x, -z, y) for x, y, z in points.tolist()]


main()
