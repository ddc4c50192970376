import type { StartedNode } from "@warren/testkit";
import type { Page } from "playwright-core";
import { expect } from "vitest";
import { originOf } from "./ui-pages.ts";

/** Something that a page asks a machine for. */
export interface Action {
	readonly path: string | (() => string);
	/** Of the request that is held. */
	readonly method: string;
	readonly asks: RegExp;
	readonly act: (page: Page) => Promise<void>;
	/** What is seen beside the line: `button` that is busy (unless told), the `line` alone, a skeleton, or a place of its own. */
	readonly seen?: "line" | "skeleton" | ((page: Page) => Promise<void>);
	/** What shows that it was done. */
	readonly done: (page: Page) => Promise<void>;
}

export const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name, exact: true });
export const textbox = (page: Page, name: string) => page.getByRole("textbox", { name, exact: true });
export const dialogOf = (page: Page) => page.getByRole("dialog").or(page.getByRole("alertdialog"));
export const section = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

/** Holds the action's request: it is seen to be under way until it is answered, and was asked for once. */
export async function expectProgress(
	page: Page,
	node: StartedNode,
	action: Action,
	look: () => Promise<void> = async () => {},
): Promise<void> {
	const { path, asks, method, seen } = action;
	await page.goto(`${originOf(node)}${typeof path === "string" ? path : path()}`);
	await page.getByRole("heading", { level: 1 }).first().waitFor();
	// The line is as slow as the looking is: the page does not give up meanwhile.
	await page.evaluate(() => {
		AbortSignal.timeout = () => new AbortController().signal;
	});
	const held = Promise.withResolvers<void>();
	let asked = 0;
	const matches = (url: URL) => asks.test(url.pathname);
	await page.route(matches, async (route) => {
		if (route.request().method() !== method) return route.fallback();
		asked += 1;
		await held.promise;
		await route.fallback();
	});
	await action.act(page);
	if (typeof seen === "function") await seen(page);
	else {
		// Behind a dialog the line is for the eyes alone: what is read out there is its button.
		await page.locator(".progress-line").waitFor();
		if (seen === undefined) await page.locator("button[aria-busy=true]").first().waitFor();
		else if (seen === "line") await page.getByRole("progressbar", { name: "Working" }).waitFor();
	}
	await look();
	held.resolve();
	await action.done(page);
	await page.locator(".progress-line").waitFor({ state: "detached" });
	expect(asked).toBe(1);
	await page.unrouteAll();
}
