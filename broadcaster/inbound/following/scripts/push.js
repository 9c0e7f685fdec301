// Asks the browser where it is reached, and sends that with the form.
"use strict";

const form = document.getElementById("push");
const trouble = document.getElementById("trouble");

function bytes(text) {
  const padded = text.replace(/-/g, "+").replace(/_/g, "/") + "=".repeat((4 - (text.length % 4)) % 4);
  return Uint8Array.from(atob(padded), (sign) => sign.charCodeAt(0));
}

function say(name) {
  trouble.textContent = form.dataset[name];
  trouble.hidden = false;
  form.querySelector("button").disabled = false;
}

async function subscribed() {
  const registration = await navigator.serviceWorker.register(form.dataset.worker, { scope: form.dataset.scope });
  await navigator.serviceWorker.ready;
  const key = bytes(form.dataset.key);
  const held = await registration.pushManager.getSubscription();
  if (held && !same(held.options.applicationServerKey, key)) {
    await held.unsubscribe(); // made with another key of ours
  }
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

function same(one, other) {
  const held = new Uint8Array(one ?? []);
  return held.length === other.length && held.every((byte, at) => byte === other[at]);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  form.querySelector("button").disabled = true;
  trouble.hidden = true;
  // Asked at once, while the press of the button still counts as one.
  if ((await Notification.requestPermission()) !== "granted") {
    say("denied");
    return;
  }
  try {
    form.elements.subscription.value = JSON.stringify(await subscribed());
  } catch {
    say("failed");
    return;
  }
  form.submit();
});

document.getElementById("bare").hidden = true;
if ("serviceWorker" in navigator && "PushManager" in window && "Notification" in window) {
  form.hidden = false;
} else {
  say("lacking");
}
