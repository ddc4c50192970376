/** Which scene runs each command that the documentation shows, in this order, and what it prints there. */
export interface Row {
	/** As the page has it. */
	readonly shown: string;
	/** What is typed for it where the page leaves a place for the reader's own, or names another machine. */
	readonly typed?: string;
	readonly says: RegExp;
	/** 0 unless told; null = either way: a doctor that finds something says so. */
	readonly exit?: number | null;
	/** Runs until the scene ends (`scene`), or until it has said so (`moment`). */
	readonly serves?: "scene" | "moment";
}

const machine: readonly Row[] = [
	{ shown: "warren status", says: /atlas/ },
	{ shown: "warren status --data DIR", typed: "warren status --data $WARREN_DATA", says: /atlas/ },
	{ shown: "warren peers", says: /No other machines|machine/i },
	{
		shown: "warren doctor",
		says: /^(?:ok|problem) +Node\.js: v\d+[^]*^ok +data folder: \/\S+, \d+ MB free$[^]*^ok +node: running at https:/m,
		exit: null,
	},
	{ shown: "warren logs", says: /^\d{4}-\d\d-\d\dT\S+Z private \S/m },
	{ shown: "warren invite", says: /warren join https:/ },
	{ shown: "warren invite --data DIR", typed: "warren invite --data $WARREN_DATA", says: /warren join https:/ },
	{ shown: "warren expose web 3000", says: /https:\/\/web\.localhost/ },
	{ shown: "warren expose NAME PORT", typed: "warren expose web 3000", says: /https:\/\/web\.localhost/ },
	{ shown: "warren expose web 3000 --grant PRINCIPAL", says: /https:\/\/web\.localhost/ },
	{
		shown: "warren expose web 3000 --grant 8e2a4f0e-2f6b-4d8c-9c9a-0d5b7f3f1c11",
		typed: "warren expose web 3000 --grant PRINCIPAL",
		says: /https:\/\/web\.localhost/,
	},
	{ shown: "warren expose web 3000 --public", says: /Anybody who reaches/ },
	{ shown: "warren expose rpc 50051 --h2", says: /https:\/\/rpc\.localhost/ },
	{ shown: "warren expose db 5432 --tcp", says: /db/ },
	{ shown: "warren expose game 27015 --udp", says: /warren forward game PORT/ },
	{ shown: "warren expose", says: /web[^]*db|db[^]*web/ },
	{ shown: "warren expose web --off", says: /web/ },
	{
		shown: "warren forward SERVICE LOCALPORT",
		typed: "BACKBONE_CREDENTIAL=$CREDENTIAL warren forward db 0 --backbone https://localhost:5152",
		says: /db is at 127\.0\.0\.1:/,
		serves: "moment",
	},
	{
		shown: "BACKBONE_CREDENTIAL=… warren forward db 15432 --backbone https://atlas.local:5152",
		typed: "BACKBONE_CREDENTIAL=$CREDENTIAL warren forward db 15432 --backbone https://localhost:5152",
		says: /db is at 127\.0\.0\.1:/,
		serves: "moment",
	},
	{ shown: "warren keys set anthropic < key.txt", says: /Anthropic's key is set/ },
	{
		shown: "warren keys set PROVIDER < key.txt",
		typed: "warren keys set openai < key.txt",
		says: /OpenAI's key is set/,
	},
	{ shown: "warren keys list", says: /anthropic[^]*openai/i },
	{ shown: "warren keys remove PROVIDER", typed: "warren keys remove openai", says: /openai/i },
	{
		shown: "warren peers add HOST [PORT] [--name NAME]",
		typed: "warren peers add 127.0.0.1 9 --name shed",
		says: /shed/,
	},
	{
		shown: "warren peers trust",
		typed: `warren peers trust nobody ${"ab".repeat(32)}`,
		says: /nobody/,
		exit: 1,
	},
	{
		shown: "warren login https://hub.example.com",
		typed: "warren login https://localhost:5151",
		says: /approve|code/i,
		serves: "moment",
	},
	{ shown: "warren whoami --json", says: /not_signed_in/, exit: 1 },
	{ shown: "warren logout --json", says: /not_signed_in/, exit: 1 },
	{ shown: "warren backup", typed: "warren backup kept.tar.gz", says: /kept\.tar\.gz/ },
	{ shown: "warren restore", typed: "warren restore kept.tar.gz --data again", says: /again/ },
	{ shown: "warren completion fish | source", typed: "warren completion fish", says: /complete/ },
	{
		shown:
			"curl -X POST https://NODE/api/gateway/register -H 'Content-Type: application/json' -d '{\"gatewayUrl\": \"wss://gateway.example.com/gateway\"}' …",
		typed:
			'curl --silent --cacert ca.crt -u "$WHO" -X POST https://localhost:5151/api/gateway/register -H \'Content-Type: application/json\' -d \'{"gatewayUrl": "wss://127.0.0.1:9/gateway"}\'',
		says: /gateway_unreachable|"ok":true/,
	},
];

const up: readonly Row[] = [
	{ shown: "warren up", says: /Warren is up on/, serves: "moment" },
	{ shown: "warren up FLAGS", typed: "warren up --name den", says: /Warren is up on den/, serves: "moment" },
	{ shown: "WARREN_GATEWAY=1 warren up", says: /Warren is up on/, serves: "moment" },
	{
		shown: "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 warren up",
		says: /Warren is up on/,
		serves: "moment",
	},
];

const backbone: readonly Row[] = [
	{ shown: "warren backbone --domain mos.example.net --data DIR", says: /The backbone is up/, serves: "scene" },
	{
		shown:
			'curl -H "Authorization: Bearer $ADMIN" -d \'{"service_name":"myapp"}\' -H content-type:application/json https://mos.example.net:5152/admin/api/tokens',
		says: /"token":"mosb_/,
	},
	{
		shown:
			"BACKBONE_SERVICE_TOKEN=mosb_… warren agent --backbone https://mos.example.net:5152 --service myapp --target 127.0.0.1:8080",
		typed:
			"BACKBONE_SERVICE_TOKEN=$(cat token) warren agent --backbone https://localhost:5152 --service myapp --target 127.0.0.1:8080",
		says: /myapp {2}https:/,
		serves: "scene",
	},
	{ shown: "curl https://myapp.mos.example.net:5152/", says: /hello from 8080/ },
	{
		shown: "warren whoami --service S",
		typed: "BACKBONE_CREDENTIAL=$(cat credential) warren whoami --service myapp --backbone https://localhost:5152",
		says: /x-mosb-sub/i,
	},
];

const hub: readonly Row[] = [
	{
		shown: "warren hub --data /srv/warren --hostname hub.example.net --tls-cert fullchain.pem --tls-key privkey.pem",
		says: /The hub is up on/,
		serves: "moment",
	},
	{
		shown: "warren hub --data /srv/warren --hostname hub.example.net",
		says: /The hub is up on/,
		serves: "scene",
	},
	{ shown: "warren invite --data /srv/warren", says: /warren join https:/ },
	{ shown: "warren status --data /srv/warren", says: /hub/ },
	{ shown: "warren backup warren-backup.tar.gz --data /srv/warren", says: /warren-backup\.tar\.gz/ },
	{ shown: "warren restore warren-backup.tar.gz --data /srv/warren-2", says: /warren-2/ },
];

const gateway: readonly Row[] = [
	{ shown: "warren gateway", says: /The gateway is up at/, serves: "moment" },
	{ shown: "warren gateway --port 4000", says: /The gateway is up at/, serves: "moment" },
];

const mesh: readonly Row[] = [
	{ shown: "warren ca init --out mesh-ca --host 203.0.113.7", says: /mesh-ca/ },
	{ shown: "warren ca issue-peer --name coordinator --host 203.0.113.7 --ca-dir mesh-ca --out coord", says: /coord/ },
	{ shown: "warren ca issue-peer --name supervisor-01 --tag supervisor --ca-dir mesh-ca --out certs", says: /certs/ },
	{
		shown:
			"warren coordinator --bind 0.0.0.0:8888 --data /var/lib/warren-coordinator --tls-cert coord/peer.crt --tls-key coord/peer.key --tls-ca coord/ca.crt --policy-file acl.json",
		says: /The coordinator listens on/,
		serves: "scene",
	},
	{
		shown:
			"warren overlay join --coordinator https://203.0.113.7:8888 --name supervisor-01 --tls-cert certs/peer.crt --tls-key certs/peer.key --tls-ca certs/ca.crt",
		says: /fd5a:1f00:/,
		serves: "scene",
	},
	{ shown: "warren overlay status", says: /supervisor-01/ },
	{
		shown: "warren overlay add-device phone --endpoint 203.0.113.7:51820",
		typed: "warren overlay add-device phone --endpoint 203.0.113.7:51820 FLAGS",
		says: /PrivateKey/,
	},
	{
		shown: "warren overlay add-device NAME",
		typed: "warren overlay add-device tablet --endpoint 203.0.113.7:51820 FLAGS",
		says: /PrivateKey/,
	},
	{ shown: "warren coordinator policy get", typed: "warren coordinator policy get FLAGS", says: /acls/ },
	{
		shown: "warren coordinator policy preview FILE",
		typed: "warren coordinator policy preview acl.json FLAGS",
		says: /^\d+ pairs gained, \d+ lost, ports changed between \d+$/m,
	},
	{
		shown: "warren coordinator policy set FILE",
		typed: "warren coordinator policy set acl.json FLAGS",
		says: /^The policy is \S+ now\.$/m,
	},
	{
		shown: "warren coordinator explain web-1 db-1:5432",
		typed: "warren coordinator explain supervisor-01 phone:5432 FLAGS",
		says: /supervisor-01/,
	},
	{ shown: "warren coordinator peers", typed: "warren coordinator peers FLAGS", says: /supervisor-01/ },
	{
		shown: "warren coordinator remove ID",
		typed: "warren coordinator remove ID FLAGS",
		says: /is removed and stays so/,
	},
	{ shown: "warren coordinator readmit ID", typed: "warren coordinator readmit ID FLAGS", says: /may register again/ },
	{ shown: "warren ca list", typed: "warren ca list --ca-dir mesh-ca", says: /supervisor-01/ },
	{
		shown: "warren ca revoke NAME --ca-dir DIR",
		typed: "warren ca revoke supervisor-01 --ca-dir mesh-ca",
		says: /supervisor-01/,
	},
	{
		shown: "warren ca rotate --ca-dir DIR",
		typed: "warren ca rotate --ca-dir mesh-ca",
		says: /SHA-256 (?:[0-9a-f]{2}:){31}[^]*warren ca retire/i,
	},
	{ shown: "warren ca retire --ca-dir DIR", typed: "warren ca retire --ca-dir mesh-ca", says: /coordinator/, exit: 1 },
];

const cluster: readonly Row[] = [
	{
		shown: "warren migrate --to database --data DIR --database URL --nats URL",
		typed: "warren migrate --to database --data moved --database $DB --nats $BUS",
		says: /^Moved \d+ tables, \d+ rows[^]*equal hashes/m,
	},
	{
		shown: "warren migrate --to folder   --data DIR --database URL --nats URL",
		typed: "warren migrate --to folder --data moved --database $DB --nats $BUS",
		says: /^Moved \d+ tables, \d+ rows[^]*equal hashes/m,
	},
	{
		shown: "warren migrate --to database --data /srv/warren",
		typed: "WARREN_DATABASE=$DB2 WARREN_NATS=$BUS warren migrate --to database --data moved",
		says: /^Moved \d+ tables, \d+ rows[^]*equal hashes/m,
	},
	{
		shown: "warren hub --database postgres://warren@db.example.com/warren --nats nats://bus.example.com …",
		typed: "warren hub --database $DB2 --nats $BUS --data moved --port 0",
		says: /The hub is up on/,
		serves: "moment",
	},
	{
		shown:
			"warren backbone --database postgres://warren@db.example.com/warren --nats nats://bus.example.com --cluster-url https://10.0.0.1:5152 …",
		typed: "warren backbone --database $DB --nats $BUS --cluster-url https://127.0.0.1:5152 --data bb",
		says: /The backbone is up/,
		serves: "moment",
	},
	{
		shown: "warren gateway     --database postgres://warren@db.example.com/warren --cluster-address 10.0.0.1:4000 …",
		typed: "warren gateway --database $DB --cluster-address 127.0.0.1:4000 --data gw",
		says: /The gateway is up at/,
		serves: "moment",
	},
	{
		shown: "warren coordinator --database postgres://warren@db.example.com/warren --cluster-address 10.0.0.1:8888 …",
		typed:
			"WARREN_ALLOW_INSECURE=1 warren coordinator --database $DB --cluster-address 127.0.0.1:8888 --insecure-no-mtls --no-stun --bind 127.0.0.1:8888 --data co",
		says: /The coordinator listens on/,
		serves: "moment",
	},
];

const container: readonly Row[] = [
	{ shown: "docker build -t warren .", says: /Successfully tagged [^\n]*warren:latest|naming to [^\n]*warren/ },
	{
		shown:
			"docker run -d --init --hostname burrow -p 5151:5151 -v warren:/data -e WARREN_HOSTNAME=burrow.example.net --name warren warren",
		says: /^[0-9a-f]{64}$/m,
	},
	{ shown: "docker logs warren", says: /https:\/\/burrow\.example\.net:5151\/#setup=\S+/ },
	{
		shown: "docker run … warren hub",
		typed:
			"docker run -d --init --hostname hub -p 3914:3914 -v hub:/data -e WARREN_HOSTNAME=hub.example.net --name hub warren hub",
		says: /^[0-9a-f]{64}$/m,
	},
];

const secretSetUp: Row = {
	shown: "npx wrangler secret put WARREN_SETUP",
	typed: 'printf %s "$SETUP" | npx wrangler secret put WARREN_SETUP',
	says: /Uploaded secret WARREN_SETUP/,
};
const deploy: Row = { shown: "npx wrangler deploy", says: /Deployed warren-hub[^]*workers\.dev/ };
const workersSignUp: Row = {
	shown:
		'curl https://hub.example.com/auth/signup -H \'content-type: application/json\' -H "x-warren-setup: $SETUP" -d \'{"name":"Ada","email":"ada@example.com","password":"…"}\'',
	typed:
		'curl --silent http://localhost:HUB/auth/signup -H \'content-type: application/json\' -H "x-warren-setup: $SETUP" -d \'{"name":"Ada","email":"ada@example.com","password":"lovelace-1815-notes"}\'',
	says: /"token":"[^"]+"[^]*"email":"ada@example\.com"/,
};
const workersDev: readonly Row[] = [
	{
		shown: "npx wrangler dev",
		typed: "npx wrangler dev --ip 127.0.0.1 --port HUB --inspector-port INSPECTOR",
		says: /Ready on http:\/\/127\.0\.0\.1:/,
		serves: "scene",
	},
	workersSignUp,
];
const workers: readonly Row[] = [secretSetUp, deploy, workersSignUp];
const workersDatabase: readonly Row[] = [
	secretSetUp,
	{
		shown: "npx wrangler secret put WARREN_DATABASE",
		typed: 'printf %s "$DATABASE" | npx wrangler secret put WARREN_DATABASE',
		says: /Uploaded secret WARREN_DATABASE/,
	},
	{
		shown: "npx wrangler secret put WARREN_SECRET",
		typed: "openssl rand -base64 32 | npx wrangler secret put WARREN_SECRET",
		says: /Uploaded secret WARREN_SECRET/,
	},
	deploy,
	workersSignUp,
];

export const scenes = {
	...{ machine, up, backbone, hub, gateway, mesh, cluster },
	...{ container, workersDev, workers, workersDatabase },
} as const;
export type SceneName = keyof typeof scenes;

/** Run for real by a test of their own: the file, and a word in it. */
export const elsewhere: Readonly<Record<string, readonly [file: string, word: string]>> = {
	"npm start": ["e2e/src/network/story.test.ts", "npm start"],
	"npm start -- FLAGS": ["e2e/src/network/story.test.ts", "npm start"],
	"npm start -- join https://atlas.local:5151": ["e2e/src/network/story.test.ts", "npm start -- join"],
	"warren join": ["e2e/src/network/join.test.ts", '"join"'],
	"warren join URL": ["e2e/src/network/join.test.ts", '"join"'],
	"warren sidecar": ["e2e/src/sidecar.test.ts", "sidecar"],
	"warren update": ["apps/warren/src/update/update-checkout.test.ts", "updateCheckout"],
	"warren service install": ["apps/warren/src/cli/commands.test.ts", "installs, starts and removes through systemctl"],
	"warren backbone --domain mos.example.net --port 443 --acme": [
		"apps/warren/src/backbone/acme/acme.test.ts",
		"TestAcme",
	],
	"cd examples/gateway && npm start": ["packages/gateway/src/gateway.test.ts", "examples/gateway"],
	"npm run setup": ["e2e/src/network/story.test.ts", "npm start"],
	"npm run build": ["e2e/src/network/story.test.ts", "apps/web/dist"],
	"npm run build:executable": ["scripts/executable.test.ts", "build-executable"],
	"npm run build:edge": ["packages/testkit/src/worker-bundle.ts", "bundle"],
	"cargo build --release --locked --manifest-path apps/desktop/Cargo.toml": ["e2e/src/desktop-window.ts", "cargo"],
	"node bench/terminal/run.ts": ["bench/smoke.test.ts", "terminal/run.ts"],
	"node bench/sync/sync.bench.ts": ["bench/smoke.test.ts", "sync/sync.bench.ts"],
	"node bench/overlay/run.ts": ["bench/smoke.test.ts", "overlay/run.ts"],
	"node bench/gateway/run.ts": ["bench/smoke.test.ts", "gateway/run.ts"],
	"node bench/ai/run.ts": ["bench/smoke.test.ts", "ai/run.ts"],
	"node bench/coordinator/run.ts": ["bench/smoke.test.ts", "coordinator/run.ts"],
	"node bench/tunnel/run.ts": ["bench/smoke.test.ts", "tunnel/run.ts"],
	"node bench/start/run.ts": ["bench/smoke.test.ts", "start/run.ts"],
	"node bench/scale/run.ts": ["bench/smoke.test.ts", "scale/run.ts"],
};

/** Not run by any test, and why. */
export const unrun: Readonly<Record<string, string>> = {
	"npm test": "it is what runs the tests",
};
