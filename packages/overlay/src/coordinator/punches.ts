import { type Clock, ExpiringMap } from "@warren/kernel";
import type { OverlayPeerId } from "../protocol/peer-record.ts";
import type { RosterMachine } from "../protocol/roster-machine.ts";
import { coordinatorLimits } from "./limits.ts";
import type { LivePeer } from "./live-peer.ts";

export type PeerCommand = { readonly type: "holepunch_initiate" | "relay_wake" } & Record<string, unknown>;

/**
 * Tells two peers to send to each other at the same moment. Both are told, each as the initiator towards the other; a
 * pair has a pause, so that repeated asking is no flood, and is told again after it, so that one lost event strands
 * nobody. Whoever has no stream finds the command in the answer to its next heartbeat.
 */
export class Punches {
	readonly #roster: RosterMachine;
	readonly #clock: Clock;
	readonly #told: () => void;
	readonly #recent: ExpiringMap<string, true>;
	readonly #waiting: ExpiringMap<OverlayPeerId, PeerCommand[]>;

	/** @param told called when something waits for an open stream. */
	constructor(roster: RosterMachine, clock: Clock, told: () => void) {
		this.#told = told;
		this.#roster = roster;
		this.#clock = clock;
		this.#recent = new ExpiringMap(clock, coordinatorLimits.maxPunchPairs);
		this.#waiting = new ExpiringMap(clock, coordinatorLimits.maxPeers);
	}

	/** @param pauseMs of this pair, from now. @returns false when it was told lately, or one of them has no endpoint. */
	initiate(from: LivePeer, to: LivePeer, pauseMs: number): boolean {
		const pair = [from.entry.peerId, to.entry.peerId].sort().join(" ");
		if (this.#recent.get(pair) !== undefined || !this.#roster.sees(from.entry.peerId, to.entry.peerId)) return false;
		if (from.record.endpoint === undefined || to.record.endpoint === undefined) return false;
		this.#recent.set(pair, true, pauseMs);
		const timestamp = Math.round(this.#clock.now() * 1000);
		for (const [self, other] of [
			[from, to],
			[to, from],
		] as const) {
			this.tell(self.entry.peerId, {
				type: "holepunch_initiate",
				initiator_peer_id: self.entry.peerId,
				target_peer_id: other.entry.peerId,
				target_external_endpoint: other.record.endpoint,
				timestamp_micros: timestamp,
			});
		}
		return true;
	}

	/** Somebody sends to a peer that is not at the relay. */
	wake(recipient: LivePeer, source: LivePeer): void {
		const pair = `wake ${recipient.entry.peerId}`;
		if (this.#recent.get(pair) !== undefined) return;
		this.#recent.set(pair, true, coordinatorLimits.punchAskedEveryMs);
		this.tell(recipient.entry.peerId, {
			type: "relay_wake",
			recipient_peer_id: recipient.entry.peerId,
			source_ula: source.entry.ula,
			timestamp_micros: Math.round(this.#clock.now() * 1000),
		});
	}

	tell(peerId: OverlayPeerId, command: PeerCommand): void {
		const { type, ...data } = command;
		if (this.#roster.tell(peerId, type, data)) return this.#told();
		const waiting = [...(this.#waiting.get(peerId) ?? []), command].slice(-coordinatorLimits.maxPendingCommands);
		this.#waiting.set(peerId, waiting, coordinatorLimits.heartbeatTimeoutMs);
	}

	/** What waits for a peer without a stream. */
	takeFor(peerId: OverlayPeerId): PeerCommand[] {
		return this.#waiting.take(peerId) ?? [];
	}
}
