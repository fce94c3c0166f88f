"""Kill recast, shoot and scene train at random moments, and fill the disk under them: what is lost, what comes after?

    python -m benchmarks.robustness.interruptions --out build/interruptions [--kills 20] [--places 20] [--only recast]

Each job is run once undisturbed. Then it is killed (SIGKILL) at random moments, or its disk is full at amounts spread
evenly up to what it needs at most; after each the same command is given again, and must give the same files, byte for
byte, but for the seconds that stages took. In between, no file under its final name may be another than the undisturbed
run's. A full disk must end the command with one sentence and exit code 1. Small shots and models: what is tested are
the files. Disks are made of memory (tmpfs), which takes root. Writes `results/interruptions.json`; rows of jobs
that were left out (`--only`) stay there, each says of which commit it is.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import understudy
from benchmarks.record import RESULTS, commit, save, table
from understudy.body.model import BodyModel
from understudy.io.gltf.write import write_character
from understudy.io.pictures.files import write_png
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import open_shot, read_frames

SAMPLE = Path(understudy.__file__).parent / "synthetic/films"
SIZE, FRAMES = (320, 180), 6
POLL_S = 0.02


@dataclass(frozen=True)
class Job:
    """A command that writes into a folder."""

    name: str
    command: Callable[[Path], list[str]]
    keeps: bool = True
    """Whether files keep their content once they have their name: checkpoints come and go."""


@dataclass(frozen=True)
class Undisturbed:
    """A job's run with nothing in its way."""

    seconds: float
    bytes_at_most: int
    """On its disk at any time."""
    files: dict[str, str]


