"""Damaged files from valid ones: by bytes, by words, and by the parts of a format whose checksums or lengths would
otherwise shield everything behind them. The same random numbers give the same file."""

import json
import random
import re
import struct
import zlib
from contextlib import suppress

__all__ = ["mutated"]

NUMBERS = (
    "0", "-1", "1", "2", "0.5", "255", "256", "65535", "65536", "2147483647", "4294967295", "-2147483648", "1e9",
    "1e38", "1e308", "1e-308", "1e400", "-1e400", "NaN", "Infinity", "9" * 30, "9" * 500, "1e999999999",
    "1e-999999999", '"7"', "null", "true", "[]", "{}", "[[]]", '""', '"../../x"', '"/etc/passwd"', '"\\u0000"',
    '"\\ud800"', '"\\u001b[2J"',
)  # fmt: skip
"""Instead of a number in text."""
INTEGERS = (0, 1, 2, 3, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
"""Instead of four bytes."""
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A damaged copy: one to four changes, of which the first may be within the format."""
    within = _WITHIN.get(_magic(content))
    if within is not None and rng.random() < 0.5:
        with suppress(ValueError, IndexError, KeyError, struct.error, zlib.error):  # It may be damaged before.
            content = within(content, rng)
        if rng.random() < 0.7:
            return content
    textual = content[:1] in b"{[" or not any(byte < 9 for byte in content[:200])
    changes = _TEXT_CHANGES if textual else _BYTE_CHANGES
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = rng.choice(changes)(content, rng)
    return content


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8, 64))):
        if changed:
            # Headers stand in front: half of the flips go there.
            most = len(changed) if rng.random() < 0.5 else min(len(changed), 512)
            changed[rng.randrange(most)] = rng.randrange(256)
    return bytes(changed)


def _integer(content: bytes, rng: random.Random) -> bytes:
    if len(content) < 8:
        return content
    at = rng.randrange(min(len(content), 4096) - 3 if rng.random() < 0.7 else len(content) - 3)
    code = rng.choice(("<I", ">I", "<H", ">H", "B"))
    value = rng.choice(INTEGERS) & ((1 << 8 * struct.calcsize(code)) - 1)
    return content[:at] + struct.pack(code, value) + content[at + struct.calcsize(code) :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _remove(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at + rng.choice((1, 2, 4, 17, 300)) :]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    piece = content[at : at + rng.choice((1, 4, 40, 1000))]
    return content[:at] + piece * rng.choice((2, 5, 50)) + content[at:]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.choice((1, 4, 100))) + content[at:]


def _number(content: bytes, rng: random.Random) -> bytes:
    places = list(NUMBER.finditer(content))
    if not places:
        return _flip(content, rng)
    place = rng.choice(places)
    return content[: place.start()] + rng.choice(NUMBERS).encode() + content[place.end() :]


def _line(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    here, there = rng.randrange(len(lines)), rng.randrange(len(lines))
    if rng.random() < 0.5:
        lines[here], lines[there] = lines[there], lines[here]
    else:
        del lines[here]
    return b"\n".join(lines)


def _nest(content: bytes, rng: random.Random) -> bytes:
    places = list(NUMBER.finditer(content))
    at, end = rng.choice([place.span() for place in places]) if places else (0, 0)
    deep = rng.choice((10, 500, 100_000))
    return content[:at] + b"[" * deep + content[at:end] + (b"]" * deep if rng.random() < 0.5 else b"") + content[end:]


_BYTE_CHANGES = (_flip, _flip, _integer, _integer, _integer, _cut, _remove, _repeat, _insert)
_TEXT_CHANGES = (_number, _number, _number, _line, _flip, _cut, _remove, _repeat, _nest)


def _magic(content: bytes) -> bytes:
    return next((magic for magic in _WITHIN if content.startswith(magic)), b"")


def _json_value(content: bytes, rng: random.Random) -> bytes:
    """JSON of which one value is another's, gone, or something else."""
    document = json.loads(content)
    places = []

    def visit(parent: dict | list) -> None:
        for key in list(parent) if isinstance(parent, dict) else range(len(parent)):
            places.append((parent, key))
            if isinstance(parent[key], dict | list) and len(places) < 5000:
                visit(parent[key])

    visit(document)
    parent, key = rng.choice(places)
    kind = rng.randrange(4)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        other, other_key = rng.choice(places)
        parent[key] = json.loads(json.dumps(other.get(other_key) if isinstance(other, dict) else other[:1]))
    else:
        return json.dumps(_replaced(document, parent, key)).replace('"@@"', rng.choice(NUMBERS)).encode()
    return json.dumps(document).encode()


def _replaced(document: dict | list, parent: dict | list, key: str | int) -> dict | list:
    parent[key] = "@@"
    return document


def _glb(content: bytes, rng: random.Random) -> bytes:
    """A GLB whose JSON is damaged, its lengths right."""
    (length,) = struct.unpack_from("<I", content, 12)
    text, rest = content[20 : 20 + length], content[20 + length :]
    changed = _json_value(text, rng) if rng.random() < 0.7 else _number(text, rng)
    changed += b" " * (-len(changed) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(changed) + len(rest), len(changed), 0x4E4F534A) + changed + rest


def _png(content: bytes, rng: random.Random) -> bytes:
    """A PNG of which one chunk is damaged, its checksum right."""
    at, chunks = 8, []
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    place = rng.randrange(len(chunks))
    name, data = chunks[place]
    chunks[place] = (name, rng.choice((_flip, _integer, _cut, _repeat))(data, rng))
    if rng.random() < 0.2:
        chunks.insert(rng.randrange(len(chunks)), rng.choice(chunks))
    packed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return content[:8] + b"".join(packed)


def _zip(content: bytes, rng: random.Random) -> bytes:
    """A ZIP archive of which one member is damaged, its checksum right."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    kind = rng.randrange(4)
    if kind == 0:
        members[name] = rng.choice(list(members.values()))
    elif kind == 1:
        del members[name]
    else:
        members[name] = rng.choice((_flip, _integer, _cut, _repeat))(members[name], rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return packed.getvalue()


_WITHIN = {b"glTF": _glb, b"\x89PNG": _png, b"PK\x03\x04": _zip, b"{": _json_value}
