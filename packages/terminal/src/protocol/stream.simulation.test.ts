import { expect, test } from "vitest";
import { TerminalClient } from "./client-machine.ts";
import { decodeClientFrame } from "./decode-frame.ts";
import { ViewerStream } from "./server-machine.ts";

/** mulberry32: small, good enough to shuffle with, the same on every machine. */
function seeded(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
}

/** One direction of a socket that dies after `budget` bytes, wherever in a message that is. */
interface Pipe {
	readonly queue: Uint8Array[];
	budget: number;
}

interface Socket {
	readonly link: number;
	readonly up: Pipe;
	readonly down: Pipe;
	alive: boolean;
	accepted: boolean;
}

/** A server with one viewer, a client, a socket between them that keeps dying, and a PTY that takes input in bites. */
class Simulation {
	readonly #random: () => number;
	readonly server: ViewerStream;
	readonly client: TerminalClient;
	now = 0;
	socket: Socket | undefined;
	cuts = 0;
	paused = false;
	readonly ptyTotal: number;
	#ptyNext = 0;
	readonly ptyInput: number[] = [];
	#ptyBacklog: Uint8Array[] = [];
	readonly screen: number[] = [];
	#parsing: { bytes: Uint8Array; mark: { epoch: number; end: number } }[] = [];
	#typed = 0;
	readonly typedTotal: number;
	maxUnacknowledged = 0;
	#lastAck = 0;
	#lastSent = 0;

