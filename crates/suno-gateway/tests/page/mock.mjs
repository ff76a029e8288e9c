// The service's API without the service: tasks that are made up, in memory. It keeps to the policy and
// the headers that the service sends, so that the page is tested under them.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export const PAGE = fileURLToPath(new URL('../../src/admin/page/', import.meta.url));

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
  + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
const TYPES = { html: 'text/html; charset=utf-8', css: 'text/css; charset=utf-8', js: 'text/javascript; charset=utf-8' };

export const HOSTILE = '<script>window.hacked=1</script>"><img src=x onerror="window.hacked=2">';

const WORDS = ['Lighthouse', 'Copper', 'Winter', 'Glass', 'Harbour', 'Paper', 'Velvet', 'Northern', 'Silent', 'Amber', 'Hollow', 'Saffron', 'Midnight', 'Cedar'];
const THINGS = ['at Dawn', 'Parade', 'Letters', 'Radio', 'Garden', 'Machine', 'Avenue', 'Tide', 'Constellation', 'Orchard', 'Static', 'Lullaby'];
const TAGS = ['ambient, piano, tape', 'synthwave, 112 bpm', 'folk, fingerpicking, warm', 'drum and bass', 'bossa nova, brushes', 'choir, cathedral'];
const STAGES = ['text', 'first', 'complete'];
/** Null is a value that is not kept, as it could be a secret. */
const HEADERS = [['content-type', 'application/json'], ['user-agent', 'suno/1.0'], ['x-forwarded-for', '203.0.113.7'], ['x-forwarded-for', '10.0.0.2'], ['x-webhook-timestamp', '1764366000'], ['x-webhook-signature', null]];

/** A tone that swells and fades, as a WAV file. */
export function wav(seconds, rate = 8000) {
  const samples = Math.floor(seconds * rate);
  const file = Buffer.alloc(44 + samples * 2);
  file.write('RIFF', 0);
  file.writeUInt32LE(36 + samples * 2, 4);
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(rate, 24);
  file.writeUInt32LE(rate * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36);
  file.writeUInt32LE(samples * 2, 40);
  for (let at = 0; at < samples; at += 1) {
    const t = at / rate;
    const swell = (0.35 + 0.65 * Math.abs(Math.sin(t * 0.9) * Math.sin(t * 2.3))) * Math.min(1, t, seconds - t + 0.05);
    file.writeInt16LE(Math.round(Math.sin(2 * Math.PI * 220 * t) * swell * 20_000), 44 + at * 2);
  }
  return file;
}

