import type { Random } from "@warren/kernel";
import { specification } from "./constants.ts";

const never = Number.POSITIVE_INFINITY;

/**
 * What a peer waits for (WireGuard paper, section 6). Each is an instant of the monotonic clock, infinite when it is
 * off; the peer decides what happens when one has come. Touching one costs an assignment: the data path does it with
 * every packet.
 */
export class PeerTimers {
	/** An initiation has had no response. */
	retryInitiation = never;
	/** Something was received and nothing sent since: the peer must hear that we live. */
	sendKeepalive = never;
	/** More came while that keepalive was pending. */
	keepaliveAgain = false;
	/** Something was sent and nothing heard since. */
	newHandshake = never;
	/** No new session for three times its life: forget all keys. */
	eraseKeys = never;
	persistentKeepalive = never;
	keepaliveIntervalMs = 0;
	/** Initiations without a response, in a row. */
	attempts = 0;
	readonly #random: Random;

	constructor(random: Random) {
		this.#random = random;
	}

	get next(): number {
		return Math.min(
			this.retryInitiation,
			this.sendKeepalive,
			this.newHandshake,
			this.eraseKeys,
			this.persistentKeepalive,
		);
	}

	dataSent(now: number): void {
		if (this.newHandshake === never)
			this.newHandshake = now + specification.keepaliveTimeoutMs + specification.rekeyTimeoutMs + this.#jitter();
	}

	dataReceived(now: number): void {
		if (this.sendKeepalive === never) this.sendKeepalive = now + specification.keepaliveTimeoutMs;
		else this.keepaliveAgain = true;
	}

	authenticatedSent(now: number): void {
		this.sendKeepalive = never;
		this.#traversed(now);
	}

	authenticatedReceived(now: number): void {
		this.newHandshake = never;
		this.#traversed(now);
	}

	initiationSent(now: number): void {
		this.retryInitiation = now + specification.rekeyTimeoutMs + this.#jitter();
	}

	handshakeComplete(): void {
		this.retryInitiation = never;
		this.attempts = 0;
	}

	sessionMade(now: number): void {
		this.eraseKeys = now + specification.rejectAfterMs * 3;
	}

	setPersistentKeepalive(seconds: number, now: number): void {
		this.keepaliveIntervalMs = seconds * 1000;
		this.persistentKeepalive = seconds === 0 ? never : now + this.keepaliveIntervalMs;
	}

	stop(): void {
		this.retryInitiation = this.sendKeepalive = this.newHandshake = this.eraseKeys = never;
		this.keepaliveAgain = false;
		this.attempts = 0;
	}

	#traversed(now: number): void {
		if (this.keepaliveIntervalMs > 0) this.persistentKeepalive = now + this.keepaliveIntervalMs;
	}

	/** Two that began together must not retry together. */
	#jitter(): number {
		return Math.floor(this.#random.fraction() * specification.rekeyTimeoutJitterMs);
	}
}
