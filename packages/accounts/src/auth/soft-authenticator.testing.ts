import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

type Cbor = number | string | Uint8Array | Map<number | string, Cbor>;

/** CBOR (RFC 8949), as much of it as WebAuthn asks for. */
function cbor(value: Cbor): Buffer {
	if (typeof value === "number") return value < 0 ? head(1, -1 - value) : head(0, value);
	if (typeof value === "string") return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
	if (value instanceof Map)
		return Buffer.concat([head(5, value.size), ...[...value].flatMap(([key, each]) => [cbor(key), cbor(each)])]);
	return Buffer.concat([head(2, value.length), value]);
}

function head(major: number, length: number): Buffer {
	if (length < 24) return Buffer.from([(major << 5) | length]);
	if (length < 256) return Buffer.from([(major << 5) | 24, length]);
	return Buffer.from([(major << 5) | 25, length >> 8, length & 255]);
}

const sha256 = (data: string | Uint8Array) => createHash("sha256").update(data).digest();

/** A platform authenticator in software (WebAuthn §6): one resident P-256 key, user verified, attestation `none`. */
export class SoftAuthenticator {
	readonly #id = randomBytes(32);
	readonly #private: KeyObject;
	readonly #cose: Buffer;
	#userHandle = "";
	#counter = 0;

	constructor() {
		const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
		const { x = "", y = "" } = publicKey.export({ format: "jwk" });
		this.#private = privateKey;
		this.#cose = cbor(
			new Map<number, Cbor>([
				[1, 2],
				[3, -7],
				[-1, 1],
				[-2, Buffer.from(x, "base64url")],
				[-3, Buffer.from(y, "base64url")],
			]),
		);
	}

	/** navigator.credentials.create */
	create(options: { challenge: string; rp: { id: string }; user: { id: string } }, origin: string) {
		this.#userHandle = options.user.id;
		const length = Buffer.alloc(2);
		length.writeUInt16BE(this.#id.length);
		const attested = Buffer.concat([Buffer.alloc(16), length, this.#id, this.#cose]);
		const attestationObject = cbor(
			new Map<string, Cbor>([
				["fmt", "none"],
				["attStmt", new Map()],
				["authData", this.#authenticatorData(options.rp.id, 0x45, attested)],
			]),
		);
		return this.#credential({
			clientDataJSON: clientData("webauthn.create", options.challenge, origin),
			attestationObject: attestationObject.toString("base64url"),
			transports: ["internal"],
		});
	}

	/** navigator.credentials.get */
	get(options: { challenge: string; rpId: string }, origin: string) {
		const authenticatorData = this.#authenticatorData(options.rpId, 0x05);
		const clientDataJSON = clientData("webauthn.get", options.challenge, origin);
		const signed = Buffer.concat([authenticatorData, sha256(Buffer.from(clientDataJSON, "base64url"))]);
		return this.#credential({
			clientDataJSON,
			authenticatorData: authenticatorData.toString("base64url"),
			signature: sign("sha256", signed, this.#private).toString("base64url"),
			userHandle: this.#userHandle,
		});
	}

	#authenticatorData(rpId: string, flags: number, attested = Buffer.alloc(0)): Buffer {
		const counter = Buffer.alloc(4);
		counter.writeUInt32BE(++this.#counter);
		return Buffer.concat([sha256(rpId), Buffer.from([flags]), counter, attested]);
	}

	#credential(response: Record<string, unknown>) {
		const id = this.#id.toString("base64url");
		return {
			id,
			rawId: id,
			type: "public-key",
			authenticatorAttachment: "platform",
			clientExtensionResults: {},
			response,
		};
	}
}

function clientData(type: string, challenge: string, origin: string): string {
	return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false })).toString("base64url");
}
