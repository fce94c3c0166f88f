"""The stages that take a shot apart: cuts, people, camera, clean plate, matte, presence, body."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.footage import CameraSolution, LandmarkTrack, Shot
from understudy.core.motion import Motion
from understudy.decompose.body.fit import BodyFitConfig, fit_actor
from understudy.decompose.camera.solve import CameraConfig, solve_camera
from understudy.decompose.cuts import CutConfig, find_cuts
from understudy.decompose.matte.presence import find_presence
from understudy.decompose.matte.refine import MatteConfig, refine_matte
from understudy.decompose.people.find import PeopleConfig, find_people
from understudy.decompose.plate.clean_plate import PlateConfig, make_clean_plate
from understudy.io.video.streams import read_video
from understudy.runtime.errors import NobodyInShot
from understudy.studio.film_files import BodyFit, CutList, Presence
from understudy.studio.pipeline.artifacts import (
    ACTOR_BODY,
    ACTOR_MOTION,
    BODY_FIT,
    CAMERA,
    CLEAN_PLATE,
    CUTS,
    LANDMARKS,
    MATTE,
    OTHERS,
    PRESENCE,
    REMOVED,
    ROUGH_MATTE,
    SOLUTION,
)
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.inputs import (
    Target,
    Targets,
    given,
    if_there,
    makes,
    makes_for_people,
    people,
    the_shot,
)
from understudy.studio.pipeline.stage import Run, Stage
from understudy.studio.stage_reports import (
    BodyReport,
    CameraReport,
    NoReport,
    PeopleReport,
    PlateReport,
    PresenceReport,
)

__all__ = ["BODY", "CAMERA_SOLVE", "FIND_CUTS", "FIND_PEOPLE", "MATTING", "PLATE", "PRESENT"]


@dataclass(frozen=True)
class ShotReads:
    """The shot alone."""

    shot: Shot = the_shot()


@dataclass(frozen=True)
class CutsMakes:
    """Where the cuts are."""

    cuts: Target[CutList] = makes(CUTS)


@dataclass(frozen=True)
class CutsSettings:
    """What the list of cuts depends on."""

    cuts: CutConfig
    first_frame: int


def find_all_cuts(reads: ShotReads, makes: CutsMakes, settings: CutsSettings, run: Run) -> NoReport:
    """Hard cuts: each cut is recast by itself."""
    found = find_cuts(reads.shot, run.progress, settings.cuts)
    starts = tuple(cut.start_frame - reads.shot.start_frame for cut in found)
    makes.cuts.write(CutList(starts, settings.first_frame))
    return NoReport()


@dataclass(frozen=True)
class PeopleMakes:
    """Landmarks and a rough matte of each person."""

    landmarks: Targets[LandmarkTrack] = makes_for_people(LANDMARKS)
    mattes: Targets[Path] = makes_for_people(ROUGH_MATTE)
    rest: Target[Path] = makes(OTHERS, optional=True)
    """Only where there are more people than are followed one by one."""


def find_everybody(reads: ShotReads, makes: PeopleMakes, settings: PeopleConfig, run: Run) -> PeopleReport:
    """Who is in the shot: landmarks and a rough matte for each person, the main actor first."""
    found = find_people(reads.shot, makes.rest.path.parent, settings, run.progress)
    for number, track in enumerate(found.tracks, 1):
        makes.landmarks(number).write(track)
    centres = [np.round(track.landmarks_px.mean((0, 1))).tolist() for track in found.tracks]
    return PeopleReport(
        people=len(found.tracks),
        seen=[round(float(track.seen.mean()), 4) for track in found.tracks],
        centre_px=[(x, y) for x, y in centres],
    )


def who_is_replaced(report: PeopleReport, config: RecastConfig) -> Iterator[str]:
    """Which of several people.

    Raises:
        NobodyInShot: there are not as many as the user counts.
    """
    if config.actor > report.people:
        raise NobodyInShot(
            f"--actor is {config.actor}, but {report.people} people were found in the shot; give 1 to {report.people}"
        )
    if report.people > 1:
        x, y = report.centre_px[config.actor - 1]
        yield (
            f"{report.people} people were found; actor {config.actor} is replaced (around {x:.0f}, {y:.0f} in the"
            f" picture). Choose another with --actor 1 … {report.people}."
        )


@dataclass(frozen=True)
class PeopleInShot:
    """The shot, and roughly where in it people are."""

    shot: Shot = the_shot()
    actors: dict[int, Path] = people(ROUGH_MATTE, "actors", instead=MATTE)
    """A matte that the user has edited is better than a rough one."""
    bystanders: dict[int, Path] = people(ROUGH_MATTE, "others")
    rest: Path | None = if_there(OTHERS)
    """Everybody else in one."""

    @property
    def mattes(self) -> list[Path]:
        """Of everybody, the main actor's first."""
        return [*self.actors.values(), *self.bystanders.values(), *([self.rest] if self.rest else [])]


@dataclass(frozen=True)
class CameraMakes:
    """The camera, of unknown scale."""

    solution: Target[CameraSolution] = makes(SOLUTION)


def solve_the_camera(reads: PeopleInShot, makes: CameraMakes, settings: CameraConfig, run: Run) -> CameraReport:
    """How the camera moved, from what stands still in the picture."""
    solution = solve_camera(reads.shot, reads.mattes, settings, run.progress)
    makes.solution.write(solution)
    return CameraReport(
        move=solution.move,
        residual_px=round(float(np.median(solution.residual_px)), 3),
        points=len(solution.points),
        notes=list(solution.notes),
    )


