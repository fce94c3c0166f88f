"""Writes docs/benchmarks.md, and the figures of README.md, from benchmarks/results/*.json; no figure is typed by hand.

    python -m benchmarks.page

A result that no section here knows is shown as it is, under "Other results".
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.character_figures import characters
from benchmarks.record import RESULTS
from benchmarks.scene_figures import ablations, mini, mini_in_short, picture_order
from benchmarks.tables import listed, origin, plain
from scripts.markdown import anchor, replaced, table
from understudy.evaluation.transfer_page import PAPER as DREAMCINEMA

__all__ = ["page", "readme"]

ROOT = Path(__file__).parents[1]
PAGE, README = ROOT / "docs/benchmarks.md", ROOT / "README.md"

Results = dict[str, dict[str, Any]]


def results() -> Results:
    """Every result by its name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}


def page() -> str:
    """The page as text."""
    found = results()
    parts = [
        "# Benchmarks\n",
        "<!-- Written by benchmarks/page.py from benchmarks/results/*.json: measure anew, then `make docs`. -->\n",
        "Every figure here stands in a file of [benchmarks/results](../benchmarks/results), written by the program that"
        " is named beside it; each file says with which commit, when and on which machine. Terms are explained in"
        " [glossary.md](glossary.md).\n",
        *(f"- [{title}](#{anchor(title)})" for title in SECTIONS),
    ]
    for title, (names, section) in SECTIONS.items():
        there = [name for name in names if name in found]
        parts += [f"\n## {title}\n", section(found) if there == list(names) else "Not measured yet.\n"]
        parts += [origin(name, found[name]) for name in there]
    known = {name for names, _ in SECTIONS.values() for name in names}
    others = [name for name in found if name not in known]
    if others:
        parts.append("\n## Other results\n")
        parts += [f"### {name}\n\n{listed(found[name])}\n{origin(name, found[name])}" for name in others]
    return "\n".join(parts).rstrip() + "\n"


def known_truth(found: Results) -> str:
    """Camera and body on synthetic shots."""
    rows = [
        {
            "Camera move": row["move"].replace("_", "-"),
            "Kind of move found": row["branch"] + ("" if row["branch_right"] else " (wrong)"),
            "Camera rotation, mean error": f"{row['camera_rotation_deg']:.2f}°",
            "Path error / path length": f"{row['camera_path_percent']:.2f} %",
            "Body joints, root-aligned (MPJPE)": f"{row['mpjpe_mm']:.0f} mm",
            "World joints (WA-MPJPE)": f"{row['wa_mpjpe_mm']:.0f} mm",
            "Feet slide, a frame": f"{row['foot_slide_mm']:.1f} mm",
        }
        for row in found["truth"]["moves"]
    ]
    moves = found["truth"]["moves"]
    rows.append({
        "Camera move": "mean",
        "Kind of move found": f"{sum(row['branch_right'] for row in moves)} of {len(moves)} right",
        "Camera rotation, mean error": f"{mean(row['camera_rotation_deg'] for row in moves):.2f}°",
        "Path error / path length": f"{mean(row['camera_path_percent'] for row in moves):.2f} %",
        "Body joints, root-aligned (MPJPE)": f"{mean(row['mpjpe_mm'] for row in moves):.0f} mm",
        "World joints (WA-MPJPE)": f"{mean(row['wa_mpjpe_mm'] for row in moves):.0f} mm",
        "Feet slide, a frame": f"{mean(row['foot_slide_mm'] for row in moves):.1f} mm",
    })  # fmt: skip
    return (
        "Six shots of actors on sets, rendered with known camera, body and motion, and analysed from their pixels"
        f" (`python -m benchmarks.films.truth`).\n\n{table(rows)}"
    )


