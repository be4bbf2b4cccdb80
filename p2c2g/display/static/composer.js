/**
 * The picture, made by the graphics card: the gamer's own frame, enlarged, and what peers add.
 *
 * Nothing is encoded again for a browser that can do this.  It computes with integers what
 * p2c2g/media/composition.py does, and so makes the same picture from the same pixels.
 */

import { ACROSS, DOWN, FIT, RANGE, ROOM, SHOW, SUM, VERTEX } from "./shaders.js";

/**
 * @typedef {object} Axis how one axis is scaled: p2c2g/media/kernels.py
 * @property {number} outputs
 * @property {number} inputs
 * @property {number} bits
 * @property {number} reach
 * @property {number[]} nearest
 * @property {number[][]} weights of each phase, from -reach to reach
 *
 * @typedef {object} Terms what a session's frames need: p2c2g/display/terms.py
 * @property {[number, number]} source width and height in pixels
 * @property {[number, number]} output
 * @property {Axis} across
 * @property {Axis} down
 * @property {number} rest
 * @property {[number, number]} cell
 * @property {[number, number]} around
 * @property {number} margin
 * @property {number} gain
 */

/** Renderers that do it on the processor, where the session does it better. */
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;
/** 0 of a residual. */
const NOTHING = 128;

export class Composer {
  /**
   * Return a composer, or null where there is no WebGL2, or only one done in software.
   * @param {HTMLCanvasElement | OffscreenCanvas} canvas which shows the picture
   * @param {{ software?: boolean }} options whether software will do
   * @returns {Composer | null}
   */
  static create(canvas, { software = false } = {}) {
    const gl = canvas.getContext("webgl2", {
      alpha: false,
      antialias: false,
      depth: false,
      failIfMajorPerformanceCaveat: !software,
    });
    if (!gl) return null;
    const names = gl.getExtension("WEBGL_debug_renderer_info");
    const renderer = gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    return software || !SOFTWARE.test(renderer) ? new Composer(gl) : null;
  }

  /** @param {WebGL2RenderingContext} gl */
  constructor(gl) {
    this.gl = gl;
    this.programs = new Map();
    for (const [name, text] of Object.entries({ ACROSS, DOWN, FIT, RANGE, ROOM, SHOW, SUM })) {
      this.programs.set(name, link(gl, text));
    }
    /** @type {Map<string, WebGLTexture>} */
    this.textures = new Map();
    /** @type {Map<string, WebGLFramebuffer>} */
    this.targets = new Map();
    /** @type {Terms | null} */
    this.terms = null;
    this.hasHigh = false;
    this.largest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.PACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  }

  /**
   * Make room for a session's frames.
   * @param {Terms} terms
   * @throws {Error} where the card has none
   */
  configure(terms) {
    const { gl } = this;
    this.free();
    if (Math.max(...terms.source, ...terms.output) > this.largest) {
      throw new Error("The picture is larger than this browser can draw.");
    }
    this.terms = terms;
    const { source, output, across, down } = terms;
    const tall = [output[0], source[1]];
    this.texture("source", gl.RGBA8, source);
    this.texture("fine", gl.RGBA16I, tall);
    this.texture("coarse", gl.RGBA16I, tall);
    this.texture("sixteenths", gl.RGBA16I, output);
    this.texture("base", gl.RGBA8, output);
    this.texture("range", gl.RGBA16I, output);
    this.texture("residual", gl.R8, output);
    this.texture("residualHigh", gl.R8, output);
    this.texture("room", gl.RGBA16I, output);
    this.texture("picture", gl.RGBA8, output);
    this.weights("weightsAcross", across);
    this.weights("weightsDown", down);
    this.target("ACROSS", "fine", "coarse");
    this.target("DOWN", "sixteenths");
    this.target("FIT", "base");
    this.target("RANGE", "range");
    this.target("ROOM", "room");
    this.target("SUM", "picture");
    this.target("residual", "residual");
    this.target("residualHigh", "residualHigh");
    for (const program of this.programs.values()) this.constants(program, terms);
    gl.canvas.width = output[0];
    gl.canvas.height = output[1];
    this.clear("residualHigh", 0);
    if (gl.getError() !== gl.NO_ERROR) throw new Error("There is no room to draw the picture.");
  }

  /**
   * Begin a frame: until they come, residuals are 0.
   */
  begin() {
    this.clear("residual", NOTHING);
    if (this.hasHigh) this.clear("residualHigh", 0);
    this.hasHigh = false;
  }

  /**
   * Take the gamer's own frame.
   * @param {ImageBitmap | Uint8Array} frame a picture, or four bytes a pixel: red, green, blue, any
   */
  source(frame) {
    const { gl } = this;
    const [width, height] = this.terms.source;
    gl.bindTexture(gl.TEXTURE_2D, this.textures.get("source"));
    const to = [gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE];
    gl.texSubImage2D(...to, frame);
  }

