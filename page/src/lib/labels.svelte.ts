/** Labels of a volume while they are edited: by contour, brush or another member, and undone. */

import { dab, reshape, resample, trace, within, type Line, type Point } from './contour';
import type { Nifti } from './nifti';

const KEPT = 100;

export class Labels {
  /** All labels, column fastest; another array after each edit. */
  values = $state.raw<Uint8Array>(new Uint8Array());
  /** Slices whose member was chosen by the reader. */
  members = $state.raw<Record<number, string>>({});
  private past = $state.raw<{ slice: number; plane: Uint8Array; members: Record<number, string>; drawn: boolean }[]>(
    [],
  );
  /** Whether contours or voxels were edited, not only members chosen. */
  drawn = $state(false);

  constructor(readonly image: Nifti) {
    this.values = Uint8Array.from(image.values);
  }

  get changed(): boolean {
    return this.past.length > 0;
  }

  private get size(): readonly [number, number] {
    return [this.image.dims[0], this.image.dims[1]];
  }

  plane(slice: number): Uint8Array {
    const length = this.size[0] * this.size[1];
    return this.values.slice(slice * length, (slice + 1) * length);
  }

  private put(slice: number, plane: Uint8Array): void {
    const values = this.values.slice();
    values.set(plane, slice * plane.length);
    this.values = values;
  }

  /** Keep what is there, to be undone to. */
  private remember(slice: number): void {
    const step = { slice, plane: this.plane(slice), members: this.members, drawn: this.drawn };
    this.past = [...this.past, step].slice(-KEPT);
  }

  /** Return a line to take hold of, with points about `apart` voxels from each other. */
  contour(slice: number, line: Line, apart: number): Point[] {
    return resample(trace(within(this.plane(slice), line), ...this.size), apart);
  }

  /** Move a line; a small step may pass over no voxel, and then nothing changes. */
  bend(slice: number, line: Line, before: Point[], after: Point[]): void {
    const old = this.plane(slice);
    const plane = reshape(old, line, before, after, this.size);
    if (plane.every((label, i) => label === old[i])) return;
    this.remember(slice);
    this.put(slice, plane);
    this.drawn = true;
  }

  /** Paint; a stroke of many dabs is undone at once. */
  paint(slice: number, centre: Point, radius: number, label: number, starts: boolean): void {
    if (starts) this.remember(slice);
    this.put(slice, dab(this.plane(slice), centre, radius, label, this.size));
    this.drawn = true;
  }

  /** Take one member's labels on a slice. */
  choose(slice: number, member: string, labels: Nifti): void {
    this.remember(slice);
    const length = this.size[0] * this.size[1];
    const start = labels.dims[2] > slice ? slice * length : 0;
    this.put(slice, Uint8Array.from(labels.values.subarray(start, start + length)));
    this.members = { ...this.members, [slice]: member };
  }

  undo(): number | null {
    const last = this.past.at(-1);
    if (!last) return null;
    this.past = this.past.slice(0, -1);
    this.put(last.slice, last.plane);
    this.members = last.members;
    this.drawn = last.drawn;
    return last.slice;
  }
}