def transfer(found: Results) -> str:
    """DreamCinema's table, and what becomes of new bodies."""
    result = found["transfer"]
    rows = []
    for move, row in result["reference"].items():
        paper = DREAMCINEMA.get(move)
        ours = (100 * row["pixel_agreement"], 100 * row["iou"], row["mpjpe_mm"])
        rows.append({
            "Camera move": move.replace("_", "-"),
            "PA % / IoU % / MPJPE mm": "{:.1f} / {:.1f} / {:.0f}".format(*ours),
            "DreamCinema": "{:.1f} / {:.1f} / {:.0f}".format(*paper) if paper else "–",
            "MPJPE, height given": f"{height_given_mm(row):.0f} mm",
            "World joints (WA-MPJPE)": f"{row['wa_mpjpe_mm']:.0f} mm",
            "Camera rotation": f"{row['camera_rotation_deg']:.3f}°",
            "Feet slide, a frame": f"{row['foot_slide_mm']:.1f} mm",
        })  # fmt: skip
    new = [row for row in result["rows"] if row["stature"] is not None and row["adapt"]]
    lines = []
    for stature in sorted({row["stature"] for row in new}):
        line = {"New body's height / actor's": f"{stature:g}"}
        for fitted, name in ((True, "camera fitted"), (False, "camera as it was")):
            here = [r["figures"] for r in new if r["stature"] == stature and r["camera_fit"] == fitted]
            for key, figure in (("box_height_percent", "box height"), ("box_centre_percent", "box centre")):
                line[f"{figure}, {name}"] = f"{mean(r[key] for r in here):.1f} %" if here else "–"
        lines.append(line)
    seen, real = result["detection"], result.get("detection_real")
    return "\n".join([
        "Shots of actors from child to heavy man, from their pixels (`python -m benchmarks.films.transfer`): the"
        " motion is put on the actor's own body and the camera fitted to it. PA and IoU compare silhouettes."
        " DreamCinema's figures are those of its table I, on its own shots. One camera does not tell how tall anybody"
        " is: a child is taken for an adult further away, unless `--height-m` says so; the column \"height given\" is"
        f" measured that way.\n\n{table(rows)}",
        "New bodies: how far the silhouette's box is from the actor's, in percent of the picture's height, means over"
        f" all moves.\n\n{table(lines)}" if lines else "",
        f"The landmark model finds the synthetic actors in {100 * seen['frames_seen']:.1f} % of the frames"
        f" (mean visibility {seen['visibility']:.2f})"
        + (f", people in real shots in {100 * real['frames_seen']:.1f} % ({real['visibility']:.2f})" if real else "")
        + ".\n",
    ])  # fmt: skip


def height_given_mm(row: dict[str, float]) -> float:
    """MPJPE of a row with the actor's height given; results have called it two names."""
    return row.get("height_given_mpjpe_mm", row.get("told_mpjpe_mm", float("nan")))


def camera_fitting(found: Results) -> str:
    """Our fit against the inversion of a radiance field."""
    result = found["camera_fit"]
    rows = [
        {
            "Camera fit": {
                "plate": "the plate's camera kept (default)",
                "points": "on joints and surface points",
                "dnerf": "deformable radiance field",
            }[name]
        }
        | {key: f"{value:.2f}" for key, value in figures.items()}
        for name, figures in result["mean"].items()
    ]
    field = result["field"]
    return (
        "DreamCinema fits the camera by inverting a deformable radiance field (D-NeRF). All fits, on the same bodies"
        f" and cameras (`python -m benchmarks.films.camera_fit`; the field is small: {field['picture_px']} pixels,"
        f" {field['layers']} layers of {field['neurons']} neurons, {field['training_steps']} training steps, on a CPU)."
        f" It takes {result['times_faster']:.0f} times as long.\n\n{table(rows)}"
    )


def real_shots(found: Results) -> str:
    """Speed, memory and quality on real shots."""
    result, rows = found["recast"]["summary"], found["recast"]["shots"]
    finished, memory = result["finished_with_clip_kept"], result.get("memory_at_4x_length_mb")
    second = [row for row in rows if row["size"] == "1280x720"]
    facts = [
        ("shots finished with frame count, rate, duration and sound kept, with a rig / with a picture",
         f"{finished['rig']} / {finished['picture']} of {result['shots']}"),
        ("all stages, 1280×720 shots, median: as many times as transcoding the shot takes (x264, medium)",
         f"{result['median_times_transcoding_1280x720']:.1f}"),
        ("the same, a second character in the same shot",
         f"{median(row['picture_times_transcoding'] for row in second):.1f}"),
        ("all stages, seconds a frame: on the clock / CPU seconds of all cores",
         f"{result['median_s_per_1280x720_frame']:.1f} / {result['median_cpu_s_per_1280x720_frame']:.1f}"),
        ("peak memory", f"{result['peak_mb'] / 1000:.1f} GB" if result["peak_mb"] else "–"),
        ("how much memory grows when a shot is four times as long",
         f"{100 * (memory[1] / memory[0] - 1):.0f} %" if memory else "–"),
        ("a given mask of the actor (`static_tennis_serve`), intersection over union: mean; worst frame",
         f"{result['tennis_mask_iou']:.2f}; {result['tennis_mask_iou_worst_frame']:.2f}"),
        ("the fitted body's silhouette against the matte, intersection over union, median",
         f"{median(row['body_iou'] for row in rows):.2f}"),
    ]  # fmt: skip
    facts += [(name, plain(value)) for name, value in result.items() if name not in KNOWN]
    shots = [
        {
            "Shot": f"`{row['shot']}`", "Size": row["size"].replace("x", "×"), "Frames": str(row["frames"]),
            "Move": row["move"], "× transcoding": f"{row['rig_times_transcoding']:.1f}",
            "CPU s a frame": f"{row['rig_cpu_s_per_frame']:.2f}",
            "second character": f"{row['picture_times_transcoding']:.1f}",
            "Joints, % of height": f"{row['body_percent']:.2f}", "Body IoU": f"{row['body_iou']:.2f}",
            "Plate made up": f"{100 * row['plate_made_up']:.0f} %",
        }
        for row in rows
    ]  # fmt: skip
    return (
        "Real shots, each recast with a rig, then with a picture in the same folder"
        f" (`python -m benchmarks.films.recast`).\n\n{facts_table(facts)}\n{table(shots)}"
    )


