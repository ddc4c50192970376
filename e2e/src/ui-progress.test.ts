import type { StartedNode } from "@warren/testkit";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing } from "./browser.ts";
import { expectAccessible, originOf, setUp } from "./ui-pages.ts";
import { UiStage } from "./ui-stage.ts";

/** Over a slow line, whatever was asked for is seen to be under way, and asked for once. */
const missing = browserMissing();

interface Action {
	readonly path: string;
	/** Of the request that is held. */
	readonly method: string;
	readonly asks: RegExp;
	readonly act: (page: Page) => Promise<void>;
	/** A dialog that asks by itself when it opens has a skeleton, not a button. */
	readonly silent?: true;
	/** What shows that it was done. */
	readonly done: (page: Page) => Promise<void>;
}

const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name, exact: true });

const actions: Readonly<Record<string, Action>> = {
	"a terminal session is made": {
		path: "/m/self/terminals",
		method: "POST",
		asks: /\/api\/sessions$/,
		act: async (page) => {
			await button(page, "New session").first().click();
			await page.getByRole("textbox", { name: "Name" }).fill("slow");
			await button(page, "Create").click();
		},
		done: (page) => page.getByRole("heading", { name: "Terminal slow" }).waitFor(),
	},
	"a machine is added by its address": {
		path: "/machines",
		method: "POST",
		asks: /\/api\/peers$/,
		act: async (page) => {
			await button(page, "Add machine").first().click();
			await page.getByText("By its address", { exact: true }).click();
			await page.getByRole("textbox", { name: "Host" }).fill("127.0.0.1");
			await page.getByRole("spinbutton", { name: "Port" }).fill("9");
			await button(page, "Add").click();
		},
		done: (page) => page.getByRole("link", { name: "127.0.0.1", exact: true }).waitFor(),
	},
	"a document is made": {
		path: "/docs",
		method: "POST",
		asks: /\/rooms$/,
		act: (page) => button(page, "New document").first().click(),
		done: (page) => page.locator(".doc-state", { hasText: "saved" }).waitFor(),
	},
	"the machine is renamed": {
		path: "/settings",
		method: "PUT",
		asks: /\/api\/name$/,
		act: async (page) => {
			await button(page, "Rename").click();
			await page.getByRole("textbox", { name: "Name", exact: true }).fill("Slowpoke");
			await button(page, "Use this name").click();
		},
		done: (page) => page.getByRole("definition").filter({ hasText: "Slowpoke" }).first().waitFor(),
	},
	"an API key is made": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/api-key\/create$/,
		act: async (page) => {
			await button(page, "Make a key").click();
			await page.getByRole("dialog").getByRole("textbox", { name: "What for" }).fill("backup script");
			await page.getByRole("dialog").getByRole("button", { name: "Make a key" }).click();
		},
		done: (page) => page.getByRole("button", { name: "Copy API key:" }).waitFor(),
	},
	"a phone is paired": {
		path: "/account",
		method: "POST",
		asks: /\/me\/pairings$/,
		silent: true,
		act: (page) => button(page, "Pair a phone").click(),
		done: (page) => page.getByRole("img", { name: "QR code that pairs a device" }).waitFor(),
	},
};

describe("over a slow line", () => {
	let stage: UiStage | undefined;
	let node: StartedNode;
	let page: Page;

	beforeAll(async () => {
		if (missing !== null) return;
		stage = await UiStage.open("desktop");
		({ first: node, page } = stage);
		await setUp(page, node);
	});
	afterAll(() => stage?.[Symbol.asyncDispose]());

	it.for(Object.entries(actions))(
		"%s: it shows that it works on it, until it is done",
		async ([name, action], test) => {
			test.skip(missing !== null, missing ?? "");
			await page.goto(`${originOf(node)}${action.path}`);
			const held = Promise.withResolvers<void>();
			let asked = 0;
			await page.route(
				(url) => action.asks.test(url.pathname),
				async (route) => {
					if (route.request().method() !== action.method) return route.fallback();
					asked += 1;
					await held.promise;
					await route.fallback();
				},
			);
			await action.act(page);
			// Behind a dialog the line is for the eyes alone: what is read out there is its button.
			await page.locator(".progress-line").waitFor();
			const said = page
				.getByRole("progressbar", { name: "Working" })
				.or(page.locator("[role=dialog] [aria-busy=true]"));
			if (action.silent !== true) await said.first().waitFor();
			if (name === "an API key is made") await expectAccessible(page, "working");
			held.resolve();
			await action.done(page);
			await page.locator(".progress-line").waitFor({ state: "detached" });
			expect(asked).toBe(1);
			await page.unrouteAll();
		},
	);

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(stage?.faults).toEqual([]);
	});
});
