/**
 * NIfTI-1 in the browser: read, shown as acquired, and labels written on the same grid.
 *
 * Pictures are shown as they were acquired: column to the right, row downwards. The affine is kept
 * for what is written and not used for what is shown, since slices may lie at any angle.
 */

import { bytes } from './api';

export interface Nifti {
  /** The file's bytes before its values. */
  head: ArrayBuffer;
  /** Columns, rows, slices, times. */
  dims: [number, number, number, number];
  /** Column, row and slice spacing [mm]. */
  spacing: [number, number, number];
  /** Values with slope and intercept, column fastest. */
  values: Float32Array;
}

const TYPES: Record<number, [number, (view: DataView, at: number, little: boolean) => number]> = {
  2: [1, (view, at) => view.getUint8(at)],
  4: [2, (view, at, little) => view.getInt16(at, little)],
  8: [4, (view, at, little) => view.getInt32(at, little)],
  16: [4, (view, at, little) => view.getFloat32(at, little)],
  64: [8, (view, at, little) => view.getFloat64(at, little)],
  256: [1, (view, at) => view.getInt8(at)],
  512: [2, (view, at, little) => view.getUint16(at, little)],
  768: [4, (view, at, little) => view.getUint32(at, little)],
};

async function through(data: ArrayBuffer, stream: CompressionStream | DecompressionStream) {
  return new Response(new Blob([data]).stream().pipeThrough(stream)).arrayBuffer();
}

/** Return the bytes as they are, or unpacked where they are gzip. */
export async function unpacked(data: ArrayBuffer): Promise<ArrayBuffer> {
  const [first, second] = new Uint8Array(data, 0, 2);
  const zipped = first === 0x1f && second === 0x8b;
  return zipped ? through(data, new DecompressionStream('gzip')) : data;
}

/** Read an unpacked file; throws where it is no NIfTI-1 of a type that is known. */
export function parse(buffer: ArrayBuffer): Nifti {
  const view = new DataView(buffer);
  const little = view.getInt32(0, true) === 348;
  if (!little && view.getInt32(0, false) !== 348) throw new Error('this is no NIfTI-1 file');
  const dim = (index: number) => Math.max(1, view.getInt16(40 + 2 * index, little));
  const rank = view.getInt16(40, little);
  const dims = [1, 2, 3, 4].map((i) => (i <= rank ? dim(i) : 1)) as Nifti['dims'];
  const spacing = [1, 2, 3].map(
    (i) => Math.abs(view.getFloat32(76 + 4 * i, little)) || 1,
  ) as Nifti['spacing'];
  const type = TYPES[view.getInt16(70, little)];
  if (!type) throw new Error(`values of NIfTI's type ${view.getInt16(70, little)} are not shown`);
  const offset = Math.max(348, view.getFloat32(108, little));
  const slope = view.getFloat32(112, little) || 1;
  const intercept = slope === 1 && !view.getFloat32(112, little) ? 0 : view.getFloat32(116, little);
  const values = new Float32Array(dims[0] * dims[1] * dims[2] * dims[3]);
  const [size, read] = type;
  if (offset + values.length * size > buffer.byteLength) throw new Error('the file is cut short');
  for (let i = 0; i < values.length; i++) {
    values[i] = read(view, offset + i * size, little) * slope + intercept;
  }
  return { head: buffer.slice(0, offset), dims, spacing, values };
}

/** Fetch and read a file. */
export async function load(url: string): Promise<Nifti> {
  return parse(await unpacked(await bytes(url)));
}

function header(dims: number[], spacing: number[], type: number, bits: number): DataView {
  const view = new DataView(new ArrayBuffer(352));
  view.setInt32(0, 348, true);
  view.setInt16(40, dims[3]! > 1 ? 4 : 3, true);
  for (let i = 1; i < 8; i++) view.setInt16(40 + 2 * i, dims[i - 1] ?? 1, true);
  view.setInt16(70, type, true);
  view.setInt16(72, bits, true);
  for (let i = 0; i < 8; i++) view.setFloat32(76 + 4 * i, spacing[i - 1] ?? 1, true);
  view.setFloat32(108, 352, true);
  view.setFloat32(112, 1, true);
  view.setUint8(123, 10); // millimetres and seconds
  view.setInt16(254, 1, true);
  for (let row = 0; row < 3; row++) view.setFloat32(280 + 20 * row, spacing[row]!, true);
  view.setUint32(344, 0x6e2b3100, false); // "n+1"
  return view;
}

/** Return rows from bottom to top: a viewer's vertical axis runs upwards. */
export function upsideDown<T extends Float32Array | Uint8Array>(
  values: T,
  [columns, rows]: readonly number[],
): T {
  const turned = new (values.constructor as new (length: number) => T)(values.length);
  const plane = columns! * rows!;
  for (let start = 0; start < values.length; start += plane) {
    for (let row = 0; row < rows!; row++) {
      const from = start + row * columns!;
      turned.set(
        values.subarray(from, from + columns!) as unknown as ArrayLike<number>,
        start + (rows! - 1 - row) * columns!,
      );
    }
  }
  return turned;
}

/** Return a file of the same values on an upright grid, for the viewer. */
export function upright(image: Nifti): ArrayBuffer {
  const file = new Uint8Array(352 + 4 * image.values.length);
  file.set(new Uint8Array(header(image.dims, image.spacing, 16, 32).buffer), 0);
  file.set(new Uint8Array(upsideDown(image.values, image.dims).buffer), 352);
  return file.buffer;
}

/** Return labels as a compressed file on the grid of `like`. */
export async function labelFile(like: Nifti, labels: Uint8Array): Promise<Blob> {
  const file = new Uint8Array(like.head.byteLength + labels.length);
  file.set(new Uint8Array(like.head), 0);
  file.set(labels, like.head.byteLength);
  const view = new DataView(file.buffer);
  const little = view.getInt32(0, true) === 348;
  view.setInt16(70, 2, little);
  view.setInt16(72, 8, little);
  view.setFloat32(112, 1, little);
  view.setFloat32(116, 0, little);
  view.setFloat32(108, like.head.byteLength, little);
  return new Blob([await through(file.buffer, new CompressionStream('gzip'))]);
}

/** Return the value at each time of one voxel. */
export function timeCurve(image: Nifti, column: number, row: number, slice: number): number[] {
  const [columns, rows, slices, times] = image.dims;
  const place = (slice * rows + row) * columns + column;
  const volume = columns * rows * slices;
  return Array.from({ length: times }, (_, time) => image.values[time * volume + place] ?? 0);
}

/** Return values below which the shares lie, from at most 20,000 samples. */
export function quantiles(values: Float32Array, shares: number[]): number[] {
  const step = Math.max(1, Math.floor(values.length / 20_000));
  const sample: number[] = [];
  for (let i = 0; i < values.length; i += step) {
    if (Number.isFinite(values[i])) sample.push(values[i]!);
  }
  sample.sort((a, b) => a - b);
  return shares.map((part) => sample[Math.floor(part * (sample.length - 1))] ?? 0);
}
