/** Phases of an operation as segments that a reader corrects. Times in seconds. */

import type { Segment } from './types';

/** A boundary: the segment that ends there and the one that starts there, if there are any. */
export interface Boundary {
  at: number;
  ends: number | null;
  starts: number | null;
}

/** Return the boundaries in order of time; where two segments meet there is one. */
export function boundaries(segments: Segment[]): Boundary[] {
  const found: Boundary[] = [];
  segments.forEach((segment, i) => {
    const last = found.at(-1);
    if (last && last.ends === i - 1 && last.at === segment.start_s) last.starts = i;
    else found.push({ at: segment.start_s, ends: null, starts: i });
    found.push({ at: segment.end_s, ends: i, starts: null });
  });
  return found;
}

/** Return the earliest and latest time that a boundary may move to. */
export function room(
  segments: Segment[],
  { ends, starts }: Boundary,
  duration: number,
  step: number,
): [number, number] {
  const left = ends !== null ? segments[ends]! : null;
  const right = starts !== null ? segments[starts]! : null;
  const before = starts !== null && ends === null ? segments[starts - 1] : undefined;
  const after = ends !== null && starts === null ? segments[ends + 1] : undefined;
  return [
    left ? left.start_s + step : (before?.end_s ?? 0),
    right ? right.end_s - step : (after?.start_s ?? duration),
  ];
}

/** Return segments with one boundary at another time, held within its room and on whole steps. */
export function move(
  segments: Segment[],
  boundary: Boundary,
  to: number,
  duration: number,
  step: number,
): Segment[] {
  const [low, high] = room(segments, boundary, duration, step);
  const at = Math.min(high, Math.max(low, Math.round(to / step) * step));
  return segments.map((segment, i) => ({
    ...segment,
    ...(i === boundary.starts ? { start_s: at } : {}),
    ...(i === boundary.ends ? { end_s: at } : {}),
  }));
}

/** Return segments with one of another phase. */
export function reassign(segments: Segment[], index: number, phase: string): Segment[] {
  return segments.map((segment, i) => (i === index ? { ...segment, phase } : segment));
}

/** Return segments with the one at a time cut in two there; unchanged where that leaves nothing. */
export function split(segments: Segment[], at: number, step: number): Segment[] {
  const cut = Math.round(at / step) * step;
  return segments.flatMap((segment) =>
    cut - segment.start_s >= step && segment.end_s - cut >= step
      ? [
          { ...segment, end_s: cut },
          { ...segment, start_s: cut },
        ]
      : [segment],
  );
}

/** Return segments without one; the one before takes its time where they meet, else the one after. */
export function drop(segments: Segment[], index: number): Segment[] {
  const gone = segments[index];
  if (!gone || segments.length === 1) return segments;
  const meets = segments[index - 1]?.end_s === gone.start_s;
  return segments
    .map((segment, i) => {
      if (meets && i === index - 1) return { ...segment, end_s: gone.end_s };
      if (!meets && i === index + 1 && segment.start_s === gone.end_s) {
        return { ...segment, start_s: gone.start_s };
      }
      return segment;
    })
    .filter((_, i) => i !== index);
}

/** Return the number of the segment at a time, or -1. */
export function segmentAt(segments: Segment[], at: number): number {
  return segments.findIndex((segment) => segment.start_s <= at && at < segment.end_s);
}
