import {
	createHash,
	createPrivateKey,
	createPublicKey,
	generateKeyPairSync,
	type KeyObject,
	sign,
	verify,
} from "node:crypto";

const signatureBytes = 64;

/** A mesh's own key: signs its logins and its messages. */
export class MeshKey {
	/** base64url of the raw 32 bytes. */
	readonly publicKey: string;
	readonly #key: KeyObject;

	private constructor(key: KeyObject) {
		this.#key = key;
		this.publicKey = createPublicKey(key).export({ format: "jwk" }).x as string;
	}

	/** Made at its first use; `save` keeps it as PEM, a secret. */
	static open(load: () => string | null, save: (pem: string) => void): MeshKey {
		const kept = load();
		if (kept !== null) return new MeshKey(createPrivateKey(kept));
		const { privateKey } = generateKeyPairSync("ed25519");
		save(privateKey.export({ type: "pkcs8", format: "pem" }) as string);
		return new MeshKey(privateKey);
	}

	sign(text: string): string {
		return sign(null, Buffer.from(text), this.#key).toString("base64url");
	}
}

/** @param publicKey base64url of 32 bytes. False also for what is no key or no signature. */
export function isSignedBy(publicKey: string, text: string, signature: string): boolean {
	const bytes = Buffer.from(signature, "base64url");
	if (bytes.length !== signatureBytes) return false;
	try {
		const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: publicKey }, format: "jwk" });
		return verify(null, Buffer.from(text), key, bytes);
	} catch {
		// Not a point of the curve: nobody has signed with it.
		return false;
	}
}

/** For people to compare: half of SHA-256, in groups of four. */
export function fingerprintOf(publicKey: string): string {
	const hex = createHash("sha256").update(Buffer.from(publicKey, "base64url")).digest("hex").slice(0, 32);
	return (hex.match(/.{4}/g) as string[]).join(" ");
}
