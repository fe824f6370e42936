// Figures of this page, and those of the whole gateway for its operator; a chart of the last minute.

const SECONDS = 60, history = [];
let events = 0, bytes = 0, last = { events: 0, bytes: 0 };

// The operator's password comes behind the address's `#`, which is sent to no server, and does not stay there.
const given = new URLSearchParams(location.hash.slice(1)).get('operator');
if (given) {
  sessionStorage.setItem('laneway-operator', given);
  window.history.replaceState(null, '', location.pathname);
}
const operator = sessionStorage.getItem('laneway-operator');

export function count(length, event) {
  bytes += length;
  events += event;
}

const amount = n => n === null || n === undefined ? '–' : n >= 1e6 ? `${(n / 1e6).toFixed(1)} M` : n >= 1e4 ? `${(n / 1e3).toFixed(1)} k` : `${n}`;
const time = us => us === null || us === undefined ? '–' : us >= 1e6 ? `${(us / 1e6).toFixed(2)} s` : us >= 1000 ? `${(us / 1000).toFixed(1)} ms` : `${us} µs`;

async function asked() {
  if (!operator) return null;
  try {
    const answer = await fetch('/stats', { headers: { authorization: `Bearer ${operator}` }, signal: AbortSignal.timeout(900) });
    return answer.ok ? await answer.json() : null;
  } catch { return null }
}

function draw(rows, hint) {
  const list = document.getElementById('numbers');
  if (list.childElementCount !== rows.length) {
    list.replaceChildren(...rows.map(() => {
      const row = document.createElement('div');
      row.append(document.createElement('dt'), document.createElement('dd'));
      return row;
    }));
  }
  rows.forEach(([name, value], n) => {
    list.children[n].firstElementChild.textContent = name;
    list.children[n].lastElementChild.textContent = value;
  });
  document.getElementById('figures-hint').textContent = hint;
}

function chart() {
  const canvas = document.getElementById('chart'), pen = canvas.getContext('2d'), fine = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  [canvas.width, canvas.height] = [width * fine, height * fine];
  pen.scale(fine, fine);
  const style = getComputedStyle(canvas), ink = getComputedStyle(document.body).color;
  const most = Math.max(10, ...history), floor = height - 18, step = width / SECONDS;
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = style.color;
  history.forEach((value, n) => {
    const tall = value / most * (floor - 20);
    pen.fillRect((SECONDS - history.length + n) * step + 1, floor - tall, Math.max(step - 2, 1), tall);
  });
  pen.fillStyle = ink;
  pen.globalAlpha = .75;
  pen.fillRect(0, floor, width, 1);
  pen.font = '13px system-ui, sans-serif';
  pen.fillText(`${amount(most)} events a second`, 4, 13);
  pen.fillText('a minute ago', 4, height - 3);
  pen.fillText('now', width - 28, height - 3);
  pen.globalAlpha = 1;
  canvas.setAttribute('aria-label', `Events a second over the last minute: now ${history.at(-1) ?? 0}, at most ${Math.max(0, ...history)}`);
}

async function second() {
  const own = { events: events - last.events, bytes: bytes - last.bytes };
  last = { events, bytes };
  const all = await asked();
  history.push(all ? all.events_per_s : own.events);
  if (history.length > SECONDS) history.shift();
  if (all) {
    draw([['users online', amount(all.users)], ['connections', amount(all.connections)], ['users away', amount(all.absent_users)],
      ['events a second', amount(all.events_per_s)], ['p99, publish to socket', time(all.wait_p99_us)],
      ['bytes a second', amount(all.bytes_per_s)], ['events missed', amount(all.missed)]],
    'Of the whole gateway. The p99 is of floods and of posts into rooms in the last 10 s, to devices that are not slowed.');
  } else {
    draw([['events a second', amount(own.events)], ['bytes a second', amount(own.bytes)], ['events', amount(events)], ['bytes', amount(bytes)]],
      'Of this page only. Users, connections and the p99 are the operator\'s: open the address with #operator= that the gateway prints when it starts.');
  }
  chart();
}

export function begin() {
  void second();
  setInterval(second, 1000);
  // Drawn for its width, and drawn anew for another one.
  new ResizeObserver(chart).observe(document.getElementById('chart'));
}
