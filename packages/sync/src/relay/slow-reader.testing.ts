import type { Frame, WebSocketConnection } from "@warren/net";
import { WebSocketSync } from "./web-socket-sync.ts";

/** A socket whose reader takes something only when told. */
export function slowReader() {
	let drained = () => {};
	let said: (data: Buffer, binary: boolean) => void = () => {};
	const reader = {
		bufferedBytes: 0,
		taken: 0,
		closes: [] as number[],
		sendFrame(frame: Frame) {
			reader.bufferedBytes += frame.length;
		},
		writeFrame(frame: Frame) {
			reader.bufferedBytes += frame.length;
			return false;
		},
		async close(code: number) {
			reader.closes.push(code);
		},
		onMessage(handler: typeof said) {
			said = handler;
		},
		onClose() {},
		onDrain(handler: () => void) {
			drained = handler;
		},
		says(message: Uint8Array) {
			said(Buffer.from(message), true);
		},
		/** Everything that was handed to the connection. */
		read() {
			reader.taken += reader.bufferedBytes;
			reader.bufferedBytes = 0;
			drained();
		},
	};
	return { reader, socket: new WebSocketSync(reader as unknown as WebSocketConnection) };
}
