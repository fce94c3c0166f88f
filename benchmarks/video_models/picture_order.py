"""Measure what shuffling a set's pictures in training is for: models given them in other orders, and fewer of them.

    python -m benchmarks.video_models.picture_order RUN numbered ordered [--name mini] [--clips 16] [--seeds 3]

Named sub-folders of RUN hold trained models. Writes `results/picture_order_NAME.json`: PSNR of the background at the
last frame, with the lowest and highest of the seeds, and the first model's gain over each other, clip by clip.
"""

import argparse
from pathlib import Path

import numpy as np
from cinescene import spread

from benchmarks.record import save, table
from understudy.cli.console import ConsoleNarrator
from understudy.evaluation.scene import EvaluateSceneConfig
from understudy.videogen.evaluation.contestants import find_models, reordered
from understudy.videogen.evaluation.evaluate import MEASURED_MOVES, Evaluation, background_psnr
from understudy.videogen.training.feed import clip_sizes

FEWER = 4


def main() -> None:
    """Measure, and save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--name", default="mini")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    config, narrator = EvaluateSceneConfig(clips=options.clips, seeds=options.seeds), ConsoleNarrator()
    evaluation = Evaluation(options.clips, tuple(range(options.seeds)))
    found = find_models(options.run, "cpu", config.sampling)
    rows, document = [], {}
    for move, mix in MEASURED_MOVES.items():
        measured: dict[str, dict[str, np.ndarray]] = {}
        for name in options.models:
            model = found[name]
            films = {"as in training": (model, config.pictures), f"{FEWER} pictures": (model, FEWER)}
            films |= {how: (film, config.pictures) for how, film in reordered(model, config.pictures).items()}
            for how, (film, pictures) in films.items():
                with narrator.stage(f"{move}, {name}, {how}") as progress:
                    sizes = clip_sizes(model.saved.model.config, pictures)
                    psnr_db = background_psnr(film, sizes, mix, evaluation, progress)
                measured.setdefault(how, {})[name] = psnr_db[:, -1]
        for how, last_db in measured.items():
            own = last_db[options.models[0]]
            figures = {name: spread(values, options.seeds) for name, values in last_db.items()}
            gains = {name: spread(own - last_db[name], options.seeds) for name in options.models[1:]}
            document.setdefault(move, {})[how] = {"psnr_db_last": figures, f"{options.models[0]}_over_db": gains}
            rows.append({"move": move, "pictures": how} | {name: part["mean"] for name, part in figures.items()})
    print(table(rows))
    print(save(f"picture_order_{options.name}", {"clips": options.clips, "seeds": options.seeds} | document))


if __name__ == "__main__":
    main()
