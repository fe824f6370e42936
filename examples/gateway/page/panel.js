// One user: the session, the devices, the rooms, and what is being said. It takes nothing for true but what the server
// says: who this panel is, what was said, and that the server is still there.
import { Device, PATIENCE } from './device.js';
import { Rooms } from './rooms.js';
import { Store, copy } from './store.js';

const DEVICES = 4, LABELS = ['phone', 'laptop', 'tablet', 'watch'];
const post = (path, more) => fetch(path, { method: 'POST', signal: AbortSignal.timeout(PATIENCE), ...more });

export class Panel {
  constructor(n) {
    this.store = new Store(n ? `laneway-${n + 1}` : 'laneway');
    Object.assign(this, { draft: null, wanted: null, devices: [], ...copy('panel-template') });
    const { part } = this;
    part.title.textContent = ['First user', 'Second user'][n];
    this.root.setAttribute('aria-label', part.title.textContent);
    part.name.placeholder = ['Your name, such as ann', 'Another name, such as bob'][n];
    this.rooms = new Rooms(this);
    this.addDevice(LABELS[0], this.keptFirst());
    for (const [name, element] of Object.entries({ ...part, log: this.devices[0].part.log })) element.id = n ? `${name}-${n + 1}` : name;
    part.name.setAttribute('aria-describedby', part['name-rule'].id);
    part.text.setAttribute('aria-describedby', part['say-rule'].id);
    this.listen();
  }
  get me() { return this.store.me }
  begin() {
    const { me, part } = this;
    this.turn(!!me.token);
    for (const label of me.more ?? []) this.addDevice(label.label, this.keptMore(label.label));
    if (me.said) { part.text.value = me.said.text; part.text.readOnly = !me.said.refused }
    if (me.token) for (const device of this.devices) device.connect();
    else part.state.textContent = 'not logged in';
  }
  listen() {
    const { part } = this, on = (form, act) => form.onsubmit = event => { event.preventDefault(); act() };
    on(part.login, () => this.logIn(part.name.value));
    on(part.say, () => {
      const text = part.text.value.trim();
      if (text && (!this.me.said || this.me.said.refused)) this.say(text, part.to.value);
    });
    on(part.join, () => { this.join(part.room.value); part.room.value = '' });
    on(part.direct, () => { this.direct(part.person.value); part.person.value = '' });
    part.leave.onclick = () => this.logOut();
    part.figures.onclick = () => this.send({ type: 'get_quality_metrics' });
    part.add.onclick = () => this.add();
  }

  // The first device's beginning lies beside the session, that of another one in a list.
  keptFirst() {
    const { store } = this;
    return { get beginning() { return store.me.beginning }, begin: beginning => store.remember({ beginning }) };
  }
  keptMore(label) {
    const { store } = this, own = () => store.me.more?.find(more => more.label === label);
    const begin = beginning => store.remember({ more: store.me.more?.map(more => more.label === label ? { label, beginning } : more) });
    return { get beginning() { return own()?.beginning }, begin };
  }
  addDevice(label, kept) {
    const device = new Device(this, label, kept);
    this.devices.push(device);
    this.part.devices.append(device.root);
    device.part.remove.hidden = this.devices.length === 1;
    this.part.add.disabled = this.devices.length >= DEVICES;
    return device;
  }
  add() {
    const label = LABELS.find(label => !this.devices.some(device => device.label === label));
    if (!label) return;
    this.store.remember({ more: [...this.me.more ?? [], { label }] });
    this.addDevice(label, this.keptMore(label)).connect();
  }
  remove(device) {
    device.drop();
    device.root.remove();
    this.devices = this.devices.filter(other => other !== device);
    this.store.remember({ more: this.me.more?.filter(more => more.label !== device.label) });
    this.part.add.disabled = false;
    this.part.add.focus();
  }

