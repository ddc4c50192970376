import { describe, expect, it } from "vitest";
import { exchange, fromA, fromB, twoMachines } from "../machine.testing.ts";

describe("a handshake", () => {
	it("H1 carries what was staged, both ways, in initiation, response and data", () => {
		const { a, b, ab, ba, both } = twoMachines();
		a.send(ab, fromA);
		expect(exchange(both)).toEqual(["initiation", "response", "transport"]);
		expect(b.delivered).toEqual([fromA]);
		b.send(ba, fromB);
		exchange(both);
		expect(a.delivered).toEqual([fromB]);
	});

	it("H2 with nothing staged the initiator confirms with a keepalive, and the responder may send only then", () => {
		const { a, b, ab, ba, both } = twoMachines();
		ab.initiate(a.now);
		exchange(both, (kind) => kind !== "transport");
		expect(ba.sessions.current).toBeNull();
		expect(ba.sessions.next).not.toBeNull();
		b.send(ba, fromB);
		expect(exchange(both)).toEqual(["initiation", "response", "transport"]);
		expect(a.delivered).toEqual([fromB]);
	});

	it("H3 two that begin at once both end with a session, without a retry", () => {
		const { a, b, ab, ba, both } = twoMachines();
		a.send(ab, fromA);
		b.send(ba, fromB);
		exchange(both);
		expect(a.delivered).toEqual([fromB]);
		expect(b.delivered).toEqual([fromA]);
	});
});
