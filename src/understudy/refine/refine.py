"""The last stage: rendered passes and the clean plate become finished frames."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from understudy.core.ahead import ahead, in_order
from understudy.core.errors import FootageError
from understudy.core.passes import Passes
from understudy.core.progress import Progress, silent
from understudy.io.video import read_video
from understudy.refine.compose import Look, compose

__all__ = ["refine"]


def refine(
    passes: Iterable[Passes], plate: Path, look: Look, total: int, progress: Progress = silent
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Finished frames, one for each of the take's `total` frames.

    Args:
        passes: of each frame, in order.
        plate: video of the shot without its actor; may be a row or a column larger than the passes (codecs' padding).
        look: of the whole shot, from `measure_look`.

    Raises:
        FootageError: passes or plate end early.
    """
    pairs = _pairs(passes, plate, total)
    finished = in_order(lambda job: compose(job[1], job[2], look, job[0]), pairs)
    for frame, picture in enumerate(finished, 1):
        yield picture
        progress(frame, total)


def _pairs(
    passes: Iterable[Passes], plate: Path, total: int
) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"], Passes]]:
    frames = iter(zip(ahead(passes), ahead(read_video(plate)), strict=False))
    for frame in range(total):
        pair = next(frames, None)
        if pair is None:
            raise FootageError(f"{plate.name} or the render ends after {frame} of {total} frames: make them again")
        rendered, background = pair
        height, width = rendered.alpha.shape
        if background.shape[0] < height or background.shape[1] < width:
            raise FootageError(
                f"{plate.name} has {background.shape[1]}×{background.shape[0]} pixels, the render {width}×{height}: "
                "make the plate again for this shot"
            )
        yield frame, np.ascontiguousarray(background[:height, :width]), rendered
