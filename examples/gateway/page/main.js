// The gateway's page: two users side by side, and the figures.
import { Panel } from './panel.js';
import { begin } from './figures.js';

const panels = [new Panel(0), new Panel(1)];
document.getElementById('panels').append(...panels.map(panel => panel.root));
for (const panel of panels) panel.begin();
begin();

// Waits for at most ten seconds.
async function until(what) {
  for (let n = 0; n < 200 && !what(); n++) await new Promise(wake => setTimeout(wake, 50));
}
// Two people, each with two devices, in one room. A panel that has a user keeps that user.
const demo = document.getElementById('demo');
demo.onclick = async () => {
  demo.disabled = true;
  for (const [n, name] of ['ann', 'bob'].entries()) {
    const panel = panels[n];
    if (!panel.me.token) await panel.logIn(name);
    await until(() => panel.devices[0].greeted);
    if (panel.devices.length === 1) panel.add();
    panel.join('lobby');
  }
  demo.disabled = false;
};
document.title = 'laneway gateway';
// For the console, and for tests.
window.panels = panels;
