import type { ConditionKind } from "@warren/kernel";

/** Its subject is the service. */
export const serviceWithoutPort = {
	code: "backbone-service-without-port",
	severity: "warning",
	title: "The service {service} has no port: {fault}.",
	advice: "Free the port, or give the service another one. It is tried again every few seconds.",
	delayMs: 0,
} as const satisfies ConditionKind;
