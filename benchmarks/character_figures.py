"""What characters made of one picture are like, as Markdown."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

from scripts.markdown import table

__all__ = ["characters"]

MARKS = Path(__file__).parent / "characters/marks.json"
"""Marks out of ten that a person gave the contact sheets, side views first: picture → before, after, note."""
Row = dict[str, Any]

FIGURES: tuple[tuple[str, str, str, str], ...] = (
    ("outline in front, IoU", "front_iou", "≥ 0.97", ".3f"),
    ("outline in the seven other views, IoU", "unseen_iou", "≥ 0.94 / 0.86", ".3f"),
    ("outline at the side, IoU", "side_iou", "≥ 0.91 / 0.80", ".3f"),
    ("albedo in the seven other views, PSNR (dB)", "unseen_albedo_db", "4 more; ≥ 20 cast", ".1f"),
    ("albedo from behind, PSNR (dB)", "back_albedo_db", "–", ".1f"),
    ("front relit as the picture was, PSNR (dB)", "front_relit_db", "≥ 28", ".1f"),
    ("how much lighter black becomes (linear)", "black_lift", "≤ 0.004", ".4f"),
    ("joints in space, mean distance (% of height)", "joints_percent", "≤ 2 / 4", ".1f"),
    ("the same as the picture shows them", "joints_in_picture_percent", "–", ".1f"),
    ("hair, skirt, cape, bag that follow an arm or a leg (% of their vertices)", "loose_follow_limbs_percent",
     "≤ 1", ".1f"),
    ("stretch of edges in motion, 99th percentile", "stretch_99", "≤ 1.8", ".2f"),
    ("faces that cut through others, in motion more than at rest (% of faces)", "cut_faces_more_percent", "≤ 3",
     ".2f"),
    ("own motion on the own body, largest distance of a joint (mm)", "own_body_mm", "≤ 1", ".2f"),
    ("copies in A-pose and in T-pose: largest distance of a joint in motion (mm)", "rest_copies_mm", "≤ 1", ".2f"),
    ("the actor's contacts with the ground that are kept (%)", "contact_kept_percent", "≥ 98", ".1f"),
    ("moments in which a forearm or hand cuts through trunk or head (%)", "arm_through_body_percent", "–", ".0f"),
)  # fmt: skip
"""What, its key in a row, its target (of the cast / of rigs), how it is written."""


def characters(found: dict[str, Any]) -> str:
    """All of it: targets, each known figure, each picture."""
    before, now = found["characters_before"], found["characters"]
    return "\n".join([
        "Characters made of one picture (`python -m benchmarks.characters.picture`), before work on them began and now."
        " Known figures are our cast in clothes and public rigs: each is photographed in its rest pose from the front,"
        " made anew from that picture alone, aligned by bounds, the outline in front and one shift in depth, and"
        " compared with the truth from eight azimuths 22.5° apart. Pictures are cut out (alpha), surfaces matt, the"
        " lens long. Figures marked *held out* are not looked at while methods are tuned. Means are of the figures that"
        " became a character; those that did not are in the list below. LPIPS is not measured: its weights are not at"
        " hand.\n",
        targets(before, now),
        "Each known figure, now (before):\n",
        each_known(before["known"], now["known"]),
        "Each picture; marks out of ten are a person's, for the contact sheet, side views first:\n",
        each_picture(before["pictures"], now["pictures"]),
        "What further pictures bring, means of all known figures (`python -m benchmarks.characters.free_views`): back"
        " and side, or free views from 40, 145 and 250°, whose directions are told or found. In a T-pose, directions"
        " are found badly: tell them (`--view NAME:DEGREES`).\n",
        further_pictures(found["free_views"]["summary"]),
    ])  # fmt: skip


def further_pictures(summary: list[Row]) -> str:
    """Of characters made of more than the front."""
    columns = (
        ("Other views, IoU", "unseen_iou", ".3f"), ("Side, IoU", "side_iou", ".3f"),
        ("Albedo, dB", "unseen_albedo_db", ".1f"),
    )  # fmt: skip
    rows = []
    for row in summary:
        off = row["azimuth_off_median_deg"]
        found = "–" if off == "–" else f"{off:g}°; {row['azimuth_off_max_deg']:g}°; {row['left_out']}"
        line = {"Made of": row["made of"]} | {head: shown(row, key, form) for head, key, form in columns}
        rows.append(line | {"Direction off: median; most; views left out": found})
    return table(rows)


def targets(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What was to be reached, and what was."""
    columns = (("Before", before, None), ("Now", now, None), ("Now, held out", now, True))

    def line(what: str, target: str, value: Callable[[Row], float | None], form: str) -> dict[str, str]:
        means = {head: pair(result["known"], value, form, held_out) for head, result, held_out in columns}
        return {"Figure": what, "Target: cast / rigs": target, **means}

    rows = [line(what, target, lambda row, key=key: row.get(key), form) for what, key, target, form in FIGURES]
    for part in ("head", "chest", "thigh", "foot"):
        rows.append(
            line(
                f"depth over width of the {part}, human figures: how far off the body model's (%)",
                "≤ 15",
                lambda row, part=part: off_percent(row, part),
                ".0f",
            )
        )
    for what, target, value in (
        ("pictures that became a character", "all", made),
        ("the bust is refused", "yes", refused),
        ("seconds a picture takes, median (CPU seconds)", "≤ 15", seconds),
        ("our body skinned anew: mean / worst error (mm)", "≤ 1.4 / 35", lambda result: skinned(result, "skinning")),
        ("the same by Blender's automatic weights", "–", lambda result: skinned(result, "blender")),
    ):
        rows.append({"Figure": what, "Target: cast / rigs": target, "Before": value(before), "Now": value(now),
                     "Now, held out": "–"})  # fmt: skip
    return table(rows)


