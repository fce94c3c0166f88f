"""A plain sentence on how well each stage did, from its figures."""

from collections.abc import Mapping

import numpy as np

from understudy.studio.config import RecastConfig
from understudy.studio.project import StageRecord
from understudy.studio.quality import Quality
from understudy.studio.report_page import Verdict

__all__ = ["verdicts"]

_MOVES = {
    "static": "stands still",
    "rotation": "turns in place",
    "parallax": "moves through the set",
}


def verdicts(records: Mapping[str, StageRecord], quality: Quality, config: RecastConfig) -> list[Verdict]:
    """One verdict per stage, in the order of the work."""
    return [
        _people(records["people"], records["presence"], config),
        _camera(records["camera"], quality),
        _plate(records["plate"]),
        _mask(quality),
        _body(quality),
        _character(records["character"]),
        _retarget(config),
        _camera_fit(records["camera fit"]),
        _refine(records["light"], config),
    ]


def _level(value: float, good: float, fair: float) -> str:
    """By a figure that is better when it is smaller."""
    return "good" if value <= good else "fair" if value <= fair else "poor"


def _median(values: np.ndarray) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


def _people(record: StageRecord, presence: StageRecord, config: RecastConfig) -> Verdict:
    present, seen = presence.report["present"], presence.report["seen"]
    count = record.report["people"]
    where = "of the frames" if present == 1 else f"of the frames in which they are there ({present:.0%} of all)"
    sentence = f"The actor was seen in {seen:.0%} {where}."
    if count > 1:
        sentence += f" {count} people were found; actor {config.actor} is replaced (--actor N chooses another)."
    if seen < 0.9:
        sentence += " Where they were not, the motion is interpolated: look at those frames."
    return Verdict("people", _level(1 - seen, 0.03, 0.15), sentence, {"seen": f"{seen:.1%}", "people": str(count)})


def _camera(record: StageRecord, quality: Quality) -> Verdict:
    residual = _median(quality.camera_residual_px)
    level = _level(residual, 0.8, 2.0)
    notes = record.report["notes"]
    sentence = f"The camera {_MOVES[record.report['move']]}."
    if level == "poor":
        sentence += " Its path explains the picture badly: expect the character to slide over the set."
    return Verdict(
        "camera", level, " ".join([sentence, *notes]), {"residual": f"{residual:.2f} px", "move": record.report["move"]}
    )


def _plate(record: StageRecord) -> Verdict:
    report = record.report
    seen, made_up = report["seen_share"], report["made_up_share"]
    sentence = f"{seen:.0%} of what the actor hid was seen in other frames; {made_up:.0%} had to be made up."
    return Verdict(
        "clean plate", _level(made_up, 0.1, 0.5), sentence, {"residue": f"{report['mismatch_levels']:.1f} of 255"}
    )


def _mask(quality: Quality) -> Verdict:
    overlap = _median(quality.mask_iou)
    level = _level(1 - overlap, 0.25, 0.45)
    sentence = {
        "good": "Mask and body agree.",
        "fair": "Mask and body differ in places: loose clothes, hair or things in the hands.",
        "poor": "Mask and body differ: one of them is wrong. Look at the strip below; the mask can be edited.",
    }[level]
    return Verdict("mask", level, sentence, {"overlap with the body": f"{overlap:.0%}"})


def _body(quality: Quality) -> Verdict:
    distance, slide, shake = (
        _median(quality.reprojection_percent), _median(quality.foot_slide_mm), _median(quality.jitter),
    )  # fmt: skip
    level = max(_level(distance, 1.5, 3.0), _level(0 if np.isnan(slide) else slide, 5.0, 15.0), key=_rank)
    sentence = {
        "good": "The body follows the actor.",
        "fair": "The body follows the actor with visible differences.",
        "poor": "The body does not follow the actor everywhere; motion.bvh can be edited.",
    }[level]
    figures = {"off by": f"{distance:.1f} % of the actor's height", "jitter": f"{shake:.1f} · 10 m/s³"}
    if np.isfinite(slide):
        figures["foot slide"] = f"{slide:.1f} mm per frame"
    return Verdict("body and motion", level, sentence, figures)


def _rank(level: str) -> int:
    return ("good", "fair", "poor").index(level)


def _character(record: StageRecord) -> Verdict:
    roles = record.report["roles"]
    level = "good" if roles >= 18 else "fair" if roles >= 12 else "poor"
    sentence = (
        f"Made from a {record.report['from']}: {record.report['vertices']} vertices, {record.report['joints']} joints."
    )
    if level != "good":
        sentence += f" Only {roles} of 22 body joints were recognised; the others keep their rest pose."
    doubts = record.report.get("doubts", ())
    level = max([level, *(doubt["level"] for doubt in doubts)], key=_rank)
    sentence = " ".join([sentence, *(doubt["sentence"] for doubt in doubts)])
    return Verdict("character", level, sentence, {"height": f"{record.report['height_m']:.2f} m"})


def _retarget(config: RecastConfig) -> Verdict:
    if not config.adapt:
        return Verdict("retarget", "off", "Switched off: the motion was copied joint by joint.")
    return Verdict("retarget", "good", "The motion was adapted to the character's proportions; standing feet are held.")


def _camera_fit(record: StageRecord) -> Verdict:
    if record.report.get("off"):
        return Verdict("camera fit", "off", "Switched off: the character is seen by the shot's own camera.")
    after = record.report["keypoint_error_after"]
    level = _level(after, 0.04, 0.1)
    sentence = {
        "good": "The character fills the frame as the actor did.",
        "fair": "The character fills the frame nearly as the actor did; the bodies differ in proportion.",
        "poor": "The character could not be framed as the actor was: the bodies differ too much.",
    }[level]
    before = record.report["keypoint_error_before"]
    return Verdict(
        "camera fit", level, sentence, {"framing error": f"{after:.1%} of the height", "before": f"{before:.1%}"}
    )


_LIGHT_FOUND_BY = {
    "shadow": "The light was read from the actor's cast shadow.",
    "shading": "The light was read from the actor's shading.",
    "prior": "The shot does not show where its light comes from: it is soft, from above. light.json can be edited.",
}


def _refine(light: StageRecord, config: RecastConfig) -> Verdict:
    found = _LIGHT_FOUND_BY[light.report["found_by"]]
    if not config.refine:
        return Verdict("light and tone", "off", f"Switched off: the render lies on the plate as it is. {found}")
    level = "fair" if light.report["found_by"] == "prior" else "good"
    return Verdict("light and tone", level, f"Light, tone, grain and shadow were matched to the shot. {found}")
