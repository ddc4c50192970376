import { closeCodes } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { Outgoing } from "./outgoing.ts";
import { relayLimits } from "./relay-limits.ts";
import { slowReader } from "./slow-reader.testing.ts";

describe("a reader that takes nothing (S9)", () => {
	it("is closed 1013 when more waits for it than may, however large each message is", () => {
		const { reader, socket } = slowReader();
		const presence = new Uint8Array(128 * 1024);
		const most = relayLimits.maxWaitingBytes / presence.length;
		for (let count = 0; count < most; count++) socket.send(new Outgoing([presence]));
		expect(reader.closes).toEqual([]);
		for (let count = 0; count < 20; count++) socket.send(new Outgoing([presence]));
		expect(reader.closes).toEqual([closeCodes.tooSlow]);
	});

	it("may have a document wait that is larger than that", () => {
		const { reader, socket } = slowReader();
		const document = new Uint8Array(2 * relayLimits.maxWaitingBytes);
		socket.send(new Outgoing([document], { ofDocument: true }));
		expect(socket.isBlocked).toBe(true);
		while (socket.isBlocked) reader.read();
		expect(reader.taken).toBeGreaterThan(document.length);
		expect(reader.closes).toEqual([]);
	});
});
