/**
 * Pixel layouts to RGB and back. All arrays are 8-bit, row-major, channels last.
 *
 * @module
 */

/** RGB to RGBA, opaque. */
export function toRgba(rgb: Uint8Array): Uint8Array {
  const rgba = new Uint8Array((rgb.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    for (let channel = 0; channel < 3; channel++) rgba[to + channel] = rgb[from + channel] ?? 0;
  }
  return rgba;
}

/** RGBA, not premultiplied, to RGB over white. */
export function rgbaOnWhite(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = (rgba[from + 3] ?? 0) / 255;
    for (let channel = 0; channel < 3; channel++) {
      rgb[to + channel] = Math.round(255 + ((rgba[from + channel] ?? 0) - 255) * alpha);
    }
  }
  return rgb;
}

/** RGBA to RGB that is white where it was at least half transparent, black elsewhere. */
export function clearIsLight(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 3, to = 0; from < rgba.length; from += 4, to += 3) {
    if ((rgba[from] ?? 255) < 128) rgb.fill(255, to, to + 3);
  }
  return rgb;
}

export function greyToRgb(grey: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(grey.length * 3);
  grey.forEach((value, i) => rgb.fill(value, 3 * i, 3 * i + 3));
  return rgb;
}

/** CMYK to RGB, 255 being full ink: what imagescript's decoder gives. No colour profile is applied. */
export function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4, to += 3) {
    const light = 1 - (cmyk[from + 3] ?? 0) / 255;
    for (let channel = 0; channel < 3; channel++) {
      rgb[to + channel] = Math.round(255 * (1 - (cmyk[from + channel] ?? 0) / 255) * light);
    }
  }
  return rgb;
}
