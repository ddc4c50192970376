import type { Hub } from "./hub-client.ts";

/** Passkeys as the account library speaks them: options from the hub, the browser's answer back as JSON. */

/** Why passkeys cannot work on this page, or null. Bare addresses have none (WebAuthn wants a name). */
export function passkeyObstacle(hostname: string, supported: boolean): "unsupported" | "address" | null {
	if (!supported) return "unsupported";
	return /^\d{1,3}(?:\.\d{1,3}){3}$|^\[.*\]$|:/.test(hostname) ? "address" : null;
}

export const passkeysSupported = () =>
	typeof PublicKeyCredential === "function" &&
	typeof PublicKeyCredential.parseCreationOptionsFromJSON === "function" &&
	typeof PublicKeyCredential.parseRequestOptionsFromJSON === "function";

export async function addPasskey(hub: Hub, name: string): Promise<void> {
	const options = await hub.request<PublicKeyCredentialCreationOptionsJSON>(
		`/auth/passkey/generate-register-options?name=${encodeURIComponent(name)}`,
		{ cookies: true },
	);
	const made = await navigator.credentials.create({
		publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
	});
	if (!(made instanceof PublicKeyCredential)) throw new Error("The browser made no passkey.");
	await hub.request("/auth/passkey/verify-registration", {
		method: "POST",
		body: { response: made.toJSON(), name },
		cookies: true,
	});
}

export async function signInWithPasskey(hub: Hub): Promise<void> {
	const options = await hub.request<PublicKeyCredentialRequestOptionsJSON>(
		"/auth/passkey/generate-authenticate-options",
		{ cookies: true, token: null },
	);
	const proof = await navigator.credentials.get({
		publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
	});
	if (!(proof instanceof PublicKeyCredential)) throw new Error("The browser showed no passkey.");
	await hub.signIn("/auth/passkey/verify-authentication", { response: proof.toJSON() });
}

/** Whether somebody simply closed the browser's own dialog. */
export const wasDismissed = (failure: unknown) => failure instanceof DOMException && failure.name === "NotAllowedError";
