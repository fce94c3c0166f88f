"""The transfer tables: rows as text, as JSON and as one HTML page with plots."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from understudy.studio.evaluation_page import Plot, Table, render_evaluation
from understudy.studio.transfer import TransferConfig, TransferRow

__all__ = ["as_text", "transfer_tables", "write_transfer"]

PAPER = {
    "push_in": (90.4, 93.3, 58.2), "pull_out": (94.9, 94.5, 57.5), "pan": (94.8, 93.7, 62.2),
    "truck": (95.0, 94.6, 55.1), "follow": (92.4, 90.7, 61.7), "arc": (95.2, 94.9, 66.3),
}  # fmt: skip
"""DreamCinema, table I: PA %, IoU %, MPJPE mm."""


def transfer_tables(rows: Sequence[TransferRow]) -> list[Table]:
    """Reference body, new bodies, ablation, perturbation: means over the shots of each move."""
    tables = [_reference(rows)]
    new = [row for row in rows if row.body != "reference"]
    shaken = [row for row in rows if " mm, " in row.case]
    if any(row.case == "without camera" for row in new):
        note = "The silhouette's box against the actor's, of the picture's height; means over all moves."
        tables.append(Table("New bodies", note, _new_bodies(new)))
    tables.append(Table("Ablation", "Means over the new bodies, which stand at the actor's size.", _ablation(new)))
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
    _write(page, render_evaluation("Motion and camera against the truth", facts, tables, plots, []))
    document = {"config": asdict(config), "rows": [asdict(row) for row in rows]}
    _write(figures, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return page, figures


def _reference(rows: Sequence[TransferRow]) -> Table:
    lines = []
    for move in dict.fromkeys(row.move for row in rows):
        mean = _mean([row for row in rows if row.move == move and row.body == "reference" and row.case == "full"])
        paper = PAPER.get(move)
        lines.append({
            "move": move,
            "PA %": f"{100 * mean('pixel_agreement'):.1f}",
            "IoU %": f"{100 * mean('iou'):.1f}",
            "MPJPE mm": f"{mean('mpjpe_mm'):.1f}",
            "DreamCinema": " / ".join(f"{value:g}" for value in paper) if paper else "–",
            "PA-MPJPE mm": f"{mean('pa_mpjpe_mm'):.1f}",
            "W-MPJPE mm": f"{mean('w_mpjpe_mm'):.0f}",
            "RTE %": f"{mean('root_error_percent'):.1f}",
            "camera °": f"{mean('camera_rotation_deg'):.3f}",
            "slide mm": f"{mean('foot_slide_mm'):.1f}",
            "jitter (true)": f"{mean('jitter'):.1f} ({mean('true_jitter'):.1f})",
            "wrist swing %": f"{mean('wrist_swing_percent'):.0f}",
        })  # fmt: skip
    return Table("The actor's own body", "DreamCinema's own PA, IoU and MPJPE beside ours, from its table I.", lines)


def _new_bodies(rows: Sequence[TransferRow]) -> list[dict[str, str]]:
    lines = []
    for stature in dict.fromkeys(row.body for row in rows):
        line = {"stature": stature}
        for case in ("full", "without camera"):
            mean = _mean([row for row in rows if (row.body, row.case) == (stature, case)])
            line[f"{case}: box centre %"] = f"{mean('box_centre_percent'):.2f}"
            line[f"{case}: box height %"] = f"{mean('box_height_percent'):.2f}"
            line[f"{case}: joints in the frame, mm"] = f"{mean('placed_mm'):.0f}"
        lines.append(line)
    return lines


def _ablation(rows: Sequence[TransferRow]) -> list[dict[str, str]]:
    lines = []
    for move in dict.fromkeys(row.move for row in rows):
        line = {"move": move}
        for case in dict.fromkeys(row.case for row in rows):
            mean = _mean([row for row in rows if (row.move, row.case) == (move, case)])
            line[f"{case}: IoU %"] = f"{100 * mean('iou'):.1f}"
            line[f"{case}: MPJPE mm"] = f"{mean('mpjpe_mm'):.0f}"
            line[f"{case}: joints in the frame, mm"] = f"{mean('placed_mm'):.0f}"
        lines.append(line)
    return lines


def _perturbation(rows: Sequence[TransferRow]) -> list[dict[str, str]]:
    lines = []
    for noise in dict.fromkeys(row.case.partition(",")[0] for row in rows):
        line = {"noise": noise}
        for case in ("with", "without"):
            mean = _mean([row for row in rows if row.case == f"{noise}, {case} camera"])
            line[f"{case} camera fit: IoU %"] = f"{100 * mean('iou'):.1f}"
            line[f"{case}: joints in the frame, mm"] = f"{mean('placed_mm'):.0f}"
        lines.append(line)
    return lines


def _mean(rows: Sequence[TransferRow]) -> Callable[[str], float]:
    return lambda figure: float(np.mean([row.figures[figure] for row in rows])) if rows else float("nan")


def _plots(rows: Sequence[TransferRow]) -> list[Plot]:
    """IoU over the noise on the motion."""
    lines = {}
    for case in ("with", "without"):
        points = []
        for row in rows:
            noise, _, rest = row.case.partition(" mm, ")
            if rest == f"{case} camera":
                points.append((float(noise), 100 * row.figures["iou"]))
        if points:
            noises = sorted({noise for noise, _ in points})
            means = [(noise, np.mean([iou for at, iou in points if at == noise])) for noise in noises]
            lines[f"{case} the camera fit"] = np.array(means)
    return [Plot("IoU % over noise on the motion", "mm", "IoU %", lines)] if lines else []


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
