import { type HealthTable, type Logger, messageOf } from "@warren/kernel";
import { joinerConditions } from "./conditions.ts";
import type { HostNetwork } from "./host-network.ts";

const none = { addAddresses: [], removeAddresses: [], routes: [], removeRoutes: [] } as const;

/** Changes to the host's own network on the device's interface; one that fails shows in health, and nothing else stops. */
export class HostChanges {
	readonly #network: HostNetwork;
	readonly #interfaceName: string;
	readonly #health: HealthTable;
	readonly #logger: Logger;
	#isForwarding = false;

	constructor(network: HostNetwork, interfaceName: string, health: HealthTable, logger: Logger) {
		this.#network = network;
		this.#interfaceName = interfaceName;
		this.#health = health;
		this.#logger = logger;
	}

	async apply(change: Partial<Parameters<HostNetwork["apply"]>[1]>): Promise<void> {
		try {
			await this.#network.apply(this.#interfaceName, { ...none, ...change });
			this.#health.clear(joinerConditions.routes);
		} catch (failure) {
			this.#health.raise(joinerConditions.routes, { fault: messageOf(failure) });
			this.#logger.warn("routes could not be set", { fault: messageOf(failure) });
		}
	}

	/** For stock clients behind this machine; once is enough. */
	async allowForwarding(): Promise<void> {
		if (this.#isForwarding) return;
		this.#isForwarding = true;
		const fault = await this.#network.forward(this.#interfaceName);
		if (fault !== null) this.#health.raise(joinerConditions.routes, { fault });
	}

	/** Sends the overlay's names to `server` alone. @returns why not, or null. */
	useNames(server: string, domain: string): Promise<string | null> {
		return this.#network.useNames(this.#interfaceName, server, domain);
	}
}
