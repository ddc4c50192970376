import { createInterface } from "node:readline";
import { HealthTable, type OverlayPeer, silentLogger, systemClock } from "@warren/kernel";
import { openOverlayDevice } from "@warren/wireguard";

/** One end of Warren's tunnel, in the namespace that it was started in. Two lines of JSON: device, then peer. */
const bytes = (hex: unknown) => Uint8Array.from(Buffer.from(hex as string, "hex"));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const own = JSON.parse((await lines.next()).value as string) as Record<string, unknown>;
const device = await openOverlayDevice(
	{ clock: systemClock, logger: silentLogger, health: new HealthTable(systemClock) },
	{
		interfaceName: own["interfaceName"] as string,
		privateKey: bytes(own["privateKey"]),
		listenPort: 51820,
		addresses: own["addresses"] as string[],
		mtu: 1420,
		dataPlane: own["dataPlane"] as "offload" | "portable",
		timestampFile: null,
	},
);
console.log(Buffer.from(device.publicKey).toString("hex"));
const peer = JSON.parse((await lines.next()).value as string) as Record<string, unknown>;
device.setPeer({ ...(peer as unknown as OverlayPeer), publicKey: bytes(peer["publicKey"]) });
await device.status();
console.log("ready");
await lines.next();
await device.close();
