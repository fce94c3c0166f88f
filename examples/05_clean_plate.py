"""Make a clean plate alone: the shot without its people.

python examples/05_clean_plate.py shot.mp4 plate/
"""

from pathlib import Path

import tyro

import understudy


def main(shot_file: Path, out: Path, /) -> None:
    """Three stages by hand: people, camera, plate; frames are streamed from file to file."""
    out.mkdir(parents=True, exist_ok=True)
    shot = understudy.open_shot(shot_file)
    people = understudy.find_people(shot, out)
    masks = sorted(out.glob("person_*.mkv"))  # one for each person, the main actor first
    print(f"{len(people.tracks)} people")

    solution = understudy.solve_camera(shot, masks)
    print(f"the camera: {solution.move}, {len(solution.points)} points of the set")

    plate, removed = out / "clean_plate.mp4", out / "removed.mkv"
    report = understudy.make_clean_plate(shot, masks, solution, plate, removed)
    print(f"{100 * report.seen_share:.1f} % of what was removed is seen in other frames: {plate}")


if __name__ == "__main__":
    tyro.cli(main)
