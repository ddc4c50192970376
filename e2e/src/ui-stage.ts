import { type StartedNode, startNode } from "@warren/testkit";
import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { launchBrowser } from "./browser.ts";
import { firstMachine, newContext, newPage, sizes } from "./ui-pages.ts";

export interface UiStageOptions {
	/** Of the first machine, beside its own. */
	readonly env?: Readonly<Record<string, string>>;
	/** A node of its own on the same loopback: a peer that is added by its address. */
	readonly second?: boolean;
	readonly context?: BrowserContextOptions;
}

/** A warren's first machine, a browser that trusts it, and one page of a size. */
export class UiStage implements AsyncDisposable {
	readonly first: StartedNode;
	readonly context: BrowserContext;
	readonly page: Page;
	/** What was thrown in the page and caught by nobody. */
	readonly faults: string[];
	readonly #second: StartedNode | null;
	readonly #stack: AsyncDisposableStack;

	private constructor(
		stack: AsyncDisposableStack,
		machines: { readonly first: StartedNode; readonly second: StartedNode | null },
		shown: { readonly context: BrowserContext; readonly page: Page; readonly faults: string[] },
	) {
		this.#stack = stack;
		this.#second = machines.second;
		this.first = machines.first;
		this.context = shown.context;
		this.page = shown.page;
		this.faults = shown.faults;
	}

	static async open(size: string, options: UiStageOptions = {}): Promise<UiStage> {
		await using stack = new AsyncDisposableStack();
		const opening = [
			startNode({ ...firstMachine, env: { ...firstMachine.env, ...options.env } }),
			...(options.second === true ? [startNode({ name: "burrow", user: "bob", pin: "bobs-pin-1" })] : []),
		];
		const started = await Promise.allSettled(opening);
		for (const each of started) if (each.status === "fulfilled") stack.use(each.value);
		const [first, second = null] = await Promise.all(opening);
		const browser = stack.use(await launchBrowser({ ca: (first as StartedNode).ca }));
		const context = await newContext(browser, { ...(sizes[size] as BrowserContextOptions), ...options.context });
		const faults: string[] = [];
		const page = await newPage(context, faults);
		return new UiStage(stack.move(), { first: first as StartedNode, second }, { context, page, faults });
	}

	get second(): StartedNode {
		if (this.#second === null) throw new Error("this stage was opened without a second machine");
		return this.#second;
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.#stack.disposeAsync();
	}
}
