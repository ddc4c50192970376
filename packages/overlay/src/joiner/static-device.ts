import type { Clock, Logger } from "@warren/kernel";
import { z } from "zod";
import { appBlock, canonicalUla, parseKey, peerBlock } from "../addresses.ts";
import { overlayError } from "../errors.ts";
import { overlayDomain } from "../names/answer.ts";
import { CoordinatorLink, type LinkTls } from "./coordinator-link.ts";
import { JoinerFiles, type JoinerIdentity, type StaticDevice } from "./joiner-files.ts";

const maxDevices = 64;
const registered = z.object({
	peer_id: z.string().min(1).max(64),
	ula: z.string().refine((ula) => canonicalUla(ula) !== null),
});

/** A device that speaks plain WireGuard, behind this machine: its parent forwards for it. */
export async function registerStaticDevice(
	link: CoordinatorLink,
	parent: JoinerIdentity,
	device: { readonly name: string; readonly public_key: string; readonly ula?: string },
): Promise<StaticDevice> {
	const answer = registered.parse(
		await link.call("POST", "/v1/mesh/register", {
			wg_public_key: device.public_key,
			display_name: device.name,
			network: parent.network,
			kind: "runner",
			parent: parent.peer_id,
			...(device.ula === undefined ? {} : { requested_ula: device.ula }),
		}),
	);
	return {
		name: device.name,
		public_key: device.public_key,
		ula: canonicalUla(answer.ula) as string,
		peer_id: answer.peer_id,
	};
}

export interface StaticDeviceDeps {
	/** The joiner's files; the joiner itself may run or not. */
	readonly folder: string;
	readonly coordinators: readonly string[];
	readonly tls: LinkTls | null;
	readonly clock: Clock;
	readonly logger: Logger;
}

/** Registers a device and keeps it; a joiner that runs learns of it by its own roster. @throws WarrenError `not_joined`, `bad_key`, `too_many`. */
export async function addStaticDevice(deps: StaticDeviceDeps, name: string, publicKey: string): Promise<StaticDevice> {
	const files = new JoinerFiles(deps.folder, deps.logger);
	const parent = files.identity();
	if (parent === null) throw overlayError("not_joined", `Nothing in ${deps.folder} has joined an overlay.`);
	const key = parseKey(publicKey);
	if (key === null) throw overlayError("bad_key", `"${publicKey.slice(0, 64)}" is not a WireGuard public key.`);
	const kept = files.devices();
	if (kept.length >= maxDevices)
		throw overlayError("too_many", `There are already ${maxDevices} devices behind this machine.`);
	const link = new CoordinatorLink(deps.coordinators, deps.tls, deps.clock);
	try {
		const device = await registerStaticDevice(link, parent, { name, public_key: key });
		files.write("devices.json", `${JSON.stringify([...kept.filter((each) => each.public_key !== key), device])}\n`);
		return device;
	} finally {
		await link.close();
	}
}

/** What the stock app or wg-quick takes. Holds the private key: shown once, kept nowhere. */
export function stockConfig(device: {
	readonly privateKey: string;
	readonly ula: string;
	readonly gatewayKey: string;
	readonly gatewayEndpoint: string;
	readonly dns: string;
}): string {
	return [
		"[Interface]",
		`PrivateKey = ${device.privateKey}`,
		`Address = ${device.ula}/128`,
		`DNS = ${device.dns}, ${overlayDomain}`,
		// The least that IPv6 needs: its other side may be any path.
		"MTU = 1280",
		"",
		"[Peer]",
		`PublicKey = ${device.gatewayKey}`,
		`Endpoint = ${device.gatewayEndpoint}`,
		`AllowedIPs = ${peerBlock}, ${appBlock}`,
		"PersistentKeepalive = 25",
		"",
	].join("\n");
}

/** Says goodbye for a machine whose joiner does not run. @throws WarrenError `not_joined`, `coordinator_away`. */
export async function leaveOverlay(deps: StaticDeviceDeps): Promise<JoinerIdentity> {
	const identity = new JoinerFiles(deps.folder, deps.logger).identity();
	if (identity === null) throw overlayError("not_joined", `Nothing in ${deps.folder} has joined an overlay.`);
	const link = new CoordinatorLink(deps.coordinators, deps.tls, deps.clock);
	try {
		await link.call("POST", "/v1/mesh/deregister", { peer_id: identity.peer_id });
		return identity;
	} finally {
		await link.close();
	}
}
