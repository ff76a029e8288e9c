// The page of `suno demo --open`: what somebody sees who has just built it. The test in Rust that starts this
// has the demo running at SUNO_PAGE. With SUNO_TEST_PICTURE, the picture of the README is written to that
// path, which begins at the root of the repository.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

import { axe, play } from './browser.mjs';

const url = process.env.SUNO_PAGE;
const picture = process.env.SUNO_TEST_PICTURE;
const PICTURE_BYTES_MAX = 300_000;

const titled = (opened, title) => opened.locator('tr[data-id]', { has: opened.locator('.title', { hasText: title }) });
const stages = (row, said) => row.locator(`[role=img][aria-label*="${said}"]`);

/** Fills in the form, and returns when the task is shown. */
async function submit(opened, title, scenario) {
  await opened.getByRole('link', { name: 'Try it' }).click();
  await opened.getByLabel('Title').fill(title);
  await opened.getByText(scenario, { exact: true }).click();
  await opened.getByRole('button', { name: 'Submit the task' }).click();
  await opened.waitForURL(/#\/tasks\/\w+/);
}

const STEPS = {
  async 'the tasks of the demo appear and go through their stages without a reload'(opened) {
    await opened.goto(url);
    await opened.evaluate(() => {
      // Notes what the stages of each task say, in the order in which they say it.
      window.said = {};
      new MutationObserver(() => {
        for (const tr of document.querySelectorAll('tr[data-id]')) {
          const all = (window.said[tr.querySelector('.title').textContent] ??= []);
          const label = tr.querySelector('[role=img]').getAttribute('aria-label');
          if (all.at(-1) !== label) all.push(label);
        }
      }).observe(document.querySelector('main'), { childList: true, subtree: true });
    });
    await stages(titled(opened, 'Northern Lullaby'), 'Complete: Handled').waitFor();
    const said = await opened.evaluate(() => window.said['Northern Lullaby']);
    assert.ok(said.length > 1 && /^Submitted: sent, .*Complete: not yet/.test(said[0]), said.join('\n'));
    await stages(titled(opened, 'Harbour lights'), 'Complete: Handled').waitFor();
    await titled(opened, 'Velvet Machine').getByText('Task failed').waitFor();
    await stages(titled(opened, 'Amber Radio'), 'First track: Handled, Complete: not yet').waitFor();
    await titled(opened, 'Amber Radio').getByText(/^Poll at/).waitFor();
    await stages(titled(opened, 'Paper Constellation'), 'First track: Superseded').waitFor();
    await titled(opened, 'Copper Parade').getByText('1 conflict').waitFor();
  },

  async 'a track plays, and its waveform has peaks'(opened) {
    await titled(opened, 'Northern Lullaby').click();
    await opened.locator('.player[data-wave=peaks]').nth(1).waitFor();
    await opened.waitForFunction(() => document.querySelector('.cover img').naturalWidth > 0);
    await opened.getByRole('button', { name: /^Play/ }).first().click();
    await opened.waitForFunction(() => document.querySelector('audio').currentTime > 1.5);
    await opened.getByRole('button', { name: /^Pause/ }).first().click();
    await opened.locator('.line li', { hasText: 'same as before' }).first().waitFor();
    await opened.locator('#live[data-state=live]').waitFor();
    if (!picture) return;
    await opened.mouse.move(1000, 5);
    const bytes = await opened.screenshot({ path: fileURLToPath(new URL(`../../../../${picture}`, import.meta.url)) });
    assert.ok(bytes.length < PICTURE_BYTES_MAX, `${bytes.length} bytes`);
  },

  async 'the headers of a delivery are shown, but not its signature'(opened) {
    const headers = opened.locator('.line details').first();
    await headers.locator('summary').click();
    await headers.getByText('application/json').waitFor();
    assert.equal(await headers.locator('div', { hasText: 'x-webhook-signature' }).last().locator('dd').textContent(), 'not kept');
  },

  async 'a dead letter is tried again, and handled'(opened) {
    const row = titled(opened, 'Glass Orchard');
    await row.getByText('Dead letter').waitFor();
    await row.click();
    await opened.getByRole('button', { name: 'Try again' }).click();
    await row.locator('.pill', { hasText: 'Handled' }).waitFor();
    await opened.locator('.badge[data-count="0"]').waitFor();
  },

  async 'a doubled task is handled once'(opened) {
    await submit(opened, 'Made twice', 'Delivered twice');
    await opened.locator('.line li', { hasText: /^.*Complete.*same as before/ }).waitFor();
    assert.equal(await opened.locator('.line-title', { hasText: 'Complete: handler ended' }).count(), 1);
  },

  async 'what a stranger forged is a conflict with what is true, place by place'(opened) {
    await submit(opened, 'Made by hand', 'Forged');
    await opened.locator('.line li', { hasText: 'says something else' }).waitFor();
    await opened.locator('.cards details', { hasText: '1 conflict' }).locator('summary').click();
    await opened.getByText(/It differs in \d+ places/).waitFor();
    await opened.locator('.diff ins', { hasText: /hand/ }).first().waitFor();
  },

  async 'axe finds nothing on any view'(opened) {
    const task = await titled(opened, 'Copper Parade').getAttribute('data-id');
    for (const hash of ['#/tasks', `#/tasks/${task}`, '#/health', '#/emulator']) {
      await opened.goto('about:blank');
      await opened.goto(url + hash);
      await opened.locator(hash === '#/tasks' ? 'tr[data-id]' : '.pane h1').first().waitFor();
      assert.deepEqual(await axe(opened), [], hash);
    }
  },
};

await play(STEPS, (opened) => {
  const { origin } = new URL(url);
  opened.on('request', (request) => {
    const to = new URL(request.url());
    if (to.protocol !== 'about:' && to.protocol !== 'data:' && to.origin !== origin) opened.wrong.push(`another address: ${to.origin}`);
  });
});
process.exit(0);
