"""Find cuts in films joined from real shots: ours beside PySceneDetect's detectors.

    python -m benchmarks.films.cuts SHOTS [--out build/cuts]

SHOTS is a folder of films without cuts. Joined are: two shots by a hard cut, one shot with a punch-in (the same camera
twice as near), by a fade through black, and by a dissolve; and what is no cut: the shots themselves, flashes of a
photographer, one white frame, a whip pan, and a light that is switched off and on. A hard cut counts on its very
frame; a fade or dissolve anywhere within it. PySceneDetect (`pip install scenedetect`) has its own settings but for
the shortest scene, which is ours. Writes `results/cuts.json`.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from benchmarks.record import save, table
from understudy.decompose.cuts import CutConfig, find_cuts
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import open_shot, read_frames

WIDTH, HEIGHT, RATE = 320, 180, Fraction(24)
PIECE = 24
"""Frames of each shot in a joined film."""
FADE = 12
"""Frames of a fade out, of a fade in, and of a dissolve."""

Pictures = list[np.ndarray]
Finder = Callable[[Path], list[int]]


@dataclass(frozen=True)
class Film:
    """A film with one change, or with none."""

    kind: str
    pictures: Pictures
    change: tuple[int, int] | None
    """The first and the last frame on which a new piece may begin."""


def main() -> None:
    """Run all films through all finders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shots", type=Path)
    parser.add_argument("--out", type=Path, default=Path("build/cuts"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    shots = [pictures_of(path) for path in sorted(options.shots.glob("*.mp4"))]
    found: dict[str, dict[str, list[tuple[bool, int]]]] = {}
    seconds: dict[str, float] = {}
    frames = 0
    for number, film in enumerate(made_films(shots)):
        path = options.out / f"{number:03d}_{film.kind}.mp4"
        with VideoWriter(path, WIDTH, HEIGHT, RATE, "plate") as writer:
            for picture in film.pictures:
                writer.write(picture)
        frames += len(film.pictures)
        for name, finder in finders().items():
            start = time.process_time()
            cuts = finder(path)
            seconds[name] = seconds.get(name, 0.0) + time.process_time() - start
            right = [at for at in cuts if film.change is not None and film.change[0] <= at <= film.change[1]]
            found.setdefault(name, {}).setdefault(film.kind, []).append((bool(right), len(cuts) - len(right[:1])))
    rows = [row(name, kinds, 1000 * seconds[name] / frames) for name, kinds in found.items()]
    print(table(rows))
    print(save("cuts", {"films_of_each_kind": len(shots), "frames": frames, "rows": rows}))


def row(name: str, kinds: dict[str, list[tuple[bool, int]]], cpu_ms: float) -> dict[str, str | float | int]:
    """Of the films of each kind: in how many the change was found; and wrong cuts in all of them."""
    line: dict[str, str | float | int] = {"finder": name}
    for kind in ("hard cut", "punch-in", "fade", "dissolve"):
        line[f"{kind} found"] = sum(right for right, _ in kinds[kind])
    line["wrong beside these"] = sum(wrong for kind in kinds for right, wrong in kinds[kind] if kind in CHANGES)
    for kind in ("uncut", "flashes", "white frame", "whip pan", "light switched"):
        line[f"wrong in {kind}"] = sum(wrong for _, wrong in kinds[kind])
    return line | {"CPU ms a frame": round(cpu_ms, 2)}


CHANGES = ("hard cut", "punch-in", "fade", "dissolve")


def pictures_of(path: Path) -> Pictures:
    """The first frames of a shot, small."""
    shot = open_shot(path)
    count = min(len(shot), 3 * PIECE)
    return [
        cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        for frame in read_frames(shot, range(count), max_side_px=2 * WIDTH)
    ]


def made_films(shots: list[Pictures]) -> list[Film]:
    """All films: each shot is joined to the one four places on."""
    films = []
    for index, a in enumerate(shots):
        b = shots[(index + 4) % len(shots)]
        first, second = a[:PIECE], b[:PIECE]
        films.append(Film("hard cut", first + second, (PIECE, PIECE)))
        close = [cv2.resize(p[45:135, 80:240], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR) for p in a[PIECE:]]
        films.append(Film("punch-in", first + close[:PIECE], (PIECE, PIECE)))
        share = (np.arange(FADE) + 1) / (FADE + 1)
        out = [dimmed(p, 1 - s) for p, s in zip(first[-FADE:], share, strict=True)]
        back = [dimmed(p, s) for p, s in zip(second[:FADE], share, strict=True)]
        black = [np.zeros_like(first[0])] * 4
        faded = first[:-FADE] + out + black + back + second[FADE:]
        films.append(Film("fade", faded, (PIECE - FADE, PIECE + 4 + FADE)))
        mixed = [
            cv2.addWeighted(p, 1 - s, q, s, 0) for p, q, s in zip(first[-FADE:], second[:FADE], share, strict=True)
        ]
        films.append(Film("dissolve", first[:-FADE] + mixed + second[FADE:], (PIECE - FADE, PIECE)))
        films.append(Film("uncut", a, None))
        flashed = list(a)
        for at in (10, 11, 25, 40):
            flashed[at % len(a)] = np.clip(a[at % len(a)].astype(int) * 2 + 90, 0, 255).astype(np.uint8)
        films.append(Film("flashes", flashed, None))
        white = list(a)
        white[PIECE] = np.full_like(a[0], 255)
        films.append(Film("white frame", white, None))
        places = np.cumsum(
            np.r_[np.zeros(8), np.linspace(0, 70, 6), np.full(8, 70.0), np.linspace(70, 0, 6), np.zeros(8)]
        )
        wide = np.concatenate([a[0], a[0][:, ::-1]], 1)
        panned = [cv2.blur(np.roll(wide, -int(x), 1)[:, :WIDTH], (15, 1)) for x in places]
        films.append(Film("whip pan", panned, None))
        switched = [dimmed(p, 0.35) if PIECE // 2 <= at < PIECE else p for at, p in enumerate(a[: 2 * PIECE])]
        films.append(Film("light switched", switched, None))
    return films


def dimmed(picture: np.ndarray, share: float) -> np.ndarray:
    """A picture with a share of its light."""
    return np.round(picture * share).astype(np.uint8)


def finders() -> dict[str, Finder]:
    """By name; each gives the frames on which new pieces begin."""
    from scenedetect import (
        AdaptiveDetector,
        ContentDetector,
        HashDetector,
        HistogramDetector,
        ThresholdDetector,
        detect,
    )

    shortest = CutConfig().min_frames

    def by(make: Callable[..., object]) -> Finder:
        return lambda path: [start.frame_num for start, _ in detect(str(path), make(min_scene_len=shortest))[1:]]

    return {
        "ours": lambda path: [piece.start_frame for piece in find_cuts(open_shot(path))[1:]],
        "AdaptiveDetector": by(AdaptiveDetector),
        "ContentDetector": by(ContentDetector),
        "HashDetector": by(HashDetector),
        "HistogramDetector": by(HistogramDetector),
        "ThresholdDetector (fades)": by(ThresholdDetector),
    }


if __name__ == "__main__":
    main()
