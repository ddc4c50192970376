// y-websocket 2.1's server, as `bin/server.cjs` puts it together; only the port is free.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { announce } from "./control.mjs";

const require = createRequire(`${process.env.BENCH_PEERS}/`);
const { WebSocketServer } = require("ws");
const { setupWSConnection } = require("y-websocket/bin/utils");

const sockets = new WebSocketServer({ noServer: true });
sockets.on("connection", setupWSConnection);
const server = createServer((_request, response) => response.end("okay"));
server.on("upgrade", (request, socket, head) => {
	sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit("connection", ws, request));
});
server.listen(0, "127.0.0.1", () => announce(server.address().port));
