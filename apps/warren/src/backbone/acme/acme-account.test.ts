import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { freePort } from "@warren/testkit";
import acme from "acme-client";
import { afterEach, beforeEach, expect, it } from "vitest";
import { AcmeAccount } from "./acme-account.ts";

/** The library's own waits between tries are seconds. */
const { acmeSettings } = acme.axios.defaults as unknown as { acmeSettings: { retryDefaultDelay: number } };
const usual = acmeSettings.retryDefaultDelay;
beforeEach(() => {
	acmeSettings.retryDefaultDelay = 0;
});
afterEach(() => {
	acmeSettings.retryDefaultDelay = usual;
});

const keys = { read: async () => null, keep: async (pem: string) => pem };
const solver = { type: "http-01", put: async () => {}, remove: async () => {} } as const;
const accountAt = (port: number, answerMs?: number) =>
	new AcmeAccount(keys, `http://127.0.0.1:${port}/directory`, undefined, answerMs);
async function portOf(server: Server): Promise<number> {
	await once(server.listen(0, "127.0.0.1"), "listening");
	return (server.address() as AddressInfo).port;
}

it("an authority that takes a request and says nothing fails the order, and is asked anew by the next", async () => {
	let asked = 0;
	await using silent = createServer((socket) => {
		asked += 1;
		socket.on("error", () => {}).resume();
	});
	const account = accountAt(await portOf(silent), 50);
	for (const times of [1, 2]) {
		await expect(account.order(["mos.test"], solver)).rejects.toThrow(
			/no answer from .*\/directory: timeout of 50ms exceeded/,
		);
		// The limit may be over before this process had a turn to take the connection.
		await expect.poll(() => asked).toBe(times);
	}
});

it("an authority where nothing listens is told as that", async () => {
	const order = accountAt(await freePort()).order(["mos.test"], solver);
	await expect(order).rejects.toThrow(/no answer from .*\/directory: connect ECONNREFUSED/);
});

it("a connection that breaks is tried again, and the answer read", async () => {
	let asked = 0;
	await using server = createHttpServer((request, response) => {
		asked += 1;
		if (asked === 1) return void request.socket.destroy();
		response.setHeader("content-type", "application/json").end(JSON.stringify({ newAccount: "http://127.0.0.1:9/a" }));
	});
	const order = accountAt(await portOf(server)).order(["mos.test"], solver);
	// The directory was understood: what is missed is what it lacks.
	await expect(order).rejects.toThrow(/newNonce/);
	expect(asked).toBeGreaterThan(1);
});
