import { el, field, shown, table } from "./view.js";

const days = 30;
const count = (number) => number.toLocaleString();
const orNone = (number) => (number === null ? "no limit" : count(number));

/** Who used how much of what, and what each may use. `call`, `button` and `form` are the page's own. */
export async function aiUsage(call, button, form) {
	const [{ usage }, { budgets }, { users }] = await Promise.all([
		call("GET", `/ai/usage?days=${days}`),
		call("GET", "/ai/budgets"),
		call("GET", "/auth/admin/list-users?limit=500"),
	]);
	const names = new Map(users.map((each) => [each.id, each.name]));
	const nameOf = (id) => names.get(id) ?? id;
	const limits = el("div", {}, budgetsTable(budgets));
	const again = async () => shown(limits, async () => budgetsTable((await call("GET", "/ai/budgets")).budgets));
	return [
		el("p", {}, `Tokens of the last ${days} days, by person, device and model.`),
		usage.length === 0 ? el("p", {}, "Nobody has used any.") : usageTable(usage, nameOf),
		el("h3", {}, "Budgets"),
		limits,
		budgetForm(),
	];

	function budgetsTable(list) {
		if (list.length === 0) return el("p", {}, "None: nobody is limited but by the rate of requests.");
		const rows = list.map((each) => [
			subjectName(each.subject),
			orNone(each.dayTokens),
			orNone(each.monthTokens),
			orNone(each.requestsPerMinute),
			button("Remove", async () => {
				await call("DELETE", `/ai/budgets/${encodeURIComponent(each.subject)}`);
				await again();
			}),
		]);
		return table(["Whose", "Tokens a day", "Tokens a month", "Requests a minute", ""], rows);
	}

	function subjectName(subject) {
		const [kind, id = ""] = subject.split(":");
		if (kind === "everyone") return "everybody without one of their own";
		return kind === "user" ? nameOf(id) : `device ${id}`;
	}

	function budgetForm() {
		const devices = [...new Set(usage.map((each) => each.deviceId))].map((id) => `device:${id}`);
		const subjects = ["everyone", ...users.map((each) => `user:${each.id}`), ...devices];
		const whose = select(
			"Whose budget",
			subjects.map((each) => [each, subjectName(each)]),
		);
		const number = (label) => field(label, { type: "number", min: 0, step: 1 });
		const day = number("Tokens a day (empty: no limit)");
		const month = number("Tokens a month (empty: no limit)");
		const rate = field("Requests a minute (empty: no limit)", { type: "number", min: 1, step: 1 });
		const value = ({ input }) => (input.value === "" ? null : Number(input.value));
		return form([whose, day, month, rate], "Set the budget", async () => {
			await call("PUT", `/ai/budgets/${encodeURIComponent(whose.input.value)}`, {
				dayTokens: value(day),
				monthTokens: value(month),
				requestsPerMinute: value(rate),
			});
			await again();
			return el("p", {}, "Set.");
		});
	}
}

/** Days added up; the largest first. */
function usageTable(usage, nameOf) {
	const sums = new Map();
	for (const each of usage) {
		const key = JSON.stringify([each.user, each.deviceId, each.provider, each.model]);
		const sum = sums.get(key) ?? { ...each, requests: 0, failures: 0, inputTokens: 0, outputTokens: 0, estimated: 0 };
		for (const name of ["requests", "failures", "inputTokens", "outputTokens", "estimated"]) sum[name] += each[name];
		sums.set(key, sum);
	}
	const rows = [...sums.values()]
		.sort((a, b) => b.inputTokens + b.outputTokens - a.inputTokens - a.outputTokens)
		.map((each) => [
			nameOf(each.user),
			el("span", { className: "code" }, each.deviceId),
			`${each.provider} ${each.model}`,
			each.failures === 0 ? count(each.requests) : `${count(each.requests)}, ${count(each.failures)} failed`,
			count(each.inputTokens),
			each.estimated === 0 ? count(each.outputTokens) : `${count(each.outputTokens)}, in part estimated`,
		]);
	return table(["Person", "Device", "Model", "Requests", "Tokens in", "Tokens out"], rows);
}

function select(label, options) {
	const made = field(label);
	const input = el("select", { id: made.input.id }, ...options.map(([value, text]) => el("option", { value }, text)));
	made.input.replaceWith(input);
	return { input, node: made.node };
}
