import {
	type Closeable,
	HealthTable,
	messageOf,
	type OverlayDevice,
	type OverlayDeviceStatus,
	type Timer,
	WarrenError,
} from "@warren/kernel";
import { keyOf } from "../addresses.ts";
import { parseEndpoint } from "../endpoint.ts";
import type { WireGuardKey } from "../protocol/peer-record.ts";
import { publicKeyOf } from "../protocol/probe.ts";
import { AppliedPeers } from "./applied-peers.ts";
import { joinerConditions } from "./conditions.ts";
import { punchEvent } from "./coordinator-answers.ts";
import { CoordinatorLink } from "./coordinator-link.ts";
import { CoordinatorSession } from "./coordinator-session.ts";
import { Heartbeat } from "./heartbeat.ts";
import { HostChanges } from "./host-changes.ts";
import { JoinerFiles, type JoinerIdentity } from "./joiner-files.ts";
import { type HostedApp, type JoinerDeps, type JoinerOptions, joinerLimits } from "./joiner-options.ts";
import { peerStatuses } from "./joiner-status.ts";
import { KeptRoster } from "./kept-roster.ts";
import { LinkCertificate } from "./link-certificate.ts";
import { PathDriver } from "./path-driver.ts";
import { PeerTable } from "./peer-table.ts";
import { Registration } from "./registration.ts";
import { RelayLanes } from "./relay-lanes.ts";
import { ServedApps } from "./served-apps.ts";
import { ServedNames } from "./served-names.ts";
import { StatusFile } from "./status-file.ts";

/** Keeps one device in step with the overlay: registers, beats, follows the roster, finds paths, serves apps and names. */
export class Joiner implements Closeable {
	readonly health: HealthTable;
	readonly #deps: JoinerDeps;
	readonly #options: JoinerOptions;
	readonly #files: JoinerFiles;
	readonly #link: CoordinatorLink;
	readonly #table: PeerTable;
	readonly #privateKey: Uint8Array;
	readonly #key: WireGuardKey;
	readonly #stop = new AbortController();
	readonly #registration: Registration;
	readonly #session: CoordinatorSession;
	readonly #heartbeat: Heartbeat;
	readonly #roster: KeptRoster;
	readonly #statusFile: StatusFile<unknown>;
	readonly #apps: ServedApps;
	#device: OverlayDevice | null = null;
	/** As it was asked last. */
	#isDeviceAnswering = true;
	#paths: PathDriver | null = null;
	#relay: RelayLanes | null = null;
	#host: HostChanges | null = null;
	#peers: AppliedPeers | null = null;
	#names: ServedNames | null = null;
	#running: Promise<void> = Promise.resolve();
	#syncTimer: Timer | null = null;
	#syncing: Promise<void> = Promise.resolve();
	#closing: Promise<void> | undefined;

