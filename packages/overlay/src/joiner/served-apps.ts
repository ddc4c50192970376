import type { Closeable } from "@warren/kernel";
import { appPort, appUla } from "../addresses.ts";
import { overlayError } from "../errors.ts";
import type { Ula } from "../protocol/peer-record.ts";
import { AppForwarder } from "./app-forwarder.ts";
import type { HostChanges } from "./host-changes.ts";
import type { HostedApp } from "./joiner-options.ts";

/** This machine's own apps, each at its address of the overlay. */
export class ServedApps implements Closeable {
	#apps: readonly HostedApp[];
	readonly #bindAddress: ((ula: string) => string) | undefined;
	readonly #forwarders = new Map<string, AppForwarder>();

	/** @param bindAddress where an address is really bound, on any port; tests have none of the overlay's. */
	constructor(apps: readonly HostedApp[], bindAddress: ((ula: string) => string) | undefined) {
		this.#apps = apps;
		this.#bindAddress = bindAddress;
	}

	ulas(): Ula[] {
		return this.#apps.flatMap((app) => appUla(app.uuid) ?? []);
	}

	/** Of those that have one. */
	names(): Record<Ula, string> {
		const named = this.#apps.flatMap(({ uuid, name }) => (name === undefined ? [] : [[appUla(uuid), name]]));
		return Object.fromEntries(named.filter(([ula]) => ula !== null)) as Record<Ula, string>;
	}

	/** @throws WarrenError `bad_config` for what is no UUID. */
	async open(host: HostChanges): Promise<void> {
		await host.apply({ addAddresses: this.ulas() });
		for (const app of this.#apps) {
			const ula = appUla(app.uuid);
			if (ula === null) throw overlayError("bad_config", `"${app.uuid.slice(0, 64)}" is not the UUID of an app.`);
			const at =
				this.#bindAddress === undefined ? { host: ula, port: appPort } : { host: this.#bindAddress(ula), port: 0 };
			if (this.#forwarders.has(ula)) continue;
			this.#forwarders.set(ula, await AppForwarder.open(at, app));
		}
	}

	/** @param host null = not open yet. @throws WarrenError `bad_config` for what is no UUID. */
	async set(apps: readonly HostedApp[], host: HostChanges | null): Promise<void> {
		const kept = new Set(apps.map((app) => JSON.stringify(app)));
		const gone = this.#apps.filter((app) => !kept.has(JSON.stringify(app))).flatMap((app) => appUla(app.uuid) ?? []);
		this.#apps = apps;
		for (const ula of gone) {
			await this.#forwarders.get(ula)?.close();
			this.#forwarders.delete(ula);
		}
		if (host === null) return;
		const standing = new Set(this.ulas());
		await host.apply({ removeAddresses: gone.filter((ula) => !standing.has(ula)) });
		await this.open(host);
	}

	portOf(ula: string): number | null {
		return this.#forwarders.get(ula)?.port ?? null;
	}

	async close(): Promise<void> {
		for (const forwarder of this.#forwarders.values()) await forwarder.close();
		this.#forwarders.clear();
	}
}
