import type { Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import type { Clock } from "@warren/kernel";
import { canonicalHost } from "@warren/net";
import { maxClientHelloBytes, readClientHello } from "../protocol/client-hello.ts";

/** Certificate and key, PEM, the leaf first. */
export interface FrontTls {
	readonly cert: string;
	readonly key: string;
}

/** RFC 8737: who asks for it checks a challenge, and nobody else does. */
const challengeProtocol = "acme-tls/1";
const challengeTimeoutMs = 10_000;

/** Which certificate a client is shown: its name's own, a wildcard's, else the standard one. */
export class Certificates {
	readonly #clock: Clock;
	readonly #byName = new Map<string, SecureContext>();
	readonly #challenges = new Map<string, SecureContext>();
	readonly #watchers = new Set<(standard: FrontTls) => void>();
	#standard: FrontTls;

	constructor(clock: Clock, standard: FrontTls) {
		this.#clock = clock;
		this.#standard = standard;
	}

	get standard(): FrontTls {
		return this.#standard;
	}

	/** @throws Error when they do not belong together. */
	setStandard(tls: FrontTls): void {
		createSecureContext({ ...tls });
		this.#standard = tls;
		for (const watcher of this.#watchers) watcher(tls);
	}

	watchStandard(watcher: (standard: FrontTls) => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}

	/** @param name a host, or `*.host` for what lies one label below it; null forgets it. @throws Error as `setStandard`. */
	setFor(name: string, tls: FrontTls | null): void {
		if (tls === null) this.#byName.delete(name);
		else this.#byName.set(name, createSecureContext({ ...tls, minVersion: "TLSv1.2" }));
	}

	/** What a certificate authority is shown when it asks whether `name` is here (RFC 8737); null = it is not asked. */
	setChallenge(name: string, tls: FrontTls | null): void {
		if (tls === null) this.#challenges.delete(name);
		else this.#challenges.set(name, createSecureContext({ ...tls }));
	}

	/** @returns undefined for the standard one. */
	contextOf(servername: string): SecureContext | undefined {
		if (this.#byName.size === 0) return undefined;
		const name = canonicalHost(servername);
		const dot = name.indexOf(".");
		return this.#byName.get(name) ?? (dot === -1 ? undefined : this.#byName.get(`*${name.slice(dot)}`));
	}

	/**
	 * Lets a new connection through to TLS. While a challenge stands, what it says first is read: a client that asks for
	 * the challenge is shown that, and everybody else the certificate that has been good so far.
	 */
	admit(socket: Socket, onward: () => void): void {
		if (this.#challenges.size === 0) return onward();
		let seen = Buffer.alloc(0);
		const late = this.#clock.after(challengeTimeoutMs, () => socket.destroy());
		const failed = () => socket.destroy();
		const settle = (next: () => void) => {
			late.cancel();
			socket.off("readable", read);
			socket.off("error", failed);
			socket.off("close", closed);
			socket.unshift(seen);
			next();
		};
		const closed = () => late.cancel();
		const read = () => {
			for (let piece = socket.read(); piece !== null; piece = socket.read())
				seen = Buffer.concat([seen, piece as Buffer]);
			const hello = readClientHello(seen);
			if (hello === "incomplete") {
				if (seen.length > maxClientHelloBytes) socket.destroy();
				return;
			}
			const challenge =
				hello?.protocols.includes(challengeProtocol) === true
					? this.#challenges.get(canonicalHost(hello.servername))
					: undefined;
			settle(challenge === undefined ? onward : () => this.#show(socket, challenge));
		};
		socket.on("error", failed);
		socket.on("close", closed);
		socket.on("readable", read);
	}

	#show(socket: Socket, secureContext: SecureContext): void {
		const shown = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: [challengeProtocol] });
		const late = this.#clock.after(challengeTimeoutMs, () => shown.destroy());
		shown.on("error", () => shown.destroy());
		shown.on("close", () => late.cancel());
		// The handshake is all there is to it.
		shown.on("secure", () => shown.end());
		shown.resume();
	}
}
