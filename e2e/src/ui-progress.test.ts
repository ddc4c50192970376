import { type FakeProvider, fakeProvider, type StartedNode } from "@warren/testkit";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing } from "./browser.ts";
import { choose, eventually, expectAccessible, setUp } from "./ui-pages.ts";
import { type Action, button, dialogOf, expectProgress, textbox } from "./ui-progress.ts";
import { UiStage } from "./ui-stage.ts";

/** Over a slow line, whatever was asked for is seen to be under way, and asked for once. */
const missing = browserMissing();
/** Where the document is that is made below. */
let document = "/docs";

const actions: Readonly<Record<string, Action>> = {
	"a terminal session is made": {
		path: "/m/self/terminals",
		method: "POST",
		asks: /\/api\/sessions$/,
		act: async (page) => {
			await button(page, "New session").first().click();
			await textbox(page, "Name").fill("slow");
			await button(page, "Create").click();
		},
		done: (page) => page.getByRole("heading", { name: "Terminal slow" }).waitFor(),
	},
	"a terminal is shared": {
		path: "/m/self/terminals/slow",
		method: "POST",
		asks: /\/shares$/,
		act: async (page) => {
			await choose(page, "Terminal actions", "Share read-only");
			await button(page, "Make a link").click();
		},
		done: (page) =>
			page
				.getByText(/#share=/)
				.first()
				.waitFor(),
	},
	"a session is ended": {
		path: "/m/self/terminals",
		method: "DELETE",
		asks: /\/api\/sessions\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for slow", "End session");
			await dialogOf(page).getByRole("button", { name: "End session" }).click();
		},
		done: (page) => page.getByText("No session runs on atlas").waitFor(),
	},
	"a machine is added by its address": {
		path: "/machines",
		method: "POST",
		asks: /\/api\/peers$/,
		act: async (page) => {
			await button(page, "Add machine").first().click();
			await page.getByText("By its address", { exact: true }).click();
			await textbox(page, "Host").fill("127.0.0.1");
			await page.getByRole("spinbutton", { name: "Port" }).fill("9");
			await button(page, "Add").click();
		},
		done: (page) => page.getByRole("link", { name: "127.0.0.1", exact: true }).waitFor(),
	},
	"a machine is removed": {
		path: "/machines",
		method: "DELETE",
		asks: /\/api\/peers\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for 127.0.0.1", "Remove");
			await dialogOf(page).getByRole("button", { name: "Remove" }).click();
		},
		done: (page) => page.getByRole("link", { name: "127.0.0.1", exact: true }).waitFor({ state: "detached" }),
	},
	"a code for another machine is made, which is then waited for": {
		path: "/machines",
		method: "POST",
		asks: /\/v1\/invites$/,
		seen: "skeleton",
		act: (page) => button(page, "Add machine").first().click(),
		done: (page) => page.getByText("Waiting for the machine").waitFor(),
	},
	"a document is made": {
		path: "/docs",
		method: "POST",
		asks: /\/rooms$/,
		act: (page) => button(page, "New document").first().click(),
		done: async (page) => {
			await page.locator(".doc-state", { hasText: "saved" }).waitFor();
			document = new URL(page.url()).pathname;
		},
	},
	"a document is exported": {
		path: () => document,
		method: "GET",
		asks: /\/rooms\/[^/]+\/export$/,
		seen: "line",
		act: (page) => choose(page, "Document actions", "Export as JSON"),
		done: async (page) => {
			await page.waitForEvent("download");
		},
	},
	"a document is renamed": {
		path: "/docs",
		method: "PATCH",
		asks: /\/rooms\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for Untitled document", "Rename");
			await dialogOf(page).getByRole("textbox").fill("Slow notes");
			await dialogOf(page).getByRole("button", { name: "Rename" }).click();
		},
		done: (page) => page.getByRole("link", { name: "Slow notes" }).waitFor(),
	},
	"a document is deleted": {
		path: () => document,
		method: "DELETE",
		asks: /\/rooms\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Document actions", "Delete");
			await dialogOf(page).getByRole("button", { name: "Delete" }).click();
		},
		done: (page) => page.getByText("Slow notes is deleted").waitFor(),
	},
	"a room is made": {
		path: "/m/self/rooms",
		method: "POST",
		asks: /\/api\/rooms$/,
		act: async (page) => {
			await button(page, "New room").first().click();
			await textbox(page, "Name").fill("general");
			await button(page, "Create").click();
		},
		done: (page) => page.getByRole("textbox", { name: "Message general" }).waitFor(),
	},
	"something is said in a room": {
		path: "/m/self/rooms",
		method: "POST",
		asks: /\/api\/rooms\/[^/]+\/messages$/,
		act: async (page) => {
			await page.getByRole("link", { name: /general/ }).click();
			await textbox(page, "Message general").fill("said slowly");
			await page.keyboard.press("Enter");
		},
		seen: async (page) => {
			await page.locator(".message.pending", { hasText: "said slowly" }).waitFor();
			await page.getByRole("progressbar", { name: "Working" }).waitFor();
		},
		done: (page) => page.locator(".message.pending").waitFor({ state: "detached" }),
	},
	"a question is put to a model": {
		path: "/chat?new",
		method: "POST",
		asks: /\/ai\/chat$/,
		act: async (page) => {
			await page.getByRole("combobox", { name: "Model" }).fill("fake-large");
			await textbox(page, "Message").fill("Tell me something");
			await button(page, "Send").click();
		},
		seen: async (page) => {
			await page.locator(".message.assistant[aria-busy=true]").waitFor();
			await button(page, "Stop").waitFor();
		},
		done: (page) => page.getByText("It is slow today.").waitFor(),
	},
	"the machine is renamed": {
		path: "/settings",
		method: "PUT",
		asks: /\/api\/name$/,
		act: async (page) => {
			await button(page, "Rename").click();
			await textbox(page, "Name").fill("Slowpoke");
			await button(page, "Use this name").click();
		},
		done: (page) => page.getByRole("definition").filter({ hasText: "Slowpoke" }).first().waitFor(),
	},
};

