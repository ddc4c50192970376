import { createHash } from "node:crypto";
import { connect, createServer } from "node:net";

/** `serve ADDRESS`: prints its port, then the hash of what it got. `send ADDRESS PORT BYTES`: prints the hash of what it sent. */
const [role, address = "", port, bytes] = process.argv.slice(2);
if (role === "serve") {
	const server = createServer({ allowHalfOpen: true }, (socket) => {
		const hash = createHash("sha256");
		socket.on("data", (chunk) => hash.update(chunk));
		socket.on("end", () => {
			socket.end("got");
			console.log(hash.digest("hex"));
			server.close();
		});
	});
	server.listen(0, address, () => console.log((server.address() as { port: number }).port));
} else {
	const hash = createHash("sha256");
	const chunk = Buffer.alloc(64 * 1024);
	const socket = connect(Number(port), address);
	let left = Number(bytes);
	const go = () => {
		while (left > 0) {
			chunk.writeUInt32LE(left, (left * 7) % 60_000);
			const next = Buffer.from(chunk.subarray(0, Math.min(left, chunk.length)));
			left -= next.length;
			hash.update(next);
			if (!socket.write(next)) return void socket.once("drain", go);
		}
		socket.end();
	};
	socket.once("connect", go);
	socket.resume().once("end", () => console.log(hash.digest("hex")));
}
