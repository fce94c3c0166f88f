"""Still pictures on disk: a closed list of kinds in, PNG out."""

import struct
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from understudy.io.files import check_file, reading
from understudy.io.pictures.colour import in_srgb
from understudy.io.temporary import whole_file
from understudy.runtime.budget import Budget
from understudy.runtime.errors import PictureError, quoted

__all__ = ["PICTURE_SUFFIXES", "picture_size", "read_picture", "write_png"]

PICTURE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heic", ".heif",
)  # fmt: skip
"""What names of pictures end with; what a file is, its content says."""
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
"""What Pillow may take a file for. Others start programs (EPS), read other files or guess (TGA)."""
HEIF_READERS = ("pi_heif", "pillow_heif")
"""Packages that teach Pillow to read the photographs of telephones; either serves."""
MIN_SIDE_PX = 64
MAX_BYTES = 128 << 20
MAX_MEMORY = 272 << 20
"""For decoding alone: 57 million pixels, or 35 million (8192 × 4096) where a decoder holds them twice."""
MAX_TAG_VALUES = 1 << 18
MAX_EXIF_BYTES = 1 << 20
_SMALLER = "scale it to 4000 pixels or less a side"
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""What sets a picture upright, by its EXIF orientation. Source: CIPA DC-008, tag 274."""
_SIDEWAYS = tuple(_TURNS[orientation] for orientation in (5, 6, 7, 8))


def read_picture(path: Path) -> UInt8[np.ndarray, "height width 4"]:
    """A still picture as sRGB with straight alpha, upright as its EXIF orientation says.

    What kind it is, its content says, not its name; of several pictures in one file (MPO, HEIC, pages of a TIFF) it is
    the first, or the one that the file calls its primary. The size is checked before pixels are decoded.

    Raises:
        PictureError: no such file, none of FORMATS, animated, cut off, under 64 pixels a side, or too large to decode
            in MAX_MEMORY.
    """
    check_file(path, "picture", MAX_BYTES, PictureError)
    with reading(path, "picture", PictureError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Our own limits follow.
        with _opened(path) as image:
            _check(path, image)
            image.load()
            return np.array(in_srgb(_upright(image)))


def picture_size(path: Path) -> tuple[int, int]:
    """The width and height that `read_picture` will give, from the header alone; raises as it does."""
    check_file(path, "picture", MAX_BYTES, PictureError)
    with reading(path, "picture", PictureError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _opened(path) as image:
            _check(path, image)
            # Pillow would decode all of a PNG to look for EXIF behind its pixels; a TIFF's size it has turned itself.
            is_sideways = "exif" in image.info and _turn(image) in _SIDEWAYS
            return (image.height, image.width) if is_sideways else image.size


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write bytes H × W (grey), H × W × 3 (RGB) or H × W × 4 (RGBA) as a PNG, whole or not at all."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ValueError(f"a PNG takes bytes H × W, H × W × 3 or H × W × 4; got {pixels.dtype} {pixels.shape}")
    with whole_file(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", compress_level=3)


@contextmanager
def _opened(path: Path) -> Generator[Image.Image, None, None]:
    """The picture with its header read.

    Raises:
        PictureError: it is none of FORMATS, or its header asks for too much.
    """
    with path.open("rb") as file:
        head = file.read(32)
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        _check_tags(path)
    reader = _heif_reader()
    try:
        image = Image.open(path, formats=(*FORMATS, "HEIF") if reader else FORMATS)
    except UnidentifiedImageError:
        if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"):
            advice = "export it as JPEG" if reader else "export it as JPEG, or install understudy[heic]"
            raise PictureError(f"{quoted(path)} is a HEIC picture that cannot be read here; {advice}") from None
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            advice = "export it with 8 or 16 bits a channel as RGB, or as PNG"
            raise PictureError(f"{quoted(path)} is damaged, or a rare kind of TIFF; {advice}") from None
        raise PictureError(
            f"{quoted(path)} is not a picture that can be read; give a PNG, JPEG, WebP, TIFF or AVIF file"
        ) from None
    except Image.DecompressionBombError:
        raise PictureError(f"{quoted(path)} has more than 100 million pixels; {_SMALLER}") from None
    with image:
        yield image


def _heif_reader() -> bool:
    """Whether Pillow has been taught to read HEIC."""
    for name in HEIF_READERS:
        try:
            __import__(name).register_heif_opener()
        except ImportError:
            continue
        return True
    return False


def _check_tags(path: Path) -> None:
    """Raise PictureError where a TIFF's first page has a tag with so many values that a list of them fills memory.

    Source: TIFF 6.0, section 2; BigTIFF.
    """
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:1] == b"I" else ">"
        is_big = head[2:4] in (b"+\0", b"\0+")
        file.seek(
            struct.unpack_from(f"{order}Q", head, 8)[0] if is_big else struct.unpack_from(f"{order}L", head, 4)[0]
        )
        count_format, entry_format = (f"{order}Q", f"{order}HHQ8s") if is_big else (f"{order}H", f"{order}HHL4s")
        (entries,) = struct.unpack(count_format, file.read(struct.calcsize(count_format)))
        budget = Budget(quoted(path), 0, PictureError)
        budget.check_count("tags", entries, 1 << 16)
        for _ in range(entries):
            tag, kind, values, _ = struct.unpack(entry_format, file.read(struct.calcsize(entry_format)))
            # Bytes, texts and the like stay as they are, unless they say where the pixels lie.
            if kind not in (1, 2, 6, 7) or tag in (273, 324):
                budget.check_count(f"values of tag {tag}", values, MAX_TAG_VALUES)


def _check(path: Path, image: Image.Image) -> None:
    """Raise PictureError unless the header promises a still picture of a workable size."""
    width, height = image.size
    if image.format in ("GIF", "PNG", "WEBP", "AVIF") and getattr(image, "is_animated", False):
        raise PictureError(f"{quoted(path)} is animated; give a still picture")
    if min(width, height) < MIN_SIDE_PX:
        raise PictureError(
            f"{quoted(path)} has {width}×{height} pixels; pictures need at least {MIN_SIDE_PX} a side, characters"
            " better 700"
        )
    # Modern decoders hold a picture twice, in their own colours and in ours; progressive JPEGs all coefficients too.
    each = 8 if image.format in ("WEBP", "AVIF", "HEIF", "GIF") or "progressive" in image.info else 5
    budget = Budget(quoted(path), MAX_MEMORY, PictureError, _SMALLER)
    budget.take(f"its {width}×{height} pixels", width, height, bytes_each=each)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What sets a picture upright; an EXIF block that is damaged or absurdly large says nothing."""
    if len(image.info.get("exif") or b"") > MAX_EXIF_BYTES:
        return None
    try:
        return _TURNS.get(image.getexif().get(0x0112, 1))
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return None


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says."""
    turn = _turn(image)
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = image.info
    return turned
