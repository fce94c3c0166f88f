"""The last stages of a cut: light, render, scene file, and the finished frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.footage import Shot
from understudy.core.motion import Motion
from understudy.core.passes import Passes, PassKind
from understudy.io.gltf.write import write_scene
from understudy.io.passes import PassWriter, read_layers
from understudy.io.video.streams import read_frames, read_video
from understudy.refine.compose import Look
from understudy.refine.light import LightSample, estimate_light
from understudy.refine.look_matching import LookSample, RefineConfig, measure_look
from understudy.refine.refine import clean_pictures, refine_frames
from understudy.refine.shadow_match import match_shadow
from understudy.render.renderers import FLAT_LIGHT, RendererConfig, RendererName, for_silhouettes
from understudy.studio.delivery import write_in_codec
from understudy.studio.film_files import Presence
from understudy.studio.options import FilmCodec
from understudy.studio.pipeline.artifact import Artifact
from understudy.studio.pipeline.artifacts import (
    ACTOR_BODY,
    ACTOR_MOTION,
    CAMERA,
    CHARACTER,
    CLEAN_PLATE,
    FILM,
    LIGHT,
    MATTE,
    OTHERS,
    PASSES,
    PERFORMANCE,
    PRESENCE,
    REMOVED,
    ROUGH_MATTE,
    SCENE,
)
from understudy.studio.pipeline.config import LightConfig, RecastConfig, chosen_renderer
from understudy.studio.pipeline.inputs import (
    Target,
    edits_of,
    every_actor,
    every_cut,
    given,
    if_there,
    makes,
    people,
    the_shot,
)
from understudy.studio.pipeline.stage import NoSettings, Run, Stage
from understudy.studio.stage_reports import FilmReport, LightReport, NoReport

__all__ = ["FILMING", "LIGHTING", "RENDERING", "SCENE_FILE", "CutFrames", "finished_frames"]

_LOOK_SAMPLES = 8


def spread(present: Bool[np.ndarray, " time"], samples: int) -> list[int]:
    """Frames spread evenly over those in which the actor is there, without the ends."""
    frames = np.flatnonzero(present)
    return np.unique(frames[((np.arange(samples) + 0.5) * len(frames) / samples).astype(int)]).tolist()


def pictures(
    shot: Shot, plate: Path, matte: Path, frames: list[int]
) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]]:
    """The shot, its clean plate and the actor's matte at each of these frames."""
    plates, mattes = read_video(plate, frames), read_video(matte, frames)
    for picture, clean, coverage in zip(read_frames(shot, frames), plates, mattes, strict=True):
        yield picture, clean[: shot.height, : shot.width], coverage


@dataclass(frozen=True)
class FilmedActor:
    """An actor, as the shot shows them."""

    body: Character = given(ACTOR_BODY)
    motion: Motion = given(ACTOR_MOTION)
    matte: Path = given(MATTE)
    presence: Presence = given(PRESENCE)

    @property
    def performance(self) -> Performance:
        """The body in motion."""
        return Performance(self.body, self.motion)


@dataclass(frozen=True)
class LightReads:
    """The shot with and without its actors, and where they are in it."""

    shot: Shot = the_shot()
    plate: Path = given(CLEAN_PLATE)
    camera: CameraPath = given(CAMERA, camera="source")
    actors: tuple[FilmedActor, ...] = every_actor(FilmedActor)


@dataclass(frozen=True)
class LightMakes:
    """The light."""

    light: Target[Light] = makes(LIGHT)


@dataclass(frozen=True)
class LightSettings:
    """How the light is looked for."""

    light: LightConfig
    renderer: RendererName
    rendering: RendererConfig


