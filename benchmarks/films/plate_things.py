"""What clean plates do to things that move by themselves beside the actor, and whether the actor's shadow goes.

    python -m benchmarks.films.plate_things [--width 480] [--frames 36] [--things bird,car] [--moves static]

An actor walks through a courtyard in the sun, filmed by a static, a turning and a travelling camera, while a bird
walks, a ball bounces, a car drives or a flag waves near by, or a cloud's shadow passes (`synthetic.moving_things`).
Cameras are the true ones, masks are as rough as a landmark network's. Writes `results/plate_things.json`.
"""

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.record import save, table
from understudy.decompose.plate.clean_plate import PlateConfig, clean_frames
from understudy.decompose.plate.holes import HoleTally
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import open_shot
from understudy.synthetic.films.moving_things import MOVES, THINGS, ThingShot, figures, rough

RATE = 15


def main() -> None:
    """Run all things and moves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--frames", type=int, default=36)
    parser.add_argument("--things", default=",".join(THINGS))
    parser.add_argument("--moves", default=",".join(MOVES))
    options = parser.parse_args()
    rows = []
    for move in options.moves.split(","):
        for thing in options.things.split(","):
            rows.append(measure(thing, move, options.width, options.frames))
            print(table(rows[-1:]), flush=True)
    print(table(rows))
    print(save("plate_things", {"width": options.width, "frames": options.frames, "shots": rows}))


def measure(thing: str, move: str, width: int, frames: int) -> dict:
    """Film one thing with one move, clean it, compare."""
    height = round(width * 9 / 16)
    filmed = ThingShot(thing, move, width, height, frames, RATE)
    moments = list(filmed.moments())
    with tempfile.TemporaryDirectory() as folder:
        shot_path, mask_path = Path(folder) / "shot.mkv", Path(folder) / "mask.mkv"
        size = width, height, Fraction(RATE)
        with VideoWriter(shot_path, *size, "lossless") as film, VideoWriter(mask_path, *size, "mask") as masks:
            for moment in moments:
                film.write(moment.picture)
                masks.write(rough(moment.mask))
        start = time.process_time()
        shot, solution = open_shot(shot_path), filmed.solution()
        plate = list(clean_frames(shot, [mask_path], solution, PlateConfig(), HoleTally()))
        seconds = (time.process_time() - start) / frames
    found = figures(moments, [frame.picture for frame in plate])
    elsewhere = [frame.removed == 0 for frame in plate]
    same = [np.array_equal(p.picture[e], m.picture[e]) for p, m, e in zip(plate, moments, elsewhere, strict=True)]
    return {
        "move": move,
        "thing": thing,
        "thing_altered_percent": round(found.thing_altered_percent, 2),
        "worst_frame_percent": round(found.worst_frame_percent, 2),
        "actor_db": round(found.actor_db, 2),
        "shadow_db": round(found.shadow_db, 2),
        "untouched_is_the_source": all(same),
        "removed_percent": round(100 * (1 - float(np.mean(elsewhere))), 2),
        "cpu_seconds_per_frame": round(seconds, 3),
    }


if __name__ == "__main__":
    main()
