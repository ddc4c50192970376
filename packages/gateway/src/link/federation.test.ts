import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { HealthTable, silentLogger } from "@warren/kernel";
import { openSqliteTables } from "@warren/store";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { Federation, type FederationDeps } from "./federation.ts";
import { gatewayLinkSchema } from "./link-schema.ts";

const nowhere = { load: () => null, save() {} };

describe("registering at a gateway", () => {
	it("an answer without an end is cut, and says that no gateway answers there", async () => {
		let sent = 0;
		const server = createServer((_request, response) => {
			const piece = Buffer.alloc(16 * 1024, "x");
			const more = () => {
				while (!response.destroyed && response.write(piece)) sent += piece.length;
			};
			response.on("drain", more);
			more();
		});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		const gone = new Promise((resolve) => server.once("connection", (socket) => socket.once("close", resolve)));
		const clock = new VirtualClock();
		const tables = await openSqliteTables(":memory:", [gatewayLinkSchema]);
		const deps = {
			...{ clock, random: new SeededRandom(1), logger: silentLogger, health: new HealthTable(clock) },
			statements: tables.statements,
		} as Partial<FederationDeps> as FederationDeps;
		const federation = new Federation(deps, {
			...{ fixed: null, defaultGatewayUrl: "", name: "burrow", registration: nowhere, key: nowhere },
		});
		const { port } = server.address() as AddressInfo;
		await expect(federation.register({ gatewayUrl: `ws://127.0.0.1:${port}/gateway` })).rejects.toMatchObject({
			...{ code: "gateway_unreachable", cause: { message: "it answered more than 65536 bytes" } },
		});
		await gone;
		expect(sent).toBeLessThan(64 * 1024 ** 2);
		server.close();
		await tables.close();
	});
});