def find_the_light(reads: LightReads, makes: LightMakes, settings: LightSettings, run: Run) -> LightReport:
    """The set's light, from the main actor's shadow and shading."""
    main, camera, config = reads.actors[0], reads.camera, settings.light
    actor = main.performance
    take = Take((actor,), camera, FLAT_LIGHT)
    frames = spread(main.presence.present, config.samples)
    samples = []
    with for_silhouettes(settings.rendering).build() as renderer:
        for frame, seen in zip(frames, pictures(reads.shot, reads.plate, main.matte, frames), strict=True):
            root, height = actor.motion.root_position_m[frame], actor.character.height_m
            view = (camera.K[frame], camera.T_world_camera[frame], root, height)
            samples.append(LightSample(*seen, renderer(take, frame).normals, *view))
            run.progress(len(samples), len(frames))
    estimate = estimate_light(samples)
    if estimate.found_by == "shadow":
        some = slice(None, None, len(frames) // config.shadow_samples or 1)
        light = _matched(estimate.light, actor, camera, frames[some], samples[some], settings)
        estimate = replace(estimate, light=light) if light else estimate_light(samples, believe_shadow=False)
    makes.light.write(estimate.light)
    return LightReport(estimate.found_by, round(estimate.confidence, 3))


def _matched(
    light: Light,
    actor: Performance,
    camera: CameraPath,
    frames: list[int],
    samples: list[LightSample],
    settings: LightSettings,
) -> Light | None:
    """The light by which the fitted body throws the shadow that the shot shows, if any does."""
    scale = min(1.0, settings.light.shadow_px / camera.width)
    K, size = np.diag([scale, scale, 1.0]) @ camera.K, (round(scale * camera.width), round(scale * camera.height))
    small = CameraPath(camera.T_world_camera, K, *size, camera.frame_rate)
    with replace(settings.rendering, supersampling=1, motion=False).build() as renderer:

        def cast(light: Light, sample: int) -> Float[np.ndarray, "height width"]:
            return renderer(Take((actor,), small, light), frames[sample]).shadow

        return match_shadow(light, samples, cast, size)


@dataclass(frozen=True)
class Player:
    """Who plays an actor's part."""

    character: Character = given(CHARACTER)
    motion: Motion = given(PERFORMANCE)
    presence: Presence = given(PRESENCE)


@dataclass(frozen=True)
class TakeReads:
    """What is rendered: the performances, seen by the fitted camera, in the shot's light."""

    players: tuple[Player, ...] = every_actor(Player)
    camera: CameraPath = given(CAMERA, camera="fitted")
    light: Light = given(LIGHT)

    @property
    def take(self) -> Take:
        """Everything that one render needs."""
        performances = tuple(Performance(player.character, player.motion) for player in self.players)
        return Take(performances, self.camera, self.light)


@dataclass(frozen=True)
class RenderReads(TakeReads):
    """The take, and the mattes of everybody who was found in the shot, for compositors."""

    actors: dict[int, Path] = people(MATTE, "actors")
    bystanders: dict[int, Path] = people(ROUGH_MATTE, "others")
    rest: Path | None = if_there(OTHERS)

    @property
    def mattes(self) -> dict[str, Path]:
        """Of everybody, by the name that compositors see."""
        numbered = sorted((self.actors | self.bystanders).items())
        return {f"person_{number}": matte for number, matte in numbered} | ({"others": self.rest} if self.rest else {})


@dataclass(frozen=True)
class RenderMakes:
    """The passes."""

    passes: Target[Path] = makes(PASSES)


@dataclass(frozen=True)
class RenderSettings:
    """How the passes are rendered and written."""

    renderer: RendererName
    rendering: RendererConfig
    passes: PassKind
    first_frame: int


def render_passes(reads: RenderReads, makes: RenderMakes, settings: RenderSettings, run: Run) -> NoReport:
    """The characters alone, pass by pass, nothing where their actors are not there; in EXR also people's mattes."""
    take, kind = reads.take, settings.passes
    names = [actor.character.name for actor in take.performances]
    present = list(zip(*(player.presence.present.tolist() for player in reads.players), strict=True))
    takes = {there: _with(take, there) for there in set(present)}
    frames = zip(present, filmed_people(reads.mattes if kind == "exr" else {}, take.camera), strict=True)
    writer = PassWriter(makes.passes.path, take.camera, kind, settings.first_frame, names)
    with writer, settings.rendering.build() as renderer:
        rendered = (
            (_numbered(renderer(takes[there], frame), there), people) for frame, (there, people) in enumerate(frames)
        )
        for done, _ in enumerate(writer.write_all(rendered), 1):
            run.progress(done, len(take))
    return NoReport()


def _with(take: Take, there: Sequence[bool]) -> Take:
    """The take with those performances that are there."""
    return replace(take, performances=tuple(one for one, here in zip(take.performances, there, strict=True) if here))


def _numbered(passes: Passes, there: Sequence[bool]) -> Passes:
    """The passes of those who are there, with the numbers that performances have in the whole take."""
    if all(there) or not any(there):
        return passes
    numbers = np.array([0, *np.flatnonzero(there) + 1], np.uint8)
    return replace(passes, ids=numbers[passes.ids])


def filmed_people(mattes: dict[str, Path], camera: CameraPath) -> Iterator[dict[str, Float[np.ndarray, "h w"]]]:
    """Coverage, 0 … 1, of everybody by name, frame by frame of a camera's pictures."""
    if not mattes:
        yield from ({} for _ in range(len(camera)))
        return
    height, width = camera.height, camera.width
    for seen in zip(*(read_video(matte) for matte in mattes.values()), strict=True):
        shares = (matte[:height, :width] * np.float32(1 / 255) for matte in seen)
        yield dict(zip(mattes, shares, strict=True))


@dataclass(frozen=True)
class SceneMakes:
    """One file."""

    scene: Target[Path] = makes(SCENE)


def write_the_scene(reads: TakeReads, makes: SceneMakes, settings: NoSettings, run: Run) -> NoReport:
    """One file for Blender, Maya and Unreal: the animated characters and the animated camera."""
    take = reads.take
    write_scene(makes.scene.path, take.performances, take.camera, present=reads.players[0].presence.present)
    return NoReport()


@dataclass(frozen=True)
class ActorGone:
    """Where an actor was."""

    matte: Path = given(MATTE)
    presence: Presence = given(PRESENCE)


@dataclass(frozen=True)
class CutFrames:
    """What the finished frames of a cut are made of."""

    shot: Shot = the_shot()
    plate: Path = given(CLEAN_PLATE)
    removed: Path = given(REMOVED)
    edits: tuple[Artifact, ...] = edits_of(CLEAN_PLATE, REMOVED)
    passes: Path = given(PASSES)
    light: Light = given(LIGHT)
    actors: tuple[ActorGone, ...] = every_actor(ActorGone)

    @property
    def present(self) -> Bool[np.ndarray, " time"]:
        """In which frames any of the actors is there."""
        return np.any([actor.presence.present for actor in self.actors], axis=0)


@dataclass(frozen=True)
class FilmReads:
    """The shot, and the cuts of it in which the actors are replaced."""

    shot: Shot = the_shot()
    cuts: tuple[CutFrames, ...] = every_cut(CutFrames)


@dataclass(frozen=True)
class FilmMakes:
    """The film."""

    film: Target[Path] = makes(FILM)


@dataclass(frozen=True)
class FilmSettings:
    """How the characters are matched to the shot, and how the film is written."""

    look: RefineConfig
    codec: FilmCodec
    first_frame: int | None
    """Of an image sequence; other films number no frames."""


def finish_the_film(reads: FilmReads, makes: FilmMakes, settings: FilmSettings, run: Run) -> FilmReport:
    """The finished frames of all cuts in order, with the shot's sound."""
    shot, cuts = reads.shot, {cut.shot.start_frame - reads.shot.start_frame: cut for cut in reads.cuts}

    def frames() -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        done = 0
        while done < len(shot):
            if done in cuts:
                piece = finished_frames(cuts[done], settings.look)
            else:
                end = min((start for start in cuts if start > done), default=len(shot))
                piece = read_frames(shot.part(done, end))
            for frame in piece:
                yield frame
                done += 1
                run.progress(done, len(shot))

    sound = write_in_codec(makes.film.path, settings.codec, shot, frames(), settings.first_frame or 1)
    return FilmReport(sound)


def finished_frames(cut: CutFrames, look: RefineConfig) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The characters over the set, matched to the shot; what neither they nor their shadows touch is the shot's own.

    A plate that somebody painted on counts everywhere, unless they say in `REMOVED` where it does.
    """
    removed = None if cut.edits == (CLEAN_PLATE,) else cut.removed
    present = np.ones(len(cut.shot), bool) if cut.edits else cut.present
    pictures = clean_pictures(read_frames(cut.shot), cut.plate, removed, present.tolist())
    yield from refine_frames(read_layers(cut.passes), pictures, the_look(cut, look), len(cut.shot))


def the_look(cut: CutFrames, config: RefineConfig) -> Look:
    """The shot's tone, sharpness and grain, measured on samples of the main actor."""
    main = cut.actors[0]
    frames = spread(main.presence.present, _LOOK_SAMPLES)
    seen = pictures(cut.shot, cut.plate, main.matte, frames)
    samples = [LookSample(*filmed, made) for filmed, made in zip(seen, read_layers(cut.passes, frames), strict=True)]
    return measure_look(samples, cut.light, config)


def look_config(config: RecastConfig) -> RefineConfig:
    """What the user chose, or nothing but the render over the plate."""
    if config.refine:
        return config.look
    return replace(config.look, shadow=False, colour_match=False, lens_match=False, grain=False, light_wrap=False)


def film_settings(config: RecastConfig) -> FilmSettings:
    """Of the film."""
    return FilmSettings(
        look_config(config), config.film_codec, config.first_frame if config.film_codec == "exr" else None
    )


def render_settings(config: RecastConfig) -> RenderSettings:
    """Of the passes."""
    rendering = replace(chosen_renderer(config), motion=config.passes == "exr")
    if config.quality == "draft":
        rendering = replace(rendering, supersampling=1)
    return RenderSettings(config.renderer, rendering, config.passes, config.first_frame)


LIGHTING = Stage(
    "light", find_the_light, lambda config: LightSettings(config.light, config.renderer, chosen_renderer(config))
)
RENDERING = Stage("render", render_passes, render_settings)
SCENE_FILE = Stage("scene", write_the_scene, lambda config: NoSettings())
FILMING = Stage("film", finish_the_film, film_settings)
