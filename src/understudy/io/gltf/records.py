"""What a glTF document's JSON holds, as typed records: only what we read; everything else is passed over.

Source: Khronos glTF 2.0 specification, section 5 (properties reference); the extensions' own pages; VRM 0.x and
VRMC_vrm 1.0.
"""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, ConfigDict, Field
from pydantic.alias_generators import to_camel

from understudy.io.records import Record

__all__ = [
    "Accessor",
    "AnimatedGltf",
    "BufferView",
    "Clip",
    "Gltf",
    "ImageEntry",
    "MaterialEntry",
    "Node",
    "OldBoneGroup",
    "Primitive",
    "SpringEntry",
    "TextureSlot",
]

MAX_NODES = 20_000
MAX_ENTRIES = 100_000

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A number of things or bytes, or an index; JSON's whole numbers are exact up to 2^53."""
Vector3 = tuple[float, float, float]
Vector4 = tuple[float, float, float, float]

Weights = Annotated[tuple[float, ...], Field(max_length=5000)]
"""Of morph targets."""


class Entry(Record):
    """A JSON object of glTF, whose names are in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, coerce_numbers_to_str=True)


class Asset(Entry):
    """Which glTF a file is."""

    version: str


class Buffer(Entry):
    """Bytes: a file's, a data URI's or the GLB's own."""

    byte_length: Count
    uri: str | None = None


class MeshoptView(Entry):
    """Where the compressed bytes of a buffer view lie, and how they are unpacked."""

    buffer: Count
    byte_offset: Count = 0
    byte_length: Count
    byte_stride: Annotated[int, Field(ge=1, le=256)]
    count: Count
    mode: Literal["ATTRIBUTES", "TRIANGLES", "INDICES"]
    filter: Literal["NONE", "OCTAHEDRAL", "QUATERNION", "EXPONENTIAL", "COLOR"] = "NONE"


class ViewExtensions(Entry):
    """The extensions of a buffer view that compress it."""

    meshopt: MeshoptView | None = Field(
        default=None, validation_alias=AliasChoices("EXT_meshopt_compression", "KHR_meshopt_compression")
    )


class BufferView(Entry):
    """A stretch of a buffer."""

    buffer: Count
    byte_offset: Count = 0
    byte_length: Count
    byte_stride: Count = 0
    extensions: ViewExtensions = ViewExtensions()


class SparsePart(Entry):
    """Where a sparse accessor's places or values lie."""

    buffer_view: Count
    byte_offset: Count = 0
    component_type: Literal[5121, 5123, 5125] = 5125


class Sparse(Entry):
    """The values of an accessor that differ from the rest."""

    count: Count
    indices: SparsePart
    values: SparsePart


class Accessor(Entry):
    """An array in a buffer view; zeros without one."""

    buffer_view: Count | None = None
    byte_offset: Count = 0
    component_type: Literal[5120, 5121, 5122, 5123, 5125, 5126]
    normalized: bool = False
    count: Count
    type: Literal["SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4"]
    sparse: Sparse | None = None


class Node(Entry):
    """A place in the scene, with what stands there."""

    name: str | None = None
    children: tuple[Count, ...] = ()
    mesh: Count | None = None
    skin: Count | None = None
    matrix: Annotated[tuple[float, ...], Field(min_length=16, max_length=16)] | None = None
    translation: Vector3 = (0.0, 0.0, 0.0)
    rotation: Vector4 = (0.0, 0.0, 0.0, 1.0)
    scale: Vector3 = (1.0, 1.0, 1.0)
    weights: Weights | None = None
    camera: Count | None = None


class Scene(Entry):
    """The nodes that stand at the top."""

    nodes: tuple[Count, ...] = ()


class DracoPrimitive(Entry):
    """Where the compressed bytes of a primitive lie, and which of their attributes is which."""

    buffer_view: Count
    attributes: dict[str, Count]


class PrimitiveExtensions(Entry):
    """The extension of a primitive that compresses it."""

    draco: DracoPrimitive | None = Field(default=None, alias="KHR_draco_mesh_compression")


class Primitive(Entry):
    """A surface of one material."""

    attributes: dict[str, Count]
    indices: Count | None = None
    material: Count | None = None
    mode: Count = 4
    targets: tuple[dict[str, Count], ...] = ()
    extras: Any = None
    extensions: PrimitiveExtensions = PrimitiveExtensions()


class MeshEntry(Entry):
    """Surfaces that stand together."""

    name: str | None = None
    primitives: tuple[Primitive, ...]
    weights: Weights | None = None
    extras: Any = None


