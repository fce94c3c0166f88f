#version 330
// The underside of what stands close to the ground: 1 where it touches, 0 from `reach_m` up.
uniform float reach_m;
in vec3 world;
in vec3 normal;
in vec2 uv;
layout(location = 0) out float closeness;

void main() {
    closeness = clamp(1.0 - max(world.y, 0.0) / reach_m, 0.0, 1.0);
}
