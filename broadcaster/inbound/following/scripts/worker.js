// Shows what comes. It keeps nothing and answers no request: pages are never read from a copy of ours.
"use strict";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

function told(event) {
  try {
    const { title, body, lang, dir, navigate, tag } = event.data.json().notification;
    return { title: String(title), options: { body, lang, dir, tag, renotify: Boolean(tag), data: { navigate } } };
  } catch {
    return null; // not ours, or cut off: the page says the rest
  }
}

self.addEventListener("push", (event) => {
  const found = told(event);
  if (found) {
    event.waitUntil(self.registration.showNotification(found.title, found.options));
  }
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const address = String(event.notification.data?.navigate ?? "");
  if (/^https?:\/\//.test(address)) {
    event.waitUntil(self.clients.openWindow(address));
  }
});
