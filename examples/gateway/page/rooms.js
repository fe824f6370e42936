// The rooms of a panel's user: who is in each, and who of them is there.
import { title } from './log.js';

export class Rooms {
  constructor(panel) {
    this.panel = panel;
    this.all = new Map();
  }
  clear() {
    this.all.clear();
    this.draw();
  }
  // Devices read at their own speeds: what a slow one says of a room may be older than what is known.
  heard(e, number) {
    const known = this.all.get(e.room);
    if (e.type === 'room_state' && !(known?.number > number)) this.all.set(e.room, { ...e, number });
    else if (e.type === 'room_left' && !(known?.number > number)) this.all.delete(e.room);
    else if (e.type === 'rooms') {
      for (const [room, { number: since }] of this.all) if (since < number && !e.rooms.includes(room)) this.all.delete(room);
    } else return;
    this.draw();
  }
  draw() {
    const { part, me, wanted } = this.panel;
    const chosen = [wanted, part.to.value, me.said?.room].find(room => this.all.has(room)) ?? '';
    part.rooms.replaceChildren(...[...this.all.values()].map(room => this.item(room)));
    const options = [...this.all.keys()].map(room => new Option(title(room, me.name), room));
    part.to.replaceChildren(new Option('Ask the agent', ''), ...options);
    part.to.value = chosen;
    if (chosen === wanted) this.panel.wanted = null;
  }
  item(room) {
    const item = document.createElement('li'), name = document.createElement('b'), leave = document.createElement('button');
    name.textContent = title(room.room, this.panel.me.name);
    item.append(name);
    for (const member of room.members) {
      const status = document.createElement('span');
      status.className = member.status;
      status.textContent = `${member.name}: ${member.status}`;
      item.append(status);
    }
    leave.type = 'button';
    leave.textContent = 'Leave';
    leave.title = 'Nothing more of this room comes to your devices.';
    leave.setAttribute('aria-label', `Leave ${name.textContent}`);
    leave.onclick = () => this.panel.send({ type: 'room_leave', payload: { room: room.room } });
    item.append(leave);
    return item;
  }
}
