// Goes on with the next batch by itself, until somebody presses "Stop".
"use strict";
const form = document.getElementById("jwtsession-run");
const next = document.getElementById("jwtsession-go-on");
const timer = setTimeout(() => form.requestSubmit(next), 300);
form.addEventListener("submit", () => clearTimeout(timer));
