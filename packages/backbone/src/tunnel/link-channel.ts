/** What a link needs of the bytes below it; every `Duplex` has it, and so has a lane of a shared connection. */
export interface LinkChannel {
	/** @returns false when the caller should wait until what it wrote has gone out. */
	write(bytes: Uint8Array): boolean;
	cork(): void;
	uncork(): void;
	pause(): unknown;
	resume(): unknown;
	isPaused(): boolean;
	/** Both directions, at once. */
	destroy(): unknown;
	/** Bytes that wait to go out. */
	readonly writableLength: number;
}
