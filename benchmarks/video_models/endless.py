"""How fast the ray caster makes clips: frames per second of one thread, with and without a subject.

    python -m benchmarks.video_models.endless [--device cpu] [--clips 16] [--rounds 5]

A frame has 2 × 2 rays per pixel. Seconds are the process's own, so that neighbours on the machine count little; the
best of several rounds is given. Writes `results/endless.json`.
"""

import argparse
import time
from collections.abc import Callable

import torch

from benchmarks.record import save, table
from understudy.synthetic.worlds.endless import ClipMix, ClipSizes, EndlessClips

SIZES_PX = (32, 48, 64)
FRAMES, CROPS = 9, 6


def main() -> None:
    """Measure all sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measure(size, options.device, options.clips, options.rounds) for size in SIZES_PX]
    print(table(rows))
    name = "endless" if options.device == "cpu" else f"endless_{torch.device(options.device).type}"
    print(save(name, {"torch": torch.__version__, "threads": 1, "clips_at_once": options.clips, "sizes": rows}))


def measure(size: int, device: str, batch: int, rounds: int) -> dict[str, float]:
    """Frames per second with and without a subject, crops and whole clips per second."""
    clips = EndlessClips(0, ClipSizes(FRAMES, size, size, CROPS, size), device, mix=ClipMix(empty_share=0.0))
    scene = clips.describe(range(batch))
    share = torch.linspace(0, 1, FRAMES, device=device).expand(batch, FRAMES)
    path = scene.moves.T_start_camera(share)
    both = seconds(lambda: clips.frames(scene, path, share), device, rounds)
    empty = seconds(lambda: clips.empty_views(scene, path), device, rounds)
    crops = seconds(lambda: clips.context(scene), device, rounds)
    whole = seconds(lambda: clips.clips(range(batch)), device, rounds)
    return {
        "size_px": size,
        "with_subject_frames_per_s": batch * FRAMES / both,
        "without_subject_frames_per_s": batch * FRAMES / empty,
        "crops_per_s": batch * CROPS / crops,
        f"clips_of_{FRAMES}_frames_and_{CROPS}_crops_per_s": batch / whole,
    }


def seconds(work: Callable[[], object], device: str, rounds: int) -> float:
    """The shortest of several runs, after one to warm up."""
    on_cpu = torch.device(device).type == "cpu"
    clock = time.process_time if on_cpu else time.perf_counter
    work()
    best = float("inf")
    for _ in range(rounds):
        if not on_cpu:
            torch.cuda.synchronize()
        start = clock()
        work()
        if not on_cpu:
            torch.cuda.synchronize()
        best = min(best, clock() - start)
    return best


if __name__ == "__main__":
    main()
