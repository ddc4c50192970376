import { CircleAlert, Info, TriangleAlert } from "lucide-react";
import type { Status } from "../../api/types.ts";
import { agoOf } from "../../ui/time.ts";
import { t } from "../text/settings.ts";

export function Health({ status }: { status: Status | undefined }) {
	const conditions = status?.health.conditions ?? [];
	if (conditions.length === 0) return null;
	return (
		<section className="section" aria-labelledby="health">
			<header>
				<h2 id="health">{t.health}</h2>
			</header>
			{conditions.map((condition) => {
				const Icon =
					condition.severity === "error" ? CircleAlert : condition.severity === "warning" ? TriangleAlert : Info;
				const tone = condition.severity === "error" ? "error" : condition.severity === "warning" ? "warn" : "plain";
				return (
					<div key={`${condition.code}/${condition.subject}`} className={`notice ${tone}`}>
						<Icon size={18} aria-hidden="true" />
						<div className="body">
							<span className="title">{condition.title}</span>
							<span>{condition.advice}</span>
							<span className="code">
								<span className="mono">{condition.code}</span> · {agoOf(condition.since)}
							</span>
						</div>
					</div>
				);
			})}
		</section>
	);
}
