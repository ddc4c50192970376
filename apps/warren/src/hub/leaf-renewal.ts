import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import type { HubLink } from "@warren/accounts";
import { type Closeable, messageOf, type Timer } from "@warren/kernel";
import { createCsr, type TlsIdentity } from "@warren/net";
import { isLoopback } from "../config/server-config.ts";
import { certificateExpiring, covers, renewBeforeMs } from "../node/certificates.ts";
import type { RoleBase } from "../role-base.ts";

/** Looked at when the hub comes back, and this often while it is there. */
const checkEveryMs = 24 * 3600 * 1000;

export interface LeafRenewalOptions {
	readonly link: Pick<HubLink, "renewCertificate" | "onConnected">;
	/** The warren's CA, PEM. */
	readonly ca: string;
	/** The certificate's common name. */
	readonly name: string;
	/** By which this machine is called now. */
	readonly hosts: () => readonly string[];
	/** The leaf that is shown from now on. */
	readonly use: (tls: TlsIdentity) => void;
}

/**
 * Keeps a joined machine's leaf good: a new one before the old one ends, or when a name of the machine is missing in it.
 * The key stays, so that half a renewal leaves a pair that fits; a leaf that would say nothing new is not taken, because
 * hosts outside the warren have pinned the old one.
 */
export class LeafRenewal implements Closeable {
	readonly #base: RoleBase;
	readonly #options: LeafRenewalOptions;
	readonly #subscription: Closeable;
	#timer: Timer | undefined;
	#running: Promise<void> | undefined;
	#closed = false;

	constructor(base: RoleBase, options: LeafRenewalOptions) {
		this.#base = base;
		this.#options = options;
		this.#subscription = options.link.onConnected((connected) => {
			if (connected) void this.check();
		});
	}

	/** Renews when it is time to. Never rejects. */
	check(): Promise<void> {
		this.#running ??= this.#check()
			.catch((fault: unknown) =>
				this.#base.logger.warn("the certificate was not renewed; it is tried again", { fault: messageOf(fault) }),
			)
			.finally(() => {
				this.#running = undefined;
				this.#timer?.cancel();
				if (!this.#closed) this.#timer = this.#base.clock.after(checkEveryMs, () => void this.check());
			});
		return this.#running;
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#timer?.cancel();
		void this.#subscription.close();
		await this.#running;
	}

	async #check(): Promise<void> {
		const { data, clock, health, logger } = this.#base;
		const { ca, link, name, hosts } = this.#options;
		const key = data.read("tls", "node.key");
		const text = data.read("tls", "node.crt");
		if (key === null || text === null) return;
		const current = new X509Certificate(text);
		const isEnding = Date.parse(current.validTo) - clock.now() < renewBeforeMs;
		const isLacking = hosts().some((host) => !isLoopback(host) && !covers(current, host));
		if (!isEnding && !isLacking) return;
		const { csr } = await createCsr(name, key);
		const { cert } = await link.renewCertificate(csr);
		const renewed = new X509Certificate(cert);
		if (!fits(renewed, key, ca))
			throw new Error("the hub's answer is no certificate of this warren for this machine's key");
		if (!isEnding && renewed.subjectAltName === current.subjectAltName) return;
		data.write(cert, "tls", "node.crt");
		health.clear(certificateExpiring);
		this.#options.use({ cert: cert + ca, key });
		logger.info("the certificate was renewed", { until: renewed.validTo });
	}
}

function fits(leaf: X509Certificate, key: string, caPem: string): boolean {
	const ca = new X509Certificate(caPem);
	const own = createPublicKey(createPrivateKey(key)).export({ type: "spki", format: "der" });
	const named = leaf.publicKey.export({ type: "spki", format: "der" });
	return own.equals(named) && leaf.checkIssued(ca) && leaf.verify(ca.publicKey);
}
