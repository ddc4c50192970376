import "@fontsource-variable/inter/wght.css";
import "@fontsource-variable/jetbrains-mono/wght.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/shell.css";
import "./styles/pages.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { restoreStyles } from "./chunks/load-chunk.ts";
import { registerServiceWorker } from "./pwa/register.ts";
import { takeArrival } from "./shell/arrival.ts";
import { applyTheme } from "./shell/preferences.ts";

applyTheme();
const arrival = takeArrival();
const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
// Not awaited at the top level, which breaks the first load up into the pieces of other pages. Bare, it still says what it has to say.
void restoreStyles()
	.catch((failure: unknown) => console.warn("warren: this page has lost its style", failure))
	.then(() =>
		createRoot(root).render(
			<StrictMode>
				<App arrival={arrival} />
			</StrictMode>,
		),
	);
registerServiceWorker();
