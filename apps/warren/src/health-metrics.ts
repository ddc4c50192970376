import type { HealthTable } from "@warren/kernel";
import type { Metrics } from "@warren/net";

/** The table of conditions as metrics: what `status` and the UI show, for whoever watches many machines. */
export function measureHealth(metrics: Metrics, health: HealthTable): void {
	metrics.gauges("conditions", "Conditions of health that show now, by code.", ["code", "severity"], () => {
		const counts = new Map<string, { readonly labels: { code: string; severity: string }; value: number }>();
		for (const { code, severity } of health.list()) {
			const row = counts.get(code);
			if (row === undefined) counts.set(code, { labels: { code, severity }, value: 1 });
			else row.value += 1;
		}
		return [...counts.values()];
	});
}