  // Through the first device that is connected.
  send(message) {
    this.devices.find(device => device.greeted)?.send(message);
  }
  join(room) { this.wanted = room; this.send({ type: 'room_join', payload: { room } }) }
  direct(person) {
    this.wanted = `direct:${[this.me.name, person].sort().join(':')}`;
    this.send({ type: 'room_direct', payload: { with: person } });
  }
  // A typed message stays in its field, and is sent again after a reconnect, until the server echoes it. Its id makes it
  // one message however often it is sent. An error ends the wait and not the message: it may be another request's.
  say(text, room) {
    const id = Array.from(crypto.getRandomValues(new Uint32Array(4)), n => n.toString(16)).join('-');
    this.store.remember({ said: { id, text, room } });
    this.part.text.readOnly = true;
    this.send(this.said());
  }
  said() {
    const { id, text, room } = this.me.said;
    return room ? { type: 'room_say', payload: { room, text, message_id: id } }
      : { type: 'user_message', payload: { text, thread_id: 'main', message_id: id } };
  }
  settled() {
    const { text } = this.part;
    if (text.value.trim() === this.me.said.text) text.value = '';
    this.store.remember({ said: undefined });
    text.readOnly = false;
  }
  refused() {
    if (this.me.said) this.store.remember({ said: { ...this.me.said, refused: true } });
    this.part.text.readOnly = false;
  }

  // What the devices tell.
  greeted(device, frame) {
    device.send({ type: 'subscribe_quality_alerts', payload: { action: 'subscribe' } });
    if (frame.reset) this.rooms.clear();
    device.send({ type: 'room_list' });
    if (this.me.said && !this.me.said.refused) device.send(this.said());
    if (device !== this.devices[0]) return;
    this.part.state.dataset.open = '1';
    this.part.state.textContent = 'connected';
  }
  heard(e, number) {
    if (e.type === 'error') this.refused();
    if (e.type === 'room_invited') this.send({ type: 'room_accept', payload: { with: e.with } });
    const own = e.type === 'user_message' || (e.type === 'room_message' && e.from === this.me.name);
    const again = e.type === 'ack' && e.status === 'already_handled';
    if (e.message_id && e.message_id === this.me.said?.id && (own || again)) this.settled();
    this.rooms.heard(e, number);
  }
  dropped(device) {
    if (device === this.devices[0]) delete this.part.state.dataset.open;
  }
  heardState(device, text) {
    if (device === this.devices[0]) this.part.state.textContent = text;
  }
  sessionEnded() {
    const kept = { name: this.me.name, text: this.part.text.value };
    this.ask('the session has ended: log in again');
    this.draft = kept;
  }

  // Shows the panel of a user, or the log-in.
  turn(user) {
    const { part } = this;
    part.login.hidden = user;
    part.view.hidden = part.leave.hidden = part.figures.hidden = !user;
    part.title.hidden = user;
    part.who.textContent = user ? this.me.name : '';
  }
  // Nothing of the last user is left when the next one comes: no text, no token, no position, no run. Only a session
  // that has ended leaves what was being typed, for the same name.
  ask(why) {
    const { part } = this, [first, ...more] = this.devices;
    for (const device of more) { device.drop(); device.root.remove() }
    this.devices = [first];
    this.store.forget();
    first.forget();
    this.rooms.clear();
    Object.assign(this, { draft: null, wanted: null });
    part.add.disabled = false;
    part.text.value = '';
    part.text.readOnly = false;
    this.turn(false);
    part.state.textContent = why;
  }
  async logIn(typed) {
    try {
      const body = JSON.stringify({ name: typed });
      const answer = await post('/login', { headers: { 'content-type': 'application/json' }, body });
      if (!answer.ok) throw new Error(await answer.text());
      const { name, token } = await answer.json();
      const text = this.draft?.name === name ? this.draft.text : '';
      this.ask('connecting …');
      this.part.text.value = text;
      this.store.remember({ name, token });
      this.turn(true);
      this.devices[0].connect();
    } catch (error) { this.part.state.textContent = error.message }
  }
  async logOut() {
    try {
      const answer = await post('/logout', { headers: { authorization: `Bearer ${this.me.token}` } });
      if (answer.ok || answer.status === 401) this.ask('logged out');
      else throw new Error(await answer.text());
    } catch (error) { this.part.state.textContent = `not logged out: ${error.message}` }
  }
}
