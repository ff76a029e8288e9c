// The view of all tasks: what to look for, and the table.

import { bdi, clean, count, h, number, say, show, sub, time } from './dom.js';
import { go } from './route.js';
import { course } from './story.js';
import { Table } from './table.js';
import { PRODUCTS, STATES, knownBy, productOf, stageOf, stateOf, verifiedBy } from './words.js';

/** The pause after a key before the service is asked, in milliseconds. */
const TYPING_MS = 150;

const COLUMNS = { task: 'Task', stages: 'Stages', state: 'State', known: 'Known by', time: 'First seen' };

/** A state as a mark and a word: never by its colour alone. */
export function pill(word) {
	const { word: text, mark, about } = stateOf(word);
	return h('span', { class: `pill is-${word}`, title: about }, h('span', { class: 'mark', 'aria-hidden': 'true' }, mark), text);
}

/** When the provider is asked next, for a task that has not ended. */
export const poll = (at) => at && (new Date(at) > Date.now() ? ['Poll at ', time(at)] : 'Poll is due');

/** The stages of a task as a short line of marks. */
function stages(row) {
	const steps = course({ ...row, events: row.stages });
	return h('span', { class: 'dots', role: 'img', 'aria-label': steps.map(({ word, said }) => `${stageOf(word)}: ${said}`).join(', ') },
		steps.map(({ word, kind, mark }) => h('span', { class: `dot is-${kind}`, title: stageOf(word) }, h('span', { class: 'mark' }, mark))));
}

function draw(tr, row) {
	const latest = row.stages.at(-1);
	const title = clean(row.title);
	const now = new Date();
	show(tr,
		h('td', { class: 'c-task' },
			h('a', { class: 'title', href: `#/tasks/${encodeURIComponent(row.task_id)}` }, title ? bdi(title) : h('span', { class: 'dim' }, 'Untitled')),
			sub(row.product && [productOf(row.product), ' · '], h('span', { class: 'mono' }, bdi(row.task_id)),
				row.reference ? [' · ', bdi(row.reference)] : null)),
		h('td', { class: 'c-stages' }, stages(row)),
		h('td', { class: 'c-state' }, pill(row.state), row.stages.some(({ stage }) => stage === 'failed') ? h('span', { class: 'sub bad' }, 'Task failed')
			: row.conflicts ? h('span', { class: 'sub warn' }, count(row.conflicts, 'conflict')) : sub(poll(row.due_at))),
		h('td', { class: 'c-known' }, latest ? [knownBy(latest.source), sub(verifiedBy(latest.verified_by))] : 'Submit'),
		h('td', { class: 'c-time' }, time(row.submitted_at ?? row.first_at, now), row.attempts > 1 ? sub(`${number(row.attempts)} attempts`) : null));
}

export class List {
	constructor(board) {
		this.board = board;
		this.unseen = 0;
		this.unsaid = 0;
		this.table = new Table({ label: 'Tasks, newest first', columns: COLUMNS, draw, open: (task) => go({ view: 'tasks', task }) });
		this.search = h('input', { type: 'search', id: 'search', placeholder: 'Search title, task, reference', 'aria-label': 'Search tasks',
			autocomplete: 'off', spellcheck: 'false', input: () => this.typed(), keydown: (event) => this.pressed(event) });
		this.state = this.choice('State', STATES, (word) => stateOf(word).word);
		this.product = this.choice('Product', PRODUCTS, productOf);
		this.needs = h('button', { class: 'toggle', 'aria-pressed': 'false', click: () => this.filter({ needs: this.board.filter.needs ? '' : '1' }) });
		this.fresh = h('button', { class: 'fresh', hidden: true, click: () => this.toTop() });
		this.count = h('p', { class: 'count' });
		this.empty = h('div', { class: 'empty', hidden: true });
		this.node = h('section', { class: 'list', 'aria-label': 'Tasks' },
			h('h1', { class: 'unseen' }, 'Tasks'),
			h('div', { class: 'bar', role: 'search' }, this.search, this.state, this.product, this.needs, this.count),
			this.fresh, this.empty, this.table.node);
		this.table.node.addEventListener('scroll', () => this.table.isAtTop && this.seen());
	}

	choice(label, words, textOf) {
		return h('select', { 'aria-label': label, change: (event) => this.filter({ [label.toLowerCase()]: event.target.value }) },
			h('option', { value: '' }, label), Object.keys(words).map((value) => h('option', { value }, textOf(value))));
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
	shown(change) {
		const { board } = this;
		this.table.set(board.rows, board.total, change);
		const isFiltered = Object.values(board.filter).some(Boolean);
		this.count.textContent = isFiltered ? `${number(board.total)} found` : count(board.total, 'task');
		show(this.needs, 'Needs a person', h('span', { class: 'badge', 'data-count': board.needs }, number(board.needs)));
		this.empty.hidden = !board.isLoaded || board.total > 0;
		this.table.node.hidden = !this.empty.hidden;
		if (!this.empty.hidden) show(this.empty, isFiltered ? [h('p', null, 'No task matches.'), h('button', { click: () => this.clear() }, 'Show all tasks')]
			: [h('h2', null, 'No callback has arrived yet'), h('p', null, 'It will appear here by itself.')]);
		if (change.isNew) {
			this.seen();
			if (isFiltered) say(`${board.total} found`);
		} else if (change.added) {
			this.arrived(change.added);
		}
	}

	clear() {
		this.search.value = '';
		go({ view: 'tasks', filter: {} }, false);
	}

	arrived(added) {
		this.unseen += added;
		if (this.table.isAtTop) this.seen();
		else this.fresh.hidden = false;
		this.fresh.textContent = `↑ ${count(this.unseen, 'new task')}`;
		// One sentence for all that arrive together.
		clearTimeout(this.saying);
		this.unsaid += added;
		this.saying = setTimeout(() => {
			say(`${this.unsaid} new`);
			this.unsaid = 0;
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