  /**
   * Take a chunk's residual, decoded.
   * @param {[number, number, number, number]} target x, y, width and height in the output
   * @param {ImageBitmap} low a grey picture of that size
   * @param {ImageBitmap | null} high its high bytes, where it has any
   */
  residual([x, y, width, height], low, high) {
    this.plane("residual", low, x, y, width, height);
    if (!high) return;
    this.plane("residualHigh", high, x, y, width, height);
    this.hasHigh = true;
  }

  /** Make the picture of what was taken. */
  compose() {
    const { gl } = this;
    const { source, output } = this.terms;
    this.run("ACROSS", [output[0], source[1]], ["source", "weightsAcross"]);
    const inputs = ["source", "weightsAcross", "weightsDown", "fine", "coarse"];
    this.run("DOWN", output, inputs);
    this.run("FIT", output, ["source", "sixteenths"]);
    this.run("RANGE", output, ["base"]);
    this.run("ROOM", output, ["base", "range", "residual", "residualHigh"]);
    this.run("SUM", output, ["base", "room"]);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  /**
   * Show the picture, and the base left of a divider.
   * @param {number} divider from 0 (all enhanced) to 1 (all base)
   */
  show(divider) {
    const { gl } = this;
    const program = this.programs.get("SHOW");
    gl.useProgram(program);
    const [width] = this.terms.output;
    gl.uniform1i(gl.getUniformLocation(program, "divider"), Math.round(divider * width));
    this.run("SHOW", this.terms.output, ["base", "picture"]);
  }

  /**
   * Return the pixels of the base or of the picture: four bytes each, row by row from the top.
   * @param {"base" | "picture"} name
   * @returns {Uint8Array}
   */
  read(name) {
    const { gl } = this;
    const [width, height] = this.terms.output;
    const pixels = new Uint8Array(4 * width * height);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.targets.get(name === "base" ? "FIT" : "SUM"));
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return pixels;
  }

  /** Give the card's memory back. */
  free() {
    for (const texture of this.textures.values()) this.gl.deleteTexture(texture);
    for (const target of this.targets.values()) this.gl.deleteFramebuffer(target);
    this.textures.clear();
    this.targets.clear();
  }

  /** @param {string} name @param {number} format @param {number[]} size */
  texture(name, format, [width, height]) {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, format, width, height);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    this.textures.set(name, texture);
  }

  /** @param {string} name @param {Axis} axis */
  weights(name, { outputs, reach, nearest, weights }) {
    const { gl } = this;
    const width = 2 * reach + 2;
    this.texture(name, gl.R16I, [width, outputs]);
    const values = Int16Array.from(nearest.flatMap((first, phase) => [first, ...weights[phase]]));
    const to = [gl.TEXTURE_2D, 0, 0, 0, width, outputs, gl.RED_INTEGER, gl.SHORT];
    gl.texSubImage2D(...to, values);
  }

  /** @param {string} name @param {string[]} textures */
  target(name, ...textures) {
    const { gl } = this;
    const target = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    const places = textures.map((_, index) => gl.COLOR_ATTACHMENT0 + index);
    textures.forEach((texture, index) => {
      const kind = gl.TEXTURE_2D;
      gl.framebufferTexture2D(gl.FRAMEBUFFER, places[index], kind, this.textures.get(texture), 0);
    });
    gl.drawBuffers(places);
    this.targets.set(name, target);
  }

  /** @param {WebGLProgram} program @param {Terms} terms */
  constants(program, terms) {
    const { gl } = this;
    gl.useProgram(program);
    const at = (name) => gl.getUniformLocation(program, name);
    for (const name of ["across", "down"]) {
      const axis = terms[name];
      for (const key of ["outputs", "inputs", "bits", "reach"]) {
        gl.uniform1i(at(`${name}.${key}`), axis[key]);
      }
      gl.uniform1i(at(`${name}.whole`), axis.inputs === 1 ? 1 : 0);
    }
    for (const key of ["rest", "margin", "gain"]) gl.uniform1i(at(key), terms[key]);
    for (const key of ["cell", "around"]) gl.uniform2i(at(key), ...terms[key]);
  }

  /** @param {string} name @param {number} level */
  clear(name, level) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.targets.get(name));
    gl.clearColor(level / 255, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
  }

  /** Put the upper rows of a grey picture into a texture. */
  plane(name, part, x, y, width, height) {
    const { gl } = this;
    gl.bindTexture(gl.TEXTURE_2D, this.textures.get(name));
    const to = [gl.TEXTURE_2D, 0, x, y, width, height, gl.RED, gl.UNSIGNED_BYTE];
    gl.texSubImage2D(...to, part);
  }

  /** Run one shader over all of its target. */
  run(name, [width, height], inputs) {
    const { gl } = this;
    const program = this.programs.get(name);
    gl.useProgram(program);
    inputs.forEach((input, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, this.textures.get(input));
      gl.uniform1i(gl.getUniformLocation(program, input), unit);
    });
    gl.activeTexture(gl.TEXTURE0);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.targets.get(name) ?? null);
    gl.viewport(0, 0, width, height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {string} fragment
 * @returns {WebGLProgram}
 */
function link(gl, fragment) {
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) {
      throw new Error(`A shader is not understood: ${gl.getShaderInfoLog(shader)}`);
    }
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(`A program cannot be linked: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}
