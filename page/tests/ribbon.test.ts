import { describe, expect, test } from 'vitest';
import { boundaries, drop, move, reassign, room, segmentAt, split } from '../src/lib/ribbon';
import type { Segment } from '../src/lib/types';

const SEGMENTS: Segment[] = [
  { start_s: 8, end_s: 100, phase: 'a' },
  { start_s: 100, end_s: 160, phase: 'b' },
  { start_s: 170, end_s: 300, phase: 'c' },
];

function sound(segments: Segment[], duration: number): boolean {
  return segments.every(
    ({ start_s, end_s }, i) =>
      start_s < end_s && start_s >= (segments[i - 1]?.end_s ?? 0) && end_s <= duration,
  );
}

describe('boundaries of phases', () => {
  test('segments that meet share one', () => {
    expect(boundaries(SEGMENTS).map(({ at }) => at)).toEqual([8, 100, 160, 170, 300]);
  });

  test('none moves past a neighbour, wherever it is dragged', () => {
    for (let index = 0; index < 5; index++) {
      for (let to = -20; to <= 400; to += 7.3) {
        const moved = move(SEGMENTS, boundaries(SEGMENTS)[index]!, to, 330, 1);
        expect(sound(moved, 330), `${index} to ${to}`).toBe(true);
        expect(moved.length).toBe(3);
      }
    }
  });

  test('a shared one moves both segments', () => {
    const moved = move(SEGMENTS, boundaries(SEGMENTS)[1]!, 120.4, 330, 1);
    expect(moved.map(({ start_s, end_s }) => [start_s, end_s])).toEqual([
      [8, 120],
      [120, 160],
      [170, 300],
    ]);
    expect(SEGMENTS[0]!.end_s).toBe(100);
  });

  test('room of the first and the last ends with the video', () => {
    expect(room(SEGMENTS, boundaries(SEGMENTS)[0]!, 330, 1)).toEqual([0, 99]);
    expect(room(SEGMENTS, boundaries(SEGMENTS)[4]!, 330, 1)).toEqual([171, 330]);
  });
});

describe('segments', () => {
  test('are cut at the playhead, unless a part would be empty', () => {
    expect(split(SEGMENTS, 50, 1).map(({ start_s }) => start_s)).toEqual([8, 50, 100, 170]);
    expect(split(SEGMENTS, 8.2, 1)).toEqual(SEGMENTS);
    expect(split(SEGMENTS, 165, 1)).toEqual(SEGMENTS);
  });

  test('give their time to a neighbour that they meet', () => {
    expect(drop(SEGMENTS, 1)).toEqual([
      { start_s: 8, end_s: 160, phase: 'a' },
      { start_s: 170, end_s: 300, phase: 'c' },
    ]);
    expect(drop(SEGMENTS, 0)[0]).toEqual({ start_s: 8, end_s: 160, phase: 'b' });
    expect(drop(SEGMENTS.slice(0, 1), 0)).toEqual(SEGMENTS.slice(0, 1));
  });

  test('take another phase and are found by time', () => {
    expect(reassign(SEGMENTS, 2, 'd').map(({ phase }) => phase)).toEqual(['a', 'b', 'd']);
    expect([0, 8, 99, 100, 165].map((at) => segmentAt(SEGMENTS, at))).toEqual([-1, 0, 0, 1, -1]);
  });
});
