"""The subject over a finished picture of its set: limbs, and the shadow under it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.synthetic.worlds.colours import FLOOR
from understudy.synthetic.worlds.raycast.bodies import FAR_M, rays_of
from understudy.synthetic.worlds.raycast.shading import AMBIENT, FILL, Hits, Shading, sunlit
from understudy.synthetic.worlds.raycast.views import SAMPLES, Rectangles, Touched, View
from understudy.synthetic.worlds.subject import Capsules
from understudy.synthetic.worlds.world import World

__all__ = ["SHADOW", "FilmedSubject", "SubjectLayer", "cast_subject"]

SHADOW = 0.42
"""How dark the contact shadow is; below one half, so that coverage above one half is the body."""


@dataclass(frozen=True)
class FilmedSubject:
    """The subject's limbs in the world at the moment of each frame, and the camera that sees them."""

    clip: Int[Tensor, " frame"]
    T_world_camera: Float[Tensor, "frame 4 4"]
    start_m: Float[Tensor, "frame limb 3"]
    end_m: Float[Tensor, "frame limb 3"]
    radius_m: Float[Tensor, "frame limb"]
    """0: not there."""
    colour: Float[Tensor, "frame limb 3"]
    """Linear RGB."""
    shadow_m: Float[Tensor, "frame blob 3"]
    shadow_radius_m: Float[Tensor, " frame"]

    @classmethod
    def of(
        cls,
        capsules: Capsules,
        clip: Int[Tensor, " frame"],
        moment: Int[Tensor, " frame"],
        T_world_camera: Float[Tensor, "frame 4 4"],
    ) -> "FilmedSubject":
        """The subject of clips number `clip` as it is at times number `moment`."""
        return cls(
            clip, T_world_camera, capsules.start_m[clip, moment], capsules.end_m[clip, moment], capsules.radius_m[clip],
            capsules.colour[clip], capsules.shadow_m[clip, moment], capsules.shadow_radius_m[clip],
        )  # fmt: skip


@dataclass(frozen=True)
class SubjectLayer:
    """The pixels that a subject changes."""

    pixel: Int[Tensor, " changed"]
    """Number in the row of all frames' pixels."""
    light: Float[Tensor, "3 changed"]
    """Linear RGB of set and subject together."""
    coverage: Float[Tensor, " changed"]
    """Of the body, or below that the shadow's opacity; above 0."""


def cast_subject(
    world: World,
    tables: Shading,
    subject: FilmedSubject,
    view: View,
    hits: Hits,
    light: Float[Tensor, "3 frame ray"],
) -> SubjectLayer:
    """Draw the subject over `light`, what the rays see without it."""
    limbs, whole = _rectangles(subject, view)
    touched = view.touched(whole)
    rays = rays_of(touched.pixel, touched.owner, view)
    t = hits.t.view(-1).index_select(0, rays.view(-1))
    hit = _hit_limbs(subject, view, hits, limbs, whole, t)
    colour = torch.stack([channel.reshape(-1).index_select(0, rays.view(-1)) for channel in light])
    shadow = _shadow(tables, subject, hits, rays, touched)
    colour.mul_(1 - shadow)
    body = _lit(world, tables, subject, hits, rays.view(-1), t, hit)
    colour[:, hit.place] = body
    shadow[hit.place] = 1.0
    count = len(touched.pixel)
    coverage = shadow.view(SAMPLES, count).mean(0)
    mean = colour.view(3, SAMPLES, count).mean(1)
    changed = (coverage > 0).nonzero()[:, 0]
    pixel = touched.owner * view.pixels + touched.pixel
    return SubjectLayer(pixel[changed], mean[:, changed], coverage[changed])


@dataclass(frozen=True)
class _LimbHits:
    place: Int[Tensor, " hit"]
    """Number among the rays of the subject's rectangles."""
    limb: Int[Tensor, " hit"]
    """Number in the row of all frames' limbs."""
    normal: Float[Tensor, "3 hit"]


