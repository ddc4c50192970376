export const t = {
	title: "Trust this warren",
	lead: "Each warren has a certificate authority of its own. Install it once on a device, and every machine of this warren opens there without a warning. It vouches only for private addresses and this warren's own names.",
	compare: "Compare before you trust",
	compareLead: "Warren prints the same fingerprint on the machine's own screen when it starts. If they differ, stop.",
	fingerprint: "Fingerprint (SHA-256)",
	until: (when: string) => `Valid until ${when}`,
	noCa: "This machine has no certificate authority of its own",
	noCaFix: "It serves a certificate from elsewhere, or plain HTTP on loopback. There is nothing to install.",
	install: "Install it",
	back: "Back to Warren",
	download: "Download the certificate",
	profile: "Download the profile",
	systems: {
		ios: "iPhone and iPad",
		android: "Android",
		mac: "Mac",
		windows: "Windows",
		linux: "Linux",
	},
	steps: {
		ios: [
			"Download the profile in Safari and allow it.",
			"Open Settings: “Profile Downloaded” stands at the top. Install it.",
			"Settings › General › About › Certificate Trust Settings: switch this warren on.",
			"Come back, reload, then Share › Add to Home Screen.",
		],
		android: [
			"Download the certificate.",
			"Settings › Security › More security settings › Encryption & credentials › Install a certificate › CA certificate.",
			"Choose the downloaded file and confirm.",
			"Come back, reload, then the browser's menu › Install app.",
		],
		mac: [
			"Download the certificate and open it; Keychain Access asks where: choose System.",
			"Double-click it there, open Trust, and set “When using this certificate” to Always Trust.",
			"Or in a terminal:",
		],
		windows: [
			"Download the certificate and open it › Install Certificate › Local Machine.",
			"Place it in “Trusted Root Certification Authorities”.",
			"Or in an administrator's terminal:",
		],
		linux: [
			"Download the certificate.",
			"For the system (Debian, Ubuntu):",
			"For Chrome and Chromium, which keep their own list:",
		],
	},
	commands: {
		mac: ["sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ~/Downloads/ca.crt"],
		windows: ["certutil -addstore -f Root %USERPROFILE%\\Downloads\\ca.crt"],
		linux: [
			"openssl x509 -inform der -in ca.crt -out warren.pem && sudo install -m 644 warren.pem /usr/local/share/ca-certificates/warren.crt && sudo update-ca-certificates",
			"certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n warren -i ca.crt",
		],
	},
	firefox: "Firefox keeps its own list: Settings › Privacy & Security › View Certificates › Authorities › Import.",
} as const;
