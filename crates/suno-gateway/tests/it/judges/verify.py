"""Verifies messages, one JSON object a line, with the installed standardwebhooks."""

import base64
import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    message = json.loads(line)
    body = base64.b64decode(message["body"])
    try:
        payload = Webhook(message["secret"]).verify(body, message["headers"])
        print("ok", payload["type"], payload["data"]["tracks"][0]["title"])
    except WebhookVerificationError as err:
        print("refused", type(err).__name__)
