import type { SeededRandom } from "@warren/testkit";
import * as Y from "yjs";
import { decodeFrame, encodeStep1, encodeStep2, encodeUpdate } from "./protocol/index.ts";
import type { Outgoing } from "./relay/outgoing.ts";
import type { SyncSocket } from "./relay/sync-socket.ts";

/** One end of a simulated connection; messages wait until the network delivers them. */
export class SimulatedSocket implements SyncSocket {
	readonly isBlocked = false;
	readonly takenBytes = 0;
	readonly inbox: Uint8Array[] = [];
	peer: SimulatedSocket | undefined;
	open = true;
	#onMessage: ((message: Uint8Array) => void) | undefined;
	readonly #onClose: ((clean: boolean) => void)[] = [];

	send(outgoing: Pick<Outgoing, "messages">): boolean {
		if (this.open) this.peer?.inbox.push(...outgoing.messages.map((each) => each.slice()));
		return true;
	}

	inTurn(work: () => Promise<void>): void {
		void work();
	}

	close(): void {
		this.cut();
		this.peer?.cut();
	}

	onMessage(handler: (message: Uint8Array) => void): void {
		this.#onMessage = handler;
	}

	onClose(handler: (clean: boolean) => void): void {
		this.#onClose.push(handler);
	}

	onDrain(): void {}

	/** What was on its way is lost. */
	cut(): void {
		if (!this.open) return;
		this.open = false;
		this.inbox.length = 0;
		for (const handler of this.#onClose) handler(false);
	}

	deliverOne(): void {
		const message = this.inbox.shift();
		if (message !== undefined) this.#onMessage?.(message);
	}
}

/** All connections of a simulation, and the order in which their messages arrive. */
export class SimulatedNetwork {
	readonly #random: SeededRandom;
	#sockets: SimulatedSocket[] = [];

	constructor(random: SeededRandom) {
		this.#random = random;
	}

	connect(): [SimulatedSocket, SimulatedSocket] {
		const ends: [SimulatedSocket, SimulatedSocket] = [new SimulatedSocket(), new SimulatedSocket()];
		[ends[0].peer, ends[1].peer] = [ends[1], ends[0]];
		this.#sockets = [...this.#sockets.filter((each) => each.open), ...ends];
		return ends;
	}

	/** In order per connection, in any order between them. @returns false when nothing was on its way. */
	deliverOne(): boolean {
		const waiting = this.#sockets.filter((each) => each.inbox.length > 0);
		if (waiting.length === 0) return false;
		this.#random.pick(waiting).deliverOne();
		return true;
	}
}

const remote = Symbol("remote");

/** A client as a stock provider is one, on a simulated connection. */
export class SimulatedClient {
	readonly doc = new Y.Doc();
	#socket: SimulatedSocket | undefined;

	constructor(clientId: number) {
		this.doc.clientID = clientId;
		this.doc.on("update", (update: Uint8Array, origin: unknown) => {
			if (origin !== remote) this.#send(encodeUpdate(update));
		});
	}

	get connected(): boolean {
		return this.#socket?.open === true;
	}

	connect(socket: SimulatedSocket): void {
		this.#socket = socket;
		socket.onMessage((message) => {
			const frame = decodeFrame(message);
			if (frame.type === "step1") this.#send(encodeStep2(Y.encodeStateAsUpdate(this.doc, frame.stateVector)));
			if (frame.type === "update") Y.applyUpdate(this.doc, frame.update, remote);
		});
		this.#send(encodeStep1(Y.encodeStateVector(this.doc)));
	}

	disconnect(): void {
		this.#socket?.close();
	}

	edit(random: SeededRandom): void {
		const text = this.doc.getText("t");
		const action = random.integer(4);
		if (action === 0 && text.length > 4) text.delete(random.integer(text.length - 3), 3);
		else if (action === 1) this.doc.getMap("m").set(`k${random.integer(8)}`, random.integer(1_000));
		else if (action === 2) this.doc.getMap("m").delete(`k${random.integer(8)}`);
		else text.insert(random.integer(text.length + 1), "abcdef".slice(0, 1 + random.integer(6)));
	}

	content(): unknown {
		return { text: this.doc.getText("t").toJSON(), map: this.doc.getMap("m").toJSON() };
	}

	#send(message: Uint8Array): void {
		this.#socket?.send({ messages: [message] });
	}
}
