// What is shown, as a URL hash: `#/tasks/ID?q=…&state=…`. Whoever opens the URL sees the same.

const FILTERS = ['q', 'state', 'product', 'needs'];
const VIEWS = ['tasks', 'health', 'emulator'];

/** Reads a hash. Whatever is not known is left out. */
export function parse(hash) {
	const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');
	const [view, id] = path.split('/');
	const given = new URLSearchParams(query);
	const filter = {};
	for (const name of FILTERS) if (given.get(name)) filter[name] = given.get(name);
	let task = null;
	try {
		task = view === 'tasks' && id ? decodeURIComponent(id) : null;
	} catch {
		// A broken escape names no task.
	}
	return { view: VIEWS.includes(view) ? view : 'tasks', task, filter };
}

/** Writes a hash. */
export function format({ view, task, filter }) {
	const path = task ? `${view}/${encodeURIComponent(task)}` : view;
	const given = view === 'tasks' ? Object.entries(filter).filter(([, value]) => value) : [];
	const query = new URLSearchParams(given).toString();
	return `#/${path}${query ? `?${query}` : ''}`;
}

export const current = () => parse(location.hash);

/** Goes to a place; what is not given stays. With `isNew` false, Back skips the place that is left. */
export function go(change, isNew = true) {
	const hash = format({ ...current(), ...change });
	if (hash === location.hash) return;
	if (isNew) {
		location.hash = hash;
	} else {
		history.replaceState(null, '', hash);
		dispatchEvent(new HashChangeEvent('hashchange'));
	}
}
