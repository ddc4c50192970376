import { createPrivateKey, type KeyObject, sign } from "node:crypto";
import type { Clock } from "@warren/kernel";
import type { TlsIdentity } from "@warren/net";

/** A roster as a joiner keeps it: what it may start with while no coordinator answers. */
export interface SignedRoster {
	/** JSON of `{peer_id, ula, signed_at, peers}`: the signature is over these very bytes. */
	readonly roster: string;
	/** Base64, by the certificate's key; null where there is none (insecure mode). */
	readonly signature: string | null;
	/** PEM of the coordinator's certificate. */
	readonly certificate: string | null;
}

/** Signs with the coordinator's TLS key, which its CA vouches for. */
export class RosterSigner {
	#key: KeyObject;
	#certificate: string;
	readonly #clock: Clock;

	constructor(tls: TlsIdentity, clock: Clock) {
		this.#key = createPrivateKey(tls.key);
		this.#certificate = tls.cert;
		this.#clock = clock;
	}

	/** Signs with another one from now on. */
	use(tls: TlsIdentity): void {
		this.#key = createPrivateKey(tls.key);
		this.#certificate = tls.cert;
	}

	sign(peerId: string, ula: string, peers: string): SignedRoster {
		const roster = `{"peer_id":${JSON.stringify(peerId)},"ula":${JSON.stringify(ula)},"signed_at":${this.#clock.now()},"peers":${peers}}`;
		const signature = sign(this.#key.asymmetricKeyType === "ed25519" ? null : "sha256", Buffer.from(roster), this.#key);
		return { roster, signature: signature.toString("base64"), certificate: this.#certificate };
	}
}
