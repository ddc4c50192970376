/**
 * This browser's own key: P-256, not extractable, so that a copied storage is not a copied device. Device tickets are
 * bound to it. Kept in IndexedDB; a browser that refuses that has none, and signs in by PIN.
 */
export interface DeviceKey {
	readonly publicKey: JsonWebKey;
	/** RFC 7638, base64url. */
	readonly thumbprint: string;
	/** @returns base64url of r‖s. */
	sign(message: string): Promise<string>;
}

const databaseName = "warren-device";
const storeName = "keys";
const keyName = "device";
const algorithm = { name: "ECDSA", namedCurve: "P-256" } as const;

export async function openDeviceKey(): Promise<DeviceKey> {
	const database = await openDatabase();
	try {
		const pair = (await read(database)) ?? (await make(database));
		const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
		const publicKey = { kty, crv, x, y } as JsonWebKey;
		return {
			publicKey,
			thumbprint: await thumbprint(publicKey),
			sign: async (message) =>
				base64url(
					await crypto.subtle.sign(
						{ name: "ECDSA", hash: "SHA-256" },
						pair.privateKey,
						new TextEncoder().encode(message),
					),
				),
		};
	} finally {
		database.close();
	}
}

/** JWK thumbprint (RFC 7638): SHA-256 over the required members in order. */
export async function thumbprint({ crv, kty, x, y }: JsonWebKey): Promise<string> {
	const text = new TextEncoder().encode(JSON.stringify({ crv, kty, x, y }));
	return base64url(await crypto.subtle.digest("SHA-256", text));
}

/** What the device signs to show that it holds the key (docs/api-hub.md, device tickets). */
export function proofMessage(nonce: string, audience: string, path: string): string {
	return ["warren-ticket-proof.v1", nonce, audience, path].join("\n");
}

function base64url(bytes: ArrayBuffer): string {
	return btoa(String.fromCharCode(...new Uint8Array(bytes)))
		.replaceAll("+", "-")
		.replaceAll("/", "_")
		.replaceAll("=", "");
}

async function make(database: IDBDatabase): Promise<CryptoKeyPair> {
	const pair = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
	const transaction = database.transaction(storeName, "readwrite");
	const store = transaction.objectStore(storeName);
	// Two tabs at once: the first one's key stays.
	const first = await settled<CryptoKeyPair | undefined>(store.get(keyName));
	if (first !== undefined) return first;
	await settled(store.put(pair, keyName));
	return pair;
}

function read(database: IDBDatabase): Promise<CryptoKeyPair | undefined> {
	return settled(database.transaction(storeName).objectStore(storeName).get(keyName));
}

function openDatabase(): Promise<IDBDatabase> {
	const opening = indexedDB.open(databaseName, 1);
	opening.onupgradeneeded = () => opening.result.createObjectStore(storeName);
	return settled(opening);
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error ?? new Error("This browser refuses its database."));
	});
}
