"""The last stages of a cut: light, render, scene file, and the finished frames."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.camera import CameraPath
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.io.cameras import read_camera_json
from understudy.io.gltf.write import write_scene
from understudy.io.passes import PASS_FILES, PassWriter, read_passes
from understudy.io.video.streams import read_frames, read_video
from understudy.refine.compose import Look
from understudy.refine.light import LightSample, estimate_light
from understudy.refine.look_matching import LookSample, RefineConfig, measure_look
from understudy.refine.refine import clean_pictures, refine_frames
from understudy.refine.shadow_match import match_shadow
from understudy.render.backends.opengl import OpenGL
from understudy.runtime.parallel import write_behind
from understudy.runtime.progress import Progress
from understudy.studio.pipeline.artifacts import load_light, save_light
from understudy.studio.pipeline.cut import Cut
from understudy.studio.pipeline.stages import actor_performance, people_count, presence, understudy_performance

__all__ = ["FLAT_LIGHT", "film_reads", "film_settings", "finished_frames", "light_stage", "render_stage", "scene_stage"]

FLAT_LIGHT = Light(np.array([0.0, 1.0, 0.0]), np.zeros(3), np.ones(3), np.ones(3))
"""For renders of which only the silhouette or the normals matter."""
REMOVED = "plate/removed.mkv"
"""Where a cut's clean plate is not the shot's own picture."""
TAKE_READS = ["/character/character.glb", "performance/motion.npz", "camera/fitted.json"]
_LIGHT_SAMPLES = 8
_SHADOW_SAMPLES = 4
_SHADOW_PX = 480
_LOOK_SAMPLES = 8


def spread(present: Bool[np.ndarray, " time"], samples: int) -> list[int]:
    """Frames spread evenly over those in which the actor is there, without the ends."""
    frames = np.flatnonzero(present)
    return np.unique(frames[((np.arange(samples) + 0.5) * len(frames) / samples).astype(int)]).tolist()


def pictures(
    cut: Cut, frames: list[int]
) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]]:
    """The shot, its clean plate and the actor's matte at each of these frames."""
    plates = read_video(cut.path("plate/clean_plate.mp4"), frames)
    mattes = read_video(cut.path(f"{cut.actor}/mask.mkv"), frames)
    for shot, plate, matte in zip(read_frames(cut.shot, frames), plates, mattes, strict=True):
        yield shot, plate[: cut.shot.height, : cut.shot.width], matte


