"""The transfer tables: rows as text, as JSON and as one HTML page with plots."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np

from understudy.evaluation.page import Plot, Table, render_evaluation
from understudy.evaluation.transfer_shots import TransferConfig, TransferRow
from understudy.io.text import replace_text

__all__ = ["as_text", "transfer_tables", "write_transfer"]

PAPER = {
    "push_in": (90.4, 93.3, 58.2), "pull_out": (94.9, 94.5, 57.5), "pan": (94.8, 93.7, 62.2),
    "truck": (95.0, 94.6, 55.1), "follow": (92.4, 90.7, 61.7), "arc": (95.2, 94.9, 66.3),
}  # fmt: skip
"""DreamCinema, table I: PA %, IoU %, MPJPE mm."""
NOTE = (
    "DreamCinema's own PA, IoU and MPJPE beside ours, from its table I. One camera does not tell how tall anybody is:"
    " the fit takes 1.7 m, for a child too. Beside it, MPJPE with the height given, as users may."
    " W-MPJPE is aligned by the first two frames, in which an actor who walks in is a guess; WA-MPJPE by all."
)
CASES = {"full": (True, True), "without adapt": (False, True), "without camera": (True, False)}
"""Of new bodies: whether the motion was adapted and the camera fitted."""
Figure = tuple[str, str, str, float]
"""A column's name, the figure in it, how it is written, and what it is multiplied by."""
IOU: Figure = ("IoU %", "iou", ".1f", 100.0)
PLACED: Figure = ("joints in the frame, mm", "placed_mm", ".0f", 1.0)
FRAMING: tuple[Figure, ...] = (
    ("box centre %", "box_centre_percent", ".2f", 1.0), ("box height %", "box_height_percent", ".2f", 1.0), PLACED,
)  # fmt: skip
BODIES: tuple[Figure, ...] = (IOU, ("MPJPE mm", "mpjpe_mm", ".0f", 1.0), PLACED)


def transfer_tables(rows: Sequence[TransferRow]) -> list[Table]:
    """Reference body, new bodies, ablation, perturbation: means over the shots of each move."""
    own = [row for row in rows if row.stature is None]
    new = [row for row in rows if row.stature is not None]
    shaken = [row for row in own if row.noise_mm is not None]
    tables = [_reference([row for row in own if row.noise_mm is None])]
    if new:
        note = "The silhouette's box against the actor's, of the picture's height; means over all moves."
        tables.append(Table("New bodies", note, _by_case(new, "stature", FRAMING)))
        note = "Means over the new bodies, which stand at the actor's size."
        tables.append(Table("Ablation", note, _by_case(new, "move", BODIES)))
    if shaken:
        note = "Noise on the extracted motion of the actor's own body; means over all moves."
        tables.append(Table("Perturbed motion", note, _perturbation(shaken)))
    return tables


def as_text(table: Table) -> str:
    """A table in aligned columns."""
    heads = list(table.rows[0])
    cells = [heads] + [[row[head] for head in heads] for row in table.rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return "\n".join([table.title, *lines])


def write_transfer(out: Path, rows: Sequence[TransferRow], config: TransferConfig) -> tuple[Path, Path]:
    """Write `transfer.html` and `transfer.json`; gives their paths."""
    tables, plots = transfer_tables(rows), _plots(rows)
    facts = (
        f"{config.shots} shots of each move, {config.frames} frames of {config.width} × {config.height}, from pixels."
        " The fit knows nothing of the generator's body, motion or set."
    )
    page, figures = out / "transfer.html", out / "transfer.json"
    replace_text(page, render_evaluation("Motion and camera against the truth", facts, tables, plots, []))
    document = {"config": asdict(config), "rows": [asdict(row) for row in rows]}
    replace_text(figures, json.dumps(document, indent=1, ensure_ascii=False, default=str) + "\n")
    return page, figures


def _reference(rows: Sequence[TransferRow]) -> Table:
    lines = []
    for move in dict.fromkeys(row.move for row in rows):
        mean = _mean([row for row in rows if row.move == move])
        paper = PAPER.get(move)
        lines.append({
            "move": move,
            "PA %": f"{100 * mean('pixel_agreement'):.1f}",
            "IoU %": f"{100 * mean('iou'):.1f}",
            "MPJPE mm": f"{mean('mpjpe_mm'):.1f}",
            "height given": f"{mean('height_given_mpjpe_mm'):.1f}",
            "DreamCinema": " / ".join(f"{value:g}" for value in paper) if paper else "–",
            "PA-MPJPE mm": f"{mean('pa_mpjpe_mm'):.1f}",
            "W-MPJPE mm": f"{mean('w_mpjpe_mm'):.0f}",
            "WA-MPJPE mm": f"{mean('wa_mpjpe_mm'):.0f}",
            "RTE %": f"{mean('root_error_percent'):.1f}",
            "camera °": f"{mean('camera_rotation_deg'):.3f}",
            "slide mm": f"{mean('foot_slide_mm'):.1f}",
            "jitter (true)": f"{mean('jitter'):.1f} ({mean('true_jitter'):.1f})",
            "wrist swing %": f"{mean('wrist_swing_percent'):.0f}",
        })  # fmt: skip
    return Table("The actor's own body", NOTE, lines)


def _by_case(rows: Sequence[TransferRow], what: Literal["stature", "move"], figures: Sequence[Figure]) -> list[dict]:
    """A line per stature or move, and in it the figures of every case that was measured."""
    measured = {(row.adapt, row.camera_fit) for row in rows}
    cases = {name: case for name, case in CASES.items() if case in measured}
    lines = []
    for value in dict.fromkeys(getattr(row, what) for row in rows):
        line = {what: value if what == "move" else f"{value:g}"}
        for name, case in cases.items():
            mean = _mean([r for r in rows if getattr(r, what) == value and (r.adapt, r.camera_fit) == case])
            line |= {f"{name}: {title}": f"{by * mean(key):{form}}" for title, key, form, by in figures}
        lines.append(line)
    return lines


def _perturbation(rows: Sequence[TransferRow]) -> list[dict[str, str]]:
    lines = []
    for noise_mm in dict.fromkeys(row.noise_mm for row in rows):
        line = {"noise": f"{noise_mm:g} mm"}
        for fitted, name in ((True, "with"), (False, "without")):
            mean = _mean([row for row in rows if (row.noise_mm, row.camera_fit) == (noise_mm, fitted)])
            line[f"{name} camera fit: IoU %"] = f"{100 * mean('iou'):.1f}"
            line[f"{name}: joints in the frame, mm"] = f"{mean('placed_mm'):.0f}"
        lines.append(line)
    return lines


def _mean(rows: Sequence[TransferRow]) -> Callable[[str], float]:
    return lambda figure: float(np.mean([row.figures[figure] for row in rows])) if rows else float("nan")


def _plots(rows: Sequence[TransferRow]) -> list[Plot]:
    """IoU over the noise on the motion."""
    lines = {}
    for fitted, name in ((True, "with"), (False, "without")):
        shaken = [row for row in rows if row.noise_mm is not None and row.camera_fit == fitted]
        noises = sorted({row.noise_mm for row in shaken if row.noise_mm is not None})
        means = [(noise, 100 * _mean([row for row in shaken if row.noise_mm == noise])("iou")) for noise in noises]
        if means:
            lines[f"{name} the camera fit"] = np.array(means)
    return [Plot("IoU % over noise on the motion", "mm", "IoU %", lines)] if lines else []