def main() -> None:
    """Run the whole benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20, help="of each job")
    parser.add_argument("--places", type=int, default=20, help="at which recast's disk is full; others' a fifth")
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    path = RESULTS / "interruptions.json"
    rows = {row["job"]: row for row in json.loads(path.read_text())["jobs"]} if path.is_file() else {}
    for job in jobs(options.out):
        if options.only and job.name not in options.only:
            continue
        places = options.places if job.name == "recast" else max(1, options.places // 5)
        disk = options.out / f"{job.name}_disk"
        disk.mkdir()
        mount(disk, 1 << 30)
        try:
            undisturbed = run_undisturbed(job, disk)
            kills = [killed(job, undisturbed, options.out / f"{job.name}_{n}", n) for n in range(options.kills)]
            full = [disk_full(job, undisturbed, disk, (n + 0.5) / places) for n in range(places)]
        finally:
            subprocess.run(["umount", disk], check=True)
        rows[job.name] = {
            "job": job.name,
            "commit": commit(),
            "seconds": round(undisturbed.seconds, 1),
            "MB at most": round(undisturbed.bytes_at_most / 1e6, 1),
            "kills": len(kills),
            "resumed to the same": sum(kills),
            "disk full": len(full),
            "one sentence, resumed to the same": sum(full),
        }
        print(table(list(rows.values())), flush=True)
        print(save("interruptions", {"jobs": list(rows.values())}), flush=True)


def jobs(folder: Path) -> list[Job]:
    """The three, with what they need."""
    shot, character, set_folder = folder / "shot.mp4", folder / "character.glb", folder / "set"
    sample = open_shot(SAMPLE / "sample_shot.mp4")
    with VideoWriter(shot, *SIZE, Fraction(25), "film") as writer:
        for frame in read_frames(sample, range(FRAMES)):
            writer.write(cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA))
    body = BodyModel.load()
    write_character(character, body.character(body.shape_for_height(1.8)))
    set_folder.mkdir()
    for number, frame in enumerate(read_frames(sample, (0, 1))):
        write_png(set_folder / f"{number}.png", np.ascontiguousarray(frame[:, :: frame.shape[1] // 128]))
    options = ["--steps", "1", "--camera", "pan:20", "--prompt", "a man walks"]
    return [
        Job(
            "recast",
            lambda out: [
                "recast",
                str(shot),
                "--character",
                str(character),
                "--quality",
                "draft",
                "-o",
                str(out / "film"),
            ],
        ),
        Job("shoot", lambda out: ["shoot", "--set", str(set_folder), *options, "-o", str(out / "clip.mp4")]),
        Job("train", lambda out: ["scene", "train", "--preset", "tiny", "-o", str(out / "run")], keeps=False),
    ]


def mount(disk: Path, size: int, again: bool = False) -> None:
    """A disk of `size` bytes."""
    options = f"size={size}" + (",remount" if again else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)


def start(job: Job, out: Path) -> subprocess.Popen:
    """Begin a job."""
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "understudy.cli.main", *job.command(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(job: Job, out: Path) -> tuple[int, str]:
    """Do a job; its exit code, and what it said."""
    with start(job, out) as process:
        said, _ = process.communicate()
    return process.returncode, said


def run_undisturbed(job: Job, disk: Path) -> Undisturbed:
    """Do a job with nothing in its way; leaves its disk empty."""
    started, most = time.perf_counter(), 0
    with start(job, disk) as process:
        while process.poll() is None:
            most = max(most, shutil.disk_usage(disk).used)
            time.sleep(POLL_S)
        said = process.stdout.read() if process.stdout else ""
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"{job.name} ended with {process.returncode}: {said}")
    files = contents(disk)
    empty(disk)
    return Undisturbed(seconds, most, files)


def killed(job: Job, undisturbed: Undisturbed, out: Path, number: int) -> bool:
    """Kill a job at a moment at random and give its command again; whether nothing was lost and all is the same."""
    chance = np.random.default_rng([number, len(job.name)])
    while True:
        moment_s = float(chance.uniform(0.02, 1.0)) * undisturbed.seconds
        with start(job, out) as process:
            try:
                process.wait(moment_s)
            except subprocess.TimeoutExpired:
                process.kill()
                break
        shutil.rmtree(out)  # it was quicker than that
    whole = whole_files(job, undisturbed, out)
    code, said = run(job, out)
    same = not code and contents(out) == undisturbed.files
    report(job, f"killed after {moment_s:.1f} s", whole, same, said)
    shutil.rmtree(out)
    return whole and same


def disk_full(job: Job, undisturbed: Undisturbed, disk: Path, share: float) -> bool:
    """Fill the disk at a share of what a job needs, then make room; whether it said so and nothing was lost."""
    mount(disk, int(share * undisturbed.bytes_at_most), again=True)
    code, said = run(job, disk)
    sentences = [line for line in said.splitlines() if line.startswith("understudy: ")]
    clear = code == 1 and "Traceback" not in said and len(sentences) == 1 and "disk is full" in sentences[0]
    whole = whole_files(job, undisturbed, disk)
    mount(disk, 1 << 30, again=True)
    code, said_then = run(job, disk)
    same = not code and contents(disk) == undisturbed.files
    report(job, f"disk full at {share:.0%}", clear and whole, same, said + said_then)
    empty(disk)
    return clear and whole and same


def report(job: Job, what: str, before: bool, same: bool, said: str) -> None:
    """One line for each disturbance, and what was said if it did harm."""
    verdict = "nothing lost, resumed to the same" if before and same else f"LOST {before=} {same=}\n{said}"
    print(f"{job.name}: {what}: {verdict}", flush=True)


def empty(folder: Path) -> None:
    """Remove what is in a folder."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def whole_files(job: Job, undisturbed: Undisturbed, out: Path) -> bool:
    """Whether every file under its final name is the undisturbed run's."""
    if not job.keeps:
        return True
    found = {name: content for name, content in contents(out, finished=False).items() if "manifest" not in name}
    return all(undisturbed.files.get(name) == content for name, content in found.items())


def contents(folder: Path, finished: bool = True) -> dict[str, str]:
    """Every file below a folder by its content, but for how long things took; of a job that ended well, hidden ones
    too, but for locks."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if path.is_file() and path.name != ".lock" and (finished or not hidden):
            files[name] = hashlib.sha256(timeless(path)).hexdigest()
    return files


def timeless(path: Path) -> bytes:
    """A file's content without the seconds that things took."""
    if path.name == "manifest.json":
        return json.dumps(without_times(json.loads(path.read_text())), sort_keys=True).encode()
    if path.name == "report.html":
        return re.sub(rb"made in [\d.]+ s \([\d.]+ s per frame\)", b"", path.read_bytes())
    if path.name == "curves.jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return json.dumps([(line["step"], line["loss"]) for line in lines]).encode()
    return path.read_bytes()


def without_times(value: Any) -> Any:
    """A manifest without seconds and dates, and without the hash of the report, which names them."""
    if isinstance(value, dict):
        times = ("seconds", "made", "report.html")
        return {key: without_times(item) for key, item in value.items() if key not in times}
    return [without_times(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
