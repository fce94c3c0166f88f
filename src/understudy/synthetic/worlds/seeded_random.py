"""Random numbers that depend on a clip's number alone, not on how clips are batched or where they are computed."""

import zlib
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["SeededRandom", "Split"]

Split = Literal["train", "held_out"]
"""Two endless sets of clips that share no clip."""


class SeededRandom:
    """A stream of random numbers for every clip of a batch; the same calls give a clip the same numbers anywhere.

    Counter-based: number k of a clip is a hash of (seed, split, clip, stream, k).
    """

    def __init__(self, key: Int[Tensor, " batch"]) -> None:
        self._key = key
        self._drawn = 0

    @classmethod
    def of_clips(cls, seed: int, index: Int[Tensor, " batch"], split: Split = "train") -> "SeededRandom":
        """Numbers for clips number `index` (up to 2⁵³) of an endless set."""
        start = _hash(torch.tensor([seed & 0xFFFFFFFF], device=index.device) ^ _name(split))
        low = _hash(start + (index & 0xFFFFFFFF))
        return cls(_hash(low + 0x9E3779B9 * (1 + (index >> 32))))

    def stream(self, name: str) -> "SeededRandom":
        """Independent numbers of the same clips: what one part draws does not shift what another gets."""
        return SeededRandom(_hash(self._key ^ _name(name)))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Float[Tensor, "batch ..."]:
        """Numbers from low (included) to high, `shape` for every clip."""
        count = 1
        for size in shape:
            count *= size
        number = torch.arange(self._drawn + 1, self._drawn + 1 + count, device=self._key.device)
        self._drawn += count
        bits = _hash(self._key[:, None] + 0x9E3779B9 * number)
        # 24 bits are all that float32 holds below one.
        share = (bits >> 8).to(torch.float32) * (1.0 / (1 << 24))
        return (low + (high - low) * share).reshape(len(self._key), *shape)

    def chance(self, share: float, *shape: int) -> Bool[Tensor, "batch ..."]:
        """True in `share` of the cases."""
        return self.uniform(*shape) < share

    def integer(self, count: int, *shape: int) -> Int[Tensor, "batch ..."]:
        """0 … count − 1, all as likely."""
        return (self.uniform(*shape) * count).long()

    def choice(self, weights: Sequence[float], *shape: int) -> Int[Tensor, "batch ..."]:
        """A position in `weights`, as likely as its weight says."""
        edges = torch.tensor(weights, dtype=torch.float64, device=self._key.device).cumsum(0)
        share = self.uniform(*shape).double() * edges[-1]
        return torch.searchsorted(edges, share, right=True).clamp(max=len(weights) - 1)


def _name(name: str) -> int:
    return zlib.crc32(name.encode())


def _hash(value: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """32 well-mixed bits of 32 bits. Source: Wellons, hash function prospecting (the lowbias32 constants)."""
    value = value & 0xFFFFFFFF
    value = ((value ^ (value >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    value = ((value ^ (value >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return value ^ (value >> 16)
