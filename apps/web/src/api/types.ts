/** The shapes of docs/api-node.md. Unknown fields are ignored. Times are milliseconds since the Unix epoch. */
export interface Device {
	id: string;
	name: string;
	createdAt: number;
	lastSeenAt?: number;
	current?: boolean;
}

export interface Me {
	kind: "device" | "operator" | "share";
	name: string;
	deviceId?: string;
	share?: { session: string; expiresAt: number };
	node: { name: string; version: string };
}

export interface Session {
	id: string;
	name: string;
	windows: number;
	attached: number;
	/** Seconds since the Unix epoch, as tmux gives them. */
	createdUnix: number;
	activityUnix: number;
	socket: string;
	own: boolean;
	command: string;
	cwd: string;
	lastLine: string;
	bell: boolean;
	width: number;
	height: number;
	viewers: number;
}

export interface SessionList {
	sessions: Session[];
	condition?: { code: string; title: string; advice: string };
}

export interface Pane {
	id: string;
	index: number;
	active: boolean;
	command: string;
	cwd: string;
	width: number;
	height: number;
	title: string;
}

export interface Window {
	id: string;
	index: number;
	name: string;
	active: boolean;
	zoomed: boolean;
	bell: boolean;
	panes: Pane[];
}

export interface History {
	text: string;
	lines: number;
	more: boolean;
}

export interface SearchResult {
	/** `line` counts up from the newest line, which is 0. */
	matches: { line: number; text: string }[];
	truncated: boolean;
}

export interface Share {
	id: string;
	session: string;
	createdAt: number;
	expiresAt: number;
}

export interface ErrorFacts {
	code: string;
	message: string;
	fix?: string;
}

export interface Peer {
	id: string;
	name: string;
	host: string;
	port: number;
	version?: string;
	reachable: boolean;
	source: string;
	sources: string[];
	rttMs?: number;
	/** How this node reaches it now. */
	path?: "direct" | "overlay" | "relayed" | "tunnel";
	/** Its address on the overlay. */
	ula?: string;
	lastSeenAt?: number;
	checkedAt?: number;
	error?: ErrorFacts;
	pin?: { fingerprint: string; since: number };
}

export interface PeerList {
	peers: Peer[];
	self: { name: string; version: string; host: string; port: number };
	errors: { source: string; kind: string; message: string; fix: string }[];
}

export interface Condition {
	code: string;
	severity: "info" | "warning" | "error";
	title: string;
	advice: string;
	since: number;
	subject: string;
}

export interface Status {
	node: { id: string; name: string; version: string; startedAt: number; url: string; fingerprint: string };
	roles: { name: string; state: "running" | "restarting" | "off"; since: number; error?: string }[];
	health: { status: string; conditions: Condition[] };
	listeners: { role: string; host: string; port: number; secure: boolean }[];
	process: { pid: number; memoryBytes: number; uptimeMs: number };
}

export interface AuditRecord {
	id: number;
	at: number;
	actor: string;
	action: string;
	target: string;
	outcome: "ok" | "refused" | "failed";
	address: string;
	details?: Record<string, unknown>;
	role: string;
	/** The log that it stands in; its number is unique there. */
	source: string;
}

/** One page of `GET /api/activity`. */
export interface ActivityList {
	records: AuditRecord[];
	next: string | null;
	/** Roles that could not be asked. */
	silent: { role: string; message: string }[];
}

/** What `/ws/~events` sends. */
export type NodeEvent =
	| { type: "sessions" }
	| { type: "windows"; session: string }
	| { type: "bell"; session: string; window: string }
	| { type: "command-finished"; session: string; window: string; command: string; durationMs: number }
	| { type: "peers" }
	| { type: "audit" }
	| { type: "rooms" }
	| { type: "room-messages"; room: string }
	| { type: "health" };
