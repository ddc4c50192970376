/** What the fixture node answers. Names and numbers are made up. */
const now = Date.now();
const seconds = Math.floor(now / 1000);

const session = (number: number, name: string, command: string, lastLine: string, extra: object = {}) => ({
	id: `warren.${number}`,
	name,
	windows: 1,
	attached: 0,
	createdUnix: seconds - 86_400 * number,
	activityUnix: seconds - 47 * number ** 3,
	socket: "warren",
	own: true,
	command,
	cwd: "/home/ada/work",
	lastLine,
	bell: false,
	width: 120,
	height: 40,
	viewers: 0,
	...extra,
});

export function sessionsOf(peer: string | undefined) {
	if (peer === "p-forge")
		return [session(1, "render", "blender", "Fra:118 Mem:2214M  | Rendering 42 / 128 samples", { viewers: 1 })];
	return [
		session(1, "build", "npm", " Test Files  41 passed (41)   Duration  9.32s", { windows: 3, viewers: 2 }),
		session(2, "api server", "node", "GET /v1/orders 200 4 ms"),
		session(3, "training", "python3", "epoch 17/40  loss 0.1184  lr 3.0e-4  eta 2:41:08", { bell: true }),
		session(5, "notes", "nvim", "~/notes/today.md [+]          12,4  All", { windows: 2 }),
		session(9, "main", "bash", "ada@studio:~$", { own: false, socket: "default" }),
	];
}

const pane = (number: number, active: boolean, command: string) => ({
	id: `%${number}`,
	index: number,
	active,
	command,
	cwd: "/home/ada/work",
	width: 60,
	height: 40,
	title: "",
});
export const windows = [
	{
		id: "@1",
		index: 0,
		name: "npm",
		active: true,
		zoomed: false,
		bell: false,
		panes: [pane(1, true, "npm"), pane(2, false, "bash")],
	},
	{ id: "@2", index: 1, name: "git", active: false, zoomed: false, bell: false, panes: [pane(3, true, "bash")] },
	{ id: "@3", index: 2, name: "logs", active: false, zoomed: false, bell: true, panes: [pane(4, true, "tail")] },
];

const print = (seed: string) =>
	Array.from({ length: 32 }, (_, index) =>
		((seed.charCodeAt(index % seed.length) * 7 + index * 31) % 256).toString(16).padStart(2, "0"),
	).join(":");
const peer = (id: string, name: string, extra: object) => ({
	id,
	name,
	host: `${name}.internal`,
	port: 5151,
	version: "0.1.0",
	reachable: true,
	source: "tailscale",
	sources: ["tailscale"],
	checkedAt: now,
	lastSeenAt: now,
	pin: { fingerprint: print(name), since: now - 9e8 },
	...extra,
});

export const peers = {
	peers: [
		peer("p-forge", "forge", { rttMs: 3.4, sources: ["manual", "tailscale"] }),
		peer("p-laptop", "laptop", { rttMs: 41, version: "0.0.9" }),
		peer("p-attic", "attic", {
			reachable: false,
			source: "manual",
			sources: ["manual"],
			lastSeenAt: now - 5.4e6,
			error: {
				code: "timeout",
				message: "attic.internal:5151 did not answer within 1.5 s.",
				fix: "Wake it, or check that “warren up” runs there.",
			},
		}),
		peer("p-mini", "mini", {
			reachable: false,
			source: "manual",
			sources: ["manual"],
			error: { code: "pin_mismatch", message: "mini shows another certificate.", fix: "Compare the fingerprints." },
		}),
	],
	self: { name: "studio", version: "0.1.0", host: "studio.internal", port: 5151 },
	errors: [
		{
			source: "tailscale",
			kind: "operator_denied",
			message: "tailscaled refuses to list machines for ada.",
			fix: "sudo tailscale set --operator=ada",
		},
	],
};

export const status = {
	node: {
		id: "n1",
		name: "studio",
		version: "0.1.0",
		startedAt: now - 3e8,
		url: "https://studio.internal:5151",
		fingerprint: print("studio"),
	},
	roles: [{ name: "node", state: "running", since: now - 3e8 }],
	health: {
		status: "warning",
		conditions: [
			{
				code: "certificate_soon_over",
				severity: "warning",
				title: "The certificate ends in 9 days",
				advice: "It renews by itself at the next start; restart within a week.",
				since: now - 8e6,
				subject: "",
			},
		],
	},
	listeners: [{ role: "node", host: "::", port: 5151, secure: true }],
	process: { pid: 4242, memoryBytes: 88_400_000, uptimeMs: 3e8 },
};

const actions = [
	["device:d1", "session.create", "warren.3", "ok"],
	["anonymous", "device.create", "ada", "refused"],
	["device:d2", "share.create", "warren.1", "ok"],
	["operator:ada", "device.create", "Safari on iPhone", "ok"],
	["device:d1", "peer.pin.put", "p-forge", "ok"],
	["device:d1", "session.delete", "warren.7", "failed"],
] as const;

export function auditRecords(before: number) {
	if (before > 0) return [];
	return Array.from({ length: 24 }, (_, index) => {
		const [actor, action, target, outcome] = actions[index % actions.length] ?? actions[0];
		return { id: 500 - index, at: now - index * 400_000, actor, action, target, outcome, address: "192.168.1.23" };
	});
}

const E = "\x1b[";
const logLine = (index: number) =>
	`${E}2m${String(index).padStart(4)}${E}0m ${E}32m✓${E}0m packages/net/src/${E}1mhttp-${index}${E}0m.test.ts ${E}2m(${(index * 7) % 90} tests)${E}0m ${E}38;5;${16 + (index % 200)}m${index % 13} ms${E}0m`;
export const history = Array.from({ length: 400 }, (_, index) => logLine(index)).join("\n");

export function screen(_cols: number, rows: number): string {
	const head = [
		`${E}1;32mada@studio${E}0m:${E}1;34m~/work/warren${E}0m$ npm test`,
		"",
		` ${E}1;46;30m RUN ${E}0m ${E}36mv5.1.1 ${E}2m/home/ada/work/warren${E}0m`,
		"",
	];
	const tests = Array.from({ length: Math.max(4, Math.min(18, rows - 14)) }, (_, index) => logLine(index + 1));
	const tail = [
		"",
		` ${E}2mTest Files${E}0m  ${E}1;32m41 passed${E}0m ${E}2m(41)${E}0m`,
		` ${E}2m     Tests${E}0m  ${E}1;32m612 passed${E}0m ${E}2m(612)${E}0m`,
		` ${E}2m  Duration${E}0m  9.32s ${E}38;2;233;130;111m(transform 1.10s, tests 14.27s)${E}0m`,
		"",
		`${E}1;32mada@studio${E}0m:${E}1;34m~/work/warren${E}0m$ git status --short`,
		` ${E}31mM${E}0m packages/net/src/listener.ts`,
		`${E}31m??${E}0m docs/how-it-works.md  https://example.org/notes`,
		`${E}1;32mada@studio${E}0m:${E}1;34m~/work/warren${E}0m$ `,
	];
	return [...head, ...tests, ...tail].join("\r\n");
}
