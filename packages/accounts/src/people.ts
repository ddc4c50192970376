import type { Clock } from "@warren/kernel";
import type { Auth } from "./auth/better-auth.ts";
import { accountsError } from "./errors.ts";
import { isAdminRole } from "./roles.ts";
import type { KnownSession, SessionSource } from "./sessions.ts";

/** A signed-in browser, phone or command line: a session with a name. */
export interface AccountDevice {
	readonly id: string;
	readonly name: string;
	readonly address: string;
	readonly userAgent: string;
	readonly createdAt: number;
	readonly lastSeenAt: number;
	readonly expiresAt: number;
}

export interface Person {
	readonly id: string;
	readonly name: string;
	readonly email: string;
	readonly role: string;
	readonly admin: boolean;
	readonly twoFactor: boolean;
	readonly createdAt: number;
}

interface SessionRow {
	readonly id: string;
	readonly userId: string;
	readonly deviceName?: string | null;
	readonly ipAddress?: string | null;
	readonly userAgent?: string | null;
	readonly createdAt: Date;
	readonly updatedAt: Date;
	readonly expiresAt: Date;
}

interface UserRow {
	readonly id: string;
	readonly name: string;
	readonly email: string;
	readonly role?: string | null;
	readonly banned?: boolean | null;
	readonly banExpires?: Date | null;
	readonly twoFactorEnabled?: boolean | null;
	readonly createdAt: Date;
}

const maxListedDevices = 500;
const maxListedPeople = 500;

/** Accounts and their sessions, read and written through the library. */
export class People implements SessionSource {
	readonly #auth: Auth;
	readonly #clock: Clock;

	constructor(auth: Auth, clock: Clock) {
		this.#auth = auth;
		this.#clock = clock;
	}

	bySession = async (token: string): Promise<KnownSession | null> => {
		const found = await this.#auth.api.getSession({ headers: new Headers({ authorization: `Bearer ${token}` }) });
		if (found === null) return null;
		const session = found.session as SessionRow;
		return knownOf(found.user as UserRow, {
			sessionId: session.id,
			deviceName: session.deviceName ?? "",
			createdAt: new Date(session.createdAt).getTime(),
			expiresAt: new Date(session.expiresAt).getTime(),
		});
	};

