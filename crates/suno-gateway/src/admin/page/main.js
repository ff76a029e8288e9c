// Starts the page: who may see it, which view is shown, and what happens when something changes.

import * as api from './api.js';
import { Board } from './board.js';
import { h, show } from './dom.js';
import { help, listen } from './keys.js';
import { List } from './list.js';
import { Live } from './live.js';
import { current, go } from './route.js';

const main = document.getElementById('main');
const notice = document.getElementById('notice');
const lamp = document.getElementById('live');

const LIVE = { live: 'Live', wait: 'Connecting', lost: 'Reconnecting', hidden: 'Paused', refused: 'Signed out' };

const board = new Board((change) => {
	list.shown(change);
	// The stream begins after the first page: the rest of a long list takes its time.
	if (change.isNew && !live.isOn) live.open();
});
const list = new List(board);
const pane = h('div', { class: 'pane' });
const live = new Live(() => api.stream(board.cursor), changed, (state) => {
	if (lamp.dataset.state === state) return;
	lamp.dataset.state = state;
	lamp.querySelector('.live-word').textContent = LIVE[state];
});
/** The view in the pane: `{ node, changed?, closed?, key? }`. */
let view = null;

/** Shows an error as one sentence that says what to do. */
function tell(err) {
	if (err?.name === 'AbortError') return;
	const isSession = err.status === 401 || err.status === 403;
	if (isSession) return askForToken();
	notice.hidden = false;
	notice.textContent = err.status === 0
		? 'The gateway does not answer. This page tries again by itself and shows what was known before.'
		: String(err.message);
}

const fine = () => (notice.hidden = true);

/** Reads what changed. Returns true if there is more. */
async function changed() {
	try {
		const ids = await board.catchUp();
		fine();
		await view?.changed?.(ids);
	} catch (err) {
		tell(err);
	}
	return board.hasMore;
}

/** Shows what the URL says. */
async function follow() {
	const place = current();
	main.dataset.view = place.view;
	main.dataset.open = String(place.view !== 'tasks' || Boolean(place.task));
	for (const link of document.querySelectorAll('nav a')) {
		if (link.dataset.view === place.view) link.setAttribute('aria-current', 'page');
		else link.removeAttribute('aria-current');
	}
	try {
		const listed = place.view === 'tasks' ? list.follow(place) : null;
		await open(place);
		await listed;
		fine();
	} catch (err) {
		tell(err);
	}
}

async function open({ view: name, task }) {
	const kind = name === 'tasks' ? (task ? 'task' : null) : name;
	const key = kind && `${kind} ${task ?? ''}`;
	if (view?.key === key) return;
	view?.closed?.();
	view = null;
	show(pane);
	document.title = `${name[0].toUpperCase()}${name.slice(1)} · suno`;
	if (!kind) return;
	const mine = (view = { key });
	const { open: opened } = await import(`./${kind}.js`);
	if (view !== mine) return;
	Object.assign(mine, opened(task, { tell }));
	show(pane, mine.node);
	pane.scrollTop = 0;
	await mine.changed?.(null);
}

/** Asks for the token, which is exchanged for a cookie. */
function askForToken(reason) {
	// Whatever asks again and is refused must not empty what somebody types.
	if (main.querySelector('.sign-in')) return;
	live.refuse();
	view?.closed?.();
	view = null;
	const input = h('input', { type: 'password', id: 'token', autocomplete: 'off', required: true });
	const said = h('p', { class: 'warn', role: 'alert' }, reason ?? '');
	const form = h('form', { class: 'sign-in', submit: async (event) => {
		event.preventDefault();
		if (await signIn(input.value.trim())) start();
		else said.textContent = 'The gateway refused this token.';
	} },
	h('h1', null, 'This gateway wants a token'),
	h('p', null, 'It is printed when the gateway starts, as a part of this page’s address.'),
	h('label', { for: 'token' }, 'Token'), input, said, h('button', { class: 'main' }, 'Sign in'));
	fine();
	show(main, form);
	input.focus();
}

async function signIn(token) {
	try {
		await api.signIn(token);
		return true;
	} catch {
		return false;
	}
}

async function start() {
	// A fragment that is no place is the token. It is not sent anywhere but to the session.
	const fragment = location.hash.slice(1).replace(/^token=/, '');
	if (fragment && !fragment.startsWith('/')) {
		history.replaceState(null, '', '#/tasks');
		if (!(await signIn(decodeURIComponent(fragment)))) return askForToken('The gateway refused the token in the address.');
	}
	show(main, list.node, pane);
	await follow();
	if (main.contains(list.node) && !live.isOn) live.open();
	api.emulator().then(() => (document.querySelector('[data-view=emulator]').hidden = false)).catch(() => {});
}

addEventListener('hashchange', () => main.contains(pane) && follow());
document.getElementById('help').addEventListener('click', help);
document.querySelector('.skip').addEventListener('click', (event) => {
	event.preventDefault();
	main.focus();
});

listen({
	next: () => list.table.move(1),
	previous: () => list.table.move(-1),
	open: () => list.table.current && go({ view: 'tasks', task: list.table.current }),
	search: () => {
		go({ view: 'tasks', task: matchMedia('(max-width: 999px)').matches ? null : current().task });
		follow();
		list.search.focus();
		list.search.select();
	},
	needs: () => list.needs.click(),
	play: () => view?.play?.() ?? false,
	back: (isTyping) => {
		const { task, filter } = current();
		if (isTyping) {
			if (list.search.value) list.clear();
			list.table.move(0);
		} else if (task) {
			go({ task: null });
			requestAnimationFrame(() => list.table.move(0));
		} else if (Object.keys(filter).length) {
			list.clear();
		}
	},
});

start();
