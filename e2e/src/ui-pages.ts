import { join } from "node:path";
import { AxeBuilder } from "@axe-core/playwright";
import type { StartedNode } from "@warren/testkit";
import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { expect, vi } from "vitest";
import type { launchBrowser } from "./browser.ts";

/** What the UI's tests share: screens, the owner's first steps, and what every page must hold to. */

/** Real browsers on a busy machine: these bound a hang, and time nothing. Milliseconds. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const actionMs = 45_000;
export const eventually = { timeout: actionMs } as const;

export const sizes: Readonly<Record<string, BrowserContextOptions>> = {
	desktop: { viewport: { width: 1440, height: 900 }, colorScheme: "light" },
	phone: {
		viewport: { width: 390, height: 844 },
		isMobile: true,
		hasTouch: true,
		deviceScaleFactor: 2,
		colorScheme: "dark",
	},
};

export const owner = {
	user: "ada",
	pin: "correct horse",
	name: "Ada Lovelace",
	email: "ada@example.test",
	password: "correct horse battery",
};

/** A warren's first machine, for tests that may run beside another one on this loopback. */
export const firstMachine = { command: ["up"], name: "atlas", pin: null, env: { WARREN_SIDECAR_PORT: "0" } } as const;

/** By name: passkeys and the browser's trust know no bare addresses. */
export const originOf = (node: StartedNode) => `https://localhost:${node.port}`;

type Violations = { directive: string; blocked: string; sample: string }[];

/** Counts every breach of the page's own policy, from the first script on. */
export async function newContext(
	browser: Awaited<ReturnType<typeof launchBrowser>>,
	options: BrowserContextOptions = sizes["desktop"] as BrowserContextOptions,
): Promise<BrowserContext> {
	const context = await browser.newContext(options);
	await context.addInitScript(() => {
		const seen: Violations = [];
		Object.assign(globalThis, { policyViolations: seen });
		document.addEventListener("securitypolicyviolation", (event) => {
			seen.push({ directive: event.violatedDirective, blocked: event.blockedURI, sample: event.sample });
		});
	});
	return context;
}

export async function newPage(context: BrowserContext, faults: string[]): Promise<Page> {
	const page = await context.newPage();
	page.setDefaultTimeout(actionMs);
	page.on("pageerror", (error) => faults.push(error.message));
	return page;
}

export const violationsOf = (page: Page) =>
	page.evaluate(() => (globalThis as unknown as { policyViolations: Violations }).policyViolations);

