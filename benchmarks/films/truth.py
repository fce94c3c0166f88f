"""Take synthetic shots apart as `understudy recast` does, and compare with the truth: camera branch and path, body.

    python -m benchmarks.films.truth [--out build/truth] [--frames 72]

The stages know nothing of the generator's body, motion or set. Writes `results/truth.json`.
"""

import argparse
from fractions import Fraction
from pathlib import Path

from benchmarks.record import save, table
from understudy.evaluation.scoring import score_body
from understudy.evaluation.transfer_shots import Recasting
from understudy.evaluation.truth import write_truth
from understudy.io.motions.arrays import read_landmarks_npz
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
    found = Recasting(out, truth.path).found(truth.scene.body.height_m)
    score = score_body(found.actor, found.camera, write_truth(out, truth))
    seen = read_landmarks_npz(out / "film/people/landmarks_1.npz").seen
    return {
        "move": name,
        "action": action.kind,
        "branch": found.kind,
        "branch_right": found.kind == MOVES[name],
        "seen": round(float(seen.mean()), 3),
        **score.rounded(),
    }


if __name__ == "__main__":
    main()
