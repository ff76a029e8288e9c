// The service's API. Every path is here and nowhere else.

/** An answer that is not a success. `status` 0 is a service that does not answer. */
export class ApiError extends Error {
	constructor(status, title, detail) {
		super(detail ? `${title}: ${detail}` : title);
		this.status = status;
	}
}

/** The longest time for an answer, in milliseconds. */
const ANSWER_MS_MAX = 15_000;

async function call(method, path, body, signal) {
	const headers = { accept: 'application/json' };
	if (body !== undefined) headers['content-type'] = 'application/json';
	const limit = AbortSignal.timeout(ANSWER_MS_MAX);
	let answer;
	try {
		answer = await fetch(path, {
			method,
			headers,
			body: body === undefined ? undefined : JSON.stringify(body),
			credentials: 'same-origin',
			signal: signal ? AbortSignal.any([signal, limit]) : limit,
		});
	} catch (err) {
		if (signal?.aborted) throw err;
		throw new ApiError(0, 'The service does not answer');
	}
	const text = await answer.text();
	let value = null;
	try {
		value = text ? JSON.parse(text) : null;
	} catch {
		// Not JSON: only the status counts.
	}
	if (answer.ok) return value;
	const title = value?.title ?? answer.statusText ?? '';
	throw new ApiError(answer.status, title || `The service answered ${answer.status}`, value?.detail);
}

const query = (given) => {
	const pairs = Object.entries(given).filter(([, value]) => value !== undefined && value !== null && value !== '');
	return pairs.length ? `?${new URLSearchParams(pairs)}` : '';
};
const id = encodeURIComponent;
const get = (path, signal) => call('GET', path, undefined, signal);
const post = (path, body = {}) => call('POST', path, body);

/** A page of the list, newest first. `filter` is that of the route. */
export const tasks = (filter, before, limit, signal) =>
	get(`/v1/tasks${query({ q: filter.q, state: filter.state, product: filter.product,
		needs_person: filter.needs ? 'true' : '', before, limit })}`, signal);
/** The tasks that changed since a version that an earlier answer gave. */
export const changes = (version) => get(`/v1/tasks${query({ changed_after: version, limit: 500 })}`);
export const task = (taskId, signal) => get(`/v1/tasks/${id(taskId)}`, signal);
export const redrive = (event) => post(`/v1/events/${id(event)}/redrive`);
export const replay = (event, destination) => post(`/v1/events/${id(event)}/replay`, { destination });
export const dead = (after) => get(`/v1/events${query({ state: 'dead', limit: 100, after })}`);
/** The stream of what happens after an event. */
export const stream = (after) => new EventSource(`/v1/events${query({ after })}`);
export const stats = () => get('/v1/stats');
export const series = () => get('/v1/stats/series');
export const destinations = () => get('/v1/destinations');
export const resume = (name) => post(`/v1/destinations/${id(name)}/resume`);
export const quarantine = () => get('/v1/quarantine?limit=100');
export const retryQuarantined = (entry) => post(`/v1/quarantine/${id(entry)}/retry`);
export const emulator = () => get('/v1/emulator');
export const emulate = (wish) => post('/v1/emulator/tasks', wish);

/** Exchanges the token for a cookie. */
export async function signIn(token) {
	const answer = await fetch('/session', {
		method: 'POST',
		headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
		body: '{}',
	});
	if (!answer.ok) throw new ApiError(answer.status, 'The token was refused');
}

/** A file of an event, through the service: the page itself contacts no other host. */
export const media = (event, track, kind) => `/v1/media/${id(event)}/${track}/${kind}`;
