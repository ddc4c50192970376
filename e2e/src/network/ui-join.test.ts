import { type StartedNode, startNode } from "@warren/testkit";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "../browser.ts";
import { expectAccessible, firstMachine, newContext, newPage, owner, setUp } from "../ui-pages.ts";
import { type Machine, type Machines, openMachines } from "./machines.ts";

/** A second machine joins while its owner looks on, and its terminal is one click away. */
const missing = browserMissing();

describe("adding a machine in the web UI", () => {
	let machines: Machines;
	let first: StartedNode;
	let second: StartedNode | undefined;
	let browser: Browser;
	let page: Page;
	const faults: string[] = [];

	beforeAll(async () => {
		if (missing !== null) return;
		machines = openMachines(2);
		first = await startNode({ ...firstMachine, ...(machines.all[0] as Machine) });
		// In the machine's own network: interfaces that come and go outside would break its requests off.
		browser = await launchBrowser({ ca: first.ca, through: (machines.all[0] as Machine).through });
		page = await newPage(await newContext(browser as never), faults);
	});
	afterAll(async () => {
		await browser?.close();
		await second?.[Symbol.asyncDispose]();
		await first?.[Symbol.asyncDispose]();
		machines?.[Symbol.dispose]();
	});

	it("the command that is shown makes the machine join, seen at once, with its terminal", async (test) => {
		test.skip(missing !== null, missing ?? "");
		test.skip(machines.kind === "loopback", "two machines need two addresses: run as root on Linux");
		await setUp(page, first, { origin: first.origin });
		await page.goto(`${first.origin}/machines`);
		await page.getByRole("button", { name: "Add machine" }).first().click();
		await page.getByText("Waiting for the machine").waitFor();
		expect(await page.getByText("This address works on this very machine alone").count()).toBe(0);
		const label = await page.getByRole("button", { name: "Copy command:" }).getAttribute("aria-label");
		const [, code, url] = /WARREN_JOIN_CODE=(\S+) warren join (\S+)$/.exec(label ?? "") ?? [];
		expect(url).toBe(first.origin);
		second = await startNode({
			...(machines.all[1] as Machine),
			command: ["join", url as string],
			name: "burrow",
			user: "bob",
			pin: "bobs-pin-1",
			env: { WARREN_JOIN_CODE: code as string, WARREN_SIDECAR_PORT: "0" },
		});
		await page.getByText("burrow has joined").waitFor();
		const open = page.getByRole("button", { name: "Open a terminal" });
		await open.and(page.locator(":enabled")).waitFor();
		await expectAccessible(page, "a machine has joined");
		await open.click();
		// Whoever invited it needs no PIN there: the account's ticket opens it.
		await page.getByRole("textbox", { name: "Name" }).fill("far");
		await page.getByRole("button", { name: "Create" }).click();
		await page.getByRole("heading", { name: "Terminal far" }).waitFor();
		const { sessions } = (await (await second.fetch("/api/sessions")).json()) as { sessions: { name: string }[] };
		expect(sessions.map((each) => each.name)).toEqual(["far"]);
	});

	it("the joined machine's own page invites further ones, and has the same account and documents", async (test) => {
		test.skip(missing !== null, missing ?? "");
		test.skip(second === undefined, "no second machine has joined");
		const { origin } = second as StartedNode;
		await page.goto(`${origin}/`);
		await page.getByRole("textbox", { name: "Email" }).fill(owner.email);
		await page.getByRole("textbox", { name: "Password", exact: true }).fill(owner.password);
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByRole("link", { name: "far" }).first().waitFor();
		await page.goto(`${origin}/account`);
		await page.getByText("Passkeys belong to the hub's own page").waitFor();
		await page.goto(`${origin}/machines?add`);
		await page.getByText("Waiting for the machine").waitFor();
		const label = await page.getByRole("button", { name: "Copy command:" }).getAttribute("aria-label");
		expect(label).toContain(`warren join ${new URL(first.url).origin}`);
		await page.goto(`${origin}/docs`);
		await page.getByRole("button", { name: "New document" }).first().click();
		await page.locator(".doc-state", { hasText: "saved" }).waitFor();
		// What only the first machine has is a link to it.
		for (const place of ["network", "access", "services"]) {
			await page.goto(`${origin}/${place}`);
			await page.getByRole("link", { name: new URL(first.origin).host }).waitFor();
			await expectAccessible(page, `${place}, on a joined machine`);
		}
	});

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(faults).toEqual([]);
	});
});
