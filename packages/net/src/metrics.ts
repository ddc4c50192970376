import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** One process's metrics, Prometheus text. Names begin with `warren_`; labels are few and bounded, never identifiers of people. */
export class Metrics {
	readonly registry = new Registry();

	/** @param defaults also the runtime's own (memory, event loop, garbage collection). */
	constructor(defaults = false) {
		if (defaults) collectDefaultMetrics({ register: this.registry, prefix: "warren_" });
	}

	counter<L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
		return new Counter({ name: `warren_${name}`, help, labelNames: [...labelNames], registers: [this.registry] });
	}

	/** @param collect reads the value when it is scraped. */
	gauge(name: string, help: string, collect: () => number): void {
		new Gauge({
			name: `warren_${name}`,
			help,
			registers: [this.registry],
			collect() {
				this.set(collect());
			},
		});
	}

	/** One value a set of labels, all read when they are scraped. */
	gauges<L extends string>(
		name: string,
		help: string,
		labelNames: readonly L[],
		collect: () => readonly { readonly labels: Readonly<Record<L, string>>; readonly value: number }[],
	): void {
		new Gauge({
			name: `warren_${name}`,
			help,
			labelNames: [...labelNames],
			registers: [this.registry],
			collect() {
				this.reset();
				for (const { labels, value } of collect()) this.set(labels, value);
			},
		});
	}

	/** @param buckets upper bounds, seconds. */
	histogram<L extends string>(
		name: string,
		help: string,
		buckets: readonly number[],
		labelNames: readonly L[] = [],
	): Histogram<L> {
		return new Histogram({
			name: `warren_${name}`,
			help,
			buckets: [...buckets],
			labelNames: [...labelNames],
			registers: [this.registry],
		});
	}

	text(): Promise<string> {
		return this.registry.metrics();
	}
}
