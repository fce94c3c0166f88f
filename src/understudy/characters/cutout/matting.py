"""From guesses where a figure is to its outline in the picture."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import sparse
from scipy.sparse.linalg import cg

from understudy.characters.cutout.backdrop import lab_of

__all__ = ["outline", "settle"]


def settle(
    rgb: Float[np.ndarray, "height width 3"],
    guess: Float[np.ndarray, "height width"],
    sureness: Float[np.ndarray, "height width"],
    open_: Bool[np.ndarray, "height width"],
) -> Float[np.ndarray, "height width"]:
    """How likely each pixel is the figure's, 0 … 1, when neighbours of like colours think alike.

    Outside `open_` the guess stands as it is; within it pulls as strongly as it is sure.
    Source: Grady 2005, Multilabel random walker image segmentation using prior models.
    """
    height, width = guess.shape
    count = int(open_.sum())
    if count == 0:
        return guess
    number = np.full((height, width), -1)
    number[open_] = np.arange(count)
    lab = lab_of(rgb)
    diagonal, right = sureness[open_].copy(), (sureness * guess)[open_]
    rows, columns, values = [np.arange(count)], [np.arange(count)], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, height - dy), slice(max(0, -dx), width - max(0, dx)))
        there = (slice(dy, height), slice(max(0, dx), width + min(0, dx)))
        tie = np.exp(-0.6 * np.linalg.norm(lab[here] - lab[there], axis=-1)) / np.hypot(dx, dy) + 1e-4
        for own, other, fixed in (
            (number[here], number[there], guess[there]),
            (number[there], number[here], guess[here]),
        ):
            inside = own >= 0
            diagonal += np.bincount(own[inside], tie[inside], count)
            edge = inside & (other < 0)
            right += np.bincount(own[edge], (tie * fixed)[edge], count)
            both = inside & (other >= 0)
            rows.append(own[both])
            columns.append(other[both])
            values.append(-tie[both])
    A = sparse.csr_matrix(
        (np.concatenate([diagonal, *values]), (np.concatenate(rows), np.concatenate(columns))), shape=(count, count)
    )
    x, _ = cg(A, right, x0=guess[open_], rtol=1e-4, maxiter=300, M=sparse.diags(1 / diagonal))
    settled = guess.copy()
    settled[open_] = np.clip(x, 0, 1)
    return settled


def outline(
    rgb: UInt8[np.ndarray, "height width 3"], likely: Float[np.ndarray, "height width"], tall_px: float
) -> Bool[np.ndarray, "height width"]:
    """The pixels that the figure fills by half or more, near the outline of what is likely.

    Each pixel there is a mix of the figure's mean colour and the backdrop's, both from close by; where these are
    alike or varied, the likelihood decides.
    """
    figure = likely > 0.5
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    depth = cv2.distanceTransform(figure.astype(np.uint8), cv2.DIST_L2, 5)
    away = cv2.distanceTransform((~figure).astype(np.uint8), cv2.DIST_L2, 5)
    edge, reach = max(1.5, 0.004 * tall_px), max(5.5, 0.012 * tall_px)

    def near(where: Bool[np.ndarray, "height width"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        share = where.astype(np.float32)
        weight = cv2.GaussianBlur(share, (0, 0), reach)
        safe = weight + 1e-6
        mean = cv2.GaussianBlur(lab * share[..., None], (0, 0), reach) / safe[..., None]
        square = cv2.GaussianBlur((lab * lab).sum(-1) * share, (0, 0), reach) / safe
        return mean, np.maximum(square - (mean * mean).sum(-1), 0), weight > 1e-3

    own, own_spread, own_known = near((depth > edge) & (depth < edge + 3 * reach))
    other, other_spread, other_known = near((away > edge) & (away < edge + 3 * reach))
    apart = own - other
    contrast = (apart * apart).sum(-1)
    share = np.clip(((lab - other) * apart).sum(-1) / np.maximum(contrast, 1e-3), 0, 1)
    trust = contrast / (contrast + 4 * (own_spread + other_spread) + 25.0) * (own_known & other_known)
    band = (depth < 1.5 * reach) & (away < 1.5 * reach)
    return np.where(band, trust * share + (1 - trust) * likely > 0.5, figure)
