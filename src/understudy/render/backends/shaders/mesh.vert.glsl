#version 330
// Any posed mesh, seen through one matrix; with MOTION also where its points are in the picture before, now and after:
// pixels times depth, and depth.
uniform mat4 clip_from_world;
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
in float in_unoccluded;
out vec3 world;
out vec3 normal;
out vec2 uv;
out float unoccluded;
#ifdef MOTION
uniform mat4 before_from_world;
uniform mat4 now_from_world;
uniform mat4 after_from_world;
in vec3 in_before;
in vec3 in_after;
out vec3 before;
out vec3 now;
out vec3 after;
#endif

void main() {
    world = in_position;
    normal = in_normal;
    uv = in_uv;
    unoccluded = in_unoccluded;
#ifdef MOTION
    before = (before_from_world * vec4(in_before, 1.0)).xyz;
    now = (now_from_world * vec4(in_position, 1.0)).xyz;
    after = (after_from_world * vec4(in_after, 1.0)).xyz;
#endif
    gl_Position = clip_from_world * vec4(in_position, 1.0);
}
