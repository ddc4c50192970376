import { hostname } from "node:os";
import { newId } from "@warren/kernel";
import type { RoleDeps } from "../cli/run-role.ts";
import { parseTraceConfig } from "../config/trace-config.ts";
import { version } from "../version.ts";
import type { OtlpTracer } from "./otlp-tracer.ts";

/**
 * What traces this process, or null: without a collector in the environment nothing of it is even loaded.
 * @param role names it, unless OTEL_SERVICE_NAME does. @throws WarrenError `bad_config`.
 */
export async function openTracer(
	role: string,
	deps: Omit<RoleDeps, "tracer">,
	environment: Readonly<Record<string, string | undefined>>,
): Promise<OtlpTracer | null> {
	const config = parseTraceConfig(environment);
	if (config === null) return null;
	const { OtlpExporter } = await import("./otlp-exporter.ts");
	const { OtlpTracer } = await import("./otlp-tracer.ts");
	const resource = {
		"host.name": hostname(),
		"service.version": version,
		"service.instance.id": newId(deps.random),
		...config.resource,
		"service.name": config.serviceName ?? config.resource["service.name"] ?? `warren-${role}`,
	};
	return new OtlpTracer(deps, config, new OtlpExporter(deps, config, resource, version));
}
