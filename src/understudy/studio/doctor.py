"""What this machine can do: packages, OpenGL, weights, and what each backend needs under which licence."""

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from understudy.io.weights import list_weights, verify_bundled, verify_weights
from understudy.runtime.errors import BackendUnavailable

__all__ = ["BACKENDS", "Backend", "Finding", "examine"]


@dataclass(frozen=True)
class Backend:
    """One way to do a stage's work."""

    stage: str
    name: str
    licence: str
    packages: tuple[str, ...] = ()
    """Names on the Python package index."""
    weights: tuple[str, ...] = ()
    """Names in the manifest of weights."""
    opengl: bool = False


BACKENDS = (
    Backend(
        "film in and out",
        "PyAV",
        "BSD-3-Clause; its wheels hold FFmpeg (LGPL-3.0) with x264 and x265 (GPL-2.0): what you film is yours to sell, "
        "who hands the wheels on must honour the GPL",
        ("av",),
    ),
    Backend("people", "BlazePose", "Apache-2.0, weights too", ("ai-edge-litert",), ("blazepose",)),
    Backend(
        "camera",
        "KLT tracks, rotation solver, COLMAP",
        "Apache-2.0 and BSD-3-Clause",
        ("opencv-python-headless", "pycolmap"),
    ),
    Backend("body", "bundled body model", "Apache-2.0; shape data CC0-1.0", ("scipy", "safetensors")),
    Backend("plate, mask", "propagation along the camera", "Apache-2.0", ("opencv-python-headless",)),
    Backend(
        "character",
        "inflation of a picture",
        "Apache-2.0",
        ("scikit-image", "robust-laplacian", "ai-edge-litert"),
        ("blazepose",),
    ),
    Backend("render", "OpenGL", "Apache-2.0; moderngl MIT", ("moderngl",), opengl=True),
    Backend("passes", "OpenEXR", "BSD-3-Clause", ("OpenEXR",)),
)
"""Every backend of the default path; all may be used commercially."""


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    subject: str
    state: Literal["ready", "missing"]
    detail: str
    licence: str = ""


def examine() -> list[Finding]:
    """Look at the machine, at each backend and at every byte of the weights; nothing is fetched or changed."""
    opengl = _opengl()
    findings = [Finding("Python", "ready", f"{platform.python_version()} on {platform.platform()}"), opengl]
    damaged = verify_bundled()
    findings.append(
        Finding(
            "weights in the package",
            "missing" if damaged else "ready",
            "; ".join(f"{problem}: install understudy again" for problem in damaged) or "every byte is right",
        )
    )
    states = {status.weights.name: status.state for status in list_weights()}
    for backend in BACKENDS:
        have, lack = [], []
        for package in backend.packages:
            try:
                have.append(f"{package} {metadata.version(package)}")
            except metadata.PackageNotFoundError:
                lack.append(f"package {package}: pip install -c constraints.txt {package}")
        for name in backend.weights:
            state = "damaged" if states[name] == "present" and verify_weights(name) else states[name]
            if state == "present":
                have.append(f"weights {name}, every byte right")
            else:
                lack.append(f"weights {name} ({state}): understudy weights fetch {name}")
        if backend.opengl and opengl.state == "missing":
            lack.append("OpenGL")
        findings.append(
            Finding(
                f"{backend.stage}: {backend.name}",
                "missing" if lack else "ready",
                "; ".join(f"needs {item}" for item in lack) if lack else ", ".join(have),
                backend.licence,
            )
        )
    return findings


def _opengl() -> Finding:
    from understudy.render.backends.opengl_context import open_context

    try:
        context = open_context()
    except BackendUnavailable as error:
        return Finding("OpenGL", "missing", str(error))
    try:
        return Finding("OpenGL", "ready", f"{context.info['GL_VERSION']} by {context.info['GL_RENDERER']}")
    finally:
        context.release()
