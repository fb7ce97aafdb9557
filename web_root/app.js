// Puts the parts together: the socket feeds the model, the model is drawn a few times a second.

import { Connection } from "./connection.js";
import { Model } from "./model.js";
import { View } from "./view.js";

// However many events come, the page is drawn at most this often.
const DRAW_EVERY = 250;

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const prefix = `page-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
const model = new Model({ prefix, now: Date.now() });
const view = new View(document, { onHurry: () => connection.hurry() });
const connection = new Connection({
  url: `${scheme}//${location.host}/ws`,
  page: "/",
  onOpen: () => ask(model.opened(Date.now())),
  onMessage: (message) => ask(model.receive(message, Date.now())),
  onClose: () => model.closed(Date.now()),
  onChange: draw,
});

let isDrawing = false;

function ask(actions) {
  actions.forEach((action) => connection.send(action));
}

function draw() {
  if (!isDrawing) {
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      view.draw(model, connection.status, Date.now());
    });
  }
}

setInterval(() => {
  const now = Date.now();
  ask(model.due(now));
  if (model.isDeaf(now)) {
    connection.drop();
  }
  if (view.isStale(model, now)) {
    draw();
  }
}, DRAW_EVERY);

addEventListener("online", () => connection.hurry());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    connection.hurry();
  }
});
connection.connect();
