/** What a reader prefers, kept in this browser. */

interface Settings {
  theme: 'system' | 'light' | 'dark';
  /** Whether single keys act: a switch, since they get in the way of speech input (WCAG 2.1.4). */
  keys: boolean;
}

const KEY = 'vesalius-review';
const DEFAULTS: Settings = { theme: 'system', keys: true };

function stored(): Settings {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Settings>) };
  } catch {
    return DEFAULTS;
  }
}

export const settings = $state<Settings>(stored());

/** Keep the settings, and show the theme. */
export function keep(): void {
  document.documentElement.dataset.theme = settings.theme;
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing shows the page all the same.
  }
}
