// A certified provider of OpenID Connect for the tests: anybody logs in by name, and has the groups that GROUPS says.
//   node provider.mjs ISSUER CLIENT_ID SECRET REDIRECT_URI GROUPS
import { Provider } from "oidc-provider";

const [issuer, clientId, secret, redirectUri, groups] = process.argv.slice(2);
const groupsOf = JSON.parse(groups);

const provider = new Provider(issuer, {
  clients: [{ client_id: clientId, client_secret: secret, redirect_uris: [redirectUri], post_logout_redirect_uris: [new URL("/logout/done", redirectUri).href], grant_types: ["authorization_code"] }],
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
provider.listen(Number(port), hostname, () => console.log("listening"));
