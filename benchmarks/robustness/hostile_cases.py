"""The command lines of `hostile.py`: what people and attackers give, verb by verb."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from file_kinds import FILE_KINDS, some_joints, valid_bytes, write_film
from mutations import mutated

import understudy
from benchmarks.robustness.hostile_files import BOMBS, SET_FOLDERS, decoy_panorama, odd_files
from benchmarks.robustness.hostile_run import Case

__all__ = ["all_cases"]

SAMPLE = Path(understudy.__file__).parent / "synthetic/films"
SHOT, HERO = SAMPLE / "sample_shot.mp4", SAMPLE / "sample_character.png"


def all_cases(material: Path, count: int, seed: int) -> list[Case]:
    """At least `count` cases, spread over all verbs; material that takes long to make is made once."""
    makers = (
        (_shots, 0.16),
        (_characters, 0.24),
        (_recast_options, 0.08),
        (_film_folders, 0.17),
        (_sets, 0.09),
        (_shoot_options, 0.06),
        (_models, 0.06),
        (_scene, 0.07),
        (_others, 0.05),
        (_surroundings, 0.04),
    )
    prepare_material(material)
    rng = random.Random(seed)
    cases = []
    for maker, share in makers:
        cases += maker(material, round(count * share) + 1, rng)
    return cases


def prepare_material(folder: Path) -> None:
    """Valid files to damage, a film, a set, a model and a dataset."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("rig", "png", "jpeg", "webp", "tiff", "panorama", "bvh", "camera", "film"):
        (folder / FILE_KINDS[name].file).write_bytes(valid_bytes(FILE_KINDS[name], folder / "scratch"))
    write_film(folder / "nobody.mp4")
    (folder / "set").mkdir(exist_ok=True)
    for number in range(3):
        shutil.copy(folder / "hero.png", folder / "set" / f"view{number}.png")
    commands = {
        "film": [
            "recast",
            SHOT,
            "--character",
            folder / "rig.glb",
            "-o",
            folder / "film",
            "--end",
            "0.3",
            "--quality",
            "draft",
        ],
        "run": ["scene", "train", "--preset", "tiny", "--steps", "2", "-o", folder / "run"],
        "data": [
            "scene",
            "render-dataset",
            "-o",
            folder / "data",
            "--clips",
            "1",
            "--width",
            "64",
            "--height",
            "64",
            "--frames",
            "4",
            "--panorama-width",
            "128",
        ],
    }
    for name, arguments in commands.items():
        if not (folder / name).exists():
            subprocess.run([sys.executable, "-m", "understudy.cli.main", *map(str, arguments)], check=True)


def _with_file(arguments: list[str], content: bytes, name: str, work: Path) -> list[str]:
    """Arguments in which "@" is a file with some content."""
    (work / name).write_bytes(content)
    return [name if argument == "@" else argument for argument in arguments]


def _with_odd(arguments: list[str], make: Callable[[Path], str], work: Path) -> list[str]:
    name = make(work)
    return [name if argument == "@" else argument for argument in arguments]


def _with_odd_of(arguments: list[str], suffix: str, odd: str, work: Path) -> list[str]:
    """Arguments in which "@" is one of the odd files."""
    return _with_odd(arguments, odd_files(suffix)[odd], work)


def _plain(arguments: list[str], work: Path) -> list[str]:
    return arguments


def _damaged(group: str, arguments: list[str], path: Path, count: int, rng: random.Random) -> list[Case]:
    """Cases in which "@" is a damaged copy of a file."""
    content = path.read_bytes()
    return [
        Case(
            group,
            f"{path.name} damaged {number}",
            partial(_with_file, arguments, mutated(content, random.Random(rng.random())), path.name),
        )
        for number in range(count)
    ]


