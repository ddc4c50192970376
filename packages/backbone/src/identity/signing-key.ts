import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export type Jwk = Readonly<Record<string, string>>;

/** An Ed25519 key behind `x-mosb-jwt`, and its public half as a JWK (RFC 7517, 8037). */
export class SigningKey {
	readonly #key: KeyObject;
	readonly kid: string;
	readonly jwk: Jwk;

	/** @param pem PKCS #8. */
	constructor(pem: string) {
		this.#key = createPrivateKey(pem);
		const { x = "" } = createPublicKey(this.#key).export({ format: "jwk" });
		// RFC 7638: the thumbprint names the key.
		this.kid = createHash("sha256").update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest("base64url");
		this.jwk = { kty: "OKP", crv: "Ed25519", x, kid: this.kid, alg: "EdDSA", use: "sig" };
	}

	static generate(): string {
		return generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string;
	}

	sign(claims: Readonly<Record<string, unknown>>): string {
		const head = Buffer.from(JSON.stringify({ alg: "EdDSA", typ: "JWT", kid: this.kid })).toString("base64url");
		const body = `${head}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
		return `${body}.${sign(null, Buffer.from(body), this.#key).toString("base64url")}`;
	}
}
