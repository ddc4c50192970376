import type { Clock } from "@warren/kernel";
import { addressKey } from "./address.ts";
import type { PeerDialer } from "./dialer.ts";
import type { KnownPeer } from "./known-peers.ts";
import type { PeerPath } from "./path.ts";
import { type ProbeResult, probe } from "./probe.ts";

export const reachLimits = {
	/** The next address is tried after this long without an answer (RFC 8305 §5). */
	staggerMs: 250,
	/** Of one machine: more are not tried. */
	maxAddresses: 8,
	/** The tunnel is the floor, not a shortcut: it is asked after this long. */
	tunnelAfterMs: 500,
	/** And believed after this long, when an address could have answered. */
	patienceMs: 1_000,
} as const;

export interface Reached {
	readonly path: PeerPath;
	readonly result: ProbeResult;
}

/**
 * Asks a peer at its addresses, best first, each a moment after the one before or as soon as that one failed; last, when
 * none has answered, through its tunnel. The first that answers and is believed wins. Never rejects.
 * @returns when none wins, what the peer's first address said.
 */
export function reach(peer: KnownPeer, dialer: PeerDialer, clock: Clock): Promise<Reached> {
	const paths = dialer.pathsTo(peer, reachLimits.maxAddresses);
	const addresses = paths.filter((path) => path.via === "address");
	const tunnel = paths.find((path) => path.via === "tunnel");
	return new Promise((resolve) => {
		const answers: Reached[] = [];
		const timers: { cancel(): void }[] = [];
		let stagger: { cancel(): void } | undefined;
		let next = 0;
		let open = 0;
		let asked = false;
		let isPatient = tunnel !== undefined;
		let tunnelled: Reached | undefined;
		const isWon = ({ path, result }: Reached) =>
			result.ok && (paths.length === 1 || dialer.checkOn(path, peer, result.shown).verdict === "match");
		const finish = (reached: Reached) => {
			stagger?.cancel();
			for (const timer of timers) timer.cancel();
			resolve(reached);
		};
		const ask = (path: PeerPath) => {
			open += 1;
			void probe(path, dialer, clock).then((result) => {
				open -= 1;
				const reached = { path, result };
				answers.push(reached);
				if (!isWon(reached)) return look();
				if (path.via === "address") return finish(reached);
				tunnelled = reached;
				look();
			});
		};
		const askTunnel = () => {
			if (asked || tunnel === undefined) return;
			asked = true;
			ask(tunnel);
		};
		const askNext = () => {
			stagger?.cancel();
			const path = addresses[next++];
			if (path === undefined) return;
			if (next < addresses.length) stagger = clock.after(reachLimits.staggerMs, askNext);
			ask(path);
		};
		const look = () => {
			const addressesLeft = next < addresses.length || open > (asked && tunnelled === undefined ? 1 : 0);
			if (tunnelled !== undefined && (!isPatient || !addressesLeft)) return finish(tunnelled);
			if (next < addresses.length) return askNext();
			if (open > 0) return;
			if (tunnel !== undefined && !asked) return askTunnel();
			if (tunnelled === undefined) finish(worst(answers, peer));
		};
		if (tunnel !== undefined) {
			timers.push(clock.after(reachLimits.tunnelAfterMs, askTunnel));
			timers.push(
				clock.after(reachLimits.patienceMs, () => {
					isPatient = false;
					look();
				}),
			);
		}
		if (addresses.length === 0) askTunnel();
		else askNext();
	});
}

function worst(answers: readonly Reached[], peer: KnownPeer): Reached {
	const key = addressKey(peer.address);
	const first = answers.find(({ path }) => path.via === "address" && addressKey(path.address) === key);
	return (first ?? answers[0]) as Reached;
}
