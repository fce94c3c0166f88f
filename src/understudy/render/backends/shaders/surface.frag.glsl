#version 330
// What lies under each sample; shade.frag lights it. Small triangles keep few of a software renderer's lanes busy, so
// as little as possible is done here and the light is worked out afterwards, over whole rectangles. With MOTION also how
// far the point under a sample moves in the picture, in pixels: to the next frame and to the previous one.
uniform sampler2D base_texture;
uniform bool textured;
uniform vec4 base_colour;
uniform float alpha_cutoff;
uniform float surface;
in vec3 world;
in vec3 normal;
in vec2 uv;
in float unoccluded;
layout(location = 0) out vec4 out_base;
layout(location = 1) out vec4 out_geometry;
#ifdef MOTION
in vec3 before;
in vec3 now;
in vec3 after;
layout(location = 2) out vec4 out_motion;

const float NEAR_M = 0.05;

vec2 moved(vec3 there) {
    // What comes from behind the camera, or goes there, was or will be nowhere in the picture.
    return there.z > NEAR_M ? there.xy / there.z - now.xy / now.z : vec2(0.0);
}
#endif

void main() {
    vec4 base = base_colour;
    if (textured) base *= texture(base_texture, uv);
    if (alpha_cutoff >= 0.0 && base.a < alpha_cutoff) discard;
    // Square roots spread eight bits as the eye sees them, near enough.
    out_base = vec4(sqrt(clamp(base.rgb, 0.0, 1.0)), unoccluded);
    vec3 n = normalize(gl_FrontFacing ? normal : -normal);
    // Octahedral: two numbers for a unit vector (Cigolle et al. 2014).
    vec2 folded = n.xy / (abs(n.x) + abs(n.y) + abs(n.z));
    if (n.z < 0.0) folded = (1.0 - abs(folded.yx)) * vec2(n.x >= 0.0 ? 1.0 : -1.0, n.y >= 0.0 ? 1.0 : -1.0);
    out_geometry = vec4(folded, 1.0 / gl_FragCoord.w, surface);
#ifdef MOTION
    out_motion = vec4(moved(after), moved(before));
#endif
}
