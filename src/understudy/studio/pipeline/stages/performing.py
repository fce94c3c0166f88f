"""The stages that put the character in the actor's place: the motion on its body, and the camera that frames it."""

from dataclasses import dataclass, replace

import numpy as np

from understudy.cinematography.fitters import CameraFitterConfig, CameraFitterName
from understudy.cinematography.protocol import CameraFit
from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.core.footage import CameraSolution
from understudy.core.motion import Motion
from understudy.retarget.retarget import RetargetConfig, retarget_motion, world_scale
from understudy.studio.film_files import BodyFit
from understudy.studio.pipeline.artifacts import (
    ACTOR_BODY,
    ACTOR_MOTION,
    BODY_FIT,
    CAMERA,
    CHARACTER,
    PERFORMANCE,
    SOLUTION,
)
from understudy.studio.pipeline.config import RecastConfig, chosen_camera_fitter
from understudy.studio.pipeline.inputs import Target, every_actor, given, makes
from understudy.studio.pipeline.stage import Run, Stage
from understudy.studio.stage_reports import CameraFitReport, FramingReport, NoReport

__all__ = ["CAMERA_FIT", "RETARGETING", "retarget_settings"]


@dataclass(frozen=True)
class RetargetReads:
    """The actor, and who replaces them."""

    body: Character = given(ACTOR_BODY)
    motion: Motion = given(ACTOR_MOTION)
    fit: BodyFit = given(BODY_FIT)
    character: Character = given(CHARACTER)


@dataclass(frozen=True)
class RetargetMakes:
    """The character's motion."""

    motion: Target[Motion] = makes(PERFORMANCE)


def retarget_performance(reads: RetargetReads, makes: RetargetMakes, settings: RetargetConfig, run: Run) -> NoReport:
    """The actor's motion on the character's own skeleton."""
    makes.motion.write(retarget_motion(reads.motion, reads.body, reads.character, settings, reads.fit.ground_contact))
    return NoReport()


@dataclass(frozen=True)
class Replacement:
    """An actor and who replaces them."""

    body: Character = given(ACTOR_BODY)
    motion: Motion = given(ACTOR_MOTION)
    character: Character = given(CHARACTER)
    performance: Motion = given(PERFORMANCE)


@dataclass(frozen=True)
class CameraFitReads:
    """Both bodies in motion, and the camera that saw the actor."""

    replacements: tuple[Replacement, ...] = every_actor(Replacement)
    camera: CameraPath = given(CAMERA, camera="source")
    solution: CameraSolution = given(SOLUTION)


@dataclass(frozen=True)
class CameraFitMakes:
    """The re-fitted camera."""

    camera: Target[CameraPath] = makes(CAMERA, camera="fitted")


@dataclass(frozen=True)
class CameraFitSettings:
    """How the camera is re-fitted."""

    camera_fit: bool
    fitter: CameraFitterName
    fitting: CameraFitterConfig
    adapted: bool
    """Whether the motion was adapted to the character, and its path scaled."""


def fit_the_camera(
    reads: CameraFitReads, makes: CameraFitMakes, settings: CameraFitSettings, run: Run
) -> CameraFitReport:
    """The camera fitted to the main role's new body, or the source camera where that is switched off."""
    if not settings.camera_fit:
        makes.camera.write(reads.camera)
        return CameraFitReport()
    main = reads.replacements[0]
    actor, understudy = Performance(main.body, main.motion), Performance(main.character, main.performance)
    scale = world_scale(main.body, main.character) if settings.adapted else 1.0
    fit = settings.fitting.build()(actor, understudy, reads.camera, reads.solution.move, scale, run.progress)
    makes.camera.write(fit.camera)
    return framing_report(fit)


def framing_report(fit: CameraFit) -> CameraFitReport:
    """The medians of a camera fit's figures."""

    def medians(framing: object) -> FramingReport:
        return FramingReport(**{name: round(float(np.median(values)), 4) for name, values in vars(framing).items()})

    return CameraFitReport(medians(fit.before), medians(fit.scaled), medians(fit.after))


def retarget_settings(config: RecastConfig) -> RetargetConfig:
    """The user can switch the adaptation off, and choose the foot lock, in two places."""
    lock = config.retarget.foot_lock if config.foot_lock == "auto" else config.foot_lock
    return replace(config.retarget, adapt=config.adapt and config.retarget.adapt, foot_lock=lock)


RETARGETING = Stage("retarget", retarget_performance, retarget_settings)
CAMERA_FIT = Stage(
    "camera fit",
    fit_the_camera,
    lambda config: CameraFitSettings(
        config.camera_fit, config.camera_fitter, chosen_camera_fitter(config), retarget_settings(config).adapt
    ),
)
