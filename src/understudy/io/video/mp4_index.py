"""How many samples an MP4 or QuickTime file says that it has, counted before FFmpeg makes a table of them."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from understudy.runtime.budget import Budget
from understudy.runtime.errors import FootageError, quoted

__all__ = ["check_mp4_index"]

_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"sidx")
_HOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")
_COUNT_AT = {b"stsz": 8, b"stz2": 8, b"trun": 4}
"""Boxes that number samples, and where in them the count stands."""
_FREE_SAMPLES, _SAMPLES_A_BYTE = 2_000_000, 4
_MAX_BOXES = 2_000_000


def check_mp4_index(path: Path) -> None:
    """See that a file of this family is large enough for the samples that its tables count.

    A table may say in twelve bytes that millions of samples have one size; FFmpeg takes 40 bytes of memory for each.
    Old codecs of sound count several samples a byte. Other kinds of files pass unread.
    Source: ISO/IEC 14496-12, 4.2 and 8.7.3.

    Raises:
        FootageError: it is not, or has too many boxes.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8)[4:] not in _FIRST:
            return
        budget = Budget(quoted(path), length, FootageError)
        boxes = budget.counted("boxes", _counts(file, 0, length), _MAX_BOXES)
        samples = sum(boxes)
    if samples > _FREE_SAMPLES + _SAMPLES_A_BYTE * length:
        raise FootageError(
            f"{quoted(path)} is damaged: its index counts {samples} pictures and sounds, more than its {length} bytes"
            " hold; export it again."
        )


def _counts(file: BinaryIO, at: int, end: int, depth: int = 0) -> Iterator[int]:
    """For each box from `at` to `end`, and in those that hold others, how many samples it counts."""
    while at + 8 <= end:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = int.from_bytes(file.read(8), "big"), 16
        stop = end if size == 0 else min(end, at + size)
        if stop < at + head:
            return
        if kind in _HOLDERS and depth < len(_HOLDERS):
            yield from _counts(file, at + head, stop, depth + 1)
        elif kind in _COUNT_AT:
            file.seek(at + head + _COUNT_AT[kind])
            yield int.from_bytes(file.read(4), "big")
        else:
            yield 0
        at = stop
