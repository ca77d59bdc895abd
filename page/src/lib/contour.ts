/**
 * Contours of a mask on one slice, and what moving them changes.
 *
 * Points lie in voxel coordinates: the centre of the first voxel is (0, 0). A contour is a closed line;
 * only voxels between the old line and the new one change, so that what nobody touched stays.
 */

export interface Point {
  x: number;
  y: number;
}

export const MYOCARDIUM = 1;
export const BLOOD_POOL = 2;

/** The line around the blood pool, and the one around blood pool and myocardium. */
export type Line = 'endocardium' | 'epicardium';

/** Return which voxels lie within a line. */
export function within(labels: Uint8Array, line: Line): Uint8Array {
  return labels.map((label) =>
    line === 'endocardium' ? Number(label === BLOOD_POOL) : Number(label > 0),
  );
}

/** Return the outer edge of the largest part of a mask, corner by corner, or nothing if it is empty. */
export function trace(mask: Uint8Array, columns: number, rows: number): Point[] {
  const inside = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < columns && y < rows && mask[y * columns + x] === 1;
  let longest: Point[] = [];
  const seen = new Set<number>();
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (!inside(x, y) || inside(x, y - 1) || seen.has(y * columns + x)) continue;
      const line = follow(inside, x, y, (px, py) => seen.add(py * columns + px));
      if (line.length > longest.length) longest = line;
    }
  }
  return longest;
}

/** Walk along voxel edges with the mask on the right, from the top edge of a voxel. */
function follow(
  inside: (x: number, y: number) => boolean,
  startX: number,
  startY: number,
  visit: (x: number, y: number) => void,
): Point[] {
  const line: Point[] = [];
  const steps = [
    [1, 0],
    [0, 1],
    [-1, 0],
    [0, -1],
  ] as const;
  let x = startX; // corner (x, y) is the upper left of voxel (x, y)
  let y = startY;
  let way = 0;
  do {
    line.push({ x: x - 0.5, y: y - 0.5 });
    if (way === 0) visit(x, y);
    const [dx, dy] = steps[way]!;
    x += dx;
    y += dy;
    const ahead = [
      [inside(x, y - 1), inside(x, y)],
      [inside(x, y), inside(x - 1, y)],
      [inside(x - 1, y), inside(x - 1, y - 1)],
      [inside(x - 1, y - 1), inside(x, y - 1)],
    ][way]!;
    if (!ahead[1]) way = (way + 1) % 4;
    else if (ahead[0]) way = (way + 3) % 4;
  } while (!(x === startX && y === startY && way === 0));
  return line;
}

/** Fewest and most points of a contour that is edited. */
const POINTS = [6, 32] as const;

/** Return points about `apart` voxels from each other along a closed line, smoothed over its steps. */
export function resample(line: Point[], apart: number): Point[] {
  if (line.length === 0) return [];
  const smooth = line.map((_, i) => {
    const around = [-2, -1, 0, 1, 2].map((by) => line[(i + by + line.length) % line.length]!);
    return {
      x: around.reduce((sum, point) => sum + point.x, 0) / 5,
      y: around.reduce((sum, point) => sum + point.y, 0) / 5,
    };
  });
  const length = smooth.reduce((sum, point, i) => {
    const next = smooth[(i + 1) % smooth.length]!;
    return sum + Math.hypot(next.x - point.x, next.y - point.y);
  }, 0);
  const count = Math.min(POINTS[1], Math.max(POINTS[0], Math.floor(length / apart)));
  return Array.from({ length: count }, (_, i) => smooth[Math.floor((i * smooth.length) / count)]!);
}

/** Return the line with one point moved, and its neighbours with it, less the further they are. */
export function pull(line: Point[], index: number, dx: number, dy: number, reach = 2): Point[] {
  return line.map((point, i) => {
    const apart = Math.min(Math.abs(i - index), line.length - Math.abs(i - index));
    const weight = apart > reach ? 0 : 0.5 * (1 + Math.cos((Math.PI * apart) / (reach + 1)));
    return { x: point.x + weight * dx, y: point.y + weight * dy };
  });
}

/** Return the voxels whose centre a closed line holds (even-odd rule). */
export function fill(line: Point[], columns: number, rows: number): Uint8Array {
  const mask = new Uint8Array(columns * rows);
  for (let y = 0; y < rows; y++) {
    const crossings: number[] = [];
    for (let i = 0; i < line.length; i++) {
      const a = line[i]!;
      const b = line[(i + 1) % line.length]!;
      if (a.y <= y === b.y <= y) continue;
      crossings.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(0, Math.ceil(crossings[i]!));
      const to = Math.min(columns - 1, Math.floor(crossings[i + 1]!));
      for (let x = from; x <= to; x++) mask[y * columns + x] = 1;
    }
  }
  return mask;
}

/** Return labels after a line was moved from `before` to `after`. */
export function reshape(
  labels: Uint8Array,
  line: Line,
  before: Point[],
  after: Point[],
  [columns, rows]: readonly [number, number],
): Uint8Array {
  const old = fill(before, columns, rows);
  const now = fill(after, columns, rows);
  return labels.map((label, i) => {
    if (old[i] === now[i]) return label;
    if (line === 'endocardium') return now[i] ? BLOOD_POOL : label === BLOOD_POOL ? MYOCARDIUM : label;
    return now[i] ? (label === 0 ? MYOCARDIUM : label) : 0;
  });
}

/** Return labels with a disc painted. */
export function dab(
  labels: Uint8Array,
  centre: Point,
  radius: number,
  label: number,
  [columns, rows]: readonly [number, number],
): Uint8Array {
  const painted = labels.slice();
  for (let y = Math.ceil(centre.y - radius); y <= centre.y + radius; y++) {
    for (let x = Math.ceil(centre.x - radius); x <= centre.x + radius; x++) {
      if (x < 0 || y < 0 || x >= columns || y >= rows) continue;
      if ((x - centre.x) ** 2 + (y - centre.y) ** 2 <= radius ** 2) painted[y * columns + x] = label;
    }
  }
  return painted;
}
