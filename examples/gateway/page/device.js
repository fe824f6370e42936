// One device: a socket of its own, where it stands, and what it has missed.
import { Log } from './log.js';
import { copy } from './store.js';
import { count } from './figures.js';

// Milliseconds: the first pause before a reconnect, the longest, how long the server may be silent until it has said
// how often it speaks, what a slow device takes for an event, and within what time a second replacement is a copy's.
const FIRST = 500, LONGEST = 30000, SLOW = 250, AGAIN = 30000;
export const PATIENCE = 10000;

export class Device {
  // `kept` is what the device keeps over a reload: `beginning`, and how to change it.
  constructor(panel, label, kept) {
    Object.assign(this, { panel, label, kept });
    Object.assign(this, copy('device-template'));
    this.log = new Log(this.part.log);
    this.part.label.textContent = label;
    this.part.remove.setAttribute('aria-label', `Remove ${label}`);
    this.part.log.setAttribute('aria-label', `Events of ${label}`);
    this.part.line.onclick = () => this.isAway ? this.comeBack() : this.goAway();
    this.part.slow.onclick = () => this.sendSlow(this.slow ? 0 : SLOW);
    this.part.flood.onclick = () => this.send({ type: 'flood', payload: { events: Math.min(4 * this.lane, 2000) } });
    this.part.remove.onclick = () => panel.remove(this);
    this.forget();
  }
  forget() {
    this.drop();
    Object.assign(this, { position: null, delay: FIRST, patience: PATIENCE, missed: 0, slow: 0, lane: 64, isAway: false });
    this.log.clear();
    this.part.number.textContent = '–';
    this.part.missed.textContent = '0';
    this.part.line.textContent = 'Go offline';
    this.isSlow(0);
    this.tell('');
    this.status('not connected');
  }
  send(message) {
    if (this.greeted) this.socket.send(JSON.stringify(message));
  }
  // The server answers by a frame that says how slow the device is now.
  sendSlow(milliseconds) {
    this.send({ slow: milliseconds });
  }
  isSlow(milliseconds) {
    this.slow = milliseconds;
    this.part.slow.textContent = milliseconds ? 'Full speed' : 'Slow down';
    this.part.slow.setAttribute('aria-pressed', milliseconds > 0);
    if (this.greeted) this.status(milliseconds ? `slow: ${milliseconds} ms` : 'online', milliseconds ? 'slow' : 'online');
  }
  goAway() {
    this.isAway = true;
    this.drop();
    this.part.line.textContent = 'Come back';
    this.status('offline', 'lost');
    this.panel.heardState(this, 'offline, by your wish');
  }
  comeBack() {
    this.isAway = false;
    this.part.line.textContent = 'Go offline';
    this.status('connecting …');
    this.connect();
  }

