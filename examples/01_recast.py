"""Recast a shot, and see what is in the film's folder.

python examples/01_recast.py shot.mp4 hero.png film/
"""

from pathlib import Path

import tyro

import understudy


def main(shot: Path, character: Path, folder: Path, /, quality: str = "standard") -> None:
    """Put a character (one picture, or a rigged GLB, glTF or VRM) in the place of a shot's actor."""
    film = understudy.recast(shot, character, folder, quality=quality)
    print("made now:", ", ".join(film.executed) or "nothing, all was up to date")
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        print(f"{file.stat().st_size / 1e6:8.2f} MB  {file.relative_to(folder)}")
    print(f"film    {film.film}\nreport  {film.report}")


if __name__ == "__main__":
    tyro.cli(main)
