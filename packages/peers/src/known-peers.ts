import type { Clock, NodeId, PeerCandidate, PeerId, PeerSource, PeerSourceError } from "@warren/kernel";
import { addressKey, type PeerAddress, parsePeerHost, peerIdOf } from "./address.ts";

/** What sources may take together. */
export const sourceTimeoutMs = 2_500;

/** A peer as this node knows it, before it was asked anything. */
export interface KnownPeer {
	readonly id: PeerId;
	readonly name: string;
	readonly address: PeerAddress;
	/** Where else it may be found; used only for a machine that proves itself. */
	readonly others: readonly PeerAddress[];
	/** The first source that named it; the manual one comes first. */
	readonly source: string;
	readonly sources: readonly string[];
	readonly nodeId?: NodeId;
}

export interface SourceAnswer {
	readonly source: string;
	readonly candidates: readonly PeerCandidate[];
	readonly errors: readonly PeerSourceError[];
}

/** Asks every source at once; those that are not done in time answer with that. Never rejects. */
export async function askSources(sources: readonly PeerSource[], clock: Clock): Promise<SourceAnswer[]> {
	const abort = new AbortController();
	const deadline = clock.after(sourceTimeoutMs, () => abort.abort(new Error("out of time")));
	const answers = await Promise.all(
		sources.map(async (source) => ({ source: source.name, ...(await answerOf(source, abort.signal)) })),
	);
	deadline.cancel();
	return answers;
}

/**
 * One row a machine: the same machine's own identifier, or the same address, in several sources is one peer. A machine
 * that names an address of another one gets neither its row nor its requests.
 */
export function joinAnswers(answers: readonly SourceAnswer[], isSelf: (address: PeerAddress) => boolean): KnownPeer[] {
	const peers: KnownPeer[] = [];
	/** Places in `peers`, by address and by identifier. */
	const places = new Map<string, number>();
	for (const { source, candidates } of answers) {
		for (const { name, host, port, nodeId, others = [] } of candidates) {
			const isFree = (address: PeerAddress) => {
				const holder = peers[places.get(addressKey(address)) ?? -1]?.nodeId;
				return holder === undefined || nodeId === undefined || holder === nodeId;
			};
			const [first, ...rest] = [host, ...others].map((each) => parsePeerHost(each));
			if (first == null || isSelf({ host: first, port })) continue;
			const addresses = [first, ...rest]
				.flatMap((each) => (each === null ? [] : [{ host: each, port }]))
				.filter((each) => !isSelf(each));
			const own = nodeId === undefined ? undefined : places.get(nodeId);
			// At whatever address: only who proves itself is believed there.
			const address = own === undefined ? addresses.find(isFree) : addresses[0];
			if (address === undefined) continue;
			const keys = [...(nodeId === undefined ? [] : [nodeId]), addressKey(address)];
			const place = own ?? places.get(addressKey(address)) ?? peers.length;
			for (const key of keys) if (!places.has(key)) places.set(key, place);
			const before = peers[place];
			const known = nodeId ?? before?.nodeId;
			const further = addresses.filter((each) => each !== address);
			peers[place] = {
				...(before ?? { id: peerIdOf(address), name, address, source }),
				others: [...(before === undefined ? [] : [...before.others, address]), ...further],
				sources: [...new Set([...(before?.sources ?? []), source])],
				...(known === undefined ? {} : { nodeId: known }),
			};
		}
	}
	return peers;
}

/** A source that breaks its promise not to reject, or not to hang, hides no other either. */
async function answerOf(source: PeerSource, signal: AbortSignal): ReturnType<PeerSource["candidates"]> {
	const outOfTime = new Promise<never>((_, reject) =>
		signal.addEventListener("abort", () => reject(signal.reason), { once: true }),
	);
	try {
		return await Promise.race([source.candidates(signal), outOfTime]);
	} catch (failure) {
		const kind = signal.aborted ? "timeout" : "failed";
		return {
			candidates: [],
			errors: [
				{
					source: source.name,
					kind,
					message: `${source.name} did not answer: ${(failure as Error).message}.`,
					fix: "It is asked again at the next look.",
				},
			],
		};
	}
}
