#version 330
// Any posed mesh, seen through one matrix.
uniform mat4 clip_from_world;
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
out vec3 world;
out vec3 normal;
out vec2 uv;

void main() {
    world = in_position;
    normal = in_normal;
    uv = in_uv;
    gl_Position = clip_from_world * vec4(in_position, 1.0);
}
