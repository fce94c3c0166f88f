"""What further pictures of a figure bring: its back and side, or free views with and without their directions.

    python -m benchmarks.characters.free_views --data DATA [--figures knight …] [--out build/free_views]

The known figures of benchmarks.characters.picture, photographed in their rest pose (matt, the light beside the camera)
from the front and from elsewhere; made of the front alone, of front, back and side, and of the front and FREE_DEG with
and without their directions told. Compared with the truth like there; those not told also by how far the direction
found is off. Writes `results/free_views.json` when all figures are measured.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.characters.figures import HELD_OUT, KNOWN, load_figure
from benchmarks.characters.measures import colour_figures, outline_figures, see
from benchmarks.characters.picture import PICTURE_PX
from benchmarks.characters.sheets import comparison_sheet
from benchmarks.characters.studio import cut_out_bytes, matt_picture
from benchmarks.record import save, table
from understudy.characters.picture.character import PictureConfig, character_from_picture
from understudy.characters.sheet.sheet import SheetPicture, with_sheet
from understudy.characters.sheet.views import FreeView, with_views
from understudy.core.character import Character
from understudy.io.pictures.files import write_png
from understudy.runtime.errors import CharacterError
from understudy.studio.pipeline.stages.figure_detectors import FigureLandmarks, find_face

FREE_DEG = (40.0, 145.0, 250.0)
"""From where the free views are seen: 90 is the figure's left."""
KEYS = ("unseen_iou", "side_iou", "unseen_albedo_db")


def main() -> None:
    """Measure the figures asked for; save when these are all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--figures", nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=Path("build/free_views"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = list[dict]()
    for name in options.figures or KNOWN:
        try:
            rows += measured(name, options.data, options.out)
        except CharacterError as error:
            rows.append({"figure": name, "made of": "front", "failed": str(error)})
        print(table([row for row in rows if row["figure"] == name]), flush=True)
    summary = [mean(rows, way) for way in dict.fromkeys(row["made of"] for row in rows)]
    print(table(summary))
    if not options.figures:
        print(save("free_views", {"summary": summary, "figures": rows}))


def measured(name: str, data: Path, out: Path) -> list[dict]:
    """A figure made in each of the four ways."""
    truth = load_figure(name, data).character
    front = out / f"{name}_front.png"
    write_png(front, cut_out_bytes(matt_picture(truth, PICTURE_PX)))
    config = PictureConfig(height_m=truth.height_m)
    alone = character_from_picture(front, FigureLandmarks(), config, find_face=find_face)
    sheet = with_sheet(alone, photograph(truth, 180.0), photograph(truth, 90.0))
    free = {degrees: photograph(truth, degrees) for degrees in FREE_DEG}
    told, _ = with_views(alone, [FreeView("told", seen, np.radians(degrees)) for degrees, seen in free.items()])
    untold = [FreeView(f"{degrees:g}", seen) for degrees, seen in free.items()]
    found, seen = with_views(alone, untold)
    off = [turn_deg(float(np.degrees(one.azimuth_rad)), float(one.view.name)) for one in seen]
    ways = {"front": alone, "front, back, side": sheet, "free views, told": told, "free views, found": found}
    rows = [row(name, way, truth, character, out) for way, character in ways.items()]
    rows[-1] |= {"azimuth_off_deg": [round(value, 1) for value in off], "left_out": sum(not one.fits for one in seen)}
    return rows


def photograph(truth: Character, azimuth_deg: float) -> SheetPicture:
    """The figure from somewhere, cut out."""
    pixels = cut_out_bytes(matt_picture(truth, PICTURE_PX, np.radians(azimuth_deg)))
    return SheetPicture(np.ascontiguousarray(pixels[..., :3]), pixels[..., 3] > 127)


def turn_deg(a: float, b: float) -> float:
    """The angle between two directions."""
    return abs((a - b + 180.0) % 360.0 - 180.0)


def row(name: str, way: str, truth: Character, character: Character, out: Path) -> dict:
    """The figures of one character, and its sheet as a picture."""
    seen = see(truth, character)
    write_png(out / f"{name} {way}.png", comparison_sheet(seen))
    figures = outline_figures(seen) | colour_figures(seen)
    return {"figure": name, "held_out": name in HELD_OUT, "made of": way} | {key: figures[key] for key in KEYS}


def mean(rows: list[dict], way: str) -> dict:
    """Means over all figures made in one way."""
    own = [row for row in rows if row["made of"] == way and "failed" not in row]
    off = [value for row in own for value in row.get("azimuth_off_deg", [])]
    found = {"azimuth_off_median_deg": "–", "azimuth_off_max_deg": "–", "left_out": "–"}
    if off:
        found = {"azimuth_off_median_deg": round(float(np.median(off)), 1), "azimuth_off_max_deg": max(off)}
        found["left_out"] = sum(row["left_out"] for row in own)
    return (
        {"made of": way, "figures": len(own)}
        | {key: round(float(np.mean([row[key] for row in own])), 4) for key in KEYS}
        | found
    )


if __name__ == "__main__":
    sys.exit(main())
