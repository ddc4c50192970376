import type { SyncSocket } from "../relay/sync-socket.ts";

/** To its room a socket like any other; what is said to it, it knows. */
export class OwnSocket implements SyncSocket {
	readonly isBlocked = false;
	isOpen = true;
	#onMessage: (message: Uint8Array) => void = () => {};
	readonly #onClose: ((clean: boolean) => void)[] = [];

	say(message: Uint8Array): void {
		if (this.isOpen) this.#onMessage(message);
	}

	leave(): void {
		if (!this.isOpen) return;
		this.isOpen = false;
		for (const handler of this.#onClose) handler(true);
	}

	send(): boolean {
		return true;
	}

	close(): void {
		this.leave();
	}

	onMessage(handler: (message: Uint8Array) => void): void {
		this.#onMessage = handler;
	}

	onClose(handler: (clean: boolean) => void): void {
		this.#onClose.push(handler);
	}

	onDrain(): void {}
}
