import { ask } from "./view.js";

/** Why this page has no passkeys, or null: they belong to a name, and an address is none. */
export function obstacle() {
	if (typeof PublicKeyCredential !== "function" || PublicKeyCredential.parseRequestOptionsFromJSON === undefined)
		return "This browser has no passkeys.";
	if (/^\d{1,3}(\.\d{1,3}){3}$|^\[/.test(location.hostname))
		return "Passkeys need the hub's name: open this page by it, not by its address.";
	return null;
}

/** Signs this page in by its cookie, or throws what went wrong. */
export async function signInByPasskey() {
	const options = await ask("GET", "/auth/passkey/generate-authenticate-options");
	const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
	const proof = await navigator.credentials.get({ publicKey });
	await ask("POST", "/auth/passkey/verify-authentication", { response: proof.toJSON() });
}

/** @param call asks as whoever is signed in here. */
export async function addPasskey(call, name) {
	const options = await call("GET", `/auth/passkey/generate-register-options?name=${encodeURIComponent(name)}`);
	const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
	const made = await navigator.credentials.create({ publicKey });
	await call("POST", "/auth/passkey/verify-registration", { response: made.toJSON(), name });
}
