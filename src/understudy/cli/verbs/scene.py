"""`understudy scene train | evaluate | render-dataset`: video models for scenes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from understudy.cli.arguments import parse
from understudy.cli.console import ConsoleNarrator
from understudy.cli.require_torch import needs_torch
from understudy.runtime.errors import InputError, printable, quoted

__all__ = ["main"]

USAGE = """usage: understudy scene {train,evaluate,render-dataset} [options]

  train           train a video model, or go on with a training
  evaluate        measure a trained model on held-out scenes: figures and one page
  render-dataset  write clips with and without their subject, panorama, cameras, depth and words

Each explains itself: understudy scene train --help"""


def main(arguments: Sequence[str]) -> None:
    """Run one of the parts."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        sys.exit(0)
    part, *rest = arguments
    parts = {"train": _train, "evaluate": _evaluate, "render-dataset": _render_dataset}
    if part not in parts:
        raise InputError(f"scene has no part {quoted(part)}; choose from {', '.join(parts)}")
    needs_torch()
    parts[part](rest)


def _train(arguments: Sequence[str]) -> None:
    from understudy.studio.scene.train import TrainSceneConfig, train_scene

    @dataclass(frozen=True)
    class Arguments:
        """Train a video model on endless scenes; the same command goes on with a training that was cut off."""

        out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
        """Folder of the training: checkpoints, curves, samples."""
        config: tyro.conf.OmitArgPrefixes[TrainSceneConfig] = field(default_factory=TrainSceneConfig)

    options = parse(Arguments, "understudy scene train", arguments)
    train_scene(options.out, options.config, ConsoleNarrator())


def _evaluate(arguments: Sequence[str]) -> None:
    from understudy.evaluation.scene import EvaluateSceneConfig, evaluate_scene

    @dataclass(frozen=True)
    class Arguments:
        """Measure a trained model on held-out scenes: figures as JSON, and one page with clips, curves and tables."""

        run: tyro.conf.Positional[Path]
        """Folder of a training, or of a model; variants of it lie in its sub-folders."""
        out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
        """Folder of page and figures; by default that of the training."""
        config: tyro.conf.OmitArgPrefixes[EvaluateSceneConfig] = field(default_factory=EvaluateSceneConfig)

    options = parse(Arguments, "understudy scene evaluate", arguments)
    result = evaluate_scene(options.run, options.out or options.run, options.config, ConsoleNarrator())
    print(f"\npage     {printable(result.page)}\nfigures  {printable(result.figures)}")


def _render_dataset(arguments: Sequence[str]) -> None:
    from understudy.studio.scene.render_dataset import RenderDatasetConfig, render_dataset

    @dataclass(frozen=True)
    class Arguments:
        """Render clips with and without their subject to disk; the same command goes on where it was cut off."""

        out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
        """Folder of the dataset, in the public Scene-Decoupled layout."""
        config: tyro.conf.OmitArgPrefixes[RenderDatasetConfig] = field(default_factory=RenderDatasetConfig)

    options = parse(Arguments, "understudy scene render-dataset", arguments)
    narrator = ConsoleNarrator()
    with narrator.stage("clips") as progress:
        scenes = render_dataset(options.config, options.out, progress)
    print(f"\n{len(scenes)} scenes  {printable(options.out)}")
