"""A consumer of forwarded events: verifies each, and handles each id once.

python3 consumer.py FILE PORT_FILE     (the secret is in the variable SECRET)

"Handling" is the line that is appended to FILE. It may be killed at any moment.
"""

import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

file, port_file = sys.argv[1:]
webhook = Webhook(os.environ["SECRET"])
lock = threading.Lock()

try:
    with open(file) as lines:
        text = lines.read()
except FileNotFoundError:
    text = ""
# A line that was not written whole was not handled.
whole = text[: text.rfind("\n") + 1]
with open(file, "w") as lines:
    lines.write(whole)
handled = set(whole.split("\n"))
out = os.open(file, os.O_WRONLY | os.O_APPEND)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.answer(self.handle_event(body))

    def handle_event(self, body):
        event_id = self.headers["webhook-id"]
        try:
            event = webhook.verify(body, {k.lower(): v for k, v in self.headers.items()})
        except WebhookVerificationError:
            return 401
        if event["data"]["id"] != event_id:
            return 400
        with lock:
            if event_id not in handled:
                os.write(out, event_id.encode() + b"\n")
                handled.add(event_id)
        return 204

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(port_file + ".new", "w") as port:
    port.write(str(server.server_address[1]))
os.rename(port_file + ".new", port_file)
server.serve_forever()
