import type { StartedNode } from "@warren/testkit";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { totp } from "./authenticator.ts";
import { browserMissing } from "./browser.ts";
import { askHub, choose, expectAccessible, owner, setUp } from "./ui-pages.ts";
import { type Action, button, dialogOf, expectProgress, section, textbox } from "./ui-progress.ts";
import { UiStage } from "./ui-stage.ts";

/** Over a slow line: one's account, its people, what others are given. */
const missing = browserMissing();
const bob = { name: "Bob", email: "bob@example.test", password: "bobs long password" };
const nextPassword = "another long sentence";
let document = "";

const actions: Readonly<Record<string, Action>> = {
	"an API key is made": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/api-key\/create$/,
		act: async (page) => {
			await button(page, "Make a key").click();
			await dialogOf(page).getByRole("textbox", { name: "What for" }).fill("backup script");
			await dialogOf(page).getByRole("button", { name: "Make a key" }).click();
		},
		done: (page) => page.getByRole("button", { name: "Copy API key:" }).waitFor(),
	},
	"a phone is paired": {
		path: "/account",
		method: "POST",
		asks: /\/me\/pairings$/,
		seen: "skeleton",
		act: (page) => button(page, "Pair a phone").click(),
		done: (page) => page.getByRole("img", { name: "QR code that pairs a device" }).waitFor(),
	},
	"one's name is changed": {
		path: "/account",
		method: "PATCH",
		asks: /\/me$/,
		act: async (page) => {
			await button(page, "Change name").click();
			await dialogOf(page).getByRole("textbox", { name: "Name" }).fill("Ada King");
			await dialogOf(page).locator("button[type=submit]").click();
		},
		done: (page) => section(page, "You").getByText("Ada King").waitFor(),
	},
	"an invitation is made": {
		path: "/account",
		method: "POST",
		asks: /\/me\/invitations$/,
		act: async (page) => {
			await button(page, "Invite somebody").click();
			await dialogOf(page).getByRole("textbox", { name: "Only for this address" }).fill("eve@example.test");
			await dialogOf(page).getByRole("button", { name: "Make the link" }).click();
		},
		done: (page) => page.getByRole("button", { name: "Copy invitation link:" }).waitFor(),
	},
	"an invitation is withdrawn": {
		path: "/account",
		method: "DELETE",
		asks: /\/me\/invitations\/[^/]+$/,
		act: (page) => button(page, "Withdraw the invitation: eve@example.test").click(),
		done: (page) => section(page, "Invitations").getByText("None is open").waitFor(),
	},
	"a device is revoked": {
		path: "/account",
		method: "DELETE",
		asks: /\/me\/devices\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Actions for shed", "Revoke");
			await dialogOf(page).getByRole("button", { name: "Revoke" }).click();
		},
		done: (page) => section(page, "Devices").getByText("shed").waitFor({ state: "detached" }),
	},
	"a person is blocked": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/admin\/ban-user$/,
		act: async (page) => {
			await choose(page, "Actions for Bob", "Block");
			await dialogOf(page).getByRole("button", { name: "Block" }).click();
		},
		done: (page) => section(page, "People").getByText("blocked").waitFor(),
	},
	"a person is let in again": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/admin\/unban-user$/,
		seen: "line",
		act: (page) => choose(page, "Actions for Bob", "Unblock"),
		done: (page) => section(page, "People").getByText("blocked").waitFor({ state: "detached" }),
	},
	"a document is shared": {
		path: () => document,
		method: "PUT",
		asks: /\/rooms\/[^/]+\/shares\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Document actions", "Share");
			await page.getByRole("combobox", { name: "With" }).selectOption("Bob");
			await dialogOf(page).getByRole("button", { name: "Share", exact: true }).click();
		},
		done: (page) => button(page, "Stop sharing with Bob").waitFor(),
	},
	"a share is taken back": {
		path: () => document,
		method: "DELETE",
		asks: /\/rooms\/[^/]+\/shares\/[^/]+$/,
		act: async (page) => {
			await choose(page, "Document actions", "Share");
			await button(page, "Stop sharing with Bob").click();
		},
		done: (page) => page.getByText("Only you have it.").waitFor(),
	},
	"a second factor is begun": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/two-factor\/enable$/,
		act: async (page) => {
			await section(page, "Second factor").getByRole("button", { name: "Switch on" }).click();
			await dialogOf(page).getByRole("textbox", { name: "Password now" }).fill(owner.password);
			await dialogOf(page).getByRole("button", { name: "Go on" }).click();
		},
		done: (page) => page.getByRole("img", { name: "QR code for your authenticator app" }).waitFor(),
	},
	"a second factor is confirmed": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/two-factor\/verify-totp$/,
		act: async (page) => {
			await section(page, "Second factor").getByRole("button", { name: "Switch on" }).click();
			await dialogOf(page).getByRole("textbox", { name: "Password now" }).fill(owner.password);
			await dialogOf(page).getByRole("button", { name: "Go on" }).click();
			const key = "Copy key for the app: ";
			const copy = dialogOf(page).getByRole("button", { name: key });
			const secret = (await copy.getAttribute("aria-label"))?.slice(key.length) ?? "";
			await dialogOf(page).getByRole("textbox", { name: "Code" }).fill(totp(secret, Date.now()));
			await dialogOf(page).getByRole("button", { name: "Confirm" }).click();
		},
		done: (page) => section(page, "Second factor").getByText("on", { exact: true }).waitFor(),
	},
	"a second factor is switched off": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/two-factor\/disable$/,
		act: async (page) => {
			await section(page, "Second factor").getByRole("button", { name: "Switch off" }).click();
			await dialogOf(page).getByRole("textbox", { name: "Password now" }).fill(owner.password);
			await dialogOf(page).getByRole("button", { name: "Switch off" }).click();
		},
		done: (page) => section(page, "Second factor").getByText("off", { exact: true }).waitFor(),
	},
	"a passkey is added": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/passkey\/verify-registration$/,
		act: async (page) => {
			await button(page, "Add a passkey").click();
			await dialogOf(page).getByRole("textbox", { name: "Name of the passkey" }).fill("Laptop lock");
			await dialogOf(page).getByRole("button", { name: "Add", exact: true }).click();
		},
		done: (page) => section(page, "Passkeys").getByText("Laptop lock").waitFor(),
	},
	"user and PIN are changed": {
		path: "/settings",
		method: "PUT",
		asks: /\/api\/credentials$/,
		act: async (page) => {
			await textbox(page, "User now").fill(owner.user);
			await textbox(page, "PIN now").fill(owner.pin);
			await textbox(page, "New user").fill(owner.user);
			await textbox(page, "New PIN").fill("another-pin-1");
			await section(page, "User and PIN").getByRole("button", { name: "Change" }).click();
		},
		done: (page) => page.getByText("User and PIN are changed").waitFor(),
	},
	"the password is changed": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/change-password$/,
		act: async (page) => {
			await section(page, "Password").getByRole("textbox", { name: "Password now" }).fill(owner.password);
			await section(page, "Password").getByRole("textbox", { name: "New password" }).fill(nextPassword);
			await button(page, "Change password").click();
		},
		done: (page) => page.getByText("The password is changed").waitFor(),
	},
	"one signs out": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/sign-out$/,
		act: async (page) => {
			await button(page, "Sign out of this account").click();
			await dialogOf(page).getByRole("button", { name: "Sign out of this account" }).click();
		},
		done: (page) => page.getByRole("heading", { name: "Sign in to your account" }).waitFor(),
	},
	"one signs in": {
		path: "/account",
		method: "POST",
		asks: /\/auth\/login$/,
		act: async (page) => {
			await textbox(page, "Email").fill(owner.email);
			await textbox(page, "Password").fill(nextPassword);
			await button(page, "Sign in").click();
		},
		done: (page) => section(page, "You").getByText(owner.email).waitFor(),
	},
};

