"""What hostile and broken input does: a thousand command lines and a hundred thousand damaged files.

    python -m benchmarks.robustness.hostile --out build/hostile [--mutations 100000] [--cases 1000] [--processes 2]

Damaged files are read in processes of their own, kind by kind (`tests/fuzz`): each must give a result or one printable
sentence. Command lines (`hostile_cases.py`) run `understudy`'s own main in a process each, most of them forked from one
in which the modules are loaded, every twentieth as a program from its start. Counted are

- tracebacks: anything else than an exit code of the tree of errors with its sentence, or a crash,
- files outside: anything beside the folder that was named as output, in the case's folder or in the package, that was
  made, changed or removed,
- memory and seconds of refusals: the peak above what the loaded modules take, and for programs from their start the
  peak itself, where PyTorch is not needed (it takes more by itself); seconds of the processor.

A command that is not refused runs for at most twenty seconds, then it is asked to end (SIGTERM), which must be as
quiet. Writes `results/hostile.json`; either part may run alone (the other's number 0) and keeps what is known of the
other. Every flagged input is kept below --out, in `flagged/`.
"""

import argparse
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from benchmarks.record import RESULTS, commit, save, table

sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / folder) for folder in ("", "fuzz")]

from file_kinds import FILE_KINDS, valid_bytes  # noqa: E402
from mutations import mutated  # noqa: E402

from benchmarks.robustness.hostile_cases import all_cases  # noqa: E402
from benchmarks.robustness.hostile_run import Case, Outcome, run_case  # noqa: E402
from understudy.runtime.errors import UnderstudyError  # noqa: E402

MAX_MB, MAX_S = 300, 5.0
PIECE = 500
WITH_PYTORCH = ("models", "scene", "others")
"""Groups of command lines that load PyTorch before they read anything."""
SLOW = {"film": 3, "matte": 2, "rig": 2, "manifest": 2}
"""Kinds that get a part of the others' number."""


def main() -> None:
    """Run both parts, and say what was flagged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    (options.out / "flagged").mkdir(parents=True)
    parts = {
        "mutations": (options.mutations, 100_000, read_damaged),
        "command_lines": (options.cases, 1000, run_commands),
    }
    for name, (count, enough, run) in parts.items():
        if count:
            figures = {"commit": commit(), "date": datetime.now(UTC).date().isoformat()} | run(options)
            print(json.dumps(figures, indent=1))
            if count >= enough:
                print(save("hostile", kept() | {name: figures}))


def kept() -> dict:
    """What the last run found of the other part."""
    path = RESULTS / "hostile.json"
    content = json.loads(path.read_text()) if path.exists() else {}
    return {name: content[name] for name in ("mutations", "command_lines") if name in content}


def read_damaged(options: argparse.Namespace) -> dict:
    """Damaged files, in pieces of one kind each."""
    shares = {name: 1 / SLOW.get(name, 1) for name in FILE_KINDS}
    each = options.mutations / sum(shares.values())
    pieces = []
    for name, share in shares.items():
        count = int(each * share) + 1
        pieces += [(name, first, min(PIECE, count - first)) for first in range(0, count, PIECE)]
    random.Random(options.seed).shuffle(pieces)
    rows: dict[str, Counter] = {name: Counter() for name in FILE_KINDS}
    with ThreadPoolExecutor(options.processes) as pool:
        jobs = {pool.submit(in_own_process, *piece, options.seed, options.out / "flagged"): piece for piece in pieces}
        for done, job in enumerate(as_completed(jobs), 1):
            name = jobs[job][0]
            found = job.result()
            for key, value in found.items():
                rows[name][key] = max(rows[name][key], value) if key.startswith("most") else rows[name][key] + value
            if done % 20 == 0 or done == len(jobs):
                total = sum(row["read"] + row["refused"] for row in rows.values())
                print(f"{done} of {len(jobs)} pieces, {total} files", flush=True)
    keys = ("read", "refused", "tracebacks", "crashed", "too_large", "too_slow", "most_mb_refused", "most_s_refused")
    kinds = [{"kind": name} | {key: row[key] for key in keys} for name, row in rows.items()]
    print(table(kinds))
    totals = {key: sum(row[key] for row in rows.values()) for key in keys[:6]}
    peaks = {key: max(row[key] for row in rows.values()) for key in keys[6:]}
    return totals | peaks | {"kinds": kinds}


def in_own_process(name: str, first: int, count: int, seed: int, flagged: Path) -> dict[str, float]:
    """`read_piece` in a process of its own: one that a library crashes takes no other piece with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(read_piece, name, first, count, seed, flagged).result()
        except BrokenProcessPool:
            print(f"the process of {name} {first} … {first + count - 1} crashed", flush=True)
            return {"crashed": 1}


