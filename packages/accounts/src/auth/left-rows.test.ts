import { systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { bearer, nextAddress, openMemoryTables, TestHub } from "../hub.testing.ts";
import { deviceCodeLimits } from "./admission.ts";
import { sessionLimits } from "./better-auth.ts";

const start = (hub: TestHub, more: object = {}, address = nextAddress()) =>
	hub.call("POST", "/auth/device/code", { client_id: "warren-cli", ...more }, { "x-forwarded-for": address });
const rowsOf = async (hub: TestHub, table: string) =>
	(
		await hub.tables.db
			.selectFrom(table as never)
			.select("id" as never)
			.execute()
	).length;

/** As many codes as there may be, of other people. */
async function fill(hub: TestHub, expiresAt: Date): Promise<void> {
	const rows = Array.from({ length: deviceCodeLimits.maxOpen }, (_, index) => ({
		...{ id: `r${index}`, deviceCode: `d${index}`, userCode: `u${index}` },
		...{ expiresAt: expiresAt.toISOString(), status: "pending" },
	}));
	for (let at = 0; at < rows.length; at += 1000)
		await hub.tables.db
			.insertInto("auth_device_code" as never)
			.values(rows.slice(at, at + 1000) as never)
			.execute();
}

describe("whoever has no account leaves little in the tables", () => {
	it("codes of the device flow are bounded in all, and those that ended make room", async () => {
		await using hub = await TestHub.open(openMemoryTables);
		await fill(hub, new Date(Date.now() + 3_600_000));
		const refused = await start(hub);
		expect([refused.status, refused.body.error]).toEqual([429, "rate_limited"]);
		await hub.tables.db.deleteFrom("auth_device_code" as never).execute();
		await fill(hub, new Date(Date.now() - 1000));
		expect((await start(hub)).status).toBe(200);
		expect(await rowsOf(hub, "auth_device_code")).toBe(1);
	});

	it("a code carries no more than its scope's limit", async () => {
		await using hub = await TestHub.open(openMemoryTables);
		const scope = "s".repeat(deviceCodeLimits.maxScopeLength);
		expect((await start(hub, { scope })).status).toBe(200);
		const refused = await start(hub, { scope: `${scope}s` });
		expect([refused.status, refused.body.error]).toEqual([400, "invalid_scope"]);
		expect(await rowsOf(hub, "auth_device_code")).toBe(1);
	});

	it("codes and challenges of one address are limited, and swept up when they have ended", async () => {
		const clock = new VirtualClock(Date.now());
		await using hub = await TestHub.open(openMemoryTables, { deps: { clock } });
		const address = nextAddress();
		const challenge = () =>
			hub.call("GET", "/auth/passkey/generate-authenticate-options", undefined, { "x-forwarded-for": address });
		const { max } = sessionLimits.rowsPerPath;
		for (let i = 0; i < max; i++)
			expect([(await start(hub, {}, address)).status, (await challenge()).status]).toEqual([200, 200]);
		expect([(await start(hub, {}, address)).status, (await challenge()).status]).toEqual([429, 429]);
		const left = async () => [await rowsOf(hub, "auth_device_code"), await rowsOf(hub, "auth_verification")];
		expect(await left()).toEqual([max, max]);
		await clock.advance(30 * 60_000);
		await expect.poll(left).toEqual([0, 0]);
	});
});

it("a socket does not outlive the API key that it was opened with", async () => {
	const clock = new VirtualClock(Date.now());
	await using hub = await TestHub.open(openMemoryTables, { deps: { clock } });
	const owner = await hub.owner();
	const make = async (name: string, more: object = {}) =>
		(await hub.call("POST", "/auth/api-key/create", { name, ...more }, bearer(owner))).body.key as string;
	const dayS = 24 * 3600;
	const open = async (key: string) => {
		const dialled = await dialWebSocket(`ws://localhost:${hub.listener.port}/v1/machines/watch`, systemClock, {
			headers: bearer(key),
		});
		if (!dialled.ok) throw new Error(dialled.message);
		return { closed: new Promise<number>((resolve) => dialled.connection.onClose(resolve)) };
	};
	const { closed } = await open(await make("a day", { expiresIn: dayS }));
	await open(await make("for good"));
	await clock.advance((dayS + 3600) * 1000);
	expect(await closed).toBe(4401);
	await expect.poll(() => hub.listener.webSocketCount).toBe(1);
});
