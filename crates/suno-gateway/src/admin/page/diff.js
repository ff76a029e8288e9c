// What differs between two JSON values, by path. Items of arrays are paired by their `id` where all
// have one, else by their index.

/** The number of differences that are listed. */
export const DIFFERENCES_MAX = 200;

const isObject = (value) => value !== null && typeof value === 'object';
const ids = (list) => list.map((item) => (isObject(item) && !Array.isArray(item) ? item.id : undefined));
const areNames = (names) => names.every((id) => typeof id === 'string' || typeof id === 'number') && new Set(names).size === names.length;

/** Returns `{ path, kind: 'added' | 'removed' | 'changed', before, after }` for each difference. */
export function differences(before, after) {
	const found = [];
	walk(before, after, '', found);
	return found;
}

function walk(before, after, path, found) {
	if (found.length >= DIFFERENCES_MAX || Object.is(before, after)) return;
	if (Array.isArray(before) && Array.isArray(after)) return lists(before, after, path, found);
	if (isObject(before) && isObject(after) && !Array.isArray(before) && !Array.isArray(after)) {
		const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
		for (const key of keys) member(before, after, key, path ? `${path}.${key}` : key, found);
		return;
	}
	found.push({ path: path || '(all)', kind: 'changed', before, after });
}

function member(before, after, key, path, found) {
	if (found.length >= DIFFERENCES_MAX) return;
	if (!Object.hasOwn(before, key)) found.push({ path, kind: 'added', after: after[key] });
	else if (!Object.hasOwn(after, key)) found.push({ path, kind: 'removed', before: before[key] });
	else walk(before[key], after[key], path, found);
}

function lists(before, after, path, found) {
	const [left, right] = [ids(before), ids(after)];
	if (before.length && after.length && areNames(left) && areNames(right)) {
		const [old, now] = [Object.create(null), Object.create(null)];
		before.forEach((item, index) => (old[left[index]] = item));
		after.forEach((item, index) => (now[right[index]] = item));
		for (const id of new Set([...left, ...right])) member(old, now, id, `${path}[${id}]`, found);
		return;
	}
	for (let index = 0; index < Math.max(before.length, after.length); index += 1)
		member(before, after, index, `${path}[${index}]`, found);
}

/** Splits two texts into what both begin with, what differs, and what both end with. */
export function split(before, after) {
	const most = Math.min(before.length, after.length);
	let start = 0;
	while (start < most && before[start] === after[start]) start += 1;
	let end = 0;
	while (end < most - start && before.at(-1 - end) === after.at(-1 - end)) end += 1;
	const parts = (text) => [text.slice(0, start), text.slice(start, text.length - end), text.slice(text.length - end)];
	return [parts(before), parts(after)];
}
