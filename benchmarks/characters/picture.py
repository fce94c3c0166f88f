"""Make characters of one picture each, and see how they are from all sides and in motion.

    python -m benchmarks.characters.picture --data DATA [--out build/characters]
        [--only known|pictures] [--half tuned|held-out] [--figures knight mage man_sweater …] [--quick]

Known figures: our cast of 11 in clothes and the rigs of DATA/rigs, each photographed in its rest pose from the front
(our renderer, matt surfaces, one plain light, 900 × 900 pixels, cut out by alpha), made anew from that picture alone,
aligned with the truth by bounds, the outline in front and one shift in depth, and compared with it from all sides. Half
of them are held out (figures.HELD_OUT). Pictures: all of DATA/characters. Contact sheets lie beside the rows in --out:
of known figures the truth above and ours below, from 0, 45, 90 and 180°; of pictures also five poses. What an
interrupted run has measured with the same code is not measured again. --quick leaves out motion. Writes
`results/characters.json` when all is measured.
"""

import argparse
import hashlib
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.characters.figures import HELD_OUT, KNOWN, KnownFigure, load_figure
from benchmarks.characters.laws import law_figures
from benchmarks.characters.measures import (
    colour_figures,
    joint_figures,
    loose_parts,
    outline_figures,
    proportions,
    see,
)
from benchmarks.characters.moving import posed_figures
from benchmarks.characters.sheets import character_sheet, comparison_sheet
from benchmarks.characters.skinning import skinning_figures
from benchmarks.characters.studio import cut_out_bytes, matt_picture, relit_figures
from benchmarks.record import RESULTS, save, table
from understudy.characters.picture.character import PictureConfig, character_from_picture
from understudy.core.character import Character
from understudy.io.pictures.files import write_png
from understudy.runtime.errors import UnderstudyError
from understudy.studio.pipeline.stages.figure_detectors import FigureLandmarks, find_face, find_hand

PICTURE_PX = (900, 900)
TO_REFUSE = ("head_and_shoulders",)
"""Pictures that show no whole figure."""
SHORT = ("front_iou", "unseen_iou", "side_iou", "unseen_albedo_db", "joints_percent", "loose_follow_limbs_percent")
"""The figures that a run shows beside those of characters_before.json."""
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Run the whole benchmark, or the part that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("build/characters"))
    parser.add_argument("--only", choices=("known", "pictures"))
    parser.add_argument("--figures", nargs="*")
    parser.add_argument("--half", choices=("tuned", "held-out"))
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    pictures = pictures_of(options.data)
    known = [name for name in KNOWN if options.only != "pictures" and chosen(name, options.figures)]
    if options.half:
        pictures = {}
        known = [name for name in known if (name in HELD_OUT) == (options.half == "held-out")]
    free = [name for name in pictures if options.only != "known" and chosen(name, options.figures)]
    bench = Bench(options.data, options.out, options.quick)
    rows = [bench.row(name, lambda name=name: bench.known(name)) for name in known]
    made = [bench.row(name, lambda name=name: bench.free(name, pictures[name])) for name in free]
    summary = summarise(rows, made)
    whole = not (options.only or options.figures or options.half or options.quick)
    if whole:
        summary["our body skinned anew"] = bench.row("skinning", lambda: skinning_figures(options.data, options.out))
    groups = [{"figures of": name} | part for name, part in summary.items() if "front_iou" in part]
    if groups:
        print(table([{key: group.get(key, "–") for key in ("figures of", "figures", *SHORT)} for group in groups]))
    print(json.dumps({k: part for k, part in summary.items() if "front_iou" not in part}, indent=1, ensure_ascii=False))
    if (RESULTS / "characters_before.json").exists() and any("failed" not in row for row in rows):
        earlier = json.loads((RESULTS / "characters_before.json").read_text(encoding="utf-8"))["known"]
        print(table(compared(rows, earlier)))
    if whole:
        print(save("characters", {"summary": summary, "known": rows, "pictures": made}))


def chosen(name: str, wanted: list[str] | None) -> bool:
    """Whether a figure is to be measured."""
    return not wanted or name in wanted


