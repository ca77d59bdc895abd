import { describe, expect, test } from 'vitest';
import { BLOOD_POOL, dab, fill, MYOCARDIUM, pull, resample, reshape, trace, within } from '../src/lib/contour';

const SIZE = [32, 32] as const;

function ring(inner: number, outer: number): Uint8Array {
  const labels = new Uint8Array(SIZE[0] * SIZE[1]);
  for (let y = 0; y < SIZE[1]; y++) {
    for (let x = 0; x < SIZE[0]; x++) {
      const distance = Math.hypot(x - 15, y - 16);
      labels[y * SIZE[0] + x] = distance < inner ? BLOOD_POOL : distance < outer ? MYOCARDIUM : 0;
    }
  }
  return labels;
}

/** Masks drawn from a fixed sequence, so that a failure comes back. */
function* blobs(): Generator<Uint8Array> {
  let state = 7;
  const next = () => (state = (state * 48271) % 2147483647) / 2147483647;
  for (let i = 0; i < 30; i++) {
    let labels = new Uint8Array(SIZE[0] * SIZE[1]);
    for (let j = 0; j < 4; j++) {
      labels = dab(labels, { x: 8 + next() * 16, y: 8 + next() * 16 }, 2 + next() * 5, 1, SIZE) as typeof labels;
    }
    yield labels;
  }
}

describe('contours', () => {
  test('a traced line holds the part that it was traced from', () => {
    for (const mask of blobs()) {
      const filled = fill(trace(mask, ...SIZE), ...SIZE);
      // Holes are filled and other parts left out: what is in both is never outside the line alone.
      expect(filled.some((value) => value === 1)).toBe(true);
      const again = fill(trace(filled, ...SIZE), ...SIZE);
      expect(again).toEqual(filled);
    }
  });

  test('an empty mask has no line', () => {
    expect(trace(new Uint8Array(SIZE[0] * SIZE[1]), ...SIZE)).toEqual([]);
    expect(resample([], 3)).toEqual([]);
  });

  test('has points as far from each other as it is told, within reason', () => {
    const line = trace(within(ring(5, 9), 'epicardium'), ...SIZE);
    const count = (apart: number) => resample(line, apart).length;
    expect(count(0.1)).toBe(32);
    expect(count(100)).toBe(6);
    expect(Math.abs(count(3) - (2 * Math.PI * 9) / 3)).toBeLessThan(3);
  });

  test('a line that was not moved changes nothing', () => {
    const labels = ring(5, 9);
    const line = resample(trace(within(labels, 'epicardium'), ...SIZE), 3);
    expect(reshape(labels, 'epicardium', line, line, SIZE)).toEqual(labels);
  });

  test('pulling the epicardium out adds myocardium there and nowhere else', () => {
    const labels = ring(5, 9);
    const line = resample(trace(within(labels, 'epicardium'), ...SIZE), 3);
    const right = line.reduce((best, point, i) => (point.x > line[best]!.x ? i : best), 0);
    const after = reshape(labels, 'epicardium', line, pull(line, right, 4, 0), SIZE);
    const changed = [...after.keys()].filter((i) => after[i] !== labels[i]);
    expect(changed.length).toBeGreaterThan(5);
    for (const i of changed) {
      expect(after[i]).toBe(MYOCARDIUM);
      expect(i % SIZE[0]).toBeGreaterThan(15);
    }
  });

  test('pulling the endocardium in gives its voxels to the myocardium', () => {
    const labels = ring(6, 10);
    const line = resample(trace(within(labels, 'endocardium'), ...SIZE), 3);
    const left = line.reduce((best, point, i) => (point.x < line[best]!.x ? i : best), 0);
    const after = reshape(labels, 'endocardium', line, pull(line, left, 3, 0), SIZE);
    const changed = [...after.keys()].filter((i) => after[i] !== labels[i]);
    expect(changed.length).toBeGreaterThan(3);
    for (const i of changed) expect([labels[i], after[i]]).toEqual([BLOOD_POOL, MYOCARDIUM]);
  });

  test('a dab stays on the slice', () => {
    const painted = dab(new Uint8Array(SIZE[0] * SIZE[1]), { x: 0, y: 31 }, 3, BLOOD_POOL, SIZE);
    expect(painted.length).toBe(SIZE[0] * SIZE[1]);
    expect(painted[31 * SIZE[0]]).toBe(BLOOD_POOL);
    expect([...painted.keys()].filter((i) => painted[i] === BLOOD_POOL).every((i) => i % SIZE[0] <= 3)).toBe(true);
  });
});
