"""Cryptomatte: the hash is the published one, and what is written decodes by the specification's own rules."""

import json

import numpy as np
import pytest

from understudy.io.exr.cryptomatte import cryptomatte_channels, cryptomatte_header, murmur3_32, name_id


@pytest.mark.parametrize(
    "data, seed, value",
    [
        (b"", 0, 0), (b"", 1, 0x514E28B7), (b"", 0xFFFFFFFF, 0x81F16F39), (b"\xff\xff\xff\xff", 0, 0x76293B50),
        (b"!", 0, 0x72661CF4), (b"!C", 0, 0xA0F7B07A), (b"!Ce", 0, 0x7E4A8634), (b"!Ce\x87", 0, 0xF55B516B),
        (b"hello", 0, 0x248BFA47),
        (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
    ],
)  # fmt: skip
def test_murmur3_gives_the_published_values(data, seed, value):
    assert murmur3_32(data, seed) == value


def test_ids_are_those_of_other_programs():
    """The first two stand in the specification; of the third, a renderer's file holds the id after the bit's change."""
    assert [name_id(name) for name in ("bunny", "default")] == [0x13851A76, 0x42C9679F]
    assert murmur3_32(b"flowerB.flowerB_petal16.:3106") == 0x7FAE176B
    assert name_id("flowerB.flowerB_petal16.:3106") == 0x7F2E176B
    assert name_id("Käte 🎬") == murmur3_32("Käte 🎬".encode())


def test_the_header_names_the_layer_and_its_manifest():
    header = cryptomatte_header("CryptoObject", ["hero", 'a "quoted" one'])
    key = f"cryptomatte/{name_id('CryptoObject'):08x}"[:-1]
    assert set(header) == {f"{key}/{name}" for name in ("name", "hash", "conversion", "manifest")}
    assert header[f"{key}/name"] == "CryptoObject"
    assert (header[f"{key}/hash"], header[f"{key}/conversion"]) == ("MurmurHash3_32", "uint32_to_float32")
    manifest = json.loads(header[f"{key}/manifest"])
    assert manifest == {name: f"{name_id(name):08x}" for name in ("hero", 'a "quoted" one')}


def decoded(channels, layer, name):
    """A matte as compositors pull it: the coverage of every rank whose id, as bits, is the name's."""
    levels = sorted({channel.split(".")[0] for channel in channels})
    matte = 0.0
    for level in levels:
        assert level[:-2] == layer
        for pair in ("rg", "ba"):
            ids, coverage = channels[f"{level}.{pair[0]}"], channels[f"{level}.{pair[1]}"]
            matte = matte + np.where(ids.view(np.uint32) == name_id(name), coverage, 0.0)
    return matte


def whole(channel, height, width):
    assert channel.values.dtype == np.float32 and channel.outside == 0
    plane = np.zeros((height, width), np.float32)
    plane[channel.box] = channel.values
    return plane


@pytest.mark.parametrize("count", [1, 2, 5])
def test_mattes_decode_by_name_and_stand_in_order(count):
    rng = np.random.default_rng(count)
    mattes = {f"person_{i}": rng.uniform(0, 1, (7, 9)) * (rng.uniform(size=(7, 9)) > 0.5) for i in range(count)}
    channels = {name: whole(one, 7, 9) for name, one in cryptomatte_channels("CryptoPerson", mattes).items()}
    levels = -(-count // 2)
    assert list(channels) == [f"CryptoPerson{level:02d}.{letter}" for level in range(levels) for letter in "rgba"]
    shares = np.stack([channels[f"CryptoPerson{level:02d}.{letter}"] for level in range(levels) for letter in "ga"])
    assert shares.sum(0).max() <= 1 + 1e-6
    assert (np.diff(shares, axis=0) <= 0).all()
    total = np.maximum(sum(mattes.values()), 1)
    for name, matte in mattes.items():
        assert decoded(channels, "CryptoPerson", name) == pytest.approx(matte / total, abs=1e-6)
    assert not any(plane[sum(mattes.values()) == 0].any() for plane in channels.values())
