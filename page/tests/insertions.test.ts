import { describe, expect, test } from 'vitest';
import type { Point } from '../src/lib/contour';
import { affineOf, guess, Insertions, toPatient, toVoxel, type Affine } from '../src/lib/insertions.svelte';
import type { Nifti } from '../src/lib/nifti';
import type { Lps } from '../src/lib/types';

const SIZE = [96, 80] as const;

/** A file whose sform is this, as right, front and up [mm]. */
function file(rows: number[][], code = 1): Nifti {
  const view = new DataView(new ArrayBuffer(352));
  view.setInt32(0, 348, true);
  view.setInt16(254, code, true);
  rows.forEach((row, i) => row.forEach((value, j) => view.setFloat32(280 + 16 * i + 4 * j, value, true)));
  const dims: Nifti['dims'] = [96, 80, 3, 1];
  return { head: view.buffer, dims, spacing: [1.5, 1.5, 8], values: new Float32Array() };
}

/** An axial slice: column to the patient's left, row to the back. */
const AXIAL = [
  [-1.5, 0, 0, 60],
  [0, -1.5, 0, 70],
  [0, 0, 8, -20],
];

/** Grids that lie at any angle, from a fixed sequence so that a failure comes back. */
function* oblique(): Generator<Affine> {
  let state = 11;
  const next = () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
  for (let i = 0; i < 50; i++) {
    const [a, b, c] = [6 * next(), 6 * next(), 6 * next()];
    const turn = (p: Lps): Lps => {
      const [x, y, z] = [p[0] * Math.cos(a) - p[1] * Math.sin(a), p[0] * Math.sin(a) + p[1] * Math.cos(a), p[2]];
      const [u, w] = [y * Math.cos(b) - z * Math.sin(b), y * Math.sin(b) + z * Math.cos(b)];
      return [x * Math.cos(c) - w * Math.sin(c), u, x * Math.sin(c) + w * Math.cos(c)];
    };
    const axes: Affine['axes'] = [turn([1.4, 0, 0]), turn([0, 1.9, 0]), turn([0, 0, 9])];
    yield { axes, origin: [100 * next(), 100 * next(), 100 * next()] };
  }
}

const KNOWN = { 1: { anterior: [-30, -40, -12] as Lps, inferior: [-33, -10, -12] as Lps } };

function opened(): Insertions {
  return new Insertions(affineOf(file(AXIAL))!, SIZE, KNOWN);
}

describe('where insertions lie', () => {
  test('right and front of a file are left and back of DICOM', () => {
    const affine = affineOf(file(AXIAL))!;
    expect(toPatient(affine, { x: 0, y: 0 }, 0)).toEqual([-60, -70, -20]);
    expect(toPatient(affine, { x: 10, y: 20 }, 2)).toEqual([-45, -40, -4]);
  });

  test('a file without a place, or with a flat one, has no insertions to set', () => {
    expect(affineOf(file(AXIAL, 0))).toBeNull();
    expect(affineOf(file([AXIAL[0]!, AXIAL[0]!, AXIAL[2]!]))).toBeNull();
  });

  test('a point comes back from the patient on any grid', () => {
    for (const affine of oblique()) {
      const back = toVoxel(affine, toPatient(affine, { x: 31.25, y: 17.5 }, 2));
      expect(back.x).toBeCloseTo(31.25, 6);
      expect(back.y).toBeCloseTo(17.5, 6);
    }
  });
});

describe('insertions while they are set', () => {
  test('only what was moved is given, and the other point stays where it was', () => {
    const insertions = opened();
    expect(insertions.given()).toEqual({});
    const { x, y } = insertions.pairs[1]!.anterior;
    insertions.move(1, 'anterior', { x: x + 2, y });
    const given = insertions.given();
    expect(Object.keys(given)).toEqual(['1']);
    expect(given[1]!.anterior).toEqual([-27, -40, -12]);
    KNOWN[1].inferior.forEach((value, i) => expect(given[1]!.inferior[i]).toBeCloseTo(value, 6));
  });

  test('each step is taken back in turn, to what was found', () => {
    const insertions = opened();
    const found = insertions.pairs;
    insertions.move(1, 'anterior', { x: 5, y: 5 });
    const moved = insertions.pairs;
    insertions.move(1, 'inferior', { x: 9, y: 9 });
    expect(insertions.undo()).toBe(1);
    expect(insertions.pairs).toBe(moved);
    insertions.undo();
    expect(insertions.pairs).toBe(found);
    expect(insertions.changed).toBe(false);
    expect(insertions.given()).toEqual({});
    expect(insertions.undo()).toBeNull();
  });

  test('a point stays on the image, and one that does not move is no step', () => {
    const insertions = opened();
    insertions.move(1, 'anterior', { x: -7, y: 500 });
    expect(insertions.pairs[1]!.anterior).toEqual({ x: 0, y: 79, guessed: false });
    insertions.undo();
    insertions.move(1, 'inferior', insertions.pairs[1]!.inferior);
    insertions.move(0, 'inferior', { x: 4, y: 4 });
    expect(insertions.changed).toBe(false);
  });

  test('points that nobody found are guessed until each was moved', () => {
    const insertions = opened();
    const outline: Point[] = Array.from({ length: 60 }, (_, i) => ({
      x: 50 + 20 * Math.cos((i * Math.PI) / 30),
      y: 40 + 20 * Math.sin((i * Math.PI) / 30),
    }));
    insertions.begin(0, outline);
    expect(insertions.guessed).toEqual([0]);
    const { anterior, inferior } = insertions.pairs[0]!;
    expect(outline).toContainEqual({ x: anterior.x, y: anterior.y });
    // To the patient's right, one in front of the other.
    expect(anterior.x).toBeLessThan(50);
    expect(inferior.x).toBeLessThan(50);
    expect(anterior.y).toBeLessThan(inferior.y - 10);
    insertions.move(0, 'anterior', { x: 30, y: 30 });
    expect(insertions.guessed).toEqual([0]);
    insertions.move(0, 'inferior', { x: 30, y: 50 });
    expect(insertions.guessed).toEqual([]);
    insertions.begin(0, outline);
    expect(insertions.pairs[0]!.anterior.x).toBe(30);
  });

  test('without a wall there is nothing to begin from', () => {
    expect(guess(affineOf(file(AXIAL))!, [])).toBeNull();
    const insertions = opened();
    insertions.begin(2, []);
    expect(insertions.changed).toBe(false);
  });
});