  // Each sign of life starts the wait for the next one. A connection can be dead for hours and look open.
  alive() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.lost(0, 'the server is silent'), this.patience);
  }
  connect() {
    const from = this.position ?? this.kept.beginning;
    const url = `${location.protocol.replace('http', 'ws')}//${location.host}/ws${from ? `?position=${from}` : ''}`;
    const mine = this.socket = new WebSocket(url, ['laneway', this.panel.me.token]);
    // A socket that was given up may still have something to say, perhaps for another user.
    mine.onmessage = message => { if (mine === this.socket) this.hear(message.data) };
    mine.onclose = close => { if (mine === this.socket) this.lost(close.code, close.reason) };
    this.alive();
  }
  hear(data) {
    const frame = JSON.parse(data);
    this.alive();
    count(data.length, frame.event ? 1 : 0);
    if (!this.greeted && !this.greet(frame)) return;
    this.position = frame.position ?? this.position;
    if (frame.gap) this.hasMissed(frame.gap);
    if (frame.event) {
      this.part.number.textContent = frame.number;
      this.log.show(frame.event, this.panel.me.name);
      this.panel.heard(frame.event, frame.number);
    } else if (frame.slow !== undefined) this.isSlow(frame.slow);
    // Not sooner: a server that takes each socket and closes it at once would be asked twice a second.
    else if (frame.beat && !frame.user) this.delay = FIRST;
    this.log.scroll();
  }
  hasMissed(events) {
    this.missed += events;
    this.part.missed.textContent = this.missed;
    this.log.missed(events);
    this.tell(`missed ${events}`, 'bad');
  }
  // The first frame says whose socket it is. Nothing is shown before, and nothing at all under another name.
  greet(frame) {
    const { me } = this.panel;
    if (frame.user !== me.name) {
      this.panel.ask(`this tab was ${me.name}'s, and the server says ${frame.user ?? 'nothing'}: log in again`);
      return false;
    }
    this.greeted = true;
    this.patience = 2.5 * frame.beat;
    this.lane = frame.lane;
    if (frame.reset) this.log.add('gap', 'what came while this device was away is gone');
    if (frame.reset || !this.kept.beginning) this.kept.begin(frame.position);
    if (frame.reset) this.tell('not resumed: what was kept is gone', 'bad');
    else if (frame.replayed !== undefined) this.tell(`resumed: ${frame.replayed} replayed, nothing lost`, 'good');
    this.status('online', 'online');
    if (this.slow) this.sendSlow(this.slow);
    this.panel.greeted(this, frame);
    return true;
  }
  // Gives the socket up, whatever it still says of itself: a close that cannot be sent takes its time.
  drop() {
    const old = this.socket;
    this.socket = null;
    this.greeted = false;
    clearTimeout(this.silence);
    clearTimeout(this.retry);
    this.part.slow.disabled = this.part.flood.disabled = true;
    this.panel.dropped(this);
    old?.close();
  }
  lost(code, reason) {
    this.drop();
    if (code === 4001) return this.panel.ask('logged out');
    if (code === 4401) return this.panel.sessionEnded();
    // Only the server's word makes a position useless: a refused handshake or a lost connection says nothing of it.
    if (code === 1008 || code === 4403) this.beginAnew();
    if (code === 4005) this.replaced();
    if (code === 1009) { this.log.add('notice', 'the message is too long'); this.panel.refused() }
    // The gateway's own word on this device, which stays when the next socket is open.
    if (code === 4003 || code === 4004 || code === 4006) this.log.add('gap', `closed by the gateway: ${reason} (${code})`);
    this.status('connection lost', 'lost');
    this.tell(`closed ${code || ''}${reason && `: ${reason}`}`, 'bad');
    this.panel.heardState(this, `connection lost${reason && `: ${reason}`}, trying again …`);
    // All pages lose a server at the same moment; they do not all come back at the same moment.
    this.retry = setTimeout(() => this.connect(), this.delay * (0.5 + Math.random() / 2));
    this.delay = Math.min(this.delay * 2, LONGEST);
  }

  beginAnew() {
    this.position = null;
    this.kept.begin(undefined);
  }
  // Another socket goes on from this device's position. It may be one of this page's own, given up while its handshake
  // was under way: then this device takes its place back. The copy of a duplicated tab would do the same, for ever. So
  // the second time this is a new device, and says so.
  replaced() {
    const isAgain = performance.now() - (this.replacedAt ?? -AGAIN) < AGAIN;
    this.replacedAt = performance.now();
    if (!isAgain) return;
    this.beginAnew();
    this.log.add('gap', 'another page is this device now; this is a new one, and has missed what came in between');
  }

  status(text, kind = '') {
    this.part.status.textContent = text;
    this.part.status.dataset.kind = kind;
    if (this.greeted) this.part.slow.disabled = this.part.flood.disabled = false;
  }
  // The last thing that happened to the socket: how it resumed, what it missed, why it was closed.
  tell(text, kind = '') {
    this.part.last.textContent = text;
    this.part.last.dataset.kind = kind;
  }
}