const COVER = Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><defs><linearGradient id="a" x2="1" y2="1"><stop stop-color="#f0b97d"/><stop offset=".55" stop-color="#c05a4a"/><stop offset="1" stop-color="#2b2140"/></linearGradient></defs><rect width="100" height="100" fill="url(#a)"/><circle cx="50" cy="58" r="19" fill="#ffe9c4" opacity=".9"/><path d="M0 66q25-9 50 0t50 0v34H0z" fill="#241c38" opacity=".85"/></svg>`);

/** The state of a service, which survives a restart of its server as a store would. */
export class Store {
  constructor() {
    this.tasks = new Map();
    this.events = 0;
    this.version = 0;
    this.destinations = [{ name: 'orders', state: 'closed' }, { name: 'archive', state: 'closed' }];
    this.quarantine = [];
    this.intents = { count: 0, more: false, oldest_seconds: null };
    this.scenarios = null;
    this.audio = wav(20);
    this.epoch = 1;
    this.listeners = new Set();
  }

  /** Adds a task without events. */
  submit({ title, product = 'song', at = new Date(), reference = null, tags = TAGS[0], lyrics = '', duration = 20, due = 180 }) {
    const id = `5c79${(this.tasks.size + 1).toString(16).padStart(6, '0')}be8e`;
    const task = { task_id: id, title, product, reference, tags, lyrics, duration, events: [], history: [], order: this.tasks.size + 1,
      submitted_at: at.toISOString(), due_at: new Date(+at + due * 1000).toISOString(), polls: 0, version: 0 };
    this.tasks.set(id, task);
    this.touch(task);
    return id;
  }

  touch(task, at) {
    task.version = ++this.version;
    task.changed_at = (at ?? new Date()).toISOString();
    for (const listener of this.listeners) listener(task);
  }

  body(task, stage, more = {}) {
    const ready = stage === 'complete' ? 2 : stage === 'first' ? 1 : 0;
    const track = (index) => ({ id: `${task.task_id}-${index + 1}`, audio_url: index < ready ? `https://cdn.example.com/${index}.mp3` : '', image_url: 'https://cdn.example.com/c.jpeg',
      prompt: task.lyrics, title: task.title, tags: task.tags, model_name: 'chirp-v5', duration: index < ready ? task.duration : null, createTime: 1764366000123 });
    const data = stage === 'failed' ? null : [track(0), track(1)];
    return JSON.stringify({ code: stage === 'failed' ? 531 : 200, msg: stage === 'failed' ? 'Generation failed, credits were refunded' : 'All generated successfully.',
      data: { callbackType: stage === 'failed' ? 'error' : stage, task_id: task.task_id, data, ...more } });
  }

  /** Adds an event to a task. */
  deliver(id, stage, { state = 'done', source = 'callback', verified_by = ['signature'], at = new Date(), reason = null, attempts = 1 } = {}) {
    const task = this.tasks.get(id);
    const body = this.body(task, stage);
    const event = { id: String(++this.events), task_id: id, stage, revision: 0, product: task.product, code: stage === 'failed' ? 531 : 200,
      results: stage === 'complete' ? 2 : stage === 'first' ? 1 : 0, state, attempts, lapses: 0, reason, source, verified_by, unconfirmed: false,
      received_at: at.toISOString(), path: '', query: '', submit: null, reference: task.reference, conflicts: 0, conflict_records: [], body };
    task.events.push(event);
    if (stage === 'complete' || stage === 'failed') task.due_at = null;
    this.note(task, at, 'delivery', { accepted: 'new', source, verified_by, content: `9f1c${event.id}`, body: `77ab${event.id}`, headers: source === 'poll' ? undefined : HEADERS }, stage);
    this.touch(task, at);
    return event;
  }

  note(task, at, kind, detail, stage = null) {
    task.history.push({ at: at.toISOString(), kind, stage, revision: stage && 0, detail });
  }

  /** The provider was asked, and had nothing new. */
  poll(id, at = new Date()) {
    const task = this.tasks.get(id);
    task.polls += 1;
    task.due_at = new Date(+at + 60_000).toISOString();
    this.note(task, at, 'poll', { status: 'TEXT_SUCCESS', outcome: 'unchanged', reason: null });
    this.touch(task, at);
  }

  attempt(event, detail, at) {
    const task = this.tasks.get(event.task_id);
    this.note(task, at, 'attempt', { destination: 'orders', started_at: at.toISOString(), action: 'done', ...detail }, event.stage);
    this.touch(task, at);
  }

  conflict(event, body, at = new Date()) {
    event.conflicts += 1;
    event.conflict_records.push({ body, received_at: at.toISOString(), source: 'callback', verified_by: ['signature'] });
    const task = this.tasks.get(event.task_id);
    this.repeat(task, event.stage, at, 'conflict', 'suno/1.1');
  }

  /** A delivery that makes no event. */
  repeat(task, stage, at, accepted = 'duplicate', agent = 'suno/1.0') {
    this.note(task, at, 'delivery', { accepted, source: 'callback', verified_by: ['signature'], content: 'c0de', body: 'beef', headers: [['user-agent', agent], ['x-webhook-signature', null]] }, stage);
    this.touch(task, at);
  }

  row(task) {
    const rank = ['dead', 'waiting', 'claimed', 'ready', 'done', 'superseded'];
    const states = task.events.map((event) => event.state);
    const state = rank.find((word) => states.includes(word)) ?? 'expected';
    return { task_id: task.task_id, title: task.title, product: task.product, reference: task.reference, tags: task.tags, state, needs_person: state === 'dead',
      stages: task.events.map(({ stage, revision, state: of, received_at, source, verified_by }) => ({ stage, revision, state: of, received_at, source, verified_by })),
      order: String(task.order), first_at: task.submitted_at, submitted_at: task.submitted_at, due_at: task.due_at, changed_at: task.changed_at, attempts: Math.max(0, ...task.events.map(({ attempts }) => attempts)), conflicts: task.events.reduce((sum, { conflicts }) => sum + conflicts, 0) };
  }

  shown(task) {
    return { task_id: task.task_id, product: task.product, reference: task.reference, submitted_at: task.submitted_at, due_at: task.due_at, polls: task.polls,
      destinations: this.destinations.map(({ name }) => name), history: task.history,
      events: task.events.map((event) => ({ ...event, content: content(event) })) };
  }
}

