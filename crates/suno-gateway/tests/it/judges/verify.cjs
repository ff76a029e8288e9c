// Verifies messages, one JSON object a line, with the version of standardwebhooks that is named.
const { Webhook } = require(process.argv[2]);
const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    const payload = new Webhook(secret).verify(Buffer.from(body, "base64"), headers);
    console.log("ok " + payload.type + " " + payload.data.tracks[0].title);
  } catch (err) {
    console.log("refused " + err.constructor.name);
  }
}
