// The same relay on socket.io: a room a mesh, its own broadcast.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const { Server } = createRequire(new URL("../peers/package.json", import.meta.url))("socket.io");
const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false });
io.on("connection", (socket) => {
	const { meshId } = socket.handshake.auth;
	socket.join(meshId);
	socket.on("relay", (target, payload) => io.to(target).emit("incoming", meshId, payload));
	socket.on("broadcast", (payload) => socket.broadcast.emit("incoming", meshId, payload));
	socket.emit("in");
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`));
