import { Miniflare, type MiniflareOptions } from "miniflare";
import { tempFolder } from "./temp-folder.ts";
import { bundleWorker } from "./worker-bundle.ts";

export interface WorkerdOptions {
	/** Class names of Durable Objects by their binding; all have SQLite storage. */
	readonly objects: Readonly<Record<string, string>>;
	readonly bindings?: Readonly<Record<string, string>>;
	/** Answers what the worker asks of others; without it, such requests go out. */
	readonly outbound?: (request: Request) => Promise<Response>;
	/** A folder in which objects outlive the process. */
	readonly folder?: string;
	/** Other files in the place of modules that the program imports. */
	readonly alias?: Readonly<Record<string, string>>;
	/** Other behaviour than the hub's. */
	readonly compatibility?: { readonly date: string; readonly flags: readonly string[] };
}

/** The runtime's behaviour that is asked for; `wrangler.jsonc` names the same. */
export const workerdCompatibility = {
	date: "2026-07-01",
	flags: ["nodejs_compat", "enable_request_signal", "request_signal_passthrough"],
} as const;

/** The runtime of Workers with one program in it, on loopback. */
export class Workerd implements AsyncDisposable {
	readonly port: number;
	readonly #miniflare: Miniflare;
	readonly #scratch: Disposable;

	private constructor(miniflare: Miniflare, scratch: Disposable, port: number) {
		this.#miniflare = miniflare;
		this.#scratch = scratch;
		this.port = port;
	}

	/** @param entry the program's module. */
	static async start(entry: string, options: WorkerdOptions): Promise<Workerd> {
		return await Workerd.run(await (bundled.get(entry) ?? bundle(entry, options.alias)), options);
	}

	/** @param contents one module, as `bundleWorker` makes it. */
	static async run(contents: string, options: WorkerdOptions): Promise<Workerd> {
		const { outbound, compatibility = workerdCompatibility } = options;
		const scratch = tempFolder("workerd");
		const miniflare = within(scratch.path, {
			modules: [{ type: "ESModule", path: "worker.js", contents }],
			compatibilityDate: compatibility.date,
			compatibilityFlags: [...compatibility.flags],
			durableObjects: Object.fromEntries(
				Object.entries(options.objects).map(([name, className]) => [name, { className, useSQLite: true }]),
			),
			bindings: { ...options.bindings },
			// Without the simulator's own worker in front, which hides that a client has left.
			unsafeDirectSockets: [{ host: "127.0.0.1", port: 0, proxy: false }],
			// Neither does it look for a newer one, nor does it tell anybody.
			cf: false,
			...(options.folder === undefined ? {} : { durableObjectsPersist: options.folder }),
			...(outbound === undefined ? {} : { outboundService: (request: never) => outbound(request) as never }),
		});
		const url = await miniflare.unsafeGetDirectURL();
		return new Workerd(miniflare, scratch, Number(url.port));
	}

	get origin(): string {
		return `http://localhost:${this.port}`;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#miniflare.dispose();
		this.#scratch[Symbol.dispose]();
	}
}

/**
 * It chooses a folder below the system's temporary one when it is made, and at its end removes it without waiting: a
 * process that ends first leaves it there. So it is given a place that is ours to remove.
 */
function within(folder: string, options: MiniflareOptions): Miniflare {
	const before = process.env["TMPDIR"];
	process.env["TMPDIR"] = folder;
	try {
		return new Miniflare(options);
	} finally {
		if (before === undefined) delete process.env["TMPDIR"];
		else process.env["TMPDIR"] = before;
	}
}

/** Once a process: it takes seconds. */
const bundled = new Map<string, Promise<string>>();

function bundle(entry: string, alias: WorkerdOptions["alias"]): Promise<string> {
	const made = bundleWorker(entry, alias);
	bundled.set(entry, made);
	return made;
}
