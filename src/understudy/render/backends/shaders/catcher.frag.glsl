#version 330
// The shadow on the ground plane. The ground lies behind every blocker, so filtering the blockers' coverage is exact
// percentage-closer filtering; its width grows with the blockers' distance (Fernando 2005, percentage-closer soft
// shadows), and a pyramid of the coverage stands in for many taps.
uniform vec2 corner_px;
uniform mat3 ray_from_pixel;
uniform vec3 camera_position;
uniform sampler2D blockers;
uniform mat4 shadow_from_world;
uniform float blocker_texel_m;
uniform float key_tangent;
uniform float widest_blocker_m;
uniform bool key_shines;
uniform sampler2D contact;
uniform vec4 contact_box;
uniform float contact_reach_m;
uniform float contact_texel_m;
uniform float contact_strength;
layout(location = 0) out float out_shadow;

const int TAPS = 8;
const float GOLDEN_ANGLE = 2.399963;

vec2 disc(int i) {
    float a = GOLDEN_ANGLE * float(i);
    return sqrt((float(i) + 0.5) / float(TAPS)) * vec2(cos(a), sin(a));
}

vec2 filtered(vec2 at, float radius_m) {
    // Taps spread over the disc, each from the pyramid's level whose texels fill the gaps between them.
    float radius_texels = radius_m / blocker_texel_m;
    float level = log2(max(radius_texels * 0.6, 1.0));
    float radius_uv = radius_texels / float(textureSize(blockers, 0).x);
    vec2 sum = vec2(0.0);
    for (int i = 0; i < TAPS; i++) sum += textureLod(blockers, at + radius_uv * disc(i), level).rg;
    return sum / float(TAPS);
}

void main() {
    vec3 ray = ray_from_pixel * vec3(gl_FragCoord.xy + corner_px, 1.0);
    float reach = -camera_position.y / ray.y;
    // Software renderers skip work only by discarding and by loops that end, not by `if` or `return`.
    if (abs(ray.y) < 1e-9 || reach <= 0.0) discard;
    vec3 ground = camera_position + reach * ray;
    float key_share = 0.0;
    if (key_shines) {
        vec2 at = (shadow_from_world * vec4(ground, 1.0)).xy;
        vec2 wide = filtered(at, max(key_tangent * widest_blocker_m, blocker_texel_m));
        for (int once = wide.x > 1e-4 ? 0 : 1; once < 1; once++) {
            float blocker_m = wide.y / wide.x;
            key_share = filtered(at, max(key_tangent * blocker_m, 0.75 * blocker_texel_m)).x;
        }
    }
    vec2 beneath = (ground.xz - contact_box.xy) / contact_box.zw;
    float dark = 0.0;
    bool near_contact = all(greaterThan(beneath, vec2(0.0))) && all(lessThan(beneath, vec2(1.0)));
    for (int i = near_contact ? 0 : TAPS; i < TAPS; i++) {
        vec2 step_m = contact_reach_m * disc(i);
        dark += textureLod(contact, beneath + step_m / contact_box.zw,
                           log2(max(0.5 * contact_reach_m / contact_texel_m, 1.0))).r;
    }
    dark = contact_strength * min(2.0 * dark / float(TAPS), 1.0);
    out_shadow = 1.0 - (1.0 - key_share) * (1.0 - dark);
}
