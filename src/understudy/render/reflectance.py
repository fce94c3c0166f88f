"""How much light surfaces mirror, which every renderer must agree on.

Source: Khronos glTF 2.0 specification, appendix B; KHR_materials_specular.
"""

from functools import cache

import numpy as np
from jaxtyping import Float

from understudy.core.character import Material

__all__ = ["dielectric_reflectance", "split_sum", "split_sum_table"]

HEAD_ON = 0.04
"""Of light from straight ahead, what a dielectric with glTF's index of refraction, 1.5, reflects."""
TABLE_SIDE, TABLE_SAMPLES = 32, 512
"""Places of roughness and of the cosine, and half vectors for each."""
GOLDEN_RATIO = 1.618033988749895


def dielectric_reflectance(material: Material) -> tuple[Float[np.ndarray, "3"], float]:
    """What a material reflects as a dielectric: from straight ahead (f0), and at grazing angles (f90)."""
    return np.minimum(HEAD_ON * np.array(material.specular_colour), 1.0) * material.specular, material.specular


@cache
def split_sum_table() -> Float[np.ndarray, "32 32 2"]:
    """`split_sum` for roughness and cosine (i + 0.5) / 32, in rows and columns."""
    middles = (np.arange(TABLE_SIDE) + 0.5) / TABLE_SIDE
    return np.stack([split_sum(roughness, middles, TABLE_SAMPLES) for roughness in middles])


def split_sum(roughness: float, n_v: Float[np.ndarray, " n"], samples: int) -> Float[np.ndarray, "n 2"]:
    """By what f0 and f90 are multiplied to give the share of light from all sides that a GGX lobe sends to the camera.

    `n_v` is the cosine between normal and camera. Source: the BRDF's half of the split sum, integrated over a Fibonacci
    lattice of half vectors. Karis 2013, Real shading in Unreal Engine 4.
    """
    alpha, at = roughness**2, (np.arange(samples) + 0.5) / samples
    turn = 2.0 * np.pi * (np.arange(samples) / GOLDEN_RATIO % 1.0)
    n_h = np.sqrt((1.0 - at) / (1.0 + (alpha**2 - 1.0) * at))
    n_v = n_v[:, None]
    v_h = np.maximum(np.sqrt((1.0 - n_v**2) * (1.0 - n_h**2)) * np.cos(turn) + n_v * n_h, 0.0)
    n_l = np.maximum(2.0 * v_h * n_h - n_v, 0.0)
    k = 0.5 * alpha
    weight = n_l / (n_l * (1.0 - k) + k) / (n_v * (1.0 - k) + k) * v_h / n_h
    grazing = (1.0 - v_h) ** 5
    return np.stack([((1.0 - grazing) * weight).mean(1), (grazing * weight).mean(1)], -1)
