#version 330
// A posed mesh, and where its points are in the picture before, now and after: pixels times depth, and depth.
uniform mat4 clip_from_world;
uniform mat4 before_from_world;
uniform mat4 now_from_world;
uniform mat4 after_from_world;
in vec3 in_position;
in vec3 in_before;
in vec3 in_after;
in vec2 in_uv;
out vec3 before;
out vec3 now;
out vec3 after;
out vec2 uv;

void main() {
    before = (before_from_world * vec4(in_before, 1.0)).xyz;
    now = (now_from_world * vec4(in_position, 1.0)).xyz;
    after = (after_from_world * vec4(in_after, 1.0)).xyz;
    uv = in_uv;
    gl_Position = clip_from_world * vec4(in_position, 1.0);
}
