"""Image sequences as shots: a folder of numbered pictures, a pattern of their names, or the first of them."""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast, get_args

import numpy as np
from jaxtyping import UInt8

from understudy.core.footage import Shot
from understudy.io.colour import ColourSpace
from understudy.io.files import reading
from understudy.io.video.decoding import check_size, square_size
from understudy.io.video.frame_pictures import FRAME_SUFFIXES, read_frame_header, read_frame_picture
from understudy.io.video.frame_rates import check_pace
from understudy.runtime.budget import Budget
from understudy.runtime.errors import FootageError, quoted

__all__ = ["find_pictures", "open_sequence", "sequence_frames"]

MAX_PICTURES = 500_000
USUAL_RATE = Fraction(24)
"""Where neither the user nor the pictures say."""
_PATTERN = re.compile(r"%(?:0?(\d{1,2}))?d|(#+)")
_DIGITS = re.compile(r"(\d+)")
_TYPING_TOLERANCE_S = Fraction(1, 2000)

log = logging.getLogger(__name__)


def find_pictures(path: Path) -> list[tuple[int, Path]] | None:
    """The numbered pictures that a path means, in the order of their numbers; None: it is no sequence, but one file.

    A folder means the pictures directly in it; hidden files are left alone. `shot.%04d.exr`, `shot.%d.exr` and
    `shot.####.exr` mean those whose names fit. A picture means itself and those that follow it.

    Raises:
        FootageError: no picture is there, or those of several sequences, or two have one number.
    """
    if os.path.isdir(path):
        return _numbered(path, _only_sequence(path, _pictures_in(path)))
    suffix = path.suffix.lower()
    if suffix not in FRAME_SUFFIXES:
        return None
    if not os.path.lexists(path) and _PATTERN.search(path.name):
        return _numbered(path, _fitting(path))
    if not os.path.isfile(path) or _is_animated(path):
        return None
    kin = [file for file in _pictures_in(path.parent) if _skeleton(file) == _skeleton(path)]
    columns = _columns(path)
    # The last number is the frame's: shot_v02.0001.exr.
    kin = [file for file in kin if _columns(file)[:-1] == columns[:-1] and _columns(file)[-1:] >= columns[-1:]]
    if not columns or len(kin) < 2:
        raise FootageError(
            f"{quoted(path)} is one picture, and none with a higher number follows; a shot is a film, or numbered"
            " pictures: give their folder or the first of them."
        )
    return _numbered(path, [(_columns(file)[-1], file) for file in kin])


def open_sequence(
    path: Path,
    pictures: Sequence[tuple[int, Path]],
    start_s: float | None,
    end_s: float | None,
    frame_rate: Fraction | None,
    colour_space: str | None,
) -> Shot:
    """Numbered pictures as a shot. Where numbers are missing, the picture before them stands for as long, and the log
    says so; if only every second (third, …) number is there, that is one frame each.

    Raises:
        FootageError: the colour space is not known, a picture is none, sizes differ, or the range holds fewer than two.
    """
    if colour_space not in (None, *get_args(ColourSpace)):
        raise FootageError(
            f"{quoted(colour_space)} is no colour space that is known here; give {', '.join(get_args(ColourSpace))}."
        )
    header = read_frame_header(pictures[0][1])
    rate = frame_rate or header.frame_rate or USUAL_RATE
    numbers = np.array([number for number, _ in pictures], np.int64)
    times = (numbers - numbers[0]) // np.gcd.reduce(np.diff(numbers), initial=0) if len(numbers) > 1 else numbers * 0
    first, stop = (
        usual if time_s is None else int(np.searchsorted(times, float((Fraction(time_s) - _TYPING_TOLERANCE_S) * rate)))
        for time_s, usual in ((start_s, 0), (end_s, len(times)))
    )
    if stop - first < 2:
        ranged = "" if start_s is None and end_s is None else f" between {start_s or 0} s and {end_s or 'its end'}"
        raise FootageError(
            f"{quoted(path)} holds {max(0, stop - first)} picture{'s' * (stop - first != 1)}{ranged}; a shot needs at"
            " least two."
        )
    size = square_size(header.width, header.height, header.pixel_aspect)
    check_size(path, *size)
    for _, file in pictures[first:stop]:
        other = read_frame_header(file)
        if (other.width, other.height) != (header.width, header.height):
            raise FootageError(
                f"{quoted(file)} has {other.width}×{other.height} pixels, but {quoted(pictures[0][1].name)}"
                f" {header.width}×{header.height}; the pictures of a shot have one size: move others out of the way."
            )
    check_pace(path, times[first:stop], 1 / rate)
    _tell_gaps(path, pictures, times)
    return Shot(
        path=path,
        width=size[0],
        height=size[1],
        frame_rate=rate,
        timestamps=times[first:stop],
        time_base=1 / rate,
        start_frame=first,
        pictures=tuple(file for _, file in pictures[first:stop]),
        colour_space=cast(ColourSpace | None, colour_space),
    )