class Skin(Entry):
    """Joints and the frames in which a mesh was bound to them."""

    name: str | None = None
    joints: tuple[Count, ...]
    inverse_bind_matrices: Count | None = None
    extras: Any = None


class TextureTransform(Entry):
    """KHR_texture_transform."""

    offset: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    tex_coord: Count | None = None


class SlotExtensions(Entry):
    """The extension of a texture's use that moves it."""

    transform: TextureTransform | None = Field(default=None, alias="KHR_texture_transform")


class TextureSlot(Entry):
    """A material's use of a texture."""

    index: Count
    tex_coord: Count = 0
    extensions: SlotExtensions = SlotExtensions()


class MetallicRoughness(Entry):
    """pbrMetallicRoughness."""

    base_color_factor: Vector4 = (1.0, 1.0, 1.0, 1.0)
    base_color_texture: TextureSlot | None = None
    metallic_factor: float = 1.0
    roughness_factor: float = 1.0
    metallic_roughness_texture: TextureSlot | None = None


class GlossySurface(Entry):
    """KHR_materials_pbrSpecularGlossiness."""

    diffuse_factor: Vector4 = (1.0, 1.0, 1.0, 1.0)
    diffuse_texture: TextureSlot | None = None
    glossiness_factor: float = 1.0


class Strength(Entry):
    """KHR_materials_emissive_strength."""

    emissive_strength: float = 1.0


class Specular(Entry):
    """KHR_materials_specular."""

    specular_factor: float = 1.0
    specular_texture: TextureSlot | None = None
    specular_color_factor: Vector3 = (1.0, 1.0, 1.0)
    specular_color_texture: TextureSlot | None = None


class Refraction(Entry):
    """KHR_materials_ior."""

    ior: float = 1.5


class MaterialExtensions(Entry):
    """The extensions of a material that we read."""

    glossy: GlossySurface | None = Field(default=None, alias="KHR_materials_pbrSpecularGlossiness")
    unlit: dict[str, Any] | None = Field(default=None, alias="KHR_materials_unlit")
    strength: Strength = Field(default=Strength(), alias="KHR_materials_emissive_strength")
    specular: Specular = Field(default=Specular(), alias="KHR_materials_specular")
    refraction: Refraction = Field(default=Refraction(), alias="KHR_materials_ior")


class MaterialEntry(Entry):
    """How a surface looks."""

    name: str | None = None
    pbr_metallic_roughness: MetallicRoughness = MetallicRoughness()
    emissive_factor: Vector3 = (0.0, 0.0, 0.0)
    emissive_texture: TextureSlot | None = None
    alpha_mode: Literal["OPAQUE", "MASK", "BLEND"] = "OPAQUE"
    alpha_cutoff: float = 0.5
    double_sided: bool = False
    extensions: MaterialExtensions = MaterialExtensions()


class WebpSource(Entry):
    """EXT_texture_webp."""

    source: Count | None = None


class TextureExtensions(Entry):
    """The extension of a texture that names its WebP picture."""

    webp: WebpSource | None = Field(default=None, alias="EXT_texture_webp")


class TextureEntry(Entry):
    """A picture and how it is sampled."""

    source: Count | None = None
    extensions: TextureExtensions = TextureExtensions()


class ImageEntry(Entry):
    """A picture: in a buffer view, a data URI or a file."""

    name: str | None = None
    uri: str | None = None
    buffer_view: Count | None = None


class HumanBone(Entry):
    """The node of a VRM character's bone; −1 for none."""

    node: int
    bone: str = ""


class OldHumanoid(Entry):
    """VRM 0.x's map of bones."""

    human_bones: tuple[HumanBone, ...] = ()


class OldVector(Entry):
    """A vector of VRM 0.x."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


class OldSphere(Entry):
    """What VRM 0.x keeps springs out of."""

    offset: OldVector = OldVector()
    radius: float = 0.0


class OldColliderGroup(Entry):
    """Spheres on one node."""

    node: Count
    colliders: tuple[OldSphere, ...] = ()


class OldBoneGroup(Entry):
    """Springs of VRM 0.x: some nodes with all that hangs on them; −1 for no centre."""

    comment: str | None = None
    stiffiness: float = 1.0
    gravity_power: float = 0.0
    gravity_dir: OldVector = OldVector(y=-1.0)
    drag_force: float = 0.5
    center: int = -1
    hit_radius: float = 0.0
    bones: tuple[int, ...] = ()
    collider_groups: tuple[int, ...] = ()


class OldSprings(Entry):
    """VRM 0.x's springs and what they meet."""

    bone_groups: tuple[OldBoneGroup, ...] = ()
    collider_groups: tuple[OldColliderGroup, ...] = ()


