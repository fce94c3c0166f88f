"""A small film for the documentation's commands and examples, made once."""

import os
import re
import shlex
from pathlib import Path

import cv2
import pytest
from filelock import FileLock
from page_makers import written

from understudy.cli.main import main
from understudy.io.video.streams import VideoWriter, open_shot, read_frames
from understudy.io.weights import PACKAGE, ensure_weights
from understudy.runtime.errors import BackendUnavailable

SAMPLE = PACKAGE / "synthetic/films"
SECONDS, SIZE = 0.3, (480, 270)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short, small shot.mp4, with hero.png, as the README's commands name them, and with the film of
    the first of these commands. All tests share it, also those in other processes: they work on copies."""
    try:
        ensure_weights("blazepose")
    except BackendUnavailable as error:
        pytest.skip(str(error))
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    folder, done = place / "studio", place / "studio.done"
    with FileLock(place / "studio.lock"):
        if not done.exists():
            prepare(folder)
            done.touch()
    return folder


def prepare(folder: Path) -> None:
    """Write shot and character, and recast."""
    folder.mkdir()
    shot = open_shot(SAMPLE / "sample_shot.mp4", None, SECONDS)
    with VideoWriter(folder / "shot.mp4", *SIZE, shot.frame_rate, "film") as writer:
        for frame in read_frames(shot):
            writer.write(cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA))
    (folder / "hero.png").write_bytes((SAMPLE / "sample_character.png").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(shlex.split(readme_commands()[0])[1:]) == 0


@pytest.fixture(scope="session")
def film(studio: Path) -> Path:
    """The film in `studio`, to be looked at."""
    return studio / "film"


def readme_commands() -> list[str]:
    """The README's commands of `understudy recast`, without remarks."""
    return re.findall(r"^ {4}(understudy recast .*?) *(?:#.*)?$", written("README.md"), re.MULTILINE)
