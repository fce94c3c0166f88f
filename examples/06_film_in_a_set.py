"""Film a new subject in a set of which you have photographs. Needs the scene extra: pip install '.[scene]'

python examples/06_film_in_a_set.py photos/ clip.mp4 --camera arc:+60 --prompt "a man in a red coat dances"
"""

from pathlib import Path

import tyro

import understudy


def main(
    photographs: Path,
    clip: Path,
    /,
    camera: str = "arc:+60",
    prompt: str = "a man in a red coat dances in the middle",
    model: Path | None = None,
    preset: str = "mini",
) -> None:
    """Photographs from one place, the start view first by name; each is taken as a square of 90°."""
    for take in (1, 2):
        out = clip.with_stem(f"{clip.stem}_{take}")
        config = understudy.ShootConfig(preset=preset, model=model, seed=take)
        shooting = understudy.shoot_clip(photographs, camera, prompt, out, config)
        print(f"take {take}: {shooting.clip}, its camera {shooting.camera}, a preview {shooting.preview}")


if __name__ == "__main__":
    tyro.cli(main)
