"""The last stage: the report of the film."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.core.footage import CameraSolution, LandmarkTrack, Shot
from understudy.core.motion import Motion
from understudy.core.passes import PassKind
from understudy.io.passes import PASS_FILES
from understudy.render.renderers import RendererConfig, RendererName
from understudy.runtime.errors import printable
from understudy.studio.film_files import BodyFit, Presence
from understudy.studio.pipeline.artifact import Artifact, Role, Scope
from understudy.studio.pipeline.artifacts import (
    ACTOR_BODY,
    ACTOR_MOTION,
    BODY_FIT,
    CAMERA,
    CLEAN_PLATE,
    FILM,
    LANDMARKS,
    LIGHT,
    MATTE,
    PERFORMANCE,
    PRESENCE,
    REMOVED,
    REPORT,
    SCENE,
    SOLUTION,
)
from understudy.studio.pipeline.config import RecastConfig, chosen_renderer
from understudy.studio.pipeline.inputs import Target, every_actor, every_cut, given, makes, source, the_shot
from understudy.studio.pipeline.production import Production
from understudy.studio.pipeline.stage import Run, Stage, report_of
from understudy.studio.pipeline.stages.casting import CASTING
from understudy.studio.pipeline.stages.decomposing import CAMERA_SOLVE, FIND_PEOPLE, PLATE, PRESENT
from understudy.studio.pipeline.stages.finishing import LIGHTING
from understudy.studio.pipeline.stages.performing import CAMERA_FIT, retarget_settings
from understudy.studio.report.quality import Measured
from understudy.studio.report.report import Replaced, film_page
from understudy.studio.report.verdicts import Choices
from understudy.studio.stage_reports import (
    CameraFitReport,
    CameraReport,
    CharacterReport,
    LightReport,
    PeopleReport,
    PlateReport,
    PresenceReport,
    StageReports,
)

__all__ = ["REPORTING"]


@dataclass(frozen=True)
class JudgedActor:
    """What was found of an actor, and made of them."""

    body: Character = given(ACTOR_BODY)
    motion: Motion = given(ACTOR_MOTION)
    fit: BodyFit = given(BODY_FIT)
    landmarks: LandmarkTrack = given(LANDMARKS)
    matte: Path = given(MATTE)
    presence: Presence = given(PRESENCE)
    found: PresenceReport = report_of(PRESENT)
    character: CharacterReport = report_of(CASTING)


@dataclass(frozen=True)
class JudgedCut:
    """What was found in a cut."""

    shot: Shot = the_shot()
    plate: Path = given(CLEAN_PLATE)
    camera: CameraPath = given(CAMERA, camera="source")
    solution: CameraSolution = given(SOLUTION)
    actors: tuple[JudgedActor, ...] = every_actor(JudgedActor)
    people: PeopleReport = report_of(FIND_PEOPLE)
    camera_solve: CameraReport = report_of(CAMERA_SOLVE)
    cleaning: PlateReport = report_of(PLATE)
    camera_fit: CameraFitReport = report_of(CAMERA_FIT)
    lighting: LightReport = report_of(LIGHTING)


@dataclass(frozen=True)
class FilmFacts:
    """What the page says of the film as a whole."""

    title: str
    seconds: float
    """That all stages took."""
    cuts: dict[str, int]
    """The number of each cut, by where its files lie; the cuts that are played."""
    total_cuts: int
    roles: tuple[Role, ...]


def film_facts(production: Production, scope: Scope) -> tuple[dict[str, Path], FilmFacts]:
    """Of a film all of whose other stages are done."""
    project, prefixes = production.project, [cut.prefix for cut in production.cuts]
    return {}, FilmFacts(
        title=f"{production.shot.path.name} with {' and '.join(path.name for path in production.characters)}",
        seconds=sum(project.stages[name].seconds for name in project.visited),
        cuts={cut.prefix: prefixes.index(cut.prefix) + 1 for cut in production.played},
        total_cuts=len(prefixes),
        roles=production.roles,
    )


@dataclass(frozen=True)
class ReportReads:
    """The shot, the film, and everything that tells how well it went."""

    shot: Shot = the_shot()
    film: Path = given(FILM)
    cuts: tuple[JudgedCut, ...] = every_cut(JudgedCut)
    facts: FilmFacts = source(film_facts, "reports of all stages")


@dataclass(frozen=True)
class ReportMakes:
    """One page."""

    page: Target[Path] = makes(REPORT)


@dataclass(frozen=True)
class ReportSettings:
    """What is said of the user's choices."""

    choices: Choices
    passes: PassKind
    renderer: RendererName
    rendering: RendererConfig


