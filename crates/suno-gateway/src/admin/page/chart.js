// A small chart: lines over the last hour. What it shows is said in words as well.

import { h, sub, svg } from './dom.js';

const [WIDTH, HEIGHT, PAD] = [320, 72, 2];

/** `lines` are `{ name, values }`, of numbers, with gaps that are not finite; `write` turns a number into text. */
export function chart({ title, about, lines, write, minutes }) {
	const all = lines.flatMap(({ values }) => values).filter(Number.isFinite);
	const most = Math.max(0, ...all);
	const scale = most || 1;
	const latest = (values) => values.findLast(Number.isFinite) ?? 0;
	const said = lines.map(({ name, values }) => `${name ? `${name}: ` : ''}now ${write(latest(values))}, at most ${write(Math.max(0, ...values.filter(Number.isFinite)))}`).join('; ');
	const y = (value) => HEIGHT - PAD - (value / scale) * (HEIGHT - 2 * PAD);
	return h('figure', { class: 'chart' },
		h('figcaption', null, h('span', { class: 'chart-title' }, title), sub(about)),
		h('p', { class: 'values' }, lines.map(({ name, values }, index) => h('span', { class: `value v${index}` }, h('b', null, write(latest(values))), name ? sub(name) : null))),
		svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `${title}, the last ${minutes} minutes. ${said}` },
			lines.map(({ values }, index) => {
				const runs = points(values, y);
				return [index === 0 ? runs.map((run) => svg('polygon', { class: 'area', points: `${run[0][0]},${HEIGHT - PAD} ${write2(run)} ${run.at(-1)[0]},${HEIGHT - PAD}` })) : null,
					runs.map((run) => svg('polyline', { class: `l${index}`, points: write2(run) }))];
			})),
		h('p', { class: 'axis sub', 'aria-hidden': 'true' }, h('span', null, `${minutes} min ago`), h('span', null, `max ${write(most)}`), h('span', null, 'now')));
}

/** Runs of points without a gap. */
function points(values, y) {
	const runs = [];
	const step = WIDTH / Math.max(1, values.length - 1);
	let run = null;
	values.forEach((value, index) => {
		if (!Number.isFinite(value)) run = null;
		else {
			if (!run) runs.push((run = []));
			run.push([index * step, y(value)]);
		}
	});
	return runs.filter((one) => one.length > 1);
}

const write2 = (run) => run.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
