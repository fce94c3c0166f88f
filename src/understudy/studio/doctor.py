"""What this machine can do: packages, OpenGL, weights, and what each backend needs under which licence."""

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from packaging.requirements import Requirement

import understudy
from understudy.io.blender.convert import blender_command
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
    optional: bool = False
    """Recasting with default options does without it."""


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
        "people, on request",
        "BlazePose, heavy network",
        "Apache-2.0, weights too",
        ("ai-edge-litert",),
        ("blazepose_heavy",),
        optional=True,
    ),
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
        ("scikit-image", "ai-edge-litert"),
        ("blazepose", "face_mesh"),
    ),
    Backend(
        "character, hands",
        "fingers as a picture shows them",
        "Apache-2.0",
        ("ai-edge-litert",),
        ("hand_landmarks",),
        optional=True,
    ),
    Backend(
        "character, on request",
        "meshes of generators",
        "Apache-2.0; trimesh MIT; generators have their own",
        ("trimesh",),
        optional=True,
    ),
    Backend("render", "OpenGL", "Apache-2.0; moderngl MIT", ("moderngl",), opengl=True),
    Backend("passes", "OpenEXR", "BSD-3-Clause; zlib-ng Zlib, python-zlib-ng PSF-2.0", ("OpenEXR", "zlib-ng")),
)
"""Every backend of films; all may be used commercially."""

EXTRAS = {
    "scene": "films in a given set, and training the video models that make them",
    "compressed": "rigs compressed by Draco or meshoptimizer",
    "heic": "characters from a telephone's HEIC pictures (LGPL libraries)",
}
"""What `pip install 'understudy[EXTRA]'` adds."""


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    subject: str
    state: Literal["ready", "missing", "optional"]
    """Missing is what recasting needs, optional what more would add."""
    detail: str
    licence: str = ""


def examine() -> list[Finding]:
    """Look at the machine, at each backend and at every byte of the weights; nothing is fetched or changed."""
    opengl = _opengl()
    findings = [
        Finding(f"understudy {understudy.__version__}", "ready", ""),
        Finding("Python", "ready", f"{platform.python_version()} on {platform.platform()}"),
        opengl,
    ]
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
            wanted = _requirement(package)
            version = _version(package)
            if version is not None and wanted.specifier.contains(version, prereleases=True):
                have.append(f"{package} {version}")
            else:
                here = "" if version is None else f", here is {version}"
                lack.append(f"package {package}{here}: pip install '{package}{wanted.specifier}'")
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
                ("optional" if backend.optional else "missing") if lack else "ready",
                "; ".join(f"needs {item}" for item in lack) if lack else ", ".join(have),
                backend.licence,
            )
        )
    return [*findings, *(_extra(name, what) for name, what in EXTRAS.items()), _blender()]


def _requirements() -> list[Requirement]:
    """What understudy itself declares; nothing where it runs from its source and was never installed."""
    try:
        return [Requirement(line) for line in metadata.requires("understudy") or ()]
    except metadata.PackageNotFoundError:
        return []


def _requirement(package: str) -> Requirement:
    return next((wanted for wanted in _requirements() if wanted.name == package), Requirement(package))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _extra(name: str, what: str) -> Finding:
    wanted = [line for line in _requirements() if line.marker and line.marker.evaluate({"extra": name})]
    versions = {line.name: _version(line.name) for line in wanted}
    absent = [package for package, version in versions.items() if version is None]
    if absent:
        detail = f"needs {', '.join(absent)}: pip install 'understudy[{name}]'"
        return Finding(f"extra {name}: {what}", "optional", detail)
    return Finding(f"extra {name}: {what}", "ready", ", ".join(f"{key} {value}" for key, value in versions.items()))


def _blender() -> Finding:
    subject = "Blender: characters in FBX, .blend, USD and Collada"
    try:
        command = blender_command()
    except BackendUnavailable as error:
        return Finding(subject, "optional", str(error))
    if command is None:
        return Finding(
            subject, "optional", "needs Blender from blender.org: `blender`, or set UNDERSTUDY_BLENDER to it"
        )
    return Finding(subject, "ready", command[0], "GPL-3.0: only ever run as a program")


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
