import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type StartedNode, startNode } from "@warren/testkit";
import type { Browser, Page, Worker } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import { eventually, expectAccessible, newContext, newPage, originOf, sizes } from "./ui-pages.ts";

/** What a terminal tells somebody who is elsewhere: bells, finished commands, text for the clipboard. */
const missing = browserMissing();

/** Of a service worker's global scope, and what the test keeps there. */
interface PushScope extends EventTarget {
	pushed: number;
	readonly registration: ServiceWorkerRegistration;
	readonly clients: { matchAll(options: object): Promise<unknown> };
}

describe("notices of terminals", () => {
	let node: StartedNode;
	let browser: Browser;
	let page: Page;
	const faults: string[] = [];

	beforeAll(async () => {
		if (missing !== null) return;
		node = await startNode({ name: "atlas" });
		browser = await launchBrowser({ ca: node.ca });
		const context = await newContext(browser as never, sizes["desktop"]);
		await context.grantPermissions(["notifications", "clipboard-read", "clipboard-write"], { origin: originOf(node) });
		page = await newPage(context, faults);
		await page.goto(`${originOf(node)}/`);
		await page.getByRole("heading", { name: "Sign in" }).waitFor();
		await page.getByRole("textbox", { name: "User" }).fill(node.user);
		await page.getByRole("textbox", { name: "PIN", exact: true }).fill(node.pin);
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByText("No session runs on atlas").waitFor();
	});
	afterAll(async () => {
		await browser?.close();
		await node?.[Symbol.asyncDispose]();
	});

	const run = async (name: string, command: string) => {
		const made = await node.fetch("/api/sessions", {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ name, command }),
		});
		expect(made.status).toBe(201);
	};
	/** Types into a session as its owner at the machine would. */
	const typeIn = async (name: string, line: string) => {
		await page.goto(`${originOf(node)}/m/self/terminals`);
		await page.getByRole("link", { name, exact: true }).first().click();
		await page.getByRole("heading", { name: `Terminal ${name}` }).waitFor();
		await page.locator(".terminal-stage[data-phase=live] .xterm").waitFor();
		await page.getByRole("textbox", { name: "Terminal input" }).focus();
		await page.keyboard.type(line);
		await page.keyboard.press("Enter");
	};

	it("a machine alone asks for its PIN and offers no account, nor documents", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(node)}/docs`);
		await page.getByText("This machine has no hub").waitFor();
		await expectAccessible(page, "no hub");
	});

	it("a bell elsewhere shows as a notice that leads there", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const cord = join(node.home, "cord");
		expect(spawnSync("mkfifo", [cord]).status).toBe(0);
		await run("ringer", `sh -c 'read line < ${cord}; printf "\\a"; read line'`);
		await page.goto(`${originOf(node)}/m/self/terminals`);
		await page.getByRole("link", { name: "ringer" }).first().waitFor();
		await page.getByText("connected", { exact: true }).waitFor();
		await page.getByRole("link", { name: "Machines" }).click();
		await page.getByRole("heading", { name: "Machines", level: 1 }).waitFor();
		// Under the pointer it stays, which is there before it comes.
		const { width, height } = page.viewportSize() as { width: number; height: number };
		await page.mouse.move(width - 200, height - 50);
		writeFileSync(cord, "pull\n");
		await page.getByText("Bell in ringer").hover();
		await expectAccessible(page, "a notice");
		await page.getByRole("button", { name: "Open", exact: true }).click();
		await page.getByRole("heading", { name: "Terminal ringer" }).waitFor();
	});

	it("a program's text for the clipboard (OSC 52) arrives there", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await run("copier", "sh");
		const text = Buffer.from("from the far side ✓").toString("base64");
		await typeIn("copier", `printf '\\033]52;c;${text}\\007'`);
		await expect
			.poll(() => page.evaluate(() => navigator.clipboard.readText()), eventually)
			.toBe("from the far side ✓");
	});

	it("an address that a program shows is opened once somebody has looked at it, in a page that knows nothing of this one", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await run("linker", "sh");
		await page.context().route("https://burrow.example/**", (route) => route.fulfill({ body: "far away" }));
		await typeIn("linker", "clear; printf 'see %s://burrow.example/map\\n' https");
		const stage = page.locator(".xterm-screen");
		const ask = async () => {
			const { x, y } = (await stage.boundingBox()) as { x: number; y: number };
			const hover = async () => {
				await page.mouse.move(x + 70, y + 90);
				// In the first line, some columns into the address.
				await page.mouse.move(x + 70, y + 8);
				return page.locator(".xterm-cursor-pointer").count();
			};
			await expect.poll(hover, eventually).toBeGreaterThan(0);
			await page.mouse.down();
			await page.mouse.up();
			await page.getByRole("alertdialog").getByText("https://burrow.example/map").waitFor();
		};
		await ask();
		await expectAccessible(page, "a link of a program");
		await page.keyboard.press("Escape");
		await page.getByRole("alertdialog").waitFor({ state: "detached" });
		expect(page.context().pages().length).toBe(1);
		await ask();
		const opened = page.context().waitForEvent("page");
		await page.getByRole("button", { name: "Open in a new tab" }).click();
		const far = await opened;
		await far.waitForURL("https://burrow.example/map");
		expect(await far.evaluate(() => [window.opener, document.referrer])).toEqual([null, ""]);
		await far.close();
	});

	it("a long command that ends tells by the system when nobody looks at the page", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(node)}/settings`);
		await page.evaluate(async () => void (await navigator.serviceWorker.ready));
		// The browser asks its user first, so that the box changes a moment later.
		await page.getByRole("checkbox", { name: "Show notifications" }).click();
		await page.getByRole("checkbox", { name: "Show notifications", checked: true }).waitFor();
		await run("worker", "sh");
		// A shell first, then the command: what ends is then known to have been one.
		const cord = join(node.home, "work");
		expect(spawnSync("mkfifo", [cord]).status).toBe(0);
		await typeIn("worker", `cat ${cord}`);
		const commands = async () => {
			const { sessions } = (await (await node.fetch("/api/sessions")).json()) as {
				sessions: { name: string; command: string }[];
			};
			return sessions.filter(({ name }) => name === "worker").map(({ command }) => command);
		};
		await expect.poll(commands, eventually).toEqual(["cat"]);
		const seenAt = performance.now();
		await page.getByRole("link", { name: "Machines" }).click();
		await page.evaluate(() => Object.defineProperty(document, "visibilityState", { value: "hidden" }));
		const shown = () =>
			page.evaluate(async () => {
				const registration = await navigator.serviceWorker.getRegistration();
				return ((await registration?.getNotifications()) ?? []).map(({ title, body }) => `${title} | ${body}`);
			});
		// What is told of is ten seconds of what the machine has seen, whose eye may come a little after this one.
		await expect.poll(() => performance.now() - seenAt, { timeout: 60_000 }).toBeGreaterThan(15_000);
		writeFileSync(cord, "done\n");
		await expect
			.poll(shown, eventually)
			.toEqual([expect.stringMatching(/^cat finished in worker \| It ran for [1-9]/)]);
	});

	it("with the page closed the worker shows what the machine sends, and a page in sight is left in peace", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const registered = Promise.withResolvers<string>();
		const session = await page.context().newCDPSession(page);
		session.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
			const [first] = registrations;
			if (first !== undefined) registered.resolve(first.registrationId);
		});
		await session.send("ServiceWorker.enable");
		const registrationId = await registered.promise;
		const push = (tag: string) =>
			session.send("ServiceWorker.deliverPushMessage", {
				origin: originOf(node),
				registrationId,
				data: JSON.stringify({
					title: "Bell on atlas",
					body: "A terminal there asks for you.",
					tag,
					path: "/machines",
				}),
			});
		await page.goto(`${originOf(node)}/settings`);
		await page.getByRole("heading", { name: "Notifications" }).waitFor();
		// Asked by itself: what is delivered is worked on a moment later, whatever the page is by then.
		const [worker] = page.context().serviceWorkers() as [Worker];
		await worker.evaluate(() => {
			const scope = globalThis as unknown as PushScope;
			scope.pushed = 0;
			scope.addEventListener("push", () => void (scope.pushed += 1));
		});
		const pushed = () => worker.evaluate(() => (globalThis as unknown as PushScope).pushed);
		const shown = () =>
			worker.evaluate(async () => {
				const scope = globalThis as unknown as PushScope;
				// After what a push before asked.
				await scope.clients.matchAll({ type: "window", includeUncontrolled: true });
				const notifications = await scope.registration.getNotifications();
				return notifications.map(({ tag }) => tag).filter((tag) => /^push/.test(tag));
			});
		await push("push-in-sight");
		await expect.poll(pushed, eventually).toBe(1);
		expect(await shown()).toEqual([]);
		// No window of this machine is left: the one that looks on is about something else.
		await page.goto("about:blank");
		await push("push-closed");
		await expect.poll(shown, eventually).toEqual(["push-closed"]);
		await page.goto(`${originOf(node)}/settings`);
	});

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(faults).toEqual([]);
	});
});