	private constructor(deps: JoinerDeps, options: JoinerOptions) {
		this.#deps = deps;
		this.#options = options;
		this.health = deps.health ?? new HealthTable(deps.clock);
		this.#table = new PeerTable(deps.clock);
		this.#files = new JoinerFiles(options.folder, deps.logger);
		this.#privateKey = this.#files.privateKey(deps.random);
		this.#key = keyOf(publicKeyOf(this.#privateKey));
		this.#apps = new ServedApps(options.apps, options.bindAddress, this.health);
		this.#link = new CoordinatorLink(options.coordinators, options.tls, deps.clock);
		if (options.tls === null) this.health.raise(joinerConditions.insecure);
		const parts = {
			...{ clock: deps.clock, random: deps.random, logger: deps.logger, health: this.health, files: this.#files },
			...{ link: this.#link, table: this.#table, signal: this.#stop.signal },
		};
		const facts = () => ({
			listenPort: this.#device?.listenPort,
			candidates: this.#paths?.candidates() ?? [],
			apps: this.#apps.ulas(),
			appNames: this.#apps.names(),
		});
		const onRegistered = (before: JoinerIdentity | null) => this.#onRegistered(before);
		const registration = new Registration({ ...parts, facts, onRegistered }, options, this.#key);
		this.#registration = registration;
		const onEvent = (event: string, value: unknown) => this.#onEvent(event, value);
		this.#session = new CoordinatorSession({ ...parts, registration, onEvent });
		this.#roster = new KeptRoster({ ...parts, registration });
		const read = options.readTls;
		const certificate = read === undefined ? null : new LinkCertificate({ ...parts, read });
		this.#heartbeat = new Heartbeat({
			...parts,
			registration,
			session: this.#session,
			facts: () => ({
				...facts(),
				paths: (this.#peers?.all() ?? [])
					.slice(0, joinerLimits.maxPaths)
					.map((peer) => ({ peer_id: peer.info.peer_id, direct: this.#paths?.stateOf(peer.key)?.at === "direct" })),
				nat: this.#paths?.nat ?? null,
				isHealthy: this.#device !== null && this.#isDeviceAnswering,
			}),
			onBeat: () => {
				certificate?.look();
				if (this.#table.fade()) this.#sync();
				this.#serveAgain();
			},
			onClockJump: () => this.#paths?.networkChanged(),
			onPeers: (peers) => {
				this.#table.replace(peers);
				this.#sync();
			},
			onPunch: (command) => this.#punch(command),
		});
		this.#statusFile = new StatusFile(parts, () => this.#observedStatus());
	}

	/**
	 * Joins, or goes on with what an earlier join left on disk when no coordinator answers.
	 * @throws WarrenError when the coordinator refuses, or cannot be asked and nothing is on disk.
	 */
	static async open(deps: JoinerDeps, options: JoinerOptions): Promise<Joiner> {
		const joiner = new Joiner(deps, options);
		try {
			await joiner.#start();
			return joiner;
		} catch (failure) {
			await joiner.close();
			throw failure;
		}
	}

	get ula(): string {
		return this.#registration.ula;
	}

	get peerId(): string {
		return this.#registration.peerId;
	}

	get publicKey(): string {
		return this.#key;
	}

	get connected(): boolean {
		return this.#registration.isKnown;
	}

	/** Where an app of this machine is served. For tests. */
	appPortOf(ula: string): number | null {
		return this.#apps.portOf(ula);
	}

	get namePort(): number | null {
		return this.#names?.port ?? null;
	}

	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		this.#stop.abort(new Error("the joiner stops"));
		this.#syncTimer?.cancel();
		for (const part of [this.#roster, this.#heartbeat, this.#statusFile]) part.close();
		await this.#running;
		await this.#syncing;
		await this.#apps.close();
		await this.#names?.close();
		this.#paths?.close();
		await this.#relay?.close();
		await this.#device?.close();
		this.#device = null;
		await this.#link.close();
	}

	/** Tells the coordinator that this machine goes. Its address stays its own. @throws WarrenError `coordinator_away`. */
	leave(): Promise<void> {
		return this.#registration.leave();
	}

	/** Fetches and keeps the signed roster now. @throws WarrenError. */
	saveRoster(): Promise<void> {
		return this.#roster.save();
	}

	/** What `warren overlay status` shows; also in `status.json`. */
	async status() {
		const device = await this.#deviceStatus();
		return {
			name: this.#options.name,
			peer_id: this.peerId,
			ula: this.ula,
			wg_public_key: this.#key,
			coordinator: this.#link.url,
			/** Where others may reach it, best guess first. */
			endpoint: this.#options.listenEndpoint ?? this.#paths?.candidates()[0] ?? this.#registration.observedEndpoint,
			connected: this.connected,
			interface: device?.interfaceName ?? this.#options.interfaceName,
			listen_port: device?.listenPort ?? 0,
			data_plane: device?.dataPlane ?? null,
			nat: this.#paths?.nat ?? null,
			relay: this.#relay?.available ?? false,
			hosted_app_ulas: this.#apps.ulas(),
			updated_at: this.#deps.clock.now(),
			conditions: this.health.list(),
			peers: peerStatuses(this.#peers?.all() ?? [], this.peerId, device, this.#paths),
		};
	}

	/** A device that cannot say how it stands has a condition of its own, which is told with all the rest; so are others. */
	async #deviceStatus(): Promise<OverlayDeviceStatus | undefined> {
		if (this.#device === null) return undefined;
		const status = await this.#device.status().catch(() => undefined);
		if (this.#isDeviceAnswering !== (status !== undefined)) {
			this.#isDeviceAnswering = status !== undefined;
			this.#heartbeat.soon();
		}
		return status;
	}

	/** Paths learn from it which peers have traffic. */
	async #observedStatus() {
		const status = await this.status();
		const keys = new Map(this.#peers?.all().map(({ info, key }) => [info.peer_id, key]));
		for (const peer of status.peers) {
			const key = keys.get(peer.peer_id);
			if (key !== undefined) this.#paths?.traffic(key, peer.rx_bytes + peer.tx_bytes);
		}
		return status;
	}

	async #start(): Promise<void> {
		const offline = this.#roster.load();
		try {
			await this.#registration.register();
		} catch (failure) {
			const away = failure instanceof WarrenError && (failure.status >= 500 || failure.code === "coordinator_away");
			if (!away || offline === null) throw failure;
			this.#deps.logger.warn("no coordinator answers: starting with the roster on disk", { fault: messageOf(failure) });
			this.health.raise(joinerConditions.coordinatorAway, { fault: messageOf(failure) });
			this.#table.replace(offline);
		}
		await this.#openDevice();
		await this.#peers?.sync();
		this.#heartbeat.start();
		this.#running = this.#session.run();
		this.#statusFile.start();
	}

	async #onRegistered(before: JoinerIdentity | null): Promise<void> {
		const { identity } = this.#registration;
		this.#session.beginAnew();
		if (this.#device !== null && before !== null && before.ula !== this.ula)
			await this.#moveAddress(before.ula, this.ula);
		// The lanes belong to where the others are.
		if (before !== null && before.coordinator !== identity?.coordinator) this.#relay?.redial();
		else this.#relay?.retryNow();
		this.#useStun();
		this.#roster.saveSoon();
		this.#sync();
	}

	async #openDevice(): Promise<void> {
		const { clock, random } = this.#deps;
		const device = await this.#deps.openDevice({
			interfaceName: this.#options.interfaceName,
			privateKey: this.#privateKey,
			listenPort: this.#options.listenPort,
			addresses: [`${this.ula}/128`],
			mtu: joinerLimits.mtu,
			dataPlane: this.#options.dataPlane,
			stateFile: this.#files.deviceStateFile,
			noteFile: this.#files.deviceNoteFile,
		});
		this.#device = device;
		device.onUnfit((reason) => this.#deps.onUnfit?.(reason));
		const relay = new RelayLanes(this.#link, this.#key, clock, random);
		this.#relay = relay;
		const paths = new PathDriver(device, relay, clock, random, {
			privateKey: this.#privateKey,
			localCandidates: this.#options.localCandidates,
		});
		this.#paths = paths;
		paths.onPunch((key) => this.#askForPunch(key));
		paths.onCandidates(() => this.#heartbeat.soon());
		relay.start();
		if (this.connected) this.#useStun();
		const host = new HostChanges(this.#deps.network, device.interfaceName, this.health, this.#deps.logger);
		this.#host = host;
		await this.#apps.open(host);
		const peers = new AppliedPeers({ device, paths, host, table: this.#table, logger: this.#deps.logger }, () => ({
			peerId: this.peerId,
			key: this.#key,
			ula: this.ula,
			apps: this.#apps.ulas(),
			relayOnly: this.#options.relayOnly,
		}));
		this.#peers = peers;
		this.#names = new ServedNames({ clock, health: this.health, host, peers, apps: this.#apps }, this.#options);
		await this.#names.open(this.ula);
	}

	#useStun(): void {
		void this.#paths?.useStun(new URL(this.#link.url).hostname, this.#registration.stunPorts);
	}

	/** Serves these apps from now on; one that stays as it was is not disturbed. @throws WarrenError `bad_config`. */
	setApps(apps: readonly HostedApp[]): Promise<void> {
		const changed = this.#syncing.then(async () => {
			await this.#apps.set(apps, this.#host);
			if (this.#host === null) return;
			// The addresses are ours to the others from the next heartbeat on, and left to others.
			this.#heartbeat.soon();
			this.#sync();
		});
		this.#syncing = changed.catch(() => {});
		return changed;
	}

	/** Apps that could not be served: what was in their way may be gone. */
	#serveAgain(): void {
		const host = this.#host;
		if (host === null || !this.#apps.isIncomplete || this.#stop.signal.aborted) return;
		this.#syncing = this.#syncing
			.then(() => (this.#stop.signal.aborted ? undefined : this.#apps.open(host)))
			.catch((failure: unknown) => this.#deps.logger.warn("apps are not served", { fault: messageOf(failure) }));
	}

	async #moveAddress(from: string, to: string): Promise<void> {
		this.#deps.logger.warn("the coordinator gave another address", { from, to });
		await this.#host?.apply({ addAddresses: [to], removeAddresses: [from] });
		await this.#names?.open(to);
	}

	#onEvent(event: string, value: unknown): void {
		if (event === "holepunch_initiate") this.#punch(value);
		else if (event === "relay_wake") return;
		else if (this.#table.apply(event, value)) {
			this.#sync();
			this.#roster.saveSoon();
		}
	}

	#punch(value: unknown): void {
		const punch = punchEvent.safeParse(value);
		if (!punch.success) return;
		const { initiator_peer_id: initiator, target_peer_id: target, target_external_endpoint: endpoint } = punch.data;
		const other = initiator === this.peerId ? target : initiator;
		const to =
			initiator === this.peerId ? parseEndpoint(endpoint) : parseEndpoint(this.#table.ofId(other)?.endpoint ?? "");
		const peer = this.#peers?.ofId(other);
		if (peer !== undefined && to !== null) this.#paths?.punch(peer.key, to);
	}

	#askForPunch(key: WireGuardKey): void {
		const target = this.#peers?.ofKey(key)?.info.peer_id;
		if (target === undefined || !this.connected) return;
		// One that is refused or lost is asked for again by the paths themselves.
		void this.#link
			.call("POST", "/v1/mesh/punch", { peer_id: this.peerId, target_peer_id: target }, this.#stop.signal)
			.catch((failure: unknown) => this.#deps.logger.debug("no punch", { fault: messageOf(failure) }));
	}

	#sync(): void {
		if (this.#peers === null || this.#stop.signal.aborted) return;
		this.#syncTimer ??= this.#deps.clock.after(joinerLimits.syncPauseMs, () => {
			this.#syncTimer = null;
			this.#syncing = this.#syncing
				.then(() => this.#peers?.sync())
				.catch((failure: unknown) =>
					this.#deps.logger.error("the roster could not be applied", { fault: messageOf(failure) }),
				);
		});
	}
}