def _rectangles(subject: FilmedSubject, view: View) -> tuple[Rectangles, Rectangles]:
    """Of every limb, and of all limbs and shadows of a frame together."""
    R, eye = subject.T_world_camera[:, None, :3, :3], subject.T_world_camera[:, None, :3, 3]

    def to_camera(point: Tensor) -> Tensor:
        return ((point - eye)[..., None, :] @ R)[..., 0, :]

    start, end, radius = to_camera(subject.start_m), to_camera(subject.end_m), subject.radius_m
    limbs = view.rectangles(0.5 * (start + end), 0.5 * (start - end).abs() + radius[..., None])
    there = radius > 0
    limbs = Rectangles(limbs.left, limbs.top, limbs.width * there, limbs.height * there)
    blob = subject.shadow_radius_m
    reach = R[..., [0, 2], :].abs().sum(-2) * blob[:, None, None]
    blobs = to_camera(subject.shadow_m)
    shadows = view.rectangles(blobs, reach.expand_as(blobs))
    there = (blob > 0)[:, None]
    sides = []
    for start_of, size_of in (("left", "width"), ("top", "height")):
        low = torch.cat([getattr(limbs, start_of), getattr(shadows, start_of)], 1)
        size = torch.cat([getattr(limbs, size_of), getattr(shadows, size_of) * there], 1)
        first = low.masked_fill(size == 0, 1 << 20).amin(1)
        last = (low + size).masked_fill(size == 0, 0).amax(1)
        sides.append((first.clamp(max=view.pixels), (last - first).clamp(min=0)))
    (left, width), (top, height) = sides
    some = (width > 0) & (height > 0)
    return limbs, Rectangles(left, top, width * some, height * some)


def _hit_limbs(
    subject: FilmedSubject,
    view: View,
    hits: Hits,
    limbs: Rectangles,
    whole: Rectangles,
    t: Float[Tensor, " ray"],
) -> _LimbHits:
    """Limbs that rays meet before `t`, which is shortened to where they do."""
    frame, limb = ((limbs.width > 0) & (limbs.height > 0)).nonzero().unbind(1)
    some = Rectangles(*(values[frame, limb] for values in (limbs.left, limbs.top, limbs.width, limbs.height)))
    touched = view.touched(some)
    of = frame.index_select(0, touched.owner)
    # Where each of these pixels stands in the row of the frames' whole rectangles.
    sizes = whole.width * whole.height
    starts = sizes.cumsum(0) - sizes
    row, column = torch.div(touched.pixel, view.width, rounding_mode="floor"), touched.pixel % view.width
    place = starts[of] + (row - whole.top[of]) * whole.width[of] + column - whole.left[of]
    place = place + int(sizes.sum()) * torch.arange(SAMPLES, device=place.device)[:, None]
    ray = rays_of(touched.pixel, of, view)
    d = [axis.reshape(-1).index_select(0, ray.view(-1)).view(ray.shape) for axis in hits.directions]
    start, radius = subject.start_m[frame, limb], subject.radius_m[frame, limb]
    along = subject.end_m[frame, limb] - start
    origin = subject.T_world_camera[frame, :3, 3] - start
    near = _capsule(origin, along, radius, d, touched.owner)
    best = t.scatter_reduce_(0, place.view(-1), near.view(-1), "amin").index_select(0, place.view(-1))
    first = ((near.view(-1) == best) & (best < FAR_M)).nonzero()[:, 0]
    pair = first % len(touched.owner)
    owner = touched.owner.index_select(0, pair)
    spot = torch.stack([torch.addcmul(origin[owner, i], best[first], d[i].reshape(-1)[first]) for i in range(3)])
    axis = along[owner].T
    share = ((spot * axis).sum(0) / (axis * axis).sum(0).clamp(min=1e-12)).clamp(0, 1)
    normal = (spot - share * axis) / radius[owner]
    number = frame * subject.radius_m.shape[1] + limb
    return _LimbHits(place.view(-1).index_select(0, first), number.index_select(0, owner), normal)


