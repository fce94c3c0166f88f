"""`understudy evaluate`: the transfer tables, shot by shot and resumed, and the score of one film's folder."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import JsonValue

from understudy.characters.rig.character import character_from_rig
from understudy.core.film import Performance
from understudy.evaluation.scoring import score_body, score_silhouettes
from understudy.evaluation.transfer_page import as_text, transfer_tables, write_transfer
from understudy.evaluation.transfer_shots import TransferConfig, TransferRow, evaluate_shot, shots_of
from understudy.evaluation.truth import read_truth
from understudy.io.cameras.files import read_camera_json
from understudy.io.files import check_file
from understudy.io.motions.arrays import read_motion_npz
from understudy.io.motions.bvh_text import MAX_FILE_BYTES
from understudy.io.records import Record, read_record
from understudy.io.text import replace_text
from understudy.runtime.errors import InputError, quoted
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.outputs import own_folder
from understudy.studio.project import file_hash

__all__ = ["evaluate_film", "evaluate_transfer", "measured_rows"]

MAX_ROWS_BYTES = 16 << 20
METHOD = "stages of understudy recast"
"""By which shots were taken apart: rows of another one are not mixed in."""


def evaluate_transfer(out: Path, config: TransferConfig | None = None, narrator: Narrator | None = None) -> str:
    """Evaluate every shot that is not in `out` yet; gives the tables as text.

    Raises:
        InputError: `out` holds an evaluation with other settings, or a motion is not there.
    """
    config, narrator = config or TransferConfig(), narrator or SilentNarrator()
    settings = _settings(config)
    own_folder(out)
    for move, number in shots_of(config):
        path = out / f"{move}_{number}.json"
        if path.is_file():
            _rows(path, config)
            continue
        rows = [asdict(row) for row in evaluate_shot(move, number, config, out, narrator)]
        replace_text(path, json.dumps({"settings": settings, "rows": rows}, indent=1) + "\n")
    rows = measured_rows(out, config)
    page, figures = write_transfer(out, rows, config)
    texts = [as_text(table) for table in transfer_tables(rows)]
    return "\n\n".join([*texts, f"page     {page}\nfigures  {figures}"])


def measured_rows(out: Path, config: TransferConfig) -> list[TransferRow]:
    """What is in `out` of an evaluation: the rows of every shot that was measured, in order."""
    paths = [out / f"{move}_{number}.json" for move, number in shots_of(config)]
    return [row for path in paths if path.is_file() for row in _rows(path, config)]


class _Measured(Record):
    settings: dict[str, JsonValue]
    rows: list[TransferRow]


def _rows(path: Path, config: TransferConfig) -> list[TransferRow]:
    document = read_record(path, _Measured, "evaluation of a shot", MAX_ROWS_BYTES)
    if document.settings != _settings(config):
        raise InputError(
            f"{quoted(path)} was measured with other settings or motions; name another folder, or delete it"
        )
    return document.rows


def _settings(config: TransferConfig) -> dict[str, Any]:
    """What the rows of one shot depend on: of the motions, what is in their files."""
    for path in config.motions:
        check_file(path, "BVH file for --motions", MAX_FILE_BYTES)  # Before all of it is hashed.
    motions = [file_hash(path) for path in config.motions]
    own = {"moves": None, "shots": None, "motions": motions, "method": METHOD}
    return json.loads(json.dumps(asdict(config) | own))


def evaluate_film(film: Path, truth_folder: Path) -> dict[str, float]:
    """Score the main actor that `understudy recast` extracted from a shot of which the truth is known.

    Raises:
        InputError: a folder does not hold what it should, or the two are not of one length and picture size.
    """
    truth = read_truth(truth_folder)
    folder = film / "actors/1"
    if not (folder / "motion.npz").is_file():
        raise InputError(f"{film} holds no actors/1/motion.npz: name the folder of `understudy recast`")
    body = Performance(character_from_rig(folder / "body.glb"), read_motion_npz(folder / "motion.npz"))
    camera = read_camera_json(film / "camera/source.json")
    lengths = (len(body.motion), len(camera), len(truth.camera))
    if len(set(lengths)) > 1:
        raise InputError("motion, camera and truth have {}, {} and {} frames: give those of one shot".format(*lengths))
    silhouettes = score_silhouettes(body, camera, truth)
    figures = {name: float(np.mean(values)) for name, values in vars(silhouettes).items()}
    return {name: round(value, 4) for name, value in (figures | asdict(score_body(body, camera, truth))).items()}
