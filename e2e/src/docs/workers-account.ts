import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tempFolder, Workerd } from "@warren/testkit";

/** What stands in an upload beside its modules; wrangler writes it. */
interface Metadata {
	readonly main_module: string;
	readonly compatibility_date: string;
	readonly compatibility_flags: readonly string[];
	readonly migrations?: { readonly new_tag: string };
	readonly bindings: readonly {
		readonly type: string;
		readonly name: string;
		readonly text?: string;
		readonly class_name?: string;
	}[];
}

interface Upload {
	readonly code: string;
	readonly metadata: Metadata;
}

const account = "0123456789abcdef0123456789abcdef";
const token = "a-token-of-tests";
const notFound = (what: string) => ({
	status: 404,
	body: { code: 10007, message: `This Worker does not exist: ${what}` },
});
const done = (result: unknown) => ({ status: 200, body: result });
type Answer = ReturnType<typeof notFound> | ReturnType<typeof done>;

/** An account of the platform's on loopback, as far as wrangler asks of it: what is uploaded runs in the real runtime. */
export class WorkersAccount implements AsyncDisposable {
	/** What was asked that this account knows nothing of. */
	readonly unknown: string[] = [];
	readonly #server: Server;
	readonly #folder = tempFolder("workers-account");
	readonly #secrets = new Map<string, string>();
	#upload: Upload | null = null;
	#running: Workerd | null = null;

	static async open(): Promise<WorkersAccount> {
		const opened = new WorkersAccount();
		opened.#server.listen(0, "127.0.0.1");
		await once(opened.#server, "listening");
		return opened;
	}

	private constructor() {
		this.#server = createServer(async (request, response) => {
			const { status, body } = await this.#answer(request).catch((fault: Error) => ({
				status: 500,
				body: { code: 1, message: String(fault.stack) },
			}));
			const envelope =
				status === 200
					? { success: true, errors: [], messages: [], result: body }
					: { success: false, errors: [body], messages: [], result: null };
			response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(envelope));
		});
	}

	/** What points wrangler here, and nowhere else. */
	get env(): Readonly<Record<string, string>> {
		const { port } = this.#server.address() as AddressInfo;
		return {
			CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${port}/client/v4`,
			CLOUDFLARE_API_TOKEN: token,
			CLOUDFLARE_ACCOUNT_ID: account,
		};
	}

	/** Where the program that was deployed last is reached. @throws Error when nothing was. */
	get port(): number {
		if (this.#running === null) throw new Error("nothing was deployed");
		return this.#running.port;
	}

	async #answer(request: IncomingMessage): Promise<Answer> {
		const { pathname } = new URL(request.url ?? "/", "http://account");
		const body = Buffer.concat(await request.toArray());
		if (request.headers.authorization !== `Bearer ${token}`)
			return { status: 403, body: { code: 10000, message: "Authentication error" } };
		const asked = `${request.method} ${pathname.replace(`/client/v4/accounts/${account}/workers/`, "")}`;
		switch (asked.replace("warren-hub", "NAME")) {
			case "GET services/NAME":
			case "GET scripts/NAME/deployments":
				return this.#upload === null ? notFound(asked) : done(this.#described());
			case "GET scripts":
				return done(this.#upload === null ? [] : [{ id: "warren-hub", migration_tag: this.#tag() }]);
			case "PUT scripts/NAME":
				this.#upload = await uploaded(request, body);
				await this.#restart();
				return done({
					id: "warren-hub",
					etag: "e",
					deployment_id: randomUUID().replaceAll("-", ""),
					startup_time_ms: 1,
				});
			case "PUT scripts/NAME/secrets": {
				if (this.#upload === null) return notFound(asked);
				const { name, text } = JSON.parse(body.toString()) as { readonly name: string; readonly text: string };
				this.#secrets.set(name, text);
				await this.#restart();
				return done({ name, type: "secret_text" });
			}
			case "GET scripts/NAME/secrets":
				return done([...this.#secrets.keys()].map((name) => ({ name, type: "secret_text" })));
			case "GET scripts/NAME/settings":
				return done({ bindings: [], tags: [] });
			case "GET subdomain":
				return done({ subdomain: "example" });
			case "GET scripts/NAME/subdomain":
			case "POST scripts/NAME/subdomain":
				return done({ enabled: true, previews_enabled: false });
			default:
				this.unknown.push(asked);
				return { status: 404, body: { code: 7003, message: `Could not route to ${asked}` } };
		}
	}

	#described(): unknown {
		const script = { tag: "t", tags: [], last_deployed_from: "wrangler", migration_tag: this.#tag() };
		return { default_environment: { environment: "production", script }, deployments: [] };
	}

	#tag(): string | undefined {
		return this.#upload?.metadata.migrations?.new_tag;
	}

	/** A secret that changes is a deployment of its own; storage stays. */
	async #restart(): Promise<void> {
		await this.#running?.[Symbol.asyncDispose]();
		this.#running = null;
		const { code, metadata } = this.#upload as Upload;
		const of = (type: string) => metadata.bindings.filter((each) => each.type === type);
		this.#running = await Workerd.run(code, {
			objects: Object.fromEntries(
				of("durable_object_namespace").map(({ name, class_name = "" }) => [name, class_name]),
			),
			bindings: {
				...Object.fromEntries(of("plain_text").map(({ name, text = "" }) => [name, text])),
				...Object.fromEntries(this.#secrets),
			},
			...(metadata.compatibility_date === undefined
				? {}
				: { compatibility: { date: metadata.compatibility_date, flags: metadata.compatibility_flags } }),
			folder: this.#folder.path,
		});
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#server.closeAllConnections();
		this.#server.close();
		await this.#running?.[Symbol.asyncDispose]();
		this.#folder[Symbol.dispose]();
	}
}

async function uploaded(request: IncomingMessage, body: Buffer): Promise<Upload> {
	const headers = { "content-type": request.headers["content-type"] ?? "" };
	const form = await new Response(new Uint8Array(body), { headers }).formData();
	const metadata = JSON.parse(String(form.get("metadata"))) as Metadata;
	const main = form.get(metadata.main_module);
	if (main === null || typeof main === "string") throw new Error(`the upload has no module ${metadata.main_module}`);
	return { code: await main.text(), metadata };
}
