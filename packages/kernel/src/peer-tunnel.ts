import type { NodeId } from "./ids.ts";

/** Streams to other machines that something else carries: the way that is left when no address answers. */
export interface PeerTunnel<Stream> {
	/** Whether a way to that machine may stand now. */
	leadsTo(nodeId: NodeId): boolean;
	/**
	 * A stream of bytes to that machine's own listener; nothing of it is secret or proven to whoever carries it.
	 * @throws WarrenError or a network fault when there is none.
	 */
	open(nodeId: NodeId, signal: AbortSignal): Promise<Stream>;
}