	constructor(seed: number) {
		this.#random = seeded(seed);
		this.ptyTotal = 20_000 + Math.floor(this.#random() * 60_000);
		this.typedTotal = 2000 + Math.floor(this.#random() * 3000);
		this.server = new ViewerStream({
			viewer: "v",
			session: { id: "warren.1", name: "work" },
			readOnly: false,
			limits: { windowBytes: 8192, maxWindowBytes: 16_384, ringBytes: 32_768 },
		});
		this.client = new TerminalClient({ cols: 80, rows: 24, mode: "fit", fraction: this.#random });
		this.client.start(0);
	}

	static outputByte = (at: number) => (at * 31 + (at >>> 8)) & 0xff;
	static inputByte = (at: number) => (at * 17 + (at >>> 8)) & 0xff;

	get done(): boolean {
		return this.screen.length >= this.ptyTotal && this.ptyInput.length >= this.typedTotal;
	}

	step(): void {
		this.#perform();
		const dice = this.#random();
		if (dice < 0.25) this.#deliver("down");
		else if (dice < 0.5) this.#deliver("up");
		else if (dice < 0.62) this.#produce();
		else if (dice < 0.7) this.#type();
		else if (dice < 0.8) this.#takeInput();
		else if (dice < 0.9) this.#parse();
		else this.#advance();
		this.#perform();
	}

	#perform(): void {
		for (const effect of this.client.drain()) {
			switch (effect.type) {
				case "connect":
					this.socket = {
						link: effect.link,
						up: { queue: [], budget: 100 + Math.floor(this.#random() ** 3 * 60_000) },
						down: { queue: [], budget: 100 + Math.floor(this.#random() ** 3 * 60_000) },
						alive: true,
						accepted: false,
					};
					this.client.opened(effect.link);
					break;
				case "send":
					if (this.socket?.link === effect.link) this.socket.up.queue.push(effect.bytes);
					break;
				case "write":
					this.#parsing.push({ bytes: effect.bytes.slice(), mark: effect.mark });
					break;
				case "reset":
				case "input-lost":
				case "stopped":
				case "disconnect":
					throw new Error(`the client was told "${effect.type}": ${JSON.stringify(effect)}`);
			}
		}
		for (const effect of this.server.drain()) {
			switch (effect.type) {
				case "send":
					if (this.socket?.link === effect.link) this.socket.down.queue.push(effect.bytes);
					if (effect.bytes[0] === 0x82) {
						const offset = new DataView(effect.bytes.buffer).getUint32(5);
						this.#lastSent = offset + effect.bytes.length - 9;
						this.maxUnacknowledged = Math.max(this.maxUnacknowledged, this.#lastSent - this.#lastAck);
					}
					break;
				case "write":
					this.#ptyBacklog.push(effect.bytes.slice());
					break;
				case "pause":
					this.paused = true;
					break;
				case "resume":
					this.paused = false;
					break;
				case "close":
					if (effect.code === 4409 && effect.link !== this.socket?.link) break;
					throw new Error(`the server closed ${effect.link}: ${JSON.stringify(effect)}`);
				case "expire":
				case "reattach":
					throw new Error(`the server wants "${effect.type}": ${JSON.stringify(effect)}`);
			}
		}
	}

	#deliver(direction: "up" | "down"): void {
		const { socket } = this;
		if (socket === undefined || !socket.alive) return;
		const pipe = socket[direction];
		const message = pipe.queue.shift();
		if (message === undefined) return;
		pipe.budget -= message.length;
		if (pipe.budget < 0) return this.#cut(socket);
		if (direction === "down") return this.client.message(socket.link, message, this.now);
		const frame = decodeClientFrame(message);
		if (frame.type === "ack") this.#lastAck = frame.output;
		if (frame.type === "hello") {
			socket.accepted = true;
			this.server.open(socket.link, frame.hello, { cols: 80, rows: 24 }, this.now);
		} else this.server.receive(socket.link, message, this.now);
	}

	#cut(socket: Socket): void {
		socket.alive = false;
		this.cuts += 1;
		this.client.closed(socket.link, 1006, "", this.now);
		// The server often learns of it only by the takeover.
		if (socket.accepted && this.#random() < 0.5) this.server.socketClosed(socket.link, this.now);
	}

	#produce(): void {
		if (this.#ptyNext >= this.ptyTotal || (this.paused && this.#random() < 0.95)) return;
		const length = Math.min(this.ptyTotal - this.#ptyNext, 1 + Math.floor(this.#random() ** 2 * 3000));
		this.server.output(
			Uint8Array.from({ length }, (_, i) => Simulation.outputByte(this.#ptyNext + i)),
			this.now,
		);
		this.#ptyNext += length;
	}

	#type(): void {
		const length = Math.min(this.typedTotal - this.#typed, 1 + Math.floor(this.#random() ** 2 * 60));
		if (length === 0) return;
		this.client.type(Uint8Array.from({ length }, (_, i) => Simulation.inputByte(this.#typed + i)));
		this.#typed += length;
	}

	#takeInput(): void {
		const bytes = this.#ptyBacklog.shift();
		if (bytes === undefined) return;
		this.ptyInput.push(...bytes);
		this.server.inputWritten(bytes.length, this.now);
	}

	#parse(): void {
		const write = this.#parsing.shift();
		if (write === undefined) return;
		this.screen.push(...write.bytes);
		this.client.parsed(write.mark, this.now);
	}

	#advance(): void {
		const due = [this.client.deadline(), this.server.deadline()].filter((each) => each !== undefined);
		// Seldom all the way: a heartbeat must not be what saves the day.
		this.now = this.#random() < 0.3 ? Math.min(...due, this.now + 1000) : this.now + 1;
		this.client.tick(this.now);
		this.server.tick(this.now);
	}
}

test("T6 T8 whatever byte the socket dies at, the screen gets the PTY's bytes and the PTY the typed bytes, once each", () => {
	let cuts = 0;
	for (let seed = 1; seed <= 120; seed += 1) {
		const simulation = new Simulation(seed);
		let steps = 0;
		while (!simulation.done) {
			simulation.step();
			steps += 1;
			if (steps > 400_000) throw new Error(`seed ${seed}: not done after ${steps} steps`);
		}
		cuts += simulation.cuts;
		const wrongOutput = simulation.screen.findIndex((byte, at) => byte !== Simulation.outputByte(at));
		const wrongInput = simulation.ptyInput.findIndex((byte, at) => byte !== Simulation.inputByte(at));
		expect({ seed, wrongOutput, length: simulation.screen.length }).toEqual({
			seed,
			wrongOutput: -1,
			length: simulation.ptyTotal,
		});
		expect({ seed, wrongInput, length: simulation.ptyInput.length }).toEqual({
			seed,
			wrongInput: -1,
			length: simulation.typedTotal,
		});
	}
	expect(cuts).toBeGreaterThan(400);
});
