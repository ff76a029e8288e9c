// The form that makes the emulator play a scenario, for people without an account.

import * as api from './api.js';
import { h, show, sub } from './dom.js';
import { go } from './route.js';

export function open(_, { tell }) {
	const form = h('form', { class: 'try' });
	const node = h('article', { class: 'emulator', 'aria-label': 'Try it' }, h('h1', null, 'Try it'),
		h('p', { class: 'lead dim' }, 'The emulator plays the provider: it makes no music and costs nothing. Choose what happens to the task, and watch what the gateway makes of it.'), form);

	async function read() {
		show(form, fields(await api.emulator()));
	}

	function fields({ scenarios }) {
		const field = (name, label, value, kind = 'input') => h('div', { class: 'field' }, h('label', { for: `try-${name}` }, label),
			h(kind, { id: `try-${name}`, name, maxlength: 1000, ...(kind === 'input' ? { value } : { rows: 3 }) }, kind === 'input' ? null : value));
		return [field('title', 'Title', 'Lighthouse at Dawn'), field('style', 'Style', 'ambient, piano, tape'),
			field('prompt', 'Lyrics or idea', 'Slow light over the harbour wall', 'textarea'),
			h('fieldset', null, h('legend', null, 'What happens'), h('div', { class: 'scenarios' }, scenarios.map(({ word, title: name, about }, index) =>
				h('label', { class: 'scenario' }, h('input', { type: 'radio', name: 'scenario', value: word, checked: index === 0 }), h('span', null, h('b', null, name ?? word), sub(about)))))),
			h('p', { class: 'actions' }, h('button', { class: 'main' }, 'Submit the task'))];
	}

	form.addEventListener('submit', async (event) => {
		event.preventDefault();
		const button = form.querySelector('button');
		button.disabled = true;
		try {
			const { task_id: task } = await api.emulate(Object.fromEntries(new FormData(form)));
			go({ view: 'tasks', task, filter: {} });
		} catch (err) {
			tell(err);
		} finally {
			button.disabled = false;
		}
	});

	return { node, changed: (ids) => (ids === null ? read() : null) };
}