describe("over a slow line", () => {
	let stage: UiStage | undefined;
	let fake: FakeProvider;
	let node: StartedNode;
	let page: Page;

	beforeAll(async () => {
		if (missing !== null) return;
		fake = await fakeProvider({ say: () => ({ text: "It is slow today." }) });
		const env = { WARREN_OPENAI_ORIGIN: fake.origin, OPENAI_API_KEY: "sk-of-tests", OLLAMA_HOST: "" };
		stage = await UiStage.open("desktop", { env });
		({ first: node, page } = stage);
		await setUp(page, node);
	});
	afterAll(async () => {
		await stage?.[Symbol.asyncDispose]();
		await fake?.[Symbol.asyncDispose]();
	});

	it.for(Object.entries(actions))("%s: it shows that it works on it, until it is done", async ([, action], test) => {
		test.skip(missing !== null, missing ?? "");
		await expectProgress(page, node, action);
	});

	it("a large file says how much of it has gone, until it is there", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await expectProgress(page, node, actions["a terminal session is made"] as Action);
		await page.locator(".terminal-stage[data-phase=live] .xterm").waitFor();
		const line = await page.context().newCDPSession(page);
		const slow = { offline: false, latency: 0, downloadThroughput: -1 };
		await line.send("Network.enable");
		// It would take minutes: that it has not all gone is no matter of time.
		await line.send("Network.emulateNetworkConditions", { ...slow, uploadThroughput: 64 * 1024 });
		const chooser = page.waitForEvent("filechooser");
		await choose(page, "Terminal actions", "Upload a file");
		const file = { name: "map.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(8_000_000, "w") };
		await (await chooser).setFiles(file);
		await page.getByRole("progressbar", { name: "Uploading map.bin" }).waitFor();
		await page.getByText(/^[1-9]\S* [KM]B of 8\.0 MB$/).waitFor();
		await expectAccessible(page, "a large upload");
		await line.send("Network.emulateNetworkConditions", { ...slow, uploadThroughput: -1 });
		await page.getByText("map.bin is there").waitFor(eventually);
	});

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(stage?.faults).toEqual([]);
	});
});