def sequence_frames(
    shot: Shot, wanted: Sequence[int], width: int, height: int
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The pictures of these numbers, as shown, in this size, 8-bit sRGB.

    Raises:
        FootageError: one is missing, damaged, or has another size than when the shot was opened.
    """
    for number in wanted:
        if number >= len(shot):
            raise FootageError(f"{quoted(shot.path)} ends before frame {number} of the {len(shot)} that it had.")
        header = read_frame_header(shot.pictures[number])
        if square_size(header.width, header.height, header.pixel_aspect) != (shot.width, shot.height):
            raise FootageError(f"{quoted(shot.pictures[number])} was changed meanwhile: it has another size.")
        yield read_frame_picture(shot.pictures[number], header, shot.colour_space, width, height)


def _pictures_in(folder: Path) -> list[Path]:
    """Those directly in a folder, but hidden ones."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise FootageError(f"{quoted(folder)} cannot be looked into ({error.strerror}); check its rights.") from error
    Budget(quoted(folder), 0, FootageError, "give a part of them").check_count("files", len(names), MAX_PICTURES)
    return [folder / name for name in names if Path(name).suffix.lower() in FRAME_SUFFIXES]


def _is_animated(path: Path) -> bool:
    """Whether a PNG is a film. Source: PNG specification (third edition), 11.3.2.8: its mark precedes all pixels."""
    with reading(path, "picture", FootageError), path.open("rb") as file:
        head = file.read(4096)
    return head[:8] == b"\x89PNG\r\n\x1a\n" and b"acTL" in head.partition(b"IDAT")[0]


def _skeleton(file: Path) -> str:
    """A picture's name with # for its numbers."""
    return _DIGITS.sub("#", file.stem) + file.suffix.lower()


def _columns(file: Path) -> list[int]:
    return [int(digits) for digits in _DIGITS.findall(file.stem)]


def _only_sequence(folder: Path, files: list[Path]) -> list[tuple[int, Path]]:
    """The numbered pictures of the one sequence in a folder."""
    if not files:
        raise FootageError(
            f"{quoted(folder)} is a folder without numbered pictures ({', '.join(FRAME_SUFFIXES)}); give a film, or the"
            " folder of an image sequence."
        )
    kinds: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        kinds[_skeleton(file)].append(file)
    several = [skeleton for skeleton, kin in kinds.items() if len(kin) > 1 and "#" in skeleton]
    if len(several) != 1:
        names = sorted(several or kinds)
        raise FootageError(
            f"{quoted(folder)} holds {len(names)} kinds of names, {quoted(', '.join(names[:4]))}, where one numbered"
            " sequence was expected; give its pattern, shot.####.png for instance, or its first picture."
        )
    kin = kinds[several[0]]
    if len(kin) < len(files):
        log.warning("%s: %d other pictures are left out.", folder, len(files) - len(kin))
    columns = np.array([_columns(file) for file in kin], object)
    varying = [at for at in range(columns.shape[1]) if len(set(columns[:, at])) > 1]
    if len(varying) > 1:
        raise FootageError(
            f"{quoted(folder)} holds several sequences, whose names differ in {len(varying)} numbers"
            f" ({quoted(several[0])}); give the first picture of one."
        )
    return [(row[varying[0]] if varying else 0, file) for row, file in zip(columns, kin, strict=True)]


def _fitting(path: Path) -> list[tuple[int, Path]]:
    """The files whose names fit a pattern."""
    found = list(_PATTERN.finditer(path.name))
    if len(found) != 1:
        raise FootageError(f"{quoted(path)} has {len(found)} places for a number; give one, as in shot.####.png.")
    digits = int(found[0][1] or 1) if found[0][2] is None else len(found[0][2])
    before, after = path.name[: found[0].start()], path.name[found[0].end() :]
    name = re.compile(re.escape(before) + rf"(\d{{{digits},}})" + re.escape(after))
    files = [(match, file) for file in _pictures_in(path.parent) if (match := name.fullmatch(file.name))]
    if not files:
        raise FootageError(f"no picture's name fits {quoted(path)}; check the name and its number of digits.")
    return [(int(match[1]), file) for match, file in files]


def _numbered(path: Path, pictures: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """In the order of their numbers, each there once."""
    pictures = sorted(pictures)
    for (number, one), (other, two) in pairwise(pictures):
        if number == other:
            raise FootageError(
                f"{quoted(path)} holds two pictures with the number {quoted(number)[1:-1]}, {quoted(one.name)} and"
                f" {quoted(two.name)}; move one out of the way."
            )
    if pictures[-1][0] >= 1 << 53:
        raise FootageError(f"{quoted(pictures[-1][1])} has a number too large to count frames by; rename it.")
    return pictures


def _tell_gaps(path: Path, pictures: Sequence[tuple[int, Path]], times: np.ndarray) -> None:
    gaps = np.flatnonzero(np.diff(times) > 1)
    if not len(gaps):
        return
    spans = [(pictures[at][0] + 1, pictures[at + 1][0] - 1) for at in (int(gap) for gap in gaps[:5])]
    told = ", ".join(f"{first}" if first == last else f"{first}–{last}" for first, last in spans)
    more = f" and {len(gaps) - 5} more gaps" if len(gaps) > 5 else ""
    log.warning("%s lacks the frames %s%s; the picture before each gap stands for as long.", path, told, more)
