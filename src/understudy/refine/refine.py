"""The last stage: rendered passes and the set become finished frames."""

from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from understudy.core.passes import Layer, covered_box
from understudy.io.video.streams import read_video
from understudy.refine.compose import Look, compose
from understudy.runtime.errors import FootageError
from understudy.runtime.parallel import in_order, prefetch
from understudy.runtime.progress import Progress, silent

__all__ = ["clean_pictures", "refine_frames"]


def clean_pictures(
    frames: Iterable[UInt8[np.ndarray, "height width 3"]],
    plate: Path,
    removed: Path | None,
    present: Iterable[bool] = repeat(True),
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The set without its actor: the shot's own pixels wherever nothing was removed, the clean plate's elsewhere.

    So what nobody touched is neither filled nor coded twice. The plate holds the mix where the fill fades into the
    shot: no pixel is mixed again.

    Args:
        frames: of the shot, in order.
        plate: video of the shot without its actor; may be a row or a column larger (codecs' padding).
        removed: grey video, 0 where the plate is the shot's own picture; None: the plate counts everywhere.
        present: whether the actor is there, frame by frame: where not, nothing was removed.

    Raises:
        FootageError: a video is smaller than the shot, or ends early.
    """
    shares = repeat(None) if removed is None else prefetch(read_video(removed))
    plates = prefetch(read_video(plate))

    def clean(job: tuple[np.ndarray, np.ndarray, np.ndarray | None, bool]) -> UInt8[np.ndarray, "height width 3"]:
        frame, background, share, there = job
        background = _fitted(background, frame, plate)
        if share is None or removed is None:
            return background
        if there:
            share = _fitted(share, frame, removed)
            box, frame = covered_box(share), frame.copy()
            np.copyto(frame[box], background[box], where=share[box][..., None] > 0)
        return frame

    yield from in_order(clean, zip(prefetch(frames), plates, shares, present, strict=False))


def refine_frames(
    layers: Iterable[Layer],
    pictures: Iterable[UInt8[np.ndarray, "height width 3"]],
    look: Look,
    total: int,
    progress: Progress = silent,
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Finished frames, one for each of the take's `total` frames.

    Args:
        layers: of each frame, in order: the characters and their shadow.
        pictures: of the set without its actor (`clean_pictures`), of the same size.
        look: of the whole shot, from `measure_look`.

    Raises:
        FootageError: layers or pictures end early, or differ in size.
    """
    pairs = _pairs(layers, pictures, total)
    finished = in_order(lambda job: compose(job[1], job[2], look, job[0]), pairs)
    for frame, picture in enumerate(finished, 1):
        yield picture
        progress(frame, total)


def _pairs(
    layers: Iterable[Layer], pictures: Iterable[UInt8[np.ndarray, "height width 3"]], total: int
) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"], Layer]]:
    pairs = iter(zip(layers, pictures, strict=False))
    for frame in range(total):
        pair = next(pairs, None)
        if pair is None:
            raise FootageError(
                f"the clean plate or the render ends after {frame} of {total} frames: delete plate and passes to have"
                " them made again"
            )
        rendered, picture = pair
        if picture.shape[:2] != rendered.alpha.shape:
            raise FootageError(
                f"the render has {_size(rendered.alpha)} pixels, the shot {_size(picture)}: delete passes to have them"
                " made again"
            )
        yield frame, picture, rendered


def _fitted(picture: np.ndarray, frame: UInt8[np.ndarray, "height width 3"], path: Path) -> np.ndarray:
    """A picture without its codec's padding."""
    height, width = frame.shape[:2]
    if picture.shape[0] < height or picture.shape[1] < width:
        raise FootageError(
            f"{path.name} has {_size(picture)} pixels, the shot {_size(frame)}: make it again for this shot"
        )
    return np.ascontiguousarray(picture[:height, :width])


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]}×{picture.shape[0]}"
