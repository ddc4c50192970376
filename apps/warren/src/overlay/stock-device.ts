import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defineErrors, messageOf, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { addStaticDevice, publicKeyOf, stockConfig } from "@warren/overlay/joiner";
import { type JoinerConfig, parseJoinerConfig, readLinkTls } from "../config/joiner-config.ts";

const overlayError = defineErrors({
	not_joined: { status: 404, fix: "Join first with: warren overlay join" },
	no_endpoint: { status: 409 },
});

/** A device that speaks plain WireGuard, with the configuration for its app: a secret, shown once. */
export interface StockDevice {
	readonly name: string;
	readonly peer_id: string;
	readonly ula: string;
	readonly public_key: string;
	readonly config: string;
}

/**
 * Lets a phone or computer with the stock WireGuard app in, behind the machine whose joiner has run with this folder.
 * @param endpoint where the device reaches this machine, `address:port`; null = as the joiner knows it.
 * @throws WarrenError `not_joined`, `no_endpoint`, `too_many`, and what the coordinator answers.
 */
export async function addStockDevice(
	dataPath: string,
	name: string,
	endpoint: string | null,
	config: JoinerConfig = joinedBefore(dataPath),
): Promise<StockDevice> {
	const { folder, coordinator } = config;
	const status = readJoinerStatus(folder);
	const gatewayEndpoint = endpoint ?? status.endpoint;
	if (gatewayEndpoint === null)
		throw overlayError("no_endpoint", "It is not known where the device could reach this machine.", {
			fix: "Say its address and UDP port, like 203.0.113.7:51820.",
		});
	const privateKey = Uint8Array.from(systemRandom.bytes(32));
	privateKey[0] = (privateKey[0] as number) & 248;
	privateKey[31] = ((privateKey[31] as number) & 127) | 64;
	const publicKey = Buffer.from(publicKeyOf(privateKey)).toString("base64");
	const device = await addStaticDevice(
		{ folder, coordinators: coordinator, tls: readLinkTls(config), clock: systemClock, logger: silentLogger },
		name,
		publicKey,
	);
	const text = stockConfig({
		privateKey: Buffer.from(privateKey).toString("base64"),
		ula: device.ula,
		gatewayKey: status.wg_public_key,
		gatewayEndpoint,
		dns: status.ula,
	});
	return { ...device, config: text };
}

export interface JoinerStatus {
	readonly name: string;
	readonly ula: string;
	readonly wg_public_key: string;
	readonly endpoint: string | null;
	readonly coordinator: string;
	readonly connected: boolean;
	readonly interface: string;
	readonly data_plane: string | null;
	readonly nat: string | null;
	readonly relay: boolean;
	readonly updated_at: number;
	readonly conditions: readonly { severity: string; title: string; advice: string }[];
	readonly peers: readonly {
		display_name: string;
		ula: string;
		path: string;
		endpoint: { address: string; port: number } | null;
		rtt_ms: number | null;
		rx_bytes: number;
		tx_bytes: number;
	}[];
}

/** @param folder the joiner's. @throws WarrenError `not_joined`. */
export function readJoinerStatus(folder: string): JoinerStatus {
	const file = join(folder, "status.json");
	if (!existsSync(file)) throw overlayError("not_joined", `No joiner has run with ${folder}.`);
	try {
		return JSON.parse(readFileSync(file, "utf8")) as JoinerStatus;
	} catch (cause) {
		throw overlayError("not_joined", `${file} cannot be read: ${messageOf(cause)}.`, { cause });
	}
}

/** As the last join on this machine said. */
function joinedBefore(data: string): JoinerConfig {
	if (!existsSync(join(data, "overlay", "join.json")))
		throw overlayError("not_joined", "This machine is not on the overlay.", {
			fix: "The overlay needs Linux, root, /dev/net/tun and iproute2. See: warren doctor",
		});
	return parseJoinerConfig({ data }, {});
}
