import { type Clock, type Closeable, type HealthTable, messageOf } from "@warren/kernel";
import { appUla, canonicalUla, parseAppUla } from "../addresses.ts";
import { labelOf, overlayDomain } from "../names/answer.ts";
import { NameResponder } from "../names/responder.ts";
import type { AppliedPeers } from "./applied-peers.ts";
import { joinerConditions } from "./conditions.ts";
import type { HostChanges } from "./host-changes.ts";
import type { JoinerOptions } from "./joiner-options.ts";
import type { ServedApps } from "./served-apps.ts";

export interface ServedNamesDeps {
	readonly clock: Clock;
	readonly health: HealthTable;
	readonly host: HostChanges;
	readonly peers: AppliedPeers;
	readonly apps: ServedApps;
}

/** The overlay's names, answered on this machine's own address of it. */
export class ServedNames implements Closeable {
	readonly #deps: ServedNamesDeps;
	readonly #options: Pick<JoinerOptions, "name" | "namePort" | "bindAddress">;
	#responder: NameResponder | null = null;
	#ula = "";

	constructor(deps: ServedNamesDeps, options: Pick<JoinerOptions, "name" | "namePort" | "bindAddress">) {
		this.#deps = deps;
		this.#options = options;
	}

	get port(): number | null {
		return this.#responder?.port ?? null;
	}

	/** Serves on `ula` from now on. Names are a convenience: what is in their way shows in health alone. */
	async open(ula: string): Promise<void> {
		await this.close();
		const { namePort, bindAddress } = this.#options;
		if (namePort === null) return;
		const { clock, health, host, peers } = this.#deps;
		this.#ula = ula;
		try {
			this.#responder = await NameResponder.open(clock, {
				host: bindAddress?.(ula) ?? ula,
				port: namePort,
				lookup: (name) => this.#resolve(name),
				forwardsFor: (address) => peers.children().some((child) => canonicalUla(child.ula) === canonicalUla(address)),
			});
			const fault = bindAddress === undefined ? await host.useNames(ula, overlayDomain) : null;
			if (fault !== null) health.raise(joinerConditions.names, { fault, server: ula });
		} catch (failure) {
			health.raise(joinerConditions.names, { fault: messageOf(failure), server: ula });
		}
	}

	async close(): Promise<void> {
		await this.#responder?.close();
		this.#responder = null;
	}

	/**
	 * A machine's name, an app's UUID, or an app's name: a machine's goes before an app's. Two peers of one name: the lower
	 * address has it, so that it does not flap.
	 */
	#resolve(name: string): readonly string[] | null {
		const { peers, apps } = this.#deps;
		if (name === labelOf(this.#options.name)) return [this.#ula];
		const app = appUla(name);
		if (app !== null) return peers.reaches(app) || apps.ulas().includes(app) ? [app] : null;
		const found = peers
			.seen()
			.flatMap((info) => (labelOf(info.display_name) === name ? (canonicalUla(info.ula) ?? []) : []));
		const named = found.length > 0 ? found : this.#appsCalled(name);
		return named.length === 0 ? null : [named.sort()[0] as string];
	}

	#appsCalled(name: string): string[] {
		const { peers, apps } = this.#deps;
		const own = Object.entries(apps.names()).flatMap(([ula, each]) => (each === name ? [ula] : []));
		if (own.length > 0) return own;
		const told = peers.seen().flatMap(({ hosted_app_names: names = {} }) => Object.entries(names));
		return told.flatMap(([text, each]) => {
			const ula = each === name ? parseAppUla(text) : null;
			return ula !== null && peers.reaches(ula) ? [ula] : [];
		});
	}
}