KNOWN = {
    "finished_with_clip_kept", "shots", "median_s_per_1280x720_frame", "median_cpu_s_per_1280x720_frame",
    "median_times_transcoding_1280x720", "peak_mb", "tennis_mask_iou", "tennis_mask_iou_worst_frame",
    "memory_at_4x_length_mb", "memory_at_4x_length_commit",
}  # fmt: skip
"""Figures of the summary that have words of their own; others are shown by their names."""


def facts_table(facts: Iterable[tuple[str, str]]) -> str:
    """Figures with what each is."""
    return table([{"Figure": what, "Value": value} for what, value in facts])


def cuts(found: Results) -> str:
    """Our finder of cuts beside PySceneDetect's."""
    result = found["cuts"]
    rows = [{name: plain(value) for name, value in row.items()} for row in result["rows"]]
    return (
        f"{result['films_of_each_kind']} films of each kind, {result['frames']} frames, joined from real shots: hard"
        " cuts, punch-ins (the same camera, nearer), fades and dissolves, and what is no cut"
        f" (`python -m benchmarks.films.cuts`). The other finders are PySceneDetect's, as they come.\n\n{table(rows)}"
    )


def cut_outs_and_plates(found: Results) -> str:
    """Cut-outs of characters, and clean plates beside moving things."""
    cutout, plates = found["cutout"], found["plate_things"]["shots"]
    altered = [row["thing_altered_percent"] for row in plates]
    facts = [
        (f"figures cut out of {len(cutout['portraits'])} made pictures (shadows, floor lines, white on white) with an"
         f" overlap of {cutout['target_iou']:g} or more; the lowest (`benchmarks.films.cutout`)",
         f"{cutout['reached']}; {cutout['lowest_iou']:.3f}"),
        (f"of a bird, ball, car, flag or cloud's shadow beside the actor: pixels that the clean plate alters,"
         f" {len(plates)} shots, median; worst (`benchmarks.films.plate_things`)",
         f"{median(altered):.1f} %; {max(altered):.1f} %"),
        ("the same: the worst single frame, of a thing that crosses the actor",
         f"{max(row['worst_frame_percent'] for row in plates):.0f} %"),
    ]  # fmt: skip
    return facts_table(facts)


def light(found: Results) -> str:
    """The light found in a shot against the light of the set."""
    result = found["light"]
    columns = (
        ("Key light off, °", "key_off_deg"), ("Its tint off, %", "key_tint_off_percent"),
        ("Light on the visible side off, %", "irradiance_off_percent"), ("Its level, 1 is right", "level"),
        ("Its tint off, %", "tint_off_percent"),
    )  # fmt: skip
    names = ["Shot", "Found by", *(f"{head}{' ' * number}" for number, (head, _) in enumerate(columns))]
    rows = [
        dict(zip(names, [row["shot"] + (" *(held out)*" if row["held_out"] else ""), row["found_by"],
                         *(f"{row[key]:g}" for _, key in columns)], strict=True))
        for row in result["shots"]
    ]  # fmt: skip
    for name, part in result["summary"].items():
        rows.append(dict(zip(names, [f"median, {name}", "–", *(f"{part[key]:g}" for _, key in columns)], strict=True)))
    return (
        "The light of a set, found in a shot of it with true plate, matte and body, against the light that it was"
        f" filmed in (`python -m benchmarks.films.light`).\n\n{table(rows)}"
    )


