import type { Clock, HealthTable, Random, Timer } from "@warren/kernel";
import { joinerConditions } from "./conditions.ts";
import { beaten } from "./coordinator-answers.ts";
import type { CoordinatorLink } from "./coordinator-link.ts";
import type { CoordinatorSession } from "./coordinator-session.ts";
import { joinerLimits } from "./joiner-options.ts";
import type { OwnFacts, Registration } from "./registration.ts";

export interface HeartbeatDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly health: HealthTable;
	readonly link: CoordinatorLink;
	readonly registration: Registration;
	readonly session: CoordinatorSession;
	readonly facts: () => OwnFacts & {
		readonly paths: readonly { readonly peer_id: string; readonly direct: boolean }[];
		readonly nat: string | null;
		readonly isHealthy: boolean;
	};
	/** Before each beat, also while no coordinator knows this machine. */
	readonly onBeat: () => void;
	/** The host slept, or its clock was set. */
	readonly onClockJump: () => void;
	/** The whole roster, where no stream brings changes. */
	readonly onPeers: (peers: readonly unknown[]) => void;
	readonly onPunch: (command: unknown) => void;
	/** The joiner stops. */
	readonly signal: AbortSignal;
}

const beatSoonMs = 200;
/** Wall and monotonic clock apart by so much more, or less, than at the last beat. */
const jumpMs = 5_000;

/** Tells the coordinator every 20 s that this machine is there, and what has changed about it. */
export class Heartbeat {
	readonly #deps: HeartbeatDeps;
	#timer: Timer | null = null;
	/** Something has changed that no beat has told yet. */
	#isSoon = false;
	/** One at a time: of two that cross on the way the older would be believed. */
	#isTelling = false;
	#clockDistance: number | null = null;

	constructor(deps: HeartbeatDeps) {
		this.#deps = deps;
	}

	start(): void {
		const { random } = this.#deps;
		if (this.#timer === null) this.#arm(joinerLimits.heartbeatMs * (0.9 + 0.1 * random.fraction()));
	}

	/** Something that others should know has changed. */
	soon(): void {
		if (!this.#deps.registration.isKnown || this.#isSoon) return;
		this.#isSoon = true;
		this.#arm(beatSoonMs);
	}

	close(): void {
		this.#timer?.cancel();
	}

	#arm(afterMs: number): void {
		const { clock, signal } = this.#deps;
		this.#timer?.cancel();
		if (signal.aborted) return;
		this.#timer = clock.after(afterMs, () => {
			this.#timer = null;
			if (!this.#isTelling) void this.#beat();
		});
	}

	async #beat(): Promise<void> {
		const { link, registration, session, signal, onBeat } = this.#deps;
		this.#isSoon = false;
		this.#lookAtClock();
		onBeat();
		const { url } = link;
		try {
			if (registration.isKnown) {
				await this.#tell();
				await session.returnToEarlier();
			}
		} catch (failure) {
			if (signal.aborted) return;
			session.failed(failure, session.blamed(url));
			const again = link.url;
			if (!registration.isKnown) await registration.register().catch((fault: unknown) => session.failed(fault, again));
		}
		this.start();
	}

	/** A host that slept: its monotonic clock stood still while the world went on. */
	#lookAtClock(): void {
		const { clock, onClockJump } = this.#deps;
		const distance = clock.now() - clock.monotonic();
		if (this.#clockDistance !== null && Math.abs(distance - this.#clockDistance) > jumpMs) onClockJump();
		this.#clockDistance = distance;
	}

	async #tell(): Promise<void> {
		const { health, link, registration, session, signal, facts, onPeers, onPunch } = this.#deps;
		const { apps, appNames, listenPort, paths, isHealthy, candidates, nat } = facts();
		const follows = session.isStreaming;
		const body = {
			peer_id: registration.peerId,
			hosted_app_ulas: apps,
			hosted_app_names: appNames,
			wg_listen_port: listenPort,
			peer_paths: paths,
			dataplane_healthy: isHealthy,
			candidates,
			...(nat === null ? {} : { nat }),
			follows_stream: follows,
		};
		this.#isTelling = true;
		const answer = await link
			.call("POST", "/v1/mesh/heartbeat", body, signal)
			.then((value) => beaten.parse(value))
			.finally(() => {
				this.#isTelling = false;
				// What has changed while this was told is told by a beat of its own.
				if (this.#isSoon && this.#timer === null) this.#arm(beatSoonMs);
			});
		health.clear(joinerConditions.coordinatorAway);
		health.clear(joinerConditions.refused);
		registration.observedEndpoint = answer.observed_endpoint ?? registration.observedEndpoint;
		// Whoever follows the stream is told of nobody here, and the stream may have ended meanwhile; or it has begun, and
		// knows better by now.
		if (!follows && !session.isStreaming) onPeers(answer.peers);
		for (const { type, ...command } of answer.pending_commands) if (type === "holepunch_initiate") onPunch(command);
	}
}
