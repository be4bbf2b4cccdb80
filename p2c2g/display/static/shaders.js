/**
 * The shaders that make the picture: base layer and composition, integer by integer as
 * p2c2g/media/base.py and p2c2g/media/composition.py have it.  Row 0 of every texture is the
 * picture's top.
 */

export const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

const HEAD = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp isampler2D;

/** One axis: see p2c2g/media/kernels.py. */
struct Kernel { int outputs; int inputs; int bits; int reach; bool whole; };
uniform Kernel across;
uniform Kernel down;
uniform int rest;
uniform ivec2 cell;
uniform ivec2 around;
uniform int margin;

/** The levels of a picture; beyond its edges they are repeated. */
ivec3 levels(sampler2D picture, ivec2 at) {
  ivec2 inside = clamp(at, ivec2(0), textureSize(picture, 0) - 1);
  return ivec3(texelFetch(picture, inside, 0).rgb * 255.0 + 0.5);
}

int luma(ivec3 rgb) {
  return (77 * rgb.r + 150 * rgb.g + 29 * rgb.b + 128) >> 8;
}

/** The old pixel, relative to its period, in which a phase has its centre. */
int nearest(isampler2D weights, int phase) {
  return texelFetch(weights, ivec2(0, phase), 0).r;
}

int weight(isampler2D weights, int reach, int phase, int place) {
  return texelFetch(weights, ivec2(1 + reach + place, phase), 0).r;
}

/** The phases of which one is made: itself, or, negative, all the others. */
bool derived(Kernel kernel, int phase) {
  return kernel.whole && phase == kernel.outputs - 1;
}
`;

/** What is added along the rows: 16ths of a level, and the parts that go on down. */
export const ACROSS = `${HEAD}
uniform sampler2D source;
uniform isampler2D weightsAcross;
layout(location = 0) out ivec4 fine;
layout(location = 1) out ivec4 coarse;

void main() {
  ivec2 here = ivec2(gl_FragCoord.xy);
  int phase = here.x % across.outputs;
  int first = here.x / across.outputs * across.inputs;
  bool others = derived(across, phase);
  ivec3 sumFine = ivec3(0);
  ivec3 sumCoarse = ivec3(0);
  for (int i = others ? 0 : phase; i < (others ? phase : phase + 1); i += 1) {
    int middle = first + nearest(weightsAcross, i);
    ivec3 x = ivec3(0);
    for (int t = -across.reach; t <= across.reach; t += 1) {
      int by = weight(weightsAcross, across.reach, i, t);
      if (by != 0) x += by * levels(source, ivec2(middle + t, here.y));
    }
    sumFine += x >> (across.bits - 4);
    sumCoarse += x >> (across.bits - rest);
  }
  fine = ivec4(others ? -sumFine : sumFine, 0);
  coarse = ivec4(others ? -sumCoarse : sumCoarse, 0);
}`;

/** The base in 16ths of a level, and half a level more, before it is made to fit. */
export const DOWN = `${HEAD}
uniform sampler2D source;
uniform isampler2D weightsAcross;
uniform isampler2D weightsDown;
uniform isampler2D fine;
uniform isampler2D coarse;
out ivec4 sixteenths;

ivec3 along(isampler2D picture, ivec2 at) {
  return texelFetch(picture, ivec2(at.x, clamp(at.y, 0, textureSize(picture, 0).y - 1)), 0).rgb;
}

void main() {
  ivec2 here = ivec2(gl_FragCoord.xy);
  ivec2 phase = ivec2(here.x % across.outputs, here.y % down.outputs);
  int column = here.x / across.outputs * across.inputs + nearest(weightsAcross, phase.x);
  int first = here.y / down.outputs * down.inputs;
  int row = first + nearest(weightsDown, phase.y);
  bool othersDown = derived(down, phase.y);
  bool othersAcross = derived(across, phase.x);
  ivec3 y = ivec3(0);
  ivec3 xy = ivec3(0);
  for (int j = othersDown ? 0 : phase.y; j < (othersDown ? phase.y : phase.y + 1); j += 1) {
    int middle = first + nearest(weightsDown, j);
    ivec3 sum = ivec3(0);
    for (int t = -down.reach; t <= down.reach; t += 1) {
      int by = weight(weightsDown, down.reach, j, t);
      if (by != 0) sum += by * levels(source, ivec2(column, middle + t));
    }
    y += sum >> (down.bits - 4);
    for (int i = othersAcross ? 0 : phase.x; i < (othersAcross ? phase.x : phase.x + 1); i += 1) {
      sum = ivec3(0);
      for (int t = -down.reach; t <= down.reach; t += 1) {
        int by = weight(weightsDown, down.reach, j, t);
        if (by != 0) sum += by * along(coarse, ivec2(here.x - phase.x + i, middle + t));
      }
      xy += sum >> (down.bits + rest - 4);
    }
  }
  y = othersDown ? -y : y;
  xy = othersDown != othersAcross ? -xy : xy;
  ivec3 nearby = 16 * levels(source, ivec2(column, row)) + 8;
  sixteenths = ivec4(nearby + along(fine, ivec2(here.x, row)) + y + xy, 0);
}`;

/** The base: where both factors are whole, the detail of each block shrinks until it fits. */
export const FIT = `${HEAD}
uniform sampler2D source;
uniform isampler2D sixteenths;
out vec4 base;

