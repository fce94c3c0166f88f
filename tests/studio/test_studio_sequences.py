"""Image sequences in a film's folder: stages follow the pictures themselves, their rate and their colour space."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from made_films import numbered
from PIL import Image

from understudy.io.video.streams import open_shot
from understudy.studio.narration import SilentNarrator
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.cut import Cut
from understudy.studio.project import Project, files_hash


def run_stages(folder: Path, pictures: Path, **options) -> list[str]:
    """Which of two stages had to run: one reads the shot, one does not."""
    project = Project(folder)
    try:
        cut = Cut(project, open_shot(pictures, **options), RecastConfig(), SilentNarrator())

        def work(scratch: Path, progress) -> None:
            for name in ("seen.txt", "other.txt"):
                (scratch / name).write_text("made")

        cut.run("seen", [], {}, ["seen.txt"], work, reads_shot=True)
        cut.run("other", [], {}, ["other.txt"], work)
        project.save()
        return project.executed
    finally:
        project.close()


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