	byApiKey = async (token: string): Promise<KnownSession | null> => {
		const { valid, key } = await this.#auth.api.verifyApiKey({ body: { key: token } });
		if (!valid || key === null) return null;
		const user = await this.#user(key.referenceId);
		if (user === null || isBanned(user, this.#clock.now())) return null;
		return knownOf(user, {
			sessionId: keyDeviceId(key.id),
			deviceName: key.name ?? "API key",
			createdAt: new Date(key.createdAt).getTime(),
			expiresAt: key.expiresAt === null ? Number.MAX_SAFE_INTEGER : new Date(key.expiresAt).getTime(),
		});
	};

	async person(userId: string): Promise<Person | null> {
		const user = await this.#user(userId);
		if (user === null) return null;
		return {
			id: user.id,
			name: user.name,
			email: user.email,
			role: user.role ?? "user",
			admin: isAdminRole(user.role),
			twoFactor: user.twoFactorEnabled ?? false,
			createdAt: new Date(user.createdAt).getTime(),
		};
	}

	async rename(userId: string, name: string): Promise<void> {
		const { internalAdapter } = await this.#auth.$context;
		await internalAdapter.updateUser(userId, { name });
	}

	/** The account with its sessions, keys and passkeys. */
	async remove(userId: string): Promise<void> {
		const { internalAdapter } = await this.#auth.$context;
		await internalAdapter.deleteUser(userId);
	}

	/** Everybody with an account, by name: whom a document may be shared with. No addresses. */
	async everybody(): Promise<{ readonly id: string; readonly name: string }[]> {
		const { adapter } = await this.#auth.$context;
		const rows = await adapter.findMany<UserRow>({
			model: "user",
			sortBy: { field: "name", direction: "asc" },
			limit: maxListedPeople,
		});
		return rows.filter((row) => !isBanned(row, this.#clock.now())).map(({ id, name }) => ({ id, name }));
	}

	async count(): Promise<number> {
		return (await this.#auth.$context).internalAdapter.countTotalUsers();
	}

	/** Newest first; those that have ended are left out. */
	async devices(userId: string): Promise<AccountDevice[]> {
		const { adapter } = await this.#auth.$context;
		const rows = await adapter.findMany<SessionRow>({
			model: "session",
			where: [
				{ field: "userId", value: userId },
				{ field: "expiresAt", operator: "gt", value: new Date(this.#clock.now()) },
			],
			sortBy: { field: "createdAt", direction: "desc" },
			limit: maxListedDevices,
		});
		return rows.map(deviceOf);
	}

	/** @throws WarrenError `unknown_device`. */
	async device(userId: string, deviceId: string): Promise<AccountDevice> {
		const { adapter } = await this.#auth.$context;
		const row = await adapter.findOne<SessionRow>({ model: "session", where: ownSession(userId, deviceId) });
		if (row === null) throw accountsError("unknown_device", `There is no device "${deviceId.slice(0, 40)}" of yours.`);
		return deviceOf(row);
	}

	/** @throws WarrenError `unknown_device`. */
	async renameDevice(userId: string, deviceId: string, name: string): Promise<AccountDevice> {
		await this.device(userId, deviceId);
		const { adapter } = await this.#auth.$context;
		await adapter.update({ model: "session", where: ownSession(userId, deviceId), update: { deviceName: name } });
		return this.device(userId, deviceId);
	}

	/** Signs a device out. Whoever watches revocations is told before this resolves. @throws WarrenError `unknown_device`. */
	async removeDevice(userId: string, deviceId: string): Promise<void> {
		await this.device(userId, deviceId);
		const { adapter } = await this.#auth.$context;
		await adapter.deleteMany({ model: "session", where: ownSession(userId, deviceId) });
	}

	/** Which of these devices still have a session. */
	async living(deviceIds: readonly string[]): Promise<Set<string>> {
		if (deviceIds.length === 0) return new Set();
		const { adapter } = await this.#auth.$context;
		const rows = await adapter.findMany<SessionRow>({
			model: "session",
			where: [{ field: "id", operator: "in", value: [...deviceIds] }],
			limit: deviceIds.length,
		});
		return new Set(rows.map((row) => row.id));
	}

	/** Which of these, sessions and API keys by device, still let their person in. @param devices device → user. */
	async livingDevices(devices: ReadonlyMap<string, string>): Promise<Set<string>> {
		if (devices.size === 0) return new Set();
		const { adapter } = await this.#auth.$context;
		const userIds = [...new Set(devices.values())];
		const users = await adapter.findMany<UserRow>({
			model: "user",
			where: [{ field: "id", operator: "in", value: userIds }],
			limit: userIds.length,
		});
		const welcome = new Set(users.filter((row) => !isBanned(row, this.#clock.now())).map((row) => row.id));
		const keyIds = [...devices.keys()].filter((id) => id.startsWith(keyPrefix)).map((id) => id.slice(keyPrefix.length));
		const keys =
			keyIds.length === 0
				? []
				: await adapter.findMany<{ id: string; enabled: boolean | null }>({
						model: "apikey",
						where: [{ field: "id", operator: "in", value: keyIds }],
						limit: keyIds.length,
					});
		const alive = await this.living([...devices.keys()].filter((id) => !id.startsWith(keyPrefix)));
		for (const key of keys) if (key.enabled !== false) alive.add(keyDeviceId(key.id));
		for (const [deviceId, userId] of devices) if (!welcome.has(userId)) alive.delete(deviceId);
		return alive;
	}

	/** A new session of its own, not a copy of anybody's. @throws WarrenError `no_account` when the person is gone or banned. */
	async newSession(
		userId: string,
		device: {
			readonly name: string;
			readonly key: string | null;
			readonly address: string;
			readonly userAgent: string;
		},
	): Promise<{ readonly token: string; readonly deviceId: string; readonly expiresAt: number }> {
		const user = await this.#user(userId);
		if (user === null || isBanned(user, this.#clock.now()))
			throw accountsError("no_account", "The account that this was for is gone.", { fix: "" });
		const { internalAdapter } = await this.#auth.$context;
		const session = await internalAdapter.createSession(userId, false, {
			deviceName: device.name,
			deviceKey: device.key,
			ipAddress: device.address,
			userAgent: device.userAgent,
		});
		return { token: session.token, deviceId: session.id, expiresAt: session.expiresAt.getTime() };
	}

	/** Sign-ins by code that these people approved and nobody has used: perhaps on a device that they sign out. */
	async takeCodesBack(userIds: readonly string[]): Promise<void> {
		const { adapter } = await this.#auth.$context;
		const where = [
			{ field: "userId", operator: "in" as const, value: [...userIds] },
			{ field: "status", value: "approved" },
		];
		await adapter.deleteMany({ model: "deviceCode", where });
	}

	/** What has ended by itself; nobody else sweeps it up, or cuts what is open by it. */
	async purge(): Promise<void> {
		const { adapter } = await this.#auth.$context;
		const where = [{ field: "expiresAt", operator: "lt" as const, value: new Date(this.#clock.now()) }];
		for (const model of ["session", "apikey", "deviceCode", "verification"]) await adapter.deleteMany({ model, where });
	}

	async #user(userId: string): Promise<UserRow | null> {
		const { internalAdapter } = await this.#auth.$context;
		return (await internalAdapter.findUserById(userId)) as UserRow | null;
	}
}

/** An API key stands where a device's session would. */
const keyPrefix = "key_";

export function keyDeviceId(keyId: string): string {
	return `${keyPrefix}${keyId}`;
}

export function isKeyDevice(deviceId: string): boolean {
	return deviceId.startsWith(keyPrefix);
}

function ownSession(userId: string, deviceId: string) {
	return [
		{ field: "id", value: deviceId },
		{ field: "userId", value: userId },
	];
}

function isBanned(user: UserRow, now: number): boolean {
	return (
		Boolean(user.banned) && ((user.banExpires ?? null) === null || new Date(user.banExpires as Date).getTime() > now)
	);
}

function knownOf(
	user: UserRow,
	session: Pick<KnownSession, "sessionId" | "deviceName" | "createdAt" | "expiresAt">,
): KnownSession {
	return {
		...session,
		userId: user.id,
		name: user.name,
		email: user.email,
		role: user.role ?? "user",
		admin: isAdminRole(user.role),
	};
}

function deviceOf(row: SessionRow): AccountDevice {
	return {
		id: row.id,
		name: row.deviceName ?? "A device",
		address: shortAddress(row.ipAddress ?? ""),
		userAgent: (row.userAgent ?? "").slice(0, 200),
		createdAt: new Date(row.createdAt).getTime(),
		lastSeenAt: new Date(row.updatedAt).getTime(),
		expiresAt: new Date(row.expiresAt).getTime(),
	};
}

/** As people write it: of an IPv6 address the table has the network alone (/64), each group in full. */
function shortAddress(kept: string): string {
	const url = `http://[${kept}]/`;
	if (!kept.includes(":") || !URL.canParse(url)) return kept;
	const short = new URL(url).hostname.slice(1, -1);
	if (short === "::") return "::1";
	return short.endsWith("::") ? `${short}/64` : short;
}
