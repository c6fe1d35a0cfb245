/** Grey values: DICOM's linear window (PS3.3 C.11.2.1.2.1) as a table of all 16-bit values. */

export const LEVELS = 65536;

/**
 * Fill a table of opaque greys (RGBA in memory order) that is looked up by `value & 0xffff`, so
 * that signed and unsigned images use the same loop.
 * @param {Uint32Array} table
 */
export function fillTable(table, { center, width }, { inverted, signed }) {
  const span = Math.max(1, width - 1);
  const low = center - 0.5 - span / 2;
  const first = signed ? -LEVELS / 2 : 0;
  for (let k = 0; k < LEVELS; k += 1) {
    const value = first + k;
    let grey = ((value - low) / span) * 255;
    grey = grey < 0 ? 0 : grey > 255 ? 255 : Math.round(grey);
    if (inverted) grey = 255 - grey;
    table[value & 0xffff] = (0xff000000 | (grey * 0x010101)) >>> 0;
  }
  return table;
}

/** Write the greys of values, from `offset` on, into the pixels of a picture. */
export function paint(pixels, values, offset, table) {
  const n = pixels.length;
  for (let k = 0; k < n; k += 1) pixels[k] = table[values[offset + k] & 0xffff];
}
