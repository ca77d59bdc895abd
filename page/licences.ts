import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';

interface Manifest {
  name: string;
  version: string;
  license?: string;
  dependencies?: Record<string, string>;
}

const FOLDER = join(import.meta.dirname, 'node_modules');

function manifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}

function text(folder: string): string {
  const name = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  return name === undefined ? '' : readFileSync(join(folder, name), 'utf8').trim();
}

/** Return the licences of all packages that the page depends on, in order of their names. */
export function licences(): string {
  const found = new Map<string, string>();
  const waiting = Object.keys(manifest(import.meta.dirname).dependencies ?? {});
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const folder = join(FOLDER, name);
    if (found.has(name) || !existsSync(folder)) continue;
    const { version, license, dependencies } = manifest(folder);
    found.set(name, `${name} ${version} (${license ?? 'see below'})\n\n${text(folder)}\n`);
    waiting.push(...Object.keys(dependencies ?? {}));
  }
  const names = [...found.keys()].sort();
  return names.map((name) => found.get(name)).join(`\n${'-'.repeat(72)}\n\n`);
}
