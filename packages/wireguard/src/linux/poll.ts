import koffi from "koffi";

/** A watched descriptor. */
export interface Poll {
	/** Before the descriptor itself is closed. */
	close(): void;
}

/**
 * Calls `ready` whenever the descriptor can be read. What it throws ends the thread as from any other event: the
 * library alone would swallow it, and call back no more.
 */
export function whenReadable(fd: number, ready: () => void): Poll {
	return koffi.node.poll(fd, { readable: true }, () => {
		try {
			ready();
		} catch (fault) {
			setImmediate(() => {
				throw fault;
			});
		}
	});
}
