// JSON for people: indented and coloured, number by number as it was sent. It is not parsed for that,
// as a parser would round large numbers.

import { h } from './dom.js';

/** The number of characters that are shown at first. */
const SHOWN_MAX = 20_000;
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/gy;
const SPACE = /\s*/y;
const STRANGE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Writes characters that cannot be seen as escapes. */
export const visible = (text) =>
	text.replace(STRANGE, (c) => (c === '\n' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`));

/** Returns tokens `[text, kind]`, or null if the text is no JSON. */
export function tokens(text) {
	const all = [];
	let at = 0;
	while (at < text.length) {
		SPACE.lastIndex = at;
		SPACE.exec(text);
		at = SPACE.lastIndex;
		if (at >= text.length) break;
		TOKEN.lastIndex = at;
		const found = TOKEN.exec(text);
		if (!found) return null;
		at = TOKEN.lastIndex;
		all.push(found[0]);
	}
	return all;
}

/** Returns lines of `[text, kind]` parts. */
export function layOut(all) {
	const lines = [[]];
	let depth = 0;
	const line = () => lines.push([['  '.repeat(depth), '']]);
	all.forEach((token, index) => {
		const next = all[index + 1];
		if (token === '{' || token === '[') {
			const isEmpty = next === '}' || next === ']';
			lines.at(-1).push([token, '']);
			depth += 1;
			if (!isEmpty) line();
		} else if (token === '}' || token === ']') {
			const before = all[index - 1];
			depth = Math.max(0, depth - 1);
			if (before !== '{' && before !== '[') line();
			lines.at(-1).push([token, '']);
		} else if (token === ',') {
			lines.at(-1).push([token, '']);
			line();
		} else if (token === ':') {
			lines.at(-1).push([': ', '']);
		} else {
			const kind = next === ':' ? 'key' : token[0] === '"' ? 'text' : /[-\d]/.test(token[0]) ? 'number' : 'word';
			lines.at(-1).push([visible(token), kind]);
		}
	});
	return lines;
}

/** A body as an element. A long one is cut, with a button for the rest. */
export function json(body) {
	const pre = h('pre', { class: 'json', tabindex: 0, role: 'region', 'aria-label': 'Body' });
	const draw = (text) => {
		const all = tokens(text);
		pre.replaceChildren();
		if (!all) return pre.append(visible(text));
		for (const parts of layOut(all)) {
			for (const [part, kind] of parts) pre.append(kind ? h('span', { class: `j-${kind}` }, part) : part);
			pre.append('\n');
		}
	};
	if (body.length <= SHOWN_MAX) {
		draw(body);
		return pre;
	}
	pre.append(visible(body.slice(0, SHOWN_MAX)));
	const more = h('button', { type: 'button', click: () => { draw(body); more.remove(); } }, `Show all ${body.length.toLocaleString('en')} characters`);
	return h('div', null, pre, more);
}
