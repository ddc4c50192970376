import { type StartedNode, startNode } from "@warren/testkit";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import { eventually, expectAccessible, newContext, newPage, originOf, sizes, violationsOf } from "./ui-pages.ts";

/** What draws a terminal, and what a browser does to it: a lost GPU, a phone's keyboard, a page that comes back. */
const missing = browserMissing();
const softwareGpu = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"];
const firstLoadBytes = 180 * 1024;

describe("a terminal's screen", () => {
	let node: StartedNode;
	let browser: Browser;
	let desk: Page;
	let phone: Page;
	const faults: string[] = [];

	beforeAll(async () => {
		if (missing !== null) return;
		node = await startNode({ name: "atlas" });
		browser = await launchBrowser({ ca: node.ca, args: softwareGpu });
		desk = await newPage(await newContext(browser as never, sizes["desktop"]), faults);
		phone = await newPage(await newContext(browser as never, sizes["phone"]), faults);
	});
	afterAll(async () => {
		await browser?.close();
		await node?.[Symbol.asyncDispose]();
	});

	async function signIn(page: Page): Promise<void> {
		await page.goto(`${originOf(node)}/`);
		await page.getByRole("textbox", { name: "User" }).fill(node.user);
		await page.getByRole("textbox", { name: "PIN", exact: true }).fill(node.pin);
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByRole("heading", { name: "Terminals" }).or(page.getByText("No session runs on")).first().waitFor();
	}

	/** A session that has printed this. */
	async function session(name: string, prints: string): Promise<void> {
		const made = await node.fetch("/api/sessions", {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ name, command: `printf '${prints}\\n'; exec sh`, cwd: node.home }),
		});
		expect(made.status).toBe(201);
		// And whose shell asks: typed before, a line stands on the screen in another place.
		await expect.poll(() => history(name), eventually).toMatch(new RegExp(`${prints}\\n.*\\S`));
	}

	async function open(page: Page, name: string): Promise<void> {
		await page.goto(`${originOf(node)}/m/self/terminals`);
		await page.getByRole("link", { name, exact: true }).first().click();
		await page.getByRole("heading", { name: `Terminal ${name}` }).waitFor();
		await page.locator(".terminal-stage[data-phase=live] .xterm").waitFor();
	}

	const history = async (name: string) => {
		const answer = await node.fetch(`/api/sessions/${name}/history?lines=200`);
		return answer.status === 200 ? ((await answer.json()) as { text: string }).text : "";
	};

	it("the first load is small: what a terminal, a document or a chat needs comes with them", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await desk.goto(`${originOf(node)}/`);
		await desk.getByRole("textbox", { name: "User" }).waitFor();
		const loaded = await desk.evaluate(() =>
			(performance.getEntriesByType("resource") as PerformanceResourceTiming[])
				.filter(({ name }) => /\.(js|css)$/.test(new URL(name).pathname))
				.map(({ name, encodedBodySize }) => ({ name: new URL(name).pathname, bytes: encodedBodySize })),
		);
		expect(loaded.length).toBeGreaterThan(3);
		expect(Math.min(...loaded.map(({ bytes }) => bytes))).toBeGreaterThan(0);
		expect(loaded.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(firstLoadBytes);
		expect(loaded.filter(({ name }) => /terminal|webgl|yjs|markdown|editor|export/.test(name))).toEqual([]);
	});

	it("goes on without the graphics card when that is taken away", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await signIn(desk);
		await session("graphics", "drawn either way");
		await open(desk, "graphics");
		const drawn = desk.locator(".xterm-screen canvas").first();
		const hasGpu = await desk.evaluate(() => document.createElement("canvas").getContext("webgl2") !== null);
		test.skip(!hasGpu, "this browser has no WebGL, not even in software");
		await drawn.waitFor({ state: "attached" });
		const lost = await desk.evaluate(() =>
			[...document.querySelectorAll<HTMLCanvasElement>(".xterm-screen canvas")].map((canvas) => {
				const extension = canvas.getContext("webgl2")?.getExtension("WEBGL_lose_context");
				extension?.loseContext();
				return extension != null;
			}),
		);
		expect(lost).toContain(true);
		await expect.poll(() => desk.locator(".xterm-rows").innerText(), eventually).toContain("drawn either way");
		await desk.getByRole("textbox", { name: "Terminal input" }).focus();
		await desk.keyboard.type("echo still $((6*7))");
		await desk.keyboard.press("Enter");
		await expect.poll(() => desk.locator(".xterm-rows").innerText(), eventually).toContain("still 42");
	});

	it("is mirrored for screen readers, once that is asked for", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await session("read", "read me aloud");
		await desk.goto(`${originOf(node)}/settings`);
		await desk
			.getByRole("switch", { name: "Mirror the terminal for screen readers" })
			.or(desk.getByRole("checkbox", { name: "Mirror the terminal for screen readers" }))
			.check();
		await open(desk, "read");
		const mirror = desk.locator(".xterm-accessibility");
		await expect.poll(() => mirror.textContent(), eventually).toContain("read me aloud");
		await expectAccessible(desk, "terminal, mirrored");
	});

	it("keeps its columns when a phone's keyboard opens, and the key bar in sight", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await signIn(phone);
		await session("keyboard", "ready");
		await open(phone, "keyboard");
		const line = phone.getByPlaceholder("Type, then send");
		const columns = async (mark: string) => {
			await line.fill(`echo ${mark} $(stty size)`);
			await line.press("Enter");
			const answer = new RegExp(`^${mark} \\d+ (\\d+)`, "m");
			await expect.poll(() => history("keyboard"), eventually).toMatch(answer);
			return Number(answer.exec(await history("keyboard"))?.[1]);
		};
		const before = await columns("closed");
		expect(before).toBeGreaterThan(20);
		// Android takes the keyboard's height off the page, iOS off what is seen of it alone.
		await phone.setViewportSize({ width: 390, height: 460 });
		await expect.poll(() => line.evaluate((each) => each.getBoundingClientRect().bottom), eventually).toBeLessThan(461);
		expect(await columns("android")).toBe(before);
		await phone.setViewportSize({ width: 390, height: 844 });
		// The rules for Safari on a phone, which this browser would leave out.
		const taken = await phone.evaluate(() => {
			let count = 0;
			for (const sheet of document.styleSheets)
				for (const rule of [...sheet.cssRules])
					if (rule instanceof CSSSupportsRule && rule.conditionText.includes("-webkit-touch-callout"))
						for (const each of rule.cssRules)
							count += sheet.insertRule(each.cssText, sheet.cssRules.length) > 0 ? 1 : 0;
			return count;
		});
		expect(taken).toBeGreaterThan(0);
		await phone.evaluate(() => {
			Object.defineProperty(visualViewport, "height", { configurable: true, get: () => 430 });
			visualViewport?.dispatchEvent(new Event("resize"));
		});
		await expect.poll(() => line.evaluate((each) => each.getBoundingClientRect().bottom), eventually).toBeLessThan(431);
		expect(await columns("ios")).toBe(before);
		await expectAccessible(phone, "terminal, keyboard open");
		await phone.evaluate(() => {
			Object.defineProperty(visualViewport, "height", { configurable: true, get: () => 844 });
			visualViewport?.dispatchEvent(new Event("resize"));
		});
	});

	it("is drawn anew when the page comes back from where the browser had put it", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await session("back", "here again");
		await open(phone, "back");
		const rows = phone.locator(".xterm-rows");
		await expect.poll(() => rows.innerText(), eventually).toContain("here again");
		// As a phone leaves it after an hour in another app.
		const left = await rows.evaluate((each) => {
			for (const row of each.children) row.textContent = "";
			return each.textContent;
		});
		expect(left).toBe("");
		await phone.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
		await expect.poll(() => rows.innerText(), eventually).toContain("here again");
	});

	it("raised no fault in any page", async (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(faults).toEqual([]);
		for (const page of [desk, phone]) expect(await violationsOf(page)).toEqual([]);
	});
});
