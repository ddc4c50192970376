import { removeOfflineCopy } from "../../pwa/register.ts";
import { t } from "../text/settings.ts";

export function OfflineCopy() {
	if (!("serviceWorker" in navigator)) return null;
	return (
		<section className="section" aria-labelledby="offline">
			<header>
				<h2 id="offline">{t.offline}</h2>
				<p>{t.offlineLead}</p>
			</header>
			<div>
				<button type="button" className="button" onClick={() => void removeOfflineCopy().then(() => location.reload())}>
					{t.offlineRemove}
				</button>
			</div>
		</section>
	);
}
