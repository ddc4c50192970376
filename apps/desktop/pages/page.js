// The window's own page: it shows where the sign-in stands, and asks the window's program for the rest. See src/desktop.rs.
const { invoke, Channel } = window.__TAURI__.core;
const $ = (id) => document.getElementById(id);
const phases = ["choose", "asking", "approve", "connecting", "away", "signedIn"];
let settings = { hub: "", fingerprint: "" };
let asked = "";

function show(status) {
	settings = status.settings;
	for (const phase of phases) $(phase).hidden = phase !== status.phase;
	for (const place of document.querySelectorAll(".hub")) place.textContent = settings.hub || (status.cloud ?? "");
	if (status.phase === "choose") choose(status);
	if (status.phase === "approve") {
		$("code").textContent = status.userCode;
		$("verification").textContent = status.verificationUri;
	}
	if (status.phase === "away") $("again").textContent = String(Math.round(status.againInMs / 1000));
	if (status.phase === "signedIn") $("who").textContent = `${status.name} (${status.email})`;
	showSidecar(status.sidecar);
}

function choose({ cloud, problem }) {
	$("problem").hidden = problem === "";
	$("problem").textContent = problem;
	$("cloud-choice").hidden = $("own-choice").hidden = cloud === null;
	$("cloud").textContent = cloud ?? "";
	// Another state may arrive while somebody types.
	if ($("hub").value === "") $("hub").value = settings.hub;
	if ($("fingerprint").value === "") $("fingerprint").value = settings.fingerprint;
	if (cloud !== null && settings.hub === "") document.querySelector("[value=cloud]").checked = true;
	showPlace();
}

const isOwn = () => document.querySelector("[value=own]").checked;
function showPlace() {
	$("own").hidden = !isOwn();
	$("hub").required = isOwn();
}

function showSidecar(sidecar) {
	const words = {
		off: () => "",
		starting: () => "This machine's sidecar starts …",
		running: () => `This machine's sidecar runs at ${sidecar.url}.`,
		waiting: () => `${sidecar.reason} The sidecar starts again in ${Math.round(sidecar.againInMs / 1000)} s.`,
	};
	$("sidecar").textContent = words[sidecar.state]();
	const url = sidecar.state === "running" ? sidecar.url : "";
	if (url !== asked) void showWorkspaces(url);
}

/** Straight from the sidecar, which knows this page by its origin and the session. */
async function showWorkspaces(url) {
	asked = url;
	$("workspaces").textContent = "";
	const session = url === "" ? null : await invoke("session");
	if (session === null) return;
	try {
		const answer = await fetch(`${session[0]}/workspaces`, { headers: { authorization: `Bearer ${session[1]}` } });
		const body = await answer.json();
		const names = answer.ok ? body.workspaces.map(({ name }) => name) : [];
		const kept = names.length === 0 ? "no workspaces" : `the workspaces ${names.join(", ")}`;
		$("workspaces").textContent = answer.ok ? `It keeps ${kept}.` : body.message;
	} catch (failure) {
		$("workspaces").textContent = `It does not answer this window: ${failure.message}`;
	}
}

$("choose").addEventListener("change", showPlace);
$("choose").addEventListener("submit", (event) => {
	event.preventDefault();
	const typed = { hub: $("hub").value.trim(), fingerprint: $("fingerprint").value.trim() };
	void invoke("sign_in", { settings: isOwn() ? typed : { hub: "", fingerprint: "" } });
});
$("here").addEventListener("click", () => void invoke("enter"));
for (const button of document.querySelectorAll(".enter")) button.addEventListener("click", () => void invoke("enter"));
for (const button of document.querySelectorAll(".again, .leave"))
	button.addEventListener("click", () => void invoke("sign_out"));

const channel = new Channel();
channel.onmessage = show;
void invoke("watch", { page: channel });
