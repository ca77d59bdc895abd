import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';
import { licences } from './licences.ts';

/** Licences of what is in the bundle, beside it: their texts ask to be shipped with the code. */
const shipLicences: Plugin = {
  name: 'licences',
  generateBundle() {
    this.emitFile({ type: 'asset', fileName: 'licences.txt', source: licences() });
  },
};

export default defineConfig({
  base: './',
  plugins: [svelte(), shipLicences],
  build: {
    outDir: '../pipeline/review/static',
    emptyOutDir: true,
    // The content security policy allows no data: address, so nothing is put inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    chunkSizeWarningLimit: 4000,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8470', '/dicomweb': 'http://127.0.0.1:8470' } },
  test: { include: ['tests/**/*.test.ts'] },
});
