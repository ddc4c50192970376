import { type StartedNode, type StartedServer, startServer, tempFolder } from "@warren/testkit";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing } from "./browser.ts";
import { choose, owner, setUp } from "./ui-pages.ts";
import { type Action, button, dialogOf, expectProgress, textbox } from "./ui-progress.ts";
import { UiStage } from "./ui-stage.ts";

/** Over a slow line: a room, who is in it, what posts into it, and the gateway behind it. */
const missing = browserMissing();
let gatewayUrl = "";
let room = "";
const inRoom = () => room;
const said = (page: Page, text: string) => page.getByRole("region", { name: "general" }).getByText(text);

const actions: Readonly<Record<string, Action>> = {
	"a machine is registered at a gateway": {
		path: "/m/self/rooms",
		method: "POST",
		asks: /\/api\/gateway\/register$/,
		act: async (page) => {
			await button(page, /^No gateway/).click();
			await textbox(page, "Address").fill(gatewayUrl);
			await button(page, "Register and connect").click();
		},
		done: async (page) => {
			await button(page, "Close").click();
			await page.getByRole("button", { name: /^Gateway connected/ }).waitFor();
		},
	},
	"whom this warren talks with is changed": {
		path: "/m/self/rooms",
		method: "PUT",
		asks: /\/api\/gateway\/access$/,
		act: async (page) => {
			await page.getByRole("button", { name: /^Gateway connected/ }).click();
			await page.getByRole("checkbox", { name: "Talk only with those that I allow" }).click();
		},
		seen: async (page) => {
			await page.locator(".progress-line").waitFor();
			await page.locator("input[aria-busy=true]").waitFor();
		},
		done: (page) => page.getByRole("checkbox", { name: "Talk only with those that I allow", checked: true }).waitFor(),
	},
	"a room is changed": {
		path: inRoom,
		method: "PATCH",
		asks: /\/api\/rooms\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for plans", "Settings");
			await dialogOf(page).getByRole("textbox", { name: "Name" }).fill("general");
			await dialogOf(page).getByRole("button", { name: "Save" }).click();
		},
		done: (page) => page.getByRole("heading", { name: "general", exact: true }).waitFor(),
	},
	"a message is changed": {
		path: inRoom,
		method: "PATCH",
		asks: /\/api\/rooms\/[^/]+\/messages\/[^/]+$/,
		act: async (page) => {
			await said(page, "hello").hover();
			await choose(page, "Message actions", "Edit");
			await textbox(page, "Edit").fill("good morning");
			await button(page, "Save").click();
		},
		done: (page) => said(page, "good morning").waitFor(),
	},
	"a message is deleted": {
		path: inRoom,
		method: "DELETE",
		asks: /\/api\/rooms\/[^/]+\/messages\/[^/]+$/,
		act: async (page) => {
			await said(page, "good morning").hover();
			await choose(page, "Message actions", "Delete");
			await dialogOf(page).getByRole("button", { name: "Delete" }).click();
		},
		done: (page) => said(page, "deleted").waitFor(),
	},
	"somebody is let in": {
		path: inRoom,
		method: "PUT",
		asks: /\/api\/rooms\/[^/]+\/members\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for general", "Members");
			await dialogOf(page).getByRole("combobox", { name: "Person" }).selectOption(owner.name);
			await dialogOf(page).getByRole("button", { name: "Let in" }).click();
		},
		done: (page) =>
			dialogOf(page)
				.getByRole("button", { name: `Remove ${owner.name}` })
				.waitFor(),
	},
	"somebody is removed": {
		path: inRoom,
		method: "DELETE",
		asks: /\/api\/rooms\/[^/]+\/members\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for general", "Members");
			await dialogOf(page)
				.getByRole("button", { name: `Remove ${owner.name}` })
				.click();
		},
		done: (page) =>
			dialogOf(page)
				.getByRole("button", { name: `Remove ${owner.name}` })
				.waitFor({ state: "detached" }),
	},
	"a webhook is made": {
		path: inRoom,
		method: "POST",
		asks: /\/api\/rooms\/[^/]+\/webhooks$/,
		act: async (page) => {
			await choose(page, "Actions for general", "Webhooks");
			await dialogOf(page).getByRole("textbox", { name: "Name" }).fill("Build server");
			await dialogOf(page).getByRole("button", { name: "Make a webhook" }).click();
		},
		done: (page) => dialogOf(page).getByText(/^wk_/).waitFor(),
	},
	"a webhook is removed": {
		path: inRoom,
		method: "DELETE",
		asks: /\/api\/rooms\/[^/]+\/webhooks\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for general", "Webhooks");
			await dialogOf(page).getByRole("button", { name: "Remove Build server" }).click();
		},
		done: (page) => dialogOf(page).getByText("This room has none.").waitFor(),
	},
	"a room is left": {
		path: inRoom,
		method: "POST",
		asks: /\/api\/rooms\/[^/]+\/leave$/,
		seen: "line",
		act: (page) => choose(page, "Actions for general", "Leave"),
		done: (page) => button(page, "Join").waitFor(),
	},
	"a room is joined": {
		path: inRoom,
		method: "POST",
		asks: /\/api\/rooms\/[^/]+\/join$/,
		act: (page) => button(page, "Join").click(),
		done: (page) => textbox(page, "Message general").waitFor(),
	},
	"a room is deleted": {
		path: inRoom,
		method: "DELETE",
		asks: /\/api\/rooms\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for general", "Delete room");
			await dialogOf(page)
				.getByRole("button", { name: /^Delete/ })
				.click();
		},
		done: (page) => page.getByText(/^No room on atlas yet/).waitFor(),
	},
};

describe("over a slow line, in a room", () => {
	const folder = tempFolder("progress-rooms");
	let gateway: StartedServer | undefined;
	let stage: UiStage | undefined;
	let node: StartedNode;
	let page: Page;

	beforeAll(async () => {
		if (missing !== null) return;
		gateway = await startServer(["gateway", "--data", folder.path, "--host", "127.0.0.1", "--port", "0"]);
		gatewayUrl = `${(gateway.ready["url"] as string).replace("http", "ws")}/gateway`;
		stage = await UiStage.open("desktop");
		({ first: node, page } = stage);
		await setUp(page, node);
		await page.goto(`https://localhost:${node.port}/m/self/rooms`);
		await button(page, "New room").click();
		await textbox(page, "Name").fill("plans");
		await button(page, "Create").click();
		await textbox(page, "Message plans").fill("hello");
		await button(page, "Send").click();
		await page.getByRole("region", { name: "plans" }).getByText("hello").waitFor();
		await page.locator(".message.pending").waitFor({ state: "detached" });
		room = new URL(page.url()).pathname;
	});
	afterAll(async () => {
		await stage?.[Symbol.asyncDispose]();
		await gateway?.[Symbol.asyncDispose]();
		folder[Symbol.dispose]();
	});

	it.for(Object.entries(actions))("%s: it shows that it works on it, until it is done", async ([, action], test) => {
		test.skip(missing !== null, missing ?? "");
		await expectProgress(page, node, action);
	});

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(stage?.faults).toEqual([]);
	});
});