def _odd(group: str, arguments: list[str], suffix: str) -> list[Case]:
    return [
        Case(group, f"{group} {suffix} {odd}", partial(_with_odd_of, arguments, suffix, odd), must_be_refused=True)
        for odd in odd_files(suffix)
        if "\0" not in odd and odd != "null in name"
    ]


def _shots(material: Path, count: int, rng: random.Random) -> list[Case]:
    arguments = ["recast", "@", "--character", str(material / "rig.glb"), "-o", "film"]
    cases = _odd("shots", arguments, ".mp4") + _odd("shots", arguments, "")
    return cases + _damaged("shots", arguments, material / "nobody.mp4", count - len(cases), rng)


def _characters(material: Path, count: int, rng: random.Random) -> list[Case]:
    arguments = ["recast", str(material / "nobody.mp4"), "--character", "@", "-o", "film"]
    cases = [case for suffix in (".png", ".glb", ".vrm", ".jpg") for case in _odd("characters", arguments, suffix)]
    joints = [*arguments, "--joints", "@"]
    joints[4] = str(material / "hero.png")
    document = json.dumps(some_joints()).encode()
    for number in range(20):
        changed = mutated(document, random.Random(rng.random()))
        cases.append(Case("characters", f"joints {number}", partial(_with_file, joints, changed, "joints.json")))
    cases += [Case("characters", f"bomb {name}", partial(_bomb, arguments, name)) for name in BOMBS]
    left = max(count - len(cases), 10)
    for name, share in (("rig.glb", 0.5), ("hero.png", 0.2), ("hero.jpg", 0.1), ("hero.webp", 0.1), ("hero.tif", 0.1)):
        cases += _damaged("characters", arguments, material / name, round(left * share) + 1, rng)
    return cases


def _bomb(arguments: list[str], name: str, work: Path) -> list[str]:
    path = work / name
    BOMBS[name](path)
    return [name if argument == "@" else argument for argument in arguments]


def _recast_options(material: Path, count: int, rng: random.Random) -> list[Case]:
    start = ["recast", str(material / "nobody.mp4"), "--character", str(material / "rig.glb"), "-o", "film"]
    values = [
        "nan",
        "inf",
        "-inf",
        "-1",
        "0",
        "1e309",
        "1e9",
        "9" * 400,
        "",
        "x",
        "٣",
        "\x1b[2J",
        "../x",
        "0x10",
        "1_0",
    ]
    options = [
        "--start",
        "--end",
        "--actor",
        "--height-m",
        "--character-height-m",
        "--quality",
        "--passes",
        "--joints",
        "--cutout",
        "--figure",
        "--frame-rate",
        "--first-frame",
        "--film-codec",
        "--colour-space",
    ]
    pairs = [(option, value) for option in options for value in values]
    rng.shuffle(pairs)
    cases = [
        Case("options", f"{option} {value[:20]!r}", partial(_plain, [*start, option, value]))
        for option, value in pairs[:count]
    ]
    for extra in (["--nothing"], ["-o"], ["--character"], ["film", "film"], ["--start", "2", "--end", "1"]):
        cases.append(Case("options", f"extra {extra}", partial(_plain, start + extra)))
    return cases


# -- Films from somebody else -----------------------------------------------------------------------------------------


def _film_folder(material: Path, change: Callable[[Path], object], work: Path) -> list[str]:
    """A film, changed; the command that made it, given again."""
    shutil.copytree(material / "film", work / "film")
    change(work / "film")
    return [
        "recast",
        str(SHOT),
        "--character",
        str(material / "rig.glb"),
        "-o",
        "film",
        "--end",
        "0.3",
        "--quality",
        "draft",
    ]


def _change_file(name: str, content: bytes, film: Path) -> None:
    (film / name).unlink(missing_ok=True)
    (film / name).parent.mkdir(parents=True, exist_ok=True)
    (film / name).write_bytes(content)


def _make_folder(name: str, film: Path) -> None:
    (film / name).unlink(missing_ok=True)
    (film / name).mkdir(parents=True, exist_ok=True)