function content({ body }) {
  const parsed = JSON.parse(body);
  const tracks = (parsed.data.data ?? []).map((track) => ({ ...track, audio_url: track.audio_url || null }));
  return { product: 'song', code: parsed.code, msg: parsed.msg, tracks, output: null };
}

/** A store with tasks of each kind, the last ones made by hand. */
export function demo(tasks = 10_000, now = new Date()) {
  const store = new Store();
  const ago = (seconds) => new Date(now - seconds * 1000);
  const handMade = 9;
  for (let index = 0; index < tasks - handMade; index += 1) {
    const age = (tasks - index) * 20 + 400;
    const title = `${WORDS[(index * 7) % WORDS.length]} ${THINGS[(index * 5) % THINGS.length]}`;
    const id = store.submit({ title, tags: TAGS[index % TAGS.length], at: ago(age), reference: index % 4 ? null : `order-${7000 + index}`, product: index % 29 === 5 ? 'lyrics' : 'song' });
    const stages = store.tasks.get(id).product === 'lyrics' ? ['complete'] : STAGES;
    stages.forEach((stage, at) => {
      const isLast = at === stages.length - 1;
      const word = isLast && index % 53 === 3 ? 'failed' : stage;
      store.deliver(id, word, { at: ago(age - 14 - at * 31), source: index % 17 === 4 && isLast ? 'poll' : 'callback', verified_by: index % 17 === 4 && isLast ? ['record'] : ['signature'],
        state: isLast && index % 701 === 650 ? 'dead' : index % 97 === 11 && !isLast ? 'superseded' : 'done', reason: index % 701 === 650 ? 'the destination answered 422' : null, attempts: index % 701 === 650 && isLast ? 3 : 1 });
    });
  }
  const whole = (id, ages, more = {}) => STAGES.slice(0, ages.length).map((stage, at) => store.deliver(id, stage, { at: ago(ages[at]), ...(at === ages.length - 1 ? more : {}) }));
  const sent = (event, age, ms = 38) => store.attempt(event, { number: 1, duration_ms: ms, outcome: { kind: 'answered', status: 204, body: { text: '' } } }, ago(age));

  const long = store.submit({ title: 'A thirteen minute suite', at: ago(900), duration: 780 });
  whole(long, [880, 850, 800]).forEach((event, at) => sent(event, [879, 849, 799][at]));

  const rtl = store.submit({ title: `\u202egnp.exe\u202c ${'שיר הים'} \u0007 e\u0301 👩‍🎤 ${'很长的标题'.repeat(12)}`, at: ago(700), lyrics: 'la '.repeat(34_000) });
  whole(rtl, [680, 660, 640]);

  const hostile = store.submit({ title: HOSTILE, at: ago(600), tags: '<b>bold</b>, javascript:alert(1)', lyrics: `${HOSTILE}\n`.repeat(4), reference: '"><svg onload=alert(1)>' });
  whole(hostile, [590, 560, 530]);

  const dead = store.submit({ title: 'Paper Constellation', at: ago(420), reference: 'order-8121', tags: 'chamber pop, strings' });
  const buried = whole(dead, [400, 375, 340], { state: 'dead', attempts: 3, reason: 'orders answered 422: unknown customer' });
  sent(buried[0], 399);
  sent(buried[1], 374);
  [338, 270, 150].forEach((age, at) => store.attempt(buried[2], { number: at + 1, duration_ms: 61 + at, action: at === 2 ? 'abandon' : 'bad_event', retry_in_ms: at === 2 ? undefined : [60_000, 120_000][at],
    outcome: { kind: 'answered', status: 422, body: { text: '{"error":"unknown customer","id":8121}' } } }, ago(age)));
  store.note(store.tasks.get(dead), ago(150), 'dead_letter', { attempts: 3, cause: 'given_up', reason: 'orders answered 422: unknown customer' }, 'complete');

  const failed = store.submit({ title: 'Velvet Machine', at: ago(240), tags: 'industrial' });
  sent(store.deliver(failed, 'text', { at: ago(225) }), 224);
  sent(store.deliver(failed, 'failed', { at: ago(180) }), 179);

  const disputed = store.submit({ title: 'Northern Lullaby', at: ago(160), reference: 'order-8124', tags: 'folk, harp, hushed', lyrics: '[Verse 1]\nSnow on the slipway, light on the sea,\nthe ferry is sleeping as deep as can be.\n\n[Chorus]\nHush, little engine, the harbour is wide,\nthe morning comes in with the turn of the tide.' });
  const three = whole(disputed, [148, 121, 87]);
  three.forEach((event, at) => sent(event, [147, 120, 86][at], [41, 36, 52][at]));
  const other = JSON.parse(three[2].body);
  other.data.data[0].title = 'Northern Lullaby (radio edit)';
  other.data.data[0].duration = 187.4;
  other.data.data[1].audio_url = 'https://cdn.example.com/1-b.mp3';
  delete other.data.data[1].tags;
  other.data.region = 'eu';
  store.conflict(three[2], JSON.stringify(other), ago(80));
  store.repeat(store.tasks.get(disputed), 'complete', ago(78));

  const retried = store.submit({ title: 'Amber Radio', at: ago(70), reference: 'order-8125', tags: TAGS[1] });
  const waiting = whole(retried, [60, 35], { state: 'waiting', attempts: 2, reason: 'orders answered 503' });
  sent(waiting[0], 59);
  [34, 24].forEach((age, at) => store.attempt(waiting[1], { number: at + 1, duration_ms: 1204, action: 'retry', retry_in_ms: [10_000, 30_000][at], outcome: { kind: 'answered', status: 503, body: { text: 'upstream connect error' } } }, ago(age)));

  const polled = store.submit({ title: 'Silent Orchard', at: ago(1500), tags: TAGS[5] });
  store.deliver(polled, 'text', { at: ago(1480) });
  for (let age = 1300; age > 20; age -= 60) store.poll(polled, ago(age));

  const fresh = store.submit({ title: null, at: ago(12), reference: 'order-8126' });
  Object.assign(store, { named: { long, rtl, hostile, dead, failed, disputed, retried, polled, fresh } });
  return store;
}

