// The keys of the page, and the list of them.

import { h } from './dom.js';

const KEYS = [
	['/', 'Search'],
	['j', 'Next task'],
	['k', 'Previous task'],
	['Enter', 'Open the task'],
	['Escape', 'Close the task, or clear the search'],
	['n', 'Only what needs a person'],
	['Space', 'Play or pause'],
	['?', 'This list'],
];

const isTyping = (node) => node.closest?.('input:not([type=radio]):not([type=range]), textarea, select, [contenteditable]');

/** Listens for keys; `actions` are functions by name. One that returns false leaves the key to the browser. */
export function listen(actions) {
	addEventListener('keydown', (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
		if (document.querySelector('dialog[open]')) return;
		const key = event.key;
		if (key === 'Escape') {
			event.preventDefault();
			actions.back(isTyping(event.target));
			return;
		}
		if (isTyping(event.target)) return;
		const onControl = event.target.closest?.('a, button, summary, input, [role=slider]');
		const does = { '/': actions.search, j: actions.next, k: actions.previous, n: actions.needs, '?': help }[key]
			?? (onControl ? null : { Enter: actions.open, ' ': actions.play }[key]);
		if (does && does() !== false) event.preventDefault();
	});
}

export function help() {
	const dialog = h('dialog', { class: 'keys', 'aria-labelledby': 'keys-title', close: () => dialog.remove() },
		h('h2', { id: 'keys-title' }, 'Keys'),
		h('dl', null, KEYS.map(([key, does]) => h('div', null, h('dt', null, h('kbd', null, key)), h('dd', null, does)))),
		h('form', { method: 'dialog', submit: (event) => { event.preventDefault(); dialog.close(); } }, h('button', null, 'Close')));
	document.body.append(dialog);
	dialog.showModal();
}
