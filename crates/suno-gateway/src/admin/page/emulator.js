// The form that makes the emulator play a scenario, for people without an account.

import * as api from './api.js';
import { bdi, h, show } from './dom.js';
import { go } from './route.js';

const MADE_MAX = 8;
const made = [];

export function open(_, { tell }) {
  const form = h('form', { class: 'try' });
  const list = h('section', { 'aria-live': 'polite' });
  const node = h('article', { class: 'emulator', 'aria-label': 'Try it' }, h('h1', null, 'Try it'),
    h('p', { class: 'lead' }, 'The emulator plays the provider: it makes no music and costs nothing. Choose what happens to the task, and watch what the gateway makes of it.'), form, list);

  async function read() {
    let offer;
    try {
      offer = await api.emulator();
    } catch (err) {
      if (err.status !== 404) throw err;
      show(form, h('p', null, 'No emulator runs beside this gateway. ', h('code', null, 'suno demo --open'), ' starts both.'));
      return;
    }
    show(form, fields(offer));
    listed();
  }

  function fields({ scenarios }) {
    const title = h('input', { id: 'try-title', name: 'title', value: 'Lighthouse at Dawn', maxlength: 80 });
    const style = h('input', { id: 'try-style', name: 'style', value: 'ambient, piano, tape', maxlength: 200 });
    const prompt = h('textarea', { id: 'try-prompt', name: 'prompt', rows: 3, maxlength: 3000 }, 'Slow light over the harbour wall');
    return [h('div', { class: 'field' }, h('label', { for: 'try-title' }, 'Title'), title),
      h('div', { class: 'field' }, h('label', { for: 'try-style' }, 'Style'), style),
      h('div', { class: 'field' }, h('label', { for: 'try-prompt' }, 'Lyrics or idea'), prompt),
      h('fieldset', null, h('legend', null, 'What happens'), h('div', { class: 'scenarios' }, scenarios.map(({ word, title: name, about }, index) =>
        h('label', { class: 'scenario' }, h('input', { type: 'radio', name: 'scenario', value: word, checked: index === 0 }), h('span', null, h('b', null, name ?? word), h('span', { class: 'sub' }, about)))))),
      h('p', { class: 'actions' }, h('button', { class: 'main' }, 'Submit the task'))];
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = form.querySelector('button');
    button.disabled = true;
    try {
      const wish = Object.fromEntries(new FormData(form));
      const { task_id: id } = await api.emulate(wish);
      made.unshift({ id, ...wish });
      made.length = Math.min(made.length, MADE_MAX);
      listed();
    } catch (err) {
      tell(err);
    } finally {
      button.disabled = false;
    }
  });

  function listed() {
    show(list, made.length ? [h('h2', null, 'Submitted'), h('ul', { class: 'plain-list made' }, made.map(({ id, title, scenario }) =>
      h('li', null, h('a', { href: `#/tasks/${encodeURIComponent(id)}`, click: (event) => { event.preventDefault(); go({ view: 'tasks', task: id, filter: {} }); } }, bdi(title || id)), h('span', { class: 'sub' }, ` ${scenario || 'as usual'} · `, bdi(id)))))] : []);
  }

  return { node, changed: (ids) => (ids === null ? read() : null) };
}
