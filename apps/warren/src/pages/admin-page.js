import { encode } from "/admin/uqr.js";
import { addPasskey, obstacle, signInByPasskey } from "./admin-passkeys.js";
import { aiUsage } from "./ai-usage.js";
import { ask, el, field, shown, table } from "./view.js";

const place = document.getElementById("page");
/** Of a device that was paired in this page; else the session's cookie speaks. */
let bearer = null;
const call = (method, path, body, headers = {}) =>
	ask(method, path, body, bearer === null ? headers : { authorization: `Bearer ${bearer}`, ...headers });

/** Why another service's sign-in, from which this page was come back to, did not work. */
const refusal = new URLSearchParams(location.search).get("error");
const [[purpose, secret] = []] = new URLSearchParams(location.hash.slice(1));
// A secret that stays in the address bar ends up in the history.
history.replaceState(null, "", location.pathname);
await start();

async function start() {
	if (purpose === "setup" && secret) return page("Make the first account", account({ "x-warren-setup": secret }, {}));
	if (purpose === "invitation" && secret) return page("Make your account", account({}, { invitation: secret }));
	if (purpose === "pair" && secret) return page("Pair this device", await pair(secret));
	await home();
}

function page(title, ...parts) {
	place.replaceChildren(el("h1", {}, title), ...parts);
}

async function home() {
	let me;
	try {
		me = await call("GET", "/me");
	} catch (fault) {
		if (fault.status !== 401) return page("Warren hub", el("p", { className: "fault" }, fault.message));
		return page(
			"Sign in",
			...said(),
			signIn(),
			el("p", {}, ...(await services("Sign in with", "/auth/sign-in/social"))),
		);
	}
	const { user } = me;
	const parts = [
		el("p", {}, `Signed in as ${user.name} (${user.email}), ${user.role}. `, button("Sign out", signOut)),
		el("h2", {}, "Approve a command line"),
		approval(purpose === "device" ? secret : ""),
		el("h2", {}, "Passkeys"),
		passkeys(),
		...(await linking()),
		el("h2", {}, "A new device of yours"),
		await pairing(),
	];
	if (user.admin) parts.push(...(await administration(user)));
	page("Warren hub", ...parts);
}

async function signOut() {
	await call("POST", "/auth/sign-out", {});
	bearer = null;
	await home();
}

/** A form whose button acts, and says what went wrong. */
function form(fields, label, act) {
	const outcome = el("div", { role: "status" });
	const node = el("form", {}, ...fields.map((each) => each.node), el("button", {}, label), outcome);
	node.addEventListener("submit", (event) => {
		event.preventDefault();
		void shown(outcome, async () => (await act()) ?? []);
	});
	return node;
}

function button(label, act) {
	const outcome = el("span", { role: "status" });
	return el(
		"span",
		{},
		el("button", { type: "button", onclick: () => void shown(outcome, async () => (await act()) ?? []) }, label),
		outcome,
	);
}

function account(headers, more) {
	const name = field("Name", { autocomplete: "name", required: true });
	const email = field("Email", { type: "email", autocomplete: "username", required: true });
	const password = field("Password (10 characters at least)", {
		type: "password",
		autocomplete: "new-password",
		minLength: 10,
		required: true,
	});
	return form([name, email, password], "Make the account", async () => {
		const body = { name: name.input.value, email: email.input.value, password: password.input.value, ...more };
		await ask("POST", "/auth/signup", body, headers);
		await home();
	});
}

function signIn() {
	const email = field("Email", { type: "email", autocomplete: "username", required: true });
	const password = field("Password", { type: "password", autocomplete: "current-password", required: true });
	const byPassword = form([email, password], "Sign in", async () => {
		const said = await ask("POST", "/auth/login", { email: email.input.value, password: password.input.value });
		if (said?.twoFactorRedirect === true) return page("Second factor", secondFactor());
		await home();
	});
	const byPasskey = passkey("Sign in by passkey", async () => {
		await signInByPasskey();
		await home();
	});
	return el("div", {}, byPassword, byPasskey);
}

function said() {
	if (refusal === null) return [];
	const why =
		refusal === "INVITATION_NEEDED"
			? "No account here is linked to that one, and no invitation is open for its address."
			: refusal === "account_not_linked"
				? "An account here has that address: sign in to it, then link the other service."
				: `The other service's sign-in did not work (${refusal.slice(0, 60)}).`;
	return [el("p", { className: "fault", role: "alert" }, why)];
}