def pictures_of(data: Path) -> dict[str, Path]:
    """Every picture of a figure from the front by its name, and the bust, which is to be refused."""
    folder = data / "characters"
    alone = [path for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")]
    fronts = {"hoodie_girl": folder / "hoodie_girl_mv/2.png", "astronaut": folder / "astronaut_mv/1.png"}
    drawings = {path.parent.name: path for path in sorted(folder.glob("drawing_*/texture.png"))}
    bust = {name: data / "faults" / f"{name}.png" for name in TO_REFUSE}
    return {path.stem: path for path in alone} | fronts | drawings | bust


class Bench:
    """Measures figures one by one and keeps their rows in files."""

    def __init__(self, data: Path, out: Path, quick: bool) -> None:
        self.data, self.out, self.quick = data, out, quick
        self.code = code_hash()
        out.mkdir(parents=True, exist_ok=True)
        self._detect = FigureLandmarks()

    def row(self, name: str, measure: Callable[[], dict]) -> dict:
        """A figure's row, measured now or kept from a run with the same code."""
        path = self.out / f"{name}.json"
        key = f"{self.code}{' quick' if self.quick else ''}"
        if path.exists() and (kept := json.loads(path.read_text()))["code"] == key:
            row = kept["row"]
        else:
            try:
                row = measure()
            except Exception as error:  # a figure that fails is a result, too
                if not isinstance(error, UnderstudyError):
                    traceback.print_exc()
                row = {"figure": name, "failed": f"{type(error).__name__}: {error}"}
            path.write_text(json.dumps({"code": key, "row": row}, ensure_ascii=False, indent=1))
        print(
            table([{k: v for k, v in row.items() if not isinstance(v, dict | list) and not k.startswith("iou_")}]),
            flush=True,
        )
        return row

    def make(self, picture: Path, height_m: float = 1.7) -> tuple[Character, dict]:
        """The product's character of a picture, and how long that took."""
        clock, cpu = time.perf_counter(), time.process_time()
        config = PictureConfig(height_m=height_m)
        character = character_from_picture(picture, self._detect, config, find_face=find_face, find_hand=find_hand)
        return character, {
            "cpu_s": round(time.process_time() - cpu, 2),
            "clock_s": round(time.perf_counter() - clock, 2),
            "doubts": [doubt.sentence for doubt in character.doubts],
        }

    def known(self, name: str) -> dict:
        """Photograph a known figure, make it anew, compare."""
        figure = load_figure(name, self.data)
        picture = self.out / f"{name}_picture.png"
        photograph = matt_picture(figure.character, PICTURE_PX)
        write_png(picture, cut_out_bytes(photograph))
        character, effort = self.make(picture, figure.character.height_m)
        seen = see(figure.character, character)
        write_png(self.out / f"{name}.png", comparison_sheet(seen))
        row = {"figure": name, "kind": figure.kind, "held_out": name in HELD_OUT}
        row |= outline_figures(seen) | colour_figures(seen) | joint_figures(seen.truth, seen.guess)
        row |= relit_figures(photograph, seen.guess, seen.truth)
        if figure.kind == "cast":
            row |= loose_parts(seen)
        if not self.quick:
            row |= posed_figures(character, self.data) | law_figures(character, self.data)
        return row | proportion_figures(figure, character) | effort

    def free(self, name: str, picture: Path) -> dict:
        """Make a character of a picture whose truth nobody knows."""
        character, effort = self.make(picture)
        write_png(self.out / f"{name}.png", character_sheet(character, picture, self.data))
        moving = {} if self.quick else posed_figures(character, self.data) | law_figures(character, self.data)
        return {"figure": name} | effort | moving


def proportion_figures(figure: KnownFigure, character: Character) -> dict:
    """Depth over width: ours by the truth's, ours by the body model's; 1 is right."""
    ours, theirs = proportions(character), proportions(figure.character)
    row = {"depth_by_truth": {part: round(ours[part] / theirs[part], 3) for part in ours if theirs.get(part)}}
    if figure.body is not None:
        body = proportions(figure.body)
        row["depth_by_body"] = {part: round(ours[part] / body[part], 3) for part in ours if body.get(part)}
    return row


def compared(rows: list[dict], earlier: list[dict]) -> list[dict]:
    """A few figures of each known figure beside those of characters_before.json."""
    before = {row["figure"]: row for row in earlier}
    return [
        {"figure": row["figure"]}
        | {key: f"{before.get(row['figure'], {}).get(key, '–')} → {row.get(key, '–')}" for key in SHORT}
        for row in rows
    ]


def code_hash() -> str:
    """Of all code that the rows depend on."""
    digest = hashlib.sha256()
    for folder in (ROOT / "src/understudy", Path(__file__).parent):
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".glsl", ".safetensors", ".tflite"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def summarise(known: list[dict], pictures: list[dict]) -> dict:
    """Means by kind and half."""
    summary: dict = {}
    for kind in ("cast", "rig"):
        for half, held_out in (("all", None), ("tuned on", False), ("held out", True)):
            rows = [r for r in known if r.get("kind") == kind and held_out in (None, r["held_out"])]
            keys = dict.fromkeys(
                k for row in rows for k, v in row.items() if isinstance(v, float) and not k.startswith("iou_")
            )
            if rows:
                summary[f"{kind}, {half}"] = {"figures": len(rows)} | {
                    key: round(float(np.mean([row[key] for row in rows if key in row])), 4) for key in keys
                }
    summary["failed"] = {row["figure"]: row["failed"] for row in (*known, *pictures) if "failed" in row}
    whole = [row for row in pictures if row["figure"] not in TO_REFUSE]
    done = [row for row in whole if "failed" not in row]
    if pictures:
        summary["pictures"] = {
            "pictures": len(whole),
            "refused_rightly": sum("failed" in row for row in pictures if row["figure"] in TO_REFUSE),
            "to_refuse": len(TO_REFUSE),
            "characters": len(done),
            "median_cpu_s": round(float(np.median([row["cpu_s"] for row in done])), 1) if done else None,
            "median_clock_s": round(float(np.median([row["clock_s"] for row in done])), 1) if done else None,
        }
    return summary


if __name__ == "__main__":
    sys.exit(main())
