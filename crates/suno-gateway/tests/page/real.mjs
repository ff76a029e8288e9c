// The page on the service itself. The test in Rust that starts this has the service: a line of JSON on
// stdout is an order for it, and its answer is a line on stdin.

import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';

import { axe, play } from './browser.mjs';
import { HOSTILE } from './mock.mjs';

const [url, token] = [process.env.SUNO_PAGE, process.env.SUNO_TOKEN];
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function order(wish) {
  process.stdout.write(`${JSON.stringify(wish)}\n`);
  return JSON.parse((await answers.next()).value);
}
const deliver = (task, word, title, more) => order({ do: 'deliver', task, word, title, ...more });
const row = (opened, task) => opened.locator(`tr[data-id="${task}"]`);
const isLive = (opened) => opened.locator('#live[data-state=live]').waitFor();

const STEPS = {
  async 'without a token, every file loads and no data does'(opened) {
    await opened.goto(url);
    await opened.getByLabel('Token').waitFor();
    assert.equal((await opened.request.get(`${url}v1/tasks`)).status(), 401);
  },

  async 'the token in the address becomes a cookie'(opened) {
    await opened.goto('about:blank');
    await opened.goto(`${url}#${token}`);
    await opened.getByText('No callback has arrived yet').waitFor();
    await isLive(opened);
    assert.ok(!opened.url().includes(token));
  },

  async 'a task appears and goes through its stages without a reload'(opened) {
    await opened.evaluate(() => (window.isSame = true));
    for (const [word, said] of [['text', 'Text: Handled'], ['first', 'First track: Handled'], ['complete', 'Complete: Handled']]) {
      assert.equal((await deliver('task-1', word, 'Northern Lullaby')).accepted, 'new');
      await row(opened, 'task-1').locator(`[role=img][aria-label*="${said}"]`).waitFor();
    }
    assert.equal(await opened.evaluate(() => window.isSame), true);
    assert.equal(await row(opened, 'task-1').locator('.title').textContent(), 'Northern Lullaby');
  },

  async 'a task shows its story, its lyrics, its body'(opened) {
    await deliver('task-1', 'complete', 'Northern Lullaby');
    await row(opened, 'task-1').click();
    await opened.locator('.head h1', { hasText: 'Northern Lullaby' }).waitFor();
    await opened.locator('.lyrics', { hasText: 'la la la' }).waitFor();
    await opened.locator('.line li', { hasText: 'same as before' }).waitFor();
    await opened.locator('.line li', { hasText: 'handler ended' }).first().waitFor();
    await opened.locator('.cards summary').first().click();
    await opened.locator('.json', { hasText: '"callbackType": "complete"' }).waitFor();
  },

  async 'its audio plays through the service, and the waveform has peaks'(opened) {
    await opened.locator('.player[data-wave=peaks]').nth(1).waitFor();
    await opened.getByRole('button', { name: /^Play/ }).first().click();
    await opened.waitForFunction(() => document.querySelector('audio').currentTime > 0.2);
    const slider = opened.getByRole('slider').first();
    const box = await slider.boundingBox();
    await slider.click({ position: { x: box.width * 0.75, y: box.height / 2 } });
    await opened.waitForFunction(() => document.querySelector('audio').currentTime > 14);
  },

  async 'a delivery that says something else is a conflict, with what differs'(opened) {
    const other = { code: 200, msg: 'ok', data: { callbackType: 'complete', task_id: 'task-1', data: [{ id: 'task-1-1', title: 'Another', audio_url: 'https://a.example/b.mp3', duration: 99 }] } };
    assert.equal((await order({ do: 'deliver', body: JSON.stringify(other) })).accepted, 'conflict');
    await opened.getByText(/It differs in \d+ places/).waitFor();
    await opened.locator('.diff del', { hasText: 'Northern Lullaby' }).first().waitFor();
  },

  async 'what strangers wrote stays text'(opened) {
    await deliver('task-2', 'complete', HOSTILE);
    await row(opened, 'task-2').click();
    await opened.locator('.head h1', { hasText: '<script>' }).waitFor();
    assert.equal(await opened.evaluate(() => window.hacked), undefined);
  },

  async 'a dead letter needs a person, and is tried again'(opened) {
    await deliver('bad-1', 'complete', 'Paper Constellation');
    await row(opened, 'bad-1').getByText('Dead letter').waitFor();
    await opened.locator('.badge[data-count="1"]').waitFor();
    await row(opened, 'bad-1').click();
    await opened.getByText('it is refused').first().waitFor();
    const [answer] = await Promise.all([
      opened.waitForResponse((response) => response.url().endsWith('/redrive')),
      opened.getByRole('button', { name: 'Try again' }).click(),
    ]);
    assert.equal(answer.status(), 200);
    await opened.getByText('made ready again by a person').waitFor();
  },

  async 'the list is searched and filtered by the service'(opened) {
    await opened.goto('about:blank');
    await opened.goto(`${url}#/tasks?q=lullaby`);
    await opened.getByText('1 found').first().waitFor();
    await opened.goto('about:blank');
    await opened.goto(`${url}#/tasks?needs=1`);
    await row(opened, 'bad-1').waitFor();
    assert.equal(await opened.locator('tr[data-id]').count(), 1);
  },

  async 'after a restart the page goes on, with no gap and no double row'(opened) {
    await opened.goto('about:blank');
    await opened.goto(`${url}#/tasks`);
    await isLive(opened);
    await order({ do: 'restart' });
    await deliver('task-3', 'text', 'After the restart');
    await row(opened, 'task-3').waitFor();
    await isLive(opened);
    const shown = await opened.locator('tr[data-id]').evaluateAll((all) => all.map((tr) => tr.dataset.id));
    assert.deepEqual(shown, ['task-3', 'bad-1', 'task-2', 'task-1']);
    await deliver('task-4', 'text', 'And on');
    await row(opened, 'task-4').waitFor();
  },

  async 'health has numbers and says what needs a person'(opened) {
    await opened.goto(`${url}#/health`);
    await opened.getByText('1 dead letter.').waitFor();
    await opened.locator('figure svg[role=img]').first().waitFor({ state: 'attached' });
  },

  async 'the form submits a task'(opened) {
    await opened.goto(`${url}#/emulator`);
    await opened.getByLabel('Title').fill('Made by hand');
    await opened.getByRole('button', { name: 'Submit the task' }).click();
    await opened.locator('.step.is-done', { hasText: 'Complete' }).waitFor();
  },

  async 'axe finds nothing on any view'(opened) {
    for (const hash of ['#/tasks', '#/tasks/task-1', '#/tasks/bad-1', '#/health', '#/emulator']) {
      await opened.goto('about:blank');
      await opened.goto(url + hash);
      await opened.locator(hash === '#/tasks' ? 'tr[data-id]' : '.pane h1').first().waitFor();
      assert.deepEqual(await axe(opened), [], hash);
    }
  },

  async 'files are asked for again only if they changed, and are not in a frame'(opened) {
    const first = await opened.request.get(`${url}style.css`);
    const { etag, 'content-security-policy': policy } = first.headers();
    assert.match(policy, /frame-ancestors 'none'.*require-trusted-types-for 'script'/);
    const again = await opened.request.get(`${url}style.css`, { headers: { 'if-none-match': etag } });
    assert.equal(again.status(), 304);
    const foreign = await opened.request.post(`${url}v1/events/1/redrive`, { headers: { origin: 'http://127.0.0.1:1', 'content-type': 'application/json' }, data: '{}' });
    assert.equal(foreign.status(), 403);
  },
};

await play(STEPS);
process.exit(0);