/** A button for each service at which this hub is registered; they lead away and come back to this page. */
async function services(label, path, without = []) {
	const { services } = await call("GET", "/auth/services");
	return services
		.filter(({ id }) => !without.includes(id))
		.map(({ id, name }) =>
			button(`${label} ${name}`, async () => {
				const back = { callbackURL: "/admin", errorCallbackURL: "/admin" };
				const { url } = await call("POST", path, { provider: id, disableRedirect: true, ...back });
				location.assign(url);
			}),
		);
}

async function linking() {
	const linked = (await call("GET", "/auth/list-accounts")).filter(({ providerId }) => providerId !== "credential");
	const buttons = await services(
		"Link",
		"/auth/link-social",
		linked.map(({ providerId }) => providerId),
	);
	const unlinking = linked.map(({ id, providerId }) =>
		button(`Unlink ${providerId}`, async () => {
			await call("POST", "/auth/unlink-account", { accountId: id });
			await home();
		}),
	);
	if (buttons.length + unlinking.length === 0) return [];
	return [el("h2", {}, "Other services"), ...said(), el("p", {}, ...buttons, ...unlinking)];
}

/** A button where this page has passkeys, else why not. */
function passkey(label, act) {
	const why = obstacle();
	return why === null ? button(label, act) : el("p", {}, why);
}

function secondFactor() {
	const code = field("Code of your authenticator", {
		inputMode: "numeric",
		autocomplete: "one-time-code",
		required: true,
	});
	return form([code], "Sign in", async () => {
		await ask("POST", "/auth/two-factor/verify-totp", { code: code.input.value.trim() });
		await home();
	});
}

function approval(given) {
	const code = field("Code that the command line shows", { value: given, autocomplete: "off", required: true });
	const decide = (what) => async () => {
		const userCode = code.input.value.trim();
		await call("GET", `/auth/device?user_code=${encodeURIComponent(userCode)}`);
		await call("POST", `/auth/device/${what}`, { userCode });
		return el("p", {}, what === "approve" ? "Approved: the command line goes on by itself." : "Refused.");
	};
	return el("div", {}, form([code], "Approve", decide("approve")), button("Refuse", decide("deny")));
}

function passkeys() {
	const name = field("Name of the new passkey", { value: "This device", maxLength: 60, required: true });
	if (obstacle() !== null) return el("p", {}, obstacle());
	return form([name], "Add a passkey", async () => {
		await addPasskey(call, name.input.value);
		return el("p", {}, "The passkey is added: it signs in here from now on.");
	});
}

/** A code as a picture, drawn here: what it carries goes nowhere. */
function qr(text) {
	const { data, size } = encode(text, { border: 2 });
	const canvas = el("canvas", {
		width: size,
		height: size,
		className: "qr",
		role: "img",
		"aria-label": "The link as a QR code",
	});
	const pen = canvas.getContext("2d");
	pen.fillStyle = "#fff";
	pen.fillRect(0, 0, size, size);
	pen.fillStyle = "#000";
	for (const [y, row] of data.entries()) for (const [x, dark] of row.entries()) if (dark) pen.fillRect(x, y, 1, 1);
	return canvas;
}

async function pairing() {
	return button("Show a code", async () => {
		const { id, url, fingerprint, expiresAt } = await call("POST", "/me/pairings", {});
		const state = el("p", { role: "status" }, "Waiting for the new device …");
		void follow(id, state);
		return el(
			"div",
			{},
			qr(url),
			el("p", {}, el("code", {}, url)),
			...(fingerprint === null
				? []
				: [el("p", {}, "The new device must find this certificate or authority: ", el("code", {}, fingerprint))]),
			el("p", {}, `Good once, until ${new Date(expiresAt).toLocaleTimeString()}.`),
			state,
		);
	});
}

async function follow(id, state) {
	await shown(state, async () => {
		for (let at = "waiting"; ; ) {
			const found = await call("GET", `/me/pairings/${id}?wait=${at}`);
			at = found.state;
			if (at !== "waiting" && at !== "claimed") return el("span", {}, `This pairing is ${at}.`);
			if (at === "claimed") {
				const confirm = (allow) => async () => void (await call("POST", `/me/pairings/${id}/confirm`, { allow }));
				state.replaceChildren(
					`"${found.deviceName}" at ${found.address} wants in. `,
					button("Let it in", confirm(true)),
					button("Refuse", confirm(false)),
				);
			}
		}
	});
}

