// Run oidc-provider: PORT, the id of its signing key and the seconds for which its tokens live as arguments.
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const [port, keyId, lifetime] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const program = (client_id) => ({
  client_id,
  client_secret: `the secret of ${client_id}`,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [program("shop-backend"), program("stranger"), program("postroom")],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: keyId, use: "sig", alg: "RS256" }] },
  scopes: ["message.send", "message.read"],
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "https://postroom.example",
      getResourceServerInfo: (_, resource) => ({
        scope: "message.send message.read",
        audience: resource,
        accessTokenFormat: resource.endsWith("/opaque") ? "opaque" : "jwt",
        accessTokenTTL: Number(lifetime),
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
});
provider.listen(Number(port), "127.0.0.1");
