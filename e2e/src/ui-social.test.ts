import { openSocialProxy, type SocialProxy, type StartedNode, startNode } from "@warren/testkit";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import { expectAccessible, firstMachine, newContext, newPage, originOf, owner, setUp } from "./ui-pages.ts";

/** Google's sign-in as a person goes through it: there, and back on the machine's own pages. */
const missing = browserMissing();

describe("sign-in by another service in the browser", () => {
	let services: SocialProxy;
	let first: StartedNode;
	let browser: (Browser & AsyncDisposable) | undefined;
	let desk: Page;
	const faults: string[] = [];

	beforeAll(async () => {
		if (missing !== null) return;
		services = await openSocialProxy();
		const registration = { GOOGLE_CLIENT_ID: "google-id", GOOGLE_CLIENT_SECRET: "google-secret" };
		first = await startNode({ ...firstMachine, env: { ...firstMachine.env, ...registration, ...services.env } });
		const rules = `MAP accounts.google.com ${services.address}`;
		browser = await launchBrowser({ ca: first.ca + services.ca, args: [`--host-resolver-rules=${rules}`] });
		desk = await newPage(await newContext(browser), faults);
		await setUp(desk, first);
	});
	afterAll(async () => {
		await browser?.close();
		await first?.[Symbol.asyncDispose]();
		await services?.[Symbol.asyncDispose]();
	});
	const throughGoogle = async (page: Page) => page.getByRole("link", { name: "It is me" }).click();

	it("is refused to whom nobody linked, with what to do", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const page = await newPage(await newContext(browser as never), faults);
		await page.goto(`${originOf(first)}/sign-in`);
		await page.getByRole("button", { name: "Continue with Google" }).waitFor();
		await expectAccessible(page, "sign-in with a service");
		await page.getByRole("button", { name: "Continue with Google" }).click();
		await throughGoogle(page);
		await page.getByText("Sign in to it first, then link the other service").waitFor();
		await expectAccessible(page, "refused by a service");
		await page.getByRole("button", { name: "Sign in instead" }).click();
		await page.getByRole("textbox", { name: "Email" }).waitFor();
		await page.context().close();
	});

	it("is linked under Account, and from then on signs in, on the UI and on the hub's own page", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await desk.goto(`${originOf(first)}/account`);
		await desk.getByRole("button", { name: "Link Google" }).click();
		await throughGoogle(desk);
		await desk.getByRole("button", { name: "Unlink Google" }).waitFor();
		await expectAccessible(desk, "linked services");

		const context = await newContext(browser as never);
		const page = await newPage(context, faults);
		await page.goto(`${originOf(first)}/sign-in`);
		await page.getByRole("button", { name: "Continue with Google" }).click();
		await throughGoogle(page);
		await page.getByRole("heading", { name: "Docs", exact: true }).waitFor();
		const kept = await page.evaluate(() => localStorage.getItem("warren.account.v1"));
		expect(JSON.parse(kept ?? "{}")).toMatchObject({ email: owner.email });
		await context.close();

		const other = await newPage(await newContext(browser as never), faults);
		await other.goto(`${originOf(first)}/admin`);
		await other.getByRole("button", { name: "Sign in with Google" }).click();
		await throughGoogle(other);
		await other.getByText(`Signed in as ${owner.name}`).waitFor();
		await other.getByRole("button", { name: "Unlink google" }).click();
		await other.getByRole("button", { name: "Link Google" }).waitFor();
		await other.context().close();
		expect(faults).toEqual([]);
		expect(first.log()).not.toContain("google-secret");
	});
});