@dataclass(frozen=True)
class FilmFigures:
    """Figures of each cut and actor, for machines."""

    whole: dict[str, float | None]
    """Of the main actor in the first cut that is played."""
    parts: dict[str, dict[str, float | None]]
    """Of every actor in every cut."""


def write_the_report(reads: ReportReads, makes: ReportMakes, settings: ReportSettings, run: Run) -> FilmFigures:
    """One page with the film, what each stage did, and how well."""
    shot, facts = reads.shot, reads.facts
    replaced, names = list[Replaced](), list[str]()
    for (prefix, number), cut in zip(facts.cuts.items(), reads.cuts, strict=True):
        for role, judged in zip(facts.roles, cut.actors, strict=True):
            title = f"Cut {number}" if facts.total_cuts > 1 else "The shot"
            title += f", actor {role.actor}" if len(facts.roles) > 1 else ""
            replaced.append(_replaced(title, role.actor, cut, judged))
            names.append(f"{prefix}actors/{role.actor}")
    text = (
        f"{shot.width} × {shot.height}, {len(shot)} frames at {float(shot.frame_rate):g} per second, "
        f"{facts.total_cuts} {'cut' if facts.total_cuts == 1 else 'cuts'}; "
        f"made in {facts.seconds:.0f} s ({facts.seconds / len(shot):.2f} s per frame)"
    )
    page, figures = film_page(
        shot,
        reads.film,
        replaced,
        printable(facts.title),
        text,
        list(listing(facts, settings.passes)),
        settings.choices,
        settings.rendering,
        run.progress,
    )
    makes.page.path.write_text(page, encoding="utf-8")
    return FilmFigures(figures[0], dict(zip(names, figures, strict=True)))


def _replaced(title: str, actor: int, cut: JudgedCut, judged: JudgedActor) -> Replaced:
    measured = Measured(
        Performance(judged.body, judged.motion),
        judged.fit,
        judged.landmarks,
        judged.matte,
        judged.presence.present,
        cut.camera,
        cut.solution,
    )
    reports = StageReports(
        judged.character, cut.people, cut.camera_solve, cut.cleaning, judged.found, cut.camera_fit, cut.lighting
    )
    return Replaced(title, actor, cut.shot, cut.plate, measured, reports)


OF_ACTORS: tuple[Artifact, ...] = (ACTOR_MOTION, MATTE, PRESENCE, ACTOR_BODY, PERFORMANCE)
OF_CUTS: tuple[Artifact, ...] = (CLEAN_PLATE, REMOVED, LIGHT, SCENE)
CAMERAS = {
    "source": "the shot's camera (also as USD and for COLMAP and nerfstudio)",
    "fitted": "the camera re-fitted to the character; edit it and run again",
}
SEQUENCES: dict[PassKind, dict[str, str]] = {
    "exr": {"exr": "the character, one multi-layer EXR a frame; README.txt says what is in it"},
    "png": {"png": "the character's colour, one PNG a frame"},
    "video": {},
}


def listing(facts: FilmFacts, passes: PassKind) -> Iterator[str]:
    """The film's files that people may want, each as "name: what it is"."""
    for prefix in facts.cuts:
        for role in facts.roles:
            for artifact in OF_ACTORS:
                for name in artifact.names:
                    yield f"{Scope(prefix, role).named(name)}: {artifact.what}"
        for camera, what in CAMERAS.items():
            yield f"{Scope(prefix, camera=camera).named(CAMERA.name)}: {what}"
        for artifact in OF_CUTS:
            yield f"{Scope(prefix).named(artifact.name)}: {artifact.what}"
        for name, what in (SEQUENCES[passes] | PASS_FILES).items():
            yield f"{prefix}passes/{name}: {what}"


def report_settings(config: RecastConfig) -> ReportSettings:
    """Of the report."""
    retarget = retarget_settings(config)
    choices = Choices(config.first_frame, retarget.adapt, retarget.foot_lock, config.refine)
    return ReportSettings(choices, config.passes, config.renderer, chosen_renderer(config))


REPORTING = Stage("report", write_the_report, report_settings)
