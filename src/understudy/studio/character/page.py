"""The report of a character: how well it came out, as one HTML page that opens offline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from understudy.characters.picture.joints import BONES, POINTS, read_joints
from understudy.characters.rig.facts import RigFacts
from understudy.core.character import Character, Material
from understudy.imaging.colour import srgb_bytes_from_linear
from understudy.io.pictures.files import read_picture
from understudy.render.renderers import RendererConfig
from understudy.runtime.errors import printable
from understudy.runtime.progress import Progress
from understudy.studio.character.files import CUTOUT_FILE, GENERATED, JOINTS_FILE, TURNTABLE_FILE
from understudy.studio.character.showing import POSES, SIDES, joints_drawn, poses, sides
from understudy.studio.pipeline.stages.casting import CAST_FILE
from understudy.studio.report.templates import jpeg_url, render_template, url_of_bytes
from understudy.studio.stage_reports import CharacterReport

__all__ = ["CastPage", "character_page"]

SHOWN_PX = 900
"""Pictures that were given are shown with this longest side."""
MAX_NAMES = 200
"""Of joints or morphs, that are listed; an ellipsis stands for the others."""
CONSEQUENCES = {
    "Foot": "its feet do not turn",
    "ToeBase": "its toes do not bend",
    "Hand": "its hands keep the direction of the forearms",
    "Shoulder": "its shoulders do not rise",
    "Neck": "its neck does not bend by itself",
    "Head": "its head does not turn by itself",
    "Spine": "its back bends in fewer places",
}
"""What a missing part means for the film; of those without which a rig is refused there is none."""


@dataclass(frozen=True)
class CastPage:
    """What the page tells of."""

    character: Character
    report: CharacterReport
    remarks: Sequence[str]
    rig: RigFacts | None
    picture: Path | None
    """Of a rig there is none, nor are there the next two."""
    cutout: Path
    joints: Path
    turntable: Path
    generator: str | None
    """The name of the one that made the mesh."""
    made_up: Sequence[str]
    """What no picture shows."""


def character_page(page: CastPage, renderer: RendererConfig, progress: Progress) -> str:
    """The whole page."""
    character, report, steps = page.character, page.report, len(SIDES) + len(POSES) + 2
    urls = list[str]()
    for shown in (sides, poses, joints_drawn):
        for picture in shown(character, renderer):
            urls.append(jpeg_url(picture))
            progress(len(urls), steps)
    return render_template(
        "understudy.studio.report",
        "character.html",
        title=printable(report.file),
        facts=f"{report.height_m:.2f} m tall, {report.vertices:,} vertices, {report.joints} joints, of which"
        f" {report.roles} play a part of the body; from a {report.made_from}",
        video=url_of_bytes("video/mp4", page.turntable.read_bytes()),
        verdicts=_verdicts(page),
        made_up=page.made_up,
        sides=list(zip(SIDES, urls, strict=False)),
        poses=list(zip(POSES, urls[len(SIDES) :], strict=False)),
        skeleton=urls[-2:],
        figure=None if page.picture is None else _figure(page.picture, page.cutout, page.joints),
        parts=page.rig.parts if page.rig else (),
        lists=_lists(page.rig) if page.rig else [],
        materials=[_row(material) for material in character.mesh.materials],
        files=_files(page),
    )


def _verdicts(page: CastPage) -> list[tuple[str, str]]:
    """Levels and sentences: doubts first, then what a rig lacks, then what was done to it."""
    found = [
        (doubt.level, doubt.sentence) for doubt in sorted(page.report.doubts, key=lambda doubt: doubt.level != "poor")
    ]
    if page.rig is not None:
        missing = [part.part for part in page.rig.parts if part.joint is None]
        for ending, consequence in CONSEQUENCES.items():
            parts = [part for part in missing if part.rstrip("12").endswith(ending)]
            if parts:
                found.append(("fair", f"No joint plays {', '.join(parts)}: {consequence}."))
    found += [("off", remark) for remark in page.remarks]
    return found or [("good", "Nothing is doubtful.")]


def _figure(picture: Path, cutout: Path, joints: Path) -> dict[str, object]:
    """The picture, its cut-out over grey, and its joints in pixels of the picture."""
    pixels = read_picture(picture)
    height, width = pixels.shape[:2]
    alpha = pixels[..., 3:] / 255
    seen = (pixels[..., :3] * alpha + 200 * (1 - alpha)).astype(np.uint8)
    inside = read_picture(cutout)[..., 0] >= 128
    points = read_joints(joints).points_px
    return {
        "picture": jpeg_url(_small(seen)),
        "cutout": jpeg_url(_small(np.where(inside[..., None], seen, np.uint8(60)))),
        "cutout_file": CUTOUT_FILE,
        "joints_file": JOINTS_FILE,
        "width": width,
        "height": height,
        "stroke": round(max(height, width) / 250, 2),
        "bones": [(POINTS[a], POINTS[b]) for a, b in BONES],
        "joints": [(name, f"{x:.1f}", f"{y:.1f}") for name, (x, y) in zip(POINTS, points, strict=True)],
    }


def _small(picture: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    scale = min(1.0, SHOWN_PX / max(picture.shape[:2]))
    size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def _lists(rig: RigFacts) -> list[tuple[str, str]]:
    """Titles and names of what else is in a rig."""
    groups = ((f"{len(rig.other_joints)} other joints", rig.other_joints), (f"{len(rig.morphs)} morphs", rig.morphs))
    return [
        (title, printable(", ".join(names[:MAX_NAMES]) + (" …" if len(names) > MAX_NAMES else ""), 4000))
        for title, names in groups
        if names
    ]


def _row(material: Material) -> tuple[str, str, str, str]:
    """Name, texture, colour and surface of a material."""
    texture = "none" if material.texture is None else f"{material.texture.shape[1]} × {material.texture.shape[0]}"
    red, green, blue = srgb_bytes_from_linear(np.array(material.base_colour[:3])).tolist()
    surface = [f"roughness {material.roughness:.2g}", f"metallic {material.metallic:.2g}"]
    surface += ["holes by alpha"] if material.alpha_cutoff is not None else []
    surface += ["two-sided"] if material.double_sided else []
    return printable(material.name), texture, f"#{red:02x}{green:02x}{blue:02x}", ", ".join(surface)


def _files(page: CastPage) -> list[tuple[str, str]]:
    files = [
        (CAST_FILE, "the character, rigged, for recast and for other programs; edit it and run again"),
        (TURNTABLE_FILE, "the film above"),
    ]
    if page.generator:
        files.append((f"{GENERATED}/", f"what {page.generator} was given, has made and has said"))
    if page.picture is not None:
        files += [
            (CUTOUT_FILE, "which pixels are the figure; edit it and run again"),
            (JOINTS_FILE, "where its joints are, in pixels of the picture; edit it and run again"),
        ]
    return files
