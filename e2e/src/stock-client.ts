import type { StartedNode } from "@warren/testkit";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket-3";
import { Doc } from "yjs";

export interface StockClient extends Disposable {
	readonly doc: Doc;
	readonly provider: WebsocketProvider;
	text(): string;
	/** Resolves once it holds, asked after every change of the document. */
	when(holds: (text: string) => boolean): Promise<void>;
}

/** npm's own provider, unmodified, on a node's or hub's origin, whose CA it trusts. */
export function stockClient(node: Pick<StartedNode, "origin" | "ca">, room: string, session: string): StockClient {
	class Trusting extends WebSocket {
		constructor(url: string, protocols: string[]) {
			super(url, protocols, { ca: node.ca });
		}
	}
	const doc = new Doc();
	const provider = new WebsocketProvider(`${node.origin.replace(/^http/, "ws")}/rooms`, `${room}/sync`, doc, {
		protocols: ["warren.v1", `bearer.${session}`],
		WebSocketPolyfill: Trusting as never,
		disableBc: true,
		maxBackoffTime: 200,
	});
	provider.on("connection-error", () => {});
	const text = () => doc.getText("t").toJSON();
	return {
		doc,
		provider,
		text,
		when: (holds) =>
			new Promise((resolve) => {
				const check = () => {
					if (!holds(text())) return;
					doc.off("update", check);
					resolve();
				};
				doc.on("update", check);
				check();
			}),
		[Symbol.dispose]: () => {
			provider.destroy();
			doc.destroy();
		},
	};
}