@dataclass(frozen=True)
class PlateReads(PeopleInShot):
    """The shot, its people and its camera."""

    solution: CameraSolution = given(SOLUTION)


@dataclass(frozen=True)
class PlateMakes:
    """Two films."""

    plate: Target[Path] = makes(CLEAN_PLATE)
    removed: Target[Path] = makes(REMOVED)


def clean_the_plate(reads: PlateReads, makes: PlateMakes, settings: PlateConfig, run: Run) -> PlateReport:
    """The shot without its actor, and how much of each pixel is not the shot's own."""
    films = (makes.plate.path, makes.removed.path)
    return make_clean_plate(reads.shot, reads.mattes, reads.solution, *films, settings, run.progress)


@dataclass(frozen=True)
class MatteReads:
    """What tells an actor from the set and from others."""

    shot: Shot = the_shot()
    rough: Path = given(ROUGH_MATTE)
    others: dict[int, Path] = people(ROUGH_MATTE, "others")
    rest: Path | None = if_there(OTHERS)
    landmarks: LandmarkTrack = given(LANDMARKS)
    plate: Path = given(CLEAN_PLATE)


@dataclass(frozen=True)
class MatteMakes:
    """The matte."""

    matte: Target[Path] = makes(MATTE)


def refine_the_matte(reads: MatteReads, makes: MatteMakes, settings: MatteConfig, run: Run) -> NoReport:
    """The actor's matte, refined by the difference to the clean plate."""
    others = [*reads.others.values(), *([reads.rest] if reads.rest else [])]
    refine_matte(
        reads.shot, reads.rough, reads.plate, reads.landmarks, makes.matte.path, others, settings, run.progress
    )
    return NoReport()


@dataclass(frozen=True)
class PresenceReads:
    """The actor's matte and landmarks."""

    matte: Path = given(MATTE)
    landmarks: LandmarkTrack = given(LANDMARKS)


@dataclass(frozen=True)
class PresenceMakes:
    """A list of frames."""

    presence: Target[Presence] = makes(PRESENCE)


@dataclass(frozen=True)
class PresenceSettings:
    """How frames are numbered."""

    first_frame: int


def find_when_present(
    reads: PresenceReads, makes: PresenceMakes, settings: PresenceSettings, run: Run
) -> PresenceReport:
    """When the actor is in the shot, and the character with them."""
    present = find_presence(read_video(reads.matte))
    if not present.any():
        raise NobodyInShot(f"{reads.matte} shows the actor in no frame; give another shot, or edit it")
    makes.presence.write(Presence(present, settings.first_frame))
    seen = reads.landmarks.seen
    return PresenceReport(round(float(present.mean()), 4), round(float(seen[present].mean()), 4))


@dataclass(frozen=True)
class BodyReads:
    """What the body is fitted to."""

    landmarks: LandmarkTrack = given(LANDMARKS)
    matte: Path = given(MATTE)
    solution: CameraSolution = given(SOLUTION)


@dataclass(frozen=True)
class BodyMakes:
    """The actor, and the camera in the world that the actor gives its scale."""

    motion: Target[Motion] = makes(ACTOR_MOTION)
    body: Target[Character] = makes(ACTOR_BODY)
    fit: Target[BodyFit] = makes(BODY_FIT)
    camera: Target[CameraPath] = makes(CAMERA, camera="source")


@dataclass(frozen=True)
class BodySettings:
    """How the body is fitted."""

    body: BodyFitConfig
    height_m: float | None


def fit_the_body(reads: BodyReads, makes: BodyMakes, settings: BodySettings, run: Run) -> BodyReport:
    """The actor's body and motion, and the camera, in one metric world with the ground at y = 0."""
    fit = fit_actor(reads.landmarks, reads.solution, settings.height_m, reads.matte, settings.body, run.progress)
    makes.motion.write(fit.motion)
    makes.body.write(fit.body)
    makes.fit.write(BodyFit(fit.reprojection_px, fit.ground_contact, fit.T_world_solution))
    makes.camera.write(fit.camera)
    return BodyReport(
        reprojection_px=round(float(np.nanmedian(fit.reprojection_px)), 2),
        height_m=round(fit.diagnostics["height_m"], 3),
    )


def people_settings(config: RecastConfig) -> PeopleConfig:
    """A draft does without the heavy network, which alone looks at one of the people in particular."""
    network = config.people.network or ("full" if config.quality == "draft" else "heavy")
    return replace(config.people, network=network, actor=config.actor if network == "heavy" else 1)


FIND_CUTS = Stage("cuts", find_all_cuts, lambda config: CutsSettings(config.cuts, config.first_frame))
FIND_PEOPLE = Stage("people", find_everybody, people_settings, who_is_replaced)
CAMERA_SOLVE = Stage("camera", solve_the_camera, lambda config: config.camera)
PLATE = Stage("plate", clean_the_plate, lambda config: config.plate)
MATTING = Stage("mask", refine_the_matte, lambda config: config.mask)
PRESENT = Stage("presence", find_when_present, lambda config: PresenceSettings(config.first_frame))
BODY = Stage("body", fit_the_body, lambda config: BodySettings(config.body, config.height_m))
