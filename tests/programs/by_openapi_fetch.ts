// Send by openapi-fetch with the types that openapi-typescript generated as schema.d.ts, and read the message back.
// Takes the base URL, a client id, its secret and a recipient as arguments. Prints the answers as JSON.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };
const [baseUrl, clientId, clientSecret, recipient] = process.argv.slice(2) as [string, string, string, string];

const client = createClient<paths>({ baseUrl });
const { data: token, error: refused } = await client.POST("/oauth/token", {
  body: { grant_type: "client_credentials", client_id: clientId, client_secret: clientSecret },
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
});
if (!token) throw new Error(JSON.stringify(refused));
client.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${token.access_token}`);
    return request;
  },
});

const body: components["schemas"]["MessageFields"] = {
  recipient_uuids: [recipient],
  sender_name: "Zoë",
  sender_email: "zoe@example.com",
  subject: "Ein Auftrag & mehr",
  body: "a=1&b\n",
  type: "job",
};
const sent = await client.POST("/messages", { body, params: { header: { Prefer: "respond-async" } } });
if (!sent.data) throw new Error(JSON.stringify(sent.error));
const read = await client.GET("/messages/{message_uuid}", {
  params: { path: { message_uuid: sent.data.meta.message_uuid } },
});
console.log(JSON.stringify({ status: sent.response.status, data: read.data?.data }));
