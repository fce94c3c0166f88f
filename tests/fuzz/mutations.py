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


def mutated(content: bytes, dice: random.Random) -> bytes:
    """A damaged copy: one to four changes, of which the first may be within the format."""
    within = _WITHIN.get(_magic(content))
    if within is not None and dice.random() < 0.5:
        with suppress(ValueError, IndexError, KeyError, struct.error, zlib.error):  # It may be damaged before.
            content = within(content, dice)
        if dice.random() < 0.7:
            return content
    textual = content[:1] in b"{[" or not any(byte < 9 for byte in content[:200])
    changes = _TEXT_CHANGES if textual else _BYTE_CHANGES
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        content = dice.choice(changes)(content, dice)
    return content


def _flip(content: bytes, dice: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(dice.choice((1, 2, 8, 64))):
        if changed:
            # Headers stand in front: half of the flips go there.
            most = len(changed) if dice.random() < 0.5 else min(len(changed), 512)
            changed[dice.randrange(most)] = dice.randrange(256)
    return bytes(changed)


def _integer(content: bytes, dice: random.Random) -> bytes:
    if len(content) < 8:
        return content
    at = dice.randrange(min(len(content), 4096) - 3 if dice.random() < 0.7 else len(content) - 3)
    code = dice.choice(("<I", ">I", "<H", ">H", "B"))
    value = dice.choice(INTEGERS) & ((1 << 8 * struct.calcsize(code)) - 1)
    return content[:at] + struct.pack(code, value) + content[at + struct.calcsize(code) :]


def _cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def _remove(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content) + 1)
    return content[:at] + content[at + dice.choice((1, 2, 4, 17, 300)) :]


def _repeat(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content) + 1)
    piece = content[at : at + dice.choice((1, 4, 40, 1000))]
    return content[:at] + piece * dice.choice((2, 5, 50)) + content[at:]


def _insert(content: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(content) + 1)
    return content[:at] + dice.randbytes(dice.choice((1, 4, 100))) + content[at:]


def _number(content: bytes, dice: random.Random) -> bytes:
    places = list(NUMBER.finditer(content))
    if not places:
        return _flip(content, dice)
    place = dice.choice(places)
    return content[: place.start()] + dice.choice(NUMBERS).encode() + content[place.end() :]


def _line(content: bytes, dice: random.Random) -> bytes:
    lines = content.split(b"\n")
    here, there = dice.randrange(len(lines)), dice.randrange(len(lines))
    if dice.random() < 0.5:
        lines[here], lines[there] = lines[there], lines[here]
    else:
        del lines[here]
    return b"\n".join(lines)


def _nest(content: bytes, dice: random.Random) -> bytes:
    places = list(NUMBER.finditer(content))
    at, end = dice.choice([place.span() for place in places]) if places else (0, 0)
    deep = dice.choice((10, 500, 100_000))
    return content[:at] + b"[" * deep + content[at:end] + (b"]" * deep if dice.random() < 0.5 else b"") + content[end:]


_BYTE_CHANGES = (_flip, _flip, _integer, _integer, _integer, _cut, _remove, _repeat, _insert)
_TEXT_CHANGES = (_number, _number, _number, _line, _flip, _cut, _remove, _repeat, _nest)


def _magic(content: bytes) -> bytes:
    return next((magic for magic in _WITHIN if content.startswith(magic)), b"")


def _json_value(content: bytes, dice: random.Random) -> bytes:
    """JSON of which one value is another's, gone, or something else."""
    document = json.loads(content)
    places = []

    def visit(parent: dict | list) -> None:
        for key in list(parent) if isinstance(parent, dict) else range(len(parent)):
            places.append((parent, key))
            if isinstance(parent[key], dict | list) and len(places) < 5000:
                visit(parent[key])

    visit(document)
    parent, key = dice.choice(places)
    kind = dice.randrange(4)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        other, other_key = dice.choice(places)
        parent[key] = json.loads(json.dumps(other.get(other_key) if isinstance(other, dict) else other[:1]))
    else:
        return json.dumps(_replaced(document, parent, key)).replace('"@@"', dice.choice(NUMBERS)).encode()
    return json.dumps(document).encode()


def _replaced(document: dict | list, parent: dict | list, key: str | int) -> dict | list:
    parent[key] = "@@"
    return document


def _glb(content: bytes, dice: random.Random) -> bytes:
    """A GLB whose JSON is damaged, its lengths right."""
    (length,) = struct.unpack_from("<I", content, 12)
    text, rest = content[20 : 20 + length], content[20 + length :]
    changed = _json_value(text, dice) if dice.random() < 0.7 else _number(text, dice)
    changed += b" " * (-len(changed) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(changed) + len(rest), len(changed), 0x4E4F534A) + changed + rest


def _png(content: bytes, dice: random.Random) -> bytes:
    """A PNG of which one chunk is damaged, its checksum right."""
    at, chunks = 8, []
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    place = dice.randrange(len(chunks))
    name, data = chunks[place]
    chunks[place] = (name, dice.choice((_flip, _integer, _cut, _repeat))(data, dice))
    if dice.random() < 0.2:
        chunks.insert(dice.randrange(len(chunks)), dice.choice(chunks))
    packed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return content[:8] + b"".join(packed)


def _zip(content: bytes, dice: random.Random) -> bytes:
    """A ZIP archive of which one member is damaged, its checksum right."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = dice.choice(list(members))
    kind = dice.randrange(4)
    if kind == 0:
        members[name] = dice.choice(list(members.values()))
    elif kind == 1:
        del members[name]
    else:
        members[name] = dice.choice((_flip, _integer, _cut, _repeat))(members[name], dice)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return packed.getvalue()


_WITHIN = {b"glTF": _glb, b"\x89PNG": _png, b"PK\x03\x04": _zip, b"{": _json_value}
