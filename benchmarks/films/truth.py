"""Take synthetic shots apart and compare with what is known of them: camera branch, path, and the body.

    python -m benchmarks.films.truth [--out build/truth] [--frames 72]

The fit knows nothing of the generator's body, motion or set. Writes `results/truth.json`.
"""

import argparse
from fractions import Fraction
from pathlib import Path

from benchmarks.record import save, table
from understudy.core.film import Performance
from understudy.decompose.body.fit import fit_actor
from understudy.decompose.camera.solve import solve_camera
from understudy.decompose.people.find import find_people
from understudy.evaluation.scoring import score_body
from understudy.evaluation.truth import write_truth
from understudy.io.video.streams import open_shot
from understudy.synthetic.films.camera_moves import CameraMove
from understudy.synthetic.films.shots import SyntheticShotConfig, film_synthetic_shot
from understudy.synthetic.people.motions import Action

MOVES = {
    "static": "static", "pan": "rotation", "tilt": "rotation",
    "push_in": "parallax", "truck": "parallax", "arc": "parallax",
}  # fmt: skip
"""Each camera move, and the branch that is right for it."""
ACTIONS = ("walk", "wave", "turn")


def main() -> None:
    """Run all moves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/truth"))
    parser.add_argument("--frames", type=int, default=72)
    options = parser.parse_args()
    rows = []
    for seed, name in enumerate(MOVES):
        rows.append(measure(name, seed, options.frames, options.out / name))
        print(table(rows[-1:]), flush=True)
    print(table(rows))
    print(save("truth", {"moves": rows}))


def measure(name: str, seed: int, frames: int, out: Path) -> dict:
    """Film one move, take it apart, compare."""
    action = Action(ACTIONS[seed % len(ACTIONS)])
    config = SyntheticShotConfig(
        width=960, height=540, frames=frames, frame_rate=Fraction(24), camera=CameraMove(name), action=action, seed=seed
    )
    truth = film_synthetic_shot(config, out)
    shot = open_shot(truth.path)
    people = find_people(shot, out / "people")
    solution = solve_camera(shot, people.masks)
    fit = fit_actor(people.tracks[0], solution, mask=people.masks[0])
    score = score_body(Performance(fit.body, fit.motion), fit.camera, write_truth(out, truth))
    return {
        "move": name,
        "action": action.kind,
        "branch": solution.move,
        "branch_right": solution.move == MOVES[name],
        "seen": round(float(people.tracks[0].seen.mean()), 3),
        **score.rounded(),
    }


if __name__ == "__main__":
    main()
