import { type Closeable, type HealthTable, messageOf } from "@warren/kernel";
import { appPort, appUla } from "../addresses.ts";
import { overlayError } from "../errors.ts";
import type { Ula } from "../protocol/peer-record.ts";
import { AppForwarder } from "./app-forwarder.ts";
import { joinerConditions } from "./conditions.ts";
import type { HostChanges } from "./host-changes.ts";
import type { HostedApp } from "./joiner-options.ts";

/** This machine's own apps, each at its address of the overlay. */
export class ServedApps implements Closeable {
	#apps: readonly HostedApp[];
	readonly #bindAddress: ((ula: string) => string) | undefined;
	readonly #health: HealthTable;
	readonly #forwarders = new Map<string, AppForwarder>();
	/** Those that could not be served when it was tried last. */
	readonly #refused = new Set<Ula>();

	/** @param bindAddress where an address is really bound, on any port; tests have none of the overlay's. */
	constructor(apps: readonly HostedApp[], bindAddress: ((ula: string) => string) | undefined, health: HealthTable) {
		this.#apps = apps;
		this.#health = health;
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

	/** Whether `open` has something to try again. */
	get isIncomplete(): boolean {
		return this.#refused.size > 0;
	}

	/** One that cannot be served shows in health, and costs the others nothing. @throws WarrenError `bad_config` for what is no UUID. */
	async open(host: HostChanges): Promise<void> {
		checkApps(this.#apps);
		await host.apply({ addAddresses: this.ulas() });
		for (const app of this.#apps) await this.#serve(appUla(app.uuid) as Ula, app);
	}

	/** @param host null = not open yet. @throws WarrenError `bad_config` for what is no UUID. */
	async set(apps: readonly HostedApp[], host: HostChanges | null): Promise<void> {
		checkApps(apps);
		const kept = new Set(apps.map((app) => JSON.stringify(app)));
		const gone = this.#apps.filter((app) => !kept.has(JSON.stringify(app))).flatMap((app) => appUla(app.uuid) ?? []);
		this.#apps = apps;
		for (const ula of gone) {
			await this.#forwarders.get(ula)?.close();
			this.#forwarders.delete(ula);
			this.#accept(ula);
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
		for (const ula of [...this.#refused]) this.#accept(ula);
	}

	async #serve(ula: Ula, app: HostedApp): Promise<void> {
		if (this.#forwarders.has(ula)) return;
		const at =
			this.#bindAddress === undefined ? { host: ula, port: appPort } : { host: this.#bindAddress(ula), port: 0 };
		try {
			this.#forwarders.set(ula, await AppForwarder.open(at, app));
			this.#accept(ula);
		} catch (failure) {
			this.#refused.add(ula);
			this.#health.raise(joinerConditions.app, { fault: messageOf(failure) }, ula);
		}
	}

	#accept(ula: Ula): void {
		if (this.#refused.delete(ula)) this.#health.clear(joinerConditions.app, ula);
	}
}

function checkApps(apps: readonly HostedApp[]): void {
	for (const { uuid } of apps)
		if (appUla(uuid) === null) throw overlayError("bad_config", `"${uuid.slice(0, 64)}" is not the UUID of an app.`);
}
