/**
 * The worklist as pages of rows that are fetched when they come into view.
 *
 * It outlives the page that shows it, so that a case knows which comes next and the list is where it was.
 */

import { api } from './api';
import type { Row } from './types';
import { pages, type Span } from './virtual';

export const PAGE = 100;
const FILTERS = ['analysis', 'review', 'destination', 'version', 'scanner', 'since', 'until', 'text'];

export const list = $state({
  query: { order: 'uncertainty', review: 'open' } as Record<string, string>,
  total: 0,
  selected: 0,
  top: 0,
  fault: '',
  loaded: false,
  complete: true,
});

let rows = $state.raw<Record<number, Row[]>>({});
let wanted: number[] = [0];
let asked = new Set<number>();
let generation = 0;

/** Return the row with this number, or nothing while it is fetched. */
export function rowAt(index: number): Row | undefined {
  return rows[Math.floor(index / PAGE)]?.[index % PAGE];
}

/** Return the number of a job's row among those that were fetched, or -1. */
export function indexOf(job: string): number {
  for (const [page, held] of Object.entries(rows)) {
    const at = held.findIndex((row) => row.job_id === job);
    if (at >= 0) return Number(page) * PAGE + at;
  }
  return -1;
}

/** Return what the server is asked for. */
export function search(query: Record<string, string>): URLSearchParams {
  const asks = new URLSearchParams();
  for (const key of [...FILTERS, 'order']) if (query[key]) asks.set(key, query[key]);
  // Days are the reader's own, from their first moment to their last.
  if (query.since) asks.set('since', new Date(`${query.since}T00:00:00`).toISOString());
  if (query.until) asks.set('until', new Date(`${query.until}T23:59:59.999`).toISOString());
  return asks;
}

async function fetchPage(page: number): Promise<void> {
  const mine = generation;
  asked.add(page);
  const query = search(list.query);
  query.set('offset', String(page * PAGE));
  query.set('limit', String(PAGE));
  try {
    const answer = await api.worklist(query);
    if (mine !== generation) return;
    rows = { ...rows, [page]: answer.rows };
    list.total = answer.total;
    list.selected = Math.max(0, Math.min(list.selected, answer.total - 1));
    list.loaded = true;
    list.complete = answer.complete;
    list.fault = '';
  } catch (error) {
    if (mine !== generation) return;
    asked.delete(page);
    list.fault = error instanceof Error ? error.message : String(error);
  }
}

/** Fetch what a span needs and is not there. */
export function want(span: Span): void {
  wanted = pages(span, PAGE);
  for (const page of wanted) if (!asked.has(page)) void fetchPage(page);
}

/** Fetch again what is in view: the server said that something changed. */
export async function refresh(): Promise<void> {
  generation++;
  asked = new Set();
  const old = rows;
  await Promise.all((wanted.length ? wanted : [0]).map(fetchPage));
  // Pages out of view are fetched when they come into view again.
  rows = Object.fromEntries(
    Object.entries(rows).filter(([page, held]) => held !== old[Number(page)] || asked.has(Number(page))),
  );
}

/** Ask for other rows, from the top. */
export async function ask(query: Record<string, string>): Promise<void> {
  list.query = query;
  list.selected = 0;
  list.top = 0;
  wanted = [0];
  rows = {};
  list.loaded = false;
  await refresh();
}
