import {
	type Audit,
	type Authenticator,
	type Clock,
	type Closeable,
	closeCodes,
	HealthTable,
	Lifetime,
	type Logger,
	messageOf,
	newId,
	type Random,
	type Timer,
} from "@warren/kernel";
import { type Listener, Metrics, type Route, type TlsIdentity } from "@warren/net";
import { defaultDeny } from "../protocol/policy.ts";
import { RosterMachine } from "../protocol/roster-machine.ts";
import { AddressBook, type AddressStore, noAddressStore } from "./address-book.ts";
import { coordinatorConditions } from "./conditions.ts";
import { CoordinatorCredentials, readCertificate } from "./credentials.ts";
import type { JoinAuthority } from "./join-authority.ts";
import { coordinatorLimits } from "./limits.ts";
import { PolicyDesk, parse } from "./policy-desk.ts";
import { Punches } from "./punches.ts";
import { Registry } from "./registry.ts";
import { Relay } from "./relay.ts";
import { noRevocations, type RevocationFile } from "./revocation-file.ts";
import { RosterSigner } from "./roster-signer.ts";
import { coordinatorRoutes } from "./routes.ts";
import { type ServiceNameStore, ServiceNames } from "./service-names.ts";
import type { SharedCoordinatorState } from "./shared-state.ts";
import { Streams } from "./streams.ts";
import { StunServer } from "./stun-server.ts";

export interface CoordinatorDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly audit: Audit;
	/** Null = state in memory, as the original. */
	readonly addresses: (AddressStore & ServiceNameStore) | null;
	/** Null = machines are admitted by their certificates alone. */
	readonly joinTokens: JoinAuthority | null;
	readonly revocations?: RevocationFile;
	/** Of several coordinators the one that leads: where the others find everything. */
	readonly shared?: SharedCoordinatorState;
	/** Where conditions of whoever opens it stand too; its own unless told. */
	readonly health?: HealthTable;
}

export interface CoordinatorOptions {
	/** Null = insecure: no TLS and no certificates. The caller has made sure that this is meant. */
	readonly tls: TlsIdentity | null;
	/** The policy's text; default deny unless told. */
	readonly policy?: string;
	/** What a saved policy is handed to. */
	readonly savePolicy?: (text: string) => void;
	/** `hashToken` of each administrator's; none = nobody administers by HTTP. */
	readonly adminTokenHashes: readonly string[];
	/** Tags of machines whose certificates name none. */
	readonly defaultTags?: readonly string[];
	/** UDP port of the STUN server, and the next; null = none. 0 = free ones. */
	readonly stunPort: number | null;
	readonly host?: string;
	readonly heartbeatTimeoutMs?: number;
	/** Of a STUN server that runs beside it. */
	readonly stunPorts?: readonly number[];
}

/** The overlay's control plane, without its listener: routes and an authenticator for one. */
export class Coordinator implements Closeable {
	readonly routes: readonly Route[];
	readonly health: HealthTable;
	readonly registry: Registry;
	readonly #lifetime: Lifetime;
	readonly #stun: StunServer | null;
	readonly #credentials: CoordinatorCredentials;
	readonly #revocations: RevocationFile;
	readonly #useCertificate: (tls: TlsIdentity) => void;

	private constructor(
		routes: readonly Route[],
		credentials: CoordinatorCredentials,
		revocations: RevocationFile,
		health: HealthTable,
		registry: Registry,
		lifetime: Lifetime,
		stun: StunServer | null,
		useCertificate: (tls: TlsIdentity) => void,
	) {
		this.#useCertificate = useCertificate;
		this.routes = routes;
		this.#credentials = credentials;
		this.#revocations = revocations;
		this.health = health;
		this.registry = registry;
		this.#lifetime = lifetime;
		this.#stun = stun;
	}

