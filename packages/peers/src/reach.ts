import type { Clock } from "@warren/kernel";
import { addressKey, type PeerAddress } from "./address.ts";
import type { PeerDialer } from "./dialer.ts";
import type { KnownPeer } from "./known-peers.ts";
import { type ProbeResult, probe } from "./probe.ts";

export const reachLimits = {
	/** The next address is tried after this long without an answer (RFC 8305 §5). */
	staggerMs: 250,
	/** Of one machine: more are not tried. */
	maxAddresses: 8,
} as const;

export interface Reached {
	readonly address: PeerAddress;
	readonly result: ProbeResult;
}

/**
 * Asks a peer at the address where it answered last, then at its others, each a moment after the one before or as soon
 * as that one failed. The first that answers and is believed wins. Never rejects.
 * @returns when none wins, what the peer's first address said.
 */
export async function reach(peer: KnownPeer, dialer: PeerDialer, clock: Clock): Promise<Reached> {
	const addresses = inOrder(peer, dialer);
	const answers: Reached[] = [];
	return new Promise((resolve) => {
		let next = 0;
		let open = 0;
		let timer: { cancel(): void } | undefined;
		const isOver = () => next >= addresses.length && open === 0;
		const start = () => {
			timer?.cancel();
			const address = addresses[next++];
			if (address === undefined) return;
			open += 1;
			void probe(address, dialer, clock).then((result) => {
				open -= 1;
				const reached = { address, result };
				answers.push(reached);
				if (
					result.ok &&
					(addresses.length === 1 || dialer.check({ ...peer, address }, result.shown).verdict === "match")
				)
					finish(reached);
				else if (isOver()) finish(worst(answers, peer));
				else start();
			});
			if (next < addresses.length) timer = clock.after(reachLimits.staggerMs, start);
		};
		const finish = (reached: Reached) => {
			timer?.cancel();
			resolve(reached);
		};
		start();
	});
}

/** Only a machine that proves itself may be looked for elsewhere: at its other addresses anybody may sit. */
function inOrder(peer: KnownPeer, dialer: PeerDialer): PeerAddress[] {
	if (!dialer.provesItself(peer)) return [peer.address];
	const all = [dialer.addressOf(peer), peer.address, ...peer.others];
	const byKey = new Map(all.map((address) => [addressKey(address), address]));
	return [...byKey.values()].slice(0, reachLimits.maxAddresses);
}

function worst(answers: readonly Reached[], peer: KnownPeer): Reached {
	const key = addressKey(peer.address);
	return (answers.find((each) => addressKey(each.address) === key) ?? answers[0]) as Reached;
}
