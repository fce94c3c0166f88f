"""Image sequences in a film's folder: stages follow the pictures themselves, their rate and their colour space."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from made_films import numbered
from PIL import Image
from productions import production, run

from understudy.core.footage import Shot
from understudy.io.video.streams import open_shot
from understudy.studio.pipeline.artifact import Artifact
from understudy.studio.pipeline.inputs import Target, makes, the_shot
from understudy.studio.pipeline.stage import NoSettings, Run, Stage
from understudy.studio.project import files_hash
from understudy.studio.stage_reports import NoReport

SEEN = Artifact[Path]("seen.txt", "what the shot shows")
OTHER = Artifact[Path]("other.txt", "what it does not show")


@dataclass(frozen=True)
class ShotReads:
    shot: Shot = the_shot()


@dataclass(frozen=True)
class NothingRead:
    pass


@dataclass(frozen=True)
class SeenMakes:
    seen: Target[Path] = makes(SEEN)


@dataclass(frozen=True)
class OtherMakes:
    other: Target[Path] = makes(OTHER)


def see(reads: ShotReads, makes: SeenMakes, settings: NoSettings, run: Run) -> NoReport:
    makes.seen.path.write_text("made")
    return NoReport()


def see_nothing(reads: NothingRead, makes: OtherMakes, settings: NoSettings, run: Run) -> NoReport:
    makes.other.path.write_text("made")
    return NoReport()


def run_stages(folder: Path, pictures: Path, **options) -> list[str]:
    """Which of two stages had to run: one reads the shot, one does not."""
    film = production(folder, open_shot(pictures, **options))
    try:
        for name, work in (("seen", see), ("other", see_nothing)):
            run(Stage(name, work, lambda config: NoSettings()), film)
        film.project.save()
        return film.project.executed
    finally:
        film.project.close()


def test_what_depends_on_the_pictures_is_made_anew_when_they_change(tmp_path):
    pictures, film = tmp_path / "frames", tmp_path / "film"
    pictures.mkdir()
    for index in range(4):
        Image.fromarray(numbered(index)).save(pictures / f"a.{index:04d}.png")
    assert run_stages(film, pictures) == ["seen", "other"]
    (pictures / "notes.txt").write_text("not part of the shot")
    assert run_stages(film, pictures) == run_stages(film, pictures / "a.####.png") == []
    Image.fromarray(numbered(9)).save(pictures / "a.0002.png")
    assert run_stages(film, pictures) == ["seen"]
    assert run_stages(film, pictures, colour_space="linear") == ["seen"]
    assert run_stages(film, pictures, colour_space="linear", frame_rate=Fraction(25)) == ["seen", "other"]
    assert run_stages(film, pictures, colour_space="linear", frame_rate=Fraction(25), start_s=0.04) == ["seen"]


def test_a_hash_knows_names_and_order(tmp_path):
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_bytes(np.arange(9).tobytes())
    hashes = {files_hash(files), files_hash(files[::-1]), files_hash(files[:1])}
    assert len(hashes) == 3 and files_hash(files) in hashes
