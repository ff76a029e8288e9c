// The view of all tasks: what to look for, and the table.

import { bdi, clean, count, h, number, say, show, sub, time } from './dom.js';
import { go } from './route.js';
import { Table } from './table.js';
import { PRODUCTS, STATES, knownBy, productOf, stageOf, stateOf, verifiedBy } from './words.js';

/** The pause after a key before the service is asked, in milliseconds. */
const TYPING_MS = 150;
const SONG = ['text', 'first', 'complete'];

const COLUMNS = [
	{ name: 'task', label: 'Task' },
	{ name: 'stages', label: 'Stages' },
	{ name: 'state', label: 'State' },
	{ name: 'known', label: 'Known by' },
	{ name: 'time', label: 'First seen' },
];

/** A state as a mark and a word: never by its colour alone. */
export function pill(word) {
	const { word: text, mark, about } = stateOf(word);
	return h('span', { class: `pill is-${word}`, title: about || null }, h('span', { class: 'mark', 'aria-hidden': 'true' }, mark), text);
}

/** The stages of a task as a short line of marks. */
function stages(row) {
	const known = new Map(row.stages.map((stage) => [stage.stage, stage]));
	const isFailed = known.has('failed') && !known.has('complete');
	const usual = row.product === 'song' ? SONG : ['complete'];
	const words = usual.map((word) => (word === 'complete' && isFailed ? 'failed' : word));
	for (const word of known.keys()) if (!words.includes(word)) words.push(word);
	const said = words.map((word) => `${stageOf(word)}: ${known.has(word) ? stateOf(known.get(word).state).word : 'not yet'}`);
	return h('span', { class: 'dots', role: 'img', 'aria-label': said.join(', ') },
		words.map((word) => {
			const state = known.get(word)?.state;
			const kind = word === 'failed' && state ? 'failed' : state ?? 'none';
			return h('span', { class: `dot is-${kind}`, title: stageOf(word) },
				h('span', { class: 'mark' }, word === 'failed' ? '✕' : state ? stateOf(state).mark : ''));
		}));
}

function draw(tr, row) {
	const latest = row.stages.at(-1);
	const title = clean(row.title);
	const now = new Date();
	show(tr,
		h('td', { class: 'c-task' },
			h('a', { class: 'title', href: `#/tasks/${encodeURIComponent(row.task_id)}`, click: opens }, title ? bdi(title) : h('span', { class: 'dim' }, 'Untitled')),
			sub(productOf(row.product), ' · ', h('span', { class: 'mono' }, bdi(row.task_id)),
				row.reference ? [' · ', bdi(row.reference)] : null)),
		h('td', { class: 'c-stages' }, stages(row)),
		h('td', { class: 'c-state' }, pill(row.state), row.stages.some(({ stage }) => stage === 'failed') ? h('span', { class: 'sub bad' }, 'Generation failed')
			: row.conflicts ? h('span', { class: 'sub warn' }, count(row.conflicts, 'conflict')) : null),
		h('td', { class: 'c-known' }, latest ? knownBy(latest.source) : '–',
			sub(latest ? verifiedBy(latest.verified_by) : 'Submitted here')),
		h('td', { class: 'c-time' }, time(row.first_at, now), row.attempts > 1 ? sub(`${number(row.attempts)} attempts`) : null));
}

/** Opens a task and keeps what the list is filtered by. */
function opens(event) {
	if (event.ctrlKey || event.metaKey || event.shiftKey) return;
	event.preventDefault();
	go({ view: 'tasks', task: event.target.closest('tr').dataset.id });
}

