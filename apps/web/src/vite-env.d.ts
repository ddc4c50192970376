/// <reference types="vite/client" />
declare const __WARREN_VERSION__: string;
