"""Do the user's edits fit the shot? Asked before any stage reads them."""

from pathlib import Path, PurePosixPath

from understudy.core.errors import FileFormatError
from understudy.io.cameras import read_camera_json
from understudy.io.video import open_shot, read_video
from understudy.studio.cut import Cut

__all__ = ["check_edits"]

CAMERAS = ("camera/source.json", "camera/fitted.json")
MATTES = ("people/", "actors/", "plate/removed.mkv")


def check_edits(cut: Cut) -> None:
    """See that every edited film and camera of a cut has the shot's frames and size, and every matte one channel.

    Raises:
        FileFormatError: one has not; its text names it and says what to do.
    """
    for name in cut.edits():
        path, folder = cut.path(name), PurePosixPath(name).parts[0]
        if name in CAMERAS:
            camera = read_camera_json(path)
            _check(cut, path, len(camera), camera.width, camera.height)
        elif path.suffix in (".mkv", ".mp4") and folder != name:
            film = open_shot(path)
            _check(cut, path, len(film), film.width, film.height)
            if name.startswith(MATTES) and next(read_video(path)).ndim != 2:
                raise FileFormatError(f"{path} has colours, but a matte is grey; export it with one channel (gray)")


def _check(cut: Cut, path: Path, frames: int, width: int, height: int) -> None:
    shot = cut.shot
    # Our own H.264 has even sizes.
    fits = shot.width <= width <= shot.width + shot.width % 2 and shot.height <= height <= shot.height + shot.height % 2
    if frames != len(shot) or not fits:
        raise FileFormatError(
            f"{path} has {frames} frames of {width}×{height}, the shot {len(shot)} of {shot.width}×{shot.height}; make"
            " them agree, or delete it to have ours back"
        )
