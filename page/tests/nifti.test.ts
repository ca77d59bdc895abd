import { describe, expect, test } from 'vitest';
import { labelFile, parse, quantiles, timeCurve, unpacked, upright, upsideDown } from '../src/lib/nifti';

/** A file of int16 with a slope, as scanners' converters write them. */
function file(dims: number[], values: number[], little = true): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(352 + 2 * values.length));
  view.setInt32(0, 348, little);
  view.setInt16(40, dims.length, little);
  dims.forEach((size, i) => view.setInt16(42 + 2 * i, size, little));
  view.setInt16(70, 4, little);
  view.setInt16(72, 16, little);
  [0, 1.5, 2, 8, 0.8].forEach((spacing, i) => view.setFloat32(76 + 4 * i, spacing, little));
  view.setFloat32(108, 352, little);
  view.setFloat32(112, 2, little);
  view.setFloat32(116, 1, little);
  view.setFloat32(280, -1.5, little);
  values.forEach((value, i) => view.setInt16(352 + 2 * i, value, little));
  return view.buffer;
}

describe('NIfTI', () => {
  test.each([true, false])('values have slope and intercept (little-endian: %s)', (little) => {
    const image = parse(file([2, 3, 1, 2], [...Array(12).keys()], little));
    expect(image.dims).toEqual([2, 3, 1, 2]);
    expect([...image.values.slice(0, 3)]).toEqual([1, 3, 5]);
    expect(image.spacing).toEqual([1.5, 2, 8]);
    expect(timeCurve(image, 1, 2, 0)).toEqual([11, 23]);
  });

  test('a file that is cut or none is refused', () => {
    expect(() => parse(file([2, 3], [1, 2, 3]))).toThrow('cut short');
    expect(() => parse(new ArrayBuffer(400))).toThrow('no NIfTI');
  });

  test('rows are turned over and back', () => {
    const values = Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect([...upsideDown(values, [2, 3])]).toEqual([5, 6, 3, 4, 1, 2, 11, 12, 9, 10, 7, 8]);
    expect(upsideDown(upsideDown(values, [2, 3]), [2, 3])).toEqual(values);
  });

  test('what the viewer gets is upright and has the values', () => {
    const shown = parse(upright(parse(file([2, 3, 2], [...Array(12).keys()]))));
    expect(shown.dims).toEqual([2, 3, 2, 1]);
    expect([...shown.values.slice(0, 2)]).toEqual([9, 11]);
  });

  test('labels are written on the grid that they were read from', async () => {
    const like = parse(file([2, 3, 1], [0, 1, 2, 0, 1, 2]));
    const blob = await labelFile(like, Uint8Array.from([2, 2, 1, 0, 0, 1]));
    const written = await unpacked(await blob.arrayBuffer());
    const back = parse(written);
    expect([...back.values]).toEqual([2, 2, 1, 0, 0, 1]);
    expect(back.dims).toEqual(like.dims);
    expect(new DataView(written).getFloat32(280, true)).toBe(-1.5);
  });

  test('quantiles leave out what is no number', () => {
    expect(quantiles(Float32Array.from([NaN, 3, 1, 2]), [0, 0.5, 1])).toEqual([1, 2, 3]);
  });
});
