"""HTML pages from Jinja2 templates, into which every text goes escaped."""

import base64
import io
from functools import cache

from jaxtyping import UInt8
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy import ndarray
from PIL import Image

__all__ = ["jpeg_url", "render_template", "url_of_bytes"]


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=PackageLoader(package, package_path="."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render_template(package: str, name: str, **values: object) -> str:
    """The page that a template makes of values; a name that the template knows and `values` does not is an error.

    Args:
        package: the Python package in whose folder the template lies.
        name: the template's file name.
        values: plain texts and numbers, or objects with such fields. Texts are escaped.

    Raises:
        jinja2.UndefinedError: a value is missing.
    """
    return _environment(package).get_template(name).render(values)


def url_of_bytes(mime_type: str, content: bytes) -> str:
    """A `data:` URL (RFC 2397) that holds a whole file."""
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


def jpeg_url(picture: UInt8[ndarray, "height width 3"]) -> str:
    """A `data:` URL that holds a picture (uint8 sRGB) as a JPEG."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=82)
    return url_of_bytes("image/jpeg", stream.getvalue())
