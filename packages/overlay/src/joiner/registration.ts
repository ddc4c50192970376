import { type HealthTable, type Logger, messageOf, WarrenError } from "@warren/kernel";
import { canonicalUla } from "../addresses.ts";
import type { Ula, WireGuardKey } from "../protocol/peer-record.ts";
import { joinerConditions } from "./conditions.ts";
import { registered } from "./coordinator-answers.ts";
import type { CoordinatorLink } from "./coordinator-link.ts";
import type { JoinerFiles, JoinerIdentity } from "./joiner-files.ts";
import { type JoinerOptions, joinerLimits } from "./joiner-options.ts";
import type { PeerTable } from "./peer-table.ts";
import { registerStaticDevice } from "./static-device.ts";

/** What this machine has to tell of itself now. */
export interface OwnFacts {
	readonly listenPort: number | undefined;
	/** Where others may reach it, best guess first. */
	readonly candidates: readonly string[];
	readonly apps: readonly Ula[];
	readonly appNames: Readonly<Record<Ula, string>>;
}

export interface RegistrationDeps {
	readonly link: CoordinatorLink;
	readonly files: JoinerFiles;
	readonly table: PeerTable;
	readonly health: HealthTable;
	readonly logger: Logger;
	readonly facts: () => OwnFacts;
	/** @param before who this machine was. */
	readonly onRegistered: (before: JoinerIdentity | null) => Promise<void>;
}

/** Who this machine is to the coordinator, and whether that knows it now. */
export class Registration {
	/** The coordinator knows this machine, as far as this machine knows. */
	isKnown = false;
	/** As the coordinator saw it last. */
	observedEndpoint: string | null = null;
	/** Of the coordinator's own STUN servers. */
	stunPorts: readonly number[] = [];
	readonly #deps: RegistrationDeps;
	readonly #options: JoinerOptions;
	readonly #key: WireGuardKey;
	#identity: JoinerIdentity | null;
	/** The coordinator's, of the last registration: another after each of its starts. */
	#coordinatorRun: string | null = null;
	#registering: Promise<void> | null = null;

	constructor(deps: RegistrationDeps, options: JoinerOptions, key: WireGuardKey) {
		this.#deps = deps;
		this.#options = options;
		this.#key = key;
		this.#identity = deps.files.identity();
	}

	/** null = never registered. */
	get identity(): JoinerIdentity | null {
		return this.#identity;
	}

	get peerId(): string {
		return this.#identity?.peer_id ?? "";
	}

	get ula(): string {
		return this.#identity?.ula ?? "";
	}

	/** The stream and the heartbeat may both find that they are unknown: one registration serves them. @throws WarrenError. */
	register(): Promise<void> {
		this.#registering ??= this.#register().finally(() => {
			this.#registering = null;
		});
		return this.#registering;
	}

	/** Tells the coordinator that this machine goes. Its address stays its own. @throws WarrenError `coordinator_away`. */
	async leave(): Promise<void> {
		if (this.#identity !== null)
			await this.#deps.link.call("POST", "/v1/mesh/deregister", { peer_id: this.#identity.peer_id });
	}

	async #register(): Promise<void> {
		const { link, files, table, health, logger, onRegistered } = this.#deps;
		const answer = registered.parse(await this.#ask());
		const before = this.#identity;
		const identity = {
			peer_id: answer.peer_id,
			ula: canonicalUla(answer.ula) as string,
			network: answer.network ?? this.#options.network,
			coordinator: link.url,
		};
		this.#identity = identity;
		this.#keep(identity);
		const restarted = answer.run === undefined || answer.run !== this.#coordinatorRun;
		table.replace(answer.peers, restarted ? joinerLimits.settleMs : 0);
		this.#coordinatorRun = answer.run ?? null;
		this.observedEndpoint = answer.observed_endpoint ?? this.observedEndpoint;
		this.stunPorts = answer.stun_ports;
		this.isKnown = true;
		health.clear(joinerConditions.coordinatorAway);
		health.clear(joinerConditions.refused);
		await onRegistered(before);
		for (const device of files.devices()) {
			// A parent that came back brings its devices with it.
			await registerStaticDevice(link, identity, device).catch((failure: unknown) =>
				logger.warn("a device could not be registered", { device: device.name, fault: messageOf(failure) }),
			);
		}
	}

	/** What cannot be kept (a full disk) is asked for again by the next start: the same key, the same address. */
	#keep(identity: JoinerIdentity): void {
		const { files, logger } = this.#deps;
		try {
			files.write("identity.json", `${JSON.stringify(identity)}\n`);
		} catch (failure) {
			logger.warn("who this machine is cannot be kept", { fault: messageOf(failure) });
		}
	}

	async #ask(): Promise<unknown> {
		const { link } = this.#deps;
		const body = this.#body();
		try {
			return await link.call("POST", "/v1/mesh/register", body);
		} catch (failure) {
			const isOtherNetwork = failure instanceof WarrenError && failure.code === "bad_ula";
			if (!isOtherNetwork || this.#identity === null) throw failure;
			// The address that it had is none of the network that it is in now.
			return await link.call("POST", "/v1/mesh/register", { ...body, requested_ula: null });
		}
	}

	#body(): Record<string, unknown> {
		const { name, network, tags, relayOnly, listenEndpoint, softwareVersion, joinToken, listenPort } = this.#options;
		const facts = this.#deps.facts();
		return {
			wg_public_key: this.#key,
			wg_listen_port: facts.listenPort ?? (listenPort || undefined),
			...(listenEndpoint === undefined ? {} : { listen_endpoint: listenEndpoint }),
			display_name: name,
			network,
			tags,
			kind: "peer",
			hosted_app_ulas: facts.apps,
			hosted_app_names: facts.appNames,
			relay_only: relayOnly,
			software_version: softwareVersion,
			candidates: facts.candidates,
			// What it had: a coordinator without a memory gives it back.
			...(this.#identity === null ? {} : { requested_ula: this.#identity.ula }),
			...(joinToken === undefined ? {} : { join_token: joinToken.trim() }),
		};
	}
}
