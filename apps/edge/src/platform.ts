/**
 * What Workers hand to a program, as much of it as is used here. The platform's own declarations would replace the
 * standard ones (Request, Response) for the whole repository.
 */
import type { WorkerSocket } from "@warren/net";
import type { ObjectStorage } from "@warren/store";
import type { Ended } from "./rooms/recent-endings.ts";
import type { ContentsCall, RoomAnswer } from "./rooms/room-calls.ts";

export interface DurableStorage extends ObjectStorage {
	get<T>(key: string): Promise<T | undefined>;
	put(key: string, value: unknown): Promise<void>;
	/** Milliseconds since the Unix epoch. */
	setAlarm(at: number): Promise<void>;
	deleteAlarm(): Promise<void>;
	deleteAll(): Promise<void>;
}

/** A socket that outlives the object's memory: the platform keeps it, and what was attached to it. */
export interface HibernatingSocket extends WorkerSocket {
	/** At most 16 KiB, by structured clone. */
	serializeAttachment(value: unknown): void;
	deserializeAttachment(): unknown;
}

export interface DurableState {
	readonly storage: DurableStorage;
	readonly id: { toString(): string };
	blockConcurrencyWhile<T>(work: () => Promise<T>): Promise<T>;
	waitUntil(work: Promise<unknown>): void;
	acceptWebSocket(socket: HibernatingSocket): void;
	getWebSockets(): HibernatingSocket[];
}

export interface DurableStub {
	fetch(request: Request): Promise<Response>;
}

/** A room's object, as the hub and the worker call it. */
export interface RoomStub extends DurableStub {
	contents(call: ContentsCall): Promise<RoomAnswer>;
	signedOut(ended: Ended, at: number): Promise<void>;
	accessChanged(room: string, userId: string, access: string | null, at: number): Promise<void>;
	documentsChanged(userId: string): Promise<void>;
}

/** The hub's object, as rooms and the worker call it. */
export interface HubStub extends DurableStub {
	touch(room: string): Promise<void>;
}

export interface DurableNamespace<Stub> {
	idFromName(name: string): { toString(): string };
	get(id: { toString(): string }): Stub;
}

/** What wrangler.jsonc binds; everything else of the environment is text. */
export interface Bindings {
	readonly HUB: DurableNamespace<HubStub>;
	readonly ROOMS: DurableNamespace<RoomStub>;
}

/** One hub a deployment. */
const hubName = "hub";

export function hubOf({ HUB }: Pick<Bindings, "HUB">): HubStub {
	return HUB.get(HUB.idFromName(hubName));
}

export function roomOf({ ROOMS }: Pick<Bindings, "ROOMS">, room: string): RoomStub {
	return ROOMS.get(ROOMS.idFromName(room));
}

export type Environment = Bindings & Readonly<Record<string, unknown>>;

declare const WebSocketPair: new () => { readonly 0: HibernatingSocket; readonly 1: HibernatingSocket };

export function socketPair(): { readonly client: HibernatingSocket; readonly server: HibernatingSocket } {
	const pair = new WebSocketPair();
	return { client: pair[0], server: pair[1] };
}
