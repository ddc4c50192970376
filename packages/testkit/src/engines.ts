import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** A server that says of itself what a test wants, and does nothing else. */
export interface PosedServer extends AsyncDisposable {
	readonly port: number;
	/** Statements and commands that it was asked for, in their order. */
	readonly asked: readonly string[];
}

async function serve(asked: readonly string[], onSocket: (socket: Socket) => void): Promise<PosedServer> {
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		sockets.add(socket);
		socket.on("error", () => socket.destroy());
		socket.on("close", () => sockets.delete(socket));
		onSocket(socket);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return {
		port: (server.address() as AddressInfo).port,
		asked,
		async [Symbol.asyncDispose]() {
			for (const socket of sockets) socket.destroy();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

export type PosedPostgres =
	| { readonly row: Readonly<Record<string, string | null>> }
	| { readonly refusal: { readonly code: string; readonly message: string } };

/** PostgreSQL's protocol 3.0, as far as a connection and one answer to every statement. */
export function posePostgres(as: PosedPostgres): Promise<PosedServer> {
	const asked: string[] = [];
	return serve(asked, (socket) => {
		let started = false;
		let waiting = Buffer.alloc(0);
		socket.on("data", (chunk: Buffer) => {
			waiting = Buffer.concat([waiting, chunk]);
			for (;;) {
				// The first message has no kind.
				const at = started ? 1 : 0;
				if (waiting.length < at + 4) return;
				const length = at + waiting.readInt32BE(at);
				if (waiting.length < length) return;
				const message = waiting.subarray(0, length);
				waiting = waiting.subarray(length);
				if (!started) {
					started = true;
					if ("refusal" in as) {
						const { code, message: text } = as.refusal;
						socket.end(packet("E", Buffer.from(`SFATAL\0C${code}\0M${text}\0\0`)));
						return;
					}
					socket.write(Buffer.concat([packet("R", Buffer.alloc(4)), packet("Z", Buffer.from("I"))]));
				} else if (message[0] === 0x51 && "row" in as) {
					asked.push(message.toString("utf8", 5, message.length - 1));
					socket.write(answer(as.row));
				} else if (message[0] === 0x58) return void socket.end();
			}
		});
	});
}

function answer(row: Readonly<Record<string, string | null>>): Buffer {
	const columns = Object.keys(row).map((name) => {
		const facts = Buffer.alloc(18);
		// A boolean is one: the driver makes it of its letter.
		facts.writeInt32BE(row[name] === "t" || row[name] === "f" ? 16 : 25, 6);
		return Buffer.concat([Buffer.from(`${name}\0`), facts]);
	});
	const values = Object.values(row).map((value) => {
		const length = Buffer.alloc(4);
		length.writeInt32BE(value === null ? -1 : Buffer.byteLength(value));
		return Buffer.concat([length, Buffer.from(value ?? "")]);
	});
	const count = Buffer.alloc(2);
	count.writeInt16BE(columns.length);
	return Buffer.concat([
		packet("T", Buffer.concat([count, ...columns])),
		packet("D", Buffer.concat([count, ...values])),
		packet("C", Buffer.from("SELECT 1\0")),
		packet("Z", Buffer.from("I")),
	]);
}

function packet(kind: string, body: Buffer): Buffer {
	const head = Buffer.alloc(5);
	head.write(kind, "latin1");
	head.writeInt32BE(body.length + 4, 1);
	return Buffer.concat([head, body]);
}

/** A NATS server's first line, and its heartbeat. */
export function poseNats(info: { readonly version: string; readonly jetstream?: boolean }): Promise<PosedServer> {
	const asked: string[] = [];
	return serve(asked, (socket) => {
		const facts = { server_id: "posed", max_payload: 1_048_576, proto: 1, headers: true, ...info };
		socket.write(`INFO ${JSON.stringify(facts)}\r\n`);
		socket.on("data", (chunk: Buffer) => {
			for (const line of chunk.toString().split("\r\n").filter(Boolean)) {
				if (line === "PING") socket.write("PONG\r\n");
				else if (!line.startsWith("CONNECT")) asked.push(line);
			}
		});
	});
}