class OldVrm(Entry):
    """A character of VRM 0.x."""

    humanoid: OldHumanoid = OldHumanoid()
    secondary_animation: OldSprings = OldSprings()


class Humanoid(Entry):
    """VRM 1.0's map of bones."""

    human_bones: dict[str, HumanBone]


class Vrm(Entry):
    """A character of VRM 1.0."""

    humanoid: Humanoid


class ColliderSize(Entry):
    """A sphere, or a capsule where it has a tail."""

    offset: Vector3 = (0.0, 0.0, 0.0)
    radius: float = 0.0
    tail: Vector3 | None = None

    @property
    def end(self) -> Vector3:
        """Where it ends: a sphere where it starts."""
        return self.offset if self.tail is None else self.tail


class ColliderShape(Entry):
    """One of the two."""

    sphere: ColliderSize | None = None
    capsule: ColliderSize | None = None


class ColliderEntry(Entry):
    """What springs are kept out of."""

    node: Count
    shape: ColliderShape = ColliderShape()


class ColliderGroup(Entry):
    """Colliders that springs name together."""

    colliders: tuple[Count, ...] = ()


class SpringJoint(Entry):
    """A node that swings; the last of a spring only says where it ends."""

    node: Count
    hit_radius: float = 0.0
    stiffness: float = 1.0
    gravity_power: float = 0.0
    gravity_dir: Vector3 = (0.0, -1.0, 0.0)
    drag_force: float = 0.5


class SpringEntry(Entry):
    """Nodes that swing, one on the other."""

    name: str | None = None
    joints: tuple[SpringJoint, ...] = ()
    collider_groups: tuple[Count, ...] = ()
    center: Count | None = None
    extras: Any = None


class Springs(Entry):
    """VRMC_springBone."""

    colliders: tuple[ColliderEntry, ...] = ()
    collider_groups: tuple[ColliderGroup, ...] = ()
    springs: tuple[SpringEntry, ...] = ()


class VrmAnimation(Entry):
    """A clip for any VRM character (VRMC_vrm_animation 1.0): which node stands for which bone."""

    humanoid: Humanoid | None = None


class Extensions(Entry):
    """The extensions of a document that we read."""

    old_vrm: OldVrm | None = Field(default=None, alias="VRM")
    vrm: Vrm | None = Field(default=None, alias="VRMC_vrm")
    springs: Springs | None = Field(default=None, alias="VRMC_springBone")
    vrm_animation: VrmAnimation | None = Field(default=None, alias="VRMC_vrm_animation")


class Gltf(Entry):
    """A document without its clips."""

    asset: Asset
    scene: Count = 0
    scenes: tuple[Scene, ...] = ()
    nodes: Annotated[tuple[Node, ...], Field(max_length=MAX_NODES)] = ()
    meshes: Annotated[tuple[MeshEntry, ...], Field(max_length=MAX_NODES)] = ()
    skins: Annotated[tuple[Skin, ...], Field(max_length=1000)] = ()
    materials: Annotated[tuple[MaterialEntry, ...], Field(max_length=2000)] = ()
    textures: Annotated[tuple[TextureEntry, ...], Field(max_length=MAX_NODES)] = ()
    images: Annotated[tuple[ImageEntry, ...], Field(max_length=2000)] = ()
    accessors: Annotated[tuple[Accessor, ...], Field(max_length=MAX_ENTRIES)] = ()
    buffer_views: Annotated[tuple[BufferView, ...], Field(max_length=MAX_ENTRIES)] = ()
    buffers: Annotated[tuple[Buffer, ...], Field(max_length=1000)] = ()
    extensions_required: tuple[str, ...] = ()
    extensions: Extensions = Extensions()


class ChannelTarget(Entry):
    """What a channel moves."""

    node: Count | None = None
    path: str


class Channel(Entry):
    """Which sampler moves what."""

    sampler: Count
    target: ChannelTarget


class Sampler(Entry):
    """Keys over time: accessors of times and of values."""

    input: Count
    output: Count
    interpolation: Literal["LINEAR", "STEP", "CUBICSPLINE"] = "LINEAR"


class Clip(Entry):
    """An animation."""

    name: str | None = None
    channels: tuple[Channel, ...] = ()
    samplers: tuple[Sampler, ...] = ()


class AnimatedGltf(Gltf):
    """A document with its clips."""

    animations: tuple[Clip, ...] = ()