const SERIES = (() => {
  const samples = [];
  for (let index = 0; index < 240; index += 1) {
    const wave = 14 + 9 * Math.sin(index / 19) + 4 * Math.sin(index / 3.1);
    const isDown = index > 150 && index < 176;
    samples.push({ accepted: wave, handled: isDown ? wave * 0.1 : wave, accept_ms_p50: 1.4 + Math.sin(index / 7) * 0.3, accept_ms_p99: 4.8 + Math.abs(Math.sin(index / 11)) * 3,
      pending: isDown ? (index - 150) * 14 : Math.max(2, 360 - Math.max(0, index - 176) * 30) * (index > 150 ? 1 : 0.01), oldest_s: isDown ? (index - 150) * 15 : 2, dead: index < 90 ? 0 : index < 200 ? 9 : 15, quarantined: index < 120 ? 0 : 2 });
  }
  return samples;
})();

/** A server of a store. It can be stopped and started again on the same port. */
export class Mock {
  constructor(store, { token = null } = {}) {
    this.store = store;
    this.token = token;
    this.session = 'yes';
    this.port = 0;
    this.requests = [];
    this.hasSeries = true;
    this.held = null;
  }

  /** Lets requests wait whose line matches, until the function that is returned is called. */
  hold(line) {
    let release;
    const wait = new Promise((done) => (release = done));
    this.held = { line, wait };
    return () => {
      this.held = null;
      release();
    };
  }

  async start() {
    this.streams = new Set();
    this.server = createServer((request, response) => this.answer(request, response).catch((err) => {
      console.error(err);
      response.destroy();
    }));
    await new Promise((done) => this.server.listen(this.port, '127.0.0.1', done));
    this.port = this.server.address().port;
    this.tell = (task) => {
      for (const stream of this.streams) stream.write(`event: changed\nid: ${this.store.events}\ndata: {"task_id":"${task.task_id}"}\n\n`);
    };
    this.store.listeners.add(this.tell);
    return `http://127.0.0.1:${this.port}/`;
  }

