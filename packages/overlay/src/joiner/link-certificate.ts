import { createPrivateKey, X509Certificate } from "node:crypto";
import { type HealthTable, type Logger, messageOf } from "@warren/kernel";
import { joinerConditions } from "./conditions.ts";
import type { CoordinatorLink, LinkTls } from "./coordinator-link.ts";

export interface LinkCertificateDeps {
	readonly link: CoordinatorLink;
	readonly health: HealthTable;
	readonly logger: Logger;
	/** The files as they are now. @throws Error when they cannot be read. */
	readonly read: () => LinkTls | null;
}

/** This machine's certificate as it is renewed on disk: used from the next connection on, without a restart. */
export class LinkCertificate {
	readonly #deps: LinkCertificateDeps;
	#fault: string | null = null;

	constructor(deps: LinkCertificateDeps) {
		this.#deps = deps;
	}

	/** Looks whether there is another one. Half of a pair, or what is no certificate, is left for the next look. */
	look(): void {
		const { link, health, logger, read } = this.#deps;
		try {
			const tls = read();
			if (tls === null || isSame(tls, link.tls)) return this.#clear();
			const leaf = new X509Certificate(tls.cert);
			if (!leaf.checkPrivateKey(createPrivateKey(tls.key))) throw new Error("the key is not the certificate's");
			new X509Certificate(tls.ca);
			link.useTls(tls);
			logger.info("another certificate is used", { until: leaf.validTo });
			this.#clear();
		} catch (failure) {
			const fault = messageOf(failure).slice(0, 200);
			if (fault !== this.#fault) logger.warn("the certificate files are not usable", { fault });
			this.#fault = fault;
			health.raise(joinerConditions.certificate, { fault });
		}
	}

	#clear(): void {
		this.#fault = null;
		this.#deps.health.clear(joinerConditions.certificate);
	}
}

function isSame(a: LinkTls, b: LinkTls | null): boolean {
	return b !== null && a.ca === b.ca && a.cert === b.cert && a.key === b.key;
}
