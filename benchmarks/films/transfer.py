"""DreamCinema's 3D tables, from pixels, with the default backends: `understudy evaluate transfer`, kept as a result.

    python -m benchmarks.films.transfer [--out build/transfer] [--shots 2] [--real build/recast]

Writes `results/transfer.json`: the tables, every row, in how many frames the landmark model sees the synthetic actors
and how sure it is of them, and the same for real shots if `--real` names the films of `benchmarks/recast.py`.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.record import save
from understudy.cli.console import ConsoleNarrator
from understudy.evaluation.transfer import evaluate_transfer, measured_rows
from understudy.evaluation.transfer_shots import TransferConfig, TransferRow
from understudy.io.motions.arrays import read_landmarks_npz


def main() -> None:
    """Run the evaluation, and save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/transfer"))
    parser.add_argument("--shots", type=int, default=2)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    config = TransferConfig(shots=options.shots)
    print(evaluate_transfer(options.out, config, ConsoleNarrator()))
    rows = measured_rows(options.out, config)
    print(save("transfer", {
        "config": json.loads(json.dumps(asdict(config), default=str)),
        "reference": by_move(rows),
        "detection": detection(options.out),
        "detection_real": detection(options.real) if options.real else None,
        "rows": [asdict(row) for row in rows],
    }))  # fmt: skip


def by_move(rows: list[TransferRow]) -> dict[str, dict[str, float]]:
    """Means over the shots of each move, of the actor's own body."""
    figures: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.stature is None and row.noise_mm is None:
            for name, value in row.figures.items():
                figures[row.move][name].append(value)
    return {move: {name: round(float(np.mean(v)), 4) for name, v in one.items()} for move, one in figures.items()}


def detection(films: Path) -> dict[str, float]:
    """How the landmark model sees the main actor of every film in a folder: means over frames, then over films."""
    tracks = [read_landmarks_npz(path) for path in sorted(films.glob("**/people/landmarks_1.npz"))]
    shares = [(track.seen.mean(), track.visibility[track.seen].mean()) for track in tracks]
    seen, visibility = np.round(np.mean(shares, 0), 4)
    return {"films": len(tracks), "frames_seen": float(seen), "visibility": float(visibility)}


if __name__ == "__main__":
    main()
