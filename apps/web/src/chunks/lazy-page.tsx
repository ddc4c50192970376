import { Component, type ComponentType, lazy, type ReactNode, useState } from "react";
import { ErrorNotice } from "../ui/states.tsx";
import { ChunkError, loadChunk } from "./load-chunk.ts";
import { t } from "./text.ts";

/**
 * A page whose program is fetched when it is first shown. One that does not arrive says so in its place, with a way to
 * ask again; the rest of the app goes on.
 */
export function lazyPage<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
	const make = () => lazy(async () => ({ default: await loadChunk(load) }));
	// React keeps a failure for ever: another attempt is another component.
	let Loaded = make();
	let failed = 0;
	return function Page(props: P) {
		const [round, setRound] = useState(0);
		function again() {
			failed += 1;
			// Asked anew twice over, what is missing may be of a version that is gone: the page itself is fetched again.
			if (failed > 1) return location.reload();
			Loaded = make();
			setRound(round + 1);
		}
		const Current = Loaded as unknown as ComponentType<P>;
		return (
			<Arrival key={round} onAgain={again}>
				<Current {...props} />
			</Arrival>
		);
	};
}

class Arrival extends Component<{ children: ReactNode; onAgain: () => void }, { failure: unknown }> {
	override state: { failure: unknown } = { failure: undefined };

	static getDerivedStateFromError(failure: unknown) {
		return { failure };
	}

	override render() {
		const { failure } = this.state;
		if (failure === undefined) return this.props.children;
		// A fault of the page itself is the outer boundary's.
		if (!(failure instanceof ChunkError)) throw failure;
		return (
			<div className="page">
				<h1>{t.title}</h1>
				<ErrorNotice failure={new Error(t.fix)} onRetry={this.props.onAgain} />
			</div>
		);
	}
}
