// A real table of any length that has only the rows in sight in the document, between two spacers.

import { h } from './dom.js';

/** The height of a row in pixels, as style.css has it. */
const ROW = 56;
/** Rows above and below what is in sight. */
const MARGIN = 12;
const ROWS_MAX = 90;

export class Table {
	/** `draw(tr, row)` fills a row; `open(id)` opens one. A changed row is another object. */
	constructor({ label, columns, draw, open }) {
		this.draw = draw;
		this.open = open;
		this.rows = [];
		this.total = 0;
		this.drawn = new Map();
		this.current = null;
		const headers = Object.entries(columns).map(([name, text]) => h('th', { scope: 'col', class: `c-${name}` }, text));
		this.above = h('tr', { 'aria-hidden': 'true', class: 'space' }, h('td'));
		this.below = h('tr', { 'aria-hidden': 'true', class: 'space' }, h('td'));
		this.body = h('tbody', { click: (event) => this.clicked(event), focusin: (event) => this.focused(event) },
			this.above, this.below);
		this.table = h('table', { 'aria-label': label }, h('thead', null, h('tr', { 'aria-rowindex': 1 }, headers)), this.body);
		this.node = h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label,
			scroll: () => this.render(), keydown: (event) => this.pressed(event) }, this.table);
		new ResizeObserver(() => this.render()).observe(this.node);
	}

	/** Shows rows. `added` is the number of new ones above; the row under the eye stays where it is. */
	set(rows, total, { added = 0, isNew = false } = {}) {
		this.rows = rows;
		this.total = total;
		this.table.setAttribute('aria-rowcount', total + 1);
		if (isNew) this.node.scrollTop = 0;
		else if (added && this.node.scrollTop > 0) {
			this.space(this.above, this.aboveRows + added);
			this.space(this.below, Math.max(0, total - this.aboveRows - added - this.drawn.size));
			this.node.scrollTop += added * ROW;
		}
		this.render();
	}

	get isAtTop() {
		return this.node.scrollTop < ROW / 2;
	}

	space(node, rows) {
		node.firstChild.style.height = `${rows * ROW}px`;
		node.hidden = rows === 0;
		if (node === this.above) this.aboveRows = rows;
	}

	render() {
		const height = this.node.clientHeight;
		if (!height) return;
		const first = Math.max(0, Math.floor(this.node.scrollTop / ROW) - MARGIN);
		const size = Math.min(ROWS_MAX, Math.ceil(height / ROW) + 2 * MARGIN);
		const start = Math.min(first, Math.max(0, this.rows.length - size));
		const shown = this.rows.slice(start, start + size);
		const wanted = new Set(shown.map((row) => row.task_id));
		for (const [id, { tr }] of this.drawn) {
			if (wanted.has(id)) continue;
			// The keyboard stays in the table when the row that had it goes out of sight.
			if (tr.contains(document.activeElement)) this.node.focus({ preventScroll: true });
			tr.remove();
			this.drawn.delete(id);
		}
		this.space(this.above, start);
		let at = this.above;
		shown.forEach((row, index) => {
			const tr = this.row(row, start + index);
			if (at.nextSibling !== tr) at.after(tr);
			at = tr;
		});
		this.space(this.below, Math.max(0, this.total - start - shown.length));
	}

	row(row, index) {
		let drawn = this.drawn.get(row.task_id);
		if (!drawn) {
			drawn = { tr: h('tr', { 'data-id': row.task_id }), row: null };
			this.drawn.set(row.task_id, drawn);
		}
		if (drawn.row !== row) {
			// Drawn anew, the row keeps the keyboard.
			const hadFocus = drawn.tr.contains(document.activeElement);
			this.draw(drawn.tr, row);
			drawn.row = row;
			drawn.isCurrent = undefined;
			if (hadFocus) drawn.tr.querySelector('a')?.focus({ preventScroll: true });
		}
		drawn.tr.setAttribute('aria-rowindex', index + 2);
		const isCurrent = row.task_id === this.current;
		if (drawn.isCurrent !== isCurrent) {
			drawn.isCurrent = isCurrent;
			drawn.tr.classList.toggle('current', isCurrent);
			drawn.tr.querySelector('a')?.setAttribute('tabindex', isCurrent || !this.current ? 0 : -1);
		}
		return drawn.tr;
	}

	clicked(event) {
		const tr = event.target.closest('tr[data-id]');
		// With a key, a link opens another tab; and who selects text opens nothing.
		if (!tr || event.ctrlKey || event.metaKey || event.shiftKey || (getSelection().toString() && !event.target.closest('a'))) return;
		event.preventDefault();
		this.open(tr.dataset.id);
	}

	focused(event) {
		const tr = event.target.closest('tr[data-id]');
		if (tr && this.current !== tr.dataset.id) this.mark(tr.dataset.id);
	}

	mark(id) {
		this.current = id;
		this.render();
	}

	pressed(event) {
		if (event.ctrlKey || event.metaKey || event.altKey) return;
		const page = Math.max(1, Math.floor(this.node.clientHeight / ROW) - 1);
		const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
		const step = steps[event.key];
		if (step === undefined) return;
		event.preventDefault();
		this.move(step);
	}

	/** Moves the current row, and the keyboard with it. */
	move(step) {
		if (!this.rows.length) return;
		const at = this.rows.findIndex((row) => row.task_id === this.current);
		const to = Math.min(this.rows.length - 1, Math.max(0, at < 0 ? 0 : at + step));
		this.current = this.rows[to].task_id;
		this.reveal(to);
		this.drawn.get(this.current)?.tr.querySelector('a')?.focus({ preventScroll: true });
	}

	reveal(index) {
		const top = index * ROW;
		const room = this.node.clientHeight - ROW - this.table.tHead.offsetHeight;
		if (top < this.node.scrollTop) this.node.scrollTop = top;
		else if (top > this.node.scrollTop + room) this.node.scrollTop = top - room;
		this.render();
	}
}
