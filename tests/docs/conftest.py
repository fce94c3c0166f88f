"""A small film for the documentation's commands and examples, made once."""

import re
import shlex
from pathlib import Path

import cv2
import pytest
from page_makers import written

from understudy.cli.main import main
from understudy.io.video.streams import VideoWriter, open_shot, read_frames
from understudy.io.weights import PACKAGE, ensure_weights
from understudy.runtime.errors import BackendUnavailable

SAMPLE = PACKAGE / "synthetic/films"
SECONDS, SIZE = 0.3, (480, 270)


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short, small shot.mp4 and hero.png, as the README's commands name them."""
    try:
        ensure_weights("blazepose")
    except BackendUnavailable as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("studio")
    shot = open_shot(SAMPLE / "sample_shot.mp4", None, SECONDS)
    with VideoWriter(folder / "shot.mp4", *SIZE, shot.frame_rate, "film") as writer:
        for frame in read_frames(shot):
            writer.write(cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA))
    (folder / "hero.png").write_bytes((SAMPLE / "sample_character.png").read_bytes())
    return folder


@pytest.fixture(scope="session")
def film(studio: Path) -> Path:
    """The film of the README's first command, in `studio`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(studio)
        assert main(shlex.split(readme_commands()[0])[1:]) == 0
    return studio / "film"


def readme_commands() -> list[str]:
    """The README's commands of `understudy recast`, without remarks."""
    return re.findall(r"^ {4}(understudy recast .*?) *(?:#.*)?$", written("README.md"), re.MULTILINE)
