// Browsers cannot subscribe here any more: the worker that an earlier page left takes itself away.
"use strict";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.registration.unregister()));
