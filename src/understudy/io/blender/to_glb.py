"""Runs inside Blender: opens a file that it can read and exports its meshes and armatures as GLB.

Nothing of this package is imported here, and this is imported by nothing: Blender is GPL, and stays on the other side
of the process boundary. Called with the file, the GLB to write, the limits in bytes and in seconds of computing.
"""

import importlib
import sys
from pathlib import Path
from typing import Any


def main(source: Path, target: Path, max_bytes: int, max_cpu_s: int) -> None:
    """Convert a file; what went wrong is left beside `target` as text."""
    limit_this_process(max_bytes, max_cpu_s)
    bpy: Any = importlib.import_module("bpy")
    try:
        open_file(bpy, source)
        if not any(thing.type == "MESH" for thing in bpy.context.scene.objects):
            raise RuntimeError("it holds no mesh")
        export(bpy, target)
    # Blender's importers and exporters are Python add-ons of many authors, which raise anything. The process ends here
    # with what was said, and not in silence or with a dump of its stack.
    except Exception as error:
        target.with_suffix(".txt").write_text(str(error), encoding="utf-8")
        sys.exit(3)


def limit_this_process(max_bytes: int, max_cpu_s: int) -> None:
    """No file larger, and no more computing, where the system can see to that."""
    try:
        import resource
    except ImportError:  # Windows.
        return
    limits = ((resource.RLIMIT_FSIZE, max_bytes), (resource.RLIMIT_CPU, max_cpu_s), (resource.RLIMIT_CORE, 0))
    for kind, limit in limits:
        hard = resource.getrlimit(kind)[1]
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (allowed, hard))


def open_file(bpy: Any, source: Path) -> None:
    """Open a .blend without running what it brings along, or import a file into an empty scene."""
    bpy.context.preferences.filepaths.use_scripts_auto_execute = False
    if source.suffix.lower() == ".blend":
        bpy.ops.wm.open_mainfile(filepath=str(source), load_ui=False, use_scripts=False)
        return
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if source.suffix.lower() == ".fbx":
        bpy.ops.import_scene.fbx(filepath=str(source), use_anim=False, use_custom_props=False)
    elif source.suffix.lower() == ".dae":
        if not hasattr(bpy.ops.wm, "collada_import"):
            raise RuntimeError("Blender 5 no longer reads Collada; export it as FBX")
        bpy.ops.wm.collada_import(filepath=str(source))
    else:
        bpy.ops.wm.usd_import(filepath=str(source), set_frame_range=False, import_cameras=False, import_lights=False)


def export(bpy: Any, target: Path) -> None:
    """Export what is shown of the scene; modifiers but armatures are applied unless there are morph targets."""
    meshes = [thing for thing in bpy.context.scene.objects if thing.type == "MESH"]
    with_morphs = any(thing.data.shape_keys for thing in meshes)
    bpy.ops.export_scene.gltf(
        filepath=str(target),
        export_format="GLB",
        export_animations=False,
        export_apply=not with_morphs,
        export_cameras=False,
        export_lights=False,
        export_extras=False,
        use_visible=True,
    )


if __name__ == "__main__":
    words = sys.argv[sys.argv.index("--") + 1 :]
    main(Path(words[0]), Path(words[1]), int(words[2]), int(words[3]))
