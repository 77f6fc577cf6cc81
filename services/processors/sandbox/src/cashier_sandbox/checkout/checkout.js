// Reads what only a browser knows, lets the server add what only a server sees, and hands the
// result to the page that opened this one.
"use strict";

const own = document.currentScript.dataset;

function browser() {
  return {
    userAgent: navigator.userAgent,
    language: navigator.language,
    colorDepthBits: screen.colorDepth,
    screenHeightPx: screen.height,
    screenWidthPx: screen.width,
    timeZoneOffsetMinutes: new Date().getTimezoneOffset(),
    javaEnabled: typeof navigator.javaEnabled === "function" && navigator.javaEnabled(),
    javascriptEnabled: true,
  };
}

async function capture() {
  const answer = await fetch("/checkout/device", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ acceptHeader: own.accept, browser: browser() }),
  });
  const told = await answer.json();
  if (!answer.ok) {
    throw new Error(told.error.message);
  }
  return told;
}

function show(text) {
  document.getElementById("result").textContent = text;
}

capture().then(
  (told) => {
    show(JSON.stringify(told, null, 2));
    document.documentElement.dataset.state = "done";
    const listener = window.opener || (window.parent === window ? null : window.parent);
    if (own.origin && listener) {
      listener.postMessage({ type: "cashier.device", ...told }, own.origin);
    }
    const form = document.forms[0];
    if (form) {
      form.elements.device.value = JSON.stringify(told.device);
      form.hidden = false;
      if (own.at_once === "true") {
        form.submit();
      }
    }
  },
  (error) => {
    document.documentElement.dataset.state = "failed";
    show(String(error));
  },
);
