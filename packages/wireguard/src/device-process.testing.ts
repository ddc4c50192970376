import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { HealthTable, messageOf, silentLogger, systemClock } from "@warren/kernel";
import { type OverlayDeviceOptions, openOverlayDevice } from "./index.ts";
import { openLibc } from "./linux/libc.ts";
import { type Refusal, refusing } from "./refusing-libc.testing.ts";

/**
 * A device in a process of its own, so that it can live in a network namespace. Lines of JSON: options first (with
 * `refuses`, a host that refuses an offload), then
 * `{id, call, args}`; answers `{id, result}` or `{id, error}`, and `{event, args}` for handlers. Bytes are hex under
 * `$hex`. Keys come on standard input: an argument would show them to every process.
 */
const encode = (value: unknown) =>
	JSON.stringify(value, (_key, each: unknown) =>
		each instanceof Uint8Array ? { $hex: Buffer.from(each).toString("hex") } : each,
	);
const decode = (text: string) =>
	JSON.parse(text, (_key, each: unknown) =>
		typeof each === "object" && each !== null && "$hex" in each
			? Uint8Array.from(Buffer.from(each.$hex as string, "hex"))
			: each,
	) as unknown;
const say = (value: unknown) => void process.stdout.write(`${encode(value)}\n`);

/** @returns whether a service can have that address now. */
function listen(host: string): Promise<string> {
	return new Promise((resolve) => {
		const server = createServer();
		server.once("error", (fault) => resolve(fault.message));
		server.listen({ host, port: 0 }, () => server.close(() => resolve("it can")));
	});
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const first = await lines.next();
const health = new HealthTable(systemClock);
const { refuses, ...options } = decode(first.value as string) as OverlayDeviceOptions & { refuses?: Refusal };
try {
	const device = await openOverlayDevice(
		{
			clock: systemClock,
			logger: silentLogger,
			health,
			...(refuses === undefined ? {} : { libc: refusing(openLibc(), refuses) }),
		},
		options,
	);
	device.onDatagram((bytes, from) => say({ event: "datagram", args: [bytes, from] }));
	device.onRelayDatagram((key, bytes, urgent) => say({ event: "relay", args: [key, bytes, urgent] }));
	device.onPeerChange((key) => say({ event: "peerChange", args: [key] }));
	device.onUnfit((reason) => say({ event: "unfit", args: [reason] }));
	say({ ready: { listenPort: device.listenPort, publicKey: device.publicKey } });
	for (;;) {
		const line = await lines.next();
		if (line.done === true) break;
		const { id, call, args } = decode(line.value) as { id: number; call: string; args: unknown[] };
		try {
			const result: unknown =
				call === "health"
					? health.list()
					: call === "memory"
						? process.memoryUsage().rss
						: call === "exit"
							? process.exit(args[0] as number)
							: call === "cpuUsage"
								? process.cpuUsage()
								: call === "listen"
									? await listen(args[0] as string)
									: await (device as unknown as Record<string, (...a: unknown[]) => unknown>)[call]?.(...args);
			say({ id, result: result ?? null });
		} catch (failure) {
			say({ id, error: messageOf(failure), code: (failure as { code?: string }).code });
		}
	}
	await device.close();
} catch (failure) {
	say({ refused: messageOf(failure), code: (failure as { code?: string }).code });
	process.exitCode = 1;
}