def off_percent(row: Row, part: str) -> float | None:
    """How far a part's depth over width is off the body model's."""
    ratio = row.get("depth_by_body", {}).get(part)
    return None if ratio is None else 100 * abs(ratio - 1)


def pair(rows: list[Row], value: Callable[[Row], float | None], form: str, held_out: bool | None) -> str:
    """Means of the cast and of rigs."""
    said = []
    for kind in ("cast", "rig"):
        some = [value(r) for r in rows if r.get("kind") == kind and held_out in (None, r["held_out"])]
        some = [v for v in some if v is not None]
        said.append(format(mean(some), form) if some else "–")
    return " / ".join(said)


def made(result: dict[str, Any]) -> str:
    """How many pictures became characters."""
    return "{characters} of {pictures}".format(**result["summary"]["pictures"])


def refused(result: dict[str, Any]) -> str:
    """How many of those that show no whole figure were refused."""
    return "{refused_rightly} of {to_refuse}".format(**result["summary"]["pictures"])


def seconds(result: dict[str, Any]) -> str:
    """The time that a picture takes."""
    return f"{median(row['cpu_s'] for row in result['pictures'] if 'cpu_s' in row):.1f}"


def skinned(result: dict[str, Any], weights: str) -> str:
    """Of the body model, bound as characters from pictures are, or by Blender."""
    row = result["summary"]["our body skinned anew"]
    return f"{row[f'{weights}_mean_mm']:.1f} / {row[f'{weights}_max_mm']:.0f}" if f"{weights}_mean_mm" in row else "–"


def each_known(before: list[Row], now: list[Row]) -> str:
    """One line for each known figure; a failure says why."""
    earlier = {row["figure"]: row for row in before}
    columns = (
        ("Front", "front_iou", ".2f"), ("Other views", "unseen_iou", ".2f"), ("Side", "side_iou", ".2f"),
        ("Albedo, dB", "unseen_albedo_db", ".1f"), ("Relit, dB", "front_relit_db", ".1f"),
        ("Joints, %", "joints_percent", ".1f"), ("Loose parts, %", "loose_follow_limbs_percent", ".0f"),
        ("Stretch", "stretch_99", ".2f"), ("Cut faces, %", "cut_faces_more_percent", ".1f"),
    )  # fmt: skip
    rows = []
    for row in now:
        old = earlier.get(row["figure"], {})
        line = {"Figure": row["figure"] + (" *(held out)*" if row.get("held_out") else "")}
        for head, key, form in columns:
            line[head] = f"{shown(row, key, form)} ({shown(old, key, form)})"
        line["Remark"] = reason(row)
        rows.append(line)
    return table(rows)


def each_picture(before: list[Row], now: list[Row]) -> str:
    """One line for each picture, with its marks."""
    earlier = {row["figure"]: row for row in before}
    marks = json.loads(MARKS.read_text(encoding="utf-8"))
    rows = []
    for row in now:
        old, mark = earlier.get(row["figure"], {}), marks.get(row["figure"], {})
        rows.append({
            "Picture": row["figure"],
            "Mark before": str(mark.get("before", "–")),
            "Mark after": str(mark.get("after", "–")),
            "What was seen": mark.get("note", "–"),
            "What is seen": mark.get("note_after", "–"),
            "CPU s": f"{shown(row, 'cpu_s', '.1f')} ({shown(old, 'cpu_s', '.1f')})",
            "Stretch": f"{shown(row, 'stretch_99', '.2f')} ({shown(old, 'stretch_99', '.2f')})",
            "Remark": reason(row) or " ".join(row.get("doubts", [])),
        })  # fmt: skip
    return table(rows)


def shown(row: Row, key: str, form: str) -> str:
    """A figure, or a dash where there is none."""
    return format(row[key], form) if key in row else "–"


def reason(row: Row) -> str:
    """Why there is no character."""
    return row["failed"].partition(": ")[2].replace("|", "/") if "failed" in row else ""
