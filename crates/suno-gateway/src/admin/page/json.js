// JSON for people: indented and coloured, number by number as it was sent. What a parser makes of it is
// not shown, as it rounds large numbers.

import { cut, h, show } from './dom.js';

/** The number of characters that are shown at first. */
const SHOWN_MAX = 20_000;
const TOKEN = /"(?:[^"\\]|\\.)*"|[-+.\w]+|[{}[\],:]/g;
const STRANGE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Writes characters that cannot be seen as escapes. */
export const visible = (text) =>
	text.replace(STRANGE, (c) => (c === '\n' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`));

/** Returns the parts of a JSON text: texts and elements, in lines. Throws if it is no JSON. */
function layOut(text) {
	JSON.parse(text);
	const all = text.match(TOKEN);
	let depth = 0;
	const line = () => `\n${'  '.repeat(depth)}`;
	return all.flatMap((token, index) => {
		const [before, next] = [all[index - 1], all[index + 1]];
		if (token === '{' || token === '[') {
			depth += 1;
			return next === '}' || next === ']' ? token : [token, line()];
		}
		if (token === '}' || token === ']') {
			depth -= 1;
			return before === '{' || before === '[' ? token : [line(), token];
		}
		if (token === ',') return [token, line()];
		if (token === ':') return ': ';
		const kind = next === ':' ? 'key' : token[0] === '"' ? 'text' : /[-\d]/.test(token[0]) ? 'number' : 'word';
		return h('span', { class: `j-${kind}` }, visible(token));
	});
}

/** A body as an element. */
export function json(body) {
	const pre = h('pre', { class: 'json', tabindex: 0, role: 'region', 'aria-label': 'Body' });
	return cut(body, SHOWN_MAX, pre, (text) => {
		let parts;
		try {
			parts = layOut(text);
		} catch {
			parts = visible(text);
		}
		show(pre, parts);
	});
}
