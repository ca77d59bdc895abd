/** Single keys: where they act, and where the reader is typing. */

import { settings } from './settings.svelte';

const TYPING = 'input:not([type=range]):not([type=checkbox]):not([type=radio]), select, textarea';

/** Tell whether a key goes to a field, a dialog or the browser, and is none of ours. */
export function elsewhere(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  const target = event.target;
  if (!(target instanceof Element)) return false;
  if (target.closest('dialog')) return true;
  return target.matches(TYPING);
}

/** Run the action of a key, if it has one and nothing else wants it. */
export function onKey(event: KeyboardEvent, actions: Record<string, () => void>): void {
  if (elsewhere(event)) return;
  if (event.key.length === 1 && !settings.keys) return;
  const target = event.target;
  const acts = target instanceof Element && target.matches('button, a, [role=slider], input');
  // Enter, space and arrows belong to a control that has the focus.
  if (acts && (event.key === 'Enter' || event.key === ' ' || event.key.startsWith('Arrow'))) return;
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

/** Return how far an arrow key moves what has the focus [voxels], and keep it from doing more. */
export function arrow(event: KeyboardEvent): [number, number] | null {
  const step = event.shiftKey ? 2 : 0.5;
  const ways: Record<string, [number, number]> = {
    ArrowLeft: [-step, 0],
    ArrowRight: [step, 0],
    ArrowUp: [0, -step],
    ArrowDown: [0, step],
  };
  const way = ways[event.key] ?? null;
  if (way) {
    event.preventDefault();
    event.stopPropagation();
  }
  return way;
}
