import { type StartedNode, startNode } from "@warren/testkit";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { totp } from "./authenticator.ts";
import { browserMissing, launchBrowser } from "./browser.ts";
import { stockClient } from "./stock-client.ts";
import {
	askHub,
	eventually,
	expectAccessible,
	fillSignUp,
	firstMachine,
	newContext,
	newPage,
	originOf,
	owner,
	setUp,
	signIn,
	sizes,
} from "./ui-pages.ts";

/** A person's account in the browser: how they prove it, where they are signed in, whom they let in. */
const missing = browserMissing();

const dialog = (page: Page) => page.getByRole("dialog");
/** The text of the value that one tap would copy. */
const copyable = async (page: Page, label: string) =>
	(await page.getByRole("button", { name: `Copy ${label}:` }).getAttribute("aria-label"))?.slice(
		`Copy ${label}: `.length,
	) ?? "";
const section = (page: Page, heading: string) => page.getByRole("region", { name: heading, exact: true });

describe("the account in the web UI", () => {
	let first: StartedNode;
	let browser: Browser;
	let desk: Page;
	const faults: string[] = [];
	let secret: string;

	const open = async (size = "desktop") =>
		newPage(await newContext(browser as never, sizes[size] as BrowserContextOptions), faults);

	beforeAll(async () => {
		if (missing !== null) return;
		first = await startNode(firstMachine);
		browser = await launchBrowser({ ca: first.ca });
		desk = await open();
		await setUp(desk, first);
		await desk.goto(`${originOf(first)}/account`);
		await section(desk, "Invitations").getByText("None is open").waitFor();
	});
	afterAll(async () => {
		await browser?.close();
		await first?.[Symbol.asyncDispose]();
	});

	it("shows who one is, at which hub, on which devices, on every screen", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await section(desk, "You").getByText(owner.email).waitFor();
		await section(desk, "You").getByText("self-hosted").waitFor();
		// This browser, and the hub's own machine.
		await section(desk, "Devices").getByText("online").nth(1).waitFor();
		await expectAccessible(desk, "account");
		await desk.setViewportSize({ width: 390, height: 844 });
		await expectAccessible(desk, "account, narrow");
		await desk.setViewportSize({ width: 1440, height: 900 });
	});

	it("two machines that bear one identifier and one name are two, whoever comes and goes beside them", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const token = await desk.evaluate(
			() => (JSON.parse(localStorage.getItem("warren.account.v1") ?? "{}") as { token: string }).token,
		);
		const shown = section(desk, "Devices").getByRole("listitem").filter({ hasText: "twin" });
		const state = { type: "sidecar", deviceId: "twin-0123456789", hostname: "twin", capabilities: ["sync"] };
		using early = stockClient(first, "_epicenter_discovery", token);
		early.provider.awareness.setLocalState({ ...state, deviceId: "early-0123456789", hostname: "early" });
		const before = section(desk, "Devices").getByRole("listitem").filter({ hasText: "early" });
		await expect.poll(() => before.count(), eventually).toBe(1);
		using one = stockClient(first, "_epicenter_discovery", token);
		using other = stockClient(first, "_epicenter_discovery", token);
		for (const each of [one, other]) each.provider.awareness.setLocalState(state);
		await expect.poll(() => shown.count(), eventually).toBe(2);
		// Their places in the list change: a list that took them for one would keep a row of nobody's.
		early.provider.awareness.setLocalState(null);
		await expect.poll(() => before.count(), eventually).toBe(0);
		expect(await shown.count()).toBe(2);
		other.provider.awareness.setLocalState(null);
		await expect.poll(() => shown.count(), eventually).toBe(1);
		other.provider.awareness.setLocalState(state);
		await expect.poll(() => shown.count(), eventually).toBe(2);
		one.provider.awareness.setLocalState(null);
		other.provider.awareness.setLocalState(null);
		await expect.poll(() => shown.count(), eventually).toBe(0);
	});

	it("an API key is shown once, works, and dies when it is deleted", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await desk.getByRole("button", { name: "Make a key" }).click();
		await dialog(desk).getByRole("textbox", { name: "What for" }).fill("backup script");
		await expectAccessible(desk, "make a key");
		await dialog(desk).getByRole("button", { name: "Make a key" }).click();
		const key = await copyable(desk, "API key");
		expect(key).toMatch(/^wk_/);
		await expectAccessible(desk, "the new key");
		const asked = () => first.fetch("/me", { headers: { authorization: `Bearer ${key}` } }).then((each) => each.status);
		expect(await asked()).toBe(200);
		await desk.keyboard.press("Escape");
		await desk.getByRole("button", { name: "Delete the key backup script" }).click();
		await desk.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
		await section(desk, "API keys").getByText("None yet").waitFor();
		expect(await asked()).toBe(401);
	});

	it("an invitation is made with its QR code, listed, and withdrawn", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await desk.getByRole("button", { name: "Invite somebody" }).click();
		await dialog(desk).getByRole("textbox", { name: "Only for this address" }).fill("eve@example.test");
		await dialog(desk).getByRole("button", { name: "Make the link" }).click();
		expect(await copyable(desk, "invitation link")).toContain("/#invitation=");
		await expectAccessible(desk, "invite");
		await desk.keyboard.press("Escape");
		await desk.getByRole("button", { name: "Withdraw the invitation: eve@example.test" }).click();
		await section(desk, "Invitations").getByText("None is open").waitFor();
	});

	it("a phone pairs by a code after a look at both screens, is seen live, and is revoked at once", async (test) => {
		test.skip(missing !== null, missing ?? "");
		// By keyboard alone, from anywhere.
		await desk.keyboard.press("Control+k");
		await desk.getByRole("combobox", { name: "Go to" }).fill("pair");
		await desk.getByRole("option", { name: /^Pair a phone/ }).waitFor();
		await expectAccessible(desk, "palette");
		await desk.keyboard.press("Enter");
		await dialog(desk).getByRole("img", { name: "QR code that pairs a device" }).waitFor();
		await expectAccessible(desk, "pairing code");
		const link = (await copyable(desk, "pairing link")).replace(/^https:\/\/[^/]+/, originOf(first));
		// The phone finds the same fingerprint on the page that tells it whom to trust.
		const { fingerprint } = (await (await first.fetch("/ca.json")).json()) as { fingerprint: string };
		expect(await copyable(desk, "fingerprint")).toBe(fingerprint);
		expect(link).toContain(`&fingerprint=${fingerprint.replaceAll(":", "")}`);
		const phone = await open("phone");
		await phone.goto(link);
		await phone.getByRole("textbox", { name: "Name of this device" }).fill("Ada's phone");
		expect(phone.url()).not.toContain("pair=");
		await expectAccessible(phone, "pair this device");
		await phone.getByRole("button", { name: "Pair", exact: true }).click();
		await phone.getByRole("heading", { name: "Now confirm on the other screen" }).waitFor();
		await desk.getByText("“Ada's phone” wants to sign in").waitFor();
		await expectAccessible(desk, "pairing claimed");
		await desk.getByRole("button", { name: "Let it in" }).click();
		await desk.getByText("Ada's phone is paired").waitFor();
		// The owner's phone is in the owner's machine at once, without its PIN.
		await phone.getByText("No session runs on atlas").waitFor();
		await desk.getByRole("button", { name: "Done" }).click();
		const row = section(desk, "Devices").getByRole("listitem").filter({ hasText: "Ada's phone" });
		await row.getByText("online").waitFor();
		await desk.getByRole("button", { name: "Actions for Ada's phone" }).click();
		await expectAccessible(desk, "device menu");
		await desk.getByRole("menuitem", { name: "Revoke" }).click();
		await desk.getByRole("alertdialog").getByRole("button", { name: "Revoke" }).click();
		await row.waitFor({ state: "detached" });
		await phone.getByRole("heading", { name: "Sign in" }).waitFor();
		await phone.context().close();
	});

	it("a second factor is switched on with the app's code, and asked for at the next sign-in", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await section(desk, "Second factor").getByRole("button", { name: "Switch on" }).click();
		await dialog(desk).getByRole("textbox", { name: "Password now" }).fill("not the password");
		await dialog(desk).getByRole("button", { name: "Go on" }).click();
		await dialog(desk).getByText("Type the password that you sign in with").waitFor();
		await dialog(desk).getByRole("textbox", { name: "Password now" }).fill(owner.password);
		await dialog(desk).getByRole("button", { name: "Go on" }).click();
		await dialog(desk).getByRole("img", { name: "QR code for your authenticator app" }).waitFor();
		await expectAccessible(desk, "second factor");
		secret = await copyable(desk, "key for the app");
		const [backup = ""] = (await copyable(desk, "backup codes")).split("\n");
		await dialog(desk).getByRole("textbox", { name: "Code" }).fill(totp(secret, Date.now()));
		await dialog(desk).getByRole("button", { name: "Confirm" }).click();
		await section(desk, "Second factor").getByText("on", { exact: true }).waitFor();

		const other = await open("phone");
		await other.goto(`${originOf(first)}/`);
		await signIn(other);
		await other.getByRole("textbox", { name: "Code" }).fill("000000");
		await expectAccessible(other, "code");
		await other.getByRole("button", { name: "Sign in", exact: true }).click();
		await other.getByText("Codes change every 30 seconds").waitFor();
		await other.getByRole("button", { name: "Use a backup code" }).click();
		await other.getByRole("textbox", { name: "Backup code" }).fill(backup);
		await other.getByRole("button", { name: "Sign in", exact: true }).click();
		await other.getByText("No session runs on atlas").waitFor();
		await other.context().close();
	});

	it("a passkey is added, signs in by itself, and is removed", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const devtools = await desk.context().newCDPSession(desk);
		await devtools.send("WebAuthn.enable");
		await devtools.send("WebAuthn.addVirtualAuthenticator", {
			options: {
				protocol: "ctap2",
				transport: "internal",
				hasResidentKey: true,
				hasUserVerification: true,
				isUserVerified: true,
				automaticPresenceSimulation: true,
			},
		});
		await desk.getByRole("button", { name: "Add a passkey" }).click();
		await dialog(desk).getByRole("textbox", { name: "Name of the passkey" }).fill("Laptop lock");
		await dialog(desk).getByRole("button", { name: "Add", exact: true }).click();
		await section(desk, "Passkeys").getByText("Laptop lock").waitFor();
		await desk.getByRole("button", { name: "Sign out of this account" }).click();
		await desk.getByRole("alertdialog").getByRole("button", { name: "Sign out of this account" }).click();
		await desk.getByRole("heading", { name: "Sign in to your account" }).waitFor();
		await expectAccessible(desk, "account gate");
		await desk.getByRole("button", { name: "Use a passkey" }).click();
		await section(desk, "Passkeys").getByText("Laptop lock").waitFor();
		await desk.getByRole("button", { name: "Remove the passkey Laptop lock" }).click();
		await desk.getByRole("alertdialog").getByRole("button", { name: "Remove" }).click();
		await section(desk, "Passkeys").getByText("None yet").waitFor();
	});

	it("a sign-in of the command line is looked at and let in", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const body = new URLSearchParams({ client_id: "warren-cli" });
		const headers = { authorization: "" };
		const asked = await first.fetch("/auth/device/code", { method: "POST", body, headers });
		const code = (await asked.json()) as { device_code: string; user_code: string };
		const page = await newPage(desk.context(), faults);
		await page.goto(`${originOf(first)}/#device=${code.user_code}`);
		await page.getByText(code.user_code).waitFor();
		await expectAccessible(page, "approve a device");
		await page.getByRole("button", { name: "Let it in" }).click();
		await page.getByRole("heading", { name: "It is signed in" }).waitFor();
		const grant = new URLSearchParams({
			grant_type: "urn:ietf:params:oauth:grant-type:device_code",
			device_code: code.device_code,
			client_id: "warren-cli",
		});
		const token = await first.fetch("/auth/device/token", { method: "POST", body: grant, headers });
		expect(token.status).toBe(200);
		await page.close();
	});

	it("a changed password signs the others out and keeps this device in", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await desk.reload();
		await section(desk, "Password").getByRole("textbox", { name: "Password now" }).fill(owner.password);
		await section(desk, "Password").getByRole("textbox", { name: "New password" }).fill("another long sentence");
		await desk.getByRole("button", { name: "Change password" }).click();
		await desk.getByText("The password is changed").waitFor();
		await expect
			.poll(async () => (await askHub<{ devices: unknown[] }>(desk, "/me/devices")).devices.length, eventually)
			.toBe(1);
	});

	it("a machine that was set up without an account prints a link for one", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await using late = await startNode({ ...firstMachine, pin: "lovelace-1815" });
		expect(late.setupUrl).toContain("/#account=");
		await using other = await launchBrowser({ ca: late.ca });
		const page = await newPage(await newContext(other), faults);
		await page.goto((late.setupUrl as string).replace(/^https:\/\/[^/]+/, originOf(late)));
		await page.getByRole("heading", { name: "Make your account" }).waitFor();
		await fillSignUp(page, owner);
		await page.getByText("No session runs on atlas").waitFor();
		await late.stop();
		await using again = await startNode({ ...firstMachine, pin: "lovelace-1815", home: late.home, port: late.port });
		expect(again.setupUrl).toBeNull();
	});

	it("raised no fault in any page", (test) => {
		test.skip(missing !== null, missing ?? "");
		expect(faults).toEqual([]);
	});
});
