/**
 * What changed, so that nobody polls: who hears it fetches what it shows, so an event carries nothing that needs a
 * credential of its own. `docs/api-node.md` lists the types.
 */
export interface LiveEvent {
	readonly type: string;
	readonly [fact: string]: string | number;
}

/** Where a domain tells what changed; the node's feed in production. */
export interface EventSink {
	publish(event: LiveEvent): void;
}
