import { memberCredentials } from "@warren/access";
import { Federation, federationRoutes, gatewayLinkSchema, type Registration } from "@warren/gateway";
import { auditAs, type CredentialKind } from "@warren/kernel";
import { RoomsService, type RoomsTables, roomRoutes, roomsSchema } from "@warren/rooms";
import { openSqliteTables } from "@warren/store";
import type { NodeConfig } from "../config/node-config.ts";
import type { OpenPart, RolePart } from "../node/role-part.ts";

/** As the original's nodes have it. */
const defaultGatewayUrl = "ws://localhost:4000/gateway";
const settingsFile = "gateway-link.json";
const keyFile = "gateway-key.pem";

/** Chat rooms of this machine, and its place at a gateway. */
export const openRoomsPart: OpenPart = async (base, config): Promise<RolePart> => {
	const { clock, random, logger, health, feed, data, lifetime } = base;
	const audit = auditAs(base.audit, "rooms");
	const { statements } = lifetime.own(
		await openSqliteTables<RoomsTables>(data.file("rooms.db"), [roomsSchema, gatewayLinkSchema]),
	);
	const rooms = new RoomsService({ statements, clock, random, events: feed });
	const federation = lifetime.own(
		new Federation(
			{ clock, random, logger, health, events: feed, federation: rooms, statements },
			{
				fixed: fixedOf(config),
				defaultGatewayUrl: config.meshGatewayUrl ?? defaultGatewayUrl,
				name: config.name,
				registration: { load: () => data.read(settingsFile), save: (text) => data.write(text, settingsFile) },
				key: { load: () => data.read(keyFile), save: (text) => data.write(text, keyFile) },
			},
		),
	);
	const credentials: readonly CredentialKind[] = [...memberCredentials, "session"];
	return {
		name: "rooms",
		routes: [
			...roomRoutes(rooms, { credentials, audit, ownerName: () => base.access.owner.userName }),
			...federationRoutes(federation, { credentials, owners: memberCredentials, audit }),
		],
		authenticators: [],
		peerSources: [],
		listening: () => federation.start(),
	};
};

function fixedOf({ meshId, meshSecret, meshGatewayUrl }: NodeConfig): Registration | null {
	if (meshId === undefined || meshSecret === undefined) return null;
	return { meshId, secret: meshSecret, gatewayUrl: meshGatewayUrl ?? defaultGatewayUrl };
}
