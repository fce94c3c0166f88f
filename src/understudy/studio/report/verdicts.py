"""A plain sentence on how well each stage did, from its figures."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from understudy.retarget.foot_lock import FootLock
from understudy.studio.report.page import Level, Verdict
from understudy.studio.report.quality import Quality
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

__all__ = ["Choices", "verdicts"]

_MOVES = {
    "static": "stands still",
    "rotation": "turns in place",
    "parallax": "moves through the set",
}


@dataclass(frozen=True)
class _Course:
    """A figure over the frames of a cut: how it usually is, and at its worst moment, which is what people notice."""

    usual: float
    """The median; NaN where no frame has a value."""
    worst: float
    frame: int
    """Of the worst, as frames are numbered in the film's files."""

    @staticmethod
    def of(values: np.ndarray, first_frame: int) -> "_Course":
        if not np.isfinite(values).any():
            return _Course(float("nan"), float("nan"), first_frame)
        at = int(np.nanargmax(np.where(np.isfinite(values), values, np.nan)))
        return _Course(float(np.nanmedian(values)), float(values[at]), first_frame + at)

    def level(self, usual: tuple[float, float], worst: tuple[float, float]) -> Level:
        """By how good and how fair it must be, usually and at worst; smaller is better."""
        return _worse(_level(self.usual, *usual), _level(self.worst, *worst))

    def said(self, number: Callable[[float], str]) -> str:
        """For the figures' column."""
        return f"{number(self.usual)}, at worst {number(self.worst)} (frame {self.frame})"


@dataclass(frozen=True)
class Choices:
    """What the user chose that verdicts speak of."""

    first_frame: int = 1
    adapt: bool = True
    foot_lock: FootLock = "auto"
    refine: bool = True


def verdicts(reports: StageReports, quality: Quality, choices: Choices, actor: int = 1) -> list[Verdict]:
    """One verdict per stage, in the order of the work, on what was done with one actor."""
    first = choices.first_frame
    return [
        _people(reports.people, reports.presence, actor),
        _camera(reports.camera, _Course.of(quality.camera_residual_px, first)),
        _plate(reports.plate),
        _MATTE.verdict(_Course.of(1 - quality.mask_iou, first)),
        _BODY.verdict(_Course.of(quality.reprojection_percent, first)),
        _FEET.verdict(_Course.of(quality.foot_slide_mm, first)),
        _SMOOTHNESS.verdict(_Course.of(quality.jitter, first)),
        _character(reports.character),
        _retarget(choices.adapt, choices.foot_lock),
        _camera_fit(reports.camera_fit),
        _refine(reports.light, choices.refine),
    ]


def _level(value: float, good: float, fair: float) -> Level:
    """By a figure that is better when it is smaller."""
    return "good" if value <= good else "fair" if value <= fair else "poor"


def _worse(*levels: Level) -> Level:
    """The worst of several; none are good."""
    order: tuple[Level, ...] = ("good", "fair", "poor")
    return order[max(map(order.index, levels), default=0)]


def _people(report: PeopleReport, presence: PresenceReport, actor: int) -> Verdict:
    present, seen, count = presence.present, presence.seen, report.people
    where = "of the frames" if present == 1 else f"of the frames in which they are there ({present:.0%} of all)"
    sentence = f"The actor was found in {seen:.0%} {where}."
    if count > 1:
        sentence += f" {count} people were found; actor {actor} is replaced (--actor N chooses another)."
    if seen < 0.9:
        sentence += " Where they were not, the motion is interpolated: look at those frames."
    return Verdict("actor", _level(1 - seen, 0.03, 0.15), sentence, {"found": f"{seen:.1%}", "people": str(count)})


@dataclass(frozen=True)
class _Scale:
    """What a figure over time says of a stage; smaller is better."""

    stage: str
    figure: str
    """Its name, for the figures' column."""
    number: Callable[[float], str]
    usual: tuple[float, float]
    """Up to what the median is good, and fair."""
    worst: tuple[float, float]
    """The same of the worst frame."""
    good: str
    fair: str
    poor: str
    nothing: str = ""
    """What is said where no frame has a value, if that means that there was nothing to judge."""

    def verdict(self, course: _Course) -> Verdict:
        if np.isnan(course.usual):
            return Verdict(self.stage, "off" if self.nothing else "good", self.nothing or self.good)
        level = course.level(self.usual, self.worst)
        sentence = {"good": self.good, "fair": self.fair, "poor": self.poor}[level]
        return Verdict(self.stage, level, sentence, {self.figure: course.said(self.number)})


