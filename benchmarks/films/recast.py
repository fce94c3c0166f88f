"""Recast every real shot with a rig and with a picture, and measure what came out.

    python -m benchmarks.films.recast --data ../shared/data --out build/recast [--shots static_tennis_serve ...]

Each shot runs in a process of its own, so that peak memory is that shot's. A shot that was measured is not measured
again (its row says of which commit it is): an interrupted run goes on, and `--shots` lets several runs share the work
(seconds on the clock then count what they take from each other; seconds of all cores do not). Seconds are those of the
machine that the result names; across machines they compare as multiples of transcoding the same shot with x264 at its
default preset. Writes `results/recast.json` and, beside the films, a contact sheet per shot: original, rig, picture at
five moments.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.record import commit, save, table
from understudy.core.footage import Shot
from understudy.io.pictures.files import write_png
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import open_shot, read_frames, read_video
from understudy.metrics.image import mask_iou

CHARACTERS = {"rig": "rigs/knight.glb", "picture": "characters/man_sweater.png"}

# Its own peak: what waiting for a process tells is at least its parent's, which holds frames.
_RECAST = """
import sys
from pathlib import Path
from understudy.cli.main import main
peak = Path(sys.argv.pop(1))
try:
    sys.exit(main())
finally:
    peak.write_text(Path("/proc/self/status").read_text())
"""


def main() -> None:
    """Run the whole benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shots", nargs="*")
    options = parser.parse_args()
    shots = sorted((options.data / "shots").glob("*.mp4"))
    if options.shots:
        shots = [shot for shot in shots if shot.stem in options.shots]
    rows = []
    for shot in shots:
        row = cached(options.out / f"{shot.stem}.json", lambda shot=shot: recast_twice(shot, options.data, options.out))
        rows.append(row)
        print(table([row]), flush=True)
    summary = summarise(rows, options.data, options.out)
    print(table(rows))
    print(json.dumps(summary, indent=1))
    if not options.shots:
        print(save("recast", {"summary": summary, "shots": rows}))


def cached(path: Path, measure: Callable[[], dict]) -> dict:
    """A row that an interrupted run, or one of several beside each other, has measured already."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(measure()))
    return json.loads(path.read_text())


def recast_twice(shot_path: Path, data: Path, out: Path) -> dict:
    """One shot with both characters in the same folder: the second time only what depends on the character runs."""
    shot = open_shot(shot_path)
    folder = out / shot_path.stem
    row = {"shot": shot_path.stem, "commit": commit(), "frames": len(shot)}
    transcoding_s, films = transcode_s(shot), {}
    for kind, character in CHARACTERS.items():
        seconds, cpu_seconds, peak_mb, code = run_understudy(shot_path, data / character, folder)
        film = folder / "film.mp4"
        row[f"{kind}_ok"] = code == 0 and same_clip(shot_path, film)
        row[f"{kind}_s_per_frame"] = round(seconds / len(shot), 3)
        row[f"{kind}_times_transcoding"] = round(seconds / transcoding_s, 1)
        row[f"{kind}_cpu_s_per_frame"] = round(cpu_seconds / len(shot), 3)
        row[f"{kind}_peak_mb"] = peak_mb
        if code == 0:
            films[kind] = folder / f"film_{kind}.mp4"
            film.rename(films[kind])
    row |= figures(folder) if films else {}
    row["size"] = f"{shot.width}x{shot.height}"
    if len(films) == len(CHARACTERS):
        write_png(out / f"{shot_path.stem}.png", contact_sheet(shot, list(films.values())))
    return row


def transcode_s(shot: Shot) -> float:
    """Seconds that decoding the shot and encoding it with x264 at its default preset takes."""
    started = time.perf_counter()
    with av.open(os.devnull, "w", format="null") as container:
        stream = container.add_stream("libx264", rate=shot.frame_rate, options={"preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = shot.width, shot.height, "yuv420p"
        for picture in read_frames(shot):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return time.perf_counter() - started


def run_understudy(shot: Path, character: Path, folder: Path, *options: str) -> tuple[float, float, int | None, int]:
    """A recast in a process of its own.

    Returns:
        Seconds on the clock, seconds of all cores, its peak memory in MB (None: it was killed), exit code.
    """
    started = time.perf_counter()
    log, peak = folder.with_suffix(".log"), folder.with_suffix(".peak")
    log.parent.mkdir(parents=True, exist_ok=True)
    peak.unlink(missing_ok=True)
    command = [sys.executable, "-c", _RECAST, str(peak), "recast"]
    command += [str(shot), "--character", str(character), "-o", str(folder), *options]
    with log.open("a") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds, cpu_seconds = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return seconds, cpu_seconds, peak_mb(peak) if peak.exists() else None, os.waitstatus_to_exitcode(status)


def peak_mb(status: Path) -> int:
    """A process's peak memory, from its status as Linux tells it. Source: Linux man-pages, proc(5)."""
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text())
    assert found is not None
    return round(int(found[1]) / 1024)


