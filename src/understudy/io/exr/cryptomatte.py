"""Cryptomatte: mattes by name in the channels of an EXR, for Nuke, Fusion, Resolve, Blender and After Effects.

Source: Friedman and Jones, Cryptomatte Specification 1.2.0 (Psyop); Appleby, MurmurHash3 (x86, 32 bits).
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from understudy.core.passes import covered_box
from understudy.io.exr.scan_lines import Channel

__all__ = ["cryptomatte_channels", "cryptomatte_header", "name_id"]

RANKS_OF_LEVEL = 2
"""Pairs of id and coverage that one level's four channels hold."""
WORD = 0xFFFFFFFF


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3 of some bytes, x86, 32 bits."""

    def mixed(block: int) -> int:
        block = block * 0xCC9E2D51 & WORD
        return (block << 15 | block >> 17) * 0x1B873593 & WORD

    whole = len(data) & ~3
    value = seed
    for start in range(0, whole, 4):
        value ^= mixed(int.from_bytes(data[start : start + 4], "little"))
        value = ((value << 13 | value >> 19) * 5 + 0xE6546B64) & WORD
    value ^= mixed(int.from_bytes(data[whole:], "little")) ^ len(data)
    value = (value ^ value >> 16) * 0x85EBCA6B & WORD
    value = (value ^ value >> 13) * 0xC2B2AE35 & WORD
    return value ^ value >> 16


def name_id(name: str) -> int:
    """The 32 bits by which a name stands in a picture; read as a float they are neither subnormal, infinite nor NaN."""
    value = murmur3_32(name.encode("utf-8", "surrogatepass"))
    return value ^ 1 << 23 if value >> 23 & 255 in (0, 255) else value


def cryptomatte_header(layer: str, names: Sequence[str]) -> dict[str, str]:
    """The attributes of an EXR's header that say how to decode a layer, and which names it holds."""
    key = f"cryptomatte/{f'{name_id(layer):08x}'[:7]}/"
    manifest = {name: f"{name_id(name):08x}" for name in names}
    return {
        f"{key}name": layer,
        f"{key}hash": "MurmurHash3_32",
        f"{key}conversion": "uint32_to_float32",
        f"{key}manifest": json.dumps(manifest, separators=(",", ":")),
    }


def cryptomatte_channels(layer: str, mattes: Mapping[str, Float[np.ndarray, "height width"]]) -> dict[str, Channel]:
    """The channels of a layer: per pixel the ids of the names that cover it, by falling coverage; float32.

    Args:
        mattes: how much of each pixel a name covers, 0 … 1; where they add up to more than one, each gets its share.
    """
    ids = np.array([name_id(name) for name in mattes], np.uint32).view(np.float32)
    box = covered_box(np.logical_or.reduce([matte != 0 for matte in mattes.values()]))
    stacked = np.stack([np.asarray(matte[box], np.float32) for matte in mattes.values()])
    where = stacked.any(0)
    coverage = stacked[:, where]
    coverage /= np.maximum(coverage.sum(0), np.float32(1))
    order = np.argsort(-coverage, axis=0, kind="stable")
    coverage = np.take_along_axis(coverage, order, 0)
    found = np.where(coverage > 0, ids[order], np.float32(0))
    channels: dict[str, Channel] = {}
    for rank in range(len(ids) + len(ids) % RANKS_OF_LEVEL):
        for letter, values in zip(("rg", "ba")[rank % RANKS_OF_LEVEL], (found, coverage), strict=True):
            plane = np.zeros(where.shape, np.float32)
            if rank < len(ids):
                plane[where] = values[rank]
            channels[f"{layer}{rank // RANKS_OF_LEVEL:02d}.{letter}"] = Channel(plane, box)
    return channels
