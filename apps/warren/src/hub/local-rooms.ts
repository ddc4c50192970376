import {
	type Authenticator,
	type Closeable,
	type CloseCode,
	closeCodes,
	type Identity,
	type UserId,
} from "@warren/kernel";
import {
	type HandleRoute,
	httpError,
	parseCredential,
	type RequestContext,
	type Route,
	Router,
	refusal,
	type Upgrade,
	type WebSocketConnection,
	type WebSocketRoute,
	withBody,
} from "@warren/net";

/** On answers that this machine's sidecar gave in the hub's place. */
export const servedByHeader = "x-warren-served-by";

export interface LocalRoomsDeps {
	/** Of the sidecar's documents. */
	readonly routes: readonly Route[];
	readonly sessions: Authenticator;
	/** The hub's own cookie, once it said so; null = not heard yet. */
	readonly cookieName: () => string | null;
	/** Whose documents the sidecar keeps in step: nobody else's edits would ever reach the hub. */
	readonly syncedUser: () => UserId | null;
	/** Somebody came through this node with a session that the hub confirms. */
	readonly onSession: (userId: UserId, token: string) => void;
}

/** The documents of this machine's sidecar on the node's own origin, for as long as the hub is away. */
export class LocalRooms implements Closeable {
	readonly #deps: LocalRoomsDeps;
	readonly #router: Router;
	readonly #open = new Set<WebSocketConnection>();

	constructor(deps: LocalRoomsDeps) {
		this.#deps = deps;
		this.#router = new Router(deps.routes);
	}

	/** Remembers a session while the hub can still be asked about it. Never rejects. */
	async note(context: RequestContext, upgrade: boolean): Promise<void> {
		const credential = parseCredential(context.headers, upgrade, this.#deps.cookieName());
		if (credential?.scheme !== "bearer") return;
		const verdict = await this.#verdict(context, upgrade).catch(() => null);
		if (verdict?.ok === true && verdict.identity.kind === "user")
			this.#deps.onSession(verdict.identity.userId, credential.token);
	}

	/** @param body already read; null = none. @throws WarrenError as the route does, `unauthorized`, `unavailable`. */
	async answer(context: RequestContext, body: Uint8Array | null): Promise<Response> {
		const { route, params } = this.#find(context.method, context.path);
		const identity = await this.#identify(context, false);
		const request = new Request(`http://warren.invalid${context.path}`, {
			method: context.method,
			headers: { "content-type": context.headers["content-type"] ?? "" },
			...(body === null ? {} : { body: body.slice() }),
		});
		const response = await (route as HandleRoute).handle(withBody(asked(context, identity, params), request));
		response.headers.set(servedByHeader, "sidecar");
		return response;
	}

	/** @throws WarrenError as `answer` does. */
	async open(context: RequestContext, upgrade: Upgrade): Promise<void> {
		const { route, params } = this.#find("WS", context.path);
		const identity = await this.#identify(context, true);
		const remembering: Upgrade = {
			accept: (options) => {
				const connection = upgrade.accept(options);
				this.#open.add(connection);
				connection.onClose(() => this.#open.delete(connection));
				return connection;
			},
			refuse: (code, error) => upgrade.refuse(code, error),
			take: () => upgrade.take(),
		};
		await (route as WebSocketRoute).open(asked(context, identity, params), remembering);
	}

	/** The hub is back: everybody comes again, and is passed on to it. */
	release(code: CloseCode = closeCodes.draining): void {
		for (const connection of this.#open) void connection.close(code, "the hub is back");
	}

	close(): void {
		this.release();
	}

	#find(method: string, path: string): { route: Route; params: Record<string, string> } {
		const match = this.#router.match(method, path);
		if (match.found === "route") return match;
		if (match.found === "method")
			throw httpError("method_not_allowed", `${method} is not for ${path}; it takes ${match.allowed.join(", ")}.`, {
				details: { allowed: match.allowed },
			});
		throw httpError("not_found", `There is nothing at ${path.slice(0, 200)}.`);
	}

	async #identify(context: RequestContext, upgrade: boolean): Promise<Identity> {
		const byCookie = context.headers.authorization === undefined;
		const changes = !upgrade && context.method !== "GET" && context.method !== "HEAD";
		if (byCookie && changes && context.headers.origin === undefined)
			throw httpError("bad_origin", "A change that is asked for with a cookie needs an Origin, and this has none.");
		const verdict = await this.#verdict(context, upgrade);
		if (verdict === null) throw httpError("unauthorized", "This needs a session of the hub.");
		if (!verdict.ok) throw refusal(verdict);
		const { identity } = verdict;
		if (identity.kind === "user" && identity.userId === this.#deps.syncedUser()) return identity;
		throw httpError("unavailable", "The hub is away, and this machine keeps no documents of yours.", {
			details: { retryAfterMs: 5_000 },
		});
	}

	async #verdict(context: RequestContext, upgrade: boolean) {
		const credential = parseCredential(context.headers, upgrade, this.#deps.cookieName());
		if (credential === null) return null;
		if (credential.scheme === "malformed") throw httpError("unauthorized", `${credential.reason}.`);
		const { remoteAddress, path } = context;
		return this.#deps.sessions.authenticate(credential, { accepts: ["session"], remoteAddress, path });
	}
}

/** The same request, as the sidecar's own listener would have passed it on. */
function asked(context: RequestContext, identity: Identity, params: Record<string, string>): RequestContext {
	return Object.create(context, {
		identity: { value: identity, enumerable: true },
		credential: { value: "session", enumerable: true },
		params: { value: params, enumerable: true },
	}) as RequestContext;
}
