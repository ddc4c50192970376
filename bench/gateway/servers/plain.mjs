// The relay as the original's page describes it, in one file: no queues, no receipts, a string for each receiver.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const meshes = new Map();
const send = (ws, message) => {
	if (ws.readyState === ws.OPEN) ws.send(JSON.stringify(message));
};
const server = createServer((_request, response) => {
	response.writeHead(200, { "content-type": "application/json" });
	response.end(JSON.stringify({ ok: true, connected: meshes.size }));
});
new WebSocketServer({ server, path: "/gateway" }).on("connection", (ws) => {
	let me = null;
	ws.on("message", (data) => {
		const message = JSON.parse(data.toString());
		if (message.type === "gateway_auth") {
			me = { ws, meshId: message.meshId, name: message.meshId };
			meshes.set(me.meshId, me);
			return send(ws, { type: "gateway_auth_ok", meshId: me.meshId, name: me.name });
		}
		if (me === null) return send(ws, { type: "gateway_auth_error", message: "Not authenticated" });
		const incoming = {
			type: "gateway_incoming",
			fromMeshId: me.meshId,
			fromMeshName: me.name,
			payload: message.payload,
		};
		if (message.type === "gateway_relay") {
			const target = meshes.get(message.targetMeshId);
			if (target !== undefined) send(target.ws, incoming);
		} else if (message.type === "gateway_broadcast") {
			for (const mesh of meshes.values()) if (mesh !== me) send(mesh.ws, incoming);
		}
	});
	ws.on("close", () => {
		if (me !== null && meshes.get(me.meshId) === me) meshes.delete(me.meshId);
	});
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${JSON.stringify({ port: server.address().port })}\n`));
