#version 330
// The mean motion of the samples that lie on a pixel's nearest surface (see shade.frag).
uniform sampler2D geometries;
uniform sampler2D motions;
uniform int factor;
layout(location = 0) out vec4 out_motion;

void main() {
    ivec2 corner = ivec2(gl_FragCoord.xy) * factor;
    float nearest = 1e30;
    for (int y = 0; y < factor; y++) for (int x = 0; x < factor; x++) {
        vec4 geometry = texelFetch(geometries, corner + ivec2(x, y), 0);
        if (geometry.w != 0.0) nearest = min(nearest, geometry.z);
    }
    if (nearest == 1e30) discard;
    vec4 motion = vec4(0.0);
    float count = 0.0;
    for (int y = 0; y < factor; y++) for (int x = 0; x < factor; x++) {
        vec4 geometry = texelFetch(geometries, corner + ivec2(x, y), 0);
        if (geometry.w == 0.0 || geometry.z > 1.02 * nearest) continue;
        motion += texelFetch(motions, corner + ivec2(x, y), 0);
        count += 1.0;
    }
    out_motion = motion / count;
}
