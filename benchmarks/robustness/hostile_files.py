"""What `hostile.py` puts where a file is expected: what is no file at all, and files that ask for too much."""

import json
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

__all__ = ["BOMBS", "SET_FOLDERS", "decoy_panorama", "odd_files"]


def odd_files(suffix: str) -> dict[str, Callable[[Path], str]]:
    """Names of files that are none, by what they are; each is made in the folder that it is given."""

    def written(content: bytes, name: str = "odd") -> Callable[[Path], str]:
        def make(work: Path) -> str:
            (work / f"{name}{suffix}").write_bytes(content)
            return f"{name}{suffix}"

        return make

    def fifo(work: Path) -> str:
        os.mkfifo(work / f"pipe{suffix}")
        return f"pipe{suffix}"

    def folder(work: Path) -> str:
        (work / f"folder{suffix}").mkdir()
        return f"folder{suffix}"

    def link(target: str) -> Callable[[Path], str]:
        def make(work: Path) -> str:
            (work / f"link{suffix}").symlink_to(target)
            return f"link{suffix}"

        return make

    def unix_socket(work: Path) -> str:
        here = os.getcwd()
        os.chdir(work)
        try:
            with socket.socket(socket.AF_UNIX) as end:
                end.bind(f"s{suffix}")
        finally:
            os.chdir(here)
        return f"s{suffix}"

    def not_utf8(work: Path) -> str:
        name = b"odd\xff\xfe" + suffix.encode()
        Path(os.fsdecode(os.fsencode(work) + b"/" + name)).write_bytes(b"nothing")
        return os.fsdecode(name)

    def sparse(work: Path) -> str:
        with (work / f"huge{suffix}").open("wb") as file:
            file.truncate(3 << 30)
        return f"huge{suffix}"

    return {
        "absent": lambda work: f"absent{suffix}",
        "empty": written(b""),
        "text": written(b"hello\n" * 100),
        "zeros": written(bytes(100_000)),
        "ones": written(b"\xff" * 100_000),
        "pipe": fifo,
        "folder": folder,
        "socket": unix_socket,
        "device": link("/dev/zero"),
        "random device": link("/dev/urandom"),
        "loop": link(f"link{suffix}"),
        "not UTF-8": not_utf8,
        "huge": sparse,
        "long name": lambda work: "x" * 300 + suffix,
        "long path": lambda work: "/".join(["x" * 200] * 30) + suffix,
        "escape in name": written(b"no", "a\x1b[2Jb\nc"),
        "postscript": written(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(/tmp/pwned) (w) file closefile\n"),
        "svg": written(b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"),
        "playlist": written(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n"),
        "concat": written(b"ffconcat version 1.0\nfile /etc/passwd\n"),
        "pickle": written(b"\x80\x04cos\nsystem\n(S'id'\ntR."),
        "null in name": lambda work: f"a\0b{suffix}",
        "empty name": lambda work: "",
        "dash": lambda work: "-",
        "address": lambda work: "http://localhost/a" + suffix,
        "home": lambda work: "~/a" + suffix,
    }


def _huge_png(path: Path) -> None:
    Image.new("1", (60_000, 60_000)).save(path)


def _png_of_text(path: Path) -> None:
    """A small picture with a text that unpacks to a gigabyte."""
    Image.new("L", (99, 99)).save(path)
    content = path.read_bytes()
    squeezer = zlib.compressobj(9)
    text = b"note\0\0" + b"".join(squeezer.compress(bytes(1 << 20)) for _ in range(1024)) + squeezer.flush()
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    path.write_bytes(content[:33] + chunk + content[33:])


def _wide_png(path: Path) -> None:
    Image.new("L", (200_000, 64)).save(path)


def _glb(path: Path, document: dict, binary: bytes = b"") -> None:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if binary:
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)


ASSET = {"asset": {"version": "2.0"}}
SKIN = {"skins": [{"joints": [0]}], "nodes": [{"name": "Hips"}, {"mesh": 0, "skin": 0}], "scenes": [{"nodes": [0, 1]}]}


def _glb_without_data(path: Path) -> None:
    accessors = [{"componentType": 5126, "type": "VEC3", "count": 29_999_999} for _ in range(50)]
    primitives = [{"attributes": {"POSITION": number}} for number in range(50)]
    _glb(path, ASSET | SKIN | {"accessors": accessors, "meshes": [{"primitives": primitives}]})


def _glb_repeated(path: Path) -> None:
    """One mesh of which a million primitives share the accessors."""
    accessor = {"componentType": 5126, "type": "VEC3", "count": 1000, "bufferView": 0}
    primitives = [{"attributes": {"POSITION": 0, "JOINTS_0": 0, "WEIGHTS_0": 0}}] * 300_000
    document = ASSET | SKIN | {"accessors": [accessor], "meshes": [{"primitives": primitives}]}
    views = {"bufferViews": [{"buffer": 0, "byteLength": 12_000}], "buffers": [{"byteLength": 12_000}]}
    _glb(path, document | views, bytes(12_000))


def _glb_chain(path: Path) -> None:
    nodes = [{"children": [number + 1]} for number in range(200_000)] + [{"name": "Hips"}]
    _glb(
        path, ASSET | {"nodes": nodes, "scenes": [{"nodes": [0]}], "skins": [{"joints": list(range(0, 200_001, 100))}]}
    )


def _glb_deep(path: Path) -> None:
    text = b'{"asset":' + b'{"a":' * 200_000
    path.write_bytes(struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A) + text)


def _many_numbers_joints(path: Path) -> None:
    path.write_bytes(b"[" + b"0," * 5_000_000 + b"0]")


BOMBS: dict[str, Callable[[Path], None]] = {
    "huge.png": _huge_png,
    "text.png": _png_of_text,
    "wide.png": _wide_png,
    "empty.glb": _glb_without_data,
    "repeated.glb": _glb_repeated,
    "chain.glb": _glb_chain,
    "deep.glb": _glb_deep,
    "numbers.glb": _many_numbers_joints,
}


def _thousands_of_pictures(folder: Path) -> None:
    Image.new("RGB", (3000, 2000)).save(folder / "0.png")
    for number in range(1, 3000):
        os.link(folder / "0.png", folder / f"{number}.png")


def _large_pictures(folder: Path) -> None:
    Image.new("L", (8000, 7900)).save(folder / "0.png")
    for number in range(1, 60):
        os.link(folder / "0.png", folder / f"{number}.png")


def decoy_panorama(folder: Path) -> None:
    (folder / "a.hdr").write_bytes(
        b"#?RADIANCE\n# -Y 4 +X 8\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 120000\n" + bytes(999)
    )


def _nothing(folder: Path) -> None:
    pass


SET_FOLDERS: dict[str, Callable[[Path], None]] = {
    "empty": _nothing,
    "thousands": _thousands_of_pictures,
    "large": _large_pictures,
}
