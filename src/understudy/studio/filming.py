"""The last stages of a cut: light, render, scene file, and the finished frames."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.film import Take
from understudy.core.progress import Progress
from understudy.io.cameras import read_camera_json
from understudy.io.gltf import write_scene
from understudy.io.passes import PassWriter, read_passes
from understudy.render.renderers import RENDERERS
from understudy.studio.artifacts import load_light, save_light
from understudy.studio.cut import Cut
from understudy.studio.stages import actor_performance, understudy_performance

__all__ = ["film_reads", "film_settings", "finished_frames", "light_stage", "render_stage", "scene_stage"]

TAKE_READS = ["/character/character.glb", "performance/motion.npz", "camera/fitted.json"]


def the_take(cut: Cut) -> Take:
    """What is rendered: the understudy's performance, seen by the fitted camera, in the shot's light."""
    camera = read_camera_json(cut.path("camera/fitted.json"))
    return Take((understudy_performance(cut),), camera, load_light(cut.path("light.json")))


def render_stage(cut: Cut) -> None:
    """The character alone, pass by pass."""
    config = RENDERERS["opengl"](supersampling=1 if cut.config.quality == "draft" else 2)

    def work(folder: Path, progress: Progress) -> None:
        take = the_take(cut)
        camera = take.camera
        size = (camera.width, camera.height, camera.frame_rate)
        with PassWriter(folder / "passes", *size, cut.config.passes) as writer, config.build() as renderer:
            for frame in range(len(take)):
                writer.write(renderer(take, frame))
                progress(frame + 1, len(take))

    settings = asdict(config) | {"passes": cut.config.passes}
    cut.run("render", [*TAKE_READS, "light.json"], settings, ["passes"], work)


def scene_stage(cut: Cut) -> None:
    """One file for Blender, Maya and Unreal: the animated character and the animated camera."""

    def work(folder: Path, progress: Progress) -> None:
        take = the_take(cut)
        write_scene(folder / "scene.glb", take.performances, take.camera)

    cut.run("scene", [*TAKE_READS, "light.json"], {}, ["scene.glb"], work)
