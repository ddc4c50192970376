import { readFileSync } from "node:fs";
import { messageOf, parseConfig } from "@warren/kernel";
import { z } from "zod";
import { configError } from "./settings.ts";

/** Where spans are sent, as OpenTelemetry's own variables say. */
export interface TraceConfig {
	/** The collector's, `…/v1/traces` included. */
	readonly url: string;
	/** May hold a secret. */
	readonly headers: Readonly<Record<string, string>>;
	/** PEM that the collector's certificate chains to; null = what the system trusts. */
	readonly ca: string | null;
	readonly timeoutMs: number;
	/** How long a span waits for company. */
	readonly delayMs: number;
	/** Of traces that begin here, from 0 to 1. */
	readonly ratio: number;
	/** Whether a caller's decision counts. */
	readonly followsParent: boolean;
	/** Null = `warren-ROLE`. */
	readonly serviceName: string | null;
	readonly resource: Readonly<Record<string, string>>;
}

const milliseconds = (otherwise: number) => z.coerce.number().int().min(1).max(600_000).default(otherwise);
const samplers = {
	always_on: { ratio: () => 1, followsParent: false },
	always_off: { ratio: () => 0, followsParent: false },
	traceidratio: { ratio: (given: number) => given, followsParent: false },
	parentbased_always_on: { ratio: () => 1, followsParent: true },
	parentbased_always_off: { ratio: () => 0, followsParent: true },
	parentbased_traceidratio: { ratio: (given: number) => given, followsParent: true },
} as const;
const names = Object.keys(samplers) as (keyof typeof samplers)[];

const schema = z.object({
	OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.url({ protocol: /^https?$/ }).optional(),
	OTEL_EXPORTER_OTLP_HEADERS: z.string().default(""),
	OTEL_EXPORTER_OTLP_TRACES_HEADERS: z.string().optional(),
	OTEL_EXPORTER_OTLP_PROTOCOL: z.string().optional(),
	OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: z.string().optional(),
	OTEL_EXPORTER_OTLP_CERTIFICATE: z.string().optional(),
	OTEL_EXPORTER_OTLP_TIMEOUT: milliseconds(10_000),
	OTEL_BSP_SCHEDULE_DELAY: milliseconds(5_000),
	OTEL_TRACES_SAMPLER: z.enum(names).default("parentbased_always_on"),
	OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
	OTEL_SERVICE_NAME: z.string().optional(),
	OTEL_RESOURCE_ATTRIBUTES: z.string().default(""),
});

/**
 * Null unless a collector is named.
 * @throws WarrenError `bad_config` for what is no URL, number or sampler, and for protocols other than `http/json`.
 */
export function parseTraceConfig(environment: Readonly<Record<string, string | undefined>>): TraceConfig | null {
	// Empty counts as unset, as the standard has it.
	const given = Object.fromEntries(
		Object.entries(environment).filter(([name, value]) => name.startsWith("OTEL_") && value !== ""),
	);
	if (given["OTEL_EXPORTER_OTLP_ENDPOINT"] === undefined && given["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] === undefined)
		return null;
	if (given["OTEL_SDK_DISABLED"]?.toLowerCase() === "true" || given["OTEL_TRACES_EXPORTER"] === "none") return null;
	const settings = parseConfig(schema, given, "traces");
	const protocol = settings.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? settings.OTEL_EXPORTER_OTLP_PROTOCOL ?? "http/json";
	if (protocol !== "http/json") {
		throw configError(
			"bad_config",
			`OTEL_EXPORTER_OTLP_PROTOCOL is "${protocol}", and only http/json is spoken here.`,
			{
				fix: "Leave it out: a collector takes JSON where it takes http/protobuf, on port 4318.",
			},
		);
	}
	const sampler = samplers[settings.OTEL_TRACES_SAMPLER];
	const base = settings.OTEL_EXPORTER_OTLP_ENDPOINT;
	return {
		url: settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? `${base?.replace(/\/$/, "")}/v1/traces`,
		headers: pairs(
			settings.OTEL_EXPORTER_OTLP_TRACES_HEADERS ?? settings.OTEL_EXPORTER_OTLP_HEADERS,
			"OTEL_EXPORTER_OTLP_HEADERS",
		),
		ca: authority(settings.OTEL_EXPORTER_OTLP_CERTIFICATE),
		timeoutMs: settings.OTEL_EXPORTER_OTLP_TIMEOUT,
		delayMs: settings.OTEL_BSP_SCHEDULE_DELAY,
		ratio: sampler.ratio(settings.OTEL_TRACES_SAMPLER_ARG),
		followsParent: sampler.followsParent,
		serviceName: settings.OTEL_SERVICE_NAME ?? null,
		resource: pairs(settings.OTEL_RESOURCE_ATTRIBUTES, "OTEL_RESOURCE_ATTRIBUTES"),
	};
}

/** `name=value,name=value`, percent-encoded (W3C Baggage). */
function pairs(text: string, variable: string): Record<string, string> {
	const found: Record<string, string> = {};
	for (const pair of text.split(",").filter((each) => each.trim() !== "")) {
		const at = pair.indexOf("=");
		try {
			if (at < 1) throw new Error("no name");
			found[pair.slice(0, at).trim()] = decodeURIComponent(pair.slice(at + 1).trim());
		} catch (cause) {
			// Its value may be a secret.
			throw configError("bad_config", `${variable} is no list of name=value.`, {
				fix: "Separate pairs by commas, and percent-encode commas and blanks in values.",
				cause,
			});
		}
	}
	return found;
}

function authority(path: string | undefined): string | null {
	if (path === undefined) return null;
	try {
		return readFileSync(path, "utf8");
	} catch (cause) {
		throw configError("bad_config", `OTEL_EXPORTER_OTLP_CERTIFICATE ${path} cannot be read: ${messageOf(cause)}.`, {
			fix: "Check its path and permissions.",
			cause,
		});
	}
}
