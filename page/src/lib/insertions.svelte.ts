/**
 * Where the right ventricle meets the left one: two points of a slice, while a reader sets them.
 *
 * The server speaks of them in the patient [mm, LPS+], the page of voxels; the affine of the
 * segmentation leads from one to the other.
 */

import type { Point } from './contour';
import type { Nifti } from './nifti';
import type { InsertionPoints, Lps } from './types';

export const ENDS = ['anterior', 'inferior'] as const;
export type End = (typeof ENDS)[number];

/** A point that is nobody's finding is `guessed`, until a reader has moved it. */
export interface Placed extends Point {
  guessed: boolean;
}
export type Pair = Record<End, Placed>;

const KEPT = 100;

/** Voxel to patient: the columns of a 3 by 3 matrix for column, row and slice, and the origin [mm]. */
export interface Affine {
  axes: [Lps, Lps, Lps];
  origin: Lps;
}

/** Return where voxels lie in the patient, or nothing where the file does not say it. */
export function affineOf(image: Nifti): Affine | null {
  if (image.head.byteLength < 328) return null;
  const view = new DataView(image.head);
  const little = view.getInt32(0, true) === 348;
  if (view.getInt16(254, little) <= 0) return null;
  // NIfTI counts to the right and the front, DICOM to the left and the back.
  const at = (row: number, column: number) =>
    view.getFloat32(280 + 16 * row + 4 * column, little) * (row < 2 ? -1 : 1);
  const columnOf = (column: number): Lps => [at(0, column), at(1, column), at(2, column)];
  const affine: Affine = { axes: [columnOf(0), columnOf(1), columnOf(2)], origin: columnOf(3) };
  const size = determinant(affine.axes);
  return Number.isFinite(size) && size !== 0 ? affine : null;
}

function cross([a, b, c]: Lps, [x, y, z]: Lps): Lps {
  return [b * z - c * y, c * x - a * z, a * y - b * x];
}
function dot(one: Lps, other: Lps): number {
  return one[0] * other[0] + one[1] * other[1] + one[2] * other[2];
}
function determinant([u, v, w]: [Lps, Lps, Lps]): number {
  return dot(u, cross(v, w));
}

/** Return where a point of a slice lies in the patient [mm, LPS+]. */
export function toPatient({ axes, origin }: Affine, { x, y }: Point, slice: number): Lps {
  const along = (i: 0 | 1 | 2) => origin[i] + x * axes[0][i] + y * axes[1][i] + slice * axes[2][i];
  return [along(0), along(1), along(2)];
}

/** Return the point of a slice's plane that a point of the patient stands over. */
export function toVoxel({ axes, origin }: Affine, place: Lps): Point {
  const [u, v, w] = axes;
  const off: Lps = [place[0] - origin[0], place[1] - origin[1], place[2] - origin[2]];
  const size = determinant(axes);
  return { x: dot(off, cross(v, w)) / size, y: dot(off, cross(w, u)) / size };
}

/** Towards the patient's right, front and back of it: where the septum begins and ends. */
const TOWARDS: Record<End, Lps> = { anterior: [-1, -1, 1], inferior: [-1, 1, -1] };

/** Return two places on a closed line to begin from, to the patient's right of its middle. */
export function guess(affine: Affine, outline: Point[]): Pair | null {
  if (outline.length < 3) return null;
  const middle = {
    x: outline.reduce((sum, { x }) => sum + x, 0) / outline.length,
    y: outline.reduce((sum, { y }) => sum + y, 0) / outline.length,
  };
  const [columns, rows] = affine.axes;
  const farthest = (way: Lps): Placed => {
    const reach = ({ x, y }: Point) => (x - middle.x) * dot(columns, way) + (y - middle.y) * dot(rows, way);
    const best = outline.reduce((found, point) => (reach(point) > reach(found) ? point : found));
    return { ...best, guessed: true };
  };
  return { anterior: farthest(TOWARDS.anterior), inferior: farthest(TOWARDS.inferior) };
}

export class Insertions {
  /** The points of each slice that has them; another object after each edit. */
  pairs = $state.raw<Record<number, Pair>>({});
  private past = $state.raw<{ slice: number; pairs: Record<number, Pair> }[]>([]);
  private readonly found: Record<number, Pair>;

  constructor(
    readonly affine: Affine,
    private readonly size: readonly [number, number],
    known: Record<number, InsertionPoints>,
  ) {
    const placed = (place: Lps): Placed => ({ ...toVoxel(affine, place), guessed: false });
    this.found = Object.fromEntries(
      Object.entries(known).map(([slice, { anterior, inferior }]) => [
        slice,
        { anterior: placed(anterior), inferior: placed(inferior) },
      ]),
    );
    this.pairs = this.found;
  }

  get changed(): boolean {
    return this.past.length > 0;
  }

  /** Slices that a reader has changed. */
  get slices(): number[] {
    return Object.keys(this.pairs)
      .map(Number)
      .filter((slice) => this.pairs[slice] !== this.found[slice]);
  }

  /** Slices with a point that was guessed and that nobody has moved. */
  get guessed(): number[] {
    return this.slices.filter((slice) => ENDS.some((end) => this.pairs[slice]![end].guessed));
  }

  private put(slice: number, pair: Pair): void {
    this.past = [...this.past, { slice, pairs: this.pairs }].slice(-KEPT);
    this.pairs = { ...this.pairs, [slice]: pair };
  }

  /** Give a slice that has none two points to move. */
  begin(slice: number, outline: Point[]): void {
    const pair = this.pairs[slice] ? null : guess(this.affine, outline);
    if (pair) this.put(slice, pair);
  }

  /** Move a point, as far as the image reaches; where it is already, nothing changes. */
  move(slice: number, end: End, to: Point): void {
    const pair = this.pairs[slice];
    if (!pair) return;
    const [x, y] = [inside(to.x, this.size[0]), inside(to.y, this.size[1])];
    if (x === pair[end].x && y === pair[end].y) return;
    this.put(slice, { ...pair, [end]: { x, y, guessed: false } });
  }

  /** Take the last step back; return its slice. */
  undo(): number | null {
    const last = this.past.at(-1);
    if (!last) return null;
    this.past = this.past.slice(0, -1);
    this.pairs = last.pairs;
    return last.slice;
  }

  /** Return the points of the changed slices, for the server. */
  given(): Record<number, InsertionPoints> {
    return Object.fromEntries(
      this.slices.map((slice) => {
        const { anterior, inferior } = this.pairs[slice]!;
        const place = (point: Point) => toPatient(this.affine, point, slice);
        return [slice, { anterior: place(anterior), inferior: place(inferior) }];
      }),
    );
  }
}

function inside(value: number, length: number): number {
  return Math.min(length - 1, Math.max(0, value));
}
