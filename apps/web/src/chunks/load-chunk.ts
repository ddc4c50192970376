/** How often a piece of the program is asked for, and how long between. Milliseconds. */
export const chunkLimits = { attempts: 5, firstWaitMs: 250, maxWaitMs: 4_000 } as const;

/** A piece of the program that did not arrive, after every attempt. */
export class ChunkError extends Error {
	constructor(cause: unknown) {
		super("A part of this page did not arrive.", { cause });
		this.name = "ChunkError";
	}
}

export interface ChunkDeps {
	wait(ms: number): Promise<void>;
	/** Fetches a style sheet that was given up: by the build's own loader, or by the browser. */
	style(url: string): Promise<void>;
	random(): number;
}

/**
 * Every `import()` of a page goes through this: a network that blinks (a changed interface, a sleeping phone) costs a
 * moment and not the page.
 * @throws ChunkError after `chunkLimits.attempts`.
 */
export function loadChunk<T>(load: () => Promise<T>, deps: ChunkDeps = browser): Promise<T> {
	return insist(load, deps, async (failure) => {
		// The loader asks for a style sheet once only, and would go on without it.
		const sheet = sheetOf(failure);
		if (sheet !== undefined) await deps.style(sheet).catch(() => undefined);
	});
}

/**
 * Asks again for a style sheet of the document itself that did not arrive: no browser does, and what stands on it shows
 * a page on which a dialog's buttons cannot be pressed.
 * @throws ChunkError after `chunkLimits.attempts`.
 */
export async function restoreStyles(page: Document = document, deps: ChunkDeps = browser): Promise<void> {
	const sheets = [...page.querySelectorAll<HTMLLinkElement>("link[rel=stylesheet]")];
	for (const lost of sheets.filter(({ sheet }) => !hasRules(sheet))) {
		await insist(() => deps.style(lost.href), deps);
		lost.remove();
	}
}

/** One that broke off is null, or empty, or of an origin that is nobody's, as the browser has it. */
function hasRules(sheet: CSSStyleSheet | null): boolean {
	try {
		return sheet !== null && sheet.cssRules.length > 0;
	} catch {
		return false;
	}
}

async function insist<T>(
	load: () => Promise<T>,
	deps: ChunkDeps,
	mend: (failure: unknown) => Promise<void> = async () => {},
): Promise<T> {
	for (let attempt = 1; ; attempt++) {
		try {
			return await load();
		} catch (failure) {
			if (attempt >= chunkLimits.attempts) throw new ChunkError(failure);
			const ceiling = Math.min(chunkLimits.maxWaitMs, chunkLimits.firstWaitMs * 2 ** (attempt - 1));
			await deps.wait(ceiling * (0.5 + 0.5 * deps.random()));
			await mend(failure);
		}
	}
}

function sheetOf(failure: unknown): string | undefined {
	return failure instanceof Error
		? /^Unable to preload CSS for (\/assets\/\S+)$/.exec(failure.message)?.[1]
		: undefined;
}

const browser: ChunkDeps = {
	// Back on the network is a better moment than any clock's.
	wait: (ms) =>
		new Promise((resolve) => {
			const done = () => {
				clearTimeout(timer);
				removeEventListener("online", done);
				resolve();
			};
			const timer = setTimeout(done, ms);
			addEventListener("online", done);
		}),
	style: (url) =>
		new Promise((resolve, reject) => {
			const link = document.createElement("link");
			link.rel = "stylesheet";
			link.href = url;
			link.onload = () => resolve();
			link.onerror = () => {
				link.remove();
				reject(new Error(`Unable to preload CSS for ${url}`));
			};
			document.head.append(link);
		}),
	random: Math.random,
};
