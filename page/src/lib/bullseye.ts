/** The 17 segments of the left ventricle as a bull's-eye (Cerqueira 2002, 10.1161/hc0402.102975). */

export interface Sector {
  id: number;
  /** Outline for an SVG path. */
  path: string;
  /** Where its value is written. */
  x: number;
  y: number;
}

const RINGS = [
  { first: 1, count: 6, inner: 72, outer: 100 },
  { first: 7, count: 6, inner: 44, outer: 72 },
  { first: 13, count: 4, inner: 18, outer: 44 },
];

function at(radius: number, degrees: number): [number, number] {
  const turn = (degrees * Math.PI) / 180;
  return [radius * Math.cos(turn), -radius * Math.sin(turn)];
}

/** Return the sectors around the origin, radius 100: anterior at the top, septum at the left. */
export function sectors(): Sector[] {
  const text = (values: number[]) => values.map((value) => value.toFixed(2)).join(' ');
  const found = RINGS.flatMap(({ first, count, inner, outer }) =>
    Array.from({ length: count }, (_, i) => {
      const width = 360 / count;
      const from = 90 - width / 2 + i * width;
      const middle = at((inner + outer) / 2, from + width / 2);
      const corners = [at(outer, from), at(outer, from + width), at(inner, from + width), at(inner, from)];
      const path =
        `M${text(corners[0]!)}A${outer} ${outer} 0 0 0 ${text(corners[1]!)}` +
        `L${text(corners[2]!)}A${inner} ${inner} 0 0 1 ${text(corners[3]!)}Z`;
      return { id: first + i, path, x: middle[0], y: middle[1] };
    }),
  );
  return [...found, { id: 17, path: 'M18 0A18 18 0 1 0 -18 0A18 18 0 1 0 18 0Z', x: 0, y: 0 }];
}
