#version 330
// What the key light sees: depth for shadows on characters, and for the shadow on the ground
// (coverage, coverage × how far the ray travels from here to the ground).
uniform vec3 to_key;
uniform sampler2D base_texture;
uniform vec4 base_colour;
uniform bool textured;
uniform float alpha_cutoff;
in vec3 world;
in vec3 normal;
in vec2 uv;
layout(location = 0) out vec2 blocker;

void main() {
    if (alpha_cutoff >= 0.0) {
        float alpha = base_colour.a * (textured ? texture(base_texture, uv).a : 1.0);
        if (alpha < alpha_cutoff) discard;
    }
    // Parts that sink below the ground throw no shadow on it.
    bool above = world.y > 0.0 && to_key.y > 0.0;
    blocker = above ? vec2(1.0, world.y / to_key.y) : vec2(0.0);
}
