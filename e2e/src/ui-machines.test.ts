import { chmodSync, cpSync, writeFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type StartedNode, startNode, tempFolder } from "@warren/testkit";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import { eventually, expectAccessible, newContext, newPage, originOf, violationsOf } from "./ui-pages.ts";

/** What the UI says of other machines when something is wrong with them, and how it sits on a device itself. */
const missing = browserMissing();
const web = (path: string) => fileURLToPath(new URL(`../../apps/web/${path}`, import.meta.url));

/** Whatever the Tab key should stop at and does not, from the page's start until it comes round. Marks are in the page. */
async function neverReached(page: Page): Promise<string[]> {
	await page.evaluate(() => {
		(document.activeElement as HTMLElement | null)?.blur();
		const reached = new Set<Element>();
		Object.assign(globalThis, { reached });
		document.addEventListener("focusin", ({ target }) => reached.add(target as Element));
	});
	const stops = await page.locator("a[href], button, input, select, textarea, [tabindex]").count();
	for (let presses = 0; presses < stops + 10; presses++) await page.keyboard.press("Tab");
	return page.evaluate(() => {
		const { reached } = globalThis as unknown as { reached: Set<Element> };
		/** One stop for each group of radio buttons. */
		const groups = new Set([...reached].map((each) => (each as HTMLInputElement).name).filter((name) => name !== ""));
		return [...document.querySelectorAll<HTMLElement>("a[href], button, input, select, textarea, [tabindex]")]
			.filter((each) => each.tabIndex >= 0 && each.checkVisibility() && !each.matches(":disabled, [inert] *"))
			.filter((each) => !each.hasAttribute("data-base-ui-focus-guard"))
			.filter((each) => !((each as HTMLInputElement).type === "radio" && groups.has((each as HTMLInputElement).name)))
			.filter((each) => !reached.has(each))
			.map((each) => each.outerHTML.slice(0, 120));
	});
}

