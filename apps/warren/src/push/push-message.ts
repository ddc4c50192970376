import { createCipheriv, createECDH, createPrivateKey, hkdfSync, type KeyObject, sign } from "node:crypto";

/** One record, and this much of it: what every push service takes (RFC 8030 §7.2). */
export const maxPayloadBytes = 3_000;
const recordBytes = 4_096;
/** A push service takes no assertion that is good for longer than a day (RFC 8292 §2). */
const assertionSeconds = 12 * 3_600;

/** A browser's keys, as its subscription has them. */
export interface ReceiverKeys {
	/** An uncompressed point of P-256, 65 bytes. */
	readonly p256dh: Uint8Array;
	/** 16 bytes. */
	readonly auth: Uint8Array;
}

/**
 * A message that nobody but the browser can read: RFC 8291 over RFC 8188, one record of aes128gcm.
 * @param sender a private scalar of P-256, 32 bytes, for this message alone. @param salt 16 bytes.
 * @throws Error when the receiver's key is no point of the curve.
 */
export function sealPush(
	payload: Uint8Array,
	receiver: ReceiverKeys,
	sender: Uint8Array,
	salt: Uint8Array,
): Buffer<ArrayBuffer> {
	if (payload.length > maxPayloadBytes) throw new RangeError(`a push of ${payload.length} bytes is too large`);
	const ecdh = createECDH("prime256v1");
	ecdh.setPrivateKey(sender);
	const point = ecdh.getPublicKey();
	const shared = ecdh.computeSecret(receiver.p256dh);
	const info = Buffer.concat([Buffer.from("WebPush: info\0"), receiver.p256dh, point]);
	const secret = Buffer.from(hkdfSync("sha256", shared, receiver.auth, info, 32));
	const expand = (label: string, bytes: number) =>
		Buffer.from(hkdfSync("sha256", secret, salt, Buffer.from(`Content-Encoding: ${label}\0`), bytes));
	const cipher = createCipheriv("aes-128-gcm", expand("aes128gcm", 16), expand("nonce", 12));
	// 2: the last record.
	const sealed = [cipher.update(payload), cipher.update(Buffer.from([2])), cipher.final(), cipher.getAuthTag()];
	const head = Buffer.alloc(21);
	Buffer.from(salt).copy(head);
	head.writeUInt32BE(recordBytes, 16);
	head.writeUInt8(point.length, 20);
	return Buffer.concat([head, point, ...sealed]);
}

/** Who sends, for a push service that asks nobody else: RFC 8292. @param now milliseconds since the Unix epoch. */
export function vapidAuthorization(
	endpoint: string,
	{ privateKey, publicKey, contact }: { privateKey: KeyObject; publicKey: string; contact: string },
	now: number,
): string {
	const claims = { aud: new URL(endpoint).origin, exp: Math.floor(now / 1000) + assertionSeconds, sub: contact };
	const text = [{ typ: "JWT", alg: "ES256" }, claims].map((each) => base64url(JSON.stringify(each))).join(".");
	const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
	return `vapid t=${text}.${signature.toString("base64url")}, k=${publicKey}`;
}

/** @param jwk of a private key on P-256. @returns with its public point as browsers take it. */
export function senderKey(jwk: { readonly x: string; readonly y: string; readonly d: string }) {
	const privateKey = createPrivateKey({ key: { kty: "EC", crv: "P-256", ...jwk }, format: "jwk" });
	const point = Buffer.concat([Buffer.from([4]), Buffer.from(jwk.x, "base64url"), Buffer.from(jwk.y, "base64url")]);
	return { privateKey, publicKey: point.toString("base64url") };
}

const base64url = (text: string) => Buffer.from(text).toString("base64url");
