import type { StartedNode } from "@warren/testkit";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing } from "./browser.ts";
import { eventually, expectAccessible, originOf, owner, setUp, sizes } from "./ui-pages.ts";
import { UiStage } from "./ui-stage.ts";

/** Several terminals at once, of two machines; and pages whose program does not arrive at first. */
const missing = browserMissing();
const basic = `Basic ${Buffer.from(`${owner.user}:${owner.pin}`).toString("base64")}`;

async function screenOf(node: StartedNode, session: string, authorization: string): Promise<string> {
	const answer = await node.fetch(`/api/sessions/${encodeURIComponent(session)}/history?lines=50`, {
		headers: { authorization },
	});
	return answer.status === 200 ? ((await answer.json()) as { text: string }).text : "";
}

describe.each(Object.keys(sizes))("split views on a %s", (size) => {
	const phone = size === "phone";
	let first: StartedNode;
	let second: StartedNode;
	let page: Page;
	let faults: readonly string[];
	let stage: UiStage | undefined;

	beforeAll(async () => {
		if (missing !== null) return;
		// What a worker fetches cannot be broken off by a test.
		stage = await UiStage.open(size, { second: true, context: { serviceWorkers: "block" } });
		({ first, second, page, faults } = stage);
	});
	afterAll(() => stage?.[Symbol.asyncDispose]());
	const pane = (name: string) =>
		page.locator(".pane").filter({ has: page.getByRole("heading", { name: `Terminal ${name}` }) });
	const live = (name: string) => pane(name).locator('.terminal-stage[data-phase="live"]').waitFor();
	const split = async (words: string) => {
		await page.getByRole("button", { name: "Terminal actions" }).first().click();
		await page.getByRole("menuitem", { name: words }).click();
		await page.getByRole("heading", { name: "Which terminal?" }).waitFor();
	};
	const type = async (name: string, line: string) => {
		if (phone) {
			await page.getByPlaceholder("Type, then send").fill(line);
			await page.getByRole("button", { name: /^Send and press Enter|^Send$/ }).click();
			return;
		}
		await pane(name).getByRole("textbox", { name: "Terminal input" }).focus();
		await page.keyboard.type(`${line}\n`);
	};

	it("a page whose program breaks off on its way is asked for again by itself", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await setUp(page, first);
		let asked = 0;
		await page.route(/\/assets\/(activity|network-page)-.*\.(js|css)$/, (route) => {
			asked += 1;
			return asked <= 2 ? route.abort("internetdisconnected") : route.continue();
		});
		await page.goto(`${originOf(first)}/m/self/activity`);
		await page.getByRole("heading", { name: "Activity" }).waitFor();
		expect(asked).toBeGreaterThan(2);
		await page.unrouteAll();
	});

	it("a page that lost its style sheet on the way is not left bare", async (test) => {
		test.skip(missing !== null, missing ?? "");
		let asked = 0;
		await page.route(/\/assets\/index-.*\.css$/, (route) => {
			asked += 1;
			return asked <= 2 ? route.abort("internetdisconnected") : route.continue();
		});
		await page.goto(`${originOf(first)}/m/self/terminals?new`);
		await page.getByRole("heading", { name: /^New session/ }).waitFor();
		await page.getByRole("button", { name: "Close" }).click();
		await page.getByText("No session runs on atlas").waitFor();
		expect(asked).toBe(3);
		await expectAccessible(page, "a page that lost its style sheet");
		await page.unrouteAll();
	});

	it("one that does not arrive at all says so, and comes when it is asked for", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.route(/\/assets\/network-page-.*\.js$/, (route) => route.abort("internetdisconnected"));
		await page.goto(`${originOf(first)}/network`);
		await page.getByText("This page did not arrive").waitFor();
		await expectAccessible(page, "a page that did not arrive");
		await page.unrouteAll();
		await page.getByRole("button", { name: "Try again" }).click();
		await page.getByRole("heading", { name: "Network" }).waitFor();
	});

	it("a second terminal comes beside the first, and each takes its own keys", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(first)}/m/self/terminals?new`);
		await page.getByRole("textbox", { name: "Name" }).fill("left");
		await page.getByRole("button", { name: "Create" }).click();
		await live("left");
		await split("View another beside");
		await expectAccessible(page, "which terminal");
		await page.getByRole("button", { name: "New session on atlas" }).click();
		await live("view 1");
		if (!phone) await live("left");
		await type("view 1", "echo r$((6*7))t");
		await expect.poll(() => screenOf(first, "view 1", basic), eventually).toContain("r42t");
		if (phone) await page.getByRole("link", { name: /^left/ }).click();
		await live("left");
		await type("left", "echo l$((7*6))t");
		await expect.poll(() => screenOf(first, "left", basic), eventually).toContain("l42t");
		expect(await screenOf(first, "left", basic)).not.toContain("r42t");
		await expectAccessible(page, "two terminals");
	});

	it("a screen that does not listen yet is not there to be typed into", async (test) => {
		test.skip(missing !== null, missing ?? "");
		test.skip(phone, "a phone draws without the graphics card, and has a field of its own");
		const asked = Promise.withResolvers<void>();
		const held = Promise.withResolvers<void>();
		await page.route(/\/assets\/addon-webgl-.*\.js$/, async (route) => {
			asked.resolve();
			await held.promise;
			await route.continue();
		});
		await page.reload();
		await asked.promise;
		expect(await page.locator(".xterm").count()).toBe(0);
		held.resolve();
		for (const name of ["left", "view 1"]) await live(name);
		await page.unrouteAll();
	});

	it("what a phone sends before the screen is drawn arrives once it is", async (test) => {
		test.skip(missing !== null, missing ?? "");
		test.skip(!phone, "at a desk keys go to the screen itself");
		const letters = Promise.withResolvers<void>();
		await page.route(/\.woff2$/, async (route) => {
			await letters.promise;
			await route.continue();
		});
		await page.reload();
		await page.getByRole("heading", { name: "Terminal left" }).waitFor();
		await type("left", "echo e$((40+2))y");
		letters.resolve();
		await expect.poll(() => screenOf(first, "left", basic), eventually).toContain("e42y");
		await page.unrouteAll();
		await live("left");
	});

	it("another machine's terminal comes into the same view", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const made = await second.fetch("/api/sessions", {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ name: "far" }),
		});
		expect(made.status).toBe(201);
		const here = page.url();
		await page.goto(`${originOf(first)}/machines?add`);
		await page.getByText("By its address", { exact: true }).click();
		await page.getByRole("textbox", { name: "Host" }).fill("127.0.0.1");
		await page.getByRole("spinbutton", { name: "Port" }).fill(String(second.port));
		await page.getByRole("button", { name: "Add", exact: true }).click();
		await page.getByRole("link", { name: "Sign in" }).click();
		await page.getByRole("textbox", { name: "User" }).fill("bob");
		await page.getByRole("textbox", { name: "PIN", exact: true }).fill("bobs-pin-1");
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByRole("link", { name: "far" }).first().waitFor();
		await page.goto(here);
		await live("left");
		await split("View another below");
		await page.getByRole("button", { name: /^far/ }).click();
		await live("far");
		await type("far", "echo f$((40+2))r");
		const bob = second.authorization;
		await expect.poll(() => screenOf(second, "far", bob), eventually).toContain("f42r");
		expect(page.url()).not.toContain("/m/self/");
		await expectAccessible(page, "terminals of two machines");
	});

	it("the view is there after a reload, with the address as its focus", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const before = page.url();
		await page.reload();
		await live("far");
		expect(page.url()).toBe(before);
		if (phone) {
			expect(await page.getByRole("navigation", { name: "Views" }).getByRole("link").count()).toBe(3);
			return;
		}
		for (const name of ["left", "view 1"]) await live(name);
		expect(await page.locator('.pane[data-focused="true"]').count()).toBe(1);
		await page.keyboard.press("Alt+Shift+ArrowUp");
		await page.waitForURL(/\/m\/self\//);
		await page.keyboard.press("Alt+Shift+ArrowRight");
		await pane("view 1").and(page.locator('[data-focused="true"]')).waitFor();
		await pane("view 1").getByRole("textbox", { name: "Terminal input" }).and(page.locator(":focus")).waitFor();
		await page.keyboard.type("echo k$((40+2))y\n");
		await expect.poll(() => screenOf(first, "view 1", basic), eventually).toContain("k42y");
	});

	it("the views are sized by the keyboard, opened from the palette, and closed without their sessions", async (test) => {
		test.skip(missing !== null, missing ?? "");
		if (!phone) {
			const width = async () => (await pane("left").boundingBox())?.width ?? 0;
			const before = await width();
			await page.getByRole("separator", { name: "Size of the views" }).first().focus();
			await page.keyboard.press("ArrowRight");
			await expect.poll(width, eventually).toBeGreaterThan(before + 20);
			await page.goto(`${originOf(first)}/machines`);
			await page.getByRole("heading", { name: "Machines", exact: true }).waitFor();
			await page.keyboard.press("Control+k");
			await page.getByRole("combobox", { name: "Go to" }).fill("split view");
			await page.getByRole("option", { name: /Open the split view/ }).click();
			await live("view 1");
		}
		for (const name of ["view 1", "far"]) {
			await page.getByRole("button", { name: `Close the view of ${name}` }).click();
			await page.getByRole("button", { name: `Close the view of ${name}` }).waitFor({ state: "detached" });
		}
		await live("left");
		expect(await page.locator(".pane").count()).toBe(1);
		const { sessions } = (await (await first.fetch("/api/sessions", { headers: { authorization: basic } })).json()) as {
			sessions: { name: string }[];
		};
		expect(sessions.map(({ name }) => name).sort()).toEqual(["left", "view 1"]);
	});

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(faults).toEqual([]);
	});
});