def read_piece(name: str, first: int, count: int, seed: int, flagged: Path) -> dict[str, float]:
    """Read so many damaged files of a kind; what became of them."""
    kind, tally = FILE_KINDS[name], Counter()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  Decoders talk.
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = folder / kind.file
        valid = valid_bytes(kind, folder)
        for number in range(first, first + count):
            content = mutated(valid, random.Random(f"{seed} {name} {number}"))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            problems = _read_one(kind.read, path, tally)
            if problems:
                keep = flagged / f"{name.replace(' ', '_')}_{number}_{path.name}"
                keep.write_bytes(content)
                keep.with_name(keep.name + ".txt").write_text(problems)
    return dict(tally)


def _read_one(read, path: Path, tally: Counter) -> str:
    """Read one file and count; returns what is wrong with how that went, if anything is."""
    Path("/proc/self/clear_refs").write_text("5")  # The peak starts anew (Linux, proc(5)).
    before, started = _memory_mb("VmRSS"), time.process_time()
    problems = ""
    try:
        read(path)
        refused = False
    except UnderstudyError as error:
        refused = True
        text = str(error)
        if not text.isprintable() or not 10 < len(text) <= 1000:
            problems = f"message {text!r}"
            tally["tracebacks"] += 1
    except BaseException:
        refused = True
        problems = traceback.format_exc()
        tally["tracebacks"] += 1
    seconds, grown_mb = time.process_time() - started, _memory_mb("VmHWM") - before
    tally["refused" if refused else "read"] += 1
    if refused:
        tally["most_mb_refused"] = max(tally["most_mb_refused"], round(grown_mb))
        tally["most_s_refused"] = max(tally["most_s_refused"], round(seconds, 2))
        if grown_mb > MAX_MB:
            tally["too_large"] += 1
            problems += f"took {grown_mb:.0f} MB\n"
        if seconds > MAX_S:
            tally["too_slow"] += 1
            problems += f"took {seconds:.1f} s\n"
    return problems


def _memory_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(field + ":")[1].split()[0]) / 1024


def run_commands(options: argparse.Namespace) -> dict:
    """All command lines, a few at a time."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cases = all_cases(options.out / "material", options.cases, options.seed)
    rows: dict[str, Counter] = {}
    with ProcessPoolExecutor(options.processes, mp_context=get_context("fork")) as pool:
        jobs = {
            pool.submit(run_case, case, options.out / "cases" / f"{number:04d}", number % 20 == 0): case
            for number, case in enumerate(cases)
        }
        for done, job in enumerate(as_completed(jobs), 1):
            case, outcome = jobs[job], job.result()
            _count(rows.setdefault(case.group, Counter()), case, outcome)
            problems = problems_of(case, outcome)
            if problems:
                keep = options.out / "flagged" / f"case_{case.name.replace('/', '_')[:80]}.txt"
                keep.write_text(f"{problems}\n{outcome.arguments}\nexit {outcome.exit_code}\n{outcome.said}")
            if done % 50 == 0 or done == len(jobs):
                print(f"{done} of {len(jobs)} command lines", flush=True)
    keys = ("run", "refused", "finished", "ended", "tracebacks", "outside", "not_refused", "too_large", "too_slow")
    peaks = ("most_mb_refused", "most_mb_program", "most_s_refused")
    groups = [{"group": name} | {key: row[key] for key in (*keys, *peaks)} for name, row in sorted(rows.items())]
    print(table(groups))
    totals = {key: sum(row[key] for row in rows.values()) for key in keys}
    return totals | {key: max(row[key] for row in rows.values()) for key in peaks} | {"groups": groups}


def problems_of(case: Case, outcome: Outcome) -> list[str]:
    """What is wrong with how a command went."""
    problems = []
    if outcome.traceback:
        problems.append("traceback")
    if outcome.outside:
        problems.append(f"outside: {outcome.outside}")
    if case.must_be_refused and not outcome.refused:
        problems.append("not refused")
    if _too_large(case, outcome):
        problems.append(f"{outcome.memory_mb:.0f} MB")
    if outcome.refused and outcome.seconds > MAX_S:
        problems.append(f"{outcome.seconds:.1f} s")
    return problems


def _too_large(case: Case, outcome: Outcome) -> bool:
    """Whether a refusal took too much; of a program from its start only where PyTorch is not loaded first."""
    counts = not outcome.program or case.group not in WITH_PYTORCH
    return outcome.refused and counts and outcome.memory_mb > MAX_MB


def _count(row: Counter, case: Case, outcome: Outcome) -> None:
    row["run"] += 1
    row["refused"] += outcome.refused
    row["finished"] += outcome.exit_code == 0
    row["ended"] += outcome.ended
    row["not_refused"] += case.must_be_refused and not outcome.refused
    row["tracebacks"] += outcome.traceback
    row["outside"] += bool(outcome.outside)
    if outcome.refused:
        row["too_large"] += _too_large(case, outcome)
        row["too_slow"] += outcome.seconds > MAX_S
        peak = "most_mb_program" if outcome.program else "most_mb_refused"
        row[peak] = max(row[peak], round(outcome.memory_mb))
        row["most_s_refused"] = max(row["most_s_refused"], round(outcome.seconds, 2))


if __name__ == "__main__":
    main()