def contact(found: Results) -> str:
    """Where a character's feet stand."""
    result = found["contact"]
    names = {"plate": "the plate's camera kept (default)", "points": "fitted to points on the bodies"}
    rows = [
        {
            "Camera": names[row["camera"]],
            "Feet off, % of the actor's height: median; worst shot": f"{row['contact_off_median_percent']:.1f};"
            f" {row['contact_off_worst_percent']:.1f}",
            "Size off, %": f"{row['size_off_median_percent']:.1f}",
        }
        for row in result["summary"]
    ]
    each = [
        {"Shot": row["move"], "Rig": row["rig"], "Camera": row["camera"]}
        | {
            "Feet off, %: median; 90 %": f"{row['contact_off_percent']:.1f}; {row['contact_off_90_percent']:.1f}",
            "Above the ground, %": f"{row['hovers_percent']:.1f}",
            "Size off, %": f"{row['size_off_percent']:.1f}",
        }
        for row in result["shots"]
    ]
    return (
        "Where standing feet are in the picture, against the same rig with the actor's true motion under the true"
        f" camera (`python -m benchmarks.films.contact`).\n\n{table(rows)}\n{table(each)}"
    )


def robustness(found: Results) -> str:
    """Damaged files, hostile command lines, kills and full disks."""
    files, lines = found["hostile"]["mutations"], found["hostile"]["command_lines"]
    jobs = found["interruptions"]["jobs"]
    facts = [
        (f"damaged files read: {files['read'] + files['refused']:,}: tracebacks; crashes; most memory and time that a"
         " refusal took (`benchmarks.robustness.hostile`)",
         f"{files['tracebacks']}; {files['crashed']}; {files['most_mb_refused']} MB, {files['most_s_refused']:g} s"),
        (f"hostile command lines run: {lines['run']}: tracebacks; files touched beside the output's folder; longest"
         " refusal (`benchmarks.robustness.hostile`)",
         f"{lines['tracebacks']}; {lines['outside']}; {lines['most_s_refused']:g} s"),
        ("recast, shoot and train killed: resumed to the same bytes (`benchmarks.robustness.interruptions`)",
         f"{sum(job['resumed to the same'] for job in jobs)} of {sum(job['kills'] for job in jobs)}"),
        ("the same jobs on a disk that filled up: one sentence, then resumed to the same bytes",
         f"{sum(job['one sentence, resumed to the same'] for job in jobs)} of {sum(j['disk full'] for j in jobs)}"),
    ]  # fmt: skip
    return facts_table(facts)


def speeds(found: Results) -> str:
    """Of the generators of data, the training step and the scene encoder."""
    endless, step, vggt = found["endless"], found["training_mini_cpu"], found["vggt"]["sizes"][0]
    generator = found["generator"]
    rates, blender = generator["frames_per_s"], generator.get("blender") or {}
    facts = [
        *((f"endless clips of {row['size_px']} pixels, frames a second of one thread: with the subject; without",
           f"{row['with_subject_frames_per_s']:.0f}; {row['without_subject_frames_per_s']:.0f}")
          for row in endless["sizes"]),
        (
            "clips of our own renderer with all truth, {}×{}, frames a second: one core; {} cores; with set-up and"
            " videos".format(*generator["size"], generator["cores"]),
            "; ".join(f"{rate:.1f}" for rate in rates.values()),
        ),
        *([("the same scene in Blender " + blender["version"], f"{blender['frames_per_s']:.1f}")] if blender else []),
        (
            f"training `mini` ({step['parameters'] / 1e6:.1f} million parameters) on two cores: clips a second; share"
            " of the processor's rate of matrix products",
            f"{step['samples_per_s']:.0f}; {100 * step['share_of_matrix_rate']:.0f} %",
        ),
        ("VGGT's encoder: our time / the reference's; our memory / the reference's",
         f"{vggt['encoder_time_ratio']:.2f}; {vggt['encoder_memory_ratio']:.2f}"),
    ]  # fmt: skip
    return facts_table(facts)


