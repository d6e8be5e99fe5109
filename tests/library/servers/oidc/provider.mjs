// A certified provider of OpenID Connect for the tests: anybody logs in by name, and has the groups that GROUPS says.
//   node provider.mjs ISSUER CLIENT_ID SECRET REDIRECT_URI GROUPS NAMES_SESSIONS
import { Provider } from "oidc-provider";

const [issuer, clientId, secret, redirectUri, groups, namesSessions] = process.argv.slice(2);
const groupsOf = JSON.parse(groups);

const provider = new Provider(issuer, {
  clients: [{ client_id: clientId, client_secret: secret, redirect_uris: [redirectUri], post_logout_redirect_uris: [new URL("/logout/done", redirectUri).href], grant_types: ["authorization_code"],
    backchannel_logout_uri: new URL("/logout/back-channel", redirectUri).href, backchannel_logout_session_required: namesSessions === "true" }],
  features: { backchannelLogout: { enabled: true } },
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // else it asks nobody on loopback
  claims: { openid: ["sub"], profile: ["name", "groups"], email: ["email"] },
  conformIdTokenClaims: false, // the claims stand in the ID token, as with CILogon and Keycloak
  pkce: { required: () => true },
  cookies: { keys: ["a key of the tests"] },
  findAccount: (context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `${id} of the tests`, email: `${id}@example.org`, groups: groupsOf[id] ?? [] }),
  }),
});
const { hostname, port } = new URL(issuer);
provider.on("backchannel.success", () => console.log("logout: told"));
provider.on("backchannel.error", (context, error) => console.log(`logout: ${error.message}`));
provider.listen(Number(port), hostname, () => console.log("listening"));