describe("over a slow line, in one's account", () => {
	let stage: UiStage | undefined;
	let node: StartedNode;
	let page: Page;

	beforeAll(async () => {
		if (missing !== null) return;
		stage = await UiStage.open("desktop");
		({ first: node, page } = stage);
		await setUp(page, node);
		const { code } = await askHub<{ code: string }>(page, "/me/invitations", "POST", { role: "user" });
		await ask("/auth/signup", { ...bob, invitation: code });
		await ask("/auth/sign-in/email", { email: owner.email, password: owner.password }, { "x-warren-device": "shed" });
		const id = crypto.randomUUID();
		await askHub(page, "/rooms", "POST", { id, title: "Plans" });
		document = `/docs/${id}`;
		const devtools = await page.context().newCDPSession(page);
		await devtools.send("WebAuthn.enable");
		const held = { hasResidentKey: true, hasUserVerification: true, isUserVerified: true } as const;
		const options = { protocol: "ctap2", transport: "internal", automaticPresenceSimulation: true, ...held } as const;
		await devtools.send("WebAuthn.addVirtualAuthenticator", { options });
	});
	afterAll(() => stage?.[Symbol.asyncDispose]());

	async function ask(path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<void> {
		const answer = await node.fetch(path, {
			method: "POST",
			headers: { authorization: "", "content-type": "application/json", ...headers },
			body: JSON.stringify(body),
		});
		expect(answer.status, await answer.text()).toBe(200);
	}

	it.for(Object.entries(actions))(
		"%s: it shows that it works on it, until it is done",
		async ([name, action], test) => {
			test.skip(missing !== null, missing ?? "");
			const looked = name === "an API key is made" ? () => expectAccessible(page, "working") : undefined;
			await expectProgress(page, node, action, looked);
		},
	);

	it("raised no fault in the page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(stage?.faults).toEqual([]);
	});
});