def _make_link(name: str, target: str, film: Path) -> None:
    if (film / name).is_dir() and not (film / name).is_symlink():
        shutil.rmtree(film / name)
    (film / name).unlink(missing_ok=True)
    (film / name).symlink_to(target)


def _make_pipe(name: str, film: Path) -> None:
    (film / name).unlink(missing_ok=True)
    os.mkfifo(film / name)


def _manifest_names(pattern: str, film: Path) -> None:
    """A manifest in which files of the film have names that lead elsewhere, and stages are out of date."""
    manifest = json.loads((film / "manifest.json").read_text())
    target = {
        "absolute": str(film.parents[1] / "beside" / "keep.txt"),
        "up": "../../beside/keep.txt",
        "inside up": "actors/../../../beside/keep.txt",
        "backslash": "..\\..\\beside\\keep.txt",
        "null": "a\0b",
        "empty": "",
        "dot": ".",
        "long": "x" * 5000,
    }[pattern]
    for record in manifest["stages"].values():
        record["outputs"] |= {target: "0" * 64}
        record["fingerprint"] = ""
    manifest["written"] |= {target: "0" * 64}
    manifest["arriving"] |= {target: "0" * 64}
    (film / "manifest.json").write_text(json.dumps(manifest))


def _manifest_people(value: object, film: Path) -> None:
    manifest = json.loads((film / "manifest.json").read_text())
    for name, record in manifest["stages"].items():
        if name.endswith("people"):
            record["report"]["people"] = value
    (film / "manifest.json").write_text(json.dumps(manifest))


