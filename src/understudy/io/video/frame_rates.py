"""Exact frame rates from decimals, and what pace of frames can be worked with."""

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Int

from understudy.runtime.errors import FootageError, quoted

__all__ = ["check_pace", "frame_rate_from_decimal", "frame_rate_from_period"]

NTSC = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120, 240))
LARGEST_WHOLE_RATE = 1000
MAX_GAP_S = 600
MAX_FRAME_RATE = 1000
SHORTEST_S, LONGEST_S = Decimal("0.000001"), Decimal(86400)
MAX_DECIMALS = 50


def frame_rate_from_period(text: str) -> Fraction:
    """The frame rate that a frame's duration in seconds, written as a decimal, most likely stands for.

    A decimal stands for all numbers that round to it. Of the rates among these the first of: a whole number, an NTSC
    rate (a multiple of 1000/1001), the fraction with the smallest denominator.

    Raises:
        ValueError: the text is no number of seconds from a millionth to a day. A comma stands for a point.
    """
    text = text.strip().replace(",", ".")
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{quoted(text)} is no number") from error
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or not SHORTEST_S <= value <= LONGEST_S or exponent < -MAX_DECIMALS:
        raise ValueError(f"a frame lasts {quoted(text)[1:-1]} s; expected {SHORTEST_S:f} to {LONGEST_S} s")
    half_unit = Fraction(Decimal((0, (5,), exponent - 1)))
    period = Fraction(value)
    low = 1 / (period + half_unit)
    high = 1 / (period - half_unit) if period > half_unit else low * 4
    whole = Fraction(round(1 / period))
    for rate in (whole, *NTSC):
        if low <= rate <= high and 0 < rate <= LARGEST_WHOLE_RATE:
            return rate
    return simplest_between(low, high)


def simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of smallest denominator in a closed interval of positive numbers (continued fractions)."""
    whole = low.numerator // low.denominator
    if low == whole:
        return Fraction(whole)
    if whole + 1 <= high:
        return Fraction(whole + 1)
    return whole + 1 / simplest_between(1 / (high - whole), 1 / (low - whole))


def frame_rate_from_decimal(rate: float) -> Fraction:
    """The frame rate that a decimal such as 23.976 stands for: an NTSC rate where it is one in three digits."""
    near = [ntsc for ntsc in NTSC if abs(float(ntsc) - rate) < 0.005]
    return near[0] if near else Fraction(rate).limit_denominator(1001)


def check_pace(path: Path, times: Int[np.ndarray, " frame"], time_base: Fraction) -> None:
    """Raise FootageError where a frame would stand for longer than a shot can, or frames follow too fast."""
    gaps = np.diff(times)
    longest = int(gaps.argmax())
    gap_s, start_s = (float(int(ticks) * time_base) for ticks in (gaps[longest], times[longest] - times[0]))
    if gap_s > MAX_GAP_S:
        raise FootageError(
            f"{quoted(path)} stands still for {gap_s:.0f} s after frame {longest + 1}, {start_s:.2f} s after the first;"
            f" up to {MAX_GAP_S} s are possible: give the part before or after with --end or --start."
        )
    rate = len(gaps) / float(int(times[-1] - times[0]) * time_base)
    if rate > MAX_FRAME_RATE:
        raise FootageError(
            f"{quoted(path)} shows {rate:.0f} frames a second; up to {MAX_FRAME_RATE} are possible: set the rate at"
            " which it is played."
        )