describe("machines in the web UI", () => {
	let folder: ReturnType<typeof tempFolder>;
	let env: Record<string, string>;
	let first: StartedNode;
	let second: StartedNode;
	let browser: Browser;
	let context: BrowserContext;
	let page: Page;
	const faults: string[] = [];

	beforeAll(async () => {
		if (missing !== null) return;
		folder = tempFolder("ui-machines");
		// A Tailscale that is there, and tells this user nothing.
		const tailscale = folder.file("tailscale");
		writeFileSync(tailscale, "#!/bin/sh\necho 'Access denied: status access denied' >&2\nexit 1\n");
		chmodSync(tailscale, 0o755);
		cpSync(web("dist"), folder.file("web"), { recursive: true });
		env = { WARREN_TAILSCALE: tailscale, WARREN_WEB: folder.file("web") };
		[first, second] = await Promise.all([
			startNode({ name: "atlas", env }),
			startNode({ name: "burrow", user: "bob", pin: "bobs-pin-1" }),
		]);
		const headers = { "content-type": "application/json" };
		const peer = JSON.stringify({ host: second.host, port: second.port, name: "burrow" });
		expect((await first.fetch("/api/peers", { method: "POST", headers, body: peer })).status).toBe(201);
		const session = JSON.stringify({ name: "digging" });
		expect((await second.fetch("/api/sessions", { method: "POST", headers, body: session })).status).toBe(201);
		browser = await launchBrowser({ ca: first.ca });
		context = await newContext(browser as never);
		page = await newPage(context, faults);
		await page.goto(`${originOf(first)}/`);
		await page.getByRole("textbox", { name: "User" }).fill(first.user);
		await page.getByRole("textbox", { name: "PIN", exact: true }).fill(first.pin);
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByText("No session runs on atlas").waitFor();
	});
	afterAll(async () => {
		await browser?.close();
		await first?.[Symbol.asyncDispose]();
		await second?.[Symbol.asyncDispose]();
		folder?.[Symbol.dispose]();
	});

	it("a source that fails is said with its cause and its cure, and hides nobody whom another one knows", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(first)}/machines`);
		await page.getByText("operator_denied").waitFor();
		await page.getByText(/does not let this user ask: Access denied/).waitFor();
		await page.getByRole("button", { name: /^Copy command: sudo tailscale set --operator=/ }).waitFor();
		const row = page.getByRole("row").filter({ hasText: "burrow" });
		await row.getByText("reachable", { exact: true }).waitFor();
		await expect.poll(() => row.locator(".cell-distance").innerText(), eventually).toMatch(/\d+ ?ms/);
		await expectAccessible(page, "a source that failed");
	});

	it("the address of a machine that is not there says so, asks for no PIN, and leads back", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(first)}/m/nobody-0123456789/terminals`);
		await page.getByText("No machine of this warren is called “nobody-0123456789”.").waitFor();
		expect(await page.getByRole("textbox").count()).toBe(0);
		await expectAccessible(page, "an unknown machine");
		await page.getByRole("link", { name: "All machines" }).click();
		await page.getByRole("heading", { name: "Machines", level: 1 }).waitFor();
	});

	it("is driven by the Tab key alone: it stops at everything that can be used", async (test) => {
		test.skip(missing !== null, missing ?? "");
		for (const path of ["/machines", "/m/self/terminals", "/settings", "/trust"]) {
			await page.goto(`${originOf(first)}${path}`);
			await page.getByRole("heading", { level: 1 }).first().waitFor();
			await page.waitForLoadState("networkidle");
			// Something may come after the focus has passed its place: it is reached the next time round.
			await expect.poll(() => neverReached(page), { ...eventually, message: path }).toEqual([]);
		}
	});

	it("a machine that is away shows what was there, since when, and the way to another; it comes back by itself", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(first)}/machines`);
		await page.getByRole("row").filter({ hasText: "burrow" }).getByRole("link", { name: "Sign in" }).click();
		await page.getByRole("textbox", { name: "User" }).fill("bob");
		await page.getByRole("textbox", { name: "PIN", exact: true }).fill("bobs-pin-1");
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByRole("link", { name: "digging", exact: true }).waitFor();
		const here = new URL(page.url()).pathname;
		await second.kill("SIGKILL");
		await page.getByText(/^Shown as it was/).waitFor();
		await page.getByRole("link", { name: "digging", exact: true }).waitFor();
		await expectAccessible(page, "a machine that is away");
		await page.getByRole("link", { name: "Use another machine" }).click();
		const row = page.getByRole("row").filter({ hasText: "burrow" });
		await row.getByText("away", { exact: true }).waitFor();
		await row.getByText(/^last seen /).waitFor();
		await row.getByText("Start Warren there: warren up").waitFor();
		await page.goto(originOf(first) + here);
		await page.getByText("burrow does not answer as it should").waitFor();
		second = await startNode({
			name: "burrow",
			user: "bob",
			pin: "bobs-pin-1",
			home: second.home,
			port: second.port,
		});
		await page.getByText("burrow does not answer as it should").waitFor({ state: "detached" });
		await page.getByText("connected", { exact: true }).waitFor();
	});

	it("installs as an app, and every page of it is the browser's to keep", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(first)}/machines`);
		await page.evaluate(async () => void (await navigator.serviceWorker.ready));
		const devtools = await context.newCDPSession(page);
		const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
		// These tests' windows are private ones, which install nothing.
		expect(installabilityErrors.map(({ errorId }) => errorId).filter((each) => each !== "in-incognito")).toEqual([]);
		const { errors, data } = await devtools.send("Page.getAppManifest");
		expect([errors, JSON.parse(data ?? "{}")]).toMatchObject([[], { name: "Warren", display: "standalone" }]);
		const kept = await page.evaluate(async () => {
			const names = await caches.keys();
			const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
			return requests.flat().map(({ url }) => new URL(url).pathname);
		});
		expect(kept.length).toBeGreaterThan(5);
		expect(kept.filter((path) => !/^\/assets\/[\w.-]+-[\w-]{8,}\.\w+$/.test(path))).toEqual(["/index.html"]);
	});

	it("a build with the kill switch takes the offline copy away, once, and leaves the page working", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(first)}/machines`);
		await page.evaluate(async () => void (await navigator.serviceWorker.ready));
		// The machine is brought to that build.
		await first.stop();
		await copyFile(web("src/pwa/service-worker-off.js"), join(folder.file("web"), "sw.js"));
		first = await startNode({ name: "atlas", env, home: first.home, port: first.port });
		const copiesIn = (page: Page) =>
			page
				.evaluate(async () => {
					const workers = await navigator.serviceWorker.getRegistrations();
					return workers.length + (await caches.keys()).length;
				})
				// The worker loads the page anew, perhaps now.
				.catch(() => -1);
		let documents = 0;
		page.on("request", (request) => void (documents += request.isNavigationRequest() ? 1 : 0));
		// The browser looks for a new build by itself at a navigation, which the worker might meet half-way.
		await page.evaluate(async () => void (await navigator.serviceWorker.getRegistration())?.update()).catch(() => {});
		await expect.poll(() => documents, eventually).toBe(1);
		await expect.poll(() => copiesIn(page), eventually).toBe(0);
		await page.getByRole("row").filter({ hasText: "burrow" }).getByText("reachable", { exact: true }).waitFor();
		expect(await violationsOf(page)).toEqual([]);
		// Another page meets the same worker, which has nothing to take away, and loads nothing anew.
		const later = await newPage(context, faults);
		let loads = 0;
		later.on("load", () => loads++);
		await later.goto(`${originOf(first)}/machines`);
		await expect.poll(() => copiesIn(later), eventually).toBe(0);
		await later.getByRole("row").filter({ hasText: "burrow" }).waitFor();
		expect(loads).toBe(1);
		expect(await violationsOf(later)).toEqual([]);
	});

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(faults).toEqual([]);
	});
});
