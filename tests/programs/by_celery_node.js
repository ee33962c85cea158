// Send by celery-node as docs/direct-sends.md says: BROKER-URL and SIGNING-KEY as arguments, a list of fields as JSON on stdin.
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import celery from "celery-node";

function signed(fields, signingKey) {
  const all = { ...fields, key_id: signingKey.slice(0, 19), issued_at: new Date().toISOString() };
  const content = JSON.stringify(Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1))));
  return { ...all, signature: createHmac("sha256", signingKey).update(content).digest("base64url") };
}

const [brokerUrl, signingKey] = process.argv.slice(2);
const client = celery.createClient(brokerUrl, brokerUrl, "accept");
const task = client.createTask("messages.accept");
await client.isReady();
for (const fields of JSON.parse(readFileSync(0, "utf8"))) task.applyAsync([], signed(fields, signingKey));
// applyAsync pushes later and reports nothing: a command behind it tells that all were pushed.
await new Promise(setImmediate);
await client.broker.redis.ping();
await client.disconnect();
