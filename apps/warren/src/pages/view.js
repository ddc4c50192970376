// Elements without markup from strings: what a server or another person said is always text here.

/** @param {string} tag @param {Record<string, unknown>} properties @param {...(Node | string)} children */
export function el(tag, properties = {}, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(properties)) {
		if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
		else if (name in node) node[name] = value;
		else node.setAttribute(name, String(value));
	}
	node.append(...children);
	return node;
}

/** A labelled field. */
export function field(label, properties = {}) {
	const input = el(properties.rows ? "textarea" : "input", { id: `field-${++fields}`, ...properties });
	return { input, node: el("p", {}, el("label", { htmlFor: input.id }, label), input) };
}
let fields = 0;

/** Asks this origin. Throws what the server said, as an Error. */
export async function ask(method, path, body, headers = {}) {
	const answer = await reach(path, {
		method,
		headers: {
			accept: "application/json",
			...(body === undefined ? {} : { "content-type": "application/json" }),
			...headers,
		},
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	let said = null;
	try {
		said = text === "" ? null : JSON.parse(text);
	} catch {
		// Not JSON: shown by its status.
	}
	if (answer.ok) return said;
	const what = said?.message ?? `The hub answered ${answer.status}.`;
	throw Object.assign(new Error(said?.fix ? `${what} ${said.fix}` : what), {
		status: answer.status,
		code: said?.error,
	});
}

async function reach(path, init) {
	try {
		return await fetch(path, init);
	} catch {
		throw new Error("The hub does not answer. Check that it runs and that you are on its network, then try again.");
	}
}

/** Shows a part, and in its place why it could not be. */
export async function shown(place, make) {
	try {
		place.replaceChildren(...[await make()].flat());
	} catch (fault) {
		place.replaceChildren(el("p", { className: "fault", role: "alert" }, fault.message));
	}
}

/** @param {string[]} head @param {(Node | string)[][]} rows */
export function table(head, rows) {
	return el(
		"table",
		{},
		el("tr", {}, ...head.map((each) => el("th", { scope: "col" }, each))),
		...rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell)))),
	);
}