_CAMERA = _Scale(
    "camera track", "tracking error", "{:.2f} px".format, (0.8, 2.0), (2.5, 6.0),
    "Its track holds.",
    "Its track may drift by a few pixels: watch the feet.",
    "Its track does not hold: expect the character to slide over the set.",
)  # fmt: skip
_MATTE = _Scale(
    "matte", "overlap with the body", lambda missing: f"{1 - missing:.0%}", (0.25, 0.45), (0.45, 0.7),
    "The actor's matte and the tracked body agree.",
    "Matte and tracked body differ in places: loose clothes, hair or things in the hands.",
    "Matte and tracked body differ: one of them is wrong. Look at the strip below; mask.mkv can be edited.",
)  # fmt: skip
_BODY = _Scale(
    "body track", "joints off by, of the actor's height", "{:.1f} %".format, (1.5, 3.0), (6.0, 12.0),
    "The body follows the actor.",
    "The body follows the actor with visible differences.",
    "The body does not follow the actor everywhere; motion.bvh can be edited.",
)  # fmt: skip
_FEET = _Scale(
    "feet", "slide a frame", "{:.1f} mm".format, (5.0, 15.0), (15.0, 40.0),
    "Standing feet stay where they are.",
    "Standing feet slide a little: look at the frame named here.",
    "Standing feet slide visibly; pin them in motion.bvh, or choose a range without that moment.",
    "No foot stands still in this shot, so none can be seen to slide.",
)  # fmt: skip
_SMOOTHNESS = _Scale(
    "smoothness", "jitter", lambda jitter: f"{10 * jitter:.0f} m/s³", (25.0, 60.0), (60.0, 150.0),
    "The motion is smooth.",
    "The motion trembles or jumps somewhere: look at the frame named here.",
    "The motion pops: look at the frame named here, and smooth its curves in motion.bvh.",
)  # fmt: skip


def _camera(report: CameraReport, error_px: _Course) -> Verdict:
    verdict, move = _CAMERA.verdict(error_px), report.move
    sentence = " ".join([f"The camera {_MOVES[move]}.", verdict.sentence, *report.notes])
    return replace(verdict, sentence=sentence, figures={**verdict.figures, "move": move})


def _plate(report: PlateReport) -> Verdict:
    seen, made_up = report.seen_share, report.made_up_share
    sentence = f"{seen:.0%} of the set behind the actor was seen in other frames; {made_up:.0%} had to be painted in."
    figures = {"mismatch at the seam": f"{report.mismatch_levels:.1f} of 255", "painted in": f"{made_up:.1%}"}
    return Verdict("clean plate", _level(made_up, 0.1, 0.5), sentence, figures)


def _character(report: CharacterReport) -> Verdict:
    roles = report.roles
    level: Level = "good" if roles >= 18 else "fair" if roles >= 12 else "poor"
    sentence = f"Made from a {report.made_from}: {report.vertices} vertices, {report.joints} joints."
    if level != "good":
        sentence += f" Only {roles} of 22 body joints were recognised; the others keep their rest pose."
    doubted: list[Level] = [doubt.level for doubt in report.doubts]
    level = _worse(level, *doubted)
    sentence = " ".join([sentence, *(doubt.sentence for doubt in report.doubts)])
    return Verdict("character", level, sentence, {"height": f"{report.height_m:.2f} m"})


def _retarget(adapt: bool, foot_lock: FootLock) -> Verdict:
    if not adapt:
        return Verdict("motion on the character", "off", "Switched off: the motion was copied joint by joint.")
    feet = {
        "auto": "standing feet are held",
        "always": "feet are held wherever they may stand",
        "ground": "feet are kept on the ground and held nowhere",
        "never": "feet are left alone",
    }
    sentence = f"The motion was adapted to the character's proportions; {feet[foot_lock]}."
    return Verdict("motion on the character", "good", sentence)


def _camera_fit(report: CameraFitReport) -> Verdict:
    if report.before is None or report.after is None:
        return Verdict("framing", "off", "Switched off: the character is seen by the shot's own camera.")
    after, before = report.after, report.before
    level = _level(max(after.box_height_error, after.box_centre_error, 2 * after.foot_error), 0.06, 0.15)
    sentence = {
        "good": "The character stands where the actor stood, as large as the actor.",
        "fair": "The character stands and fills the frame nearly as the actor did; the bodies differ in proportion.",
        "poor": "The character could not be framed as the actor was: the bodies differ too much.",
    }[level]
    figures = {
        "size in the picture": f"{after.box_height_error:.1%} off the actor's",
        "its middle": f"{after.box_centre_error:.1%} of the height off",
        "standing feet": f"{after.foot_error:.1%} of the height off",
        "size with the shot's own camera": f"{before.box_height_error:.1%} off",
    }
    return Verdict("framing", level, sentence, figures)


_LIGHT_FOUND_BY = {
    "shadow": "The light was read from the actor's cast shadow.",
    "shading": "The light was read from the actor's shading.",
    "prior": "The shot does not show where its light comes from: it is soft, from above. light.json can be edited.",
}


def _refine(light: LightReport, refine: bool) -> Verdict:
    found = _LIGHT_FOUND_BY[light.found_by]
    if not refine:
        return Verdict("light and tone", "off", f"Switched off: the render lies on the plate as it is. {found}")
    level = "fair" if light.found_by == "prior" else "good"
    return Verdict("light and tone", level, f"Light, tone, grain and shadow were matched to the shot. {found}")