  async stop() {
    this.store.listeners.delete(this.tell);
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  /** A new process on the same store: versions of the list begin anew. */
  async restart() {
    await this.stop();
    this.store.epoch += 1;
    return this.start();
  }

  async answer(request, response) {
    const url = new URL(request.url, 'http://localhost');
    const [path, query] = [decodeURIComponent(url.pathname), url.searchParams];
    this.requests.push(`${request.method} ${path}`);
    if (this.held?.line.test(`${request.method} ${request.url}`)) await this.held.wait;
    for (const [name, value] of Object.entries({ 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cache-control': 'no-store',
      'cross-origin-resource-policy': 'same-origin', 'cross-origin-opener-policy': 'same-origin' })) response.setHeader(name, value);
    const send = (value, status = 200) => {
      response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' });
      response.end(JSON.stringify(value));
    };
    const problem = (status, title, detail) => send({ type: 'about:blank', title, detail, status }, status);

    if (request.method === 'GET' && !path.startsWith('/v1/')) {
      if (path === '/word.html') {
        response.setHeader('content-type', TYPES.html);
        return response.end('<!doctype html><link rel=icon href=data:,><p>Word');
      }
      const name = path === '/' ? 'index.html' : path.slice(1);
      if (!/^[a-z]+\.(html|css|js)$/.test(name)) return problem(404, 'Not found');
      const file = await readFile(PAGE + name);
      response.setHeader('content-type', TYPES[name.split('.')[1]]);
      response.setHeader('cache-control', 'no-cache');
      return response.end(file);
    }
    if (this.token) {
      const isSession = request.headers.cookie?.includes(`suno_session_${this.port}=${this.session}`);
      if (path === '/session' && request.headers.authorization === `Bearer ${this.token}`) {
        response.setHeader('set-cookie', `suno_session_${this.port}=${this.session}; Path=/; HttpOnly; SameSite=Strict`);
        response.writeHead(204);
        return response.end();
      }
      if (!isSession) return problem(401, 'A token is needed', 'Send the token.');
    }
    return this.api(request, response, path, query, send, problem);
  }

  async api(request, response, path, query, send, problem) {
    const { store } = this;
    const route = `${request.method} ${path}`;
    if (route === 'GET /v1/events' && request.headers.accept?.includes('text/event-stream')) {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-transform' });
      response.write('retry: 1000\n\n');
      this.streams.add(response);
      return response.on('close', () => this.streams.delete(response));
    }
    if (route === 'GET /v1/events') {
      const all = [...store.tasks.values()].flatMap((task) => task.events).filter((event) => event.state === query.get('state') && Number(event.id) > Number(query.get('after') ?? 0));
      const events = all.slice(0, 100).map(({ id, task_id, stage }) => ({ id, task_id, stage }));
      return send({ events, cursor: events.at(-1)?.id ?? null, more: all.length > 100 });
    }
    if (route === 'GET /v1/tasks') return this.list(query, send);
    const one = /^GET \/v1\/tasks\/(.+)$/.exec(route);
    if (one) return store.tasks.has(one[1]) ? send(store.shown(store.tasks.get(one[1]))) : problem(404, 'There is no such task');
    const redriven = /^POST \/v1\/events\/(\d+)\/(redrive|replay)$/.exec(route);
    if (redriven) {
      const event = [...store.tasks.values()].flatMap((task) => task.events).find(({ id }) => id === redriven[1]);
      if (redriven[2] === 'redrive') {
        if (event.state !== 'dead' && event.state !== 'done') return problem(409, 'The event is not settled', 'It is handled anyway.');
        event.state = 'ready';
        event.reason = null;
      }
      const task = store.tasks.get(event.task_id);
      store.note(task, new Date(), redriven[2], { destination: 'orders' }, event.stage);
      store.touch(task);
      return send({ id: event.id, state: 'ready' });
    }
    if (route === 'GET /v1/stats') {
      const events = { ready: 0, claimed: 0, waiting: 0, done: 0, dead: 0, superseded: 0 };
      for (const task of store.tasks.values()) for (const { state } of task.events) events[state] += 1;
      const due = [...store.tasks.values()].filter((task) => task.due_at);
      return send({ events, quarantined: store.quarantine.length, dropped: 0, oldest_pending_seconds: 35, store_bytes: 1e6, expected: { count: due.length, more: false },
        overdue: due.filter((task) => new Date(task.due_at) < Date.now() - 60_000).length, open_intents: store.intents });
    }
    if (route === 'GET /v1/stats/series') return this.hasSeries ? send({ interval_s: 15, samples: SERIES }) : problem(404, 'Not found');
    if (route === 'GET /v1/destinations') return send({ destinations: store.destinations });
    const resumed = /^POST \/v1\/destinations\/(.+)\/resume$/.exec(route);
    if (resumed) {
      const place = store.destinations.find(({ name }) => name === resumed[1]);
      place.state = 'closed';
      return send({ ...place, changed: true });
    }
    if (route === 'GET /v1/quarantine') return send({ entries: store.quarantine, cursor: null, more: false });
    const retried = /^POST \/v1\/quarantine\/(\d+)\/retry$/.exec(route);
    if (retried) {
      store.quarantine = store.quarantine.filter(({ id }) => id !== retried[1]);
      return send({ id: retried[1], accepted: 'new' });
    }
    if (path.startsWith('/v1/emulator') && !store.scenarios) return problem(404, 'There is no emulator');
    if (route === 'GET /v1/emulator') return send({ scenarios: store.scenarios });
    if (route === 'POST /v1/emulator/tasks') return this.emulate(JSON.parse(await read(request)), send);
    const media = /^(?:GET|HEAD) \/v1\/media\/(\d+)\/(\d+)\/(audio|image|stream)$/.exec(route);
    if (media) return media[3] === 'image' ? file(request, response, COVER, 'image/svg+xml') : file(request, response, store.audio, 'audio/wav');
    return problem(404, 'Not found');
  }

  list(query, send) {
    const { store } = this;
    const version = `${store.epoch}.${store.version}`;
    const all = [...store.tasks.values()].reverse();
    const needs_person = all.filter((task) => store.row(task).needs_person).length;
    const head = { version, cursor: String(store.events), needs_person };
    if (query.get('changed_after')) {
      const [epoch, after] = query.get('changed_after').split('.').map(Number);
      if (epoch !== store.epoch) return send({ ...head, tasks: [], resync: true });
      return send({ ...head, tasks: all.filter((task) => task.version > after).map((task) => store.row(task)), resync: false });
    }
    const q = query.get('q')?.toLowerCase();
    const found = all.map((task) => store.row(task)).filter((row) =>
      (!query.get('needs_person') || row.needs_person) && (!query.get('product') || row.product === query.get('product'))
      && (!query.get('state') || row.state === query.get('state') || row.stages.some(({ state }) => state === query.get('state')))
      && (!q || [row.title, row.task_id, row.reference, row.tags].some((text) => text?.toLowerCase().includes(q))));
    const before = Number(query.get('before') ?? Infinity);
    const rest = found.filter((row) => Number(row.order) < before);
    const tasks = rest.slice(0, Number(query.get('limit') ?? 50));
    return send({ ...head, tasks, total: found.length, next: rest.length > tasks.length ? tasks.at(-1).order : null });
  }

  emulate(wish, send) {
    const { store } = this;
    const id = store.submit({ title: wish.title, tags: wish.style, lyrics: wish.prompt });
    STAGES.forEach((stage, at) => setTimeout(() => store.deliver(id, stage), 60 * (at + 1)).unref());
    return send({ task_id: id }, 202);
  }
}

async function read(request) {
  let text = '';
  for await (const part of request) text += part;
  return text;
}

function file(request, response, bytes, type) {
  const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '');
  const headers = { 'content-type': type, 'accept-ranges': 'bytes' };
  if (!range) {
    response.writeHead(200, { ...headers, 'content-length': bytes.length });
    return response.end(request.method === 'HEAD' ? undefined : bytes);
  }
  const start = Number(range[1] || 0);
  const end = Math.min(bytes.length - 1, Number(range[2] || bytes.length - 1));
  response.writeHead(206, { ...headers, 'content-length': end - start + 1, 'content-range': `bytes ${start}-${end}/${bytes.length}` });
  return response.end(bytes.subarray(start, end + 1));
}

export const SCENARIOS = [
  { word: '', title: 'As usual', about: 'Three callbacks: text, first track, complete.' },
  { word: 'duplicate', title: 'Doubled', about: 'Each callback arrives twice; it is handled once.' },
  { word: 'reorder', title: 'Out of order', about: 'The callbacks arrive in reverse order.' },
  { word: 'forge', title: 'Forged', about: 'A stranger copies a signature onto another result.' },
  { word: 'drop', title: 'Lost', about: 'No callback is sent; only asking helps.' },
  { word: 'fail=531', title: 'Failed', about: 'The generation fails and the credits come back.' },
];

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const store = demo();
  store.scenarios = SCENARIOS;
  const mock = new Mock(store);
  mock.port = Number(process.argv[2] ?? 0);
  console.log(await mock.start());
}
