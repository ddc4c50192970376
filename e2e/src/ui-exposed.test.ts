import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { freePort, type StartedNode, startNode } from "@warren/testkit";
import type { Page } from "playwright-core";
import { Agent, request } from "undici";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { browserMissing } from "./browser.ts";
import { askHub, eventually, expectAccessible, originOf, owner, setUp, signIn, sizes } from "./ui-pages.ts";
import { UiStage } from "./ui-stage.ts";

/** What `warren expose` does on a joined machine, clicked: through the first machine, and on its own page. */
const missing = browserMissing();
const basic = `Basic ${Buffer.from(`${owner.user}:${owner.pin}`).toString("base64")}`;

describe.each(Object.keys(sizes))("the services of a joined machine on a %s", (size) => {
	let first: StartedNode;
	let second: StartedNode | undefined;
	let app: Server;
	let backbonePort: number;
	let principal: { principal_id: string; credential: string };
	let page: Page;
	let faults: readonly string[];
	let stage: UiStage | undefined;

	beforeAll(async () => {
		if (missing !== null) return;
		backbonePort = await freePort();
		const edge = { WARREN_EDGE: "1", WARREN_COORDINATOR_PORT: "0", WARREN_STUN_PORT: "0" };
		stage = await UiStage.open(size, { env: { ...edge, WARREN_BACKBONE_PORT: String(backbonePort) } });
		({ first, page, faults } = stage);
		app = createServer((_incoming, outgoing) => outgoing.end("hello from burrow"));
		await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
		await setUp(page, first);
		const { code } = await askHub<{ code: string }>(page, "/v1/invites", "POST", {});
		second = await startNode({
			command: ["join", first.origin],
			name: "burrow",
			user: "bob",
			pin: "bobs-pin-1",
			env: { WARREN_JOIN_CODE: code, WARREN_SIDECAR_PORT: "0" },
		});
		await vi.waitFor(async () => expect((await console_("GET", "principals")).status).toBe(200), eventually);
		const made = await console_("POST", "principals", { name: "Bob", email: "bob@example.test" });
		principal = made.body as typeof principal;
	});
	afterAll(async () => {
		app?.closeAllConnections();
		app?.close();
		await second?.[Symbol.asyncDispose]();
		await stage?.[Symbol.asyncDispose]();
	});

	/** The backbone, as the owner's machine asks it. */
	async function console_(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
		const answer = await first.fetch(`/api/backbone/${path}`, {
			method,
			headers: { authorization: basic, "content-type": "application/json" },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		return { status: answer.status, body: await answer.json() };
	}

	/** A visitor of the service. */
	async function ask(name: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
		const agent = new Agent({ connect: { ca: first.ca, servername: `${name}.localhost` } });
		try {
			const answer = await request(`https://127.0.0.1:${backbonePort}/`, {
				dispatcher: agent,
				headers: { host: `${name}.localhost:${backbonePort}`, ...headers },
			});
			return { status: answer.statusCode, text: await answer.body.text() };
		} finally {
			await agent.close();
		}
	}

	const openMenu = (name: string) => page.getByRole("button", { name: `Actions for ${name}` }).click();

	it("are reached from its row, and a port gets a name for the principal that was ticked", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(first)}/machines`);
		const row = page.getByRole("row", { name: /burrow/ });
		await row.getByRole("link", { name: "Sign in" }).click();
		await page.getByRole("button", { name: `Sign in as ${owner.name}` }).click();
		await page.getByText("No session runs on burrow").waitFor();
		await page.goto(`${originOf(first)}/machines`);
		await openMenu("burrow");
		await page.getByRole("menuitem", { name: "Its services" }).click();
		await page.getByRole("heading", { name: "Services of burrow" }).waitFor();
		await page.getByText("No port of burrow has a name yet").waitFor();
		await expectAccessible(page, "services of burrow, empty");
		await page.getByRole("button", { name: "Expose a port" }).first().click();
		await page.getByRole("heading", { name: "Expose a port of burrow" }).waitFor();
		await page.getByRole("textbox", { name: "Name" }).fill("wiki");
		await page.getByRole("spinbutton", { name: "Port" }).fill(String((app.address() as AddressInfo).port));
		await page.getByRole("checkbox", { name: /Bob/ }).click();
		await expectAccessible(page, "services of burrow, expose");
		await page.getByRole("button", { name: "Expose", exact: true }).click();
		await page.getByRole("heading", { name: "wiki is exposed" }).waitFor();
		await page
			.getByRole("button", { name: "Copy address on the private network: wiki.warren.internal:8730" })
			.waitFor();
		await expectAccessible(page, "services of burrow, exposed");
		await page.getByRole("button", { name: "OK", exact: true }).click();
		await page.getByRole("cell", { name: "online" }).waitFor();
		await expectAccessible(page, "services of burrow");
		expect((await ask("wiki")).status).toBe(401);
		const bob = { "x-backbone-principal": principal.credential };
		expect(await ask("wiki", bob)).toEqual({ status: 200, text: "hello from burrow" });
	});

	it("are changed to be for everybody, and taken off", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await openMenu("wiki");
		await page.getByRole("menuitem", { name: "Change" }).click();
		await page.getByRole("heading", { name: "Change wiki" }).waitFor();
		await page.getByRole("combobox", { name: "Who reaches it" }).selectOption("everybody");
		await page.getByRole("button", { name: "Save" }).click();
		await page.getByRole("button", { name: "OK", exact: true }).click();
		await page.getByRole("cell", { name: "Everybody" }).waitFor();
		expect(await ask("wiki")).toEqual({ status: 200, text: "hello from burrow" });
		await openMenu("wiki");
		await page.getByRole("menuitem", { name: "Take off" }).click();
		await page.getByRole("alertdialog").getByRole("button", { name: "Take off" }).click();
		await page.getByText("No port of burrow has a name yet").waitFor();
		// Taken off here; its agent takes its leave of the backbone.
		await expect.poll(async () => (await ask("wiki")).status, eventually).toBe(503);
	});

	it("stand on its own page, too, where principals are named by identifier; a port without a service says so", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const origin = originOf(second as StartedNode);
		await page.goto(`${origin}/`);
		await signIn(page);
		await page.getByText("No session runs on burrow").waitFor();
		await page.goto(`${origin}/services`);
		await page.getByText("The backbone of this warren is on its first machine").waitFor();
		await page.getByRole("heading", { name: "Exposed by burrow" }).waitFor();
		await page.getByRole("button", { name: "Expose a port" }).first().click();
		await page.getByRole("textbox", { name: "Name" }).fill("notes");
		await page.getByRole("spinbutton", { name: "Port" }).fill(String(await freePort()));
		await page.getByRole("combobox", { name: "Kind" }).selectOption("UDP");
		await page.getByRole("textbox", { name: "Let in as well" }).fill(principal.principal_id);
		await page.getByRole("button", { name: "Expose", exact: true }).click();
		await page.getByRole("heading", { name: "notes is not reached yet" }).waitFor();
		await page.getByRole("dialog").getByText("start the service").waitFor();
		await page.getByRole("button", { name: "Copy command: warren forward notes PORT" }).waitFor();
		await page.getByRole("button", { name: "OK", exact: true }).click();
		await page.getByRole("cell", { name: "no service" }).waitFor();
		await expectAccessible(page, "services, on a joined machine");
		const { body } = await console_("GET", `grants/${principal.principal_id}`);
		expect((body as { grants: { service: string }[] }).grants.map(({ service }) => service).sort()).toEqual([
			"notes",
			"wiki",
		]);
		expect(faults).toEqual([]);
	});
});
