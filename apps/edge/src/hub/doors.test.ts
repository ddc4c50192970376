import {
	type Authenticator,
	type DeviceId,
	type Identity,
	silentLogger,
	systemRandom,
	type UserId,
} from "@warren/kernel";
import type { ForwardRoute } from "@warren/net";
import { openSqliteTables } from "@warren/store";
import { DocumentsList, type SyncTables, syncSchema } from "@warren/sync";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import type { RoomStub } from "../platform.ts";
import { type AttendanceTable, attendanceSchema } from "./attendance.ts";
import { Doors } from "./doors.ts";
import { type OwedTable, owedSchema } from "./owed.ts";

const ada: Identity = {
	...{ kind: "user", userId: "ada", name: "Ada", deviceId: "d1" as DeviceId, role: "user", expiresAt: 9e15 },
} as never;
const authenticator: Authenticator = {
	kinds: ["session"],
	authenticate: async () => ({ ok: true, kind: "session", identity: ada }),
};

/** A hub's tables, which outlive its objects; and rooms that write down what they hear. */
async function openTables() {
	const clock = new VirtualClock();
	const { db, close } = await openSqliteTables<AttendanceTable & OwedTable & SyncTables>(":memory:", [
		...[attendanceSchema, owedSchema, syncSchema],
	]);
	const heard: string[] = [];
	const deaf = new Set<string>();
	const roomOf = (room: string) => {
		const hear = async (what: string) => {
			if (deaf.has(room)) throw new Error("the object is overloaded");
			heard.push(`${room}: ${what}`);
		};
		const stub: Partial<RoomStub> = {
			signedOut: ({ userId, deviceId }) => hear(`${userId} ${deviceId ?? "everywhere"} signed out`),
			accessChanged: (_room, userId, access) => hear(`${userId} has ${access ?? "nothing"}`),
		};
		return stub as RoomStub;
	};
	const documents = new DocumentsList({ db: db as never, clock });
	const open = () => {
		const deps = { db, clock, random: systemRandom, logger: silentLogger, authenticator, roomOf };
		const doors = new Doors({ ...deps, documents });
		doors.start();
		return doors;
	};
	const enter = async (doors: Doors, room: string) => {
		const verdict = await doors.authenticator.authenticate({ scheme: "bearer", token: "t", from: "header" }, {
			...{ accepts: ["session"], remoteAddress: "", path: "" },
		} as never);
		if (verdict?.ok !== true) throw new Error("not let in");
		const route: ForwardRoute = doors.route({ owner: "hub", credentials: ["session"] });
		await route.forward({ identity: verdict.identity, params: { id: room } } as never);
	};
	return { clock, heard, deaf, documents, open, enter, [Symbol.asyncDispose]: async () => close() };
}

it("rooms that do not hear of an ended access are told until they do, also by the hub's next object", async () => {
	await using hub = await openTables();
	const { clock, heard, deaf } = hub;
	const doors = hub.open();
	for (const room of ["a", "b"]) await hub.enter(doors, room);
	deaf.add("a").add("c");
	doors.revoked({ kind: "device", userId: "ada", deviceId: "d1" });
	doors.accessChanged("c", "bob", "read-only");
	doors.accessChanged("c", "bob", null);
	await clock.advance(10 * 60_000);
	expect(heard).toEqual(["b: ada d1 signed out"]);
	deaf.delete("a");
	await clock.advance(2 * 60_000);
	expect(heard).toEqual(["b: ada d1 signed out", "a: ada d1 signed out"]);
	deaf.delete("c");
	hub.open();
	await clock.advance(0);
	expect(heard.slice(2), "the last word counts").toEqual(["c: bob has nothing"]);
	await clock.advance(60 * 60_000);
	expect(heard, "each once").toHaveLength(3);
});

it("somebody's rooms are told a part at a time, as many as the platform lets one invocation ask", async () => {
	await using hub = await openTables();
	const { clock, heard, deaf } = hub;
	const doors = hub.open();
	const rooms = Array.from({ length: 501 }, (_, index) => `room-${index}`);
	for (const room of rooms) await hub.enter(doors, room);
	for (const room of rooms.slice(0, 250)) deaf.add(room);
	doors.revoked({ kind: "user", userId: "ada" });
	await clock.advance(1_000);
	expect(heard.length).toBeLessThanOrEqual(200);
	await clock.advance(60_000);
	expect(heard.length, "those that do not answer hold nobody up").toBe(251);
	deaf.clear();
	await clock.advance(5 * 60_000);
	expect(new Set(heard).size).toBe(501);
});

it("whoever changes access to a document of their own keeps nobody out of another; who comes meanwhile has what counts now", async () => {
	await using hub = await openTables();
	const { documents } = hub;
	const doors = hub.open();
	const mallory = "mallory" as UserId;
	await documents.create(mallory, { id: "theirs", title: "theirs" });
	await documents.share(mallory, "theirs", "ada", "read-write");
	const { permit } = documents;
	let asked = 0;
	const during = (change: () => Promise<unknown>) => {
		asked = 0;
		documents.permit = async (identity, id) => {
			const permitted = await permit.call(documents, identity, id);
			if (++asked < 100) await change();
			return permitted;
		};
	};
	let isShared = false;
	during(async () => {
		isShared = !isShared;
		await (isShared
			? documents.share(mallory, "theirs", "bob", "read-only")
			: documents.unshare(mallory, "theirs", "bob"));
	});
	await hub.enter(doors, "ours");
	expect(asked).toBe(1);
	during(() => documents.unshare(mallory, "theirs", "ada"));
	await expect(hub.enter(doors, "theirs")).rejects.toMatchObject({ code: "document_forbidden" });
});