const int TOP = 4095;

void main() {
  ivec2 here = ivec2(gl_FragCoord.xy);
  ivec3 value = texelFetch(sixteenths, here, 0).rgb;
  if (across.whole && down.whole) {
    ivec2 block = ivec2(here.x / across.outputs, here.y / down.outputs);
    ivec2 first = block * ivec2(across.outputs, down.outputs);
    ivec3 highest = value;
    ivec3 lowest = value;
    for (int y = 0; y < down.outputs; y += 1) {
      for (int x = 0; x < across.outputs; x += 1) {
        ivec3 other = texelFetch(sixteenths, first + ivec2(x, y), 0).rgb;
        highest = max(highest, other);
        lowest = min(lowest, other);
      }
    }
    ivec3 level = 16 * levels(source, block) + 8;
    for (int colour = 0; colour < 3; colour += 1) {
      int above = max(highest[colour] - level[colour], 1);
      int below = max(level[colour] - lowest[colour], 1);
      int kept = min(256, min((TOP - level[colour]) * 256 / above, level[colour] * 256 / below));
      value[colour] = level[colour] + (((value[colour] - level[colour]) * kept + 128) >> 8);
    }
  }
  base = vec4(vec3(clamp(value >> 4, 0, 255)) / 255.0, 1.0);
}`;

/** The darkest and the lightest luma along a row. */
export const RANGE = `${HEAD}
uniform sampler2D base;
out ivec4 range;

void main() {
  ivec2 here = ivec2(gl_FragCoord.xy);
  int darkest = 255;
  int lightest = 0;
  for (int x = -around.x; x <= around.x; x += 1) {
    int value = luma(levels(base, here + ivec2(x, 0)));
    darkest = min(darkest, value);
    lightest = max(lightest, value);
  }
  range = ivec4(darkest, lightest, 0, 0);
}`;

/** Of each pixel its residual, and how far it may go up and down. */
export const ROOM = `${HEAD}
uniform sampler2D base;
uniform isampler2D range;
uniform sampler2D residual;
uniform sampler2D residualHigh;
uniform int gain;
out ivec4 room;

int texel(sampler2D picture, ivec2 at) {
  return int(texelFetch(picture, at, 0).r * 255.0 + 0.5);
}

void main() {
  ivec2 here = ivec2(gl_FragCoord.xy);
  ivec2 found = ivec2(255, 0);
  for (int y = -around.y; y <= around.y; y += 1) {
    int row = clamp(here.y + y, 0, textureSize(range, 0).y - 1);
    ivec2 other = texelFetch(range, ivec2(here.x, row), 0).rg;
    found = ivec2(min(found.x, other.x), max(found.y, other.y));
  }
  ivec3 rgb = levels(base, here);
  int middle = luma(rgb);
  int beyond = (found.y - found.x) / 2 + margin;
  int up = min(found.y - middle + beyond, 255 - max(rgb.r, max(rgb.g, rgb.b)));
  int downwards = min(middle - found.x + beyond, min(rgb.r, min(rgb.g, rgb.b)));
  int high = texel(residualHigh, here);
  int value = texel(residual, here) + 256 * (high > 127 ? high - 256 : high) - 128;
  // Rounded to the nearest, halves up; the detour keeps the dividend above 0.
  value = (2 * value + gain + 2048 * gain * 64) / (2 * gain) - 1024 * 64;
  room = ivec4(clamp(value, -255, 255), up, downwards, 0);
}`;

/** The picture: of each cell the mean is taken out, and the rest shrinks until it fits. */
export const SUM = `${HEAD}
uniform sampler2D base;
uniform isampler2D room;
out vec4 picture;

void main() {
  ivec2 here = ivec2(gl_FragCoord.xy);
  ivec3 own = texelFetch(room, here, 0).rgb;
  int change = clamp(own.r, -own.b, own.g);
  int count = cell.x * cell.y;
  if (count > 1) {
    ivec2 first = here / cell * cell;
    change = 0;
    // A cell that the edge cuts is left as it is.
    if (all(lessThanEqual(first + cell, textureSize(room, 0)))) {
      int sum = 0;
      for (int i = 0; i < count; i += 1) {
        sum += texelFetch(room, first + ivec2(i % cell.x, i / cell.x), 0).r;
      }
      int kept = 16;
      for (int i = 0; i < count; i += 1) {
        ivec3 other = texelFetch(room, first + ivec2(i % cell.x, i / cell.x), 0).rgb;
        int detail = count * other.r - sum;
        if (detail != 0) {
          int bound = detail > 0 ? other.g : other.b;
          kept = min(kept, (16 * count * bound + 1) / abs(detail));
        }
      }
      int unit = 16 * count;
      change = (kept * (count * own.r - sum) + unit / 2 + 1024 * unit) / unit - 1024;
    }
  }
  picture = vec4(vec3(levels(base, here) + change) / 255.0, 1.0);
}`;

/** What is seen: the base left of the divider, the sum right of it. */
export const SHOW = `${HEAD}
uniform sampler2D base;
uniform sampler2D picture;
uniform int divider;
out vec4 colour;

void main() {
  ivec2 size = textureSize(base, 0);
  ivec2 here = ivec2(gl_FragCoord.x, float(size.y) - gl_FragCoord.y);
  colour = here.x < divider ? texelFetch(base, here, 0) : texelFetch(picture, here, 0);
}`;
