#version 330
// Samples lit and averaged to pixels. Where all samples of a pixel lie on one smooth surface it is lit once, elsewhere
// each sample is. Colour and alpha are means over the samples, so colour comes out premultiplied; depth, normal and id
// are those of the nearest surface: samples more than 2 % behind it belong to another one. Beside the id stands the share
// of the samples that have it. With MOTION also how far the nearest surface moves, as a mean over its samples.
// Diffuse: Lambert, less what is mirrored (glTF 2.0, appendix B). Specular: GGX with Smith's visibility and Schlick's
// Fresnel term (Walter et al. 2007; Karis 2013), its lobe widened by the key's size so that small highlights do not
// flicker; light that leaves the microfacets only after several bounces is added (Turquin 2019).
uniform sampler2D bases;
uniform sampler2D geometries;
uniform sampler2D surfaces;
uniform sampler2D split_sums;
uniform int factor;
uniform vec2 corner_px;
uniform mat3 ray_from_pixel;
uniform vec3 camera_position;

uniform vec3 to_key;
uniform vec3 key_colour;
uniform vec3 fill_sky;
uniform vec3 fill_ground;
uniform float key_radius;

uniform sampler2DShadow shadow_map;
uniform mat4 shadow_from_world;
uniform float shadow_offset_m;
uniform float shadow_blur;
uniform bool key_blocked;

layout(location = 0) out vec4 out_colour;
layout(location = 1) out vec4 out_surface;
layout(location = 2) out vec2 out_id;
#ifdef MOTION
uniform sampler2D motions;
layout(location = 3) out vec4 out_motion;
#endif

const int TAPS = 8;
const float GOLDEN_ANGLE = 2.399963;

vec3 unfolded(vec2 f) {
    vec3 n = vec3(f, 1.0 - abs(f.x) - abs(f.y));
    if (n.z < 0.0) n.xy = (1.0 - abs(n.yx)) * vec2(n.x >= 0.0 ? 1.0 : -1.0, n.y >= 0.0 ? 1.0 : -1.0);
    return normalize(n);
}

// The colour, and the share of light from all sides that the body itself does not keep off.
vec4 unrooted(vec4 base) {
    return vec4(base.rgb * base.rgb, base.a);
}

float key_visibility(vec3 world, vec3 n) {
    if (!key_blocked) return 1.0;
    // Moving the point along its normal keeps a surface from shading itself.
    vec3 at = (shadow_from_world * vec4(world + shadow_offset_m * n, 1.0)).xyz;
    float lit = 0.0;
    for (int i = 0; i < TAPS; i++) {
        float r = shadow_blur * sqrt((float(i) + 0.5) / float(TAPS));
        float a = GOLDEN_ANGLE * float(i);
        lit += texture(shadow_map, vec3(at.xy + r * vec2(cos(a), sin(a)), at.z));
    }
    return lit / float(TAPS);
}

vec3 fill(vec3 direction) {
    return mix(fill_ground, fill_sky, 0.5 + 0.5 * direction.y);
}

// A mixture of dielectric and metal; what the dielectric mirrors is lost to its diffuse part.
struct Reflected {
    vec3 diffuse;
    vec3 mirrored;
};

Reflected reflected(vec3 base, vec3 f0, float f90, float metallic, vec2 share, float lacking) {
    vec3 mirrored = (f0 * share.x + f90 * share.y) * (1.0 + f0 * lacking);
    vec3 metal = (base * share.x + share.y) * (1.0 + base * lacking);
    float lost = max(max(mirrored.r, mirrored.g), mirrored.b);
    return Reflected(base * (1.0 - metallic) * (1.0 - lost), mix(mirrored, metal, metallic));
}

