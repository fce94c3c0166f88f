#version 330
// How far the point under a sample moves in the picture, in pixels: to the next frame and to the previous one.
uniform sampler2D base_texture;
uniform bool textured;
uniform vec4 base_colour;
uniform float alpha_cutoff;
in vec3 before;
in vec3 now;
in vec3 after;
in vec2 uv;
layout(location = 0) out vec4 out_motion;

const float NEAR_M = 0.05;

vec2 moved(vec3 there) {
    // What comes from behind the camera, or goes there, was or will be nowhere in the picture.
    return there.z > NEAR_M ? there.xy / there.z - now.xy / now.z : vec2(0.0);
}

void main() {
    float alpha = base_colour.a;
    if (textured) alpha *= texture(base_texture, uv).a;
    if (alpha_cutoff >= 0.0 && alpha < alpha_cutoff) discard;
    out_motion = vec4(moved(after), moved(before));
}
