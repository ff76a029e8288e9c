// A browser for the tests, and what each of its pages must never do.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable'];
export const program = process.env.SUNO_TEST_CHROMIUM ?? PROGRAMS.find((path) => existsSync(path));

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function launch() {
  return chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--autoplay-policy=document-user-activation-required'] });
}

/** Opens a page that notes errors, refusals of the policy, and requests to other hosts. */
export async function page(browser, { width = 1440, height = 900, theme = 'light', still = false } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: still ? 'reduce' : 'no-preference', locale: 'en-GB' });
  const opened = await context.newPage();
  opened.wrong = [];
  opened.on('pageerror', (err) => opened.wrong.push(`error: ${err.message}`));
  opened.on('console', (message) => {
    const text = message.text();
    // A connection that is cut, and answers that are no success, are logged by the browser itself.
    if (message.type() === 'error' && !/^Failed to load resource|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/.test(text)) opened.wrong.push(`console: ${text}`);
    if (/Content Security Policy|Trusted/i.test(text)) opened.wrong.push(`policy: ${text}`);
  });
  opened.on('request', (request) => {
    const host = new URL(request.url()).hostname;
    if (!['127.0.0.1', 'localhost', ''].includes(host)) opened.wrong.push(`another host: ${host}`);
  });
  return opened;
}

/** Takes steps on one page, which must do nothing wrong in any of them. `prepare` gets the page before. */
export async function play(steps, prepare = () => {}) {
  const browser = await launch();
  try {
    const opened = await page(browser);
    prepare(opened);
    for (const [name, step] of Object.entries(steps)) {
      await step(opened);
      console.error(`ok: ${name}`);
    }
    assert.deepEqual(opened.wrong, []);
  } finally {
    await browser.close();
  }
}

/** Returns what axe finds on the page, as one line for each rule. */
export async function axe(opened) {
  await opened.evaluate(AXE);
  const found = await opened.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ''}`).join(' | ')}`);
}
