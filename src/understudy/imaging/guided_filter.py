"""Makes a mask follow the edges of a picture.

Source: He, Sun, Tang, "Guided Image Filtering", TPAMI 2013 (eqs. 19-21, colour guide); the coefficients may be computed
at low resolution and applied at full resolution (He, Sun, "Fast Guided Filter", 2015).
"""

import cv2
import numpy as np
from jaxtyping import Float32

__all__ = ["guided_coefficients"]


def guided_coefficients(
    guide: Float32[np.ndarray, "height width 3"],
    values: Float32[np.ndarray, "height width"],
    radius: int,
    noise: float,
) -> Float32[np.ndarray, "height width 4"]:
    """Per pixel the slope (3) and offset (1) of the local linear model `value = slope · colour + offset`.

    `noise` is the variance of the guide that is no edge. The filtered mask is the model applied to the guide.
    """

    def mean(x: Float32[np.ndarray, "height width ..."]) -> Float32[np.ndarray, "height width ..."]:
        return cv2.boxFilter(x, -1, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    r, g, b = cv2.split(guide)
    mean_rgb, mean_value = mean(guide), mean(values)
    products = mean(cv2.merge([r * r, r * g, r * b, g * g])), mean(cv2.merge([g * b, b * b]))
    m = cv2.split(mean_rgb)
    rr, rg, rb, gg = cv2.split(products[0])
    gb, bb = cv2.split(products[1])
    rr, gg, bb = rr - m[0] * m[0] + noise, gg - m[1] * m[1] + noise, bb - m[2] * m[2] + noise
    rg, rb, gb = rg - m[0] * m[1], rb - m[0] * m[2], gb - m[1] * m[2]
    cr, cg, cb = cv2.split(mean(guide * values[..., None]) - mean_rgb * mean_value[..., None])
    # The inverse of the symmetric 3 × 3 covariance, by its cofactors.
    i_rr, i_rg, i_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    i_gg, i_gb, i_bb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    scale = 1.0 / (rr * i_rr + rg * i_rg + rb * i_rb)
    slope = [
        (i_rr * cr + i_rg * cg + i_rb * cb) * scale,
        (i_rg * cr + i_gg * cg + i_gb * cb) * scale,
        (i_rb * cr + i_gb * cg + i_bb * cb) * scale,
    ]
    offset = mean_value - slope[0] * m[0] - slope[1] * m[1] - slope[2] * m[2]
    return mean(cv2.merge([*slope, offset]))