def light_stage(cut: Cut) -> None:
    """The set's light, from the actor's shadow and shading."""

    def work(folder: Path, progress: Progress) -> dict[str, Any]:
        actor, camera = actor_performance(cut), read_camera_json(cut.path("camera/source.json"))
        take = Take((actor,), camera, FLAT_LIGHT)
        frames = spread(presence(cut), _LIGHT_SAMPLES)
        samples = []
        with OpenGL(supersampling=1, shadow_map_px=16).build() as renderer:
            for frame, seen in zip(frames, pictures(cut, frames), strict=True):
                root, height = actor.motion.root_position_m[frame], actor.character.height_m
                view = (camera.K[frame], camera.T_world_camera[frame], root, height)
                samples.append(LightSample(*seen, renderer(take, frame).normals.astype(np.float64), *view))
                progress(len(samples), len(frames))
        estimate = estimate_light(samples)
        if estimate.found_by == "shadow":
            some = slice(None, None, len(frames) // _SHADOW_SAMPLES or 1)
            light = _matched(estimate.light, actor, camera, frames[some], samples[some])
            estimate = replace(estimate, light=light) if light else estimate_light(samples, believe_shadow=False)
        save_light(folder / "light.json", estimate.light)
        return {"found_by": estimate.found_by, "confidence": round(estimate.confidence, 3)}

    reads = ["plate/clean_plate.mp4", "camera/source.json"]
    reads += [f"{cut.actor}/{name}" for name in ("mask.mkv", "presence.json", "motion.npz", "body.glb")]
    settings = {"samples": _LIGHT_SAMPLES, "shadow_samples": _SHADOW_SAMPLES, "shadow_px": _SHADOW_PX}
    cut.run("light", reads, settings, ["light.json"], work, reads_shot=True)


def _matched(
    light: Light, actor: Performance, camera: CameraPath, frames: list[int], samples: list[LightSample]
) -> Light | None:
    """The light by which the fitted body throws the shadow that the shot shows, if any does."""
    scale = min(1.0, _SHADOW_PX / camera.width)
    K, size = np.diag([scale, scale, 1.0]) @ camera.K, (round(scale * camera.width), round(scale * camera.height))
    small = CameraPath(camera.T_world_camera, K, *size, camera.frame_rate)
    with OpenGL(supersampling=1).build() as renderer:

        def cast(candidate: Light, number: int) -> Float[np.ndarray, "height width"]:
            return renderer(Take((actor,), small, candidate), frames[number]).shadow

        return match_shadow(light, samples, cast, size)


def the_take(cut: Cut) -> Take:
    """What is rendered: the understudy's performance, seen by the fitted camera, in the shot's light."""
    camera = read_camera_json(cut.path("camera/fitted.json"))
    return Take((understudy_performance(cut),), camera, load_light(cut.path("light.json")))


def render_stage(cut: Cut) -> None:
    """The character alone, pass by pass, nothing where the actor is not there; in EXR also people's mattes."""
    kind, first = cut.config.passes, cut.config.first_frame
    config = OpenGL(supersampling=1 if cut.config.quality == "draft" else 2, motion=kind == "exr")
    mattes = people_mattes(cut) if kind == "exr" else {}

    def work(folder: Path, progress: Progress) -> None:
        take, present = the_take(cut), presence(cut)
        empty, names = replace(take, performances=()), [actor.character.name for actor in take.performances]
        frames = zip(present, filmed_people(cut, mattes, len(take)), strict=True)
        with PassWriter(folder / "passes", take.camera, kind, first, names) as writer, config.build() as renderer:
            rendered = (
                (renderer(take if there else empty, frame), people) for frame, (there, people) in enumerate(frames)
            )
            for done, _ in enumerate(write_behind(lambda frame: writer.write(*frame), rendered), 1):
                progress(done, len(take))

    settings = asdict(config) | {"passes": kind, "first_frame": first}
    reads = [*TAKE_READS, "light.json", f"{cut.actor}/presence.json", *mattes.values()]
    cut.run("render", reads, settings, ["passes"], work)


def people_mattes(cut: Cut) -> dict[str, str]:
    """The matte of everybody who was found in the shot, by the name that compositors see."""
    numbers = range(1, people_count(cut) + 1)
    mattes = {f"person_{number}": f"people/person_{number}.mkv" for number in numbers}
    mattes[f"person_{cut.config.actor}"] = f"{cut.actor}/mask.mkv"
    if cut.path("people/others.mkv").exists():
        mattes["others"] = "people/others.mkv"
    return mattes


def filmed_people(cut: Cut, mattes: dict[str, str], frames: int) -> Iterator[dict[str, Float[np.ndarray, "h w"]]]:
    """Coverage, 0 … 1, of everybody by name, frame by frame."""
    if not mattes:
        yield from ({} for _ in range(frames))
        return
    height, width = cut.shot.height, cut.shot.width
    for seen in zip(*(read_video(cut.path(matte)) for matte in mattes.values()), strict=True):
        shares = (matte[:height, :width] * np.float32(1 / 255) for matte in seen)
        yield dict(zip(mattes, shares, strict=True))


def scene_stage(cut: Cut) -> None:
    """One file for Blender, Maya and Unreal: the animated character and the animated camera."""

    def work(folder: Path, progress: Progress) -> None:
        take = the_take(cut)
        write_scene(folder / "scene.glb", take.performances, take.camera, present=presence(cut))

    cut.run("scene", [*TAKE_READS, "light.json", f"{cut.actor}/presence.json"], {}, ["scene.glb"], work)


def film_reads(cut: Cut) -> list[str]:
    """What the finished frames of a cut are made of."""
    names = ["plate/clean_plate.mp4", REMOVED, *(f"passes/{name}" for name in PASS_FILES), "light.json"]
    names += [f"{cut.actor}/{name}" for name in ("mask.mkv", "presence.json")]
    return [cut.prefix + name for name in names]


def film_settings(cut: Cut) -> dict[str, Any]:
    """What they depend on besides."""
    return asdict(refine_config(cut)) | {"edited": plate_edits(cut)}


def plate_edits(cut: Cut) -> list[str]:
    """Those of the plate's files that are the user's."""
    return [name for name in ("plate/clean_plate.mp4", REMOVED) if name in cut.edits()]


def refine_config(cut: Cut) -> RefineConfig:
    """Everything, or nothing but the render over the plate."""
    if cut.config.refine:
        return RefineConfig()
    return RefineConfig(shadow=False, colour_match=False, lens_match=False, grain=False, light_wrap=False)


def finished_frames(cut: Cut) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The character over the set, matched to the shot; what neither it nor its shadow touches is the shot's own.

    A plate that somebody painted on counts everywhere, unless they say in `REMOVED` where it does.
    """
    edits = plate_edits(cut)
    removed = None if edits == ["plate/clean_plate.mp4"] else cut.path(REMOVED)
    present = np.ones(len(cut.shot), bool) if edits else presence(cut)
    pictures = clean_pictures(read_frames(cut.shot), cut.path("plate/clean_plate.mp4"), removed, present.tolist())
    yield from refine_frames(read_passes(cut.path("passes")), pictures, the_look(cut), len(cut.shot))


def the_look(cut: Cut) -> Look:
    """The shot's tone, sharpness and grain, measured on samples."""
    frames = spread(presence(cut), _LOOK_SAMPLES)
    passes = read_passes(cut.path("passes"), frames)
    samples = [LookSample(*seen, rendered) for seen, rendered in zip(pictures(cut, frames), passes, strict=True)]
    return measure_look(samples, load_light(cut.path("light.json")), refine_config(cut))
