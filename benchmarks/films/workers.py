"""How much faster a recast is on more cores.

    python -m benchmarks.films.workers --data ../shared/data --out build/workers [--shot pullout_boy_path] [--end 1.0]

Recasts one shot with the knight by 1, 2, 4, 8 and 16 workers, as far as there are cores, each in a process of its own.
Efficiency is the time with one worker over the time with n, divided by n. All films must be the same file. Writes
`results/workers.json`, unless a part of a shot is recast. Nothing else may run on the machine meanwhile.
"""

import argparse
import shutil
from pathlib import Path

from benchmarks.films.recast import run_understudy, transcode_s
from benchmarks.record import save, table
from understudy.io.video.streams import open_shot
from understudy.runtime.parallel import available_cores
from understudy.studio.project import file_hash

WORKERS = (1, 2, 4, 8, 16)


def main() -> None:
    """Run the whole benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shot", default="pullout_boy_path")
    parser.add_argument("--end", type=float)
    options = parser.parse_args()
    path, character = options.data / f"shots/{options.shot}.mp4", options.data / "rigs/knight.glb"
    shot = open_shot(path, None, options.end)
    transcoding_s = transcode_s(shot)
    rows, films = [], set()
    for workers in (count for count in WORKERS if count <= available_cores()):
        folder = options.out / f"{workers}"
        shutil.rmtree(folder, ignore_errors=True)
        given = ["--workers", str(workers), *(["--end", str(options.end)] if options.end else [])]
        seconds, cpu_seconds, peak_mb, code = run_understudy(path, character, folder, *given)
        if code != 0:
            raise SystemExit(f"a recast by {workers} workers ended with {code}; see {folder.with_suffix('.log')}")
        films.add(file_hash(folder / "film.mp4"))
        alone_s = rows[0]["s"] if rows else seconds
        rows.append(
            {
                "workers": workers,
                "s": round(seconds, 2),
                "s_per_frame": round(seconds / len(shot), 3),
                "times_transcoding": round(seconds / transcoding_s, 1),
                "cpu_s_per_frame": round(cpu_seconds / len(shot), 3),
                "wall_over_cpu": round(seconds / cpu_seconds, 3),
                "efficiency": round(alone_s / (workers * seconds), 3),
                "peak_mb": peak_mb,
            }
        )
        print(table(rows[-1:]), flush=True)
    print(table(rows))
    if options.end is None:
        print(save("workers", {"shot": options.shot, "frames": len(shot), "same_film": len(films) == 1, "runs": rows}))
    if len(films) > 1:
        raise SystemExit("the films differ")


if __name__ == "__main__":
    main()
