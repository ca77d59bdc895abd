/** Which rows of a long list are on screen, and which pages of them to fetch. */

export interface Span {
  first: number;
  /** One after the last. */
  end: number;
}

/** Return the rows on screen, with some more above and below so that scrolling finds them drawn. */
export function visible(top: number, height: number, row: number, total: number, more = 8): Span {
  const first = Math.max(0, Math.floor(top / row) - more);
  return { first: Math.min(first, total), end: Math.min(total, Math.ceil((top + height) / row) + more) };
}

/** Return the numbers of the pages that hold rows of a span. */
export function pages({ first, end }: Span, size: number): number[] {
  if (end <= first) return [];
  const from = Math.floor(first / size);
  return Array.from({ length: Math.floor((end - 1) / size) - from + 1 }, (_, i) => from + i);
}

/** Return where to scroll so that a row is in view; unchanged where it is already. */
export function reveal(index: number, top: number, height: number, row: number): number {
  if (index * row < top) return index * row;
  if ((index + 1) * row > top + height) return (index + 1) * row - height;
  return top;
}
