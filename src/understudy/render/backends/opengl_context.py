"""An OpenGL context without a window."""

import sys
from contextlib import suppress
from importlib import import_module
from importlib.resources import files
from typing import Any

import moderngl

from understudy.runtime.errors import BackendUnavailable

__all__ = ["load_shader", "open_context"]

DEBIAN_PACKAGES = "libegl1 libgl1-mesa-dri"


def open_context() -> moderngl.Context:
    """A standalone context of OpenGL 3.3 or later: through EGL on Linux, native elsewhere.

    Raises:
        BackendUnavailable: there is no driver; the text names the packages that bring a software one.
    """
    # PyTorch's optimisers import Triton, whose LLVM crashes the process when it is loaded after that of Mesa.
    with suppress(ImportError):
        import_module("triton")
    # The runtime names: `libEGL.so` comes only with development packages. EGL hands out all of OpenGL's functions,
    # so `libGL.so.1`, which would drag in X11, is not needed.
    linux: dict[str, Any] = {"backend": "egl", "libegl": "libEGL.so.1", "libgl": "libEGL.so.1"}
    try:
        return moderngl.create_context(require=330, standalone=True, **(linux if sys.platform == "linux" else {}))
    except Exception as error:  # the context library raises plain Exception for every cause
        remedy = (
            f"install Mesa's software renderer (Debian, Ubuntu: sudo apt-get install {DEBIAN_PACKAGES})"
            if sys.platform == "linux"
            else "update the graphics driver, or run where one is installed"
        )
        raise BackendUnavailable(
            f"cannot open OpenGL 3.3 to render characters ({error}): {remedy}, then start again"
        ) from error


def load_shader(name: str, *defines: str) -> str:
    """The text of one of our shaders, such as 'mesh.vert', with some names defined for its preprocessor."""
    text = (files("understudy.render.backends") / "shaders" / f"{name}.glsl").read_text(encoding="utf-8")
    version, _, body = text.partition("\n")
    return "\n".join([version, *(f"#define {name}" for name in defines), body])
