import { freePort, type StartedNode } from "@warren/testkit";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { browserMissing } from "./browser.ts";
import { type OverlayPeer, registerPeer } from "./overlay-peers.ts";
import { choose, eventually, setUp } from "./ui-pages.ts";
import { type Action, button, dialogOf, expectProgress, textbox } from "./ui-progress.ts";
import { UiStage } from "./ui-stage.ts";

/** Over a slow line: Network, Access and Services. */
const missing = browserMissing();
const tab = (page: Page, name: string) => page.getByText(name, { exact: true }).and(page.locator("label"));

const actions: Readonly<Record<string, Action>> = {
	"whether one reaches another is asked": {
		path: "/network",
		method: "GET",
		asks: /\/api\/network\/explain$/,
		act: async (page) => {
			await page.getByRole("combobox", { name: "From" }).selectOption("burrow");
			await page.getByRole("combobox", { name: "To", exact: true }).selectOption("den");
			await button(page, "Ask").click();
		},
		done: (page) => page.getByRole("region", { name: /reach/i }).getByRole("status").waitFor(),
	},
	"a peer is removed": {
		path: "/network",
		method: "DELETE",
		asks: /\/api\/network\/peers\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for den", "Remove");
			await dialogOf(page).getByRole("button", { name: "Remove" }).click();
		},
		done: (page) => button(page, "Let in again").waitFor(),
	},
	"a peer is let in again": {
		path: "/network",
		method: "POST",
		asks: /\/readmit$/,
		act: (page) => button(page, "Let in again").click(),
		done: (page) => button(page, "Let in again").waitFor({ state: "detached" }),
	},
	"what a policy changes is asked": {
		path: "/access",
		method: "POST",
		asks: /\/api\/network\/policy\/preview$/,
		act: async (page) => {
			await page.getByRole("combobox", { name: "Action" }).selectOption("deny");
			await button(page, "Review and save").click();
		},
		done: (page) => page.getByRole("dialog", { name: "What this changes" }).waitFor(),
	},
	"a policy is saved": {
		path: "/access",
		method: "PUT",
		asks: /\/api\/network\/policy$/,
		act: async (page) => {
			await page.getByRole("combobox", { name: "Action" }).selectOption("deny");
			await button(page, "Review and save").click();
			await dialogOf(page).getByRole("button", { name: /^Save/ }).click();
		},
		done: (page) => page.getByText("The policy is in force").waitFor(),
	},
	"a port is exposed": {
		path: "/services",
		method: "PUT",
		asks: /\/api\/exposed\/web$/,
		act: async (page) => {
			await button(page, "Expose a port").first().click();
			await textbox(page, "Name").fill("web");
			await page.getByRole("spinbutton", { name: "Port" }).fill("9");
			await button(page, "Expose").click();
		},
		done: (page) => page.getByRole("heading", { name: "web is not reached yet" }).waitFor(),
	},
	"a service is changed": {
		path: "/services/web",
		method: "PATCH",
		asks: /\/api\/backbone\/services\/web$/,
		act: async (page) => {
			await page.getByRole("spinbutton", { name: "Requests a second" }).fill("50");
			await button(page, "Save").click();
		},
		done: (page) => page.getByText("Saved", { exact: true }).first().waitFor(),
	},
	"a principal is registered": {
		path: "/services",
		method: "POST",
		asks: /\/api\/backbone\/principals$/,
		act: async (page) => {
			await tab(page, "Principals").click();
			await button(page, "Register a principal").click();
			await textbox(page, "Name").fill("Bob");
			await textbox(page, "Email").fill("bob@example.test");
			await dialogOf(page).getByRole("button", { name: "Register a principal" }).click();
		},
		done: (page) => page.getByRole("button", { name: "Copy credential:" }).waitFor(),
	},
	"a principal is let in": {
		path: "/services",
		method: "POST",
		asks: /\/api\/backbone\/grants$/,
		act: async (page) => {
			await tab(page, "Principals").click();
			await page.getByRole("combobox", { name: "Let Bob reach a service" }).selectOption("web");
		},
		seen: "line",
		done: (page) => button(page, "Bob may no longer reach web").waitFor(),
	},
	"a grant is taken back": {
		path: "/services",
		method: "DELETE",
		asks: /\/api\/backbone\/grants\//,
		act: async (page) => {
			await tab(page, "Principals").click();
			await button(page, "Bob may no longer reach web").click();
		},
		done: (page) => page.getByText("Nothing yet").waitFor(),
	},
	"a token is made": {
		path: "/services",
		method: "POST",
		asks: /\/api\/backbone\/tokens$/,
		act: async (page) => {
			await tab(page, "Tokens").click();
			await button(page, "Make a token").click();
			const service = textbox(page, "Service").or(page.getByRole("combobox", { name: "Service" }));
			await service.fill("db");
			await dialogOf(page).getByRole("button", { name: "Make a token" }).click();
		},
		done: (page) => page.getByRole("button", { name: "Copy token: mosb_db_" }).waitFor(),
	},
	"a token is revoked": {
		path: "/services",
		method: "DELETE",
		asks: /\/api\/backbone\/tokens\//,
		act: async (page) => {
			await tab(page, "Tokens").click();
			await page.getByRole("listitem").filter({ hasText: "db" }).getByRole("button", { name: "Revoke" }).click();
			await dialogOf(page).getByRole("button", { name: "Revoke" }).click();
		},
		done: (page) => page.getByRole("alertdialog").waitFor({ state: "detached" }),
	},
	"a port is taken off": {
		path: "/services",
		method: "DELETE",
		asks: /\/api\/exposed\/web$/,
		act: async (page) => {
			await choose(page, "Actions for web", "Take off");
			await dialogOf(page).getByRole("button", { name: "Take off" }).click();
		},
		done: (page) => page.getByRole("alertdialog").waitFor({ state: "detached" }),
	},
};

describe("over a slow line, at the edge", () => {
	const stack = new AsyncDisposableStack();
	let stage: UiStage | undefined;
	let node: StartedNode;
	let page: Page;

	beforeAll(async () => {
		if (missing !== null) return;
		const edge = { WARREN_EDGE: "1", WARREN_COORDINATOR_PORT: "0", WARREN_STUN_PORT: "0" };
		stage = stack.use(
			await UiStage.open("desktop", { env: { ...edge, WARREN_BACKBONE_PORT: String(await freePort()) } }),
		);
		({ first: node, page } = stage);
		await setUp(page, node);
		const coordinator = () =>
			vi.waitFor(async (): Promise<OverlayPeer> => await registerPeer(node, "burrow"), eventually);
		stack.use(await coordinator());
		stack.use(await registerPeer(node, "den"));
	});
	afterAll(() => stack.disposeAsync());

	it.for(Object.entries(actions))("%s: it shows that it works on it, until it is done", async ([, action], test) => {
		test.skip(missing !== null, missing ?? "");
		await expectProgress(page, node, action);
	});

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(stage?.faults).toEqual([]);
	});
});