	/** @throws WarrenError `bad_policy`, `policy_test_failed`. */
	static async open(deps: CoordinatorDeps, options: CoordinatorOptions): Promise<Coordinator> {
		const { clock, random } = deps;
		const lifetime = new Lifetime();
		const health = deps.health ?? new HealthTable(clock);
		const metrics = new Metrics();
		const roster = new RosterMachine(parse(options.policy ?? defaultDeny), () => newId(random, 8));
		const shared = deps.shared ?? null;
		if (shared !== null) roster.restore(shared.start, shared);
		const registry = new Registry(
			roster,
			new AddressBook(shared ?? deps.addresses ?? noAddressStore),
			clock,
			random,
			{
				durable: shared !== null || deps.addresses !== null,
				byToken: deps.joinTokens !== null,
				defaultTags: options.defaultTags ?? [],
				heartbeatTimeoutMs: options.heartbeatTimeoutMs ?? coordinatorLimits.heartbeatTimeoutMs,
			},
			shared,
		);
		const revocations = deps.revocations ?? noRevocations;
		const credentials = new CoordinatorCredentials(clock, options.adminTokenHashes, revocations);
		const streams = new Streams(roster, clock, random);
		lifetime.own(streams);
		const punches = new Punches(roster, clock, () => streams.changed());
		const relay = new Relay(registry, punches, clock);
		const policy = new PolicyDesk(roster, (text) => options.savePolicy?.(text));
		const stun =
			options.stunPort === null ? null : lifetime.own(await StunServer.open(options.host, options.stunPort, clock));
		let certificate = options.tls?.cert ?? null;
		const signer = options.tls === null ? null : new RosterSigner(options.tls, clock);
		const check = () => {
			if (roster.policy.rules.length === 0) health.raise(coordinatorConditions.policyEmpty);
			else health.clear(coordinatorConditions.policyEmpty);
			if (certificate !== null) {
				const { notAfter } = readCertificate(Buffer.from(certificate));
				if (notAfter - clock.now() >= 30 * 24 * 3600 * 1000) health.clear(coordinatorConditions.certificateExpiring);
				else
					health.raise(coordinatorConditions.certificateExpiring, {
						date: new Date(notAfter).toISOString().slice(0, 10),
					});
			}
		};
		if (options.tls === null) health.raise(coordinatorConditions.insecure);
		check();
		metrics.gauge("overlay_peers", "Registered peers", () => registry.size);
		metrics.gauge("overlay_streams", "Open roster streams", () => streams.size);
		metrics.gauge("overlay_relay_lanes", "Open relay connections", () => relay.size);
		metrics.gauge("overlay_relay_forwarded", "Datagrams that the relay passed on", () => relay.forwarded);
		metrics.gauge("overlay_relay_dropped", "Datagrams that the relay dropped", () => relay.dropped);
		const routes = coordinatorRoutes({
			registry,
			streams,
			punches,
			relay,
			policy,
			services: new ServiceNames(shared ?? deps.addresses, clock, random),
			credentials,
			joinTokens: deps.joinTokens,
			signer,
			audit: deps.audit,
			metrics,
			health: () => ({ status: health.summary(), conditions: health.list(), peers: registry.size }),
			insecure: options.tls === null,
			stunPorts: () => stun?.ports ?? options.stunPorts ?? [],
			run: shared?.run ?? newId(random, 8),
			settled: async () => shared?.settled(),
		});
		let sweeping: Timer = { cancel() {} };
		const sweep = () => {
			try {
				if (registry.sweep() > 0) relay.sweep();
				revocations
					.refresh()
					.catch((failure: unknown) =>
						deps.logger.warn("the revocation list cannot be read", { fault: messageOf(failure) }),
					);
				streams.changed();
				check();
			} finally {
				sweeping = clock.after(coordinatorLimits.sweepMs, sweep);
			}
		};
		sweeping = clock.after(coordinatorLimits.sweepMs, sweep);
		lifetime.defer(() => sweeping.cancel());
		const useCertificate = (tls: TlsIdentity) => {
			certificate = tls.cert;
			signer?.use(tls);
			check();
		};
		return new Coordinator(routes, credentials, revocations, health, registry, lifetime, stun, useCertificate);
	}

	get authenticator(): Authenticator {
		return this.#credentials;
	}

	get stunPorts(): readonly number[] {
		return this.#stun?.ports ?? [];
	}

	/** Its certificate was renewed: rosters are signed with it, and health speaks of it. The listener is told by its owner. */
	useCertificate(tls: TlsIdentity): void {
		this.#useCertificate(tls);
	}

	/** Once the listener is there: cuts what a revoked certificate has open. */
	listening(listener: Listener): void {
		this.#revocations.onChange(() => {
			listener.disconnect(
				(identity) => this.#revocations.isRevoked(this.#credentials.factsOf(identity)?.serialNumber ?? ""),
				closeCodes.forbidden,
				"the certificate is revoked",
			);
			this.registry.dropRevoked((serialNumber) => this.#revocations.isRevoked(serialNumber));
		});
	}

	close(): Promise<void> {
		return this.#lifetime.close();
	}
}