/** In light and in dark. */
export async function expectAccessible(page: Page, where: string): Promise<void> {
	for (const colorScheme of ["dark", "light"] as const) {
		// What comes while it is looked at, a notice, is there at once: half faded in, it is nobody's contrast.
		await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
		// Nor are colours that are still moving. Skeletons breathe for ever: those are not waited for.
		await page.evaluate(() =>
			Promise.all(
				document
					.getAnimations()
					.filter((animation) => animation.effect?.getComputedTiming().iterations !== Number.POSITIVE_INFINITY)
					.map((animation) => animation.finished.catch(() => {})),
			),
		);
		await keepPicture(page, `${where}, ${colorScheme}`);
		// Guards that hand focus on the moment they get it are hidden on purpose.
		const axe = new AxeBuilder({ page }).exclude("[data-base-ui-focus-guard]");
		// The pages have no frames: without this each look opens another page to put frames' findings together.
		axe.setLegacyMode();
		// A message on its way out fades: it was judged while it stood.
		axe.exclude("[data-ending-style]");
		// Only the colours differ between the two.
		if (colorScheme === "dark") axe.withRules("color-contrast");
		// An open menu lies over the page, in no landmark of it; that rule is advice, not WCAG.
		else if ((await page.getByRole("menu").count()) > 0) axe.disableRules("region");
		const { violations, passes } = await axe.analyze();
		expect(passes.length, where).toBeGreaterThan(colorScheme === "dark" ? 0 : 5);
		expect(
			violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`),
			`${where}, ${colorScheme}`,
		).toEqual([]);
	}
	await page.emulateMedia({ colorScheme: null, reducedMotion: null });
	expect(await violationsOf(page), where).toEqual([]);
	await expectNoSideScroll(page, where);
}

const pictures = process.env["WARREN_SCREENSHOTS"];

/** For people who want to see what the tests saw: a picture a page, into the folder WARREN_SCREENSHOTS. */
async function keepPicture(page: Page, what: string): Promise<void> {
	if (pictures === undefined) return;
	const { width } = page.viewportSize() ?? { width: 0 };
	const name = `${what.replace(/[^a-z0-9]+/gi, "-")}-${width}.png`;
	await page.screenshot({ path: join(pictures, name), fullPage: true });
}

async function expectNoSideScroll(page: Page, where: string): Promise<void> {
	const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	expect(over, `${where} scrolls sideways`).toBeLessThanOrEqual(0);
}

/** The printed link: the machine's user and PIN, then the owner's account. */
export async function beginSetUp(
	page: Page,
	node: StartedNode,
	{ looks = async (_where: string) => {}, origin = originOf(node) } = {},
): Promise<void> {
	await page.goto((node.setupUrl as string).replace(/^https:\/\/[^/]+/, origin));
	await page.getByRole("heading", { name: "Make this machine yours" }).waitFor();
	expect(page.url()).not.toContain("#");
	await looks("setup");
	await page.getByRole("textbox", { name: "User" }).fill(owner.user);
	await page.getByRole("textbox", { name: "PIN", exact: true }).fill(owner.pin);
	await page.getByRole("textbox", { name: "PIN once more" }).fill(owner.pin);
	await page.getByRole("button", { name: "Set up and sign in" }).click();
	await page.getByRole("heading", { name: "Make your account" }).waitFor();
	await looks("first account");
	await fillSignUp(page, owner);
	await page.getByRole("heading", { name: "What is this machine called?" }).waitFor();
}

/** The same, and every further step left out. */
export async function setUp(
	page: Page,
	node: StartedNode,
	{ looks = async (_where: string) => {}, origin = originOf(node) } = {},
): Promise<void> {
	await beginSetUp(page, node, { looks, origin });
	await page.getByRole("textbox", { name: "Name" }).waitFor();
	await looks("welcome, name");
	await page.getByRole("button", { name: "Skip" }).click();
	await page.getByRole("heading", { name: "Bring your phone" }).waitFor();
	await looks("welcome, phone");
	await page.getByRole("button", { name: "Skip" }).click();
	await page.getByText("Waiting for the machine").waitFor();
	await looks("welcome, machine");
	await page.getByRole("button", { name: "Skip" }).click();
	await page.getByRole("button", { name: "Open a terminal" }).waitFor();
	await looks("welcome, done");
	await page.getByRole("button", { name: "Open a terminal" }).click();
	await page.getByRole("heading", { name: /^New session/ }).waitFor();
	await page.getByRole("button", { name: "Close" }).click();
	await page.getByText("No session runs on atlas").waitFor();
}

export async function fillSignUp(page: Page, who: { name: string; email: string; password: string }): Promise<void> {
	await page.getByRole("textbox", { name: "Your name" }).fill(who.name);
	await page.getByRole("textbox", { name: "Email" }).fill(who.email);
	await page.getByRole("textbox", { name: "Password", exact: true }).fill(who.password);
	await page.getByRole("textbox", { name: "Password once more" }).fill(who.password);
	await page.getByRole("button", { name: "Create the account" }).click();
}

/** The sign-in page, by the account. */
export async function signIn(page: Page, who: { email: string; password: string } = owner): Promise<void> {
	await page.getByRole("textbox", { name: "Email" }).fill(who.email);
	await page.getByRole("textbox", { name: "Password", exact: true }).fill(who.password);
	await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Asks the hub with what this page is signed in by. */
export function askHub<T>(page: Page, path: string, method = "GET", body?: unknown): Promise<T> {
	return page.evaluate(
		async ([path, method, body]) => {
			const { token } = JSON.parse(localStorage.getItem("warren.account.v1") ?? "{}") as { token: string };
			const answer = await fetch(path, {
				method,
				headers: {
					authorization: `Bearer ${token}`,
					...(body === null ? {} : { "content-type": "application/json" }),
				},
				...(body === null ? {} : { body: JSON.stringify(body) }),
			});
			return (answer.status === 204 ? null : await answer.json()) as never;
		},
		[path, method, body ?? null] as const,
	);
}

/** A transaction waits for those before it: what was typed is on this device once it has ended. */
export async function keptOnDevice(page: Page): Promise<void> {
	await page.evaluate(async () => {
		for (const { name } of await indexedDB.databases()) {
			if (name?.startsWith("warren-document/") !== true) continue;
			const opened = await new Promise<IDBDatabase>((resolve, reject) => {
				const request = indexedDB.open(name);
				request.onsuccess = () => resolve(request.result);
				request.onerror = () => reject(request.error);
			});
			await new Promise((resolve) => {
				opened.transaction("updates", "readwrite").oncomplete = resolve;
			});
			opened.close();
		}
	});
}

export async function choose(page: Page, menu: string, item: string): Promise<void> {
	await page.getByRole("button", { name: menu, exact: true }).click();
	await page.getByRole("menuitem", { name: item, exact: true }).click();
}
