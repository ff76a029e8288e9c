// The rows of the list, newest first, kept equal to what the service has.

import * as api from './api.js';

/** The number of rows that the page keeps. */
export const ROWS_MAX = 10_000;
/** The number of rows of one request. The first one is small, to be shown soon. */
const FIRST = 60;
const CHUNK = 500;

/** Says whether a row belongs to a list: the same rule as the service's. */
export function matches(row, filter) {
	if (filter.needs && !row.needs_person) return false;
	if (filter.product && row.product !== filter.product) return false;
	if (filter.state && row.state !== filter.state && !row.stages.some((stage) => stage.state === filter.state)) return false;
	if (!filter.q) return true;
	const wanted = filter.q.toLowerCase();
	return [row.title, row.task_id, row.reference, row.tags].some((text) => text?.toLowerCase().includes(wanted));
}

const isBefore = (a, b) => a.order > b.order;

export class Board {
	/** `shown(change)` is called after each change; `change.added` counts rows above the others. */
	constructor(shown) {
		this.shown = shown;
		this.filter = {};
		this.clear();
	}

	clear() {
		this.rows = [];
		this.ids = new Set();
		this.total = 0;
		this.needs = 0;
		this.version = null;
		/** The last event that the service had when the list was read: the stream begins after it. */
		this.cursor = '0';
		this.isLoaded = false;
		this.isWhole = false;
	}

	/** Reads the list of a filter from its beginning. */
	async load(filter) {
		this.abort?.abort();
		const abort = (this.abort = new AbortController());
		// Read anew for another reason than a filter, the list stays where it was scrolled to.
		const isNew = filter !== this.filter || !this.isLoaded;
		this.filter = filter;
		try {
			let page = await api.tasks(filter, undefined, FIRST, abort.signal);
			this.clear();
			this.version = page.version;
			this.cursor = page.cursor;
			this.take(page);
			this.isLoaded = true;
			this.shown({ isNew });
			this.isWhole = !page.next;
			while (page.next && this.rows.length < ROWS_MAX) {
				page = await api.tasks(filter, page.next, Math.min(CHUNK, ROWS_MAX - this.rows.length), abort.signal);
				this.take(page);
				this.shown({});
			}
			this.isWhole = !page.next;
		} catch (err) {
			if (abort.signal.aborted) return;
			// What is missing is read by the next look at what changed, which reads the list anew.
			this.version = null;
			throw err;
		}
	}

	take(page) {
		for (const row of page.tasks) {
			// A task that was added since is there already.
			if (this.ids.has(row.task_id)) continue;
			this.ids.add(row.task_id);
			this.rows.push(keyed(row));
		}
		this.total = Math.max(page.total, this.rows.length);
		this.needs = page.needs_person;
	}

	/** Reads what changed. Returns the ids of the tasks that did. */
	async catchUp() {
		if (!this.version) {
			await this.load(this.filter);
			return null;
		}
		const page = await api.changes(this.version);
		this.hasMore = page.more;
		if (page.resync) {
			await this.load(this.filter);
			return null;
		}
		this.version = page.version;
		this.needs = page.needs_person;
		if (!page.tasks.length) return [];
		let added = 0;
		// The oldest first: so each new one is above those before it.
		for (const row of page.tasks.map(keyed).sort((a, b) => a.order - b.order)) added += this.put(row);
		this.rows.length = Math.min(this.rows.length, ROWS_MAX);
		this.shown({ added });
		return page.tasks.map((row) => row.task_id);
	}

	/** Puts a row where it belongs. Returns 1 if it is new and above the others. */
	put(row) {
		const index = this.ids.has(row.task_id) ? this.find(row) : -1;
		const isNew = index < 0;
		const belongs = matches(row, this.filter);
		// Older ones than are loaded come with their page.
		if (isNew && (!belongs || (!this.isWhole && isBefore(this.rows.at(-1) ?? row, row)))) return 0;
		const at = isNew ? this.place(row) : index;
		this.rows.splice(at, isNew ? 0 : 1, ...(belongs ? [row] : []));
		if (isNew) this.ids.add(row.task_id);
		else if (!belongs) this.ids.delete(row.task_id);
		if (isNew || !belongs) this.total += isNew ? 1 : -1;
		return isNew && at === 0 ? 1 : 0;
	}

	/** The first index whose row is not newer. */
	place(row) {
		let [low, high] = [0, this.rows.length];
		while (low < high) {
			const middle = (low + high) >> 1;
			if (isBefore(this.rows[middle], row)) low = middle + 1;
			else high = middle;
		}
		return low;
	}

	find(row) {
		const index = this.place(row);
		if (this.rows[index]?.task_id === row.task_id) return index;
		return this.rows.findIndex((other) => other.task_id === row.task_id);
	}
}

/** Reads the number by which rows are ordered. Larger is newer. */
function keyed(row) {
	row.order = Number(row.order);
	return row;
}
