"""What the scene models reach, as Markdown: the film of a set that they have never seen, against the true one."""

from statistics import mean
from typing import Any

from scripts.markdown import table

__all__ = ["ablations", "mini", "mini_in_short", "picture_order"]

PAN, ARC = "pan 75°", "arc 60°"
FILMS = {
    "default": "`mini`",
    "no_geometry": "`mini`, trained without the set's geometry",
    "point cloud, true depth": "a point cloud with true depth, rendered; not trained",
    "best context crop": "the best of the set's pictures, held still",
    "copy of the first crop": "the first picture, held still",
    "truth": "the true film",
}
EMPTY = ("copy of the first crop", "best context crop", "point cloud, true depth")
"""Films of the set without anybody in it."""
VARIANTS = {
    "default": "as it is: rays, geometry added to the pictures' tokens, shuffled",
    "paper": "as CineScene: camera matrices, geometry joined along the frames, no nearness",
    "frames": "geometry joined along the frames, their number tells which belong together",
    "matrix": "camera matrices instead of rays, no nearness",
    "no_nearness": "geometry as tokens alone: no nearness",
    "no_geometry": "no geometry",
    "image_tokens": "geometry without its camera token, no nearness",
    "camera_token": "the geometry's camera token alone, no nearness",
    "loss_guided": "geometry as a loss, no nearness",
    "explicit": "a point cloud of true depth, rendered along the path, instead of geometry",
    "numbered": "pictures numbered, shuffled",
    "ordered": "pictures numbered, in one order",
    "progressive": "pictures numbered, in one order, geometry first",
    "no_context": "no pictures of the set",
    "no_camera": "no camera",
}
Measured = dict[str, dict[str, dict[str, Any]]]


def of_moves(measured: Measured, film: str, figure: str) -> float:
    """A figure's mean over pan and arc."""
    return mean(measured[move][film][figure]["mean"] for move in (PAN, ARC))


def mini(result: dict[str, Any]) -> str:
    """The trained model beside what needs no training, and how far its figures can be believed."""
    measured, training = result["measured"], result["training"]["default"]
    rows = []
    for film, what in FILMS.items():
        row = {"Film": what}
        for move in (PAN, ARC):
            figures = measured[move][film]
            row[f"PSNR, {move}"] = "–" if film == "truth" else f"{figures['psnr_db_last']['mean']:.1f} dB"
            camera = figures.get("camera_last_rotation_deg")
            row[f"camera off, {move}"] = f"{camera['mean']:.1f}°" if camera else "–"
        row["subject found"] = f"{100 * of_moves(measured, film, 'subject_present'):.0f} %"
        unasked = film in ("default", "no_geometry")
        row["found where none was asked for"] = (
            f"{100 * of_moves(measured, film, 'subject_unasked'):.1f} %" if unasked else "–"
        )
        rows.append(row)
    clips = result["config"]["clips"] * result["config"]["seeds"]
    return (
        f"`mini` at 32 pixels, trained for {training['seconds'] / 3600:.1f} hours on two cores"
        f" ({training['step']} steps), in procedural sets that it has never seen: {clips} clips of each move"
        " (`python -m benchmarks.video_models.cinescene`). PSNR is that of the last frame's background; the camera is"
        " recovered from the film and compared at the last frame.\n\n"
        f"{table(rows)}\n"
        "A subject counts as found where something as large as a person differs from the empty set. Set pictures that"
        " are wrong differ too, so the check also fires on films with nobody in them: in the table, those of the point"
        " cloud and of pictures held still. Read it beside PSNR, and beside the last column: clips that were asked for"
        " without anybody.\n"
    )


def mini_in_short(result: dict[str, Any]) -> str:
    """The same in two sentences, for the README."""
    measured, hours = result["measured"], result["training"]["default"]["seconds"] / 3600

    def db(film: str) -> str:
        return " / ".join(f"{measured[move][film]['psnr_db_last']['mean']:.1f}" for move in (PAN, ARC))

    fires = {
        film: f"{100 * of_moves(measured, film, 'subject_present'):.0f} %" for film in (*EMPTY, "default", "truth")
    }
    return (
        f"Filming in a given set: `mini`, trained in {hours:.1f} hours on two cores, films sets that it has never seen"
        f" at 32 pixels; its last frame's background has a PSNR of {db('default')} dB after a 75° pan / a 60° arc;"
        f" trained without the set's geometry {db('no_geometry')} dB; a point cloud with true depth, which needs no"
        f" training, {db('point cloud, true depth')} dB. A subject is found in {fires['default']} of the clips that ask"
        f" for one and in {fires['truth']} of the true ones; but the same check fires on"
        f" {fires['point cloud, true depth']} of the empty sets rendered from that point cloud, and on"
        f" {fires['copy of the first crop']} of films that hold the set's first picture still."
    )


def ablations(result: dict[str, Any], later: dict[str, Any]) -> str:
    """Each variant of the model, trained from the same start; `later` has those that were trained afterwards, beside
    the model as it is, whose figures came out the same."""
    measured = {move: later["measured"][move] | films for move, films in result["measured"].items()}
    training = later["training"] | result["training"]
    rows = []
    for name, what in VARIANTS.items():
        there = name in measured[PAN]
        uncovered = measured[ARC][name]["uncovered_db"] if there else None
        rows.append({
            "Trained": what, "Variant": f"`{name}`", "Steps": str(training[name]["step"]) if there else "–",
            "Pan 75°": f"{measured[PAN][name]['psnr_db_last']['mean']:.1f}" if there else "not measured yet",
            "Arc 60°": f"{measured[ARC][name]['psnr_db_last']['mean']:.1f}" if there else "not measured yet",
            "Arc, where no picture reaches": f"{uncovered['mean']:.1f}" if uncovered else "–",
        })  # fmt: skip
    clips = result["config"]["clips"] * result["config"]["seeds"]
    return (
        f"PSNR of the last frame's background in dB, {clips} held-out clips of each move"
        " (`python -m benchmarks.video_models.cinescene`). `frames` was trained for as long as `default`, in fewer"
        " steps, and `paper` for as many steps as `frames`. *Nearness* is a bias of the"
        " transformer's attention: a patch of the clip attends more to those patches of the set's pictures whose points"
        " in space its viewing ray passes by; it needs the set's geometry, and the camera as rays.\n\n"
        f"{table(rows)}"
    )


def picture_order(result: dict[str, Any]) -> str:
    """Numbered pictures, shuffled or not in training, given in several ways."""
    rows = [
        {"Move": move, "Pictures are given": given}
        | {f"trained {name}": f"{figure['mean']:.1f}" for name, figure in result[move][given]["psnr_db_last"].items()}
        for move in (PAN, ARC)
        for given in result[move]
    ]
    return (
        "PSNR of the last frame's background in dB, of models whose pictures are numbered: shuffled in training"
        " (numbered) or always in one order (ordered) (`python -m benchmarks.video_models.picture_order`).\n\n"
        f"{table(rows)}"
    )
