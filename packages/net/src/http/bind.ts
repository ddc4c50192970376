import type { Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import { httpError } from "./responses.ts";

/** @throws WarrenError saying which port, and what to do when it is taken or not allowed. */
export async function listen(server: Server | SecureServer, host: string | undefined, port: number): Promise<void> {
	await new Promise<void>((resolve, reject) => {
		server.once("error", (fault: NodeJS.ErrnoException) => reject(listenFault(fault, host, port)));
		server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
			server.removeAllListeners("error");
			// A connection that the system could not hand over: the next one may be.
			server.on("error", () => {});
			resolve();
		});
	});
}

function listenFault(fault: NodeJS.ErrnoException, host: string | undefined, port: number): unknown {
	const where = `${host ?? "this machine"}, port ${port}`;
	if (fault.code === "EADDRINUSE") {
		return httpError("unavailable", `Port ${port} is taken: something else listens on ${where}.`, {
			fix: "Stop it, or choose another port with --port.",
			cause: fault,
		});
	}
	if (fault.code === "EACCES") {
		return httpError("unavailable", `No permission to listen on ${where}.`, {
			fix: "Choose a port from 1024 up with --port.",
			cause: fault,
		});
	}
	if (fault.code === "EADDRNOTAVAIL") {
		return httpError("unavailable", `${host} is not an address of this machine.`, {
			fix: "Choose one that is with --host.",
			cause: fault,
		});
	}
	return fault;
}
