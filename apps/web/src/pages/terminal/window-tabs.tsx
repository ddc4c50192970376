import { Plus } from "lucide-react";
import { t } from "../text/terminal.ts";
import type { Tmux } from "./use-tmux.ts";

export function WindowTabs({ tmux, onDone }: { tmux: Tmux; onDone: () => void }) {
	if (tmux.windows === undefined) return <div className="window-tabs" />;
	return (
		<div className="window-tabs">
			<div className="window-list" role="tablist" aria-label={t.windows}>
				{tmux.windows.map((window) => (
					<button
						key={window.id}
						type="button"
						role="tab"
						className="window-tab"
						aria-selected={window.active}
						onClick={() => {
							tmux.select(window);
							onDone();
						}}
					>
						<span className="index">{window.index}</span>
						<span className="clip">{window.name}</span>
						{window.bell && <span className="tag live">{t.bell}</span>}
					</button>
				))}
			</div>
			<button
				type="button"
				className="icon-button"
				aria-label={t.newWindow}
				title={t.newWindow}
				onClick={() => {
					tmux.create();
					onDone();
				}}
			>
				<Plus size={16} />
			</button>
		</div>
	);
}