def same_clip(source: Path, film: Path) -> bool:
    """Whether two files have equal frame counts, rates, durations and sound."""
    if not film.exists():
        return False
    a, b = open_shot(source), open_shot(film)
    if (len(a), a.frame_rate, a.has_audio) != (len(b), b.frame_rate, b.has_audio):
        return False
    with av.open(str(source)) as x, av.open(str(film)) as y:
        sounds = [sum(1 for _ in file.demux(audio=0)) if file.streams.audio else 0 for file in (x, y)]
    return abs(a.duration_s - b.duration_s) < 1e-3 and sounds[0] == sounds[1]


def figures(folder: Path) -> dict:
    """What the film's manifest says of its stages."""
    stages = json.loads((folder / "manifest.json").read_text())["stages"]
    quality = stages["report"]["report"]["whole"]
    return {
        "move": stages["camera"]["report"]["move"],
        "camera_px": stages["camera"]["report"]["residual_px"],
        "seen": stages["people"]["report"]["seen"][0],
        "body_percent": quality["reprojection_percent"],
        "body_iou": quality["mask_iou"],
        "slide_mm": quality["foot_slide_mm"],
        "jitter": quality["jitter"],
        "plate_made_up": round(stages["plate"]["report"]["made_up_share"], 3),
        "framing_percent": round(
            100 * (stages["camera fit"]["report"]["after"] or {"keypoint_error": float("nan")})["keypoint_error"], 2
        ),
    }


def contact_sheet(shot: Shot, films: list[Path], moments: int = 5, width: int = 480) -> np.ndarray:
    """Rows: original, then each film; columns: moments."""
    shown = np.linspace(0, len(shot) - 1, moments).round().astype(int).tolist()
    size = (width, round(width * shot.height / shot.width))
    rows = []
    for frames in (read_frames(shot, shown), *(read_video(film, shown) for film in films)):
        pictures = [frame[: shot.height, : shot.width] for frame in frames]
        rows.append(np.hstack([cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures]))
    return np.vstack(rows)


def summarise(rows: list[dict], data: Path, out: Path) -> dict:
    """The figures of the whole benchmark."""
    summary = {
        "finished_with_clip_kept": {kind: sum(row[f"{kind}_ok"] for row in rows) for kind in CHARACTERS},
        "shots": len(rows),
        "median_s_per_1280x720_frame": median(rows, "rig_s_per_frame"),
        "median_cpu_s_per_1280x720_frame": median(rows, "rig_cpu_s_per_frame"),
        "median_times_transcoding_1280x720": median(rows, "rig_times_transcoding"),
        "peak_mb": max(row[f"{kind}_peak_mb"] or 0 for row in rows for kind in CHARACTERS) or None,
    }
    names = {row["shot"] for row in rows}
    if "static_tennis_serve" in names:
        ious = tennis_ious(data, out)
        summary["tennis_mask_iou"] = round(float(np.mean(ious)), 4)
        summary["tennis_mask_iou_worst_frame"] = round(float(np.min(ious)), 4)
    if "static_woman_cave_render" in names:
        shot = data / "shots/static_woman_cave_render.mp4"
        summary |= cached(out / "memory.json", lambda: memory_at_4x_length(shot, data, out))
    return summary


def median(rows: list[dict], figure: str) -> float | None:
    """Of a figure over the shots of 1280×720 pixels."""
    values = [row[figure] for row in rows if row["size"] == "1280x720" and row[figure] is not None]
    return float(np.median(values)) if values else None


def tennis_ious(data: Path, out: Path) -> list[float]:
    """Our mask against the given one, frame by frame; theirs is padded by four columns."""
    ours = read_video(out / "static_tennis_serve/actors/1/mask.mkv")
    theirs = read_video(data / "masks/tennis_serve/tennis_mask.mp4")
    values = []
    for mine, given in zip(ours, theirs, strict=True):
        given = (given if given.ndim == 2 else given[..., 0]) > 127
        pad = given.shape[1] - mine.shape[1]
        values.append(mask_iou(mine > 127, given[:, pad // 2 : pad // 2 + mine.shape[1]]))
    return values


def memory_at_4x_length(shot_path: Path, data: Path, out: Path) -> dict:
    """Peak MB of a shot, and of the same shot played forward and backward to four times its length."""
    shot = open_shot(shot_path)
    peaks = []
    for times in (1, 4):
        clip = out / f"memory_{times}.mp4"
        write_repeated(clip, shot, times)
        peaks.append(run_understudy(clip, data / CHARACTERS["rig"], out / f"memory_{times}")[2])
    return {"memory_at_4x_length_mb": peaks, "memory_at_4x_length_commit": commit()}


def write_repeated(path: Path, shot: Shot, times: int) -> None:
    """A shot forward, backward, forward … so that it holds no cut."""
    frames = list(read_frames(shot))
    with VideoWriter(path, shot.width, shot.height, shot.frame_rate, "film") as writer:
        for index in range(times):
            for frame in frames if index % 2 == 0 else frames[::-1]:
                writer.write(frame)


if __name__ == "__main__":
    main()
