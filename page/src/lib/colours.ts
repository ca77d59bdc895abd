/** Colours that colour-blind people can tell apart (cividis, Okabe and Ito). */

export type Rgb = readonly [number, number, number];

/** Cividis (Nuñez 2018, 10.1371/journal.pone.0199239) at nine equal steps. */
const CIVIDIS: readonly Rgb[] = [
  [0, 34, 78],
  [18, 53, 112],
  [59, 73, 108],
  [87, 93, 109],
  [112, 113, 115],
  [138, 134, 120],
  [165, 156, 116],
  [195, 179, 105],
  [254, 232, 56],
];

/** Return the colour of a value from 0 to 1; values beyond are held at the ends. */
export function cividis(value: number): Rgb {
  const at = Math.min(1, Math.max(0, value)) * (CIVIDIS.length - 1);
  const low = Math.min(CIVIDIS.length - 2, Math.floor(at));
  const from = CIVIDIS[low] as Rgb;
  const to = CIVIDIS[low + 1] as Rgb;
  const part = at - low;
  return [0, 1, 2].map((i) => Math.round(from[i]! + part * (to[i]! - from[i]!))) as unknown as Rgb;
}

/** Return a colour as CSS writes it. */
export function css([red, green, blue]: Rgb, opacity = 1): string {
  return opacity === 1 ? `rgb(${red} ${green} ${blue})` : `rgb(${red} ${green} ${blue} / ${opacity})`;
}

/** Return black or white, whichever is easier to read on the colour (WCAG's relative luminance). */
export function ink(colour: Rgb): string {
  const [red, green, blue] = colour.map((part) => {
    const value = part / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? '#000' : '#fff';
}

/** Phases in order of the procedure (Okabe and Ito, and grey first). */
const PHASES: readonly Rgb[] = [
  [153, 153, 153],
  [0, 114, 178],
  [213, 94, 0],
  [0, 158, 115],
  [230, 159, 0],
  [86, 180, 233],
  [204, 121, 167],
  [240, 228, 66],
];

/** Return the colour of the phase with this number. */
export function phaseColour(index: number): Rgb {
  return PHASES[((index % PHASES.length) + PHASES.length) % PHASES.length] as Rgb;
}

/** Colours of labels over an image: myocardium and blood pool. */
export const LABELS: Record<number, Rgb> = { 1: [230, 159, 0], 2: [86, 180, 233] };