def _film_folders(material: Path, count: int, rng: random.Random) -> list[Case]:
    film = material / "film"
    files = sorted(file.relative_to(film).as_posix() for file in film.rglob("*") if file.is_file())
    changes: dict[str, Callable[[Path], object]] = {}
    for pattern in ("absolute", "up", "inside up", "backslash", "null", "empty", "dot", "long"):
        changes[f"names {pattern}"] = partial(_manifest_names, pattern)
    for value in (10**9, -1, "many", None, 1e400, [1], {}, True, 0):
        changes[f"people {value!r}"] = partial(_manifest_people, value)
    for name in (".unfinished", "actors", "plate", "camera", "passes", "people", "manifest.json", "film.mp4", ".lock"):
        changes[f"link {name}"] = partial(_make_link, name, "../../beside")
        changes[f"pipe {name}"] = (
            partial(_make_pipe, name) if (film / name).is_file() else partial(_make_link, name, "../../beside/keep.txt")
        )
    for name in files:
        changes[f"folder {name}"] = partial(_make_folder, name)
        changes[f"empty {name}"] = partial(_change_file, name, b"")
    some = list(changes.items())
    rng.shuffle(some)
    first = [pair for pair in some if pair[0].split()[0] in ("names", "people", "link")]
    rest = [pair for pair in some if pair not in first]
    chosen = first + rest[: max(count // 3, 10)]
    readable = [name for name in files if Path(name).suffix in (".json", ".npz", ".bvh", ".glb", ".mkv", ".mp4")]
    for number in range(max(count - len(chosen), 10)):
        name = "manifest.json" if number % 3 == 0 else rng.choice(readable)
        content = mutated((film / name).read_bytes(), random.Random(rng.random()))
        chosen.append((f"damaged {name} {number}", partial(_change_file, name, content)))
    return [Case("film folders", name, partial(_film_folder, material, change)) for name, change in chosen]


# -- Sets, cameras, words and models of `shoot` -----------------------------------------------------------------------


def _set_folder(arguments: list[str], fill: Callable[[Path], object], work: Path) -> list[str]:
    (work / "set").mkdir()
    fill(work / "set")
    return arguments


def _sets(material: Path, count: int, rng: random.Random) -> list[Case]:
    arguments = ["shoot", "--set", "@", "--prompt", "a man walks", "-o", "clip.mp4", "--steps", "1"]
    cases = _odd("sets", arguments, ".png") + _odd("sets", arguments, ".hdr")
    folder = ["shoot", "--set", "set", "-o", "clip.mp4", "--steps", "1"]
    cases += [Case("sets", f"folder {name}", partial(_set_folder, folder, fill)) for name, fill in SET_FOLDERS.items()]
    decoy = ["shoot", "--set", "set/a.hdr", "-o", "clip.mp4", "--steps", "1"]
    cases.append(Case("sets", "decoy", partial(_set_folder, decoy, decoy_panorama)))
    left = max(count - len(cases), 8)
    cases += _damaged("sets", arguments, material / "hero.png", left // 2, rng)
    return cases + _damaged("sets", arguments, material / "set.hdr", left - left // 2, rng)


def _shoot_options(material: Path, count: int, rng: random.Random) -> list[Case]:
    start = ["shoot", "--set", str(material / "set"), "-o", "clip.mp4", "--steps", "1"]
    cameras = [
        f"{move}:{value}"
        for move in ("pan", "arc", "dolly", "none", "")
        for value in ("nan", "1e400", "x", "", "9" * 400)
    ]
    pairs = [("--camera", value) for value in (*cameras, "arc", ":", "arc:1:2", "a.json", "\x1b")]
    pairs += [("--prompt", value) for value in ("x" * 100_000, "\x1b[2J", "\u202e", "", "\ud800", "🎬" * 1000)]
    pairs += [
        (option, value)
        for option in ("--seed", "--steps", "--distance-m", "--guide-words", "--device", "--preset", "--model", "--wan")
        for value in ("nan", "-1", "1e400", "x", "", "../..", "9" * 50)
    ]
    pairs += [
        ("-o", value) for value in ("clip", "/dev/null", "/dev/full", "x" * 300 + ".mp4", "a/b/clip.mp4", ".", "")
    ]
    rng.shuffle(pairs)
    cases = [
        Case("shoot", f"{option} {value[:20]!r}", partial(_plain, [*start, option, value]), outputs=_ANY_CLIP)
        for option, value in pairs[: count * 2 // 3]
    ]
    camera = [*start, "--camera", "@"]
    return cases + _damaged("shoot", camera, material / "source.json", max(count - len(cases), 5), rng)


_ANY_CLIP = ("film", "clip", "clip.mp4", "clip.camera.json", "clip.preview.png", "a", "run", "data")


def _model_folder(material: Path, name: str, content: bytes, work: Path) -> list[str]:
    checkpoint = next(path.parent for path in sorted((material / "run").rglob("model.json")))
    shutil.copytree(checkpoint, work / "model")
    (work / "model" / name).write_bytes(content)
    return ["shoot", "--set", str(material / "set"), "--model", "model", "-o", "clip.mp4", "--steps", "1"]


def _models(material: Path, count: int, rng: random.Random) -> list[Case]:
    checkpoint = next(path.parent for path in sorted((material / "run").rglob("model.json")))
    cases = []
    for number in range(count):
        name = ("model.json", "model.json", "model.safetensors", "wan.json")[number % 4]
        source = checkpoint / (name if (checkpoint / name).exists() else "model.json")
        content = mutated(source.read_bytes(), random.Random(rng.random()))
        cases.append(Case("models", f"{name} {number}", partial(_model_folder, material, name, content)))
    return cases


# -- The rest ---------------------------------------------------------------------------------------------------------


def _run_folder(source: Path, name: str, content: bytes, arguments: list[str], folder: str, work: Path) -> list[str]:
    shutil.copytree(source, work / folder)
    (work / folder / name).write_bytes(content)
    return arguments


def _scene(material: Path, count: int, rng: random.Random) -> list[Case]:
    cases = []
    train = ["scene", "train", "--preset", "tiny", "--steps", "2", "-o", "run"]
    for option in ("--preset", "--variant", "--geometry", "--data", "--minutes", "--steps", "--seed", "--wan"):
        for value in ("nan", "-1", "1e400", "x", "/dev/null", ""):
            cases.append(Case("scene", f"train {option} {value}", partial(_plain, [*train, option, value])))
    for option in ("--clips", "--width", "--height", "--frames", "--panorama-width", "--seed", "--split"):
        for value in ("nan", "-1", "0", "9" * 30, "1e9"):
            arguments = ["scene", "render-dataset", "-o", "data", option, value]
            cases.append(Case("scene", f"render-dataset {option} {value[:9]}", partial(_plain, arguments)))
    rng.shuffle(cases)
    cases = cases[: count // 2]
    for source, arguments, folder in (
        (material / "run", ["scene", "evaluate", "run", "--clips", "1", "--steps", "1"], "run"),
        (material / "run", train, "run"),
        (
            material / "data",
            ["scene", "train", "--preset", "tiny", "--steps", "2", "--data", "data", "-o", "run"],
            "data",
        ),
    ):
        files = sorted(file.relative_to(source).as_posix() for file in source.rglob("*") if file.is_file())
        for number in range(max((count - count // 2) // 3, 2)):
            name = rng.choice(files)
            content = mutated((source / name).read_bytes(), random.Random(rng.random()))
            make = partial(_run_folder, source, name, content, arguments, folder)
            cases.append(Case("scene", f"{arguments[1]} {name} {number}", make))
    return cases


def _others(material: Path, count: int, rng: random.Random) -> list[Case]:
    words = [
        [],
        ["--help"],
        ["--version"],
        ["nothing"],
        ["\x1b[2J"],
        ["x" * 100_000],
        ["recast"],
        ["shoot"],
        ["scene"],
        ["scene", "nothing"],
        ["doctor", "x"],
        ["weights", "fetch", "nothing"],
        ["weights", "verify", "\x1b"],
        ["evaluate", "nothing", "--truth", "nothing"],
        ["evaluate", "transfer", "--moves", "sideways"],
        ["evaluate", "transfer", "--shots", "0"],
        ["evaluate", "transfer", "--frames", "-1"],
    ]
    cases = [Case("others", f"words {number}", partial(_plain, line)) for number, line in enumerate(words)]
    motions = ["evaluate", "transfer", "--motions", "@", "--shots", "1", "--frames", "8", "-o", "run"]
    cases += _odd("others", motions, ".bvh")[: count // 3]
    return cases + _damaged("others", motions, material / "motion.bvh", max(count - len(cases), 5), rng)


def _surroundings(material: Path, count: int, rng: random.Random) -> list[Case]:
    recast = ["recast", str(material / "nobody.mp4"), "--character", str(material / "rig.glb"), "-o", "film"]
    shoot = ["shoot", "--set", str(material / "set"), "-o", "clip.mp4", "--steps", "1"]
    surroundings = {
        "no TMPDIR": {"TMPDIR": "/nonexistent"},
        "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0"},
        "no HOME": {"HOME": "/nonexistent"},
        "empty PATH": {"PATH": ""},
        "cache is a file": {"UNDERSTUDY_CACHE": "/dev/null"},
        "narrow": {"COLUMNS": "1"},
        "cache elsewhere": {"UNDERSTUDY_CACHE": "/proc/nothing"},
        "latin": {"PYTHONIOENCODING": "latin-1"},
        "dumb": {"TERM": "dumb"},
        "no colour": {"NO_COLOR": "1"},
    }
    lines = {"recast": recast, "shoot": shoot, "doctor": ["doctor"], "weights": ["weights", "list"]}
    return [
        Case("surroundings", f"{verb} {name}", partial(_plain, line), environment=environment)
        for name, environment in surroundings.items()
        for verb, line in lines.items()
    ][: max(count, 40)]
