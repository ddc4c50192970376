import type * as Y from "yjs";

/**
 * A person's own provider keys in their synced settings: AES-GCM under a key from a passphrase (PBKDF2, SHA-256). The
 * hub and other devices hold only what is encrypted; the derived key stays in this tab.
 *
 *   Y.Map "providerKeys"  "salt" → base64 · "check" → sealed text · provider → sealed key
 */
const iterations = 600_000;
const checkText = "warren";
const reserved = new Set(["salt", "check"]);

export class OwnKeys {
	readonly #map: Y.Map<string>;
	#key: CryptoKey | undefined;
	/** A passphrase that was given is waited for, whoever closed its dialog meanwhile: deriving takes a moment. */
	#unlocking: Promise<unknown> = Promise.resolve();

	constructor(doc: Y.Doc) {
		this.#map = doc.getMap("providerKeys");
	}

	/** Providers that have a key here, locked or not. */
	providers(): string[] {
		return [...this.#map.keys()].filter((name) => !reserved.has(name)).sort();
	}

	get locked(): boolean {
		return this.#key === undefined && this.#map.has("check");
	}

	/** @returns false for a wrong passphrase. The first one that is given becomes the passphrase. */
	unlock(passphrase: string): Promise<boolean> {
		const unlocked = this.#unlock(passphrase);
		this.#unlocking = unlocked.catch(() => false);
		return unlocked;
	}

	async #unlock(passphrase: string): Promise<boolean> {
		const kept = this.#map.get("salt");
		const salt = kept === undefined ? crypto.getRandomValues(new Uint8Array(16)) : fromBase64(kept);
		const key = await derive(passphrase, salt);
		const check = this.#map.get("check");
		if (kept !== undefined && check !== undefined) {
			if ((await open(key, check)) !== checkText) return false;
		} else {
			this.#map.set("salt", toBase64(salt));
			this.#map.set("check", await seal(key, checkText));
		}
		this.#key = key;
		return true;
	}

	/** @param value "" takes it away. */
	async set(provider: string, value: string): Promise<void> {
		if (value === "") this.#map.delete(provider);
		else if (this.#key !== undefined) this.#map.set(provider, await seal(this.#key, value));
	}

	/** Null while locked, or when there is none. */
	async get(provider: string): Promise<string | null> {
		await this.#unlocking;
		const sealed = this.#map.get(provider);
		return sealed === undefined || this.#key === undefined ? null : open(this.#key, sealed);
	}
}

async function derive(passphrase: string, salt: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
	const raw = new TextEncoder().encode(passphrase.normalize("NFKC"));
	const base = await crypto.subtle.importKey("raw", raw, "PBKDF2", false, ["deriveKey"]);
	const from = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
	return crypto.subtle.deriveKey(from, base, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

async function seal(key: CryptoKey, text: string): Promise<string> {
	const iv = crypto.getRandomValues(new Uint8Array(12));
	const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(text));
	return `${toBase64(iv)}.${toBase64(new Uint8Array(sealed))}`;
}

async function open(key: CryptoKey, sealed: string): Promise<string | null> {
	const [iv = "", data = ""] = sealed.split(".");
	try {
		const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: fromBase64(iv) }, key, fromBase64(data));
		return new TextDecoder().decode(plain);
	} catch {
		// Another passphrase, or damaged: told as such by whoever asks.
		return null;
	}
}

function toBase64(bytes: Uint8Array): string {
	return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
	return Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
}