async function pair(code) {
	const name = field("This device's name", { value: "A new device", required: true });
	return form([name], "Ask to be let in", async () => {
		for (;;) {
			const said = await ask("POST", "/auth/pair", { code, deviceName: name.input.value });
			if (said?.token === undefined) continue;
			bearer = said.token;
			return home();
		}
	});
}

async function administration(user) {
	const health = el("div");
	const machines = el("div");
	const people = el("div");
	const invitations = el("div");
	const usage = el("div");
	await Promise.all([
		shown(usage, () => aiUsage(call, button, form)),
		shown(health, () => healthView()),
		shown(machines, () => machinesView(machines)),
		shown(people, () => peopleView(people, user)),
		shown(invitations, () => invitationsView(invitations)),
	]);
	return [
		el("h2", {}, "Health"),
		health,
		el("h2", {}, "Machines"),
		machines,
		button("Invite a machine", inviteMachine),
		el("h2", {}, "People"),
		people,
		el("h2", {}, "Invitations"),
		invitations,
		button("Invite a person", () => invitePerson(invitations)),
		el("h2", {}, "AI: usage and budgets"),
		usage,
	];
}

async function healthView() {
	const { name, version, status, conditions, fingerprint } = await call("GET", "/admin/health");
	return [
		el("p", {}, `${name}, version ${version}: ${status}`),
		...(fingerprint === null ? [] : [el("p", {}, "Certificate ", el("code", {}, fingerprint))]),
		...conditions.map((each) => el("p", { className: "fault" }, `${each.title} ${each.advice}`)),
	];
}

async function machinesView(at) {
	const { machines } = await call("GET", "/v1/machines");
	if (machines.length === 0) return el("p", {}, "No machine has joined yet.");
	const rows = machines.map((each) => [
		each.name,
		each.online ? "online" : `last seen ${new Date(each.lastSeenAt).toLocaleString()}`,
		el("span", { className: "code" }, each.hosts.join(", ")),
		each.version,
		each.hub
			? "this hub"
			: button("Remove", async () => {
					await call("DELETE", `/v1/machines/${encodeURIComponent(each.nodeId)}`);
					await shown(at, () => machinesView(at));
				}),
	]);
	return table(["Machine", "State", "Hosts", "Version", ""], rows);
}

async function inviteMachine() {
	const { code, hubUrl, expiresAt } = await call("POST", "/v1/invites", {});
	return el(
		"div",
		{},
		el(
			"p",
			{},
			"On the other machine: ",
			el("code", {}, `warren join ${hubUrl}`),
			", which asks for this code. It carries this warren's key fingerprint.",
		),
		qr(code),
		el("p", {}, el("code", {}, code)),
		el("p", {}, `Good once, until ${new Date(expiresAt).toLocaleTimeString()}.`),
	);
}

async function peopleView(at, user) {
	const { users } = await call("GET", "/auth/admin/list-users?limit=500");
	const again = (path, body) => async () => {
		await call("POST", `/auth/admin/${path}`, body);
		await shown(at, () => peopleView(at, user));
	};
	const rows = users.map(({ id, name, email, role, banned }) => [
		name,
		email,
		banned === true ? `${role}, banned` : role,
		id === user.id || role === "owner"
			? ""
			: el(
					"span",
					{},
					role === "admin"
						? button("Make a user", again("set-role", { userId: id, role: "user" }))
						: button("Make an administrator", again("set-role", { userId: id, role: "admin" })),
					banned === true
						? button("Let in again", again("unban-user", { userId: id }))
						: button("Ban", again("ban-user", { userId: id })),
				),
	]);
	return table(["Name", "Email", "Role", ""], rows);
}

async function invitationsView(at) {
	const { invitations } = await call("GET", "/me/invitations");
	if (invitations.length === 0) return el("p", {}, "None is open.");
	const rows = invitations.map((each) => [
		each.email ?? "anybody",
		each.role,
		`until ${new Date(each.expiresAt).toLocaleString()}`,
		button("Withdraw", async () => {
			await call("DELETE", `/me/invitations/${encodeURIComponent(each.id)}`);
			await shown(at, () => invitationsView(at));
		}),
	]);
	return table(["For", "Role", "Good", ""], rows);
}

async function invitePerson(at) {
	const { url } = await call("POST", "/me/invitations", {});
	await shown(at, () => invitationsView(at));
	return el("div", {}, qr(url), el("p", {}, el("code", {}, url)));
}
