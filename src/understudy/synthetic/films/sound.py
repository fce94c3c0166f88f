"""Sound for a synthetic shot: the tone of the place, and a click for every step."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.signal import butter, sosfilt

__all__ = ["SAMPLE_RATE_HZ", "soundtrack"]

SAMPLE_RATE_HZ = 48_000


def soundtrack(
    ground_contact: Bool[np.ndarray, "time 2"], frame_rate: float, seed: int = 0
) -> Float[np.ndarray, " sample"]:
    """Mono sound, −1 … 1, as long as the shot: soft noise, and a heel on stone whenever a foot comes down."""
    rng = np.random.default_rng([seed, 13])
    count = round(len(ground_contact) / frame_rate * SAMPLE_RATE_HZ)
    white = rng.normal(0, 1, count)
    hum = sosfilt(butter(2, [60, 500], "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), white)
    hiss = sosfilt(butter(1, [900, 5000], "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), rng.normal(0, 1, count))
    breeze = 1 + 0.4 * np.sin(2 * np.pi * 0.23 * np.arange(count) / SAMPLE_RATE_HZ)
    sound = 0.010 * hum / hum.std() + 0.003 * breeze * hiss / hiss.std()
    touchdown = ground_contact[1:] & ~ground_contact[:-1]
    for frame in np.flatnonzero(touchdown.any(1)) + 1:
        step = _step(rng)
        start = round(frame / frame_rate * SAMPLE_RATE_HZ)
        end = min(start + len(step), count)
        sound[start:end] += step[: end - start]
    return np.clip(sound, -1, 1)


def _step(rng: np.random.Generator) -> Float[np.ndarray, " sample"]:
    """A heel's click and the softer sole after it."""
    time_s = np.arange(int(0.22 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    noise = rng.normal(0, 1, len(time_s))
    click = sosfilt(butter(2, [700, 3200], "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), noise) * np.exp(
        -time_s / 0.012
    )
    after = np.clip(time_s - 0.07, 0, None)
    sole = sosfilt(butter(2, [200, 1200], "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), noise)
    sole *= np.where(time_s > 0.07, np.exp(-after / 0.02), 0.0)
    thump = np.sin(2 * np.pi * rng.uniform(75, 95) * time_s) * np.exp(-time_s / 0.03)
    return rng.uniform(0.8, 1.1) * (
        0.16 * click / np.abs(click).max() + 0.05 * sole / np.abs(sole).max() + 0.12 * thump
    )