def time_and_memory(found: Results) -> str:
    """Of a recast: by number of workers, by stage and by function, and with large pictures."""
    workers, profile, large = found["workers"], found["profile"], found["profile_3840"]
    runs = [
        {
            "Workers": str(run["workers"]),
            "Seconds a frame": f"{run['s_per_frame']:.2f}",
            "× transcoding": f"{run['times_transcoding']:.0f}",
            "CPU seconds a frame": f"{run['cpu_s_per_frame']:.2f}",
            "Efficiency": f"{run['efficiency']:.2f}",
            "Peak memory": f"{run['peak_mb'] / 1000:.1f} GB",
        }
        for run in workers["runs"]
    ]
    of_large = {row["stage"]: row for row in large["stages"]}
    stages = [
        {
            "Stage": row["stage"],
            "CPU seconds a frame": f"{row['cpu_s'] / profile['frames']:.3f}",
            "Peak memory": f"{row['peak_mb'] / 1000:.1f} GB",
            f"{large['width']} pixels: CPU seconds a frame": f"{huge['cpu_s'] / large['frames']:.2f}",
            f"{large['width']} pixels: peak memory": f"{huge['peak_mb'] / 1000:.1f} GB",
        }
        for row, huge in ((row, of_large[row["stage"]]) for row in profile["stages"])
    ]  # fmt: skip
    functions = [
        {"Function": f"`{row['function']}`", "CPU seconds a frame": f"{row['cpu_s'] / profile['frames']:.3f}"}
        for row in profile["functions"][:15]
    ]
    return (
        f"`{workers['shot']}`, {workers['frames']} frames, all stages with a rig, by the number of workers"
        " (`python -m benchmarks.films.workers`); the film is "
        + ("the same file" if workers["same_film"] else "**not** the same file")
        + f" whatever the number.\n\n{table(runs)}\n"
        f"Where it goes with {profile['workers']} workers (`python -m benchmarks.films.profile`), and on the same shot"
        f" enlarged to {large['width']} pixels (`--width {large['width']}`): {profile['cpu_s_per_frame']:.2f} and"
        f" {large['cpu_s_per_frame']:.1f} CPU seconds a frame in all, at most {profile['peak_mb'] / 1000:.1f} and"
        f" {large['peak_mb'] / 1000:.1f} GB.\n\n{table(stages)}\nThe same by function, with what each calls in"
        f" libraries:\n\n{table(functions)}"
    )


SECTIONS: dict[str, tuple[tuple[str, ...], Callable[[Results], str]]] = {
    "Real shots": (("recast",), real_shots),
    "Time and memory": (("workers", "profile", "profile_3840"), time_and_memory),
    "Shots with known truth": (("truth",), known_truth),
    "Motion and camera transfer": (("transfer",), transfer),
    "Camera fitting": (("camera_fit",), camera_fitting),
    "Finding cuts": (("cuts",), cuts),
    "Characters from one picture": (("characters", "characters_before", "free_views"), characters),
    "Cut-outs and clean plates": (("cutout", "plate_things"), cut_outs_and_plates),
    "Feet on the ground": (("contact",), contact),
    "Light": (("light",), light),
    "Damaged files, interruptions": (("hostile", "interruptions"), robustness),
    "Filming in a given set": (("cinescene_mini",), lambda found: mini(found["cinescene_mini"])),
    "What each part of the scene model is for": (
        ("cinescene_mini_ablations", "cinescene_mini_variants"),
        lambda found: ablations(found["cinescene_mini_ablations"], found["cinescene_mini_variants"]),
    ),
    "The order of the set's pictures": (
        ("picture_order_mini",), lambda found: picture_order(found["picture_order_mini"]),
    ),
    "Speed of data and training": (("endless", "generator", "training_mini_cpu", "vggt"), speeds),
}  # fmt: skip
"""Each heading with the results that it shows, and what writes it."""


def readme_figures() -> str:
    """The few figures that the README has."""
    found = results()
    recast, truth, transfers = found["recast"]["summary"], found["truth"]["moves"], found["transfer"]["reference"]
    finished = recast["finished_with_clip_kept"]
    errors = [row["mpjpe_mm"] for row in transfers.values()]
    given = [height_given_mm(row) for row in transfers.values()]
    facts = [
        (f"{recast['shots']} real shots recast with a rig / with a picture: finished, with frame count, rate, duration"
         " and sound kept", f"{finished['rig']} / {finished['picture']}"),
        ("all stages, 1280×720, median: on the clock / CPU seconds of all cores",
         f"{recast['median_s_per_1280x720_frame']:.1f} s / {recast['median_cpu_s_per_1280x720_frame']:.1f} s a frame"),
        (f"peak memory, {recast['shots']} shots", f"{recast['peak_mb'] / 1000:.1f} GB"),
        ("camera, against known truth: kind of move found; mean rotation error; path error / path length",
         f"{sum(row['branch_right'] for row in truth)} of {len(truth)};"
         f" {mean(row['camera_rotation_deg'] for row in truth):.2f}°;"
         f" {mean(row['camera_path_percent'] for row in truth):.2f} %"),
        ("body joints against known truth (MPJPE), by camera move: height not given; given",
         f"{min(errors):.0f} … {max(errors):.0f} mm; {min(given):.0f} … {max(given):.0f} mm"),
    ]  # fmt: skip
    return f"{facts_table(facts)}\n{mini_in_short(found['cinescene_mini'])}\n"


def readme() -> str:
    """README.md with its figures as measured."""
    return replaced(README.read_text(encoding="utf-8"), "figures", readme_figures())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(readme(), encoding="utf-8")
