// A consumer of forwarded events: verifies each, and handles each id once.
//
// node consumer.mjs PACKAGE FILE PORT_FILE     (the secret is in the variable SECRET)
//
// "Handling" is the line that is appended to FILE. It may be killed at any moment.
import { createRequire } from "node:module";
import fs from "node:fs";
import http from "node:http";

const [, , folder, file, portFile] = process.argv;
const { Webhook } = createRequire(import.meta.url)(folder);
const webhook = new Webhook(process.env.SECRET);

const text = fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
// A line that was not written whole was not handled.
const whole = text.slice(0, text.lastIndexOf("\n") + 1);
fs.writeFileSync(file, whole);
const handled = new Set(whole.split("\n"));
const out = fs.openSync(file, "a");

const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    let event;
    try {
      event = webhook.verify(Buffer.concat(parts), request.headers);
    } catch {
      response.writeHead(401).end();
      return;
    }
    const id = request.headers["webhook-id"];
    if (event.data.id !== id) {
      response.writeHead(400).end();
      return;
    }
    if (!handled.has(id)) {
      fs.writeSync(out, id + "\n");
      handled.add(id);
    }
    response.writeHead(204).end();
  });
});
server.listen(0, "127.0.0.1", () => {
  fs.writeFileSync(portFile + ".new", String(server.address().port));
  fs.renameSync(portFile + ".new", portFile);
});
