import { rmSync } from "node:fs";
import { join } from "node:path";
import { type StartedNode, startNode } from "@warren/testkit";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing } from "./browser.ts";
import { eventually, expectAccessible, originOf, owner, setUp, sizes, violationsOf } from "./ui-pages.ts";
import { UiStage } from "./ui-stage.ts";

/** The main job, as a person does it: two machines' terminals in a browser, each reached through the first. */
const missing = browserMissing();

/** What a terminal of this machine has on its screen, by the machine's own word. */
async function screenOf(node: StartedNode, session: string): Promise<string> {
	const answer = await node.fetch(`/api/sessions/${session}/history?lines=100`);
	return answer.status === 200 ? ((await answer.json()) as { text: string }).text : "";
}

async function newSession(page: Page, name: string): Promise<void> {
	await page.getByRole("button", { name: "New session" }).first().click();
	await page.getByRole("textbox", { name: "Name" }).fill(name);
	await page.getByRole("button", { name: "Create" }).click();
	await page.getByRole("heading", { name: `Terminal ${name}` }).waitFor();
}

/** Types at a keyboard, or on a phone through the compose field. */
async function type(page: Page, phone: boolean, line: string): Promise<void> {
	if (!phone) {
		await page.getByRole("textbox", { name: "Terminal input" }).focus();
		await page.keyboard.type(line);
		await page.keyboard.press("Enter");
		return;
	}
	await page.getByPlaceholder("Type, then send").fill(line);
	await page.getByRole("button", { name: /^Send and press Enter|^Send$/ }).click();
}

describe.each(Object.keys(sizes))("the web UI on a %s", (size) => {
	const phone = size === "phone";
	let first: StartedNode;
	let second: StartedNode;
	let context: BrowserContext;
	let page: Page;
	let faults: readonly string[];
	let stage: UiStage | undefined;

	beforeAll(async () => {
		if (missing !== null) return;
		stage = await UiStage.open(size, { second: true });
		({ first, second, context, page, faults } = stage);
	});
	afterAll(() => stage?.[Symbol.asyncDispose]());

	it("the setup link makes its holder the owner, and leaves the address bar", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await setUp(page, first, { looks: (where) => expectAccessible(page, where) });
		await expectAccessible(page, "terminals, empty");
		const kept = await page.evaluate(() => JSON.stringify({ ...localStorage }));
		expect(kept).toContain("wd_");
		expect(kept).toContain("warren.account.v1");
		for (const secret of [owner.pin, owner.password]) expect(kept).not.toContain(secret);
	});

	it("a terminal runs what is typed, and comes back after a reload", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await newSession(page, "work");
		await page.locator(".terminal-stage[data-phase=live] .xterm").waitFor();
		await type(page, phone, "echo a$((6*7))z");
		await expect.poll(() => screenOf(asAda(first), "work"), eventually).toContain("a42z");
		await expectAccessible(page, "terminal");
		await page.goto(`${originOf(first)}/`);
		await page.getByRole("heading", { name: "Terminal work" }).waitFor();
	});

	it("a second machine is added and reached through the first, with a PIN of its own", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(first)}/machines`);
		await page.getByRole("button", { name: "Add machine" }).first().click();
		await page.getByText("Waiting for the machine").waitFor();
		await expectAccessible(page, "add machine by code");
		await page.getByText("By its address", { exact: true }).click();
		await expectAccessible(page, "add machine by address");
		await page.getByRole("textbox", { name: "Host" }).fill("127.0.0.1");
		await page.getByRole("spinbutton", { name: "Port" }).fill(String(second.port));
		await page.getByRole("textbox", { name: "Name" }).fill("burrow");
		await page.getByRole("button", { name: "Add", exact: true }).click();
		await page.getByText("reachable", { exact: true }).waitFor();
		await expectAccessible(page, "machines");
		await page.getByRole("link", { name: "Sign in" }).click();
		await page.getByRole("textbox", { name: "User" }).fill("bob");
		await page.getByRole("textbox", { name: "PIN", exact: true }).fill("wrong-pin-1");
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByText("The user or the PIN is not right").waitFor();
		await page.getByRole("textbox", { name: "PIN", exact: true }).fill("bobs-pin-1");
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByText("relayed by atlas").waitFor();
		await newSession(page, "remote");
		await page.locator(".terminal-stage[data-phase=live] .xterm").waitFor();
		await type(page, phone, "echo b$((7*6))y");
		await expect.poll(() => screenOf(second, "remote"), eventually).toContain("b42y");
		expect(await violationsOf(page)).toEqual([]);
		// The last machine and session open again, and nobody is asked for the PIN of before.
		await page.goto(`${originOf(first)}/`);
		await page.getByRole("heading", { name: "Terminal remote" }).waitFor();
		await page.locator(".terminal-stage[data-phase=live] .xterm").waitFor();
		expect(new URL(page.url()).pathname).not.toContain("/m/self/");
	});

	it("a machine that was reinstalled stops everything until its new certificate is trusted", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await second.stop();
		rmSync(join(second.data, "ca"), { recursive: true });
		rmSync(join(second.data, "tls"), { recursive: true });
		await using again = await startNode({
			name: "burrow",
			user: "bob",
			pin: "bobs-pin-1",
			home: second.home,
			port: second.port,
		});
		expect(again.fingerprint).not.toBe(second.fingerprint);
		await page.goto(`${originOf(first)}/machines`);
		await page.getByRole("button", { name: "Trust new" }).waitFor();
		await expectAccessible(page, "changed certificate");
		const card = await page.locator("main").innerText();
		for (const print of [again.fingerprint, second.fingerprint]) expect(card.replace(/\s/g, "")).toContain(print);
		await page.getByRole("button", { name: "Trust new" }).click();
		await page.getByText("reachable", { exact: true }).waitFor();
	});

	it("every other page is accessible and keeps to its policy", async (test) => {
		test.skip(missing !== null, missing ?? "");
		for (const path of ["/m/self/activity", "/settings", "/trust", "/more", "/docs"]) {
			await page.goto(`${originOf(first)}${path}`);
			await page.getByRole("heading", { level: 1 }).waitFor();
			await expectAccessible(page, path);
		}
	});

	it("opens without a network, and says so", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(first)}/machines`);
		await page.evaluate(async () => void (await navigator.serviceWorker.ready));
		await context.setOffline(true);
		await page.reload();
		await page.getByRole("heading", { name: "Machines" }).waitFor();
		const said = page.getByText("This page cannot reach the machine that served it").first();
		await said.waitFor();
		await expectAccessible(page, "machines without a network");
		await context.setOffline(false);
		await said.waitFor({ state: "detached" });
		await page.getByRole("row").filter({ hasText: "burrow" }).waitFor();
	});

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(faults).toEqual([]);
	});

	/** The setup changed user and PIN. */
	function asAda(node: StartedNode): StartedNode {
		const authorization = `Basic ${Buffer.from(`${owner.user}:${owner.pin}`).toString("base64")}`;
		return { ...node, fetch: (path, init) => node.fetch(path, { ...init, headers: { authorization } }) };
	}
});
