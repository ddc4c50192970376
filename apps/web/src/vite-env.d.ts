/// <reference types="vite/client" />
declare const __WARREN_VERSION__: string;
/** A hub that everybody may use: https://…, or empty. */
declare const __WARREN_CLOUD_URL__: string;
