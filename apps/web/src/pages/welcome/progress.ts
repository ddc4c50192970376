import { preferences, setPreferences, usePreferences } from "../../shell/preferences.ts";

/** What comes after user, PIN and account; each may be left out. */
export const welcomeSteps = ["name", "phone", "machine", "done"] as const;
export type WelcomeStep = (typeof welcomeSteps)[number];

export const welcomePath = "/welcome";

/** Kept on this device, so that a closed page goes on where it was. */
export const beginWelcome = () => setPreferences({ welcome: "name" });
export const goToStep = (step: WelcomeStep) => setPreferences({ welcome: step });
export const endWelcome = () => setPreferences({ welcome: "" });

/** @returns undefined when there is nothing left to set up here. */
export function useWelcomeStep(): WelcomeStep | undefined {
	const { welcome } = usePreferences();
	return welcomeSteps.find((step) => step === welcome);
}

export function nextStep(): void {
	const at = welcomeSteps.indexOf(preferences().welcome as WelcomeStep);
	goToStep(welcomeSteps[at + 1] ?? "done");
}
