import { Component, type ReactNode } from "react";
import { ErrorNotice } from "../ui/states.tsx";
import { t } from "./text.ts";

/** A page that fails to draw says so and offers a way on, instead of a blank screen. */
export class Boundary extends Component<{ children: ReactNode }, { failure: unknown }> {
	override state: { failure: unknown } = { failure: undefined };

	static getDerivedStateFromError(failure: unknown) {
		return { failure };
	}

	override render() {
		if (this.state.failure === undefined) return this.props.children;
		return (
			<div className="gate">
				<div className="gate-card">
					<ErrorNotice failure={this.state.failure} title={t.stopped} />
					<button type="button" className="button primary" onClick={() => location.reload()}>
						{t.reload}
					</button>
				</div>
			</div>
		);
	}
}