export class List {
	constructor(board) {
		this.board = board;
		this.unseen = 0;
		this.table = new Table({ label: 'Tasks, newest first', columns: COLUMNS, draw, open: (task) => go({ view: 'tasks', task }) });
		this.search = h('input', { type: 'search', id: 'search', placeholder: 'Search title, task, reference', 'aria-label': 'Search tasks',
			autocomplete: 'off', spellcheck: 'false', input: () => this.typed(), keydown: (event) => this.pressed(event) });
		this.state = this.choice('State', Object.entries(STATES).slice(0, 6).map(([word, { word: text }]) => [word, text]));
		this.product = this.choice('Product', Object.entries(PRODUCTS));
		this.needs = h('button', { type: 'button', class: 'toggle', 'aria-pressed': 'false', click: () => this.filter({ needs: this.needs.getAttribute('aria-pressed') === 'true' ? '' : '1' }) });
		this.fresh = h('button', { type: 'button', class: 'fresh', hidden: true, click: () => this.toTop() });
		this.count = h('p', { class: 'count', 'aria-live': 'off' });
		this.empty = h('div', { class: 'empty', hidden: true });
		this.node = h('section', { class: 'list', 'aria-label': 'Tasks' },
			h('h1', { class: 'unseen' }, 'Tasks'),
			h('div', { class: 'bar', role: 'search' }, this.search, this.state, this.product, this.needs, this.count),
			this.fresh, this.empty, this.table.node);
		this.table.node.addEventListener('scroll', () => this.table.isAtTop && this.seen());
	}

	choice(label, options) {
		return h('select', { 'aria-label': label, change: (event) => this.filter({ [label.toLowerCase()]: event.target.value }) },
			h('option', { value: '' }, label), options.map(([value, text]) => h('option', { value }, text)));
	}

	typed() {
		clearTimeout(this.typing);
		this.typing = setTimeout(() => this.filter({ q: this.search.value.trim() }), TYPING_MS);
	}

	pressed(event) {
		if (event.key !== 'ArrowDown' && event.key !== 'Enter') return;
		event.preventDefault();
		this.table.move(0);
	}

	filter(change) {
		go({ view: 'tasks', filter: { ...this.board.filter, ...change } }, false);
	}

	/** Shows what the URL asks for. */
	async follow({ filter, task }) {
		this.table.mark(task ?? this.table.current);
		if (this.search !== document.activeElement) this.search.value = filter.q ?? '';
		this.state.value = filter.state ?? '';
		this.product.value = filter.product ?? '';
		this.needs.setAttribute('aria-pressed', String(Boolean(filter.needs)));
		const isSame = JSON.stringify(filter) === JSON.stringify(this.board.filter);
		if (isSame && (this.board.isLoaded || this.isLoading)) return;
		this.isLoading = true;
		try {
			await this.board.load(filter);
		} finally {
			this.isLoading = false;
		}
	}

	/** Shows the board after a change. */
	shown(board, change) {
		this.table.set(board.rows, board.total, change);
		const isFiltered = Object.values(board.filter).some(Boolean);
		this.count.textContent = isFiltered ? `${number(board.total)} found` : count(board.total, 'task');
		show(this.needs, 'Needs a person', h('span', { class: 'badge', 'data-count': board.needs }, number(board.needs)));
		this.empty.hidden = !board.isLoaded || board.total > 0;
		this.table.node.hidden = !this.empty.hidden;
		if (!this.empty.hidden) show(this.empty, isFiltered ? this.nothingFound() : this.nothingYet());
		if (change.isNew) {
			this.seen();
			if (isFiltered) say(`${board.total} found`);
		} else if (change.added) {
			this.arrived(change.added);
		}
	}

	nothingFound() {
		return [h('p', null, 'No task matches.'), h('button', { type: 'button', click: () => this.clear() }, 'Show all tasks')];
	}

	nothingYet() {
		return [h('h2', null, 'No callback has arrived yet'),
			h('p', null, 'It will appear here by itself.')];
	}

	clear() {
		this.search.value = '';
		go({ view: 'tasks', filter: {} }, false);
	}

	arrived(added) {
		this.unseen += added;
		if (this.table.isAtTop) this.seen(this.unseen);
		this.fresh.hidden = this.table.isAtTop;
		this.fresh.textContent = `↑ ${count(this.unseen, 'new task')}`;
		// One sentence for all that arrive together.
		clearTimeout(this.saying);
		const said = (this.saidCount = (this.saidCount ?? 0) + added);
		this.saying = setTimeout(() => {
			say(`${said} new`);
			this.saidCount = 0;
		}, 1000);
	}

	seen() {
		this.unseen = 0;
		this.fresh.hidden = true;
	}

	toTop() {
		this.table.node.scrollTop = 0;
		this.seen();
		this.table.node.focus();
	}
}
