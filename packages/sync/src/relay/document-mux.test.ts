import { closeCodes } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import * as Y from "yjs";
import {
	decodeFrame,
	decodeMux,
	encodeMuxClose,
	encodeMuxMessage,
	encodeMuxOpen,
	encodeStep1,
	encodeUpdate,
	type MuxFrame,
	maxMuxChannels,
	muxSubprotocol,
	syncLimits,
} from "../protocol/index.ts";
import { stockClient, when } from "../provider.testing.ts";
import { openTestHub, type TestHub } from "../relay.testing.ts";

class MuxClient implements Disposable {
	readonly ws: WebSocket;
	readonly frames: MuxFrame[] = [];
	readonly closed: Promise<number>;
	#check = () => {};

	constructor(hub: TestHub) {
		this.ws = new WebSocket(`${hub.wsUrl}/rooms`, [muxSubprotocol, "warren.v1", "bearer.session-alice"]);
		this.ws.on("message", (data: Buffer) => {
			this.frames.push(decodeMux(new Uint8Array(data)));
			this.#check();
		});
		this.closed = new Promise((resolve) => this.ws.once("close", resolve));
	}

	opened(): Promise<void> {
		return new Promise((resolve) => this.ws.once("open", () => resolve()));
	}

	until(holds: () => boolean): Promise<void> {
		return new Promise((resolve) => {
			this.#check = () => (holds() ? resolve() : undefined);
			this.#check();
		});
	}

	/** Types of what came on a channel. */
	on(channel: number): string[] {
		return this.frames.flatMap((frame) =>
			frame.type === "message" && frame.channel === channel ? [decodeFrame(frame.message).type] : [],
		);
	}

	[Symbol.dispose](): void {
		this.ws.terminate();
	}
}

describe("many documents on one socket (S19)", () => {
	it("sync each with its own room, what comes before a room is open included", async () => {
		await using hub = await openTestHub();
		using stock = stockClient(hub.wsUrl, "a");
		await stock.synced();
		using mux = new MuxClient(hub);
		await mux.opened();
		const doc = new Y.Doc();
		doc.getText("t").insert(0, "from the mux");
		for (const [channel, id] of [
			[1, "a"],
			[2, "b"],
		] as const) {
			mux.ws.send(encodeMuxOpen(channel, id));
			mux.ws.send(encodeMuxMessage(channel, encodeStep1(new Uint8Array([0]))));
			mux.ws.send(encodeMuxMessage(channel, encodeUpdate(Y.encodeStateAsUpdate(doc))));
		}
		await when(stock.doc, () => stock.text() === "from the mux");
		await mux.until(() => mux.on(1).includes("durable") && mux.on(2).includes("durable"));
		expect(await hub.relay.log.rooms()).toEqual(["a", "b"]);
		mux.ws.send(encodeMuxClose(2));
		stock.doc.getText("t").insert(0, "back ");
		await mux.until(() => mux.on(1).filter((type) => type === "update").length >= 2);
		await expect.poll(() => hub.relay.sockets).toBe(2);
	});

	it("refuse one alone, and close together for what is malformed", async () => {
		await using hub = await openTestHub();
		using mux = new MuxClient(hub);
		await mux.opened();
		mux.ws.send(encodeMuxOpen(1, "a:b"));
		await mux.until(() => mux.frames.length === 1);
		expect(mux.frames[0]).toMatchObject({ type: "closed", channel: 1, code: closeCodes.badRequest });
		mux.ws.send(encodeMuxOpen(2, "fine"));
		await mux.until(() => mux.on(2).includes("step1"));
		mux.ws.send(new Uint8Array([0, 9, 1]));
		expect(await mux.closed).toBe(closeCodes.badRequest);
	});

	it("are not opened and closed faster than the limit", async () => {
		await using hub = await openTestHub();
		using client = new MuxClient(hub);
		await client.opened();
		for (let time = 0; time <= syncLimits.channelBurst; time++) {
			client.ws.send(encodeMuxOpen(1, "../x"));
			client.ws.send(encodeMuxClose(1));
		}
		expect(await client.closed).toBe(closeCodes.unavailable);
		using patient = new MuxClient(hub);
		await patient.opened();
		for (let channel = 1; channel <= maxMuxChannels; channel++) patient.ws.send(encodeMuxOpen(channel, "../x"));
		await patient.until(() => patient.frames.filter(({ type }) => type === "closed").length === maxMuxChannels);
	});

	it("a channel that is closed while its document opens leaves nobody behind", async () => {
		await using hub = await openTestHub();
		using mux = new MuxClient(hub);
		await mux.opened();
		for (let channel = 1; channel <= 20; channel++) {
			mux.ws.send(encodeMuxOpen(channel, `room-${channel}`));
			mux.ws.send(encodeMuxClose(channel));
		}
		mux.ws.send(encodeMuxOpen(99, "last"));
		await mux.until(() => mux.on(99).includes("step1"));
		expect(hub.relay.sockets).toBe(1);
	});

	it("each message survives the wire; what is cut is refused", () => {
		const open = encodeMuxOpen(300, "notes");
		expect(decodeMux(open)).toEqual({ type: "open", channel: 300, id: "notes" });
		for (let length = 0; length < open.length; length++) expect(decodeMux(open.subarray(0, length)).type).toBe("error");
	});
});
