import type { StartedNode } from "@warren/testkit";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing } from "./browser.ts";
import { expectAccessible, originOf, setUp } from "./ui-pages.ts";
import { UiStage } from "./ui-stage.ts";

/** Every page while what it shows is on its way, when it cannot be had, and once it can. */
const missing = browserMissing();
const refusal = {
	error: "disk_failed",
	message: "The disk of atlas failed.",
	fix: "Put in another.",
	retryable: false,
};

/** What a page cannot do without, and what shows that it has it. */
const pages: Readonly<Record<string, readonly [path: string, asks: RegExp, has: (page: Page) => Promise<void>]>> = {
	Terminals: ["/m/self/terminals", /\/api\/sessions$/, (page) => page.getByText(/No session runs on/).waitFor()],
	Machines: ["/machines", /\/api\/peers$/, (page) => page.getByText(/No other machine/).waitFor()],
	Network: ["/network", /\/api\/network$/, (page) => page.getByText(/This machine is not on the network/).waitFor()],
	Access: ["/access", /\/api\/network\/policy$/, (page) => page.getByRole("button", { name: "Add a rule" }).waitFor()],
	Services: ["/services", /\/api\/backbone\/services$/, (page) => page.getByText(/Nothing has a name yet/).waitFor()],
	Rooms: ["/m/self/rooms", /\/api\/rooms$/, (page) => page.getByText(/No room on/).waitFor()],
	Docs: ["/docs", /^\/rooms$/, (page) => page.getByText(/No document yet/).waitFor()],
	Chat: ["/chat", /^\/rooms$/, (page) => page.getByText(/Ask a model something/).waitFor()],
	Agent: ["/agent", /\/api\/agent$/, (page) => page.getByRole("button", { name: "Start agent" }).waitFor()],
	Activity: ["/m/self/activity", /\/api\/(?:audit|activity)$/, (page) => page.getByRole("row").nth(1).waitFor()],
	Account: ["/account", /^\/me\/devices$/, (page) => page.getByText("this device").waitFor()],
	Settings: ["/settings", /\/api\/status$/, (page) => page.getByText("Version", { exact: true }).waitFor()],
};

describe("a page", () => {
	let stage: UiStage | undefined;
	let node: StartedNode;
	let page: Page;

	beforeAll(async () => {
		if (missing !== null) return;
		const edge = { WARREN_EDGE: "1", WARREN_COORDINATOR_PORT: "0", WARREN_STUN_PORT: "0", WARREN_BACKBONE_PORT: "0" };
		stage = await UiStage.open("desktop", { env: edge });
		({ first: node, page } = stage);
		await setUp(page, node);
		// Nothing of before: neither of a page's memory nor of the lists that it keeps, until the very load.
		await page.addInitScript(() => {
			for (const key of Object.keys(localStorage)) if (key.startsWith("warren.documents")) localStorage.removeItem(key);
		});
	});
	afterAll(() => stage?.[Symbol.asyncDispose]());

	it.for(Object.entries(pages))(
		"%s has its shape while it waits, says why it cannot show anything, and shows it once it can",
		async ([name, [path, asks, has]], test) => {
			test.skip(missing !== null, missing ?? "");
			const held = Promise.withResolvers<void>();
			let fails = true;
			await page.route(
				(url) => asks.test(url.pathname),
				async (route) => {
					if (route.request().method() !== "GET" || !fails) return route.fallback();
					await held.promise;
					await route.fulfill({ status: 500, json: refusal });
				},
			);
			await page.goto(`${originOf(node)}${path}`);
			await page.getByRole("heading", { level: 1 }).first().waitFor();
			await page.locator(".skeleton").first().waitFor();
			held.resolve();
			const told = page.getByText(refusal.message).first();
			await told.waitFor();
			await page.getByText(refusal.fix).first().waitFor();
			await expectAccessible(page, `${name}, failed`);
			const again = page.getByRole("button", { name: "Try again" }).first();
			await again.waitFor();
			fails = false;
			// A page that asks by itself may have just done so.
			await again.evaluateAll(([button]) => (button as HTMLElement | undefined)?.click());
			await told.waitFor({ state: "detached" });
			await has(page);
			await page.unrouteAll();
		},
	);

	it("raised no fault", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(stage?.faults).toEqual([]);
	});
});
