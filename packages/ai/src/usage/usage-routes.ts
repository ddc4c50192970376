import { type Audit, describeIdentity, parseRequest } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import { adminOf, answer, personOf, spenderOf } from "../ai-route.ts";
import { aiError } from "../errors.ts";
import { type Budgets, everyone } from "./budgets.ts";
import { startOfDay, type UsageLog, type UsageRow, usageLimits } from "./usage-log.ts";

const daysQuery = z.object({
	days: z.coerce.number().pipe(z.int().min(1).max(usageLimits.maxReportDays)).default(30),
});
const limit = z.int().min(0).max(1e15).nullable().default(null);
const budgetBody = z.strictObject({
	dayTokens: limit,
	monthTokens: limit,
	requestsPerMinute: z.int().min(1).max(1e6).nullable().default(null),
});
const subjectPattern = /^(everyone|(user|device):[A-Za-z0-9_.-]{1,128})$/;

/** `/me/usage`, and for administrators `/ai/usage` and `/ai/budgets`. */
export function usageRoutes(deps: {
	readonly usage: UsageLog;
	readonly budgets: Budgets;
	readonly audit: Audit;
	readonly owner: string;
}): Route[] {
	const { usage, budgets, audit, owner } = deps;
	const facts = { owner, credentials: ["session"] } as const;
	const daysOf = ({ query }: RequestContext) => parseRequest(daysQuery, Object.fromEntries(query)).days;
	return [
		{
			...facts,
			method: "GET",
			path: "/me/usage",
			about: { summary: "What one has used" },
			handle: async (context) => {
				const person = personOf(context);
				const rows = await usage.report(person.userId, daysOf(context));
				return answer({ usage: rows.map(describe), ...(await budgets.standing(spenderOf(person))) });
			},
		},
		{
			...facts,
			method: "GET",
			path: "/ai/usage",
			about: { summary: "What everybody has used (administrators)" },
			handle: async (context) => {
				adminOf(context);
				const rows = await usage.report(null, daysOf(context));
				return answer({ usage: rows.map((row) => ({ user: row.user, ...describe(row) })) });
			},
		},
		{
			...facts,
			method: "GET",
			path: "/ai/budgets",
			about: { summary: "Budgets (administrators)" },
			handle: (context) => {
				adminOf(context);
				return answer({ budgets: budgets.list() });
			},
		},
		{
			...facts,
			method: "PUT",
			path: "/ai/budgets/:subject",
			about: { summary: "Set a budget (administrators)", body: budgetBody },
			handle: async (context) => {
				const admin = adminOf(context);
				const subject = subjectOf(context);
				const budget = { subject, ...(await context.json(budgetBody)) };
				await budgets.set(budget);
				record(audit, admin, context, "ai.budget.set", subject, budget);
				return answer(budget);
			},
		},
		{
			...facts,
			method: "DELETE",
			path: "/ai/budgets/:subject",
			about: { summary: "Remove a budget (administrators)" },
			handle: async (context) => {
				const admin = adminOf(context);
				const subject = subjectOf(context);
				if (!(await budgets.remove(subject))) throw aiError("unknown_budget", `There is no budget of ${subject}.`);
				record(audit, admin, context, "ai.budget.delete", subject);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
	];
}

function record(
	audit: Audit,
	admin: ReturnType<typeof adminOf>,
	context: RequestContext,
	action: string,
	target: string,
	details: object = {},
): void {
	audit.record({
		actor: describeIdentity(admin),
		action,
		target,
		outcome: "ok",
		address: context.remoteAddress,
		details: { ...details },
	});
}

function subjectOf(context: RequestContext): string {
	const subject = context.params["subject"] ?? "";
	if (!subjectPattern.test(subject))
		throw aiError("bad_setting", `"${subject.slice(0, 80)}" is no subject of a budget.`, {
			fix: `Give ${everyone}, user:ID or device:ID.`,
		});
	return subject;
}

function describe(row: UsageRow) {
	return {
		day: new Date(startOfDay(row.day)).toISOString().slice(0, 10),
		deviceId: row.device,
		provider: row.provider,
		model: row.model,
		requests: row.requests,
		failures: row.failures,
		inputTokens: row.input_tokens,
		outputTokens: row.output_tokens,
		cachedTokens: row.cached_tokens,
		/** Requests whose tokens are estimates. */
		estimated: row.estimated,
	};
}
