// A receiver as a user of Express would write it: `node server.js express DIR` answers and stores
// nothing, `node server.js express-durable DIR` verifies the signature and commits one row for each
// request. Neither logs, which would only slow it down. The first line printed is the address.

const crypto = require('node:crypto');
const path = require('node:path');
const express = require('express');

const [subject, dir, key] = process.argv.slice(2);

/** Takes the callback apart, as the provider's example does. */
function look(body) {
  const { code, data } = body;
  if (code !== 200 || data.callbackType !== 'complete') return 0;
  let seconds = 0;
  data.data.forEach((track) => {
    seconds += track.duration;
  });
  return seconds;
}

function isSigned(req) {
  const timestamp = req.get('x-webhook-timestamp') ?? '';
  const signature = Buffer.from(req.get('x-webhook-signature') ?? '', 'base64');
  const expected = crypto
    .createHmac('sha256', key)
    .update(`${req.body.data.task_id}.${timestamp}`)
    .digest();
  const isFresh = Math.abs(Date.now() / 1000 - Number(timestamp)) < 300;
  return isFresh && signature.length === 32 && crypto.timingSafeEqual(signature, expected);
}

/** Returns what stores a callback durably, once for each task and stage. */
function openStore() {
  const database = require('better-sqlite3')(path.join(dir, 'express.db'));
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec(
    'CREATE TABLE events (task_id TEXT, stage TEXT, body TEXT, PRIMARY KEY (task_id, stage))',
  );
  const insert = database.prepare('INSERT OR IGNORE INTO events VALUES (?, ?, ?)');
  return ({ data, ...rest }) =>
    insert.run(data.task_id, data.callbackType, JSON.stringify({ data, ...rest }));
}

const app = express();
app.use(express.json({ limit: '1mb' }));
if (subject === 'express-durable') {
  const store = openStore();
  app.post('/suno/callback', (req, res) => {
    if (!isSigned(req)) return res.status(401).json({ error: 'not authorized' });
    look(req.body);
    store(req.body);
    return res.status(200).json({ status: 'received' });
  });
} else {
  app.post('/suno/callback', (req, res) => {
    look(req.body);
    res.status(200).json({ status: 'received' });
  });
}

const server = app.listen(0, '127.0.0.1', () => {
  const { address, port } = server.address();
  console.log(`${address}:${port}`);
});
