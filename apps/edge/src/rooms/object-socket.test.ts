import type { MemberStanding } from "@warren/sync/protocol";
import { expect, it } from "vitest";
import type { HibernatingSocket } from "../platform.ts";
import { ObjectSocket, type SocketFacts } from "./object-socket.ts";

it("a socket whose place in its room is as before is neither read nor written when others speak", () => {
	let attached: unknown = null;
	let reads = 0;
	let writes = 0;
	const platform: Partial<HibernatingSocket> = {
		serializeAttachment: (value) => {
			writes += 1;
			attached = structuredClone(value);
		},
		deserializeAttachment: () => {
			reads += 1;
			return structuredClone(attached);
		},
	};
	const socket = new ObjectSocket(platform as HibernatingSocket);
	const admission = { room: "r", access: "read-write" } as SocketFacts["admission"];
	const entry = { client: 1, clock: 1, state: "{}" };
	const standing = (more: Partial<MemberStanding> = {}): MemberStanding => ({
		...{ progress: "live", received: 0, entries: [entry], ...more },
	});
	const kept = () => (attached as SocketFacts).standing;
	socket.keep({ admission, acknowledges: true, standing: null });
	socket.keepStanding(standing());
	const before = [reads, writes];
	for (let message = 0; message < 100; message += 1) socket.keepStanding(standing());
	expect([reads, writes]).toEqual(before);
	socket.keepStanding(standing({ received: 1 }));
	expect(kept()).toEqual(standing({ received: 1 }));
	const moved = { ...entry, clock: 2 };
	socket.keepStanding(standing({ received: 1, entries: [moved] }));
	expect(kept()?.entries).toEqual([moved]);
	socket.keepStanding(standing({ received: 1, entries: [] }));
	expect(kept()?.entries).toEqual([]);
	socket.keepStanding(standing({ entries: [{ ...entry, state: JSON.stringify("x".repeat(16_000)) }] }));
	expect(attached).toEqual({ admission, acknowledges: true, standing: standing({ entries: [] }) });
});