vec3 lit(vec3 base, float unoccluded, vec3 n, vec3 world, int surface) {
    vec3 finish = texelFetch(surfaces, ivec2(surface, 1), 0).xyz;
    vec3 f0 = texelFetch(surfaces, ivec2(surface, 2), 0).rgb;
    float metallic = finish.x;
    float roughness = finish.y;
    float f90 = finish.z;
    vec3 v = normalize(camera_position - world);
    vec3 h = normalize(v + to_key);
    float n_l = max(dot(n, to_key), 0.0);
    float n_v = max(dot(n, v), 1e-3);
    float n_h = max(dot(n, h), 0.0);
    vec2 split_sum = texture(split_sums, vec2(n_v, roughness)).rg;
    float lacking = 1.0 / (split_sum.x + split_sum.y) - 1.0;

    vec3 colour = texelFetch(surfaces, ivec2(surface, 0), 0).rgb;
    if (n_l > 0.0) {
        float alpha = clamp(roughness * roughness + 0.5 * key_radius, 0.02, 1.0);
        float a2 = alpha * alpha;
        float d = n_h * n_h * (a2 - 1.0) + 1.0;
        float k = 0.5 * alpha;
        float visibility = 0.25 / ((n_l * (1.0 - k) + k) * (n_v * (1.0 - k) + k));
        // Rounding may bring a cosine past one, and a power of less than zero is no number.
        float grazing = pow(1.0 - clamp(dot(v, h), 0.0, 1.0), 5.0);
        Reflected key = reflected(base, f0, f90, metallic, vec2(1.0 - grazing, grazing), lacking);
        colour += (key.diffuse + key.mirrored * (a2 / (d * d)) * visibility) * key_colour * n_l
                  * key_visibility(world, n);
    }
    // The fill's own reflection: what comes from the mirrored direction, blurred towards the normal by roughness.
    vec3 mirrored = normalize(mix(reflect(-v, n), n, roughness * roughness));
    Reflected around = reflected(base, f0, f90, metallic, split_sum, lacking);
    // Light that the body keeps off is made up for by what the body throws back, as bright as it is here; a lobe is
    // hidden the more sharply the narrower it is (Lagarde and de Rousiers 2014, Moving Frostbite to PBR, 4.10.2).
    vec3 ambient = unoccluded / max(1.0 - base * (1.0 - metallic) * (1.0 - unoccluded), 1e-3);
    float narrow = exp2(-16.0 * roughness * roughness - 1.0);
    float lobe_share = clamp(pow(min(n_v, 1.0) + unoccluded, narrow) - 1.0 + unoccluded, 0.0, 1.0);
    return colour + around.diffuse * ambient * fill(n) + around.mirrored * lobe_share * fill(mirrored);
}

void main() {
    ivec2 corner = ivec2(gl_FragCoord.xy) * factor;
    float nearest = 1e30;
    float farthest = 0.0;
    float covered = 0.0;
    int first = 0;
    for (int y = 0; y < factor; y++) for (int x = 0; x < factor; x++) {
        vec4 geometry = texelFetch(geometries, corner + ivec2(x, y), 0);
        if (geometry.w == 0.0) continue;
        if (geometry.z < nearest) first = int(geometry.w);
        nearest = min(nearest, geometry.z);
        farthest = max(farthest, geometry.z);
        covered += 1.0;
    }
    // Software renderers skip work only by discarding and by loops that end, not by `if` or `return`.
    if (covered == 0.0) discard;

    vec4 base = vec4(0.0);
    vec3 normal = vec3(0.0);
    float depth = 0.0;
    float count = 0.0;
    float id = texelFetch(surfaces, ivec2(first, 0), 0).a;
    float same_id = 0.0;
    int surface = 0;
#ifdef MOTION
    vec4 motion = vec4(0.0);
#endif
    bool mixed = farthest > 1.02 * nearest;
    for (int y = 0; y < factor; y++) for (int x = 0; x < factor; x++) {
        vec4 geometry = texelFetch(geometries, corner + ivec2(x, y), 0);
        if (geometry.w == 0.0) continue;
        if (texelFetch(surfaces, ivec2(int(geometry.w), 0), 0).a == id) same_id += 1.0;
        if (geometry.z > 1.02 * nearest) continue;
        base += unrooted(texelFetch(bases, corner + ivec2(x, y), 0));
        normal += unfolded(geometry.xy);
        depth += geometry.z;
        count += 1.0;
#ifdef MOTION
        motion += texelFetch(motions, corner + ivec2(x, y), 0);
#endif
        mixed = mixed || (surface != 0 && surface != int(geometry.w));
        surface = int(geometry.w);
    }
    mixed = mixed || length(normal) < 0.97 * count;
    depth /= count;
    normal = normalize(normal);
    int rounds = mixed ? factor * factor : 1;
    float weight = mixed ? 1.0 : covered;
    vec3 colour = vec3(0.0);
    for (int i = 0; i < rounds; i++) {
        ivec2 at = corner + ivec2(i % factor, i / factor);
        vec4 geometry = texelFetch(geometries, at, 0);
        vec2 pixel = corner_px + (mixed ? (vec2(at) + 0.5) / float(factor) : gl_FragCoord.xy);
        vec3 world = camera_position + (mixed ? geometry.z : depth) * (ray_from_pixel * vec3(pixel, 1.0));
        vec4 surface_base = mixed ? unrooted(texelFetch(bases, at, 0)) : base / count;
        vec3 sample_colour = lit(surface_base.rgb, surface_base.a, mixed ? unfolded(geometry.xy) : normal, world,
                                 mixed ? int(geometry.w) : surface);
        if (!mixed || geometry.w != 0.0) colour += weight * sample_colour;
    }
    float samples = float(factor * factor);
    out_colour = vec4(colour, covered) / samples;
    out_surface = vec4(normal, depth);
    out_id = vec2(id / 255.0, same_id / samples);
#ifdef MOTION
    out_motion = motion / count;
#endif
}
