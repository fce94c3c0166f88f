"""Inside Blender: render a GLB scene with its truth in Cycles and say how long it took. Started by generator.py."""

import json
import math
import sys
import time
from pathlib import Path

import bpy
from mathutils import Vector


def main() -> None:
    """Import, light, render twice (with the person, and the empty set), print one line of JSON."""
    glb, light, out, width, height, frames, samples = sys.argv[sys.argv.index("--") + 1 :]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps = 24
    bpy.ops.import_scene.gltf(filepath=glb)
    add_light(json.loads(Path(light).read_text()))
    people = [thing for thing in bpy.data.objects if thing.type == "MESH" and is_person(thing)]
    scene.camera = next(thing for thing in bpy.data.objects if thing.type == "CAMERA")
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", int(samples), False
    scene.cycles.use_adaptive_sampling = False
    scene.render.use_persistent_data = True
    scene.render.resolution_x, scene.render.resolution_y = int(width), int(height)
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = 0, int(frames) - 1
    for thing in people:
        thing.pass_index = 2
    layer = bpy.context.view_layer
    layer.use_pass_z = layer.use_pass_object_index = True
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):  # Blender 5
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    seconds = {}
    for name, hidden in (("person", False), ("empty", True)):
        for thing in people:
            thing.hide_render = hidden
        scene.render.filepath = f"{out}/{name}/"
        start = time.perf_counter()
        bpy.ops.render.render(animation=True)
        seconds[name] = time.perf_counter() - start
    answer = {
        "version": bpy.app.version_string,
        "seconds_with_person": seconds["person"],
        "seconds_empty": seconds["empty"],
        "frames_per_s": int(frames) / sum(seconds.values()),
    }
    print(json.dumps(answer), flush=True)


def is_person(thing: "bpy.types.Object") -> bool:
    """Whether a mesh is moved by more than one bone: the set is rigid."""
    armature = thing.find_armature()
    return armature is not None and len(armature.data.bones) > 1


def add_light(light: dict) -> None:
    """The key as a sun, the fill as the world's colour."""
    x, y, z = light["key_direction"]
    sun = bpy.data.lights.new("key", "SUN")
    strength = max(light["key_colour"])
    # A lambertian surface under a sun of strength pi is as bright as its colour.
    sun.energy, sun.color = math.pi * strength, [share / strength for share in light["key_colour"]]
    sun.angle = 2 * light["key_angle_rad"]
    key = bpy.data.objects.new("key", sun)
    # Our +Y is up, Blender's is +Z; its suns shine along their own -Z.
    key.rotation_euler = Vector((x, -z, y)).to_track_quat("Z", "Y").to_euler()
    bpy.context.collection.objects.link(key)
    world = bpy.data.worlds.new("fill")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (*light["fill"], 1.0)
    bpy.context.scene.world = world


if __name__ == "__main__":
    main()
