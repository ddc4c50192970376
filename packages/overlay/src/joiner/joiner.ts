import {
	Backoff,
	type Closeable,
	delay,
	HealthTable,
	messageOf,
	type OverlayDevice,
	type Timer,
	WarrenError,
} from "@warren/kernel";
import { canonicalUla, keyOf } from "../addresses.ts";
import { parseEndpoint } from "../endpoint.ts";
import { overlayError } from "../errors.ts";
import type { WireGuardKey } from "../protocol/peer-record.ts";
import { publicKeyOf } from "../protocol/probe.ts";
import type { StreamEvent } from "../protocol/sse.ts";
import { AppliedPeers } from "./applied-peers.ts";
import { joinerConditions } from "./conditions.ts";
import { beaten, punchEvent, registered } from "./coordinator-answers.ts";
import { CoordinatorLink } from "./coordinator-link.ts";
import { HostChanges } from "./host-changes.ts";
import { JoinerFiles, type JoinerIdentity } from "./joiner-files.ts";
import { type HostedApp, type JoinerDeps, type JoinerOptions, joinerLimits } from "./joiner-options.ts";
import { peerStatus } from "./joiner-status.ts";
import { PathDriver } from "./path-driver.ts";
import { PeerTable } from "./peer-table.ts";
import { RelayLanes } from "./relay-lanes.ts";
import { ServedApps } from "./served-apps.ts";
import { ServedNames } from "./served-names.ts";
import { verifyRoster } from "./signed-roster.ts";
import { registerStaticDevice } from "./static-device.ts";

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
	#identity: JoinerIdentity | null;
	/** The coordinator's, of the last registration. */
	#coordinatorRun: string | null = null;
	#observedEndpoint: string | null = null;
	#device: OverlayDevice | null = null;
	#paths: PathDriver | null = null;
	#relay: RelayLanes | null = null;
	readonly #apps: ServedApps;
	#host: HostChanges | null = null;
	#peers: AppliedPeers | null = null;
	#names: ServedNames | null = null;
	#lastEventId: string | null = null;
	#connected = false;
	#streaming = false;
	/** Ends the stream of a coordinator that another is preferred to. */
	#elsewhere = new AbortController();
	/** It has just been turned to again: a refusal sends this machine back. */
	#hasReturned = false;
	#returnAt = 0;
	#running: Promise<void> = Promise.resolve();
	#syncTimer: Timer | null = null;
	#syncing: Promise<void> = Promise.resolve();
	#rosterTimer: Timer | null = null;
	#beatTimer: Timer | null = null;
	#statusTimer: Timer | null = null;
	#monotonicLag = 0;
	#registering: Promise<void> | null = null;
	#closing: Promise<void> | undefined;

	private constructor(deps: JoinerDeps, options: JoinerOptions) {
		this.#deps = deps;
		this.#options = options;
		this.health = deps.health ?? new HealthTable(deps.clock);
		this.#table = new PeerTable(deps.clock);
		this.#files = new JoinerFiles(options.folder, deps.logger);
		this.#privateKey = this.#files.privateKey(deps.random);
		this.#key = keyOf(publicKeyOf(this.#privateKey));
		this.#identity = this.#files.identity();
		this.#apps = new ServedApps(options.apps, options.bindAddress);
		this.#link = new CoordinatorLink(options.coordinators, options.tls, deps.clock);
		if (options.tls === null) this.health.raise(joinerConditions.insecure);
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
		return this.#identity?.ula ?? "";
	}

	get peerId(): string {
		return this.#identity?.peer_id ?? "";
	}

	get publicKey(): string {
		return this.#key;
	}

	get connected(): boolean {
		return this.#connected;
	}

	/** Peers as the device has them. */
	get peerCount(): number {
		return this.#peers?.size ?? 0;
	}

	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		this.#stop.abort(new Error("the joiner stops"));
		for (const timer of [this.#syncTimer, this.#rosterTimer, this.#beatTimer, this.#statusTimer]) timer?.cancel();
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
	async leave(): Promise<void> {
		if (this.#identity !== null)
			await this.#link.call("POST", "/v1/mesh/deregister", { peer_id: this.#identity.peer_id });
	}

	/** What `warren overlay status` shows; also in `status.json`. */
	async status() {
		const device = await this.#device?.status();
		return {
			name: this.#options.name,
			peer_id: this.peerId,
			ula: this.ula,
			wg_public_key: this.#key,
			coordinator: this.#link.url,
			/** Where others may reach it, best guess first. */
			endpoint: this.#options.listenEndpoint ?? this.#paths?.candidates()[0] ?? this.#observedEndpoint,
			connected: this.#connected,
			interface: device?.interfaceName ?? this.#options.interfaceName,
			listen_port: device?.listenPort ?? 0,
			data_plane: device?.dataPlane ?? null,
			nat: this.#paths?.nat ?? null,
			relay: this.#relay?.available ?? false,
			hosted_app_ulas: this.#apps.ulas(),
			updated_at: this.#deps.clock.now(),
			conditions: this.health.list(),
			peers: (this.#peers?.all() ?? []).map((peer) => peerStatus(peer, this.peerId, device, this.#paths)),
		};
	}

	async #start(): Promise<void> {
		const offline = this.#rosterOnDisk();
		try {
			await this.#register();
		} catch (failure) {
			const away = failure instanceof WarrenError && (failure.status >= 500 || failure.code === "coordinator_away");
			if (!away || offline === null) throw failure;
			this.#deps.logger.warn("no coordinator answers: starting with the roster on disk", { fault: messageOf(failure) });
			this.health.raise(joinerConditions.coordinatorAway, { fault: messageOf(failure) });
			this.#table.replace(offline);
		}
		await this.#openDevice();
		await this.#peers?.sync();
		this.#running = this.#run();
		this.#armStatus();
	}

	#rosterOnDisk(): unknown[] | null {
		const signed = this.#files.signedRoster();
		if (signed === null || this.#identity === null) return null;
		const verified = verifyRoster(signed, this.#options.tls?.ca ?? null);
		if (verified !== null && verified.peerId === this.#identity.peer_id) return verified.peers;
		this.#deps.logger.warn("the roster on disk is not signed by this overlay's coordinator, and is not used");
		return null;
	}

	/** The stream and the heartbeat may both find that they are unknown: one registration serves them. */
	#register(): Promise<void> {
		this.#registering ??= this.#registerNow().finally(() => {
			this.#registering = null;
		});
		return this.#registering;
	}

	async #registerNow(): Promise<void> {
		const { name, network, tags, relayOnly, listenEndpoint, softwareVersion, joinToken } = this.#options;
		const answer = registered.parse(
			await this.#link.call("POST", "/v1/mesh/register", {
				wg_public_key: this.#key,
				wg_listen_port: this.#device?.listenPort ?? (this.#options.listenPort || undefined),
				...(listenEndpoint === undefined ? {} : { listen_endpoint: listenEndpoint }),
				display_name: name,
				network,
				tags,
				kind: "peer",
				hosted_app_ulas: this.#apps.ulas(),
				relay_only: relayOnly,
				software_version: softwareVersion,
				candidates: this.#paths?.candidates() ?? [],
				// What it had: a coordinator without a memory gives it back.
				...(this.#identity === null ? {} : { requested_ula: this.#identity.ula }),
				...(joinToken === undefined ? {} : { join_token: joinToken.trim() }),
			}),
		);
		const before = this.#identity;
		this.#identity = {
			peer_id: answer.peer_id,
			ula: canonicalUla(answer.ula) as string,
			network: answer.network ?? network,
			coordinator: this.#link.url,
		};
		this.#files.write("identity.json", `${JSON.stringify(this.#identity)}\n`);
		const restarted = answer.run === undefined || answer.run !== this.#coordinatorRun;
		this.#table.replace(answer.peers, restarted ? joinerLimits.settleMs : 0);
		this.#coordinatorRun = answer.run ?? null;
		this.#observedEndpoint = answer.observed_endpoint ?? this.#observedEndpoint;
		this.#lastEventId = null;
		this.#connected = true;
		this.health.clear(joinerConditions.coordinatorAway);
		this.health.clear(joinerConditions.refused);
		if (this.#device !== null && before !== null && before.ula !== this.#identity.ula)
			await this.#moveAddress(before.ula, this.#identity.ula);
		// The lanes belong to where the others are.
		if (before !== null && before.coordinator !== this.#identity.coordinator) this.#relay?.redial();
		else this.#relay?.retryNow();
		this.#stunPorts = answer.stun_ports;
		void this.#paths?.useStun(new URL(this.#link.url).hostname, this.#stunPorts);
		for (const device of this.#files.devices()) {
			// A parent that came back brings its devices with it.
			await registerStaticDevice(this.#link, this.#identity, device).catch((failure: unknown) =>
				this.#deps.logger.warn("a device could not be registered", { device: device.name, fault: messageOf(failure) }),
			);
		}
		this.#fetchRosterSoon();
		this.#sync();
	}

	#stunPorts: readonly number[] = [];

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
		});
		this.#device = device;
		const relay = new RelayLanes(this.#link, this.#key, clock, random);
		this.#relay = relay;
		const paths = new PathDriver(device, relay, clock, random, {
			privateKey: this.#privateKey,
			localCandidates: this.#options.localCandidates,
		});
		this.#paths = paths;
		paths.onPunch((key) => this.#askForPunch(key));
		paths.onCandidates(() => this.#beatSoon());
		relay.start();
		if (this.#connected) void paths.useStun(new URL(this.#link.url).hostname, this.#stunPorts);
		const { dataPlane, fallback } = await device.status();
		if (fallback !== null) this.health.raise(joinerConditions.dataPlane, { plane: dataPlane, fault: fallback });
		const host = new HostChanges(this.#deps.network, device.interfaceName, this.health, this.#deps.logger);
		this.#host = host;
		await this.#apps.open(host);
		const peers = new AppliedPeers({ device, paths, host, table: this.#table }, () => ({
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

	/** Serves these apps from now on; one that stays as it was is not disturbed. @throws WarrenError `bad_config`. */
	setApps(apps: readonly HostedApp[]): Promise<void> {
		const changed = this.#syncing.then(async () => {
			await this.#apps.set(apps, this.#host);
			if (this.#host === null) return;
			// The addresses are ours to the others from the next heartbeat on, and left to others.
			this.#beatSoon();
			this.#sync();
		});
		this.#syncing = changed.catch(() => {});
		return changed;
	}

	/** Where an app of this machine is served. For tests. */
	appPortOf(ula: string): number | null {
		return this.#apps.portOf(ula);
	}

	get namePort(): number | null {
		return this.#names?.port ?? null;
	}

	async #moveAddress(from: string, to: string): Promise<void> {
		this.#deps.logger.warn("the coordinator gave another address", { from, to });
		await this.#host?.apply({ addAddresses: [to], removeAddresses: [from] });
		await this.#names?.open(to);
	}

	/** Stays connected until `close`: the stream, then all over again. */
	async #run(): Promise<void> {
		const { clock, random, logger } = this.#deps;
		const backoff = new Backoff(joinerLimits.backoff, random);
		const { signal } = this.#stop;
		this.#armBeat();
		while (!signal.aborted) {
			const { url } = this.#link;
			const elsewhere = this.#elsewhere.signal;
			try {
				if (!this.#connected) await this.#register();
				const openedAt = clock.monotonic();
				await this.#link.stream(
					`/v1/mesh/peers/stream?peer_id=${this.peerId}&deltas=1`,
					this.#lastEventId,
					(event) => this.#onEvent(event),
					AbortSignal.any([signal, elsewhere]),
				);
				if (clock.monotonic() - openedAt > joinerLimits.backoff.maxMs) backoff.reset();
			} catch (failure) {
				if (signal.aborted) return;
				if (elsewhere.aborted) backoff.reset();
				else this.#onFailure(failure, url);
				logger.debug("the coordinator's stream ended", { fault: messageOf(failure) });
			}
			this.#streaming = false;
			await delay(clock, backoff.nextMs(), signal).catch(() => {});
		}
	}

	/** @param url of the coordinator that was asked. */
	#onFailure(failure: unknown, url: string): void {
		const status = failure instanceof WarrenError ? failure.status : 0;
		// Unknown there: a coordinator that was restarted, or we were silent for too long.
		if (status === 401 || status === 404) this.#connected = false;
		if (status === 401 || status === 403 || status === 409)
			this.health.raise(joinerConditions.refused, { fault: messageOf(failure) });
		if (failure instanceof WarrenError && failure.code === "coordinator_away") {
			this.health.raise(joinerConditions.coordinatorAway, { fault: messageOf(failure) });
			if (this.#options.coordinators.length > 1) this.#leaveCoordinator(url);
		} else if (this.#hasReturned && (status === 401 || status === 403 || status === 409)) {
			this.#returnAt = this.#deps.clock.monotonic() + joinerLimits.returnPauseMs;
			this.#leaveCoordinator(url);
		}
	}

	#leaveCoordinator(url: string): void {
		if (url !== this.#link.url) return;
		this.#link.next(url);
		this.#connected = this.#hasReturned = false;
	}

	/** With a spare coordinator: back to the one before it as soon as that answers. */
	async #returnToEarlier(): Promise<void> {
		if (!this.#link.isSpare || this.#deps.clock.monotonic() < this.#returnAt) return;
		if (!(await this.#link.returnToEarlier(this.#stop.signal))) return;
		this.#deps.logger.info("an earlier coordinator answers again", { coordinator: this.#link.url });
		this.#connected = false;
		this.#hasReturned = true;
		this.#elsewhere.abort(new Error("an earlier coordinator answers again"));
		this.#elsewhere = new AbortController();
		await this.#register();
		this.#hasReturned = false;
	}

	#onEvent({ event, data, id }: StreamEvent): void {
		let value: unknown;
		try {
			value = JSON.parse(data);
		} catch {
			// One unreadable event: the next snapshot or heartbeat mends what it said.
			return;
		}
		this.#streaming = true;
		this.health.clear(joinerConditions.coordinatorAway);
		if (event === "error") this.#connected = false;
		else if (event === "holepunch_initiate") this.#punch(value);
		else if (event === "relay_wake") return;
		else if (this.#table.apply(event, value)) {
			this.#sync();
			this.#fetchRosterSoon();
		}
		// The id only once what came before it is in the table.
		if (id !== null) this.#lastEventId = id;
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
		if (target === undefined || !this.#connected) return;
		// One that is refused or lost is asked for again by the paths themselves.
		void this.#link
			.call("POST", "/v1/mesh/punch", { peer_id: this.peerId, target_peer_id: target }, this.#stop.signal)
			.catch((failure: unknown) => this.#deps.logger.debug("no punch", { fault: messageOf(failure) }));
	}

	#armBeat(): void {
		this.#beatTimer?.cancel();
		this.#beatTimer = this.#deps.clock.after(
			joinerLimits.heartbeatMs * (0.9 + 0.1 * this.#deps.random.fraction()),
			() => void this.#beat(),
		);
	}

	#beatSoon(): void {
		if (!this.#connected) return;
		this.#beatTimer?.cancel();
		this.#beatTimer = this.#deps.clock.after(200, () => void this.#beat());
	}

	async #beat(): Promise<void> {
		const { clock } = this.#deps;
		// A host that slept: its monotonic clock stood still while the world went on.
		const lag = clock.now() - clock.monotonic();
		if (this.#monotonicLag !== 0 && Math.abs(lag - this.#monotonicLag) > 5_000) this.#paths?.networkChanged();
		this.#monotonicLag = lag;
		if (this.#table.fade()) this.#sync();
		const { url } = this.#link;
		try {
			if (this.#connected) {
				const paths = (this.#peers?.all() ?? [])
					.slice(0, joinerLimits.maxPaths)
					.map((peer) => ({ peer_id: peer.info.peer_id, direct: this.#paths?.stateOf(peer.key)?.at === "direct" }));
				const nat = this.#paths?.nat ?? null;
				const answer = beaten.parse(
					await this.#link.call(
						"POST",
						"/v1/mesh/heartbeat",
						{
							peer_id: this.peerId,
							hosted_app_ulas: this.#apps.ulas(),
							wg_listen_port: this.#device?.listenPort,
							peer_paths: paths,
							dataplane_healthy: this.#device !== null,
							candidates: this.#paths?.candidates() ?? [],
							...(nat === null ? {} : { nat }),
							follows_stream: this.#streaming,
						},
						this.#stop.signal,
					),
				);
				this.health.clear(joinerConditions.coordinatorAway);
				this.#observedEndpoint = answer.observed_endpoint ?? this.#observedEndpoint;
				if (!this.#streaming) {
					this.#table.replace(answer.peers);
					this.#sync();
				}
				for (const { type, ...command } of answer.pending_commands)
					if (type === "holepunch_initiate") this.#punch(command);
				await this.#returnToEarlier();
			}
		} catch (failure) {
			if (this.#stop.signal.aborted) return;
			// Of the one that was asked last: a return to an earlier one may have changed that.
			this.#onFailure(failure, this.#hasReturned ? this.#link.url : url);
			const again = this.#link.url;
			if (!this.#connected) await this.#register().catch((fault: unknown) => this.#onFailure(fault, again));
		}
		if (!this.#stop.signal.aborted) this.#armBeat();
	}

	#sync(): void {
		if (this.#peers === null || this.#stop.signal.aborted) return;
		this.#syncTimer ??= this.#deps.clock.after(joinerLimits.syncPauseMs, () => {
			this.#syncTimer = null;
			this.#syncing = this.#syncing.then(() => this.#peers?.sync());
		});
	}

	/** The roster as it may be believed after a restart without a coordinator. */
	#fetchRosterSoon(): void {
		this.#rosterTimer ??= this.#deps.clock.after(joinerLimits.rosterPauseMs, () => {
			this.#rosterTimer = null;
			void this.saveRoster().catch((failure: unknown) =>
				this.#deps.logger.debug("the roster was not saved", { fault: messageOf(failure) }),
			);
		});
	}

	/** Fetches and keeps the signed roster now. @throws WarrenError. */
	async saveRoster(): Promise<void> {
		const signed = await this.#link.call<Parameters<typeof verifyRoster>[0]>(
			"GET",
			`/v1/mesh/roster?peer_id=${this.peerId}`,
			undefined,
			this.#stop.signal,
		);
		if (verifyRoster(signed, this.#options.tls?.ca ?? null) === null)
			throw overlayError("refused", "The coordinator's roster is not signed as it must be.");
		this.#files.write("roster.json", `${JSON.stringify(signed)}\n`);
	}

	#armStatus(): void {
		const write = async () => {
			const status = await this.status();
			for (const peer of status.peers) {
				const wanted = this.#peers?.ofId(peer.peer_id);
				if (wanted !== undefined) this.#paths?.traffic(wanted.key, peer.rx_bytes + peer.tx_bytes);
			}
			this.#files.write("status.json", `${JSON.stringify(status, null, "\t")}\n`);
		};
		const round = () => {
			void write()
				.catch((failure: unknown) =>
					this.#deps.logger.warn("the status file could not be written", { fault: messageOf(failure) }),
				)
				.finally(() => {
					if (!this.#stop.signal.aborted) this.#statusTimer = this.#deps.clock.after(joinerLimits.statusMs, round);
				});
		};
		round();
	}
}
