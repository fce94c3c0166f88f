"""Measure trained scene models on held-out sets, subjects and paths: `understudy scene evaluate`, kept as a result.

    python -m benchmarks.video_models.cinescene RUN [--name mini] [--out build/cinescene] [--clips 16] [--seeds 3]

RUN holds the model and, in sub-folders, its variants. Writes `results/cinescene_NAME.json`: every figure with the
lowest and highest of the seeds, the gains over the variants, and how fast each was trained.
"""

import argparse
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path

import numpy as np

from benchmarks.record import save
from understudy.cli.console import ConsoleNarrator
from understudy.evaluation.scene import EvaluateSceneConfig, evaluate_scene
from understudy.videogen.evaluation.evaluate import ClipFigures
from understudy.videogen.training.curves import read_curves


def main() -> None:
    """Evaluate, and save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", default="mini")
    parser.add_argument("--out", type=Path, default=Path("build/cinescene"))
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    config = EvaluateSceneConfig(ablations=True, clips=options.clips, seeds=options.seeds)
    result = evaluate_scene(options.run, options.out, config, ConsoleNarrator())
    measured = {
        move: {film: summary(figures, config.seeds) for film, figures in films.items()}
        for move, films in result.measured.items()
    }
    drawn = {name: str(getattr(config.sampling, name)) for name in ("guidance", "shift", "precision")}
    document = {
        "config": asdict(config) | drawn, "measured": measured, "gains_db": gains(result.measured, config.seeds)
    }  # fmt: skip
    print(save(f"cinescene_{options.name}", document | {"training": training(options.run)}))
    print(result.page)


def summary(figures: ClipFigures, seeds: int) -> dict[str, dict[str, float] | None]:
    """Every figure of a film on one move; of those by frame, the mean and the last frame."""
    values: dict[str, np.ndarray] = {}
    for field in fields(figures):
        value = getattr(figures, field.name)
        if is_dataclass(value):
            values |= {f"{field.name}_{name}": part for name, part in vars(value).items()}
        elif value is not None and value.ndim == 2:
            values |= {field.name: value.mean(1), f"{field.name}_last": value[:, -1]}
        elif value is not None:
            values[field.name] = value
    return {name: spread(part, seeds) for name, part in values.items()}


def gains(measured: dict[str, dict[str, ClipFigures]], seeds: int) -> dict[str, dict[str, dict]]:
    """Of the run's own model over every other film at the last frame, clip by clip."""
    result = {}
    for move, films in measured.items():
        own = next(iter(films.values()))
        result[move] = {
            name: spread(own.psnr_db[:, -1] - other.psnr_db[:, -1], seeds)
            for name, other in films.items()
            if other is not own and name != "truth"
        }
    return result


def spread(values: np.ndarray, seeds: int) -> dict[str, float] | None:
    """Mean, and the lowest and highest mean of a seed."""
    means = [float(np.nanmean(part)) for part in np.split(values, seeds) if np.isfinite(part).any()]
    if not means:
        return None
    return {"mean": round(float(np.nanmean(values)), 4), "low": round(min(means), 4), "high": round(max(means), 4)}


def training(run: Path) -> dict[str, dict[str, float]]:
    """The last line of every training's curves: steps, hours, clips a second, and the share spent waiting for clips."""
    folders = {"default": run} | {path.name: path for path in sorted(run.glob("*")) if path.is_dir()}
    lines = {name: read_curves(folder / "curves.jsonl") for name, folder in folders.items()}
    return {name: dict(line[-1]) for name, line in lines.items() if line}


if __name__ == "__main__":
    main()
