"""Cut 24 figures whose outline is known out of their pictures: shadows, floor lines, white on white, JPEG.

    python -m benchmarks.films.cutout [--out build/cutout]

The figures are rendered, the landmark model looks at each picture as it does in use. Writes `results/cutout.json`, and
beside each picture what was cut out of it (yellow: too much, cyan: missing).
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.record import save, table
from understudy.characters.cutout.cutout import cut_out
from understudy.io.pictures.files import write_png
from understudy.runtime.errors import CharacterError
from understudy.studio.pipeline.stages.figure_detectors import FigureLandmarks
from understudy.synthetic.films.portraits import PORTRAITS, PortraitConfig, take_portrait

TARGET = 0.97


def main() -> None:
    """Run all portraits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/cutout"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    detect = FigureLandmarks()
    rows = []
    for config in PORTRAITS:
        rows.append(measure(config, detect, options.out))
        print(table(rows[-1:]), flush=True)
    print(table(rows))
    overlaps = [row["iou"] for row in rows]
    summary = {
        "target_iou": TARGET,
        "reached": sum(overlap >= TARGET for overlap in overlaps),
        "lowest_iou": min(overlaps),
        "mean_iou": round(float(np.mean(overlaps)), 4),
    }
    print(save("cutout", summary | {"portraits": rows}))


def measure(config: PortraitConfig, detect: FigureLandmarks, out: Path) -> dict:
    """Cut one figure out and compare."""
    made = take_portrait(config)
    truth = made.share > 0.5
    detection = detect(made.rgb)
    start = time.process_time()
    try:
        figure = cut_out(np.dstack([made.rgb, np.full(truth.shape, 255, np.uint8)]), detection)
    except CharacterError:
        figure = np.zeros_like(truth)
    seconds = time.process_time() - start
    shown = np.where(figure[..., None], made.rgb, (0.4 * made.rgb + (153, 0, 153)).astype(np.uint8))
    shown[figure & ~truth], shown[truth & ~figure] = (255, 255, 0), (0, 255, 255)
    write_png(out / f"{config.name}.png", np.hstack([made.rgb, shown]))
    return {
        "picture": config.name,
        "iou": round(float(np.sum(figure & truth) / np.sum(figure | truth)), 4),
        "too_much": round(float(np.sum(figure & ~truth) / truth.sum()), 4),
        "missing": round(float(np.sum(truth & ~figure) / truth.sum()), 4),
        "cpu_s": round(seconds, 2),
    }


if __name__ == "__main__":
    main()
