import { describe, expect, test } from 'vitest';
import { sectors } from '../src/lib/bullseye';
import { cividis, ink } from '../src/lib/colours';
import { clock, day, figure, personName, share, unit } from '../src/lib/format';
import { pages, reveal, visible } from '../src/lib/virtual';

describe('a long list', () => {
  test('draws what is on screen and a little more', () => {
    expect(visible(0, 460, 46, 10_000)).toEqual({ first: 0, end: 18 });
    expect(visible(46_000, 460, 46, 10_000)).toEqual({ first: 992, end: 1018 });
    expect(visible(0, 460, 46, 3)).toEqual({ first: 0, end: 3 });
    expect(visible(9_999 * 46, 460, 46, 0)).toEqual({ first: 0, end: 0 });
  });

  test('fetches the pages that hold it', () => {
    expect(pages({ first: 95, end: 118 }, 100)).toEqual([0, 1]);
    expect(pages({ first: 100, end: 200 }, 100)).toEqual([1]);
    expect(pages({ first: 0, end: 0 }, 100)).toEqual([]);
  });

  test('scrolls no further than it must', () => {
    expect(reveal(3, 0, 460, 46)).toBe(0);
    expect(reveal(10, 0, 460, 46)).toBe(46);
    expect(reveal(1, 460, 460, 46)).toBe(46);
  });
});

describe('values', () => {
  test.each([
    ['Doe^Jane', 'Doe, Jane'],
    ['Yamada^Tarou=山田^太郎', 'Yamada, Tarou'],
    ['=山田^太郎', '山田, 太郎'],
    ['<script>alert(1)</script>', '<script>alert(1)</script>'],
    ['', ''],
  ])('name %s', (name, shown) => expect(personName(name)).toBe(shown));

  test('numbers, units and times', () => {
    expect([1324, 13.39753, 0.0008, 0, null].map(figure)).toEqual(['1,324', '13.4', '8.0e-4', '0', '–']);
    expect([unit('mm2'), unit('{intensity}/s'), unit('1'), unit('mmol/l')]).toEqual([
      'mm²',
      'intensity/s',
      '',
      'mmol/l',
    ]);
    expect([clock(330), clock(3725.4), day('20261129'), share(0.042)]).toEqual([
      '5:30',
      '1:02:05',
      '2026-11-29',
      '4.2 %',
    ]);
  });
});

describe('colours', () => {
  test('the map grows lighter all the way, so that it reads in grey', () => {
    const light = ([red, green, blue]: readonly [number, number, number]) =>
      0.2126 * red + 0.7152 * green + 0.0722 * blue;
    for (let i = 0; i < 100; i++) expect(light(cividis((i + 1) / 100))).toBeGreaterThan(light(cividis(i / 100)) - 0.5);
    expect(cividis(-1)).toEqual(cividis(0));
    expect([ink(cividis(0)), ink(cividis(1))]).toEqual(['#fff', '#000']);
  });
});

test("the bull's-eye has 17 segments, anterior at the top and septum at the left", () => {
  const all = sectors();
  expect(all.map(({ id }) => id)).toEqual(Array.from({ length: 17 }, (_, i) => i + 1));
  expect(all[0]!.y).toBeLessThan(-80);
  for (const id of [2, 3, 8, 9, 14]) expect(all[id - 1]!.x).toBeLessThan(0);
  for (const id of [5, 6, 11, 12, 16]) expect(all[id - 1]!.x).toBeGreaterThan(0);
  expect(all[3]!.y).toBeGreaterThan(80);
});
