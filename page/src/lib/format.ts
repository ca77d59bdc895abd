/** Values as people read them. */

const UNITS: Record<string, string> = {
  '1': '',
  mm2: 'mm²',
  mm3: 'mm³',
  ml: 'ml',
  s: 's',
  '%': '%',
  '{intensity}': 'intensity',
  '{intensity}/s': 'intensity/s',
  '{ratio}': '',
};

/** Return a UCUM unit as it is written for people; unknown ones stay as they are. */
export function unit(ucum: string): string {
  return UNITS[ucum] ?? ucum.replace(/[{}]/g, '');
}

/** Return a number with three significant digits, and whole above a thousand. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en');
  if (size < 0.001) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/** Return a share of one as a percentage. */
export function share(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  return `${(100 * value).toFixed((value > 0 && value < 0.1) || (value > 0.9 && value < 1) ? 1 : 0)} %`;
}

/** Return a DICOM person name (PN) for a reader: family name, given name. */
export function personName(name: string): string {
  const alphabetic = name.split('=')[0] || name.split('=')[1] || '';
  const [family = '', given = '', middle = '', prefix = '', suffix = ''] = alphabetic.split('^');
  const first = [prefix, given, middle].filter(Boolean).join(' ');
  return [family, first, suffix].filter(Boolean).join(', ');
}

/** Return a date of DICOM (YYYYMMDD) or ISO 8601 as YYYY-MM-DD. */
export function day(date: string | null | undefined): string {
  if (!date) return '–';
  return /^\d{8}$/.test(date)
    ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6, 8)}`
    : date.slice(0, 10);
}

/** Return a time as YYYY-MM-DD HH:MM, of the reader's own clock. */
export function moment(time: string | null | undefined): string {
  if (!time) return '–';
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return time;
  const two = (value: number) => String(value).padStart(2, '0');
  return (
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}`
  );
}

/** Return seconds as M:SS or H:MM:SS. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

/** Return a name of our own (`blood_pool`) as words. */
export function plain(name: string): string {
  if (name.toLowerCase() === 'u_pp') return 'U_pp';
  const words = name.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