def _capsule(
    origin: Float[Tensor, "rectangle 3"],
    along: Float[Tensor, "rectangle 3"],
    radius: Float[Tensor, " rectangle"],
    d: Sequence[Float[Tensor, "4 touched"]],
    owner: Int[Tensor, " touched"],
) -> Float[Tensor, "4 touched"]:
    """How far to a capsule, FAR_M where it is missed: its round, or else one of the balls at its ends.

    Source: the quadratic of a cylinder about an axis, Ericson, Real-Time Collision Detection, section 5.3.7.
    """
    fixed = {
        "aa": (along * along).sum(1), "oa": (origin * along).sum(1),
        "oo": (origin * origin).sum(1) - radius * radius,
    }  # fmt: skip
    aa, oa, oo = (value.index_select(0, owner) for value in fixed.values())
    ax, ay, az, ox, oy, oz = (value.index_select(0, owner) for value in (*along.T.contiguous(), *origin.T.contiguous()))
    da = d[0] * ax + d[1] * ay + d[2] * az
    do = d[0] * ox + d[1] * oy + d[2] * oz
    dd = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    a, b, c = aa * dd - da * da, aa * do - oa * da, aa * oo - oa * oa
    square = b * b - a * c
    t = (-b - square.clamp(min=0.0).sqrt_()) / a.clamp(min=1e-12)
    height = oa + t * da
    side = (square > 0) & (height > 0) & (height < aa)
    # A ball at the start, or at the end: whichever the round was left by.
    last = (height >= aa).to(t.dtype)
    b = do - last * da
    c = oo + last * (aa - 2 * oa)
    square = b * b - dd * c
    ball = (-b - square.clamp(min=0.0).sqrt_()) / dd
    t = torch.where(side, t, ball)
    missed = (~side & (square <= 0)) | (t <= 0)
    return t.masked_fill_(missed, FAR_M)


def _shadow(
    tables: Shading,
    subject: FilmedSubject,
    hits: Hits,
    rays: Int[Tensor, "4 touched"],
    touched: Touched,
) -> Float[Tensor, " ray"]:
    """The shadow's opacity on rays that end on the ground."""
    row = rays.view(-1)
    of = touched.owner.repeat(SAMPLES)
    floor = (subject.clip * tables.surfaces + FLOOR).index_select(0, of)
    t = hits.t.view(-1).index_select(0, row)
    x, z = (
        torch.addcmul(hits.origin_m[i].reshape(-1)[of], hits.directions[i].reshape(-1)[row], t)
        + tables.centre_m[subject.clip, i][of]
        for i in (0, 2)
    )
    y = torch.addcmul(hits.origin_m[1].reshape(-1)[of], hits.directions[1].reshape(-1)[row], t)
    on_floor = (hits.surface.view(-1)[row] == floor) & (y + tables.half_m[subject.clip, 1][of] < 1e-3)
    blobs = subject.shadow_m
    radius = subject.shadow_radius_m.clamp(min=1e-6)[of]
    light = torch.ones_like(t)
    for blob in range(blobs.shape[1]):
        off = ((x - blobs[of, blob, 0]) ** 2 + (z - blobs[of, blob, 2]) ** 2) / radius**2
        light = light * (1 - 0.35 * (1 - off).clamp(min=0.0) ** 2)
    return (1 - light).clamp(max=SHADOW) * on_floor


def _lit(
    world: World,
    tables: Shading,
    subject: FilmedSubject,
    hits: Hits,
    row: Int[Tensor, " ray"],
    t: Float[Tensor, " ray"],
    hit: _LimbHits,
) -> Float[Tensor, "3 hit"]:
    """Linear light of limbs."""
    ray, far = row[hit.place], t[hit.place]
    frame = torch.div(ray, hits.t.shape[1], rounding_mode="floor")
    batch = subject.clip[frame]
    q = torch.stack([hits.origin_m[i].reshape(-1)[frame] + far * hits.directions[i].reshape(-1)[ray] for i in range(3)])
    light = world.light
    sun = (hit.normal * light.to_sun[batch].T).sum(0).clamp(min=0.0) * sunlit(world, tables, batch, q)
    ambient = AMBIENT + FILL * (hit.normal * light.to_fill[batch].T).sum(0)
    colour = subject.colour.flatten(0, 1)[hit.limb].T
    return colour * (ambient * light.ambient[batch].T + sun * light.sun[batch].T)
