import { WebSocket } from "ws";
import { WebsocketProvider as Provider1 } from "y-websocket-1";
import { WebsocketProvider as Provider2 } from "y-websocket-2";
import { WebsocketProvider as Provider3 } from "y-websocket-3";
import * as Y from "yjs";

/** The stock providers of npm, unmodified. */
export const stockProviders = { "1.5.4": Provider1, "2.1.0": Provider2, "3.1.0": Provider3 } as const;

export interface StockClient extends Disposable {
	readonly doc: Y.Doc;
	readonly provider: Provider3;
	readonly closes: { code: number; reason: string }[];
	/** Resolves when the first sync is done. */
	synced(): Promise<void>;
	text(): string;
}

/** A client as an application makes one; the BroadcastChannel is off, so that everything goes through the relay. */
export function stockClient(
	hubWsUrl: string,
	room: string,
	options: { user?: string; version?: keyof typeof stockProviders; doc?: Y.Doc; maxBackoffTime?: number } = {},
): StockClient {
	const doc = options.doc ?? new Y.Doc();
	const closes: { code: number; reason: string }[] = [];
	const Provider = stockProviders[options.version ?? "3.1.0"] as unknown as typeof Provider3;
	const token = `session-${options.user ?? "alice"}`;
	const bySubprotocol = options.version !== "1.5.4";
	const provider = new Provider(`${hubWsUrl}/rooms`, `${room}/sync`, doc, {
		...(bySubprotocol ? { protocols: ["warren.v1", `bearer.${token}`] } : {}),
		WebSocketPolyfill: (bySubprotocol ? WebSocket : withHeader(token)) as unknown as typeof globalThis.WebSocket,
		disableBc: true,
		maxBackoffTime: options.maxBackoffTime ?? 200,
	});
	provider.on("connection-close", (event) => {
		if (event !== null) closes.push({ code: event.code, reason: event.reason });
	});
	provider.on("connection-error", () => {});
	return {
		doc,
		provider,
		closes,
		text: () => doc.getText("t").toJSON(),
		synced: () =>
			provider.synced
				? Promise.resolve()
				: new Promise((resolve) => {
						const onSync = (state: boolean) => {
							if (!state) return;
							provider.off("sync", onSync);
							resolve();
						};
						provider.on("sync", onSync);
					}),
		[Symbol.dispose]: () => {
			provider.destroy();
			doc.destroy();
		},
	};
}

/** 1.5 cannot name subprotocols; a browser would come with its cookie. */
function withHeader(token: string) {
	return class extends WebSocket {
		constructor(url: string) {
			super(url, { headers: { authorization: `Bearer ${token}` } });
		}
	};
}

/** Resolves once it holds, asked after every change of the document: no polling. */
export function when(doc: Y.Doc, holds: () => boolean): Promise<void> {
	return new Promise((resolve) => {
		const check = () => {
			if (!holds()) return;
			doc.off("update", check);
			resolve();
		};
		doc.on("update", check);
		check();
	});
}

/** The same for awareness. */
export function whenPresent(
	client: StockClient,
	holds: (states: Map<number, Record<string, unknown>>) => boolean,
): Promise<void> {
	const { awareness } = client.provider;
	return new Promise((resolve) => {
		const check = () => {
			if (!holds(awareness.getStates() as Map<number, Record<string, unknown>>)) return;
			awareness.off("change", check);
			resolve();
		};
		awareness.on("change", check);
		check();
	});
}
